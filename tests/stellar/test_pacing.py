"""A node is asked no oftener than it bears, and rests after it failed."""

from __future__ import annotations

import pytest

from kalepool.adapters.stellar.pacing import Pace


def test_a_burst_goes_out_at_once_and_then_one_each_period() -> None:
    pace, now, sent = Pace(2.0, 3), 100.0, []
    for _ in range(7):
        now += pace.wait(now)
        pace.take(now)
        sent.append(now - 100.0)
    assert sent == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5, 2.0])


def test_a_quiet_while_fills_the_burst_and_no_more() -> None:
    pace = Pace(1.0, 2)
    for now in (0.0, 0.0, 1_000.0, 1_000.0):
        assert pace.wait(now) == 0
        pace.take(now)
    assert pace.wait(1_000.0) == pytest.approx(1.0)


def test_rests_grow_with_each_failure_in_a_row_up_to_a_minute() -> None:
    pace, rests = Pace(1_000.0, 1_000), []
    for failure in range(10):
        pace.fail(failure * 100.0)
        rests.append(pace.wait(failure * 100.0))
    assert rests == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60])
    pace.succeed()
    pace.fail(2_000.0)
    assert pace.wait(2_000.0) == pytest.approx(0.5)


def test_a_node_rests_as_long_as_it_asks_within_reason() -> None:
    pace = Pace(1_000.0, 1_000)
    pace.rest(0.0, 7.0)
    assert pace.wait(0.0) == 7.0
    pace.rest(0.0, 10**9)
    assert pace.wait(0.0) == 300.0


def test_a_year_of_failures_is_no_overflow() -> None:
    pace = Pace(1.0, 1)
    for _ in range(5_000):
        pace.fail(0.0)
    assert pace.wait(0.0) == 60.0
