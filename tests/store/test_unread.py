"""Small things that a store remembers: ranges of ledgers, and from which on harvests may be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.facts import StoreFacts
from kalepool.core.facts import RESTORED, UNREAD, UNSEEN, spans
from kalepool.services.remembering import unread_from

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store


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
