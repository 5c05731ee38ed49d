"""Postings of what landed: exact, balanced, and of strangers no more than concerns us."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.chain import AssetMove, Landed
from kalepool.core.postings import BURNED, EXTERNAL, FEES, KALE, MINTED, XLM, external_postings, postings_of

OURS = {"G1", "G2"}


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (AssetMove("mint", ("G1",), 5), ((MINTED, KALE, -5), ("account:G1", KALE, 5))),
        (AssetMove("burn", ("G1",), 5), (("account:G1", KALE, -5), (BURNED, KALE, 5))),
        (AssetMove("transfer", ("G1", "G9"), 5), (("account:G1", KALE, -5), (EXTERNAL, KALE, 5))),
        (AssetMove("transfer", ("G9", "G1"), 5), ((EXTERNAL, KALE, -5), ("account:G1", KALE, 5))),
        (AssetMove("transfer", ("G1", "G2"), 5), (("account:G1", KALE, -5), ("account:G2", KALE, 5))),
        (AssetMove("transfer", ("G8", "G9"), 5), ()),
        (AssetMove("mint", ("G9",), 5), ()),
        (AssetMove("burn", ("G9",), 5), ()),
    ],
)
def test_what_others_did_is_booked_as_far_as_it_is_ours(
    move: AssetMove, expected: tuple[tuple[str, str, int], ...]
) -> None:
    assert external_postings(Landed(1, 5, 0, (move,)), "G0", OURS) == expected


def test_a_fee_is_the_payers_whoever_gained() -> None:
    fee = (("account:G0", XLM, -300), (FEES, XLM, 300))
    assert external_postings(Landed(1, 5, 300, (AssetMove("mint", ("G9",), 5),)), "G0", OURS) == fee
    assert postings_of(Landed(1, 5, 300), "G0") == fee


addresses = st.sampled_from(["G0", "G1", "G2", "G8", "G9"])
moves = st.one_of(
    st.builds(AssetMove, st.sampled_from(["mint", "burn"]), st.tuples(addresses), st.integers(0, 2**63 - 1)),
    st.builds(AssetMove, st.just("transfer"), st.tuples(addresses, addresses), st.integers(0, 2**63 - 1)),
)


@given(st.lists(moves, max_size=6), st.integers(0, 10**7))
def test_both_ways_balance_and_agree_on_our_accounts(moved: list[AssetMove], fee: int) -> None:
    landed = Landed(1, 5, fee, tuple(moved))
    own: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    for sums, postings in (
        (own, postings_of(landed, "G0")),
        (seen, external_postings(landed, "G0", OURS)),
    ):
        totals: Counter[str] = Counter()
        for name, asset, stroops in postings:
            sums[name, asset] += stroops
            totals[asset] += stroops
        assert not any(totals.values())
    for address in OURS:
        assert own[f"account:{address}", KALE] == seen[f"account:{address}", KALE]
    assert not any(name in {"account:G8", "account:G9"} for name, _ in seen)
