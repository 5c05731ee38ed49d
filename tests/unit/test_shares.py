"""Who gets what: to the stroop, at both ends of every range, and never more or less than there was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.amounts import MAX_I64
from kalepool.core.farmers import Custody, Terms
from kalepool.core.postings import KALE, XLM
from kalepool.core.records import PailRecord, PailState
from kalepool.core.shares import (
    COMPENSATION,
    Claim,
    Loss,
    Split,
    claim_of,
    discharged,
    interest_of,
    loss_of,
    loss_postings,
    owed,
    paid,
    share_postings,
    split,
    spoken_for,
)
from kalepool.errors import UsageError

REWARDS = st.one_of(st.sampled_from([0, 1, 2, MAX_I64 - 1, MAX_I64]), st.integers(0, MAX_I64))
BPS = st.one_of(st.sampled_from([0, 1, 9_999, 10_000]), st.integers(0, 10_000))
HARVESTED = PailRecord(3, 7, PailState.HARVESTED, 50, 100, gap=2, zeros=3, reward=1_001)
FORFEITED = PailRecord(3, 7, PailState.FORFEITED, 50, 100)


@pytest.mark.parametrize(
    ("reward", "share_bps", "fee_bps", "expected"),
    [
        (0, 5_000, 500, Split(0, 0, 0)),
        (1, 5_000, 500, Split(0, 0, 1)),
        (1, 10_000, 0, Split(0, 1, 0)),
        (1_000, 0, 0, Split(0, 0, 1_000)),
        (1_000, 0, 10_000, Split(1_000, 0, 0)),
        (1_000, 10_000, 10_000, Split(1_000, 0, 0)),
        (1_001, 5_000, 500, Split(50, 475, 476)),
        (MAX_I64, 10_000, 0, Split(0, MAX_I64, 0)),
        (MAX_I64, 10_000, 10_000, Split(MAX_I64, 0, 0)),
    ],
)
def test_a_reward_is_parted_by_the_fee_first_then_by_the_share(
    reward: int, share_bps: int, fee_bps: int, expected: Split
) -> None:
    assert split(reward, share_bps=share_bps, fee_bps=fee_bps) == expected


@given(REWARDS, BPS, BPS)
def test_parts_sum_to_the_reward_and_rounding_favours_the_pool(
    reward: int, share_bps: int, fee_bps: int
) -> None:
    parts = split(reward, share_bps=share_bps, fee_bps=fee_bps)
    assert parts.fee + parts.farmer + parts.pool == reward
    assert min(parts.fee, parts.farmer, parts.pool) >= 0
    assert parts.fee * 10_000 <= reward * fee_bps
    assert parts.farmer * 10_000 <= (reward - parts.fee) * share_bps


@pytest.mark.parametrize(
    "wrong",
    [
        {"reward": 1.0},
        {"reward": True},
        {"reward": -1},
        {"reward": MAX_I64 + 1},
        {"share_bps": 50.0},
        {"share_bps": 10_001},
        {"fee_bps": -1},
        {"fee_bps": 0.5},
        {"fee_bps": True},
    ],
)
def test_floats_and_what_is_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        split(**({"reward": 1, "share_bps": 1, "fee_bps": 1} | wrong))


@given(REWARDS, BPS, BPS, st.sampled_from(Custody), st.sampled_from([None, "GP"]))
def test_postings_of_a_share_sum_to_zero_and_name_nobody_but_the_farmer(
    reward: int, share_bps: int, fee_bps: int, custody: Custody, payout: str | None
) -> None:
    terms = Terms(share_bps=share_bps, fee_bps=fee_bps, payout=payout)
    postings = share_postings(replace(HARVESTED, reward=reward), terms, custody)
    assert sum(amount for _, _, amount in postings) == 0
    assert sum(amount for _, _, amount in postings if amount > 0) == reward
    assert all(amount and asset == KALE for _, asset, amount in postings)
    assert {name.rpartition(":")[2] for name, _, _ in postings} <= {"3"}


def named(terms: Terms, custody: Custody = Custody.CUSTODIAL) -> dict[str, int]:
    return {name: amount for name, _, amount in share_postings(HARVESTED, terms, custody) if amount > 0}


def test_a_share_waits_for_a_payout_where_there_is_an_address_and_stays_where_there_is_none() -> None:
    terms = Terms(share_bps=5_000, fee_bps=500, payout="GP")
    assert named(terms) == {"owed:farmer:3": 475, "owed:pool:3": 526}
    assert named(replace(terms, payout=None)) == {"kept:3": 475, "owed:pool:3": 526}


def test_what_a_self_custody_farmer_got_cannot_be_paid_from_his_wallet_by_the_pool() -> None:
    terms = Terms(share_bps=5_000, fee_bps=500, payout="GP")
    assert named(terms, Custody.WATCHED) == {"kept:3": 475, "receivable:3": 526}


@pytest.mark.parametrize(
    ("record", "custody", "loss"),
    [
        (FORFEITED, Custody.CUSTODIAL, Loss.POOL),
        (replace(FORFEITED, state=PailState.EXPIRED), Custody.CUSTODIAL, Loss.POOL),
        (replace(FORFEITED, why="network: no ledger closed"), Custody.CUSTODIAL, Loss.NETWORK),
        (FORFEITED, Custody.WATCHED, Loss.FARMER),
        (replace(FORFEITED, stake=0), Custody.CUSTODIAL, None),
        (HARVESTED, Custody.CUSTODIAL, None),
        (replace(FORFEITED, state=PailState.MISSED), Custody.CUSTODIAL, None),
    ],
)
def test_a_lost_stake_is_the_pools_unless_it_is_known_to_be_somebody_elses(
    record: PailRecord, custody: Custody, loss: Loss | None
) -> None:
    assert loss_of(record, custody) is loss


def test_a_lost_stake_is_owed_by_the_pool() -> None:
    assert loss_postings(FORFEITED, 50) == (("owed:compensation:3", KALE, 50), (COMPENSATION, KALE, -50))
    assert loss_postings(FORFEITED, 0) == ()


@given(st.sampled_from(Claim), st.integers(1, 10**6))
def test_the_name_of_a_claim_tells_whose_it_is(claim: Claim, number: int) -> None:
    assert claim_of(owed(claim, number)) == (claim, number)
    assert claim_of(paid(claim, number)) is None


def test_claims_that_were_reserved_are_paid_and_other_reserves_are_not_claims() -> None:
    reserves = [
        ("owed:farmer:3", KALE, 40),
        ("account:G", XLM, 100),
        ("owed:pool:3", KALE, 2),
        ("sent:G", XLM, 9),
    ]
    assert discharged(reserves) == (
        ("owed:farmer:3", KALE, -40),
        ("paid:farmer:3", KALE, 40),
        ("owed:pool:3", KALE, -2),
        ("paid:pool:3", KALE, 2),
        ("account:G", XLM, -9),
        ("external", XLM, 9),
    )


def test_what_is_owed_from_a_wallet_and_not_yet_promised_is_spoken_for() -> None:
    reserved = {("account:GW", KALE): 10, ("owed:farmer:3", KALE): 4}
    owed_now = {("owed:farmer:3", KALE): 7, ("owed:pool:3", KALE): 2, ("owed:compensation:3", KALE): 50}
    found = spoken_for(reserved, {**owed_now, ("owed:pool:9", KALE): 1}, {3: "GW"})
    assert found[("account:GW", KALE)] == 10 + 3 + 2
    assert spoken_for({}, {("owed:pool:3", KALE): 2}, {3: "GW"}) == {("account:GW", KALE): 2}


@given(BPS, BPS)
def test_the_pools_interest_is_what_it_gets_of_a_reward_and_everybodys_is_all(share: int, fee: int) -> None:
    terms = Terms(share_bps=share, fee_bps=fee)
    parts = split(10**15, share_bps=share, fee_bps=fee)
    assert interest_of(terms, for_pool=True) == pytest.approx((parts.fee + parts.pool) / 10**15, abs=1e-9)
    assert interest_of(terms, for_pool=False) == 1
