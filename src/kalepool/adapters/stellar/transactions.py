"""Building transactions: from a call or classic operations to a signed envelope, under a fee ceiling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kalepool.adapters.stellar import envelopes, wire
from kalepool.adapters.stellar.calls import Plant
from kalepool.adapters.stellar.classic import leave, pay, sponsor, trust
from kalepool.adapters.stellar.envelopes import BASE_FEE, Bounds, Lane, Sealed
from kalepool.adapters.stellar.templates import DoubtError, Leeway, SimulationError, learn, soroban_data
from kalepool.errors import RejectedError, RetryableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Protocol

    from kalepool.adapters.stellar.calls import ContractCall, Deployment, Operation
    from kalepool.adapters.stellar.envelopes import Sign
    from kalepool.adapters.stellar.simulations import Simulation
    from kalepool.adapters.stellar.templates import Template
    from kalepool.core.classic import Newcomer, Payment

    class Simulator(Protocol):
        """Lets a node try a transaction; ``chain.StellarChain`` does."""

        async def simulate(
            self, envelope: bytes, called: str | None, *, besides: Collection[str] = ()
        ) -> Simulation | None:
            """Try an envelope that calls a contract, or none; give None where no node is left but those named."""

        def distrust(self, node: str) -> None:
            """Ask a node no more for a while."""


_ANY_TIME: Final = Bounds(max_time=2**63 - 1)
_MAX_FEE: Final = wire.MAX_U32
_LOWER: Final = "wait until fees fall, or raise the ceiling in kalepool.toml"


class Transactions:
    """Builds and signs. Whoever pays is the operator, by fee bump unless he is the source himself.

    Args:
        deployment: the contracts.
        operator: who pays, G address.
        signer: signs 32 bytes for an address; ``ports.Vault.sign``.
        simulator: tries calls.
        max_fee: ceiling on the whole fee of one transaction, stroops.
        leeway: what is declared beyond a simulation.
    """

    def __init__(
        self,
        deployment: Deployment,
        operator: str,
        signer: Sign,
        simulator: Simulator,
        *,
        max_fee: int,
        leeway: Leeway | None = None,
    ) -> None:
        self.deployment = deployment
        self.operator = operator
        self._signer = signer
        self._simulator = simulator
        self.max_fee = max_fee
        self._leeway = leeway or Leeway()
        self._templates: dict[str, Template] = {}

    # Templates

    def knows(self, call: ContractCall) -> bool:
        """Tell whether a call can be built without a simulation."""
        return self._template(call) is not None

    def forget(self, call: ContractCall) -> None:
        """Forget what calls of this shape need, after one was refused for its resources."""
        self._templates.pop(call.shape, None)

    def forget_kind(self, kind: str) -> None:
        """Forget what calls need whose shapes begin with this word, such as ``plant``."""
        for shape in [shape for shape in self._templates if shape.split()[0] == kind]:
            del self._templates[shape]

    def adopt(self, code: bytes) -> None:
        """Build for this code of the KALE contract from now on, 32 bytes; what was learned of another is forgotten."""
        if code != self.deployment.kale_code:
            self.deployment = replace(self.deployment, kale_code=code)
            self._templates.clear()

    async def learn(self, call: ContractCall, source: str) -> None:
        """Learn from one simulation what all calls of this shape need.

        Args:
            call: one that would succeed in the ledger after the last closed one.
            source: G address of an account that exists; of a plant, the farmer.

        Raises:
            SimulationError: a RejectedError, when it would fail, or the node's word about it cannot be true.
            RetryableError: when no node gave an answer to be believed.
        """
        _check_source(call, source)
        operation = call.on(self.deployment)
        # An extension has no call from which a node could learn its footprint.
        data = soroban_data(operation.needs, (0, 0, 0), 0) if operation.contract is None else None
        transaction = envelopes.frame(
            Lane(source, 0), _ANY_TIME, [envelopes.operation(operation.body)], fee=BASE_FEE, soroban=data
        )
        self._templates[call.shape] = await self._learn(
            call.shape, operation, envelopes.unsigned(transaction)
        )

    async def _learn(self, shape: str, operation: Operation, envelope: bytes) -> Template:
        """Simulate, on further nodes too while what the others say is no good; the first one's no is what counts."""
        refusals: dict[str, SimulationError] = {}
        while True:
            try:
                simulation = await self._simulator.simulate(envelope, operation.contract, besides=refusals)
            except RetryableError:
                if not refusals:
                    raise
                simulation = None
            if simulation is None:
                raise next(iter(refusals.values()))
            try:
                template = learn(shape, operation, simulation, self._leeway)
                if template.resource_fee + 2 * BASE_FEE > self.max_fee:
                    raise DoubtError(self._above(shape, template.resource_fee + 2 * BASE_FEE), hint=_LOWER)
            except SimulationError as error:
                refusals[simulation.node] = error
                continue
            for node, refusal in refusals.items():
                if isinstance(refusal, DoubtError):
                    self._simulator.distrust(node)
            return template

    def whole_fee(self, call: ContractCall, bid: int) -> int:
        """Give the most that a call of a known shape can cost with this bid, in stroops."""
        return self._known(call).resource_fee + bid

    def most_fee(self, kind: str, bid: int) -> int | None:
        """Give the most that a known call costs whose shape begins with this word, in stroops; None where none is known.

        Of a plant it is the opener's: it pays the rent of a Block.
        """
        known = [template for shape, template in self._templates.items() if shape.split()[0] == kind]
        if not known:
            return None
        dearest = max(known, key=lambda template: template.resource_fee)
        if kind == "plant":
            dearest = dearest.for_opener(self._leeway)
        return dearest.resource_fee + bid

    # Contract calls

    def build(self, call: ContractCall, lane: Lane, bounds: Bounds, bid: int) -> Sealed:
        """Build, sign and fee-bump a contract call.

        Args:
            call: of a known shape.
            lane: whose sequence number it takes; of a plant, the farmer's.
            bounds: when it may land.
            bid: inclusion fee of the fee bump in all, stroops, at least 200.

        Raises:
            RejectedError: when the fee would be above the ceiling, or the shape is not known.
            ConfigError: when a key that must sign is not there.
        """
        _check_source(call, lane.source)
        template, operation = self._known(call), call.on(self.deployment)
        transaction = envelopes.frame(
            lane,
            bounds,
            [envelopes.operation(operation.body)],
            # A node compares this with the resource fee, though the fee bump pays.
            fee=template.resource_fee + BASE_FEE,
            soroban=template.soroban_data(operation.needs),
        )
        return self._seal(call.shape, transaction, lane, bounds, [lane.source], template.resource_fee, bid)

    def bump_again(self, sealed: Sealed, bid: int) -> Sealed:
        """Wrap the same signed transaction in a fee bump with another bid.

        To take the place of one that waits in a node's queue, it must bid ten times as much.

        Raises:
            RejectedError: when the fee would be above the ceiling.
            UsageError: when there is no fee bump around it.
        """
        if sealed.inner_hash == sealed.outer_hash:
            raise UsageError("the operator's own transactions pay for themselves")
        return self._bump("fee bump", sealed, bid)

    # Classic transactions

    def sponsor(self, newcomers: Sequence[Newcomer], lane: Lane, bounds: Bounds, bid: int) -> Sealed:
        """Build and sign the creation of accounts and trustlines that the operator sponsors.

        Args:
            newcomers: at most 19, or 18 where the operator is not the source; each signs.
            lane: whose sequence number it takes: the operator's, or a channel's.
            bounds: when it may land.
            bid: fee for each operation, stroops, at least 100.
        """
        operations = sponsor(newcomers, self.operator, self.deployment.network.asset)
        signers = dict.fromkeys([lane.source, self.operator, *(one.address for one in newcomers)])
        return self._classic("sponsoring", operations, lane, bounds, list(signers), bid)

    def pay(
        self, payments: Sequence[Payment], lane: Lane, bounds: Bounds, bid: int, memo: str = ""
    ) -> Sealed:
        """Build and sign payments, at most 100, from at most 20 accounts, the lane's counted.

        All of them are made, or none. The bid is per operation, as above.
        """
        operations = pay(payments, self.deployment.network.asset)
        return self._classic("payment", operations, lane, bounds, _signers(lane, payments), bid, memo)

    def trust(self, lane: Lane, bounds: Bounds, bid: int) -> Sealed:
        """Build and sign a KALE trustline of the lane's account, whose reserve it carries itself."""
        operations = trust(self.deployment.network.asset)
        return self._classic("trustline", operations, lane, bounds, [lane.source], bid)

    def leave(
        self,
        lane: Lane,
        bounds: Bounds,
        bid: int,
        last: Sequence[Payment] = (),
        *,
        heir: str | None = None,
        has_trustline: bool = True,
        memo: str = "",
    ) -> Sealed:
        """Build and sign the end of an account: last payments, its trustline, its merge.

        Args:
            lane: of the account that ends.
            bounds: when it may land.
            bid: fee for each operation, stroops, at least 100.
            last: payments before that; who else pays in them signs too.
            heir: receives what XLM is left, G address; the operator where it is None.
            has_trustline: whether there is one to be removed.
            memo: at most 28 bytes.

        Raises:
            UsageError: for the operator's own account.
        """
        if lane.source == self.operator:
            raise UsageError("the operator's account cannot be merged into itself")
        asset = self.deployment.network.asset
        operations = leave(heir or self.operator, asset, last, has_trustline=has_trustline)
        return self._classic("exit", operations, lane, bounds, _signers(lane, last), bid, memo)

    def _classic(
        self,
        name: str,
        operations: Sequence[bytes],
        lane: Lane,
        bounds: Bounds,
        signers: Sequence[str],
        bid: int,
        memo: str = "",
    ) -> Sealed:
        bumps = lane.source != self.operator
        inner_fee = (BASE_FEE if bumps else bid) * len(operations)
        transaction = envelopes.frame(
            lane, bounds, operations, fee=min(inner_fee, _MAX_FEE), memo=envelopes.text_memo(memo)
        )
        return self._seal(name, transaction, lane, bounds, signers, 0, bid * (len(operations) + bumps))

    # Sealing

    def _seal(
        self,
        name: str,
        transaction: bytes,
        lane: Lane,
        bounds: Bounds,
        signers: Sequence[str],
        resource_fee: int,
        bid: int,
    ) -> Sealed:
        self._check_ceiling(name, resource_fee + bid)
        payload, signed = envelopes.sign(
            transaction, self.deployment.network.network_id, signers, self._signer
        )
        sealed = Sealed(
            inner_hash=payload.hex(),
            outer_hash=payload.hex(),
            lane=lane,
            max_time=bounds.max_time,
            envelope=envelopes.ENVELOPE_TX + signed,
            fee=resource_fee + bid,
            resource_fee=resource_fee,
            signed=signed,
        )
        return sealed if lane.source == self.operator and not resource_fee else self._bump(name, sealed, bid)

    def _bump(self, name: str, sealed: Sealed, bid: int) -> Sealed:
        fee = sealed.resource_fee + bid
        if bid < 2 * BASE_FEE:
            raise UsageError(f"a fee bump bids at least {2 * BASE_FEE} stroops, not {bid}")
        self._check_ceiling(name, fee)
        payload, envelope = envelopes.bump(
            sealed.signed, self.deployment.network.network_id, self.operator, fee, self._signer
        )
        return replace(sealed, outer_hash=payload.hex(), envelope=envelope, fee=fee)

    def _check_ceiling(self, name: str, fee: int) -> None:
        if fee > self.max_fee:
            raise RejectedError(self._above(name, fee), hint=_LOWER)

    def _above(self, name: str, fee: int) -> str:
        return f"{name} would cost up to {fee} stroops, more than the ceiling of {self.max_fee}"

    def _known(self, call: ContractCall) -> Template:
        template = self._template(call)
        if template is None:
            raise RejectedError(
                f"what a call such as {call.shape} needs is not known", hint="simulate one first"
            )
        return template

    def _template(self, call: ContractCall) -> Template | None:
        found = self._templates.get(call.shape)
        if found is None and isinstance(call, Plant) and call.opens:
            # Before a block is due no simulation can show its opener, so it is told from a follower.
            follower = self._templates.get(replace(call, opens=False).shape)
            return None if follower is None else follower.for_opener(self._leeway)
        return found


def _check_source(call: ContractCall, source: str) -> None:
    if isinstance(call, Plant) and source != call.farmer:
        raise UsageError("a plant is sent by the farmer's own account, whose signature is the consent")


def _signers(lane: Lane, payments: Sequence[Payment]) -> list[str]:
    return list(dict.fromkeys([lane.source, *(one.source or lane.source for one in payments)]))
