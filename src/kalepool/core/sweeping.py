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
    current, blocks = snapshot.farm.index, snapshot.blocks
    ripe: dict[str, list[tuple[int, int]]] = {}
    for (address, index), dated in snapshot.pails.items():
        if index < current and dated.pail.zeros is not None:
            block = blocks.get(index)
            ends = dated.live_until if block is None else min(dated.live_until, block.live_until)
            if address in ripe:
                ripe[address].append((index, ends))
            else:
                ripe[address] = [(index, ends)]
    found = []
    for lane in lanes:
        ready = sorted(ripe.get(lane.address, ()))
        reason = _due(snapshot, lane, ready, policy) if ready else ""
        if reason:
            found.append(Harvest(lane.farmer, tuple([index for index, _ in ready]), reason))
    return found


def _due(snapshot: Snapshot, lane: Lane, ready: Sequence[tuple[int, int]], policy: Policy) -> str:
    safe = snapshot.ledger + policy.harvest_margin_ledgers
    for index, ends in ready:
        if ends <= safe:
            return f"block {index} expires soon"
    every = max(lane.harvest_every, policy.harvest_from or 0)
    if snapshot.farm.index - ready[0][0] >= every:
        return f"every {every} blocks"
    if lane.plants and lane.stake and lane.available is not None and lane.available < lane.stake:
        return "his next stake needs it"
    return ""
