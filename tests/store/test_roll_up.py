"""Rolling up what is old: whatever the past was, everything that is told stays the same, and nothing open goes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from kalepool.adapters.store.day_tables import MEASURES
from kalepool.adapters.store.fold_tables import BRIEF_DAYS
from kalepool.adapters.store.opening import create_store, open_store
from kalepool.adapters.store.roll_up import SETTLED_DOWN, StoreRollUp
from kalepool.adapters.store.verify import verify
from kalepool.core.intents import Kind, Plan, State, pail_item
from kalepool.core.postings import FEES, KALE, XLM
from kalepool.core.records import PailState
from kalepool.core.reports import DAY_S, By
from kalepool.core.shares import Claim, owed, share_key
from kalepool.errors import InternalError
from support.store import HOME
from support.years import START, Chances, Past

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.adapters.store.db import Store

KEEP = 30
WELL = Chances()


def roll(store: Store, keep_days: int = KEEP) -> int:
    """Roll up all there is; give how many pieces it took."""
    upkeep, pieces = StoreRollUp(store, keep_days), 0
    while upkeep.step():
        pieces += 1
    assert not upkeep.refused
    return pieces


def count(store: Store, table: str, where: str = "1") -> int:
    found: int = store.value(f"SELECT count(*) FROM {table} WHERE {where}")
    return found


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of forty days of two farmers, two blocks a day; everything landed, settled and paid."""
    path: Path = tmp_path_factory.mktemp("lived") / "kalepool.db"
    create_store(path, HOME)
    with open_store(path, HOME) as store:
        Past(store).live(80, WELL)
    return path


@pytest.fixture
def store(lived: Path, tmp_path: Path) -> Iterator[Store]:
    shutil.copy(lived, tmp_path / "kalepool.db")
    with open_store(tmp_path / "kalepool.db", HOME) as store:
        yield store
        assert not count(store, "door")


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


CHANCES = st.builds(
    Chances,
    nothing=st.sampled_from([0, 20]),
    lost=st.sampled_from([0, 10, 60]),
    stuck=st.sampled_from([0, 0, 3]),
    fails=st.sampled_from([0, 20]),
    unsettled=st.sampled_from([0, 0, 5]),
    unpaid=st.sampled_from([0, 50, 100]),
    short=st.sampled_from([0, 0, 30]),
)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    before=CHANCES,
    after=CHANCES,
    spans=st.tuples(st.integers(0, 60), st.integers(0, 50)),
    cut=st.integers(0, 400),
)
@example(seed=144_251, before=Chances(20, 60, unpaid=50), after=Chances(20), spans=(54, 31), cut=145)
def test_everything_told_is_the_same_before_and_after(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    before: Chances,
    after: Chances,
    spans: tuple[int, int],
    cut: int,
) -> None:
    """Also when it is cut off after any piece, and the past goes on in between."""
    path: Path = tmp_path_factory.mktemp("past") / "kalepool.db"
    create_store(path, HOME)
    with open_store(path, HOME) as store:
        past = Past(store, seed=seed)
        past.live(spans[0], before)
        told = past.told()
        upkeep = StoreRollUp(store, KEEP)
        for _ in range(cut):
            upkeep.step()
        assert past.told() == told
        past.live(spans[1], after)
        told = past.told()
        assert told["verify"] == [], told["verify"]
        assert told["total"] == 0
        roll(store)
        assert past.told() == told
        assert roll(store) == 0 or past.told() == told


def test_a_stake_that_was_paid_back_short_is_told_the_same_when_its_day_is_folded(
    store: Store, past: Past
) -> None:
    past.live(2, Chances(short=100))
    past.live(78, WELL)
    told = past.told()
    short = store.value("SELECT sum(lost) FROM pails")
    assert short > 0
    roll(store)
    assert folded(store, 1) >= {40}
    assert store.value("SELECT sum(lost) FROM pails") == 0
    assert verify(store) == []
    assert past.told() == told
    assert sum(line.stake_unpaid for line in past.reports.lines(By.FARMER, None)) == short


def test_old_pails_are_folded_and_young_ones_kept(store: Store, past: Past) -> None:
    roll(store)
    kept = store.value("SELECT min(block) FROM pails") // 2
    assert kept == 40 - 1 - KEEP
    assert count(store, "pails") == (KEEP + 1) * 2 * 2
    for table in ("pail_fees", "brief_intents"):
        assert store.value(f"SELECT min(block) FROM {table}") == 18
    assert count(store, "brief_entries") == 2 * (80 - SETTLED_DOWN - 18)


def test_transactions_and_shares_are_kept_at_length_for_days_and_then_in_brief(
    store: Store, past: Past
) -> None:
    share = past.books.find([share_key(1, 40)])
    harvests = past.histories.harvests(1)
    roll(store)
    first = store.value("SELECT min(at) FROM entries WHERE key GLOB 'share:*'")
    # Blocks are summed first, and the last of them not yet.
    assert (first - START) // DAY_S == min(39 - BRIEF_DAYS, (80 - SETTLED_DOWN) // 2)
    assert (
        store.value(
            "SELECT min(max_time) FROM attempts JOIN intents ON intents.number = intent WHERE kind = 'work'"
        )
        >= first
    )
    assert past.books.find([share_key(1, 40)]) == share
    later = {block: name for block, name in harvests.items() if block >= 18}
    assert past.histories.harvests(1) == later


