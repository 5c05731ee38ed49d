"""The identity of a local network: passphrase, keys and contract ids, the same on every machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from stellar_sdk import Asset as SdkAsset
from stellar_sdk import Keypair

from kalepool.core.address import account_address, contract_address
from kalepool.devnet.transactions import network_id

if TYPE_CHECKING:
    from kalepool.xdr.keys import Asset

PASSPHRASE = "kalepool local network"  # noqa: S105 - every network publishes its passphrase
PROTOCOL_VERSION = 27
KALE_WASM = b"\0asm kalepool devnet: KALE contract"
TRACTOR_WASM = b"\0asm kalepool devnet: tractor"
NULL_ACCOUNT = account_address(bytes(32))
"""Nobody's account, on the public network too. SDKs load it as the source of calls that only read."""


@dataclass(frozen=True)
class Identity:
    """Who is who on a local network. All of it follows from the passphrase.

    The keys are no secret: whoever knows the passphrase knows them, and they hold nothing anywhere else.
    """

    passphrase: str = PASSPHRASE

    @cached_property
    def network_id(self) -> bytes:
        """What every signed hash is bound to, 32 bytes."""
        return network_id(self.passphrase)

    def keypair(self, name: str) -> Keypair:
        """Give the keys of one of the network's own accounts, or of a neighbour."""
        return Keypair.from_raw_ed25519_seed(hashlib.sha256(self.network_id + name.encode()).digest())

    def contract(self, name: str) -> str:
        """Give the address of one of the network's own contracts."""
        return contract_address(hashlib.sha256(self.network_id + b"contract" + name.encode()).digest())

    @cached_property
    def friendbot(self) -> Keypair:
        """Holds all XLM at the start and funds new accounts."""
        return self.keypair("friendbot")

    @cached_property
    def issuer(self) -> Keypair:
        """Issues the KALE asset."""
        return self.keypair("issuer")

    @cached_property
    def homesteader(self) -> Keypair:
        """Owns the KALE contract."""
        return self.keypair("homesteader")

    @cached_property
    def kale(self) -> Asset:
        """The KALE asset."""
        return ("KALE", self.issuer.public_key)

    @cached_property
    def kale_name(self) -> str:
        """The KALE asset as ``KALE:G...``."""
        return ":".join(self.kale)

    @cached_property
    def sac_contract(self) -> str:
        """The KALE asset's contract."""
        return SdkAsset(*self.kale).contract_id(self.passphrase)

    @cached_property
    def native_contract(self) -> str:
        """The XLM contract; it has events, and no balances of its own here."""
        return SdkAsset.native().contract_id(self.passphrase)

    @cached_property
    def kale_contract(self) -> str:
        """The KALE contract."""
        return self.contract("kale")

    @cached_property
    def tractor_contract(self) -> str:
        """The tractor: harvests many blocks of one farmer in a call."""
        return self.contract("tractor")
