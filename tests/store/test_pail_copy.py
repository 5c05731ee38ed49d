"""Pails kept in memory are those of the store, whoever writes; and the past costs a look nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.opening import open_store
from kalepool.adapters.store.pails import StorePails
from kalepool.core.records import ALIVE, PailRecord, PailState
from support.store import HOME, HandClock, add_farmers

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store

PLANTED = PailRecord(1, 100, PailState.PLANTED, 5, 60, live_until=900)
WORKED = replace(PLANTED, state=PailState.WORKED, gap=20, zeros=6)
MISSED = PailRecord(1, 100, PailState.MISSED, 5)


@pytest.fixture(autouse=True)
def _farmers(store: Store) -> None:
    add_farmers(store, 2)


def seen(pails: StorePails) -> tuple[list[PailRecord], list[PailRecord]]:
    return pails.alive(), pails.in_blocks(100, 100)


def test_what_is_written_here_is_seen(store: Store) -> None:
    pails = StorePails(store)
    assert seen(pails) == ([], [])
    pails.record([PLANTED])
    pails.record([WORKED])
    assert seen(pails) == ([WORKED], [WORKED])
    assert pails.alive(PailState.PLANTED) == []


def test_what_is_undone_was_never_there(store: Store) -> None:
    pails = StorePails(store)
    pails.record([PLANTED])
    with pytest.raises(RuntimeError), store.atomic():
        pails.record([WORKED])
        assert seen(pails) == ([WORKED], [WORKED])
        raise RuntimeError
    assert seen(pails) == ([PLANTED], [PLANTED])


def test_what_is_undone_within_a_transaction_was_never_there(store: Store) -> None:
    pails = StorePails(store)
    pails.record([PLANTED])
    with store.atomic():
        with pytest.raises(RuntimeError), store.atomic():
            pails.record([WORKED])
            raise RuntimeError
        assert seen(pails) == ([PLANTED], [PLANTED])
    assert seen(pails) == ([PLANTED], [PLANTED])


def test_what_another_process_writes_is_seen(store: Store) -> None:
    pails = StorePails(store)
    pails.record([PLANTED])
    assert seen(pails) == ([PLANTED], [PLANTED])
    with open_store(store.path, HOME) as other:
        StorePails(other).record([WORKED])
    assert seen(pails) == ([WORKED], [WORKED])
    with store.atomic():
        assert seen(pails) == ([WORKED], [WORKED])


def test_another_view_of_the_same_connection_sees_it_too(store: Store) -> None:
    pails = StorePails(store)
    assert seen(pails) == ([], [])
    StorePails(store).record([PLANTED])
    assert seen(pails) == ([PLANTED], [PLANTED])


def test_looking_again_reads_no_rows_however_long_the_past(store: Store) -> None:
    pails = StorePails(store)
    pails.record([replace(MISSED, farmer=farmer, block=block) for block in range(99) for farmer in (1, 2)])
    pails.record([PLANTED])
    assert seen(pails) == ([PLANTED], [PLANTED])
    asked: list[str] = []
    store.connection.set_trace_callback(asked.append)
    for _ in range(3):
        pails.alive(*ALIVE)
        pails.in_blocks(100, 100)
    store.connection.set_trace_callback(None)
    assert {query for query in asked if "pails" in query} == set()


def test_farmers_whom_another_process_changes_are_seen_changed(store: Store) -> None:
    farmers = StoreFarmers(store, HandClock())
    assert [one.email for one in farmers.all()] == [None, None]
    with open_store(store.path, HOME) as other:
        StoreFarmers(other, HandClock()).set_email(1, "ada@example.org")
    assert [one.email for one in farmers.all()] == ["ada@example.org", None]
    with pytest.raises(RuntimeError), store.atomic(synced=True):
        farmers.set_email(1, None)
        assert farmers.all()[0].email is None
        raise RuntimeError
    assert farmers.all()[0].email == "ada@example.org"
