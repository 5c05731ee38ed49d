"""One look at the farm, and what to do about it: ``decide`` turns a snapshot into actions.

Pure: the same snapshot, lanes, policy and pace always give the same actions, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from kalepool.core import strategy
from kalepool.core.contract import new_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farm import Block, Pail, Proof
    from kalepool.core.strategy import Pace, Policy

_PLANT_WINDOW_S = 30
_LAST_PLANT_S = 299
_LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Lane:
    """One farmer as a round sees him.

    Attributes:
        farmer: his number in the store.
        address: G or C address.
        plants: whether the pool plants for him (an active custodial farmer).
        works: whether the pool works for him.
        stake: what his terms want staked, stroops; None when his balance could not be read.
        available: KALE on the chain less what open intents reserve, stroops; None when unknown.
        proof: best proof so far for the current block, or None.
        under_way: blocks with an open plant of his.
        working: whether a work of his for the current block is open.
        harvest_every: blocks between his harvests.
    """

    farmer: int
    address: str
    plants: bool
    works: bool
    stake: int | None
    available: int | None
    proof: Proof | None = None
    under_way: frozenset[int] = frozenset()
    working: bool = False
    harvest_every: int = 1


@dataclass(frozen=True, slots=True)
class Plant:
    """Plant for a farmer in a block, and in no other."""

    farmer: int
    block: int
    stake: int
    opens: bool
    max_time: int
    reason: str


@dataclass(frozen=True, slots=True)
class Grind:
    """Search proofs for a farmer in the current block."""

    farmer: int
    block: int
    cap: int
    reason: str


@dataclass(frozen=True, slots=True)
class SubmitWork:
    """Send a farmer's proof."""

    farmer: int
    block: int
    proof: Proof
    improves: bool
    max_time: int
    reason: str


