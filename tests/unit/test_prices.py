"""The price of KALE: what counts of what a pool tells, and for how long."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.prices import (
    BELIEVED_AFTER,
    JUMP,
    KEPT_BLOCKS,
    Price,
    Readings,
    Reserves,
    flaw,
    is_jump,
    parse_price,
    price_of,
)

amounts = st.integers(1, 2**63 - 1)
told = st.lists(st.tuples(st.integers(0, 60), amounts, amounts), max_size=40)


def after(*prices: int, first: int = 100) -> Readings:
    """Readings of blocks in a row; a price is XLM stroops for 1,000 of KALE."""
    readings = Readings()
    for number, price in enumerate(prices):
        readings = readings.taken(first + number, Reserves(kale=1_000, xlm=price))
    return readings


def believed(*prices: int) -> Fraction | None:
    return price_of(after(*prices), 99 + len(prices), None).xlm


@pytest.mark.parametrize(
    ("reserves", "says"),
    [
        (None, "there is no liquidity pool"),
        (Reserves(0, 0), "empty"),
        (Reserves(5, 0), "empty"),
        (Reserves(10**12, 999), "thin"),
        (Reserves(1, 1_000), ""),
    ],
)
def test_a_pool_that_is_missing_empty_or_thin_tells_nothing(reserves: Reserves | None, says: str) -> None:
    told = flaw(reserves, 1_000)
    assert told == says if not says else says in told


def test_a_price_is_the_exact_quotient_of_the_reserves() -> None:
    assert price_of(Readings().taken(7, Reserves(kale=3, xlm=1)), 7, None).xlm == Fraction(1, 3)


def test_a_price_that_moves_within_bounds_is_followed() -> None:
    assert believed(100) == Fraction(1, 10)
    assert believed(100, 125, 150, 120) == Fraction(12, 100)


def test_a_price_that_jumps_is_believed_only_when_it_stays() -> None:
    pushed = (100, 1_000, 1_010, 990, 1_000)
    assert [believed(*pushed[:count]) for count in range(1, 6)] == [Fraction(1, 10)] * 4 + [Fraction(1)]
    assert believed(100, 10, 10, 10, 10) == Fraction(1, 100)
    assert BELIEVED_AFTER == 4


def test_a_push_for_some_blocks_changes_nothing() -> None:
    assert believed(100, 5_000, 5_000, 5_000, 101) == Fraction(101, 1_000)
    assert believed(100, 5_000, 900, 5_000, 900, 5_000) == Fraction(1, 10)  # no two of them agree


def test_a_jump_is_told_with_both_prices() -> None:
    note = price_of(after(100, 1_000), 101, None).note
    assert "0.1" in note
    assert "to 1 XLM" in note
    assert not price_of(after(100, 110), 101, None).note


def test_only_the_first_reading_of_a_block_counts() -> None:
    readings = after(100)
    assert readings.taken(100, Reserves(1_000, 120)) is readings
    assert readings.taken(99, Reserves(1_000, 120)) is readings


def test_an_old_price_is_none_and_the_configured_one_takes_its_place() -> None:
    readings, configured = after(100), Fraction(1, 4)
    assert price_of(readings, 100 + KEPT_BLOCKS - 1, configured).xlm == Fraction(1, 10)
    late = price_of(readings, 100 + KEPT_BLOCKS, configured, "the liquidity pool is empty")
    assert (late.xlm, late.source, late.note) == (configured, "configured", "the liquidity pool is empty")
    # After such a time any price is the first one.
    assert price_of(readings.taken(200, Reserves(1, 9)), 200, None).xlm == 9


def test_without_a_pool_or_a_configured_price_there_is_none() -> None:
    assert price_of(None, 5, None) == Price(None, "not known")
    assert price_of(Readings(), 5, None).xlm is None
    assert Price(None, "not known").in_xlm(5) is None
    assert Price(None, "not known").estimate is None


@given(told)
def test_no_reading_moves_the_price_by_more_than_the_bound_unless_it_has_stayed(
    steps: list[tuple[int, int, int]],
) -> None:
    readings, run = Readings(), 0
    for block, kale, xlm in sorted(steps):
        before = readings.recent(block)
        taken = readings.taken(block, Reserves(kale, xlm))
        if before is not None and taken.believed is not None and taken is not readings:
            run = run + 1 if is_jump(before.price, Fraction(xlm, kale)) else 0
            if is_jump(before.price, taken.believed.price):
                assert run >= BELIEVED_AFTER
        readings = taken
        assert Readings.unpacked(readings.packed()) == readings


@given(st.fractions(min_value=Fraction(1, 10**12), max_value=10**12), amounts)
def test_an_amount_is_valued_to_the_stroop_rounded_down(price: Fraction, kale: int) -> None:
    value = Price(price, "x").in_xlm(kale)
    assert value is not None
    assert value <= kale * price < value + 1


@pytest.mark.parametrize("text", ["", "x", "1:2", "1:0:3", "1:2:3:4", "1:-2:3", "5:6:7 x"])
def test_what_was_not_written_by_us_is_no_reading(text: str) -> None:
    assert Readings.unpacked(text) == Readings()


def test_a_configured_price_is_taken_as_it_is_written() -> None:
    assert parse_price(0.1) == Fraction(1, 10)
    assert parse_price(1e-06) == Fraction(1, 10**6)
    assert parse_price(0.0) is None
    assert not is_jump(Fraction(1), JUMP)