def test_a_share_in_brief_is_not_booked_again(store: Store, past: Past) -> None:
    roll(store)
    assert past.books.find([share_key(1, 40)])
    postings = [("a", "KALE", 1), ("b", "KALE", -1)]
    assert past.books.post(share_key(1, 40), postings, at=0.0) is False


def test_what_was_paid_is_kept_with_its_transactions(store: Store, past: Past) -> None:
    payments = past.histories.payments(1)
    assert len(payments) > 70
    roll(store)
    assert past.histories.payments(1) == payments
    assert count(store, "intents", "kind = 'pay'") == count(
        store,
        "entries",
        "intent IS NOT NULL AND key GLOB 'intent:*' "
        "AND intent IN (SELECT number FROM intents WHERE kind = 'pay')",
    )


# What waits stays


def folded(store: Store, farmer: int) -> set[int]:
    rows = store.all("SELECT day FROM pail_days WHERE folded = 1 AND farmer = ?", (farmer,))
    return {day - START // DAY_S for (day,) in rows}


@pytest.mark.parametrize("end", [PailState.PLANTED, PailState.PLANNED, PailState.HARVESTABLE])
def test_a_day_with_a_pail_that_is_not_over_is_kept(store: Store, past: Past, end: PailState) -> None:
    past.farmers = past.farmers[:1]
    with store.atomic(synced=True):
        past.pail(past.farmers[0], 80, end)
    past.block = 81
    past.live(80, WELL)
    roll(store)
    assert count(store, "pails", "farmer = 1 AND block IN (80, 81)") == 2
    assert 40 not in folded(store, 1)
    assert {39, 41} <= folded(store, 1)


def test_a_day_with_a_pail_that_is_not_settled_is_kept(store: Store, past: Past) -> None:
    past.live(1, Chances(unsettled=100))
    past.live(79, WELL)
    roll(store)
    assert 40 not in folded(store, 1)
    assert {39, 41} <= folded(store, 1)


def test_days_whose_claims_are_not_paid_are_kept(store: Store, past: Past) -> None:
    past.live(80, Chances(unpaid=100))
    roll(store)
    assert folded(store, 1) == set(range(40))
    assert past.books.balance(owed(Claim.FARMER, 1), KALE) > 0
    past.pay(past.farmers[0], past.at(160))
    roll(store)
    assert folded(store, 1) == set(range(80 - 1 - KEEP))
    assert folded(store, 2) == set(range(40))


def test_a_day_with_an_open_transaction_is_kept(store: Store, past: Past) -> None:
    plan = Plan(Kind.EXTEND, "extend:1:4", (pail_item(1, 4),))
    (intent,) = past.journal.plan_all([plan])
    upkeep = StoreRollUp(store, KEEP)
    while upkeep.step():
        pass
    assert 2 not in folded(store, 1)
    assert 2 in folded(store, 2)
    assert upkeep.refused == {(START // DAY_S + 2, 1)}
    assert intent is not None
    past.journal.mark([intent.number], State.EXPIRED)
    roll(store)
    assert 2 in folded(store, 1)
    assert verify(store) == []


def test_what_a_self_custody_farmer_owes_is_kept(store: Store, past: Past) -> None:
    store.execute("UPDATE farmers SET custody = 'watched' WHERE number = 1")
    roll(store)
    assert folded(store, 1) == set()
    assert folded(store, 2)


def test_an_unresolved_transaction_is_kept(store: Store, past: Past) -> None:
    with store.atomic(synced=True):
        number = past.send(Kind.HARVEST, "again", [(1, 3)], [], past.at(3), fails=True)
        store.execute("DROP TRIGGER intents_move_legally")
        store.execute("UPDATE intents SET state = 'unresolved' WHERE number = ?", (number,))
    upkeep = StoreRollUp(store, KEEP)
    while upkeep.step():
        pass
    assert count(store, "intents", f"number = {number}") == 1
    assert 1 not in folded(store, 1)


# The doors


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM pails WHERE block = 0",
        "DELETE FROM pail_fees WHERE block = 0",
        "DELETE FROM entries WHERE key = 'share:1:0'",
        "DELETE FROM entries WHERE key = 'intent:1'",
        "DELETE FROM postings",
        "DELETE FROM attempts WHERE intent = 1",
        "DELETE FROM intent_items WHERE intent = 1",
        "DELETE FROM intents WHERE number = (SELECT max(number) FROM intents)",
        "DELETE FROM intents WHERE kind = 'pay'",
        "DELETE FROM intents WHERE number > (SELECT max(number) - 10 FROM intents)",
        "DELETE FROM days",
        "DELETE FROM pail_days",
        "UPDATE days SET last_block = 70 WHERE day = (SELECT min(day) FROM days)",
        "UPDATE pail_days SET folded = 1 WHERE day = (SELECT max(day) FROM pail_days)",
        "INSERT INTO brief_entries VALUES ('share:1:0', 0, '', '[]')",
        "INSERT INTO brief_entries SELECT key, at, why, '[]' FROM entries WHERE key = 'share:1:0'",
        "INSERT INTO door SELECT 1, max(number) FROM intents",
    ],
)
def test_history_leaves_by_no_other_way(store: Store, past: Past, statement: str) -> None:
    upkeep = StoreRollUp(store, KEEP)
    while not count(store, "days") or store.value("SELECT max(last_block) FROM days") < 79 - SETTLED_DOWN:
        upkeep.step()
    told = past.told()
    with pytest.raises(InternalError):
        store.execute(statement)
    assert past.told() == told


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM day_postings",
        "UPDATE day_postings SET received = 0",
        "DELETE FROM brief_entries",
        "UPDATE brief_entries SET postings = '[]'",
        "DELETE FROM brief_intents",
        "UPDATE brief_intents SET fee = 0",
        "UPDATE pail_days SET reward = 0 WHERE folded = 1",
        "UPDATE pail_days SET folded = 0 WHERE folded = 1",
        "INSERT INTO pails VALUES (0, 1, 'harvested', 5, 60, 1, 1, 9, NULL, '', NULL, NULL, NULL)",
    ],
)
def test_what_is_rolled_up_is_not_rewritten(store: Store, past: Past, statement: str) -> None:
    roll(store)
    told = past.told()
    with pytest.raises(InternalError):
        store.execute(statement)
    assert past.told() == told


