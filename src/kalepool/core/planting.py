"""Planting: into which block, with what stake, and for whom it pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.actions import Plant, Skip
from kalepool.core.contract import new_block, scale, weigh
from kalepool.core.economics import expected_part, format_kale, is_valid, market_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane
    from kalepool.core.chain import Snapshot
    from kalepool.core.farm import Block
    from kalepool.core.strategy import Outlook, Pace, Policy

PLANT_WINDOW_S: Final = 30
LAST_PLANT_S: Final = 299
_HASHING_S: Final = 280.0


@dataclass(frozen=True, slots=True)
class Field:
    """The block that a plant sent now would land in.

    Attributes:
        index: of the block.
        ranges: its ranges.
        opens: whether the plant may be the one that opens it.
        max_time: Unix seconds after which it must not land.
        reason: for people.
    """

    index: int
    ranges: Block
    opens: bool
    max_time: int
    reason: str


def field_of(snapshot: Snapshot, policy: Policy, pace: Pace) -> Field | str:
    """Find the block that could be planted in now, or say why there is none."""
    farm, record = snapshot.farm, snapshot.farm.block
    if farm.paused:
        return "the farm is paused"
    if farm.asset is None or record is None:
        return "the farm has not begun"
    now = int(pace.now)
    if policy.plant_ahead and strategy.is_next_ledger_due(record, pace):
        # What is sent now lands in a ledger that opens the next block, whose ranges are the record's.
        following = farm.index + 1
        return Field(
            following, new_block(record, now), True, now + PLANT_WINDOW_S, f"block {following} is due"
        )
    current = snapshot.blocks.get(farm.index)
    # A stake whose work cannot land any more is lost: whoever comes so late waits for the next block.
    last = strategy.last_plant_ledger(record, pace, policy)
    max_time = min(now + PLANT_WINDOW_S, record.timestamp + LAST_PLANT_S, int(pace.close_of(last)) + 1)
    if current is None:
        if farm.index > 0:
            return f"block {farm.index} is missing: the next one is waited for"
        ranges, opens, reason = new_block(record, now), True, f"block {farm.index} is made"
    else:
        ranges, opens, reason = current.block, False, f"block {farm.index} is open"
    if pace.ledger + 1 > last:
        return f"too late for block {farm.index}: it may end before a work has landed"
    return Field(farm.index, ranges, opens, max_time, reason)


def plants(
    snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy, pace: Pace, outlook: Outlook
) -> tuple[list[Plant], list[Skip]]:
    """Plant for everybody who has no pail yet and for whom it pays."""
    field = field_of(snapshot, policy, pace)
    if isinstance(field, str):
        return [], [Skip(lane.farmer, field) for lane in lanes if lane.plants]
    if not is_valid(field.ranges):
        reason = f"the ranges of block {field.index} are inverted: the contract refuses every work"
        return [], [Skip(lane.farmer, reason) for lane in lanes if lane.plants]
    wanted, skipped = [], []
    stakes_pay = _stakes_pay(field, lanes, outlook)
    for lane in lanes:
        if not lane.plants or (lane.address, field.index) in snapshot.pails:
            continue
        if field.index in lane.under_way:
            skipped.append(Skip(lane.farmer, f"his plant for block {field.index} is under way"))
            continue
        asked = _asked(lane, policy)
        stake = strategy.stake_for(asked, lane.available, field.ranges) if stakes_pay else 0
        wanted.append((lane, stake))
    if policy.skip_losing and outlook.kale_price is not None and outlook.hashrate > 0:
        wanted, losing = _paying(field, wanted, len(lanes), outlook)
        skipped += losing
    return [
        Plant(
            lane.farmer,
            field.index,
            stake,
            field.opens,
            field.max_time,
            _why(field, lane, stake, _asked(lane, policy)),
        )
        for lane, stake in wanted
    ], skipped


def _asked(lane: Lane, policy: Policy) -> int:
    """Give what is to be staked before balance and range are looked at."""
    return (lane.stake or 0) if policy.fixed is None else policy.fixed.stake


def _why(field: Field, lane: Lane, stake: int, asked: int) -> str:
    if lane.available is None:
        return f"{field.reason}; no stake, the balance is unknown"
    if stake >= asked:
        return field.reason
    if stake == field.ranges.max_stake:
        return f"{field.reason}; more than the block's largest stake earns nothing"
    if stake == lane.available:
        return f"{field.reason}; all there is is staked"
    return f"{field.reason}; no stake, it would lose more than it earns"


def _stakes_pay(field: Field, lanes: Sequence[Lane], outlook: Outlook) -> bool:
    """Tell whether a stroop staked earns more than it loses on average to forfeits.

    Its worth is the same for every stroop up to the block's largest stake, so it is all or nothing.
    """
    if outlook.forfeit_risk <= 0:
        return True
    span = field.ranges.max_stake - field.ranges.min_stake
    if span <= 0:
        return False
    market = market_of(field.index, field.ranges, outlook.others_parts, 2.0 * len(lanes))
    return (1 - outlook.forfeit_risk) * market.part / span > outlook.forfeit_risk


def _paying(
    field: Field, wanted: Sequence[tuple[Lane, int]], farmers: int, outlook: Outlook
) -> tuple[list[tuple[Lane, int]], list[Skip]]:
    """Keep those whose block earns the pool more than its fees, those with the largest stakes first.

    What one farmer adds is counted with the weight of those before him in the total: each takes a little
    from the others. Hashes are counted as shared by all.
    """
    price = outlook.kale_price or 0.0
    full = scale(field.ranges)
    zeros = expected_part(
        (field.ranges.min_zeros, field.ranges.max_zeros), outlook.hashrate * _HASHING_S / max(farmers, 1), -1
    )
    market = market_of(field.index, field.ranges, outlook.others_parts, 0.0)
    held, kept, losing = 0.0, [], []
    for lane, stake in sorted(wanted, key=lambda one: -one[1]):
        work = weigh(field.ranges, field.ranges.max_gap, stake, 0)
        adds = work.gap + work.stake + max(zeros * full, 1.0)
        # The estimate's total holds none of ours: what we have is put on top, ours and his.
        grown = market.pot * (
            (held + adds) / (market.total + held + adds) - held / max(market.total + held, 1.0)
        )
        cost = outlook.fees.round_of(lane.harvest_every)
        if grown * price >= cost:
            held += adds
            kept.append((lane, stake))
        else:
            losing.append(
                Skip(
                    lane.farmer,
                    f"block {field.index} would earn {format_kale(grown)}, less than its fees at {price:g} XLM a KALE",
                )
            )
    return kept, losing
