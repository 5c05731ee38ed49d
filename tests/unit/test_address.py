"""Addresses: strkey in and out, each kind of damage told apart from the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stellar_sdk import StrKey

from kalepool.core.address import account_address, contract_address, raw_key
from kalepool.errors import UsageError

FARMER = "GBQHTQ7NTSKHVTSVM6EHUO3TU4P4BK2TAAII25V2TT2Q6OWXUJWEKALE"


@given(st.binary(min_size=32, max_size=32))
def test_agrees_with_the_sdk_both_ways(raw: bytes) -> None:
    assert account_address(raw) == StrKey.encode_ed25519_public_key(raw)
    assert contract_address(raw) == StrKey.encode_contract(raw)
    assert raw_key(account_address(raw)) == raw == raw_key(contract_address(raw))


@given(st.integers(1, 55), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_one_wrong_letter_is_noticed(position: int, letter: str) -> None:
    damaged = FARMER[:position] + letter + FARMER[position + 1 :]
    if damaged != FARMER:
        with pytest.raises(UsageError):
            raw_key(damaged)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "starts with G or C"),
        ("XBQHTQ", "starts with G or C"),
        (FARMER[:-1], "56 characters"),
        (FARMER + "A", "56 characters"),
        ("G" + "1" * 55, "A-Z"),
        (FARMER[:-1] + "F", "copy"),
        ("C" + FARMER[1:], "copy"),
    ],
)
def test_damage_is_named(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        raw_key(text)
    assert hint in caught.value.hint


def test_a_seed_in_the_wrong_place_is_not_repeated() -> None:
    seed = "S" + "A" * 55
    with pytest.raises(UsageError) as caught:
        raw_key(seed)
    assert seed not in str(caught.value)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_raw_key_has_32_bytes(length: int) -> None:
    with pytest.raises(UsageError):
        account_address(bytes(length))
