"""Which credentials a simulation records for somebody other than the source."""

from __future__ import annotations

import pytest
from stellar_sdk import xdr

from support.devnet import Bench, plant_arguments


@pytest.mark.parametrize(
    ("asked", "recorded"),
    [
        ({}, "SOROBAN_CREDENTIALS_ADDRESS"),  # an older SDK, which could not decode the other
        ({"useUpgradedAuth": False}, "SOROBAN_CREDENTIALS_ADDRESS"),
        ({"useUpgradedAuth": True}, "SOROBAN_CREDENTIALS_ADDRESS_V2"),
    ],
    ids=["not asked", "refused", "asked for"],
)
def test_upgraded_credentials_are_for_those_who_ask(
    bench: Bench, asked: dict[str, bool], recorded: str
) -> None:
    farmer, sender = bench.account("farmer", kale=0), bench.account("sender")
    plant = bench.unsigned_call(sender, bench.kale, "plant", plant_arguments(farmer, 0))
    (entry,) = bench.simulate(plant, **asked)["results"][0]["auth"]
    assert xdr.SorobanAuthorizationEntry.from_xdr(entry).credentials.type.name == recorded
