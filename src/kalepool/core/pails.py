"""What a snapshot says about a pail: its next state in the pool's memory, with the reason.

The chain is the truth. A pail that is gone was harvested, by us or by a stranger, as long as it could
still exist; what it paid follows from its Block, which no longer changes once the block is over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kalepool.core.amounts import format_amount
from kalepool.core.contract import share_of_block, weigh
from kalepool.core.intents import OPEN, State
from kalepool.core.records import ALIVE, PAIL_MOVES, PailRecord, PailState
from kalepool.core.shares import Loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.core.chain import DatedPail, Snapshot
    from kalepool.core.farm import Block


def _nothing_begun(_farmer: int, _block: int) -> State | None:
    return None


def _all_is_told(_record: PailRecord) -> bool:
    return True


def observe(
    record: PailRecord,
    address: str,
    block: Block | None,
    snapshot: Snapshot,
    plant: Callable[[int, int], State | None] = _nothing_begun,
    *,
    unread: int | None = None,
    told: Callable[[PailRecord], bool] = _all_is_told,
) -> list[PailRecord]:
    """Give what is to be remembered of a pail after a snapshot that asked for it, in order.

    Nothing where all of it was known, or the snapshot is older than what was. After an outage there are several records: a pail that was
    planted, worked and left behind unseen passes through each state that it must have had.

    Args:
        record: as it was known before.
        address: the farmer's.
        block: the pail's Block as last seen, over or not; None where it was never seen.
        snapshot: a read that asked for this pail; what it does not have does not exist.
        plant: gives where our plant of a farmer in a block stands, or None where there is none. Asked
            only about a pail that never was seen, and cannot be planted any more.
        unread: from which ledger on transactions of ours may be unknown here, as after a restore; None where all
            are known. A pail of before that is gone may have been harvested by one of them: what became of it is
            said once they have been read back.
        told: whether every harvest of a pail that is gone, and could have died since, would be known by now. Until
            then nothing is said of it: taken for dead, it would never be taken for harvested.
    """
    if record.state not in ALIVE and record.state is not PailState.MISSED:
        return []
    found = snapshot.pails.get((address, record.block))
    now = _gone(record, block, snapshot, plant) if found is None else _present(record, found, snapshot)
    if found is None and (
        _is_too_early_to_say(now, record, unread) or (now.state is PailState.EXPIRED and not told(record))
    ):
        return []
    if now is record or now == record:
        return []
    way = _between(record.state, now.state)
    if way is None:
        # An older view than one we had, by a node that lags: what was seen stays seen.
        return []
    return [*(replace(now, state=state, reward=None, why="") for state in way), now]


def _is_too_early_to_say(now: PailRecord, before: PailRecord, unread: int | None) -> bool:
    if unread is None or before.planted_ledger is None or before.planted_ledger > unread:
        return False
    # What a worked pail paid follows from its Block; of one that was planted alone, nothing is known.
    return now.state is PailState.EXPIRED or before.state is PailState.PLANTED


def _between(before: PailState, after: PailState) -> tuple[PailState, ...] | None:
    """Give the states on the shortest legal way from one to another, both left out; None where there is none."""
    if before is after:
        return ()
    ways: list[tuple[PailState, ...]] = [()]
    for _ in PailState:
        for way in ways:
            if after in PAIL_MOVES[way[-1] if way else before]:
                return way
        ways = [(*way, state) for way in ways for state in PAIL_MOVES[way[-1] if way else before]]
    return None


def _present(record: PailRecord, found: DatedPail, snapshot: Snapshot) -> PailRecord:
    pail, over, why = found.pail, record.block < snapshot.farm.index, ""
    if pail.zeros is not None:
        state = PailState.HARVESTABLE if over else PailState.WORKED
    elif not over:
        state = PailState.PLANTED
    else:
        state, why = PailState.FORFEITED, "its block ended without a work: the stake is lost"
    if (
        record.state is state
        and record.zeros == pail.zeros
        and record.gap == pail.gap
        and record.live_until == found.live_until
        and record.planted_ledger == pail.sequence
        and record.stake == pail.stake
        and record.why == why
    ):
        return record  # as nearly always: a copy to compare with would be most of what a look costs
    return replace(
        record,
        state=state,
        stake=pail.stake,
        planted_ledger=pail.sequence,
        gap=pail.gap,
        zeros=pail.zeros,
        live_until=found.live_until,
        why=why,
    )


def _gone(
    record: PailRecord, block: Block | None, snapshot: Snapshot, plant: Callable[[int, int], State | None]
) -> PailRecord:
    over = record.block < snapshot.farm.index
    if record.state is PailState.PLANNED:
        return _never_seen(record, snapshot, plant) if over else record
    if record.state is PailState.MISSED:
        return record
    if record.live_until is not None and snapshot.ledger > record.live_until:
        why = f"not harvested by ledger {record.live_until}"
        if record.state is not PailState.PLANTED and not over and snapshot.farm.paused:
            # Worked, and nobody could end its block: while the farm is paused, only planting fails, and planting ends it.
            why = f"{Loss.NETWORK}: the farm was paused and its block could not end: {why}"
        return replace(record, state=PailState.EXPIRED, why=why)
    if not over:
        # Nothing can be harvested yet: the view is older than the pail.
        return record
    if record.state is PailState.PLANTED:
        # It could not have died yet, and only a harvest ends it sooner.
        return _by_others(record)
    if block is None:
        return record
    return paid(record, record.stake + reward_of(record, block))


def _never_seen(
    record: PailRecord, snapshot: Snapshot, plant: Callable[[int, int], State | None]
) -> PailRecord:
    """Say what became of a pail that is not there, and never was seen, though its block is over."""
    state = plant(record.farmer, record.block)
    if state is State.SETTLED and record.block in snapshot.blocks:
        # It was planted, and what was planted into a Block that lives has not died.
        return _by_others(record)
    if state in OPEN:
        return record
    return replace(record, state=PailState.MISSED, why="the plant did not land before its block was over")


def _by_others(record: PailRecord) -> PailRecord:
    """Give a pail as harvested by others, with what it earned unknown: that stays in the farmer's wallet, as his."""
    why = "worked and harvested between two looks: what it earned is not known, and the farmer's alone"
    return replace(record, state=PailState.HARVESTED, reward=0, why=why)


def paid(record: PailRecord, minted: int) -> PailRecord:
    """Give a worked pail as harvested.

    Args:
        record: as it was known before.
        minted: stroops that its harvest minted. It is less than the stake where the totals of its Block have
            fallen below zero: the farm's owner removed a Block in which pails stood, and it was made anew.
    """
    lost = max(record.stake - max(minted, 0), 0)
    why = f"{Loss.NETWORK}: the farm paid back {format_amount(lost)} KALE less than the stake" if lost else ""
    reward = max(minted - record.stake, 0)
    return replace(record, state=PailState.HARVESTED, reward=reward, why=why, lost=lost)


def reward_of(record: PailRecord, block: Block) -> int:
    """Give the reward in stroops of a worked pail whose block is over; the stake comes beside it.

    Below zero where a harvest pays back less than the stake.

    Raises:
        ContractError: BLOCK_INVALID when a range of the Block is inverted.
    """
    assert record.gap is not None
    assert record.zeros is not None
    weight = weigh(block, record.gap, record.stake, record.zeros).total
    return share_of_block(record.block, block, weight)
