"""The networks that are known by name: which farm is on them, and where they are reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOCAL: Final = "local"
DEVNET_PORT: Final = 8000


@dataclass(frozen=True, slots=True)
class KnownNetwork:
    """A network and the farm on it, as published.

    Attributes:
        name: local, testnet or mainnet.
        passphrase: of the network; every signature is bound to it.
        kale: the KALE contract, C address.
        asset: the KALE asset, ``CODE:ISSUER``.
        tractor: harvests many blocks in a call, C address; empty where none is known.
        rpc: public nodes, in the order in which they are asked.
        requests_per_second: what one public node bears, as far as is known.
        ledgers_per_second: more than it closes; a local network may run faster than the clock.
    """

    name: str
    passphrase: str
    kale: str
    asset: str
    tractor: str
    rpc: tuple[str, ...]
    requests_per_second: float
    ledgers_per_second: float


_KNOWN: Final = (
    KnownNetwork(
        name=LOCAL,
        passphrase="kalepool local network",  # noqa: S106 - every network publishes its passphrase
        kale="CAYKHFRQH6N5XNSX3UAY4OOIJ27YFUSIPUJNPAXZJCQTVICZDXFT5JAL",
        asset="KALE:GDUZVXEINOFVBWOJFKO2EK3HFD72EYM6T3SZY3HEVRYMQD2WOF7BTNTB",
        tractor="CDLHP63EWBGPAFYYJEJPTJM6F2LZMS6VRAY2IZWKKANHOFAU2YYIBICK",
        rpc=(f"http://127.0.0.1:{DEVNET_PORT}",),
        requests_per_second=1_000.0,
        ledgers_per_second=1_000.0,
    ),
    KnownNetwork(
        name="testnet",
        passphrase="Test SDF Network ; September 2015",  # noqa: S106
        kale="CDSWUUXGPWDZG76ISK6SUCVPZJMD5YUV66J2FXFXFGDX25XKZJIEITAO",
        asset="KALE:GCHPTWXMT3HYF4RLZHWBNRF4MPXLTJ76ISHMSYIWCCDXWUYOQG5MR2AB",
        tractor="",
        rpc=("https://soroban-testnet.stellar.org",),
        requests_per_second=1.0,
        ledgers_per_second=1.0,
    ),
    KnownNetwork(
        name="mainnet",
        passphrase="Public Global Stellar Network ; September 2015",  # noqa: S106
        kale="CDL74RF5BLYR2YBLCCI7F5FB6TPSCLKEJUBSD2RSVWZ4YHF3VMFAIGWA",
        asset="KALE:GBDVX4VELCDSQ54KQJYTNHXAHFLBCA77ZY2USQBM4CSHTTV7DME7KALE",
        tractor="CBGSBKYMYO6OMGHQXXNOBRGVUDFUDVC2XLC3SXON5R2SNXILR7XCKKY3",
        rpc=(
            "https://mainnet.sorobanrpc.com",
            "https://soroban-rpc.mainnet.stellar.gateway.fm",
            "https://rpc.lightsail.network/",
        ),
        requests_per_second=1.0,
        ledgers_per_second=1.0,
    ),
)

NETWORKS: Final = {network.name: network for network in _KNOWN}
"""Every known network by name."""
