"""Looking at the farm: which pails are asked for, and what a snapshot makes of those in the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.core import standstill
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.pails import observe
from kalepool.core.records import ALIVE, BlockRecord, PailRecord, PailState
from kalepool.core.strategy import Pace, due_at
from kalepool.services.remembering import is_told, plant_state, unread_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farm import Block
    from kalepool.core.farmers import Farmer
    from kalepool.core.intents import State
    from kalepool.core.standstill import Standstill
    from kalepool.ports import Blocks
    from kalepool.services.means import Means

HARVESTS_AT_ONCE: Final = 50
"""Farmers whose harvestable pails are read in one look, so that reading stays one request."""

_KEPT: Final = frozenset({FarmerState.ACTIVE, FarmerState.PAUSED, FarmerState.EXITING})
_LIVING: Final = (PailState.PLANNED, PailState.PLANTED, PailState.WORKED)


@dataclass(frozen=True, slots=True)
class Change:
    """A pail that became another: as it was known before, or None, and as it is known now."""

    farmer: Farmer
    before: PailRecord | None
    now: PailRecord


def kept(farmers: Iterable[Farmer]) -> list[Farmer]:
    """Give the farmers whose pails the pool looks after.

    Whose wallet it holds, until he has left; who plants himself, while he is active.
    """
    return [
        farmer
        for farmer in farmers
        if farmer.state is FarmerState.ACTIVE
        or (farmer.custody is Custody.CUSTODIAL and farmer.state in _KEPT)
    ]


class Observer:
    """Asks for what matters, once a ledger, and remembers what it shows.

    Args:
        means: of the pool.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._due_at: float | None = None
        self._asked: dict[tuple[int, int], Farmer] = {}
        self.ripe: dict[int, list[PailRecord]] = {}
        self.index: int | None = None
        self._pace: Pace | None = None
        self._standstill: Standstill | None = None

    async def read(self, farmers: Sequence[Farmer], *, every: int | None, busy: frozenset[int]) -> Snapshot:
        """Read the farm and the pails that something may have to be done about.

        Args:
            farmers: all of the pool's.
            every: harvest after so many blocks whatever the terms say; None to follow them.
            busy: farmers with a harvest under way: what is harvestable of theirs is not asked for.
        """
        if self.index is None:
            self.index = (await self._means.chain.snapshot([])).farm.index
            self.reload()
        self._asked = self._wanted(farmers, self.index, every, busy)
        pails = [(farmer.address, block) for (_, block), farmer in self._asked.items()]
        blocks = sorted({block for _, block in self._asked if block <= self.index})
        return await self._means.chain.snapshot(pails, blocks)

    def reload(self) -> None:
        """Read from the store which pails are harvestable.

        What was so before stays until a look has shown what became of it: somebody else may have harvested it.
        """
        ripe = {(record.farmer, record.block): record for records in self.ripe.values() for record in records}
        ripe |= {
            (record.farmer, record.block): record for record in self._means.pails.alive(PailState.HARVESTABLE)
        }
        self.ripe = {}
        for record in ripe.values():
            self.ripe.setdefault(record.farmer, []).append(record)

    def record(self, snapshot: Snapshot, pace: Pace) -> list[Change]:
        """Remember Blocks and pails as a snapshot shows them; give the pails that changed.

        What is known is read in the same transaction: a harvest from cron may have come between.
        """
        means, farm = self._means, snapshot.farm
        if self._pace is not None:
            self._standstill = standstill.between(self._pace, pace) or self._standstill
        self._pace = pace
        with means.store.atomic():
            means.blocks.record(_blocks(snapshot, pace))
            changes = self._excused(self._changes(snapshot))
            means.pails.record([change.now for change in changes])
        opened = self.index != farm.index
        self.index = farm.index
        self._due_at = None if farm.block is None else due_at(farm.block)
        self._keep_ripe(changes)
        if opened:
            self.reload()
        return changes

    def _wanted(
        self, farmers: Sequence[Farmer], index: int, every: int | None, busy: frozenset[int]
    ) -> dict[tuple[int, int], Farmer]:
        by_number = {farmer.number: farmer for farmer in farmers}
        wanted = {}
        clock = self._means.clock
        # A block may have opened since the last look, and then its pails are wanted in the same read.
        due = self._due_at is None or clock.now() >= self._due_at - clock.ledger_seconds
        for farmer in kept(farmers):
            wanted[farmer.number, index] = farmer
            if due:
                wanted[farmer.number, index + 1] = farmer
        for record in self._means.pails.alive(*_LIVING):
            wanted[record.farmer, record.block] = by_number[record.farmer]
        for farmer in self._harvestable(by_number, index, every, busy):
            wanted |= {(farmer.number, record.block): farmer for record in self.ripe[farmer.number]}
        return wanted

    def _harvestable(
        self, farmers: dict[int, Farmer], index: int, every: int | None, busy: frozenset[int]
    ) -> list[Farmer]:
        margin = self._means.policy.harvest_margin_ledgers
        view = self._means.views.last()
        ledger = 0 if view is None else view.ledger
        found = []
        for number, records in self.ripe.items():
            ends = min((record.live_until or 0) - ledger for record in records)
            age = index - min(record.block for record in records)
            if number not in busy and (
                ends <= margin or age >= (every or farmers[number].terms.harvest_every)
            ):
                found.append((ends > margin, -age, number))
        return [farmers[number] for _, _, number in sorted(found)[:HARVESTS_AT_ONCE]]

    def _changes(self, snapshot: Snapshot) -> list[Change]:
        pails = self._means.pails
        known = {
            (record.farmer, record.block): record
            for block in sorted({block for _, block in self._asked})
            for record in pails.in_blocks(block, block)
        }
        changes = []
        gone: dict[int, Block | None] = {}
        unread = unread_from(self._means.facts)
        for (number, block), farmer in self._asked.items():
            record = known.get((number, block))
            if record is None:
                changes += _adopted(farmer, block, snapshot)
                continue
            if record.state not in ALIVE and (old := self._ripe(number, block)) is not None:
                # Another service or process has seen its end already.
                changes.append(Change(farmer, old, record))
                continue
            dated = snapshot.blocks.get(block)
            if dated is None and block not in gone:
                gone[block] = _last_seen(self._means.blocks, block)
            last = gone[block] if dated is None else dated.block
            steps = observe(
                record, farmer.address, last, snapshot, self._plant, unread=unread, told=self._is_told
            )
            for now in steps:
                changes.append(Change(farmer, record, now))
                record = now
        return changes

    def _excused(self, changes: list[Change]) -> list[Change]:
        """Give changes with the reason of a lost stake, where the network is known to have caused it."""
        return [self._excuse(one) if one.now.state is PailState.FORFEITED else one for one in changes]

    def _excuse(self, change: Change) -> Change:
        block = _last_seen(self._means.blocks, change.now.block)
        why = "" if block is None else standstill.excuse(self._standstill, block.timestamp)
        return replace(change, now=replace(change.now, why=why)) if why else change

    def _plant(self, farmer: int, block: int) -> State | None:
        return plant_state(self._means.journal, farmer, block)

    def _is_told(self, record: PailRecord) -> bool:
        return is_told(self._means.journal, self._means.facts, record)

    def drop_ripe(self, farmer: int, block: int) -> None:
        """Take note that a pail has been harvested, and the store knows."""
        left = [record for record in self.ripe.pop(farmer, []) if record.block != block]
        if left:
            self.ripe[farmer] = left

    def _ripe(self, farmer: int, block: int) -> PailRecord | None:
        return next((record for record in self.ripe.get(farmer, []) if record.block == block), None)

    def _keep_ripe(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.drop_ripe(change.now.farmer, change.now.block)
            if change.now.state is PailState.HARVESTABLE:
                self.ripe.setdefault(change.now.farmer, []).append(change.now)


def pace_of(snapshot: Snapshot, now: float, ledger_seconds: float) -> Pace:
    """Give time as a snapshot's ledger has it."""
    tip = snapshot.tip
    assert tip is not None
    # Within one request a ledger may close between the two answers.
    close_time = tip.close_time + round((snapshot.ledger - tip.ledger) * ledger_seconds)
    return Pace(snapshot.ledger, close_time, now, ledger_seconds)


def _adopted(farmer: Farmer, block: int, snapshot: Snapshot) -> list[Change]:
    """Begin to know a pail that stands on the chain: planted by a former life, or by the farmer himself."""
    found = snapshot.pails.get((farmer.address, block))
    if found is None:
        return []
    first = PailRecord(
        farmer.number,
        block,
        PailState.PLANTED,
        found.pail.stake,
        found.pail.sequence,
        live_until=found.live_until,
    )
    dated = snapshot.blocks.get(block)
    changes = [Change(farmer, None, first)]
    for now in observe(first, farmer.address, None if dated is None else dated.block, snapshot):
        changes.append(Change(farmer, changes[-1].now, now))
    return changes


def _blocks(snapshot: Snapshot, pace: Pace) -> list[BlockRecord]:
    return [
        BlockRecord(
            index,
            dated.block,
            dated.live_until,
            pace.ledger if dated.block.timestamp == pace.close_time else None,
        )
        for index, dated in snapshot.blocks.items()
    ]


def _last_seen(blocks: Blocks, index: int) -> Block | None:
    found = blocks.between(index, index)
    return found[0].block if found else None
