"""The ledger's entries, and layers of change over them that are kept or dropped whole."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Protocol

from kalepool.devnet.entries import Account, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalepool.devnet.entries import Value

Changes = dict[bytes, Entry | None]
"""Entries by key, as they became; None for one that was deleted."""


class View(Protocol):
    """Something entries can be read from."""

    def get(self, key: bytes) -> Entry | None:
        """Give the entry under this key, or None."""


class State:
    """All live entries after the last closed ledger."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._ends: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def get(self, key: bytes) -> Entry | None:
        """Give the entry under this key, or None."""
        return self._entries.get(key)

    def apply(self, changes: Changes) -> None:
        """Take over a finished layer of changes."""
        for key, entry in changes.items():
            if entry is None:
                self._entries.pop(key, None)
                continue
            before = self._entries.get(key)
            self._entries[key] = entry
            if before is not None and before.live_until == entry.live_until:
                continue  # its end is known; an entry that changes often must not pile up there
            if entry.temporary and entry.live_until is not None:
                heapq.heappush(self._ends, (entry.live_until, key))

    def expired(self, sequence: int) -> Changes:
        """Give what no longer exists in this ledger: temporary entries past their end."""
        gone: Changes = {}
        while self._ends and self._ends[0][0] < sequence:
            _, key = heapq.heappop(self._ends)
            entry = self._entries.get(key)
            if entry is not None and not entry.is_live(sequence):
                gone[key] = None
        return gone


class Layer:
    """Changes over a view, for one ledger, transaction, operation or call.

    Entries past their end do not exist here, though they may lie below.

    Args:
        below: what is changed.
        sequence: the ledger in which the changes happen.
    """

    def __init__(self, below: View, sequence: int) -> None:
        self.below = below
        self.sequence = sequence
        self.changes: Changes = {}

    def get(self, key: bytes) -> Entry | None:
        """Give the entry under this key, or None."""
        try:
            return self.changes[key]
        except KeyError:
            entry = self.below.get(key)
        return entry if entry is not None and entry.is_live(self.sequence) else None

    def put(
        self, key: bytes, value: Value, live_until: int | None = None, *, temporary: bool = False
    ) -> Entry:
        """Write an entry, marked as modified in this ledger."""
        entry = Entry(key, value, self.sequence, live_until, temporary=temporary)
        self.changes[key] = entry
        return entry

    def put_entry(self, entry: Entry) -> None:
        """Write an entry as it is."""
        self.changes[entry.key] = entry

    def delete(self, key: bytes) -> None:
        """Remove an entry."""
        self.changes[key] = None

    def layer(self) -> Layer:
        """Give a layer over this one."""
        return Layer(self, self.sequence)

    def keep(self) -> None:
        """Move the changes into the layer below."""
        assert isinstance(self.below, Layer)
        self.below.changes.update(self.changes)

    def difference(self) -> list[tuple[Entry | None, Entry | None]]:
        """Give each change as (before, after), without those that end where they began."""
        pairs = ((self.before(key), after) for key, after in self.changes.items())
        return [(before, after) for before, after in pairs if before is not after]

    def before(self, key: bytes) -> Entry | None:
        """Give the entry as it was below this layer."""
        entry = self.below.get(key)
        return entry if entry is not None and entry.is_live(self.sequence) else None

    def account(self, key: bytes) -> Account | None:
        """Give the account under this key, or None."""
        entry = self.get(key)
        return entry.value if entry is not None and isinstance(entry.value, Account) else None
