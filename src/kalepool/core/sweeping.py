"""Harvesting: which of a farmer's pails are taken in, when a batch is worth its call, and when it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.actions import Harvest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane
    from kalepool.core.chain import Snapshot
    from kalepool.core.strategy import Policy


def harvests(snapshot: Snapshot, lanes: Sequence[Lane], policy: Policy) -> list[Harvest]:
    """Give the harvests that are due.

    A batch costs less for each block the larger it is, so it waits for the interval agreed on; not longer
    than the first pail or Block lives, and not while the farmer is short of what he wants to stake.
    """
    ripe: dict[str, list[int]] = {}
    for (address, index), dated in snapshot.pails.items():
        if index < snapshot.farm.index and dated.pail.zeros is not None:
            ripe.setdefault(address, []).append(index)
    found = []
    for lane in lanes:
        ready = sorted(ripe.get(lane.address, ()))
        if not ready:
            continue
        reason = _due(snapshot, lane, ready, policy)
        if reason:
            found.append(Harvest(lane.farmer, tuple(ready), reason))
    return found


def _due(snapshot: Snapshot, lane: Lane, ready: Sequence[int], policy: Policy) -> str:
    ending = next((index for index in ready if _is_ending(snapshot, lane.address, index, policy)), None)
    if ending is not None:
        return f"block {ending} expires soon"
    every = max(lane.harvest_every, policy.harvest_from or 0)
    if snapshot.farm.index - ready[0] >= every:
        return f"every {every} blocks"
    if lane.plants and lane.stake and lane.available is not None and lane.available < lane.stake:
        return "his next stake needs it"
    return ""


def _is_ending(snapshot: Snapshot, address: str, index: int, policy: Policy) -> bool:
    ends = [snapshot.pails[address, index].live_until]
    if index in snapshot.blocks:
        ends.append(snapshot.blocks[index].live_until)
    return min(ends) - snapshot.ledger <= policy.harvest_margin_ledgers
