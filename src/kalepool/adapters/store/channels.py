"""Channel accounts, leased to one process at a time, so that no two meet on a sequence number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.owners import Owner

# The inner query goes through the partial indexes: open intents, and attempts that may live.
_TAKE: Final = """
    UPDATE channels SET owner = ?1 WHERE number IN (
        SELECT number FROM channels
        WHERE (owner IS NULL OR owner = ?1 OR owner IN (SELECT value FROM json_each(?2)))
            AND address NOT IN (
                SELECT source FROM open_intents JOIN attempts ON intent = open_intents.number
                WHERE verdict <> 'dead' AND open_intents.owner <> ?3
            )
        ORDER BY owner IS NOT ?1, number
        LIMIT ?4
    )
"""


class ChannelLeases:
    """The channel accounts, as one owner sees them. Fulfils ``ports.Channels``."""

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner

    def add(self, addresses: Sequence[tuple[int, str]]) -> None:
        """Make channels known, by derivation number; those known already stay as they are."""
        with self._store.atomic():
            self._store.execute_many(
                "INSERT INTO channels (number, address) VALUES (?, ?) ON CONFLICT (number) DO NOTHING",
                addresses,
            )

    def known(self) -> list[tuple[int, str]]:
        """Give every channel by number, leased or not."""
        return [
            (number, address)
            for number, address in self._store.all("SELECT number, address FROM channels ORDER BY number")
        ]

    def lease(self, count: int) -> list[str]:
        """Take up to some channels, those held already counted; give the addresses held.

        A dead owner's channel is taken over, but none that a transaction of somebody else's may still
        use: its sequence number is not ours to move.
        """
        with self._store.atomic():
            holders = [
                row[0] for row in self._store.all("SELECT DISTINCT owner FROM channels WHERE owner NOT NULL")
            ]
            self._store.execute(
                _TAKE, (self._owner.number, json.dumps(self._owner.dead(holders)), self._owner.number, count)
            )
            return self._held()

    def release(self) -> None:
        """Give back every channel held."""
        self._store.execute("UPDATE channels SET owner = NULL WHERE owner = ?", (self._owner.number,))

    def _held(self) -> list[str]:
        rows = self._store.all(
            "SELECT address FROM channels WHERE owner = ? ORDER BY number", (self._owner.number,)
        )
        return [address for (address,) in rows]
