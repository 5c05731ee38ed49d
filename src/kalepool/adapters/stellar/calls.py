"""Contract calls, and exactly which ledger entries each may touch.

The footprint of a transaction is computed here and never taken from a node. It is also what ties a
plant to its block: with these keys it can land in no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from kalepool.adapters.stellar import wire
from kalepool.core.address import is_account
from kalepool.errors import UsageError
from kalepool.xdr.keys import balance_key, block_key, code_key, instance_key, pail_key, trustline_key

if TYPE_CHECKING:
    from kalepool.adapters.stellar.network import Network

_INVOKE: Final = wire.u32(24)  # OperationType INVOKE_HOST_FUNCTION
_EXTEND: Final = wire.u32(25)  # OperationType EXTEND_FOOTPRINT_TTL
_HASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Deployment:
    """The contracts as the operator has agreed to them.

    Attributes:
        network: where they are.
        kale_code: hash of the KALE contract's wasm, 32 bytes. Its key stands in every footprint, so
            nothing that is built lands after an upgrade.
        tractor_code: likewise of the tractor, or None where none is used.
    """

    network: Network
    kale_code: bytes
    tractor_code: bytes | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """A ledger entry that a call touches.

    Attributes:
        name: what it is, for messages.
        key: XDR.
        writes: whether it is written, or read alone.
        is_certain: whether a simulation must show it; some versions of the contract read more.
    """

    name: str
    key: bytes
    writes: bool
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """What a call comes to on one deployment.

    Attributes:
        body: the operation's body as XDR.
        contract: the contract that is called, or None.
        needs: every ledger entry that it may touch.
        authorizations: the consents that stand in it, as XDR.
    """

    body: bytes
    contract: str | None
    needs: tuple[Need, ...]
    authorizations: tuple[bytes, ...] = ()


class ContractCall(Protocol):
    """One operation on contracts."""

    @property
    def shape(self) -> str:
        """Calls of one shape need the same resources, whoever the farmer and whichever the block."""

    def on(self, deployment: Deployment) -> Operation:
        """Give the operation on a deployment."""


@dataclass(frozen=True, slots=True)
class Plant:
    """``plant(farmer, amount)``, sent by the farmer's own account.

    Attributes:
        farmer: G address.
        stake: stroops, 0 or more.
        block: index of the one block in which it may land.
        opens: whether it is meant to open that block; then it may also read the block before, as
            some deployed versions of the contract do.
    """

    farmer: str
    stake: int
    block: int
    opens: bool = False

    def __post_init__(self) -> None:
        if not is_account(self.farmer):
            raise UsageError("a contract plants for itself: it cannot consent as a transaction's source")
        if self.stake < 0:
            raise UsageError("a stake is 0 or more")

    @property
    def shape(self) -> str:
        """Staked or not, opening or following."""
        return f"plant {'staked' if self.stake else 'empty'} {'opener' if self.opens else 'follower'}"

    def on(self, deployment: Deployment) -> Operation:
        """Give the invocation, with the farmer's consent to it and to burning exactly the stake."""
        network, kale = deployment.network, deployment.network.kale
        arguments = [wire.value_address(self.farmer), wire.value_i128(self.stake)]
        call = wire.invocation(kale, "plant", arguments)
        # Each call of the tree of consent is a function of a contract (0) and the calls below it.
        burns = []
        if self.stake:
            burn = wire.invocation(network.asset_contract, "burn", arguments)
            burns.append(wire.NONE + burn + wire.array([]))
        # Credentials 0 are the source account's: its signature on the transaction is the consent.
        authorizations = (wire.NONE + wire.NONE + call + wire.array(burns),)
        needs = [
            *_contract("KALE", kale, deployment.kale_code, writes=True),
            Need("Block", block_key(kale, self.block), writes=True),
            Need("Pail", pail_key(kale, self.farmer, self.block), writes=True),
        ]
        if self.stake:
            needs += _asset(network, self.farmer)
        if self.opens and self.block:
            previous = block_key(kale, self.block - 1)
            needs.append(Need("previous Block", previous, writes=False, is_certain=False))
        return Operation(_invoke(call, authorizations), kale, tuple(needs), authorizations)


@dataclass(frozen=True, slots=True)
class Work:
    """``work(farmer, hash, nonce)``, for any farmer.

    Attributes:
        farmer: G or C address.
        block: index of the block whose pail it works.
        hash: 32 bytes.
        nonce: u64.
        improves: whether the pail was worked before.
    """

    farmer: str
    block: int
    hash: bytes
    nonce: int
    improves: bool = False

    def __post_init__(self) -> None:
        if len(self.hash) != _HASH_BYTES:
            raise UsageError("a proof's hash has 32 bytes")

    @property
    def shape(self) -> str:
        """First or repeated, and the kind of address."""
        return f"work {'again' if self.improves else 'first'} {_kind(self.farmer)}"

    def on(self, deployment: Deployment) -> Operation:
        """Give the invocation; it needs nobody's consent."""
        kale = deployment.network.kale
        arguments = [
            wire.value_address(self.farmer),
            wire.value_bytes(self.hash),
            wire.value_u64(self.nonce),
        ]
        needs = (
            *_contract("KALE", kale, deployment.kale_code, writes=True),
            Need("Block", block_key(kale, self.block), writes=True),
            Need("Pail", pail_key(kale, self.farmer, self.block), writes=True),
        )
        return Operation(_invoke(wire.invocation(kale, "work", arguments)), kale, needs)


