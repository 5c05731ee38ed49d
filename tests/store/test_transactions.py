"""Transactions: all or nothing, within each other, and when they are on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.audit import StoreAudit
from kalepool.adapters.store.facts import StoreFacts
from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.core.farmers import FarmerState, Terms
from kalepool.errors import InternalError
from support.store import SEAL, HandClock, add_farmers, attempt, farmer, plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.journal import StoreJournal

FULL = 2
NORMAL = 1


def put(store: Store, name: str) -> None:
    store.execute("INSERT INTO facts VALUES (?, '', 1)", (name,))


def names(store: Store) -> set[str]:
    return {name for (name,) in store.all("SELECT name FROM facts")}


def test_a_block_that_ends_well_is_kept(store: Store) -> None:
    with store.atomic():
        put(store, "a")
    assert names(store) == {"a"}


def test_a_block_that_an_error_leaves_is_undone(store: Store) -> None:
    with pytest.raises(RuntimeError), store.atomic():
        put(store, "a")
        raise RuntimeError
    assert names(store) == set()


def test_an_inner_block_undoes_only_itself(store: Store) -> None:
    with store.atomic():
        put(store, "outer")
        with pytest.raises(RuntimeError), store.atomic():
            put(store, "inner")
            with store.atomic():
                put(store, "innermost")
            raise RuntimeError
        put(store, "after")
    assert names(store) == {"outer", "after"}


def test_an_outer_block_undoes_the_inner_ones(store: Store) -> None:
    with pytest.raises(RuntimeError), store.atomic():
        with store.atomic():
            put(store, "inner")
        raise RuntimeError
    assert names(store) == set()


def test_a_statement_that_is_refused_does_not_end_the_block_around_it(store: Store) -> None:
    with store.atomic():
        put(store, "a")
        with pytest.raises(InternalError, match="UNIQUE"), store.atomic():
            put(store, "b")
            put(store, "a")
    assert names(store) == {"a"}


def test_a_synced_block_is_synced_and_the_next_is_not(store: Store) -> None:
    with store.atomic(synced=True):
        synced = store.value("PRAGMA synchronous")
    with store.atomic():
        usual = store.value("PRAGMA synchronous")
    assert (synced, usual) == (FULL, NORMAL)


def test_a_synced_block_may_stand_in_a_synced_one(store: Store) -> None:
    with store.atomic(synced=True), store.atomic(synced=True):
        put(store, "a")
    assert names(store) == {"a"}


def test_a_synced_block_cannot_keep_its_promise_inside_one_that_is_not(store: Store) -> None:
    with pytest.raises(InternalError, match="not synced"), store.atomic(), store.atomic(synced=True):
        put(store, "a")
    assert names(store) == set()


def test_queries_of_one_reading_see_one_moment(store: Store) -> None:
    with store.reading():
        before = names(store)
        with type(store)(store.path) as other, other.atomic():
            put(other, "meanwhile")
        assert names(store) == before
    assert names(store) == {"meanwhile"}


def watch(store: Store, table: str) -> list[int]:
    """Note the level of syncing in force whenever a row goes into a table."""
    levels: list[int] = []
    store.connection.create_function("note", 0, lambda: levels.append(store.value("PRAGMA synchronous")))
    store.execute(f"CREATE TEMP TRIGGER watch AFTER INSERT ON main.{table} BEGIN SELECT note(); END")
    return levels


def test_an_attempt_is_synced_before_it_can_be_sent(store: Store, journal: StoreJournal) -> None:
    intent = journal.plan_all([plant(1)])[0]
    assert intent is not None
    levels = watch(store, "attempts")
    journal.sign(intent.number, attempt())
    assert levels == [FULL]
    assert not store.connection.in_transaction


def test_signing_inside_a_block_that_is_not_synced_is_refused(store: Store, journal: StoreJournal) -> None:
    intent = journal.plan_all([plant(1)])[0]
    assert intent is not None
    with pytest.raises(InternalError, match="not synced"), store.atomic():
        journal.sign(intent.number, attempt())


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("farmers", lambda store: add_farmers(store, 1)),
        ("facts", lambda store: StoreFacts(store, HandClock()).put("a", "b")),
        ("audit", lambda store: StoreAudit(store, HandClock()).append("me", "this", lambda *_: SEAL)),
    ],
)
def test_what_cannot_be_read_back_from_the_chain_is_synced(
    store: Store, table: str, change: Callable[[Store], object]
) -> None:
    levels = watch(store, table)
    change(store)
    assert levels == [FULL]


def test_a_farmers_moves_and_terms_are_synced(store: Store) -> None:
    farmers = StoreFarmers(store, HandClock())
    farmers.add([farmer("ann")], who="test", seal=lambda _: SEAL)
    moves = watch(store, "farmer_moves")
    farmers.move(1, FarmerState.FUNDED, who="test")
    store.execute("DROP TRIGGER watch")
    terms = watch(store, "terms")
    farmers.set_terms(1, Terms(), from_block=9, seal=SEAL, who="test")
    assert (moves, terms) == ([FULL], [FULL])