@pytest.mark.parametrize("measure", [*MEASURES, "fees"])
def test_a_day_whose_sums_are_wrong_is_found_and_not_folded(store: Store, past: Past, measure: str) -> None:
    upkeep = StoreRollUp(store, KEEP)
    while upkeep._sum_up():
        pass
    store.execute(
        f"UPDATE pail_days SET {measure} = {measure} + 1 WHERE farmer = 1 AND day = {START // DAY_S}"
    )
    assert any("sums of days" in finding for finding in verify(store))
    while upkeep.step():
        pass
    assert 0 not in folded(store, 1)
    assert 1 in folded(store, 1)


def test_late_changes_reach_the_sums(store: Store, past: Past) -> None:
    """A pail that is found expired, and a fee booked, after their day was summed."""
    with store.atomic(synced=True):
        late = past.pail(past.farmers[0], 80, PailState.HARVESTABLE)
    past.block = 81
    past.live(60, WELL)
    roll(store)
    with store.atomic(synced=True):
        past.send(Kind.HARVEST, "late", [(1, 80)], [], past.at(140))
        store.execute("UPDATE pails SET state = 'expired' WHERE farmer = 1 AND block = ?", (late.block,))
        past.pail(past.farmers[1], 80, PailState.HARVESTED)
    assert verify(store) == []
    (line,) = [one for one in past.reports.lines(By.DAY, None) if one.expired]
    assert line.stake_expired == late.stake
    fees = sum(one.fees for one in past.reports.lines(By.FARMER, None)) + past.reports.other_fees(None)
    assert fees == past.books.balance(FEES, XLM)


# Reports


def test_a_report_from_the_midst_of_a_day_reads_it_pail_by_pail(store: Store, past: Past) -> None:
    told = past.reports.lines(By.FARMER, past.at(61)), past.reports.lines(By.DAY, past.at(61))
    roll(store)
    assert (past.reports.lines(By.FARMER, past.at(61)), past.reports.lines(By.DAY, past.at(61))) == told
    assert told[0][0].planted == 19


def test_a_report_from_the_midst_of_a_folded_day_counts_it_whole(store: Store, past: Past) -> None:
    whole = past.reports.lines(By.FARMER, past.at(4))
    roll(store)
    assert past.reports.lines(By.FARMER, past.at(5)) == whole
    assert past.reports.folded_until() == START + 9 * DAY_S


def test_a_report_by_block_has_a_line_for_each_folded_day(store: Store, past: Past) -> None:
    assert past.reports.folded_until() is None
    before = past.reports.lines(By.BLOCK, None)
    roll(store)
    lines = past.reports.lines(By.BLOCK, None)
    assert [line.key for line in lines][:10] == [*(f"{2 * day}..{2 * day + 1}" for day in range(9)), "18"]
    assert [line.key for line in lines][-1] == "79"
    assert sum(line.reward for line in lines) == sum(line.reward for line in before)
    assert lines[9:] == before[18:]


def test_what_is_due_is_counted_and_done(store: Store, past: Past) -> None:
    upkeep = StoreRollUp(store, KEEP)
    due = upkeep.due()
    assert (due.blocks, due.pails) == (80 - SETTLED_DOWN, 0)
    while upkeep._sum_up():
        pass
    due = upkeep.due()
    assert (due.pails, due.farmer_days, due.first, due.last) == (36, 18, START, START + 8 * DAY_S)
    assert due.intents == 3 * due.entries > 100
    roll(store)
    assert upkeep.due().is_nothing
