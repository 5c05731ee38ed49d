"""What mining costs beside hashing: requests a block, CPU a transaction, ledgers until plants land.

    python benchmarks/mine_speed.py [FARMERS...]

Over a devnet in this process with twelve neighbours, in virtual time, so the engine hashes next to nothing:
one proof a farmer and ledger. Measured over blocks after the first, harvests every five blocks. CPU is that of
the thread that runs the pool, less what the network in it takes; target beside result.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from typing import TYPE_CHECKING

import httpx

from kalepool.core.farmers import Terms
from kalepool.core.records import PailState
from kalepool.devnet.neighbours import Neighbours
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal
from support.farmstead import Farmstead
from support.virtual import run

if TYPE_CHECKING:
    from kalepool.bootstrap import Pool
    from kalepool.config import Value

FARMERS = (20, 100, 1000)
BLOCKS = {20: 11, 100: 11, 1000: 6}
CHANNELS = 16
CPU_TARGET_MS = 2.5


@dataclass
class Figures:
    """Counters at one moment."""

    http: int
    calls: int
    sends: int
    cpu_s: float

    def since(self, other: Figures) -> Figures:
        """Give what came since another moment."""
        return Figures(
            self.http - other.http,
            self.calls - other.calls,
            self.sends - other.sends,
            self.cpu_s - other.cpu_s,
        )


class Timed(httpx.AsyncBaseTransport):
    """Counts the CPU that the network takes to answer."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.cpu_s = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, and count."""
        before = time.thread_time()
        try:
            return await self.inner.handle_async_request(request)
        finally:
            self.cpu_s += time.thread_time() - before


class Run:
    """One farm, measured."""

    def __init__(self, folder: Path, farmers: int) -> None:
        self.stead = Farmstead(folder, operator_xlm=100_000)
        Neighbours(self.stead.bench.ledger, 12)
        self.network = Timed(self.stead.transport)
        self.stead.transport = self.network  # type: ignore[assignment]
        options: dict[str, Value] = {
            "mining.threads": 1,
            "fees.day_most_xlm": "100000",
            "harvest.channels": 2 * CHANNELS,
        }
        self.pool: Pool = self.stead.pool("mine", options=options)
        self.farmers = self.stead.add_farmers(self.pool, farmers, terms=Terms(harvest_every=5))
        self.stead.add_channels(self.pool, CHANNELS)
        self.closing_s = 0.0
        self.hashing_s = 0.0
        self.first: Figures | None = None

    def figures(self) -> Figures:
        """Give the counters now."""
        counts = self.pool.rpc.counts
        away = self.closing_s + self.network.cpu_s + self.hashing_s
        return Figures(
            counts.http_requests,
            sum(counts.calls.values()),
            counts.calls["sendTransaction"],
            time.thread_time() - away,
        )

    async def mine(self, blocks: int) -> tuple[int, Figures]:
        """Mine; give the blocks measured and what they took."""
        marks: list[tuple[int, Figures]] = []

        def note(_batch: object) -> None:
            index = self.stead.bench.ledger.farm.index
            if not marks or marks[-1][0] != index:
                marks.append((index, self.figures()))

        closing = asyncio.create_task(self._close())
        async with self.pool.online():
            await Mining(self.pool.means, Goal(blocks), [note]).run()
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        # The first block teaches, and the last waits for its harvest: what lies between is the steady state.
        first, last = marks[1], marks[-1]
        return last[0] - first[0], last[1].since(first[1])

    async def _close(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            before = time.thread_time()
            self._hash()
            middle = time.thread_time()
            self.stead.bench.close()
            self.hashing_s += middle - before
            self.closing_s += time.thread_time() - middle

    def _hash(self) -> None:
        miner = self.pool.miner
        while miner.stats().running and any(p.best is None for p in miner.read_all().values()):
            time.sleep(0.001)
        miner.stop()  # until the next look

    def latency(self, blocks: int) -> tuple[int, int]:
        """Give the most ledgers from a block's opening to a plant, and how many farmers missed a block."""
        worst = missed = 0
        for index in range(1, blocks):
            known = self.pool.blocks.between(index, index)[0]
            records = self.pool.pails.in_blocks(index, index)
            landed = [one.planted_ledger for one in records if one.planted_ledger is not None]
            missed += len(self.farmers) - len(landed)
            if known.opened_ledger is not None and landed:
                worst = max(worst, max(landed) - known.opened_ledger)
        return worst, missed


def main() -> None:
    """Measure each size and print the table."""
    print(f"{'':<46}{'target':>12}{'result':>12}")
    for count in [int(word) for word in sys.argv[1:]] or FARMERS:
        with tempfile.TemporaryDirectory() as folder:
            measured = Run(Path(folder), count)
            blocks = BLOCKS.get(count, 6)
            over, took = run(measured.mine(blocks))
            worst, missed = measured.latency(blocks)
            harvested = measured.pool.pails.counts()[PailState.HARVESTED]
            measured.pool.close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count} farmers, {over} blocks, {harvested} pails harvested")
        row("  HTTP requests a block", f"<= {20 + 0.3 * count:.0f}", f"{took.http / over:.1f}")
        row("  JSON-RPC calls a block", "", f"{took.calls / over:.0f}")
        row("  transactions sent a block", "", f"{took.sends / over:.0f}")
        row("  CPU ms a transaction", f"<= {CPU_TARGET_MS}", f"{1000 * took.cpu_s / took.sends:.2f}")
        row("  ledgers from opening to the last plant", "<= 5" if count <= 100 else "", str(worst))
        row("  farmers who missed a block", "0", str(missed))
        row("  memory of the process, network included, MB", "", f"{peak:.0f}")


def row(name: str, target: str, result: str) -> None:
    """Print one row."""
    print(f"{name:<46}{target:>12}{result:>12}", flush=True)


if __name__ == "__main__":
    main()