@dataclass(frozen=True, slots=True)
class Harvest:
    """Harvest a farmer's pails."""

    farmer: int
    blocks: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at this network time, or when something happens."""

    until: float
    reason: str


_Aim: TypeAlias = "tuple[int, Lane, Pail]"

Action: TypeAlias = Plant | Grind | SubmitWork | Harvest | Wait


def decide(snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy, pace: Pace) -> list[Action]:
    """Decide what to do now.

    Args:
        snapshot: the farm with the current Block and the pails of all lanes.
        lanes: the farmers.
        policy: how to choose where there is a choice.
        pace: time.
    """
    actions: list[Action] = []
    actions += _plants(snapshot, lanes, pace, policy)
    actions += _grinding(snapshot, lanes)
    aims = _aims(snapshot, lanes, policy, pace)
    actions += _works(snapshot, lanes, aims, policy, pace)
    actions += _harvests(snapshot, lanes, policy)
    busy = any(isinstance(action, Plant | SubmitWork | Harvest) for action in actions)
    return [*actions, _wait(snapshot, lanes, aims, pace, busy=busy)]


def _plants(snapshot: Snapshot, lanes: Sequence[Lane], pace: Pace, policy: Policy) -> list[Plant]:
    farm, record = snapshot.farm, snapshot.farm.block
    if farm.paused or farm.asset is None or record is None:
        return []
    now = int(pace.now)
    if policy.plant_ahead and strategy.is_next_ledger_due(record, pace):
        # What is sent now lands in a ledger that opens the next block, whose ranges are the record's.
        index, ranges, opens = farm.index + 1, new_block(record, now), True
        max_time, reason = now + _PLANT_WINDOW_S, f"block {farm.index + 1} is due"
    else:
        current = snapshot.blocks.get(farm.index)
        latest = record.timestamp + _LAST_PLANT_S
        index, opens = farm.index, False
        if current is None:
            if farm.index > 0:
                return []  # removed or expired: wait for the next block rather than make one
            ranges, opens = new_block(record, now), True
        else:
            ranges = current.block
        max_time, reason = min(now + _PLANT_WINDOW_S, latest), f"block {index} is open"
        if pace.next_close() > max_time:
            return []
    return [
        Plant(
            lane.farmer,
            index,
            strategy.stake_for(lane.stake or 0, lane.available, ranges),
            opens,
            max_time,
            reason,
        )
        for lane in lanes
        if lane.plants and index not in lane.under_way and (lane.address, index) not in snapshot.pails
    ]


def _grinding(snapshot: Snapshot, lanes: Sequence[Lane]) -> list[Grind]:
    index = snapshot.farm.index
    current = snapshot.blocks.get(index)
    if current is None:
        return []
    cap = strategy.cap_of(current.block)
    return [
        Grind(lane.farmer, index, cap, f"planted in block {index}, at most {cap} zeros count")
        for lane in lanes
        if lane.works and ((lane.address, index) in snapshot.pails or index in lane.under_way)
    ]


def _works(
    snapshot: Snapshot, lanes: Sequence[Lane], aims: Sequence[_Aim], policy: Policy, pace: Pace
) -> list[SubmitWork]:
    record = snapshot.farm.block
    current = snapshot.blocks.get(snapshot.farm.index)
    if current is None or record is None:
        return []
    due = []
    for aimed, lane, pail in aims:
        if pace.ledger + 1 >= aimed and not lane.working and lane.proof is not None:
            work = _work_now(lane, pail, lane.proof, current.block, snapshot, pace, policy)
            if work is not None:
                due.append((aimed, work))
    # Who is due first goes first; the rest waits for the next ledger, so that works do not crowd each other out.
    due.sort(key=lambda item: (item[1].improves, item[0], item[1].farmer))
    room = policy.works_per_ledger - sum(lane.working for lane in lanes)
    return [work for _, work in due[: max(room, 0)]]


def _aims(snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy, pace: Pace) -> list[_Aim]:
    """Give the ledger from which on each planted lane's work may be sent."""
    index, record = snapshot.farm.index, snapshot.farm.block
    current = snapshot.blocks.get(index)
    if current is None or record is None:
        return []
    planted = [
        (lane, snapshot.pails[lane.address, index].pail)
        for lane in lanes
        if lane.works and (lane.address, index) in snapshot.pails
    ]
    # So many ledgers it takes until all have been sent: a crowd begins early enough for its last to be on time.
    waiting = sum(pail.zeros is None for _, pail in planted)
    ledgers = -(-waiting // policy.works_per_ledger)
    crowd = strategy.last_work_ledger(record, pace, policy) - max(ledgers - 1, 0)
    aims = []
    for lane, pail in planted:
        aimed = strategy.work_ledger(pail.sequence, current.block, record, pace, policy)
        aims.append((max(min(aimed, crowd), pail.sequence + 1), lane, pail))
    return aims


def _work_now(
    lane: Lane,
    pail: Pail,
    proof: Proof,
    block: Block,
    snapshot: Snapshot,
    pace: Pace,
    policy: Policy,
) -> SubmitWork | None:
    index, landing = snapshot.farm.index, pace.ledger + 1
    if proof.index != index:
        return None
    if pail.zeros is None:
        reason = f"gap {landing - pail.sequence} of at most {block.max_gap}, {proof.zeros} zeros"
        return SubmitWork(lane.farmer, index, proof, False, _work_deadline(snapshot, pace), reason)
    # An improvement that lands too late fails, costs its fee, and keeps the farmer's account from planting.
    record = snapshot.farm.block
    assert record is not None
    if proof.zeros <= pail.zeros or landing > strategy.last_work_ledger(record, pace, policy):
        return None
    zeros = (pail.zeros, min(proof.zeros, strategy.cap_of(block)))
    gain = strategy.gain_of_improving(index, block, landing - pail.sequence, pail.stake, zeros)
    if gain < policy.improve_from_stroops:
        return None
    reason = f"{proof.zeros} zeros instead of {pail.zeros} gain {gain} stroops"
    return SubmitWork(lane.farmer, index, proof, True, _work_deadline(snapshot, pace), reason)


def _work_deadline(snapshot: Snapshot, pace: Pace) -> int:
    record = snapshot.farm.block
    assert record is not None
    return max(int(pace.now) + _PLANT_WINDOW_S, record.timestamp + _LAST_PLANT_S)


def _harvests(snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy) -> list[Harvest]:
    found = []
    for lane in lanes:
        ready = sorted(
            index
            for (address, index), pail in snapshot.pails.items()
            if address == lane.address and index < snapshot.farm.index and pail.pail.zeros is not None
        )
        if not ready:
            continue
        ending = [index for index in ready if _is_ending(snapshot, lane.address, index, policy)]
        if ending:
            found.append(Harvest(lane.farmer, tuple(ready), f"block {ending[0]} expires soon"))
        elif snapshot.farm.index - ready[0] >= lane.harvest_every:
            found.append(Harvest(lane.farmer, tuple(ready), f"every {lane.harvest_every} blocks"))
    return found


def _is_ending(snapshot: Snapshot, address: str, index: int, policy: Policy) -> bool:
    ends = [snapshot.pails[address, index].live_until]
    if index in snapshot.blocks:
        ends.append(snapshot.blocks[index].live_until)
    return min(ends) - snapshot.ledger <= policy.harvest_margin_ledgers


def _wait(snapshot: Snapshot, lanes: Sequence[Lane], aims: Sequence[_Aim], pace: Pace, *, busy: bool) -> Wait:
    """Find the next moment that matters; between opening and submission that is not every ledger."""
    record = snapshot.farm.block
    following = pace.next_close()
    if busy or any(lane.under_way or lane.working for lane in lanes):
        return Wait(following, "transactions are under way")
    if record is None:
        return Wait(following + _LONGEST_WAIT_S, "the farm has not begun")
    moments = [(following + _LONGEST_WAIT_S, "nothing is due yet")]
    due = strategy.due_at(record) - pace.ledger_seconds
    moments.append((due, f"block {snapshot.farm.index + 1} is due"))
    for aimed, lane, pail in aims:
        if pail.zeros is None:
            moments.append((pace.close_of(aimed - 1), f"work of farmer {lane.farmer}"))
    until, reason = min(moments)
    return Wait(max(until, following), reason)
