"""What mining costs beside hashing: requests a block, CPU a transaction, memory, ledgers until plants land.

    python benchmarks/mine_speed.py [FARMERS...]

At default settings, over a devnet in a process of its own with twelve neighbours, in virtual time, so the
engine hashes next to nothing: one proof a farmer and ledger. CPU is that of the one thread that runs the pool,
as the kernel counts it: neither the devnet nor the engine's threads are in it. Memory is the largest that the
pool's process ever had. Measured over blocks after the first, harvests every five blocks; target beside result.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from far_devnet import FarBench, HurryingLoop

from kalepool.core.farmers import Terms
from kalepool.core.records import PailState
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal
from support.farmstead import Farmstead

if TYPE_CHECKING:
    from kalepool.bootstrap import Pool
    from kalepool.config import Value
    from support.devnet import Bench

FARMERS = (20, 100, 1000)
BLOCKS = {20: 11, 100: 11, 1000: 6}
CHANNELS = 8
CPU_TARGET_MS = 2.5
MEMORY_TARGET_MB = 300
PICTURES = 20


@dataclass
class Figures:
    """Counters at one moment."""

    http: int
    calls: Counter[str]
    cpu_s: float
    looks: int

    def since(self, other: Figures) -> Figures:
        """Give what came since another moment."""
        return Figures(
            self.http - other.http,
            self.calls - other.calls,
            self.cpu_s - other.cpu_s,
            self.looks - other.looks,
        )


class Run:
    """One farm, measured."""

    def __init__(self, folder: Path, farmers: int, bench: FarBench) -> None:
        self.bench = bench
        self.stead = Farmstead(folder, operator_xlm=100_000, bench=cast("Bench", bench), transport=bench)
        options: dict[str, Value] = {"mining.threads": 1, "fees.day_most_xlm": "100000"}
        self.pool: Pool = self.stead.pool("mine", options=options)
        self.farmers = self.stead.add_farmers(self.pool, farmers, terms=Terms(harvest_every=5))
        self.stead.add_channels(self.pool, CHANNELS)
        self.away_s = 0.0
        self.picture_s = 0.0
        self.marks: list[tuple[int, Figures]] = []

    def figures(self) -> Figures:
        """Give the counters now."""
        counts = self.pool.rpc.counts
        cpu_s = time.thread_time() - self.away_s
        return Figures(counts.http_requests, Counter(counts.calls), cpu_s, counts.calls["getHealth"])

    async def mine(self, blocks: int) -> tuple[int, Figures]:
        """Mine; give the blocks measured and what they took."""
        async with self.pool.online():
            mining = Mining(self.pool.means, Goal(blocks))
            closing = asyncio.create_task(self._close())
            await mining.run()
            self.picture_s = _picture_s(mining)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        # The first block teaches, and the last waits for its harvest: what lies between is the steady state.
        first, last = self.marks[1], self.marks[-1]
        return last[0] - first[0], last[1].since(first[1])

    async def _close(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            before = time.thread_time()
            self._hash()
            self.bench.close()
            index = self.bench.index
            self.away_s += time.thread_time() - before
            if not self.marks or self.marks[-1][0] != index:
                self.marks.append((index, self.figures()))

    def _hash(self) -> None:
        miner = self.pool.miner
        while miner.stats().running and any(p.best is None for p in miner.read_all().values()):
            time.sleep(0.001)
        miner.stop()  # until the next look

    def latency(self, blocks: int) -> tuple[int, int, int]:
        """Give the most ledgers from a block's opening to the first that could take a plant, and to one.

        Returns:
            Those two, and how many pails were missed.
        """
        sent = worst = missed = 0
        for index in range(1, blocks):
            known = self.pool.blocks.between(index, index)[0]
            records = self.pool.pails.in_blocks(index, index)
            landed = [one.planted_ledger for one in records if one.planted_ledger is not None]
            missed += len(self.farmers) - len(landed)
            if known.opened_ledger is not None and landed:
                worst = max(worst, max(landed) - known.opened_ledger)
                signed = self.pool.store.value(
                    "SELECT max(signed_ledger) FROM attempts JOIN intent_items USING (intent) "
                    "JOIN intents ON intents.number = intent WHERE kind = 'plant' AND item GLOB ?",
                    (f"pail:*:{index}",),
                )
                sent = max(sent, signed + 1 - known.opened_ledger)
        return sent, worst, missed


def _picture_s(mining: Mining) -> float:
    """Give the CPU that one picture for the live screen takes, when nothing has changed since the last."""
    mining.picture()
    before = time.thread_time()
    for _ in range(PICTURES):
        mining.picture()
    return (time.thread_time() - before) / PICTURES


def main() -> None:
    """Measure each size and print the table."""
    print(f"{'':<46}{'target':>12}{'result':>12}")
    for count in [int(word) for word in sys.argv[1:]] or FARMERS:
        with FarBench(neighbours=12) as bench, tempfile.TemporaryDirectory() as folder:
            measured = Run(Path(folder), count, bench)
            blocks = BLOCKS.get(count, 6)
            with asyncio.Runner(loop_factory=HurryingLoop) as runner:
                over, took = runner.run(measured.mine(blocks))
            sent, worst, missed = measured.latency(blocks)
            harvested = measured.pool.pails.counts()[PailState.HARVESTED]
            measured.pool.close()
        sends = took.calls["sendTransaction"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{count} farmers, {over} blocks, {harvested} pails harvested")
        row("  HTTP requests a block", f"<= {20 + 0.3 * count:.0f}", f"{took.http / over:.1f}")
        row("  JSON-RPC calls a block", "", f"{took.calls.total() / over:.0f}")
        row("  looks a block", "", f"{took.looks / over:.0f}")
        row("  transactions sent a block", "", f"{sends / over:.0f}")
        row("  CPU ms a transaction", f"<= {CPU_TARGET_MS}", f"{1000 * took.cpu_s / sends:.2f}")
        row("  ledgers from opening to the last plant sent", "<= 1" if count <= 100 else "", str(sent))
        row("  ledgers from opening to the last plant landed", "<= 5" if count <= 100 else "", str(worst))
        row("  pails missed", "0", str(missed))
        row("  CPU ms a picture", "", f"{1000 * measured.picture_s:.2f}")
        row("  memory of the pool's process, MB", f"<= {MEMORY_TARGET_MB}", f"{peak:.0f}")


def row(name: str, target: str, result: str) -> None:
    """Print one row."""
    print(f"{name:<46}{target:>12}{result:>12}", flush=True)


if __name__ == "__main__":
    main()
