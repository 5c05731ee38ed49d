"""The current block as works see it: what a weight earns in it, for whom, and when each is to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kalepool.core.economics import Scales, in_kale, is_valid, market_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane
    from kalepool.core.chain import Snapshot
    from kalepool.core.economics import Market
    from kalepool.core.farm import Block, Pail
    from kalepool.core.strategy import Outlook, Pace, Policy


class Aim(NamedTuple):
    """When one planted farmer's work is to be sent. A tuple: a thousand are made each round.

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
