"""Hashing: for whom, what a zero is worth for each, when to rest, and when to begin with the next block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.actions import Grind, Skip
from kalepool.core.contract import new_block, scale
from kalepool.core.economics import interest_weights, is_valid
from kalepool.core.working import can_improve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane, Plant
    from kalepool.core.chain import Snapshot
    from kalepool.core.situation import Situation
    from kalepool.core.strategy import Policy

_MOST_ZEROS: Final = 64
_USUAL_PARTS: Final = 2.0


def grinding(
    snapshot: Snapshot,
    lanes: Sequence[Lane],
    policy: Policy,
    situation: Situation | None,
    planting: Sequence[Plant],
) -> tuple[list[Grind], list[Skip]]:
    """Hash for those whose better proof would count in the current block; when none is left, for the next.

    Whoever is being planted in the current block is hashed for at once: a plant takes ledgers to land.
    """
    index = snapshot.farm.index
    begun = {plant.farmer for plant in planting if plant.block == index}
    current = snapshot.blocks.get(index)
    if current is None or not is_valid(current.block):
        return [], []
    cap = strategy.cap_of(current.block, policy)
    working, resting = [], []
    for lane in lanes:
        if not lane.works:
            continue
        dated = snapshot.pails.get((lane.address, index))
        if dated is None and index not in lane.under_way and lane.farmer not in begun:
            continue
        pail = None if dated is None else dated.pail
        done = pail is not None and pail.zeros is not None
        if pail and done and (situation is None or not can_improve(pail, lane.proof, situation)):
            resting.append(Skip(lane.farmer, f"worked with {pail.zeros} zeros, more would not pay"))
            continue
        working.append(lane)
    if not working and policy.pregrind:
        ahead = _ahead(snapshot, lanes, policy)
        if ahead:
            return ahead, resting
    bests = [_best(lane, index) for lane in working]
    pushed = policy.push and bool(bests) and min(bests) >= cap
    limit = min(cap + 1, _MOST_ZEROS) if pushed else cap
    weights = _weights(working, situation)
    reasons = {best: _why(index, best, cap, limit) for best in set(bests)}
    return [
        Grind(lane.farmer, index, limit, reasons[best], weight)
        for lane, best, weight in zip(working, bests, weights, strict=True)
    ], resting


def _ahead(snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy) -> list[Grind]:
    """Hash for the next block with the entropy that it gets if nobody works after us."""
    record, index = snapshot.farm.block, snapshot.farm.index + 1
    if record is None or snapshot.farm.paused or record.entropy == bytes(len(record.entropy)):
        return []
    following = new_block(record, record.timestamp)
    cap = strategy.cap_of(following, policy)
    reason = f"nothing is left to find in block {index - 1}: ahead for block {index}, if no work comes after"
    return [
        Grind(lane.farmer, index, cap, reason, 1.0, record.entropy)
        for lane in lanes
        if lane.works and lane.plants
    ]


def _best(lane: Lane, index: int) -> int:
    return -1 if lane.proof is None or lane.proof.index != index else lane.proof.zeros


def _weights(lanes: Sequence[Lane], situation: Situation | None) -> list[float]:
    interests = [lane.interest for lane in lanes]
    if situation is None or len(set(interests)) <= 1:
        return [1.0] * len(lanes)
    held = [_USUAL_PARTS * scale(situation.block)] * len(lanes)
    return interest_weights(interests, held, situation.market.total)


def _why(index: int, best: int, cap: int, limit: int) -> str:
    if best >= limit:
        return f"{best} zeros in block {index}, more would earn nothing: at rest"
    if limit > cap:
        return f"everybody has the {cap} zeros that count in block {index}: one more lifts the next block's range"
    return f"planted in block {index}, at most {cap} zeros count"
