"""Small things that a store remembers: ranges of ledgers, and from which on harvests may be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.facts import StoreFacts
from kalepool.adapters.store.journal import StoreJournal
from kalepool.core.facts import BOOKED, RESTORED, UNREAD, UNSEEN, spans
from kalepool.core.intents import Kind, Plan, State, pail_item
from kalepool.core.records import PailRecord, PailState
from kalepool.services.remembering import is_told, unread_from

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store
    from support.store import Town


@pytest.mark.parametrize(
    ("text", "found"),
    [(None, []), ("", []), ("5-5", [(5, 5)]), ("100-250 300-310", [(100, 250), (300, 310)])],
)
def test_ranges_of_ledgers_are_read(text: str | None, found: list[tuple[int, int]]) -> None:
    assert spans(text) == found


@pytest.mark.parametrize(
    ("facts", "unread"),
    [
        ({}, None),
        ({UNREAD: "90"}, 90),  # a fee of ours that the journal does not know
        ({UNREAD: "90", UNSEEN: "100-250"}, 90),
        ({UNREAD: "100", UNSEEN: "100-250"}, None),  # nodes have forgotten: no sign of an old store
        ({UNREAD: "300", UNSEEN: "100-250 300-310"}, None),
        ({UNREAD: "100", UNSEEN: "100-250", RESTORED: "yes"}, 100),
    ],
)
def test_ledgers_that_nodes_have_forgotten_do_not_keep_the_dead_alive(
    store: Store, facts: dict[str, str], unread: int | None
) -> None:
    remembered = StoreFacts(store, lambda: 0.0)
    for name, value in facts.items():
        remembered.put(name, value)
    assert unread_from(remembered) == unread


@pytest.mark.parametrize(("booked", "is_all"), [(None, True), ("99", False), ("100", True), ("101", True)])
def test_what_others_harvested_is_known_once_events_are_read_to_the_end_of_a_life(
    store: Store, journal: StoreJournal, booked: str | None, is_all: bool
) -> None:
    facts = StoreFacts(store, lambda: 0.0)
    if booked is not None:
        facts.put(BOOKED, booked)
    record = PailRecord(1, 7, PailState.HARVESTABLE, 10, live_until=100)
    assert is_told(journal, facts, record) is is_all


@pytest.mark.parametrize(
    ("kind", "block", "state", "is_all"),
    [
        (Kind.HARVEST, 7, None, False),
        (Kind.HARVEST, 8, None, True),
        (Kind.EXTEND, 7, None, True),
        (Kind.HARVEST, 7, State.EXPIRED, True),
    ],
)
def test_what_another_process_harvests_is_known_once_it_is_closed(
    store: Store, town: Town, journal: StoreJournal, kind: Kind, block: int, state: State | None, is_all: bool
) -> None:
    other = StoreJournal(store, town.owner(2))
    (intent,) = other.plan_all([Plan(kind, "of another", (pail_item(1, block),))])
    assert intent is not None
    if state is not None:
        other.mark([intent.number], state)
    record = PailRecord(1, 7, PailState.HARVESTABLE, 10, live_until=100)
    assert is_told(journal, StoreFacts(store, lambda: 0.0), record) is is_all
