"""Pails that are wanted every ledger, kept in memory for as long as the store holds the same.

Reading a thousand rows to learn that nothing has changed is most of what a look would cost. What another
process writes, and what is undone here, makes all of it void; what is written here is written to both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.records import ALIVE, PailRecord, PailState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kalepool.adapters.store.db import Store

    Read = Callable[[], list[PailRecord]]

_TABLE: Final = "pails"
_MOST_BLOCKS: Final = 8
"""Blocks kept: the current one, the next, and those of a harvest."""


class PailCopy:
    """A part of the table of pails in memory.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stamp: object = None
        self._alive: dict[PailState, dict[tuple[int, int], PailRecord]] | None = None
        self._blocks: dict[int, dict[int, PailRecord]] = {}

    def alive(self, states: Iterable[PailState], read: Read) -> list[PailRecord]:
        """Give the living pails of some states, by block and farmer.

        Args:
            states: of these.
            read: reads all the living from the store.
        """
        self._check()
        if self._alive is None:
            self._alive = {state: {} for state in ALIVE}
            for pail in read():
                self._alive[pail.state][pail.block, pail.farmer] = pail
        found: dict[tuple[int, int], PailRecord] = {}
        for state in ALIVE.intersection(states):
            found |= self._alive[state]
        return [found[key] for key in sorted(found)]

    def block(self, block: int, read: Read) -> list[PailRecord]:
        """Give the pails of a block, by farmer.

        Args:
            block: its index.
            read: reads them from the store.
        """
        self._check()
        known = self._blocks.pop(block, None)
        if known is None:
            known = {pail.farmer: pail for pail in read()}
        self._blocks[block] = known  # the last one asked for stays longest
        if len(self._blocks) > _MOST_BLOCKS:
            del self._blocks[next(iter(self._blocks))]
        return [known[farmer] for farmer in sorted(known)]

    def write(self, pails: Sequence[PailRecord]) -> None:
        """Take over what has been written to the store in the transaction that is open."""
        self._check()
        self._store.note_write(_TABLE)
        self._stamp = self._store.stamp(_TABLE)
        for pail in pails:
            if pail.block in self._blocks:
                self._blocks[pail.block][pail.farmer] = pail
            if self._alive is not None:
                key = pail.block, pail.farmer
                for known in self._alive.values():
                    known.pop(key, None)
                if pail.state in ALIVE:
                    self._alive[pail.state][key] = pail

    def _check(self) -> None:
        stamp = self._store.stamp(_TABLE)
        if stamp != self._stamp:
            self._stamp, self._alive, self._blocks = stamp, None, {}
