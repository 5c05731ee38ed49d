"""What a unit is worth: against the contract's arithmetic, and against trying everything."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.contract import block_reward, scale, share_of_block, weigh
from kalepool.core.economics import (
    Fees,
    Market,
    Scales,
    chance,
    expected_part,
    hash_gain,
    in_kale,
    interest_weights,
    is_valid,
    marginal,
    market_of,
    next_to_grind,
    others_parts,
)
from kalepool.core.farm import Block
from kalepool.core.records import BlockRecord

if TYPE_CHECKING:
    from collections.abc import Callable

KALE = 10_000_000
BLOCK = Block(1_000, 0, 47, 0, 1_160 * KALE, 5, 9, bytes(32), 0, 0)
TOTAL = 34 * scale(BLOCK)
MARKET = Market(11_100, BLOCK, TOTAL)


@pytest.mark.parametrize(("hashes", "zeros"), [(1, 1), (10, 1), (1_000, 3), (100_000, 2), (7, 4)])
def test_the_chance_of_zeros_is_that_of_the_best_of_so_many_hashes(hashes: int, zeros: int) -> None:
    exact = 1 - (1 - Fraction(1, 16**zeros)) ** hashes
    assert chance(hashes, zeros) == pytest.approx(float(exact), rel=1e-12)


def test_no_hash_finds_nothing_and_no_zeros_are_always_found() -> None:
    assert chance(0, 1) == 0
    assert chance(0, 0) == 1


@pytest.mark.parametrize(("gap", "stake", "zeros"), [(0, 0, 5), (20, 100 * KALE, 7), (46, 0, 8)])
def test_prices_are_what_the_contract_pays_for_one_more(gap: int, stake: int, zeros: int) -> None:
    now = marginal(MARKET, gap, stake, zeros)
    block = replace(BLOCK, normalized_total=TOTAL)

    def pays(gap: int, stake: int, zeros: int) -> int:
        return share_of_block(MARKET.index, block, weigh(block, gap, stake, zeros).total)

    base = pays(gap, stake, zeros)
    assert now.zero == pytest.approx(pays(gap, stake, zeros + 1) - base, abs=1.5)
    assert now.ledger == pytest.approx(pays(gap + 1, stake, zeros) - base, abs=1.5)
    assert now.stroop * KALE == pytest.approx(pays(gap, stake + KALE, zeros) - base, abs=1.5)


def test_beyond_the_range_nothing_has_a_price() -> None:
    assert marginal(MARKET, 47, BLOCK.max_stake, 9) == pytest.approx(marginal(MARKET, 99, 2**60, 12))
    assert marginal(MARKET, 47, BLOCK.max_stake, 9).zero == 0


@given(
    st.integers(0, 60), st.integers(0, 60), st.integers(0, 16), st.integers(0, 16), st.integers(0, 2**50),
    st.integers(0, 70), st.integers(0, 20), st.integers(0, 2**51),
)  # fmt: skip
def test_scales_say_what_the_contract_says(
    low_gap: int, more_gap: int, low: int, more: int, top: int, gap: int, zeros: int, stake: int
) -> None:
    block = Block(0, low_gap, low_gap + more_gap, 0, top, low, low + more, bytes(32), 0, 0)
    weights = weigh(block, gap, stake, zeros)
    scales = Scales(block)
    assert scales.work(gap, zeros) == weights.gap + weights.zeros
    assert scales.staked(stake) * scales.full == pytest.approx(weights.stake, abs=1.5)


# Who gets the next hash


def _outcomes(best: int, most: int) -> list[tuple[int, float]]:
    """What one hash makes of a best: exactly, everything from ``most`` on taken together."""
    found = [(zeros, 16.0**-zeros * (15 / 16 if zeros < most else 1)) for zeros in range(most + 1)]
    return [(max(best, zeros), one) for zeros, one in found]


def _value(bests: tuple[int, ...], weights: tuple[float, ...], low: int, cap: int) -> float:
    return sum(weight * max(min(best, cap) - low, 0) for best, weight in zip(bests, weights, strict=True))


def _expected(
    bests: tuple[int, ...], weights: tuple[float, ...], low: int, cap: int, hashes: int, *, greedy: bool
) -> float:
    @cache
    def worth(bests: tuple[int, ...], left: int) -> float:
        if left == 0:
            return _value(bests, weights, low, cap)
        if greedy:
            chosen = next_to_grind(bests, weights, low, cap)
            farmers = range(len(bests)) if chosen is None else [chosen]
        else:
            farmers = range(len(bests))
        return max(
            sum(
                one * worth((*bests[:farmer], best, *bests[farmer + 1 :]), left - 1)
                for best, one in _outcomes(bests[farmer], cap)
            )
            for farmer in farmers
        )

    return worth(bests, hashes)


@pytest.mark.parametrize(("low", "cap"), [(0, 2), (1, 2), (1, 3)])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.3), (0.02, 1.0), (1.0, 0.0), (1.0, 0.06)])
def test_no_way_of_giving_out_hashes_beats_taking_the_largest_worth(
    weights: tuple[float, ...], low: int, cap: int
) -> None:
    """Brute force over every adaptive policy, from every state, for every number of hashes up to five."""
    for bests, hashes in product(product(range(-1, cap + 1), repeat=2), range(1, 6)):
        best = _expected(bests, weights, low, cap, hashes, greedy=False)
        assert _expected(bests, weights, low, cap, hashes, greedy=True) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("stakes", [(0, 0), (0, 1_000), (1_000, 0), (250, 1_000)])
@pytest.mark.parametrize("others", [0, 1, 30])
def test_with_unequal_stakes_no_adaptive_plan_beats_it_by_what_the_contract_pays(
    stakes: tuple[int, int], others: int
) -> None:
    """Brute force over what is really paid: weights to the unit, and a total that our own works make larger.

    A share of the pot is not quite straight in our weight, so the best plan may gain a little; how little is said here.
    """
    low, cap = 1, 3
    block = Block(0, 0, 47, 0, 1_000, low, cap, bytes(32), 0, 0)

    def paid(bests: tuple[int, ...]) -> float:
        weights = [
            weigh(block, 47, stake, max(best, 0)).total for stake, best in zip(stakes, bests, strict=True)
        ]
        return sum(weights) / (others * scale(block) + sum(weights)) if others else float(sum(weights))

    def expected(*, greedy: bool) -> Callable[[tuple[int, ...], int], float]:
        @cache
        def worth(bests: tuple[int, ...], left: int) -> float:
            if left == 0:
                return paid(bests)
            chosen = next_to_grind(bests, (1.0, 1.0), low, cap) if greedy else None
            return max(
                sum(
                    one * worth((*bests[:farmer], best, *bests[farmer + 1 :]), left - 1)
                    for best, one in _outcomes(bests[farmer], cap)
                )
                for farmer in ((0, 1) if chosen is None else (chosen,))
            )

        return worth

    best, ours = expected(greedy=False), expected(greedy=True)
    for bests, hashes in product(product(range(-1, cap + 1), repeat=2), range(1, 5)):
        assert ours(bests, hashes) == pytest.approx(best(bests, hashes), rel=2e-4)
        assert ours(bests, hashes) >= ours(bests, hashes - 1) * (1 - 1e-12)  # one more hash never earns less


def test_three_farmers_alike_are_no_other_case() -> None:
    weights = (1.0, 1.0, 1.0)
    best = _expected((-1, 0, 1), weights, 0, 2, 4, greedy=False)
    assert _expected((-1, 0, 1), weights, 0, 2, 4, greedy=True) == pytest.approx(best, rel=1e-12)


@given(st.integers(-1, 12), st.integers(0, 8), st.integers(0, 12))
def test_a_hash_is_worth_the_zeros_it_adds_on_average(best: int, low: int, cap: int) -> None:
    summed = sum(16.0**-zeros for zeros in range(max(best, low) + 1, cap + 1))
    assert hash_gain(best, low, cap) == pytest.approx(summed)


def test_the_fewest_zeros_come_first_and_the_cap_rests() -> None:
    assert next_to_grind((7, 5, 9), (1, 1, 1), 5, 9) == 1
    assert next_to_grind((9, 9), (1, 1), 5, 9) is None
    assert next_to_grind((5, 7), (0.001, 1), 5, 9) == 1  # a zero of the second is worth more than 256 chances
    assert next_to_grind((), (), 5, 9) is None


@given(st.floats(0, 1e13), st.floats(0, 1e13), st.integers(-1, 10))
def test_more_hashes_never_earn_less(some: float, more: float, best: int) -> None:
    few, many = sorted((some, more))
    assert expected_part((5, 9), few, best) <= expected_part((5, 9), many, best) + 1e-12
    assert 0 <= expected_part((5, 9), many, best) <= 1


def test_a_range_beyond_all_digits_is_no_work_without_end() -> None:
    """A block that says so would hold the planner up for hours: no hash has more than 64 zeros."""
    assert expected_part((0, 2**40), 1e9, 3) < 1e-10


def test_without_a_range_zeros_earn_nothing() -> None:
    assert expected_part((0, 0), 1e12, -1) == 0
    assert expected_part((6, 6), 1e12, 3) == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3)), min_size=1, max_size=6), st.floats(1, 50))
def test_unequal_interests_weigh_as_the_slope_of_what_is_got(
    farmers: list[tuple[float, float]], others: float
) -> None:
    parts, held = [one for one, _ in farmers], [weight for _, weight in farmers]
    total = others + sum(held)

    def got(at: int, more: float) -> float:
        weights = [weight + more * (number == at) for number, weight in enumerate(held)]
        return sum(part * weight for part, weight in zip(parts, weights, strict=True)) / (total + more)

    step = 1e-5
    for at, weight in enumerate(interest_weights(parts, held, total)):
        slope = (got(at, step) - got(at, -step)) / (2 * step) * total
        assert weight == pytest.approx(max(slope, 0), abs=1e-6)


# The block's total


def _record(index: int, parts: float) -> BlockRecord:
    return BlockRecord(index, replace(BLOCK, normalized_total=int(parts * scale(BLOCK))), 99)


def test_others_are_estimated_by_the_median_of_recent_blocks_less_our_own() -> None:
    records = [_record(1, 30), _record(2, 50), _record(3, 34)]
    assert others_parts(records) == pytest.approx(34, abs=0.01)
    assert others_parts(records, [0, 30, 0]) == pytest.approx(30, abs=0.01)
    assert others_parts(records[:2]) is None


def test_a_total_is_never_thought_less_than_what_is_there() -> None:
    crowded = replace(BLOCK, normalized_total=90 * scale(BLOCK))
    assert market_of(1, crowded, 30, 10).total == 90 * scale(BLOCK)
    assert market_of(1, BLOCK, 30, 10).total == 40 * scale(BLOCK)
    assert market_of(1, BLOCK, None, 0).total == 32 * scale(BLOCK)


def test_what_the_pool_gains_thins_out_what_it_has() -> None:
    gain = MARKET.gain(10 * scale(BLOCK), 11 * scale(BLOCK))
    pot = block_reward(MARKET.index)
    assert gain == pytest.approx(pot * (11 / 35 - 10 / 34))
    assert gain < MARKET.part


def test_an_inverted_range_is_told() -> None:
    assert is_valid(BLOCK)
    assert not is_valid(replace(BLOCK, max_gap=-1))


def test_fees_fall_with_the_batch_and_have_a_price_in_kale() -> None:
    fees = Fees()
    each = [fees.harvest_each(blocks) for blocks in (1, 5, 12, 48)]
    assert each == sorted(each, reverse=True)
    assert each == pytest.approx([12_678, 6_017, 5_025, 4_494], rel=0.01)  # measured, docs of the protocol
    assert in_kale(14_339, 0.001) == pytest.approx(14_339_000)
    assert in_kale(14_339, None) is None
