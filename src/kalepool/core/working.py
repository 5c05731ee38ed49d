"""Working: which ledger each farmer's proof is sent after, early works beside late ones, better proofs again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core import strategy, timing
from kalepool.core.actions import SubmitWork
from kalepool.core.economics import Scales, chance, format_kale, in_kale, is_valid, market_of
from kalepool.core.farm import Pail
from kalepool.core.strategy import Early

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane
    from kalepool.core.chain import Snapshot
    from kalepool.core.economics import Market
    from kalepool.core.farm import Block, Proof
    from kalepool.core.strategy import Outlook, Pace, Policy

_WORK_WINDOW_S: Final = 30
_SURE_S: Final = 299
_STAKE_BITS: Final = 2
_MOST_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Aim:
    """When one planted farmer's work is to be sent.

    Attributes:
        lane: the farmer.
        pail: his.
        ledger: it is sent once the ledger before this one has closed.
        lands: chance that it then lands in time; 1 where nothing has been learned yet.
    """

    lane: Lane
    pail: Pail
    ledger: int
    lands: float


@dataclass(frozen=True, slots=True)
class Situation:
    """The current block as works see it.

    Attributes:
        index: of the block.
        block: as it stands.
        record: the farm's running record: its timestamp is the block's beginning.
        policy: how to choose.
        pace: time.
        outlook: what has been learned.
        market: what a weight is worth.
        scales: the block's.
        ours: weight that all works of the pool are expected to have.
        unit: what one unit of weight earns, stroops.
        speed: hashes a second for one farmer.
        fee: what a work's fee is worth in stroops of KALE; nothing where no price is known.
        threshold: what a further work must gain, stroops of KALE: its fee, and what the policy asks.
    """

    index: int
    block: Block
    record: Block
    policy: Policy
    pace: Pace
    outlook: Outlook
    market: Market
    scales: Scales
    ours: float
    unit: float
    speed: float
    fee: float
    threshold: float


def situation_of(
    snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy, pace: Pace, outlook: Outlook
) -> Situation | None:
    """Gather what works are decided by; None where there is no block to work in."""
    index, record = snapshot.farm.index, snapshot.farm.block
    current = snapshot.blocks.get(index)
    if current is None or record is None or not is_valid(current.block):
        return None
    planted = [pail for _, pail in planted_in(snapshot, lanes)]
    hashing = sum(pail.zeros is None for pail in planted) or len(planted) or 1
    scales = Scales(current.block)
    # By a rule of thumb: all of the gap, half of the zeros.
    ours = sum(1.5 + scales.staked(pail.stake) for pail in planted)
    market = market_of(index, current.block, outlook.others_parts, ours)
    fee = in_kale(outlook.fees.work, outlook.kale_price) or 0.0
    return Situation(
        index,
        current.block,
        record,
        policy,
        pace,
        outlook,
        market,
        scales,
        ours * scales.full,
        market.worth(1),
        outlook.hashrate / hashing,
        fee,
        max(fee, float(policy.improve_from_stroops)),
    )


def planted_in(snapshot: Snapshot, lanes: Sequence[Lane]) -> list[tuple[Lane, Pail]]:
    """Give the lanes that are worked for and have a pail in the current block."""
    index = snapshot.farm.index
    found = []
    for lane in lanes:
        dated = snapshot.pails.get((lane.address, index))
        if lane.works and dated is not None:
            found.append((lane, dated.pail))
    return found


def aims_of(snapshot: Snapshot, lanes: Sequence[Lane], situation: Situation | None) -> list[Aim]:
    """Give the ledger that each planted lane's work is to be sent for."""
    if situation is None:
        return []
    planted = planted_in(snapshot, lanes)
    pace, policy = situation.pace, situation.policy
    delays = timing.Delays.learned(situation.outlook.delays)
    if policy.fixed is not None:
        after = pace.ledger_closing_by(situation.record.timestamp + policy.fixed.work_at_s)
        aims = [Aim(lane, pail, max(after + 1, pail.sequence + 1), 1.0) for lane, pail in planted]
    elif delays is None:
        aims = [
            Aim(
                lane,
                pail,
                strategy.work_ledger(pail.sequence, situation.block, situation.record, pace, policy),
                1.0,
            )
            for lane, pail in planted
        ]
    else:
        aims = _learned_aims(planted, situation, delays)
    return _spread(aims, situation)


def works(lanes: Sequence[Lane], aims: Sequence[Aim], situation: Situation) -> list[SubmitWork]:
    """Give the works to send now: those that are due, and early ones; as many as a ledger takes."""
    due = []
    for aim in aims:
        proof = aim.lane.proof
        if aim.lane.working or proof is None or proof.index != situation.index:
            continue
        if situation.pace.ledger + 1 >= aim.ledger:
            work = _work_now(aim, proof, situation)
        else:
            work = _early(aim, proof, situation)
        if work is not None:
            due.append((aim.pail.zeros is not None, aim.ledger, work))
    # Who is due first goes first; the rest waits for the next ledger, so that works do not crowd each other out.
    due.sort(key=lambda item: (*item[:2], item[2].farmer))
    room = situation.policy.works_per_ledger - sum(lane.working for lane in lanes)
    return [work for _, _, work in due[: max(room, 0)]]


