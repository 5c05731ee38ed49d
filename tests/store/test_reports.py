"""Fees by pail: every stroop of the books belongs to a pail, or to none, whatever intents cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.opening import create_store, open_store
from kalepool.adapters.store.reports import StoreReports
from kalepool.adapters.store.verify import verify
from kalepool.core.intents import Kind, Plan, State, Verdict, pail_item
from kalepool.core.postings import FEES, XLM
from kalepool.core.reports import By
from support.store import HOME, Town, add_farmers, attempt

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAILS = st.tuples(st.integers(1, 3), st.integers(0, 30))
DEEDS = st.lists(
    st.tuples(st.lists(PAILS, max_size=8, unique=True), st.integers(1, 1_000), st.booleans()), max_size=8
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=DEEDS)
def test_every_fee_is_attributed_once(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[list[tuple[int, int]], int, bool]]
) -> None:
    path: Path = tmp_path_factory.mktemp("fees") / "kalepool.db"
    create_store(path, HOME)
    with open_store(path, HOME) as store:
        add_farmers(store, 3)
        journal, books = StoreJournal(store, Town(store).owner(1)), StoreBooks(store)
        expected: dict[tuple[int, int], int] = {}
        for place, (pails, fee, lands) in enumerate(deeds):
            plan = Plan(Kind.HARVEST, f"deed:{place}", tuple(pail_item(*one) for one in pails))
            (intent,) = journal.plan_all([plan])
            assert intent is not None
            journal.sign(intent.number, attempt(name=f"h{place}", sequence=place))
            postings = (("operator", XLM, -fee), (FEES, XLM, fee))
            if lands:
                journal.settle(intent.number, postings, at=float(place))
            else:
                journal.judge([(intent.number, 1, Verdict.LANDED)])
                journal.mark([intent.number], State.FAILED)
                books.post(f"failed:h{place}", postings, at=float(place))
            for rank, item in enumerate(sorted(plan.items)):
                _, farmer, block = item.split(":")
                share = fee // len(pails) + (rank < fee % len(pails))
                key = int(block), int(farmer)
                expected[key] = expected.get(key, 0) + share
        rows = store.all("SELECT block, farmer, stroops FROM pail_fees")
        assert {(block, farmer): stroops for block, farmer, stroops in rows} == expected
        other = StoreReports(store, lambda: 0.0).other_fees(None)
        assert sum(expected.values()) + other == books.balance(FEES, XLM)
        assert verify(store) == []


def test_a_line_without_pails_is_no_line(tmp_path: Path) -> None:
    create_store(tmp_path / "kalepool.db", HOME)
    with open_store(tmp_path / "kalepool.db", HOME) as store:
        reports = StoreReports(store, lambda: 0.0)
        assert all(reports.lines(by, None) == [] for by in By)
        assert reports.expiring(10**9) == (0, None)
        assert reports.overview().holder is None
