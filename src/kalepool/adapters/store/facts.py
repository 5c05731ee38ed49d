"""Small things a store remembers by name: what the operator agreed to, and where the file came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.store.db import Store


class StoreFacts:
    """Named facts. Fulfils ``ports.Facts``.

    Args:
        store: an open store.
        now: the machine's clock, Unix seconds.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def get(self, name: str) -> str | None:
        """Give a fact; None where there is none."""
        row = self._store.one("SELECT value FROM facts WHERE name = ?", (name,))
        return None if row is None else row[0]

    def put(self, name: str, value: str) -> None:
        """Set a fact, synced."""
        with self._store.atomic(synced=True):
            self._store.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (name, value, self._now()))

    def drop(self, name: str) -> None:
        """Forget a fact, synced; one that is not there is no error."""
        with self._store.atomic(synced=True):
            self._store.execute("DELETE FROM facts WHERE name = ?", (name,))
