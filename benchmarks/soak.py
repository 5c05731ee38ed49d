"""A day and more of mining in one process: is memory flat, is the last hour as quick as the first, is any block missed?

    python benchmarks/soak.py [--hours 24] [--farmers 50] [--speed 20]

Pool, engine and a devnet with twelve neighbours share one process and one event loop; requests go over a real
socket. The devnet forgets ledgers after an hour and pails after two, so that what it remembers does not grow for a day. A line for
each hour of network time:

- memory: resident, of devnet and pool together, and the store's files;
- CPU: of the event loop's thread (pool and devnet), for each transaction of ours;
- lag: how late the event loop wakes a task that asked for every tenth of a second, 99 of 100 wakings and the worst;
- plants: ledgers from a block's opening to the last plant that landed, median over blocks and the worst;
- pails that should have been planted, worked and harvested, and were not.

At the end, the slopes of a least-squares line through hours two to the last, and what they come to in a day.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from new_pool import new_pool

from kalepool.cli.commands.devnet import genesis_time
from kalepool.core.records import PailState
from kalepool.devnet.devnet import Devnet
from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.neighbours import Neighbours
from kalepool.devnet.server import HOST, Server, listen
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kalepool.bootstrap import Pool
    from kalepool.config import Value

BLOCKS_AN_HOUR = 12
TICK_S = 0.1
NEIGHBOURS = 12
MEMORY = 720
"""Ledgers, an hour."""
HEAD = (
    f"{'hour':>4} {'pails':>6} {'missed':>6} {'memory MB':>9} {'store MB':>8} {'CPU ms/tx':>9} "
    f"{'lag ms 99%':>10} {'worst':>6} {'plants':>6} {'worst':>5}"
)


@dataclass(frozen=True, slots=True)
class Hour:
    """What an hour of network time was like."""

    pails: int
    missed: int
    memory_mb: float
    store_mb: float
    cpu_ms: float
    lag_ms: float
    worst_lag_ms: float
    plants: float
    worst_plants: int

    def line(self, number: int) -> str:
        """Give it as a line of the table."""
        return (
            f"{number:>4} {self.pails:>6} {self.missed:>6} {self.memory_mb:>9.1f} {self.store_mb:>8.1f} "
            f"{self.cpu_ms:>9.2f} {self.lag_ms:>10.1f} {self.worst_lag_ms:>6.0f} "
            f"{self.plants:>6.1f} {self.worst_plants:>5}"
        )


class Watch:
    """Watches a pool that mines, hour by hour."""

    def __init__(self, pool: Pool, farmers: int) -> None:
        self._pool = pool
        self._farmers = farmers
        self._lags: list[float] = []
        self._cpu_s = time.thread_time()
        self._sent = self._sends()
        self.hours: list[Hour] = []

    async def run(self) -> None:
        """Print a line for every hour from the first block known on, two blocks after the hour."""
        first: int | None = None
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            self._lags.append(time.perf_counter() - before - TICK_S)
            latest = self._pool.blocks.latest()
            if latest is None:
                continue
            # The block that is open when mining begins may be too old to plant in.
            first = latest.index + 1 if first is None else first
            begun = first + BLOCKS_AN_HOUR * len(self.hours)
            # Two blocks later, because what an hour's last block planted is worked by then.
            if latest.index > begun + BLOCKS_AN_HOUR + 1:
                self._end(begun, begun + BLOCKS_AN_HOUR - 1)

    def _end(self, first: int, last: int) -> None:
        records = self._pool.pails.in_blocks(first, last)
        good = {PailState.WORKED, PailState.HARVESTABLE, PailState.HARVESTED}
        missed = self._farmers * BLOCKS_AN_HOUR - sum(one.state in good for one in records)
        opened = {one.index: one.opened_ledger for one in self._pool.blocks.between(first, last)}
        landed: dict[int, int] = {}
        for one in records:
            opening = opened.get(one.block)
            if opening is not None and one.planted_ledger is not None:
                landed[one.block] = max(landed.get(one.block, 0), one.planted_ledger - opening)
        cpu_s, sent = time.thread_time(), self._sends()
        lags = sorted(self._lags)
        self.hours.append(
            Hour(
                len(records),
                missed,
                _resident_mb(),
                _size_mb(self._pool.store.path),
                1000 * (cpu_s - self._cpu_s) / max(sent - self._sent, 1),
                1000 * lags[int(0.99 * len(lags))],
                1000 * lags[-1],
                statistics.median(landed.values()) if landed else 0.0,
                max(landed.values(), default=0),
            )
        )
        self._cpu_s, self._sent, self._lags = cpu_s, sent, []
        say(self.hours[-1].line(len(self.hours)))

    def _sends(self) -> int:
        return self._pool.rpc.counts.calls["sendTransaction"]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _size_mb(path: Path) -> float:
    return sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 2**20


@asynccontextmanager
async def network(speed: float) -> AsyncIterator[str]:
    """Run a devnet in this process; give its URL."""
    listener = listen(0)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    devnet = Devnet(
        LedgerSettings(genesis_time=genesis_time(speed), history_ledgers=MEMORY, temporary_ttl=2 * MEMORY),
        None,
        url,
    )
    Neighbours(devnet.ledger, NEIGHBOURS, 1)
    server = Server(devnet, listener, speed=speed)
    serving = asyncio.create_task(server.run())
    try:
        yield url
    finally:
        server.stop()
        await serving


async def soak(
    hours: int, farmers: int, speed: float, folder: Path
) -> tuple[list[Hour], dict[PailState, int]]:
    """Mine so long; give every hour, and how many pails ended how."""
    options: dict[str, Value] = {"mining.threads": 1, "fees.day_most_xlm": "100000"}
    async with network(speed) as url, new_pool(url, folder, farmers, options) as pool:
        # The first block is not counted, and an hour's line is due two blocks after the hour.
        mining = Mining(pool.means, Goal(BLOCKS_AN_HOUR * hours + 4))
        watch = Watch(pool, farmers)
        task = asyncio.create_task(mining.run())
        watching = asyncio.create_task(watch.run())
        await task
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        return watch.hours, dict(pool.pails.counts())


def slope(values: list[float]) -> float:
    """Give the slope of the least-squares line through values one apart."""
    if len(values) < 2:
        return 0.0
    return statistics.linear_regression(range(len(values)), values).slope


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Soak, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=24, help="of network time")
    parser.add_argument("--farmers", type=int, default=50)
    parser.add_argument("--speed", type=float, default=20.0, help="how many times as fast as the clock")
    given = parser.parse_args()
    say(HEAD)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        hours, counts = asyncio.run(soak(given.hours, given.farmers, given.speed, Path(folder)))
    say(f"{len(hours)} hours of network time in {(time.monotonic() - began) / 60:.0f} minutes")
    say("pails: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    later = hours[1:]
    for name, unit, values in (
        ("memory", "MB", [one.memory_mb for one in later]),
        ("store", "MB", [one.store_mb for one in later]),
        ("CPU a transaction", "ms", [one.cpu_ms for one in later]),
        ("lag, 99 of 100", "ms", [one.lag_ms for one in later]),
        ("ledgers until plants landed", "", [one.plants for one in later]),
    ):
        each = slope(values)
        say(f"slope of {name}: {each:+.4f} {unit} an hour, {24 * each:+.2f} {unit} a day".replace("  ", " "))
    say(f"missed: {sum(one.missed for one in hours)}")


if __name__ == "__main__":
    main()
