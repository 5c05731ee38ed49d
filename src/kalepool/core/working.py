"""Working: which ledger each farmer's proof is sent after, early works beside late ones, better proofs again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core import strategy, timing
from kalepool.core.actions import SubmitWork
from kalepool.core.early import early_worth
from kalepool.core.economics import format_kale
from kalepool.core.farm import Pail
from kalepool.core.situation import Aim, Situation, planted_in
from kalepool.core.strategy import Early

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane
    from kalepool.core.chain import Snapshot
    from kalepool.core.farm import Proof

_WORK_WINDOW_S: Final = 30
_SURE_S: Final = 299
_STAKE_BITS: Final = 2
_LIKELY: Final = 0.75


def aims_of(snapshot: Snapshot, lanes: Sequence[Lane], situation: Situation | None) -> list[Aim]:
    """Give the ledger that each planted lane's work is to be sent for."""
    if situation is None:
        return []
    planted = planted_in(snapshot, lanes)
    pace, policy = situation.pace, situation.policy
    delays = timing.Delays.learned(situation.outlook.delays)
    last = strategy.last_work_ledger(situation.record, pace, policy)
    if policy.at_once:
        aims = [Aim(lane, pail, max(pace.ledger, pail.sequence) + 1, 1.0) for lane, pail in planted]
    elif policy.fixed is not None:
        # However late the operator's second: a work that comes when the block may be over loses the stake.
        after = pace.ledger_closing_by(situation.record.timestamp + policy.fixed.work_at_s)
        aims = [
            Aim(lane, pail, max(min(after + 1, last), pail.sequence + 1), _hope(pail, pace.ledger + 1 > last))
            for lane, pail in planted
        ]
    elif delays is None:
        aims = [
            Aim(
                lane,
                pail,
                strategy.work_ledger(pail.sequence, situation.block, situation.record, pace, policy),
                _hope(pail, pace.ledger + 1 > last),
            )
            for lane, pail in planted
        ]
    else:
        aims = _learned_aims(planted, situation, delays)
    return _spread(aims, situation)


def why_then(aim: Aim, situation: Situation) -> str:
    """Say why a planted farmer's work is to be sent for its ledger, and no earlier or later."""
    pail, policy = aim.pail, situation.policy
    gap = f"gap {aim.ledger - pail.sequence}, up to {situation.block.max_gap} counts"
    if pail.zeros is not None:
        gap = f"only if a proof of more than {pail.zeros} zeros is found; {gap}"
    if policy.at_once:
        return f"all that is open is sent at once; {gap}"
    if policy.fixed is not None:
        return f"{policy.fixed.work_at_s} s after the opening, as configured, or as late as is safe; {gap}"
    if timing.Delays.learned(situation.outlook.delays) is None:
        return f"{gap}; {policy.work_margin_ledgers} ledgers before the block may close at the latest, until delays are known"
    return f"{gap}; in time with {aim.lands:.0%} by what was learned"


def works(lanes: Sequence[Lane], aims: Sequence[Aim], situation: Situation) -> list[SubmitWork]:
    """Give the works to send now: those that are due, and early ones; as many as a ledger takes."""
    due: list[tuple[bool, int, int, Aim, Proof, float]] = []
    following, early = situation.pace.ledger + 1, early_worth(situation)
    for aim in aims:
        lane, pail, proof = aim.lane, aim.pail, aim.lane.proof
        if lane.working or proof is None or proof.index != situation.index:
            continue
        gain: float | None
        if aim.ledger > following:
            gain = early(aim, proof) if pail.zeros is None else None
        elif pail.zeros is None:
            gain = situation.unit * situation.scales.work(following - pail.sequence, proof.zeros)
        else:
            gain = _worth_again(aim, proof, situation)
        if gain is not None:
            due.append((pail.zeros is not None, aim.ledger, lane.farmer, aim, proof, gain))
    # Who is due first goes first; the rest waits for the next ledger, so that works do not crowd each other out.
    due.sort(key=lambda item: item[:3])
    room = situation.policy.works_per_ledger - sum(lane.working for lane in lanes)
    return [_work(aim, proof, gain, situation) for *_, aim, proof, gain in due[: max(room, 0)]]


def can_improve(pail: Pail, proof: Proof | None, situation: Situation) -> bool:
    """Tell whether any better proof of a worked pail could still be worth sending."""
    cap = strategy.cap_of(situation.block, situation.policy)
    best = max(pail.zeros or 0, proof.zeros if proof is not None else 0)
    gain = _gain(pail, situation.pace.ledger + 1 - pail.sequence, max(cap, best), situation)
    return (pail.zeros or 0) < cap and gain >= situation.threshold


