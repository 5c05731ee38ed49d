"""The KALE contract's rules: every error, every order of checks, roll-over, repeated work, rewards."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core import contract
from kalepool.core.farm import ZERO_ENTROPY, Block, ContractError, Farm, Pail
from kalepool.core.farm import ContractErrorCode as Code

OWNER, ASSET = "G-owner", "C-asset"
OPENED = 1_700_000_000
HASH, OTHER_HASH = b"\x0a" * 32, b"\x0b" * 32
RANGES = Block(
    timestamp=OPENED,
    min_gap=2,
    max_gap=47,
    min_stake=0,
    max_stake=1_000_0000000,
    min_zeros=5,
    max_zeros=9,
    entropy=b"\x0e" * 32,
    staked_total=70,
    normalized_total=9_000,
)


def farm(**changes: object) -> Farm:
    plain = Farm(OWNER, ASSET, index=7, block=contract.new_record(OPENED), paused=False)
    return replace(plain, **changes)  # type: ignore[arg-type]


def code_of(call: object) -> Code:
    assert callable(call)
    with pytest.raises(ContractError) as caught:
        call()
    return caught.value.code


# plant


@pytest.mark.parametrize(
    ("changes", "amount", "code"),
    [
        ({"paused": True, "asset": None, "block": None}, -1, Code.PLANT_AMOUNT_TOO_LOW),
        ({"paused": True, "asset": None, "block": None}, 0, Code.FARM_PAUSED),
        ({"asset": None, "block": None}, 0, Code.HOMESTEAD_MISSING),
        ({"block": None}, 0, Code.FARM_BLOCK_MISSING),
    ],
)
def test_plant_checks_amount_then_pause_then_asset_then_record(
    changes: dict[str, object], amount: int, code: Code
) -> None:
    assert code_of(lambda: contract.check_plant(farm(**changes), amount)) == code


def test_plant_refuses_a_second_pail_only_after_the_roll_over() -> None:
    due = contract.roll_over(farm(), RANGES, OPENED + 300)
    assert due.index == 8
    assert contract.plant(due, None, 5, 100).pail == Pail(100, 5)
    assert code_of(lambda: contract.plant(due, Pail(100, 5), 5, 101)) == Code.PAIL_EXISTS


@pytest.mark.parametrize(("second", "index", "opened"), [(299, 7, False), (300, 8, True), (301, 8, True)])
def test_a_plant_opens_the_next_block_from_the_300th_second(second: int, index: int, opened: bool) -> None:
    found = contract.roll_over(farm(), RANGES, OPENED + second)
    assert (found.index, found.opened, found.farm.index) == (index, opened, index)


def test_a_new_block_freezes_the_record_and_the_record_starts_anew() -> None:
    record = replace(
        contract.new_record(OPENED),
        min_gap=3,
        max_gap=40,
        min_stake=1,
        max_stake=9,
        min_zeros=4,
        max_zeros=8,
        entropy=HASH,
    )
    found = contract.roll_over(farm(block=record), RANGES, OPENED + 320)
    assert found.block == replace(record, timestamp=OPENED + 320)
    assert found.farm.block == contract.new_record(OPENED + 320)


def test_what_a_record_never_saw_becomes_zero() -> None:
    found = contract.roll_over(farm(), RANGES, OPENED + 300)
    assert found.block == Block(OPENED + 300, 0, 0, 0, 0, 0, 0, ZERO_ENTROPY, 0, 0)


def test_before_it_is_due_a_missing_block_is_made_from_the_record_which_stays() -> None:
    record = replace(contract.new_record(OPENED), min_zeros=4, max_zeros=4)
    found = contract.roll_over(farm(block=record), None, OPENED + 10)
    assert (found.index, found.farm.index, found.opened) == (8, 8, True)
    assert found.block.timestamp == OPENED + 10
    assert found.farm.block == record


def test_at_genesis_the_missing_block_is_block_0() -> None:
    found = contract.roll_over(farm(index=0), None, OPENED + 10)
    assert (found.index, found.farm.index) == (0, 0)


def test_an_idle_farm_takes_the_first_branch_though_its_block_is_gone() -> None:
    found = contract.roll_over(farm(), None, OPENED + 90_000)
    assert (found.index, found.farm.block) == (8, contract.new_record(OPENED + 90_000))


def test_plants_gather_the_range_of_stakes_and_the_total() -> None:
    opening = contract.roll_over(farm(), RANGES, OPENED + 1)
    first = contract.plant(opening, None, 50, 100)
    assert first.farm.block is not None
    assert (first.farm.block.min_stake, first.farm.block.max_stake) == (50, 50)
    again = contract.roll_over(first.farm, first.block, OPENED + 2)
    second = contract.plant(again, None, 20, 101)
    assert second.farm.block is not None
    assert (second.farm.block.min_stake, second.farm.block.max_stake) == (20, 50)
    assert second.block.staked_total == RANGES.staked_total + 70


# work


def work(
    block: Block | None = RANGES,
    pail: Pail | None = None,
    *,
    of: Farm | None = None,
    claimed: bytes = HASH,
    zeros: int = 6,
    sequence: int = 140,
) -> contract.Worked:
    return contract.work(
        of or farm(), block, pail, claimed=claimed, actual=HASH, zeros=zeros, sequence=sequence
    )


INVERTED = replace(RANGES, min_gap=48)
FRESH = Pail(sequence=100, stake=20)


@pytest.mark.parametrize(
    ("of", "block", "pail", "claimed", "sequence", "code"),
    [
        (farm(block=None), None, None, OTHER_HASH, 100, Code.FARM_BLOCK_MISSING),
        (farm(), None, None, OTHER_HASH, 100, Code.BLOCK_MISSING),
        (farm(), INVERTED, None, OTHER_HASH, 100, Code.PAIL_MISSING),
        (farm(), INVERTED, FRESH, OTHER_HASH, 100, Code.GAP_COUNT_TOO_LOW),
        (farm(), INVERTED, FRESH, OTHER_HASH, 101, Code.HASH_INVALID),
        (farm(), INVERTED, replace(FRESH, gap=1, zeros=6), HASH, 101, Code.BLOCK_INVALID),
        (farm(), RANGES, replace(FRESH, gap=1, zeros=6), HASH, 101, Code.ZERO_COUNT_TOO_LOW),
    ],
)
def test_work_checks_in_the_contracts_order(
    of: Farm, block: Block | None, pail: Pail | None, claimed: bytes, sequence: int, code: Code
) -> None:
    assert code_of(lambda: work(block, pail, of=of, claimed=claimed, sequence=sequence)) == code


def test_a_first_work_takes_its_stake_out_of_the_total_and_adds_its_weight() -> None:
    done = work(pail=FRESH, zeros=7, sequence=142)
    assert done.gap == 42
    assert done.pail == replace(FRESH, gap=42, zeros=7)
    assert done.block.staked_total == RANGES.staked_total - FRESH.stake
    weight = contract.weigh(RANGES, 42, FRESH.stake, 7).total
    assert done.block.normalized_total == RANGES.normalized_total + weight
    record = done.farm.block
    assert record is not None
    assert (record.min_gap, record.max_gap, record.min_zeros, record.max_zeros) == (42, 42, 7, 7)
    assert record.entropy == HASH


def test_a_work_with_zero_zeros_is_a_work() -> None:
    done = work(pail=FRESH, zeros=0)
    assert done.pail.zeros == 0
    assert done.farm.block is not None
    assert done.farm.block.min_zeros == 0
    assert code_of(lambda: work(done.block, done.pail, zeros=0, sequence=141)) == Code.ZERO_COUNT_TOO_LOW


def test_a_repeated_work_replaces_gap_and_zeros_but_adds_only_the_zeros_gained() -> None:
    first = work(pail=FRESH, zeros=6, sequence=110)
    second = work(first.block, first.pail, of=first.farm, zeros=8, sequence=147)
    assert second.pail == replace(FRESH, gap=47, zeros=8)
    # The old weight is taken back with the NEW gap, so what the gap gained never enters the total.
    gained = contract.weigh(RANGES, 47, 20, 8).total - contract.weigh(RANGES, 47, 20, 6).total
    assert second.block.normalized_total == first.block.normalized_total + gained
    fair = RANGES.normalized_total + contract.weigh(RANGES, 47, 20, 8).total
    assert second.block.normalized_total < fair
    assert second.block.staked_total == first.block.staked_total
    record = second.farm.block
    assert record is not None
    assert (record.min_gap, record.max_gap, record.min_zeros, record.max_zeros) == (10, 47, 6, 8)


# harvest


@pytest.mark.parametrize(
    ("of", "index", "block", "pail", "code"),
    [
        (farm(asset=None), 7, None, None, Code.HOMESTEAD_MISSING),
        (farm(), 7, None, None, Code.BLOCK_MISSING),
        (farm(), 7, INVERTED, None, Code.PAIL_MISSING),
        (farm(), 7, INVERTED, FRESH, Code.HARVEST_NOT_READY),
        (farm(), 8, INVERTED, FRESH, Code.HARVEST_NOT_READY),
        (farm(), 6, INVERTED, FRESH, Code.WORK_MISSING),
        (farm(), 6, INVERTED, replace(FRESH, gap=1, zeros=0), Code.BLOCK_INVALID),
    ],
)
def test_harvest_checks_in_the_contracts_order(
    of: Farm, index: int, block: Block | None, pail: Pail | None, code: Code
) -> None:
    assert code_of(lambda: contract.harvest(of, index, block, pail)) == code


def test_a_harvest_returns_the_reward_and_mints_the_stake_beside_it() -> None:
    pail = Pail(100, 500_0000000, gap=47, zeros=9)
    block = replace(RANGES, staked_total=0, normalized_total=100_000_000_000)
    done = contract.harvest(farm(), 6, block, pail)
    # scale 10^10: full gap and zeros weigh 10^10 each, half the stake range 5 * 10^9.
    assert done.reward == 25_000_000_000 * 25_050_000_000 // 100_000_000_000
    assert done.minted == done.reward + pail.stake


def test_a_stake_never_worked_is_shared_out_among_those_who_worked() -> None:
    pail = Pail(100, 0, gap=47, zeros=9)
    weight = contract.weigh(RANGES, 47, 0, 9).total
    block = replace(RANGES, staked_total=0, normalized_total=weight)
    forfeited = replace(block, staked_total=123_456)
    paid = contract.harvest(farm(), 6, block, pail).reward
    assert paid == contract.block_reward(6)
    assert contract.harvest(farm(), 6, forfeited, pail).reward == paid + 123_456


# weights


def test_what_lies_outside_the_range_is_clamped_and_the_bottom_weighs_one() -> None:
    full = contract.scale(RANGES)
    assert full == RANGES.max_stake
    assert contract.weigh(RANGES, 47, RANGES.max_stake, 9) == contract.Weights(full, full, full)
    assert contract.weigh(RANGES, 999, 10 * full, 64) == contract.Weights(full, full, full)
    assert contract.weigh(RANGES, 1, 0, 0) == contract.Weights(1, 1, 1)


def test_the_first_block_of_all_weighs_one_for_each_part() -> None:
    empty = contract.new_block(contract.new_record(OPENED), OPENED)
    assert contract.weigh(empty, 12, 500, 6) == contract.Weights(1, 1, 1)


@given(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    st.tuples(st.integers(0, 64), st.integers(0, 64)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**62),
    st.integers(0, 64),
)
def test_every_part_weighs_between_one_and_the_scale(
    gaps: tuple[int, int],
    stakes: tuple[int, int],
    zeros: tuple[int, int],
    gap: int,
    stake: int,
    count: int,
) -> None:
    (min_gap, max_gap), (min_stake, max_stake), (min_zeros, max_zeros) = map(sorted, (gaps, stakes, zeros))
    block = replace(
        RANGES,
        min_gap=min_gap,
        max_gap=max_gap,
        min_stake=min_stake,
        max_stake=max_stake,
        min_zeros=min_zeros,
        max_zeros=max_zeros,
    )
    weights = contract.weigh(block, gap, stake, count)
    assert all(1 <= part <= contract.scale(block) for part in (weights.gap, weights.stake, weights.zeros))


# reward


@pytest.mark.parametrize(
    ("index", "stroops"),
    [
        (0, 25_050_000_000),
        (30_557, 25_050_000_000),
        (30_558, 25_050_000_000),
        (30_558 + 8_639, 25_050_000_000),
        (30_558 + 8_640, 23_797_500_000),
        (30_558 + 2 * 8_640 - 1, 23_797_500_000),
        (30_558 + 2 * 8_640, 22_607_625_000),
        (2**32 - 1, 0),
    ],
)
def test_the_reward_falls_by_a_twentieth_each_8640_blocks(index: int, stroops: int) -> None:
    assert contract.block_reward(index) == stroops


@pytest.mark.parametrize(("index", "kale"), [(100_000, "1661.87"), (183_487, "1047")])
def test_the_reward_agrees_with_what_was_seen_on_mainnet(index: int, kale: str) -> None:
    decimals = len(kale.partition(".")[2])
    assert f"{contract.block_reward(index) / 10_000_000:.{decimals}f}" == kale


@given(
    st.lists(
        st.tuples(st.integers(3, 60), st.integers(0, 2 * 10**10), st.integers(0, 12)), min_size=1, max_size=9
    )
)
def test_first_works_never_pay_out_more_than_the_block_holds(works: list[tuple[int, int, int]]) -> None:
    block = replace(RANGES, staked_total=sum(stake for _, stake, _ in works), normalized_total=0)
    state = farm()
    pails = []
    for gap, stake, zeros in works:
        done = work(block, Pail(100, stake), of=state, zeros=zeros, sequence=100 + gap)
        block, state = done.block, done.farm
        pails.append(done.pail)
    ready = replace(state, index=8)
    paid = sum(contract.harvest(ready, 7, block, pail).reward for pail in pails)
    assert block.staked_total == 0
    assert paid <= contract.block_reward(7)
    # Only the floor of each harvest is lost.
    assert contract.block_reward(7) - paid < len(pails)


def test_pausing_twice_and_resuming_twice_are_refused() -> None:
    paused = contract.set_paused(farm(), paused=True)
    assert paused.paused
    assert code_of(lambda: contract.set_paused(paused, paused=True)) == Code.FARM_PAUSED
    assert code_of(lambda: contract.set_paused(farm(), paused=False)) == Code.FARM_NOT_PAUSED