@dataclass(frozen=True, slots=True)
class Harvest:
    """``harvest(farmer, index)``, for any farmer.

    Attributes:
        farmer: G or C address.
        block: index of the closed block.
    """

    farmer: str
    block: int

    @property
    def shape(self) -> str:
        """The kind of address."""
        return f"harvest {_kind(self.farmer)}"

    def on(self, deployment: Deployment) -> Operation:
        """Give the invocation; it needs nobody's consent."""
        network, kale = deployment.network, deployment.network.kale
        arguments = [wire.value_address(self.farmer), wire.value_u32(self.block)]
        needs = (
            *_contract("KALE", kale, deployment.kale_code, writes=False),
            *_asset(network, self.farmer),
            *_harvested(kale, self.farmer, self.block),
        )
        return Operation(_invoke(wire.invocation(kale, "harvest", arguments)), kale, needs)


@dataclass(frozen=True, slots=True)
class TractorHarvest:
    """The tractor's ``harvest(farmer, pails)``: many blocks of one farmer.

    Attributes:
        farmer: G or C address.
        blocks: indexes of closed blocks, each once.
    """

    farmer: str
    blocks: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.blocks or len(set(self.blocks)) < len(self.blocks):
            raise UsageError("a tractor harvests one block or more, each once")

    @property
    def shape(self) -> str:
        """How many blocks, and the kind of address."""
        return f"tractor {len(self.blocks)} {_kind(self.farmer)}"

    def on(self, deployment: Deployment) -> Operation:
        """Give the invocation; it needs nobody's consent.

        Raises:
            UsageError: when there is no tractor.
        """
        network, kale = deployment.network, deployment.network.kale
        if network.tractor is None or deployment.tractor_code is None:
            raise UsageError("there is no tractor on this network", hint="harvest block by block")
        pails = wire.value_vec([wire.value_u32(block) for block in self.blocks])
        call = wire.invocation(network.tractor, "harvest", [wire.value_address(self.farmer), pails])
        needs = [
            *_contract("tractor", network.tractor, deployment.tractor_code, writes=False),
            *_contract("KALE", kale, deployment.kale_code, writes=False),
            *_asset(network, self.farmer),
        ]
        for block in self.blocks:
            needs += _harvested(kale, self.farmer, block)
        return Operation(_invoke(call), network.tractor, tuple(needs))


@dataclass(frozen=True, slots=True)
class Extend:
    """ExtendFootprintTTL of a Block and of pails in it, so that they can still be harvested.

    Attributes:
        block: index.
        farmers: whose pails.
        ledgers: how many ledgers from now they are to live at least.
    """

    block: int
    farmers: tuple[str, ...]
    ledgers: int

    @property
    def shape(self) -> str:
        """Its own: rent goes by how long entries live already, so no two extensions need the same."""
        return f"extend {self.block} {self.ledgers} {self.farmers}"

    def on(self, deployment: Deployment) -> Operation:
        """Give the extension; its footprint is what it extends."""
        kale = deployment.network.kale
        pails = (pail_key(kale, farmer, self.block) for farmer in dict.fromkeys(self.farmers))
        needs = (
            Need("Block", block_key(kale, self.block), writes=False),
            *(Need("Pail", key, writes=False) for key in pails),
        )
        return Operation(_EXTEND + wire.NONE + wire.u32(self.ledgers), None, needs)


def _invoke(call: bytes, authorizations: tuple[bytes, ...] = ()) -> bytes:
    # HostFunction 0 calls a contract.
    return _INVOKE + wire.NONE + call + wire.array(authorizations)


def _contract(name: str, contract: str, code: bytes, *, writes: bool) -> list[Need]:
    return [
        Need(f"{name} instance", instance_key(contract), writes),
        Need(f"{name} code", code_key(code), writes=False),
    ]


def _asset(network: Network, holder: str) -> list[Need]:
    instance = Need("asset instance", instance_key(network.asset_contract), writes=False)
    if is_account(holder):
        return [instance, Need("trustline", trustline_key(holder, network.asset), writes=True)]
    return [instance, Need("balance", balance_key(network.asset_contract, holder), writes=True)]


def _harvested(kale: str, farmer: str, block: int) -> list[Need]:
    return [
        Need("Block", block_key(kale, block), writes=False),
        Need("Pail", pail_key(kale, farmer, block), writes=True),
    ]


def _kind(address: str) -> str:
    return "account" if is_account(address) else "contract"
