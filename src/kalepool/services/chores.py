"""Upkeep of the store in the pauses of the round loop: a few small pieces at a time, and never in its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from kalepool.errors import KalepoolError, LockedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.ports import Upkeep

MOST_PIECES: Final = 8
MOST_S: Final = 0.05
"""Seconds that the pieces of one pause take together: one in a hundred, with a pause in each ledger."""


class Chores:
    """Does chores.

    Args:
        upkeep: of the store.
        monotonic: seconds of a clock that never steps.
        told: gets a line for people when something stands in the way; then there are no more chores.
    """

    def __init__(self, upkeep: Upkeep, monotonic: Callable[[], float], told: Callable[[str], None]) -> None:
        self._upkeep = upkeep
        self._monotonic = monotonic
        self._told = told
        self._is_off = False

    async def do_some(self, goes_on: Callable[[], bool]) -> None:
        """Do some pieces; everybody else has a turn after each of them.

        Args:
            goes_on: whether there is still time.
        """
        begun = self._monotonic()
        for _ in range(MOST_PIECES):
            if self._is_off or not goes_on() or self._monotonic() - begun > MOST_S or not self._piece():
                return
            await asyncio.sleep(0)

    def _piece(self) -> bool:
        try:
            return self._upkeep.step()
        except LockedError:
            return False
        except KalepoolError as error:
            # Mining goes on without it; what is wrong with a store, `db verify` tells.
            self._is_off = True
            self._told(f"the store is not rolled up: {error.message}")
            return False
