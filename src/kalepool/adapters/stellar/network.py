"""Which network, and which contracts on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from stellar_sdk import Asset as SdkAsset

from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from kalepool.xdr.keys import Asset


@dataclass(frozen=True)
class Network:
    """A network and the farm on it.

    Attributes:
        passphrase: of the network; every signature is bound to it.
        kale: the KALE contract, C address.
        asset: the KALE asset: code and issuer.
        asset_contract: its contract (SAC), C address.
        tractor: harvests many blocks in a call, C address; None where there is none.
    """

    passphrase: str
    kale: str
    asset: Asset
    asset_contract: str
    tractor: str | None = None

    @classmethod
    def of(cls, passphrase: str, kale: str, asset: str, tractor: str) -> Self:
        """Complete what is configured: the asset's contract follows from the asset and the network.

        Args:
            passphrase: of the network.
            kale: the KALE contract, C address.
            asset: ``CODE:ISSUER``.
            tractor: C address, or empty where there is none.

        Raises:
            ConfigError: when the asset is none.
        """
        code, _, issuer = asset.partition(":")
        try:
            contract = SdkAsset(code, issuer).contract_id(passphrase)
        except ValueError:
            raise ConfigError(
                f"{asset!r} is no asset", hint="an asset is written CODE:ISSUER, such as KALE:G..."
            ) from None
        return cls(passphrase, kale, (code, issuer), contract, tractor or None)

    @cached_property
    def network_id(self) -> bytes:
        """What every signed hash begins with, 32 bytes."""
        return hashlib.sha256(self.passphrase.encode()).digest()

    @cached_property
    def native_contract(self) -> str:
        """The contract of XLM, C address: it tells what fees were paid."""
        return SdkAsset.native().contract_id(self.passphrase)
