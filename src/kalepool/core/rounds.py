"""One look at the farm, and what to do about it: ``decide`` turns a snapshot into actions.

Pure: the same snapshot, lanes, policy, pace and outlook always give the same actions, each with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.actions import Action, Grind, Harvest, Lane, Plant, Skip, SubmitWork, Wait
from kalepool.core.hashing import grinding
from kalepool.core.planting import plants
from kalepool.core.situation import situation_of
from kalepool.core.strategy import NEUTRAL, Early
from kalepool.core.sweeping import harvests
from kalepool.core.working import aims_of, works

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.situation import Aim, Situation
    from kalepool.core.strategy import Outlook, Pace, Policy

__all__ = [
    "Action",
    "Grind",
    "Harvest",
    "Lane",
    "Plan",
    "Plant",
    "Skip",
    "SubmitWork",
    "Wait",
    "decide",
    "plan",
]

_LONGEST_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round comes to.

    Attributes:
        actions: what to do now, a ``Wait`` last.
        skips: farmers for whom nothing is planted or hashed, and why.
        aims: when each planted farmer's work is to be sent.
        situation: what works were decided by; None where there is no block to work in.
    """

    actions: tuple[Action, ...]
    skips: tuple[Skip, ...]
    aims: tuple[Aim, ...]
    situation: Situation | None = None


def decide(
    snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy, pace: Pace, outlook: Outlook = NEUTRAL
) -> list[Action]:
    """Decide what to do now: the actions of ``plan``."""
    return list(plan(snapshot, lanes, policy, pace, outlook).actions)


def plan(
    snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy, pace: Pace, outlook: Outlook = NEUTRAL
) -> Plan:
    """Decide what to do now, and say why nothing is done where that is so.

    Args:
        snapshot: the farm with the current Block and the pails of all lanes.
        lanes: the farmers.
        policy: how to choose where there is a choice.
        pace: time.
        outlook: what has been learned; nothing by default.
    """
    planting, unplanted = plants(snapshot, lanes, policy, pace, outlook)
    situation = situation_of(snapshot, lanes, policy, pace, outlook)
    grinds, resting = grinding(snapshot, lanes, policy, situation, planting)
    aims = aims_of(snapshot, lanes, situation)
    sending = [] if situation is None else works(lanes, aims, situation)
    reaping = harvests(snapshot, lanes, policy)
    busy = bool(planting or sending or reaping)
    wait = _wait(snapshot, lanes, aims, policy, pace, busy=busy)
    told = {one.farmer for some in (planting, grinds, sending, reaping, unplanted, resting) for one in some}
    told.update(aim.lane.farmer for aim in aims)
    idle = [
        Skip(lane.farmer, _idle(lane, snapshot, workable=situation is not None))
        for lane in lanes
        if lane.farmer not in told
    ]
    return Plan(
        (*planting, *grinds, *sending, *reaping, wait), (*unplanted, *resting, *idle), tuple(aims), situation
    )


def _idle(lane: Lane, snapshot: Snapshot, *, workable: bool) -> str:
    """Say why nothing is done for a farmer of whom nothing else was said."""
    index = snapshot.farm.index
    if not (lane.plants or lane.works):
        return "the pool neither plants nor works for him"
    if (lane.address, index) in snapshot.pails:
        if not lane.works:
            return f"planted in block {index}, but the pool does not work for him now"
        if not workable:
            return f"planted in block {index}, whose ranges are inverted: the contract refuses every work"
    if not lane.plants:
        return "the pool does not plant for him now"
    return f"planted in block {index + 1} already"


def _wait(
    snapshot: Snapshot, lanes: Sequence[Lane], aims: Sequence[Aim], policy: Policy, pace: Pace, *, busy: bool
) -> Wait:
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
    for aim in aims:
        if aim.pail.zeros is None:
            moments.append((pace.close_of(aim.ledger - 1), f"work of farmer {aim.lane.farmer}"))
            if policy.early is not Early.NEVER and aim.lane.proof is None:
                moments.append((following, f"an early work of farmer {aim.lane.farmer}"))
        elif aim.lane.proof is not None and aim.ledger > pace.ledger + 1:
            moments.append((pace.close_of(aim.ledger - 1), f"a better proof of farmer {aim.lane.farmer}"))
    until, reason = min(moments)
    return Wait(max(until, following), reason)
