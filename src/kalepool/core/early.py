"""Early works: whether one now, with a better one to follow, beats the later one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kalepool.core import strategy
from kalepool.core.economics import chance
from kalepool.core.strategy import Early
from kalepool.core.timing import credit, early_gain

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.core.farm import Proof
    from kalepool.core.situation import Aim, Situation

_ENOUGH_OBSERVED: Final = 100
_MOST_PARTS: Final = 3
_TOO_FEW: Final = 2
_SURE: Final = 0.99
_LIKELY: Final = 0.5


class _Prospects(NamedTuple):
    """What farmers alike have before them: gap that waiting gains, a work's parts now but for its stake, chance."""

    gap_parts: float
    parts_now: float
    improves: float
    credit: float


def early_worth(situation: Situation) -> Callable[[Aim, Proof], float | None]:
    """Give what tells how much more than its fee an early work is worth, stroops of KALE; None where it is not.

    Args:
        situation: the current block.
    """
    block, policy, scales = situation.block, situation.policy, situation.scales
    cap = strategy.cap_of(block, policy)
    ledger, now = situation.pace.ledger, situation.pace.now
    reward = _MOST_PARTS * scales.full * situation.unit
    # Of few delays the risk is mostly what is not known yet, and no reason to risk a gap.
    needed = _ENOUGH_OBSERVED if policy.early is Early.INSURE else 1
    if policy.early is Early.NEVER or len(situation.outlook.delays) < needed:
        return lambda _aim, _proof: None
    known: dict[tuple[int, int, int], _Prospects] = {}
    part, threshold = situation.market.part, situation.threshold
    insures = policy.early is Early.INSURE
    found = situation.speed * (now - situation.record.timestamp)

    def prospects(sequence: int, aimed: int, zeros: int) -> _Prospects:
        weight = scales.work(ledger + 1 - sequence, zeros)
        gained = (scales.work(aimed - sequence, zeros) - weight) / scales.full
        seconds = situation.pace.close_of(aimed - 1) - now
        improves = chance(situation.speed * seconds, zeros + 1)
        lower = (
            0.0
            if insures
            else credit(
                pot=situation.market.pot,
                total=situation.market.total,
                ours=situation.ours,
                gap_parts=gained,
                full=scales.full,
            )
        )
        return _Prospects(gained, weight / scales.full, improves, improves * lower)

    def worth(aim: Aim, proof: Proof) -> float | None:
        pail, fails = aim.pail, 1 - aim.lands
        # Fewer zeros than the block's least would widen the next block's range for everybody.
        if not block.min_zeros <= proof.zeros < cap:
            return None
        if insures and fails * (pail.stake + reward) <= threshold:
            return None  # the usual case, told without its chances
        if chance(found, proof.zeros + _TOO_FEW) > _SURE:
            return None  # with the rate as measured he would have more by now: it cannot be trusted
        key = (pail.sequence, aim.ledger, proof.zeros)
        if key not in known:
            known[key] = prospects(*key)
        seen = known[key]
        if seen.improves < _LIKELY:
            return None  # without a better proof the gap of a whole block is lost
        gain = seen.credit + early_gain(
            part=part,
            stake=pail.stake,
            gap_parts=seen.gap_parts,
            zero_parts=seen.parts_now + scales.staked(pail.stake),
            fails=fails,
            improves=seen.improves,
            fee=threshold,
        )
        return gain if gain > 0 else None

    return worth
