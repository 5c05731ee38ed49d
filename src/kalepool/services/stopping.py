"""When the round loop ends: after so many blocks, or when a person says so, in two steps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from kalepool.core.records import PailState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalepool.core.records import PailRecord

OPENING_GRACE_S = 30.0
"""Network seconds that others are given to open the block that makes the last one harvestable."""


class Phase(IntEnum):
    """How far the end has come."""

    RUNNING = 0
    STOPPING = 1  # nothing more is planted, open pails are worked
    HALTED = 2  # at once


class Stop:
    """The two-step stop. Signal handlers may call ``request``."""

    def __init__(self) -> None:
        self._reached = {Phase.STOPPING: asyncio.Event(), Phase.HALTED: asyncio.Event()}

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        return max((phase for phase, event in self._reached.items() if event.is_set()), default=Phase.RUNNING)

    def request(self) -> None:
        """Take one step further."""
        self._reached[Phase(min(self.phase + 1, Phase.HALTED))].set()

    async def beyond(self, phase: Phase) -> None:
        """Wait until it has come further than a phase; for ever beyond the last."""
        if phase is Phase.HALTED:
            await asyncio.get_running_loop().create_future()
        await self._reached[Phase(phase + 1)].wait()


@dataclass(frozen=True, slots=True)
class Goal:
    """How long to mine.

    Attributes:
        blocks: so many blocks are planted, then harvested; None to go on for ever.
        opens: whether the block after the last is opened here when nobody else does.
    """

    blocks: int | None = None
    opens: bool = True


class Progress:
    """How far a goal has come.

    Args:
        goal: how long to mine.
    """

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._begun: set[int] = set()

    @property
    def blocks(self) -> tuple[int, ...]:
        """Blocks planted in this run, or being planted."""
        return tuple(sorted(self._begun))

    @property
    def is_full(self) -> bool:
        """Whether no further block is to be planted."""
        return self._goal.blocks is not None and len(self._begun) >= self._goal.blocks

    def may_plant(self, block: int) -> bool:
        """Tell whether plants may be sent for a block."""
        return block in self._begun or not self.is_full

    def begin(self, block: int) -> None:
        """Count a block for which plants have left."""
        self._begun.add(block)

    def drop_missed(self, records: Iterable[PailRecord], index: int) -> None:
        """Take blocks that are over out of the count when none of their plants landed."""
        landed = {
            record.block for record in records if record.state not in {PailState.PLANNED, PailState.MISSED}
        }
        self._begun = {block for block in self._begun if block >= index or block in landed}

    def is_reached(self, records: Iterable[PailRecord], index: int) -> bool:
        """Tell whether everything planted in this run has come to its end."""
        if not self.is_full or any(block >= index for block in self._begun):
            return False
        living = {PailState.PLANNED, PailState.PLANTED, PailState.WORKED, PailState.HARVESTABLE}
        return not any(record.state in living for record in records)

    def opens_next(self, index: int, due_at: float, now: float) -> bool:
        """Tell whether it is for us to open the block after the last: it is due, and nobody has."""
        return self._waits_for_opening(index, due_at, now) and self._goal.opens

    def is_pending(self, index: int, due_at: float, now: float) -> bool:
        """Tell whether the last block stays open because nobody opens the next, and we are not to."""
        return self._waits_for_opening(index, due_at, now) and not self._goal.opens

    def _waits_for_opening(self, index: int, due_at: float, now: float) -> bool:
        return self.is_full and max(self._begun) == index and now >= due_at + OPENING_GRACE_S


@dataclass(frozen=True, slots=True)
class AtRisk:
    """A stake that is lost unless its pail is worked before its block ends.

    Attributes:
        farmer: his name.
        block: index.
        stake: stroops.
    """

    farmer: str
    block: int
    stake: int
