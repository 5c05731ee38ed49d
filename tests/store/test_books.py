"""The books: every entry sums to zero, is booked once, and stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.books import StoreBooks
from kalepool.errors import InternalError

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store

HARVEST = (("contract", "KALE", -50), ("farmer:1", "KALE", 50))


@pytest.fixture
def books(store: Store) -> StoreBooks:
    return StoreBooks(store)


def test_it_fulfils_the_port(books: StoreBooks) -> None:
    port: ports.Books = books
    assert port.total() == 0


def test_an_entry_moves_balances(books: StoreBooks) -> None:
    assert books.post("a", HARVEST, at=1.0)
    assert books.balances() == {("contract", "KALE"): -50, ("farmer:1", "KALE"): 50}
    assert books.balance("farmer:1", "KALE") == 50
    assert books.balance("farmer:1", "XLM") == 0


def test_the_same_thing_is_booked_once(books: StoreBooks) -> None:
    assert books.post("a", HARVEST, at=1.0)
    assert not books.post("a", HARVEST, at=2.0)
    assert books.balance("farmer:1", "KALE") == 50


def test_postings_to_one_account_count_as_one(store: Store, books: StoreBooks) -> None:
    books.post("a", (*HARVEST, *HARVEST, ("pool", "KALE", 0)), at=1.0)
    assert store.value("SELECT count(*) FROM postings") == 2
    assert books.balance("farmer:1", "KALE") == 100


@pytest.mark.parametrize(
    "postings",
    [
        (("farmer:1", "KALE", 50),),
        (("contract", "KALE", -50), ("farmer:1", "XLM", 50)),
        (("contract", "KALE", -50), ("farmer:1", "KALE", 51)),
    ],
)
def test_an_entry_sums_to_zero_for_each_asset(
    books: StoreBooks, postings: tuple[tuple[str, str, int], ...]
) -> None:
    with pytest.raises(InternalError, match="does not sum to zero"):
        books.post("a", postings, at=1.0)
    assert books.balances() == {}


def test_a_posting_without_its_entry_is_not_committed(store: Store, books: StoreBooks) -> None:
    with pytest.raises(InternalError, match="FOREIGN KEY"), store.atomic():
        store.execute("INSERT INTO postings VALUES (1, 'a', 'KALE', 5, 1.0)")
    assert books.balances() == {}


def test_an_entry_without_postings_is_refused(store: Store) -> None:
    with pytest.raises(InternalError, match="does not sum to zero"):
        store.execute("INSERT INTO entries VALUES (1, 'a', NULL, '', 1.0)")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO postings VALUES (1, 'thief', 'KALE', 5, 1.0)",
        "UPDATE postings SET account = 'thief'",
        "DELETE FROM postings",
        "UPDATE entries SET at = 0",
        "DELETE FROM entries",
    ],
)
def test_what_is_booked_is_not_rewritten(store: Store, books: StoreBooks, statement: str) -> None:
    books.post("a", HARVEST, at=1.0)
    with pytest.raises(InternalError, match=r"sealed|not rewritten"):
        store.execute(statement)


def test_turnover_counts_both_ways_from_one_time_to_before_another(books: StoreBooks) -> None:
    back = tuple((account, asset, -stroops // 5) for account, asset, stroops in HARVEST)
    for time in (1.0, 2.0, 3.0):
        books.post(f"in {time}", HARVEST, at=time)
        books.post(f"out {time}", back, at=time)
    assert books.turnover("farmer:1", "KALE", 2.0, 3.0) == (50, 10)
    assert books.turnover("farmer:1", "KALE", 1.0, 9.0) == (150, 30)
    assert books.turnover("farmer:1", "XLM", 1.0, 9.0) == (0, 0)
    assert sorted(books.movements(2.0, 3.0)) == [("contract", "KALE", 10, 50), ("farmer:1", "KALE", 50, 10)]
