"""What it costs to learn the outcome of a block's transactions: by events, and by asking for each.

    PYTHONPATH=tests python benchmarks/settling_speed.py

100 plants (half of them of 0), 100 works and 20 harvests by the tractor land on a devnet; for each kind it prints
requests, calls and processor time, of the client alone: the devnet's share is measured apart and left out.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kalepool.errors import RetryableError
from support.devnet import KALE
from support.farming import Season
from support.house import House

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Happenings
    from kalepool.services.submit import Order

FARMERS = 100
HARVESTS = 20


@dataclass(frozen=True)
class Cost:
    """What one look cost.

    Attributes:
        closed: intents closed.
        requests: bodies posted.
        calls: by method.
        client_ms: processor time outside of the devnet, milliseconds.
    """

    closed: int
    requests: int
    calls: dict[str, int]
    client_ms: float


class Timed:
    """Measures the time spent in a devnet's node."""

    def __init__(self, house: House) -> None:
        self.spent = 0.0
        self._rpc = house.pool.devnet.rpcs["main"]
        self._handle = self._rpc.handle
        self._rpc.handle = self.handle  # type: ignore[method-assign]

    def handle(self, body: bytes) -> Any:
        """Let the node answer."""
        started = time.process_time()
        try:
            return self._handle(body)
        finally:
            self.spent += time.process_time() - started


class Run:
    """One season on a devnet of its own.

    Args:
        folder: for the store.
        by_events: whether events and snapshots are used, or every transaction is asked for.
    """

    def __init__(self, folder: Path, *, by_events: bool) -> None:
        self.house = House(folder)
        self.season = Season(self.house, self.house.farmers(FARMERS))
        self.channels = [self.house.pool.member(f"channel {number}") for number in range(HARVESTS)]
        self.node = Timed(self.house)
        self.by_events = by_events
        if not by_events:
            self.house.pool.chain.happenings = _without_events  # type: ignore[method-assign, assignment]

    def costs(self) -> dict[str, Cost]:
        """Land everything; give what learning of it cost."""
        pool, season = self.house.pool, self.season
        costs = {"plants": self._settle(season.plants([0, 5 * KALE] * (FARMERS // 2)))}
        pool.close()
        costs["works"] = self._settle(season.works(range(1, FARMERS + 1)))
        opener = pool.account("opener", kale=0)
        pool.open_block(opener)
        for farmer in season.farmers[:HARVESTS]:
            pool.accept(pool.plant(farmer, KALE))
        pool.close(2)
        for farmer in season.farmers[:HARVESTS]:
            pool.accept(pool.work(farmer, pool.proof(farmer)))
        pool.open_block(opener)
        harvests = [season.harvest(n + 1, [0, 1], channel) for n, channel in enumerate(self.channels)]
        costs["tractor harvests"] = self._settle(harvests)
        self.house.store.close()
        return costs

    def _settle(self, orders: Sequence[Order]) -> Cost:
        self.season.send(orders)
        self.house.pool.close()
        # The round reads its snapshot anyway, so it is no part of the cost.
        snapshot = self.house.snapshot(self.season.farmers, self.house.pool.farm.index)
        counts = self.house.pool.rpc_client.counts
        counts.http_requests = 0
        counts.calls.clear()
        spent, started = self.node.spent, time.process_time()
        closed = self.house.reconcile(snapshot if self.by_events else None)
        elapsed = time.process_time() - started - (self.node.spent - spent)
        assert {one.state for one in closed} == {"settled"}
        return Cost(len(closed), counts.http_requests, dict(counts.calls), 1_000 * elapsed)


async def _without_events(*_: object) -> Happenings:
    raise RetryableError("this network tells no events", hint="ask for each transaction")


def main() -> None:
    """Measure and print."""
    for by_events in (False, True):
        print("by events and a snapshot" if by_events else "asking for each")
        with tempfile.TemporaryDirectory() as folder:
            for name, cost in Run(Path(folder), by_events=by_events).costs().items():
                each = cost.client_ms / cost.closed
                print(
                    f"  {cost.closed:3} {name:16} {cost.requests:3} requests, {each:.2f} ms each, {cost.calls}"
                )


if __name__ == "__main__":
    main()
