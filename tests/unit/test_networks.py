"""What is known of networks by name, held against its sources."""

from __future__ import annotations

import pytest

from kalepool.adapters.stellar.network import Network
from kalepool.core.address import raw_key
from kalepool.devnet.network import Identity
from kalepool.errors import ConfigError
from kalepool.networks import NETWORKS


def test_the_local_network_is_the_devnets() -> None:
    local, identity = NETWORKS["local"], Identity()
    assert (local.passphrase, local.kale, local.asset, local.tractor) == (
        identity.passphrase,
        identity.kale_contract,
        identity.kale_name,
        identity.tractor_contract,
    )


@pytest.mark.parametrize(
    ("name", "asset_contract"),
    [
        ("mainnet", "CB23WRDQWGSP6YPMY4UV5C4OW5CBTXKYN3XEATG7KJEZCXMJBYEHOUOV"),
        ("testnet", "CAAVU2UQJLMZ3GUZFM56KVNHLPA3ZSSNR4VP2U53YBXFD2GI3QLIVHZZ"),
    ],
)
def test_the_published_asset_contracts_follow_from_asset_and_passphrase(
    name: str, asset_contract: str
) -> None:
    known = NETWORKS[name]
    network = Network.of(known.passphrase, known.kale, known.asset, known.tractor)
    assert network.asset_contract == asset_contract
    for address in (known.kale, known.asset.partition(":")[2], *([known.tractor] if known.tractor else [])):
        assert len(raw_key(address)) == 32


def test_an_asset_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no asset"):
        Network.of("passphrase", NETWORKS["local"].kale, "KALE", "")