def _hope(pail: Pail, late: bool) -> float:
    """Give the chance that stands for one not known: a first work is sent even late, a better one is not."""
    return 0.0 if late and pail.zeros is not None else 1.0


def _learned_aims(
    planted: Sequence[tuple[Lane, Pail]], situation: Situation, delays: timing.Delays
) -> list[Aim]:
    """Find each one's best ledger; farmers alike in what decides it are looked at once."""
    stay = timing.Stay.of(situation.record, situation.pace, delays, situation.outlook.lives)
    part = max(situation.market.part, 1.0)
    known: dict[tuple[int, int, int, int | None, int | None], timing.Send] = {}
    gaps: dict[int, dict[int, float]] = {}
    aims = []
    for lane, pail in planted:
        if pail.sequence not in gaps:
            gaps[pail.sequence] = stay.gaps(pail.sequence, situation.block)
        best = -1 if lane.proof is None or lane.proof.index != situation.index else lane.proof.zeros
        coarse = max(pail.stake.bit_length() - _STAKE_BITS, 0)
        stake = pail.stake >> coarse << coarse
        key = (pail.sequence, stake, best, pail.gap, pail.zeros)
        send = known.get(key)
        if send is None:
            send = known[key] = timing.best_send(
                stay,
                gaps[pail.sequence],
                situation.scales,
                Pail(pail.sequence, stake, pail.gap, pail.zeros),
                best,
                speed=situation.speed,
                stake_parts=stake / part,
                fee_parts=situation.fee / part,
            )
        aims.append(Aim(lane, pail, max(send.after, pail.sequence) + 1, send.lands))
    return aims


def _spread(aims: Sequence[Aim], situation: Situation) -> list[Aim]:
    """Let no ledger take more than its share; those with most to gain from waiting are kept late."""
    order = [
        (pail.zeros is not None, -pail.sequence, -1 if lane.proof is None else lane.proof.zeros)
        for lane, pail, _, _ in aims
    ]
    ordered = [(at, aims[at].ledger) for at in sorted(range(len(aims)), key=order.__getitem__)]
    placed = timing.spread(ordered, situation.pace.ledger + 1, situation.policy.works_per_ledger)
    return [
        aim
        if placed[at] == aim.ledger
        else Aim(aim.lane, aim.pail, max(placed[at], aim.pail.sequence + 1), aim.lands)
        for at, aim in enumerate(aims)
    ]


def _worth_again(aim: Aim, proof: Proof, situation: Situation) -> float | None:
    """Give what a better proof for a worked pail gains, where that is worth sending."""
    pail = aim.pail
    # One that lands too late fails, costs its fee, and keeps the farmer's account from planting.
    if proof.zeros <= (pail.zeros or 0) or aim.lands < _LIKELY:
        return None
    gain = _gain(pail, situation.pace.ledger + 1 - pail.sequence, proof.zeros, situation)
    return gain if gain * aim.lands >= situation.threshold else None


def _gain(pail: Pail, gap: int, zeros: int, situation: Situation) -> float:
    """Give the KALE in stroops that a better proof adds to a work that has landed."""
    before = situation.scales.work(pail.gap or 0, pail.zeros or 0)
    after = situation.scales.work(gap, zeros)
    return situation.unit * (after - before)


def _work(aim: Aim, proof: Proof, gain: float, situation: Situation) -> SubmitWork:
    deadline = max(int(situation.pace.now) + _WORK_WINDOW_S, situation.record.timestamp + _SURE_S)
    pail, following = aim.pail, situation.pace.ledger + 1
    if pail.zeros is not None:
        reason = f"{proof.zeros} zeros instead of {pail.zeros} gain {format_kale(gain)}"
    elif aim.ledger <= following:
        gap = following - pail.sequence
        reason = f"gap {gap} of at most {situation.block.max_gap}, {proof.zeros} zeros"
    elif situation.policy.early is Early.CREDIT:
        reason = (
            f"a better work later leaves the block's total lower: worth {format_kale(gain)} more than its fee"
        )
    else:
        reason = f"insures {format_kale(pail.stake)} of stake and the reward: worth {format_kale(gain)} more than its fee"
    return SubmitWork(aim.lane.farmer, situation.index, proof, pail.zeros is not None, deadline, reason)