def can_improve(pail: Pail, proof: Proof | None, situation: Situation) -> bool:
    """Tell whether any better proof of a worked pail could still be worth sending."""
    cap = strategy.cap_of(situation.block, situation.policy)
    best = max(pail.zeros or 0, proof.zeros if proof is not None else 0)
    gain = _gain(pail, situation.pace.ledger + 1 - pail.sequence, max(cap, best), situation)
    return (pail.zeros or 0) < cap and gain >= situation.threshold


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

    def order(at: int) -> tuple[bool, int, int]:
        aim = aims[at]
        best = -1 if aim.lane.proof is None else aim.lane.proof.zeros
        return aim.pail.zeros is not None, -aim.pail.sequence, best

    ordered = [(at, aims[at].ledger) for at in sorted(range(len(aims)), key=order)]
    placed = timing.spread(ordered, situation.pace.ledger + 1, situation.policy.works_per_ledger)
    return [
        aim
        if placed[at] == aim.ledger
        else Aim(aim.lane, aim.pail, max(placed[at], aim.pail.sequence + 1), aim.lands)
        for at, aim in enumerate(aims)
    ]


def _work_now(aim: Aim, proof: Proof, situation: Situation) -> SubmitWork | None:
    pail, gap = aim.pail, situation.pace.ledger + 1 - aim.pail.sequence
    if pail.zeros is None:
        reason = f"gap {gap} of at most {situation.block.max_gap}, {proof.zeros} zeros"
        return _work(aim, proof, situation, reason)
    if proof.zeros <= pail.zeros:
        return None
    gain = _gain(pail, gap, proof.zeros, situation)
    if gain * aim.lands < situation.threshold:
        return None
    reason = f"{proof.zeros} zeros instead of {pail.zeros} gain {format_kale(gain)}"
    return _work(aim, proof, situation, reason)


def _early(aim: Aim, proof: Proof, situation: Situation) -> SubmitWork | None:
    """Send a first work before its time where that insures more than it costs."""
    pail, block, policy = aim.pail, situation.block, situation.policy
    cap = strategy.cap_of(block, policy)
    if policy.early is Early.NEVER or pail.zeros is not None or not situation.outlook.delays:
        return None
    # Fewer zeros than the block's least would widen the next block's range for everybody.
    if not block.min_zeros <= proof.zeros < cap:
        return None
    saved = (1 - aim.lands) * (pail.stake + _MOST_PARTS * situation.scales.full * situation.unit)
    if policy.early is Early.INSURE and saved <= situation.threshold:
        return None  # the usual case, told without its chances
    scales, gap = situation.scales, situation.pace.ledger + 1 - pail.sequence
    now = scales.work(gap, proof.zeros)
    gap_parts = (scales.work(aim.ledger - pail.sequence, proof.zeros) - now) / scales.full
    seconds = situation.pace.close_of(aim.ledger - 1) - situation.pace.now
    improves = chance(situation.speed * seconds, proof.zeros + 1)
    gain = timing.early_gain(
        part=situation.market.part,
        stake=pail.stake,
        gap_parts=gap_parts,
        zero_parts=now / scales.full + scales.staked(pail.stake),
        fails=1 - aim.lands,
        improves=improves,
        fee=situation.threshold,
    )
    reason = f"insures {format_kale(pail.stake)} of stake and the reward"
    if policy.early is Early.CREDIT:
        gain += improves * timing.credit(
            pot=situation.market.pot,
            total=situation.market.total,
            ours=situation.ours,
            gap_parts=gap_parts,
            full=scales.full,
        )
        reason = "a better work later leaves the block's total lower"
    if gain <= 0:
        return None
    return _work(aim, proof, situation, f"{reason}: worth {format_kale(gain)} more than its fee")


def _gain(pail: Pail, gap: int, zeros: int, situation: Situation) -> float:
    """Give the KALE in stroops that a better proof adds to a work that has landed."""
    before = situation.scales.work(pail.gap or 0, pail.zeros or 0)
    after = situation.scales.work(gap, zeros)
    return situation.unit * (after - before)


def _work(aim: Aim, proof: Proof, situation: Situation, reason: str) -> SubmitWork:
    deadline = max(int(situation.pace.now) + _WORK_WINDOW_S, situation.record.timestamp + _SURE_S)
    improves = aim.pail.zeros is not None
    return SubmitWork(aim.lane.farmer, situation.index, proof, improves, deadline, reason)
