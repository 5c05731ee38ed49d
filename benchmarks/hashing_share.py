"""How much of `bench`'s hash rate is left while the rest of the pool works.

    python benchmarks/hashing_share.py [SECONDS] [FARMERS]

A devnet at the clock's speed in a process of its own, with twelve neighbours; farmers are added, funded and
mined for. Hashes are counted from a ledger after the plants landed; `bench` runs just before and just after,
because other work on a shared machine would else be taken for the pool's.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from new_pool import new_pool

from kalepool.benchmark import measure
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal

if TYPE_CHECKING:
    from kalepool.services.events import Event

BENCH_S = 10.0
TARGET = 0.95
PATIENCE_S = 60.0


def bench() -> float:
    """Give what `bench` gets with all threads: hashes a second, median of its windows."""
    return max(rate.mhs_median for rate in measure(BENCH_S).rates) * 1e6


async def mined(url: str, folder: Path, farmers: int, seconds: float) -> float:
    """Mine for so many seconds of hashing; give hashes a second."""
    planted = asyncio.Event()

    def listen(events: list[Event]) -> None:
        if any(event.name == "planted" for event in events):
            planted.set()

    async with new_pool(url, folder, farmers) as pool:
        mining = Mining(pool.means, Goal(), [listen])  # type: ignore[list-item]
        task = asyncio.create_task(mining.run())
        await asyncio.wait_for(planted.wait(), PATIENCE_S)
        await asyncio.sleep(5)
        # The engine's own count: jobs come and go as the planner aims it, and take theirs with them.
        before, began = pool.miner.stats().hashes, time.monotonic()
        await asyncio.sleep(seconds)
        rate = (pool.miner.stats().hashes - before) / (time.monotonic() - began)
        mining.request_stop()
        mining.request_stop()
        await task
        return rate


def main() -> None:
    """Run it and print the share."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    farmers = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    command = [sys.executable, "-m", "kalepool", "devnet", "--port", "0", "--neighbours", "12", "--json"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as devnet:
        assert devnet.stdout is not None
        url = json.loads(devnet.stdout.readline())["data"]["rpc_url"]
        before = bench()
        with tempfile.TemporaryDirectory() as folder:
            rate = asyncio.run(mined(url, Path(folder), farmers, seconds))
        after = bench()
        devnet.terminate()
    print(f"bench before {before / 1e6:.1f}, after {after / 1e6:.1f} Mh/s")
    print(f"mining for {farmers} farmers {rate / 1e6:.1f} Mh/s over {seconds:.0f} s")
    print(f"share {100 * rate / ((before + after) / 2):.1f} %, target {100 * TARGET:.0f} %")


if __name__ == "__main__":
    main()
