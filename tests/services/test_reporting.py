"""Where the pool stands and what it earned, by what its store remembers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kalepool.core.farmers import FarmerState
from kalepool.core.intents import State
from kalepool.core.records import PailState, View
from kalepool.core.reports import By, Line, parse_by, parse_since
from kalepool.errors import UsageError
from kalepool.services.reporting import LEAST_DAYS, NEAR_LEDGERS, day_cost, refresh
from support.farmstead import Farmstead
from support.field_day import FIRST, MIDNIGHT, block, live_through, pail, pay
from support.store import attempt, plant
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.bootstrap import Pool

NOW = 5_012.0


@pytest.fixture
def farm(tmp_path: Path) -> Farmstead:
    return Farmstead(tmp_path)


@pytest.fixture
def pool(farm: Farmstead) -> Iterator[Pool]:
    with farm.pool() as pool:
        farm.add_farmers(pool, 2)
        yield pool


def warnings(pool: Pool, now: float = NOW) -> str:
    return "\n".join(f"{notice.what} | {notice.do}" for notice in pool.reporting.status(now).notices)


def see(pool: Pool, **changes: Any) -> None:
    view = View(1_000, MIDNIGHT, FIRST, False, 10**9, 0, NOW)
    pool.views.save(replace(view, **changes))


def test_a_new_store_says_that_the_network_was_never_seen(farm: Farmstead) -> None:
    with farm.pool() as pool:
        status = pool.reporting.status(NOW)
        assert (status.view, status.block, status.block_age_s, status.hashrate) == (None, None, None, 0)
        assert sum(status.overview.farmers.values()) == sum(status.overview.pails.values()) == 0
        assert warnings(pool) == (
            "the network has not been looked at yet | look now: kalepool status --refresh"
        )


def test_status_counts_farmers_pails_and_stakes(pool: Pool) -> None:
    live_through(pool)
    pool.farmers.move(2, FarmerState.PAUSED, who="test")
    status = pool.reporting.status(NOW)
    counts = {state: number for state, number in status.overview.pails.items() if number}
    assert counts == {
        PailState.HARVESTED: 4,
        PailState.PLANTED: 1,
        PailState.FORFEITED: 1,
        PailState.EXPIRED: 1,
        PailState.MISSED: 1,
    }
    assert status.overview.farmers[FarmerState.ACTIVE] == status.overview.farmers[FarmerState.PAUSED] == 1
    assert status.overview.at_work == 5_000_000
    assert (status.view_age_s, status.block_age_s) == (12.0, 150)


def test_the_day_costs_what_the_last_whole_day_cost(pool: Pool) -> None:
    live_through(pool)
    assert pool.reporting.status(NOW).day_fees == 30
    assert day_cost([], 0) is None
    assert day_cost([(5, 70)], 5 * 86_400) == 70  # the first day, so far
    assert day_cost([(5, 1), (4, 90)], 5 * 86_400 + 9) == 90


def test_mining_shows_while_its_process_lives(farm: Farmstead, pool: Pool) -> None:
    live_through(pool)
    assert not pool.reporting.status(NOW).mining
    with farm.pool("mine") as other, other.lock.hold():
        status = pool.reporting.status(NOW)
        assert status.mining
        assert status.hashrate == 12_500_000
        assert status.overview.holder is not None
        assert status.overview.holder.role == "mine"
        other.owner.retire()
        status = pool.reporting.status(NOW)
        assert not status.mining
        assert status.hashrate == 0


def test_money_actions_are_counted_and_the_unresolved_apart(pool: Pool) -> None:
    first, second = (pool.journal.plan_all([plant(number)])[0] for number in (1, 2))
    assert first is not None
    assert second is not None
    pool.journal.sign(first.number, attempt())
    pool.journal.mark([first.number], State.UNRESOLVED)
    overview = pool.reporting.status(NOW).overview
    assert (overview.open_intents, overview.unresolved) == (1, 1)
    see(pool)
    assert "the outcome of 1 transaction is unknown" in warnings(pool)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seen_at": NOW - 601}, "what is shown of the network is old | look now: kalepool status --refresh"),
        ({"seen_at": NOW - 599}, ""),
        ({"paused": True}, "the farm is paused on the network"),
        ({"operator_xlm": 0}, "the operator has no XLM"),
        ({}, ""),
    ],
)
def test_what_was_seen_may_be_a_warning(pool: Pool, changes: dict[str, Any], said: str) -> None:
    see(pool, **changes)
    assert said in warnings(pool)
    assert bool(said) == bool(warnings(pool))


@pytest.mark.parametrize(("cost", "warns"), [(1_000, False), (10**9 // LEAST_DAYS + 1, True)])
def test_xlm_that_lasts_a_few_days_only_is_a_warning(pool: Pool, cost: int, warns: bool) -> None:
    see(pool)
    pay(pool, "yesterday", [], cost, MIDNIGHT - 1)
    assert ("the operator's XLM lasts for 3.0 days" in warnings(pool)) == warns


@pytest.mark.parametrize(("xlm", "at", "warns"), [(190, 5, True), (189, 5, False), (190, -5, False)])
def test_fees_near_the_days_ceiling_are_a_warning(pool: Pool, xlm: int, at: int, warns: bool) -> None:
    see(pool, operator_xlm=10**12)
    pay(pool, "today", [], xlm * 10**7, MIDNIGHT + at)
    expected = (
        "fees of this day have come to 190 of at most 200 XLM | planting stops there: see fees.day_most_xlm"
    )
    assert warnings(pool) == (expected if warns else "")


@pytest.mark.parametrize(
    ("state", "pail_ends", "block_ends", "warns"),
    [
        (PailState.HARVESTABLE, 1_000 + NEAR_LEDGERS - 1, 90_000, True),
        (PailState.WORKED, 90_000, 1_000 + NEAR_LEDGERS - 1, True),
        (PailState.HARVESTABLE, 1_000 + NEAR_LEDGERS, 90_000, False),
        (PailState.HARVESTED, 1_001, 1_001, False),
    ],
)
def test_a_pail_that_nears_its_end_or_its_blocks_is_a_warning(
    pool: Pool, state: PailState, pail_ends: int, block_ends: int, warns: bool
) -> None:
    see(pool)
    pool.blocks.record([block(FIRST, block_ends)])
    pool.pails.record([pail(1, FIRST, state, pail_ends)])
    expected = "1 pail to harvest soon, the first ends in 4,319 ledgers | harvest them now: kalepool harvest"
    assert warnings(pool) == (expected if warns else "")


def test_planted_pails_that_nobody_works_are_a_warning(pool: Pool) -> None:
    see(pool)
    pool.pails.record([pail(1, FIRST, PailState.PLANTED)])
    assert warnings(pool) == (
        "nobody mines, and work is missing for 1 pail | save their stakes: kalepool mine"
    )


def test_a_report_by_farmer_attributes_earnings_losses_and_fees(pool: Pool) -> None:
    live_through(pool)
    report = pool.reporting.report(By.FARMER, "all")
    one, two = report.lines
    assert one == Line(
        "farmer-1", 1, planted=4, worked=3, harvested=3, staked=20_000_000, returned=15_000_000,
        reward=27_000_000, gaps=60, zeros=18, fees=100,
    )  # fmt: skip
    assert two == Line(
        "farmer-2", 1, missed=1, planted=3, worked=2, harvested=1, forfeited=1, expired=1, staked=15_000_000,
        returned=5_000_000, stake_forfeited=5_000_000, stake_expired=5_000_000, reward=9_000_000,
        gaps=40, zeros=12, fees=30,
    )  # fmt: skip
    assert (report.total.reward, report.total.fees, report.other_fees) == (36_000_000, 130, 7)
    assert (one.work_rate, one.mean_gap, one.mean_zeros) == (0.75, 20.0, 6.0)


def test_a_pail_belongs_to_the_day_its_block_opened(pool: Pool) -> None:
    live_through(pool)
    lines = pool.reporting.report(By.DAY, "all").lines
    assert [(line.key, line.farmers, line.planted, line.reward, line.fees) for line in lines] == [
        ("2025-10-09", 2, 4, 27_000_000, 97),  # two thirds of 100, the odd stroop to the first; and 30
        ("2025-10-10", 2, 3, 9_000_000, 33),
    ]


def test_a_report_by_block_has_a_line_a_block(pool: Pool) -> None:
    live_through(pool)
    lines = pool.reporting.report(By.BLOCK, "all").lines
    assert [(line.key, line.farmers, line.fees) for line in lines] == [
        ("100", 2, 34),
        ("101", 2, 63),
        ("102", 2, 33),
        ("103", 2, 0),
    ]


@pytest.mark.parametrize("by", By)
def test_every_grouping_adds_up_to_the_same(pool: Pool, by: By) -> None:
    live_through(pool)
    report = pool.reporting.report(by, "all")
    assert report.total == pool.reporting.report(By.FARMER, "all").total
    assert report.total.fees + report.other_fees == pool.books.balance("xlm:fees", "XLM")


@pytest.mark.parametrize(
    ("since", "planted"),
    [("all", 7), ("7d", 7), ("1h", 7), ("0h", 0), ("2025-10-10", 3), ("2025-10-09", 7), ("2025-10-11", 0)],
)
def test_a_report_begins_with_the_block_that_opened_then(pool: Pool, since: str, planted: int) -> None:
    live_through(pool)
    assert pool.reporting.report(By.FARMER, since).total.planted == planted


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-1d", "7w", "\u0661d", "123456h", "2025-13-01", "yesterday", "1.5d"]
)
def test_a_beginning_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no time to report from"):
        parse_since(text, 0.0)


def test_a_grouping_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'moon'"):
        parse_by("moon")


def test_a_report_of_a_new_store_is_empty(farm: Farmstead) -> None:
    with farm.pool() as pool:
        report = pool.reporting.report(By.DAY, "7d")
        assert (report.lines, report.total, report.other_fees) == ((), Line(""), 0)


def test_a_refresh_remembers_what_the_network_shows(farm: Farmstead, pool: Pool) -> None:
    see(pool, hashrate=77)

    async def look() -> None:
        await refresh(pool.chain, pool.views, pool.blocks, farm.operator, 9_000.0)

    run(look())
    view = pool.views.last()
    assert view is not None
    assert (view.ledger, view.seen_at, view.hashrate) == (farm.bench.ledger.latest.sequence, 9_000.0, 77)
    assert (view.close_time, view.operator_xlm) == (farm.bench.ledger.latest.close_time, 10_000 * 10**7)
    assert pool.views.accounts()[farm.operator].xlm == view.operator_xlm
