"""Chores: small pieces in the pauses, which nothing waits for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from kalepool.errors import InternalError, KalepoolError, LockedError
from kalepool.services.chores import MOST_PIECES, MOST_S, Chores
from kalepool.services.events import Name
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Work:
    """So many pieces, each of which takes so long, and may fail."""

    left: int = 100
    takes: float = 0.001
    now: float = 0.0
    error: KalepoolError | None = None
    told: list[str] = field(default_factory=list)

    def step(self) -> bool:
        self.now += self.takes
        if self.error is not None:
            raise self.error
        self.left -= 1
        return self.left >= 0

    def pause(self, chores: Chores | None = None, *, goes_on: bool = True) -> int:
        """Have one pause; give how many pieces were done."""
        before = self.left
        asyncio.run((chores or self.chores()).do_some(lambda: goes_on))
        return before - self.left

    def chores(self) -> Chores:
        return Chores(self, lambda: self.now, self.told.append)


def test_a_pause_takes_a_few_pieces_and_ends_with_the_work() -> None:
    assert Work().pause() == MOST_PIECES
    assert Work(left=0).pause() == 1


def test_a_pause_ends_when_it_takes_too_long_or_the_time_is_over() -> None:
    assert Work(takes=MOST_S / 2).pause() == 3
    assert Work().pause(goes_on=False) == 0


def test_a_busy_store_is_left_alone_until_the_next_pause() -> None:
    work = Work(error=LockedError("busy", hint="wait"))
    chores = work.chores()
    assert work.pause(chores) == 0
    work.error = None
    assert work.pause(chores) == MOST_PIECES
    assert work.told == []


def test_what_is_wrong_is_told_once_and_ends_the_chores() -> None:
    work = Work(error=InternalError("the store refused"))
    chores = work.chores()
    assert work.pause(chores) == 0
    assert work.pause(chores) == 0
    assert work.told == ["the store is not rolled up: the store refused"]


def test_others_have_a_turn_after_each_piece() -> None:
    work, turns = Work(), list[int]()

    async def both() -> None:
        task = asyncio.create_task(work.chores().do_some(lambda: True))
        while not task.done():
            turns.append(work.left)
            await asyncio.sleep(0)

    asyncio.run(both())
    assert [before - after for before, after in pairwise(turns)] == [1] * (len(turns) - 1)


def test_mining_does_them_between_its_looks_and_plants_all_the_same(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=0)
    work = Work(left=1_000_000)
    shift.pool.__dict__["roll_up"] = lambda: work
    outcome = shift.mine(2)
    assert (len(outcome.blocks), outcome.at_risk) == (2, ())
    assert 1_000_000 - work.left > 100
    shift.pool.close()


def test_mining_goes_on_where_the_store_cannot_be_rolled_up(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=1, neighbours=0)
    shift.pool.__dict__["roll_up"] = lambda: Work(error=InternalError("the store refused"))
    assert len(shift.mine(1).blocks) == 1
    told = [event.reason for event in shift.told(Name.RETRY)]
    assert told == ["the store is not rolled up: the store refused"]
    shift.pool.close()
