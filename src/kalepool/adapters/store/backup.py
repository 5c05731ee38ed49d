"""A copy of a store in use: whole, checked, and marked as a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.adapters.store.db import Store
from kalepool.adapters.store.files import new_file
from kalepool.adapters.store.verify import verify
from kalepool.core.facts import BOOKED, RESTORED, UNREAD
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def back_up(store: Store, target: Path, *, now: float) -> None:
    """Copy a store, as of one moment, to a new file that its owner alone can read.

    Others may write to the store meanwhile. The copy is checked before it gets its name. It carries
    the fact ``RESTORED``, so that a pool started from it knows that later payments are unknown to it.

    Args:
        store: the open store.
        target: a name not taken.
        now: the machine's time, Unix seconds, for the mark.

    Raises:
        ConfigError: when the name is taken, the disk full, or the store not sound: then there is no copy.
    """
    with new_file(target) as draft, Store(draft) as copy:
        with store.translated():
            # In one go: a copy in steps begins again whenever another process writes.
            store.connection.backup(copy.connection)
        # So that the copy stands in one file that can be read where nothing can be written beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        findings = verify(copy)
        if findings:
            raise ConfigError(
                f"the store {store.path} is not sound, and no backup was made: {findings[0]}",
                hint="see all of it with: kalepool db verify",
            )
        copy.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (RESTORED, f"{now:.0f}", now))
        # From the ledger after the last one read here; a store that is unread from an earlier one stays so.
        copy.execute(
            "INSERT OR IGNORE INTO facts SELECT ?, CAST(value + 1 AS TEXT), ? FROM facts WHERE name = ?",
            (UNREAD, now, BOOKED),
        )
