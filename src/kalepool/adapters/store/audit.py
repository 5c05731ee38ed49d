"""The audit log: who did what when, each row sealed together with the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.records import AuditRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.store.db import Store

START: Final = bytes(32)
"""What stands before the first row in the chain."""


class StoreAudit:
    """The audit log of a store. Fulfils ``ports.Audit``.

    Args:
        store: an open store.
        now: the machine's clock, Unix seconds.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def append(self, who: str, what: str, seal: Callable[[bytes, AuditRow], bytes]) -> AuditRow:
        """Add a row, synced.

        Args:
            who: the person or command.
            what: what was done, one line, without secrets.
            seal: gives the MAC over the chain before and the new row (its own ``chain`` empty), 32 bytes.
        """
        with self._store.atomic(synced=True):
            last = self._store.one("SELECT number, chain FROM audit ORDER BY number DESC LIMIT 1")
            number, before = last or (0, START)
            row = AuditRow(number + 1, self._now(), who, what, b"")
            sealed = AuditRow(row.number, row.at, who, what, seal(before, row))
            self._store.execute(
                "INSERT INTO audit VALUES (?, ?, ?, ?, ?)",
                (sealed.number, sealed.at, who, what, sealed.chain),
            )
        return sealed

    def rows(self) -> list[AuditRow]:
        """Give every row, oldest first."""
        return [AuditRow(*row) for row in self._store.all("SELECT * FROM audit ORDER BY number")]
