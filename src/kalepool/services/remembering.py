"""What the store remembers of pails, kept in step with snapshots, whoever else writes to it meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kalepool.core.facts import BOOKED, RESTORED, UNREAD, UNSEEN, spans
from kalepool.core.harvests import paid_by
from kalepool.core.intents import Kind, State, pail_item, plant_purpose
from kalepool.core.pails import observe, paid, reward_of
from kalepool.core.records import ALIVE, BlockRecord, PailRecord, PailState
from kalepool.core.shares import Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farm import Block, Pail
    from kalepool.core.farmers import Farmer
    from kalepool.ports import Blocks, Facts, Journal, Pails, Transactions

Key = tuple[int, int]
"""(farmer's number, block index)."""

_ENDED: Final = frozenset(PailState) - ALIVE - {PailState.MISSED}
_PAYABLE: Final = frozenset({PailState.WORKED, PailState.HARVESTABLE})
_NOT_SEEN: Final = frozenset({PailState.PLANNED, PailState.MISSED})
_PAID: Final = _PAYABLE | {PailState.PLANTED}
"""A pail of which no work was seen is paid all the same, in a store that is older than its harvest."""


def plant_state(journal: Journal, farmer: int, block: int) -> State | None:
    """Give where the last plant of a farmer in a block stands; None where there was none."""
    last: State | None = None
    again = 0
    while begun := journal.states([plant_purpose(farmer, block, again)]):
        (last,) = begun.values()
        again += 1
    return last


def unread_from(facts: Facts) -> int | None:
    """Give the ledger from which on harvests of ours may be unknown here; None where all are known.

    Ledgers that no node has any more may hide a payment, which must not be made twice. That this store
    is an old one they do not say: what is gone after them has died, unless something else says otherwise.
    """
    unread = facts.get(UNREAD)
    if unread is None:
        return None
    is_gap = any(first <= int(unread) <= last for first, last in spans(facts.get(UNSEEN)))
    return None if is_gap and facts.get(RESTORED) is None else int(unread)


def is_told(journal: Journal, facts: Facts, record: PailRecord) -> bool:
    """Tell whether every harvest that a pail's life left time for is known here.

    Others' are known once events have been read to its end; ours, of whichever process, once they are closed. One
    of which no history tells any more keeps no pail alive.
    """
    booked, end = facts.get(BOOKED), record.live_until
    if booked is not None and end is not None and int(booked) < end:
        return False
    item = pail_item(record.farmer, record.block)
    return not any(
        intent.kind is Kind.HARVEST and item in intent.items and intent.state is not State.UNRESOLVED
        for intent in journal.open_intents(mine=False)
    )


class Memory:
    """Brings what is known of pails up to what a snapshot shows.

    Args:
        pails: what is known of them.
        blocks: Blocks as last seen.
        plant: gives where our plant of a farmer in a block stands; None where there is none.
        store: makes reading and writing one, so that another process cannot come between.
        facts: whether transactions of ours may be unknown here.
        told: whether every harvest of a pail that could have died is known.
    """

    def __init__(
        self,
        pails: Pails,
        blocks: Blocks,
        plant: Callable[[int, int], State | None],
        store: Transactions,
        facts: Facts,
        told: Callable[[PailRecord], bool],
    ) -> None:
        self._pails = pails
        self._blocks = blocks
        self._plant = plant
        self._store = store
        self._facts = facts
        self._told = told

    def take(
        self, snapshot: Snapshot, asked: Iterable[Key], farmers: Mapping[int, Farmer], *, dry: bool = False
    ) -> list[PailRecord]:
        """Remember what a snapshot shows of pails; give those that changed, as they are now known.

        A pail on the chain that the store does not know is remembered too. One whose Block has
        died before it was harvested is lost, though the pail itself may still stand there.

        Args:
            snapshot: a read that asked for the pails below, and for the Block of each whose block is over.
            asked: the pails.
            farmers: by number.
            dry: write nothing, only tell.
        """
        if dry:
            return self._changed(snapshot, asked, farmers)[1]
        with self._store.atomic():
            steps, changed = self._changed(snapshot, asked, farmers)
            self._pails.record(steps)
            wanted = {record.block for record in changed}
            self._blocks.record(
                [
                    BlockRecord(index, dated.block, dated.live_until)
                    for index, dated in snapshot.blocks.items()
                    if index in wanted
                ]
            )
        return changed

    def ended(self, farmer: int, blocks: Sequence[int]) -> set[int]:
        """Tell of which blocks a farmer's pail is known to be gone, though a node that lags may still show it."""
        if not blocks:
            return set()
        records = self._pails.of_farmer(farmer, min(blocks), max(blocks))
        return {record.block for record in records if record.state in _ENDED}

    def adopt(self, ended: Mapping[Key, Pail], *, unknown: bool) -> None:
        """Begin to know pails that were planted, worked and harvested while nothing here knew of it.

        What their harvest paid is for ``settle`` to say.

        Args:
            ended: as they were before it; those that are known to have been planted are left alone.
            unknown: whether those of which nothing at all is known are taken over too.
        """
        steps = []
        with self._store.atomic():
            for (farmer, block), pail in ended.items():
                known = self._pails.of_farmer(farmer, block, block)
                if known[0].state in _NOT_SEEN if known else unknown:
                    first = PailRecord(farmer, block, PailState.PLANTED, pail.stake, pail.sequence)
                    worked = replace(first, state=PailState.WORKED, gap=pail.gap, zeros=pail.zeros)
                    steps += [first, worked]
            self._pails.record(steps)

    def settle(self, keys: Sequence[Key], mints: Sequence[int]) -> dict[Key, PailRecord]:
        """Remember which pails of one landed harvest were paid; give them as they are now known.

        Args:
            keys: the pails of the call, in its order.
            mints: stroops minted, in that order; fewer where a pail was gone.
        """
        with self._store.atomic():
            records = {
                key: record for key in keys for record in self._pails.of_farmer(key[0], key[1], key[1])
            }
            expected = [(block, self._expected(records.get((farmer, block)))) for farmer, block in keys]
            minted = paid_by(mints, expected)
            harvested = {}
            for key, record in records.items():
                if record.block in minted:
                    harvested[key] = paid(record, minted[record.block])
            self._pails.record([harvested[key] for key in harvested if records[key].state in _PAID])
        return harvested

    def _expected(self, record: PailRecord | None) -> int | None:
        """Give what a harvest of a pail mints, stroops; None where too little is known of it."""
        if record is None or record.gap is None or record.zeros is None:
            return None
        for known in self._blocks.between(record.block, record.block):
            return record.stake + reward_of(record, known.block)
        return None

    def _changed(
        self, snapshot: Snapshot, asked: Iterable[Key], farmers: Mapping[int, Farmer]
    ) -> tuple[list[PailRecord], list[PailRecord]]:
        keys = sorted(set(asked), key=lambda key: (key[1], key[0]))
        known = {
            (record.farmer, record.block): record
            for block in sorted({block for _, block in keys})
            for record in self._pails.in_blocks(block, block)
        }
        steps: list[PailRecord] = []
        changed: list[PailRecord] = []
        unread = unread_from(self._facts)
        for farmer, index in keys:
            address = farmers[farmer].address
            path: list[PailRecord] = []
            record = known.get((farmer, index))
            if record is None:
                record = _found(farmer, address, index, snapshot)
                if record is None:
                    continue
                path.append(record)
            block = self._block(index, snapshot)
            path += observe(record, address, block, snapshot, self._plant, unread=unread, told=self._told)
            lost = self._without_block(path[-1] if path else record, address, snapshot)
            path += [] if lost is None else [lost]
            steps += path
            changed += path[-1:]
        return steps, changed

    def _block(self, index: int, snapshot: Snapshot) -> Block | None:
        """Give a Block as it is, or as it was last seen."""
        dated = snapshot.blocks.get(index)
        if dated is not None:
            return dated.block
        return next((known.block for known in self._blocks.between(index, index)), None)

    def _without_block(self, record: PailRecord, address: str, snapshot: Snapshot) -> PailRecord | None:
        """Give a worked pail as lost where its block is over and its Block has died."""
        if (
            record.state not in _PAYABLE
            or record.block >= snapshot.farm.index
            or record.block in snapshot.blocks
            or (address, record.block) not in snapshot.pails
        ):
            return None
        known = next(iter(self._blocks.between(record.block, record.block)), None)
        if known is not None and snapshot.ledger <= known.live_until:
            # A life only ever gets longer: the owner of the farm has taken the Block away.
            why = f"{Loss.NETWORK}: its Block was removed though it lived until ledger {known.live_until}"
        else:
            why = "its Block died before it was harvested"
        return replace(record, state=PailState.EXPIRED, why=why)


def _found(farmer: int, address: str, index: int, snapshot: Snapshot) -> PailRecord | None:
    """Begin the record of a pail that is on the chain and unknown here."""
    dated = snapshot.pails.get((address, index))
    if dated is None:
        return None
    return PailRecord(
        farmer, index, PailState.PLANTED, dated.pail.stake, dated.pail.sequence, live_until=dated.live_until
    )
