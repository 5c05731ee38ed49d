"""How fast an operator is answered: `--help`, `status` and `report` over a farm that has run for a day.

    .venv/bin/python benchmarks/status_speed.py [--farmers 1000] [--blocks 300]

Builds a store of a thousand farmers with 300 pails each and the fees of planting, working and harvesting
them, then runs the commands as processes, each some times, and prints the best beside its target.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from kalepool.adapters.store.books import Entry, post_all
from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.opening import Home, create_store, open_store
from kalepool.adapters.store.owners import Owner
from kalepool.adapters.store.pails import StoreBlocks, StorePails
from kalepool.adapters.store.views import StoreViews
from kalepool.core.farm import Block
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.intents import pail_item
from kalepool.core.postings import FEES, XLM, account
from kalepool.core.records import BlockRecord, PailRecord, PailState, View
from kalepool.networks import NETWORKS

START = 1_760_000_000
BLOCK_S = 300
HARVEST_EVERY = 5
FEE = 31_416
TARGETS = (
    (0.25, ["--help"]),
    (0.5, ["status"]),
    (0.5, ["status", "--json"]),
    (2.0, ["report"]),
    (2.0, ["report", "--by", "day"]),
    (2.0, ["report", "--by", "block", "--csv"]),
)


def build(path: Path, farmers: int, blocks: int) -> None:
    """Make a store of a farm that has run for so many blocks."""
    local = NETWORKS["local"]
    home = Home(local.passphrase, local.kale)
    create_store(path, home)
    with open_store(path, home) as store:
        StoreFarmers(store, time.time).add(
            [
                Farmer(
                    0,
                    f"farmer-{number:04}",
                    f"G{number:055}",
                    Custody.CUSTODIAL,
                    FarmerState.ACTIVE,
                    number,
                    Terms(),
                )
                for number in range(farmers)
            ],
            who="benchmark",
            seal=lambda _: bytes(32),
        )
        owner = Owner(store, "benchmark", time.time)
        pails, intent = StorePails(store), 0
        for block in range(blocks):
            at = START + block * BLOCK_S
            content = Block(at, 10, 40, 0, 50_000_000, 5, 9, bytes(32), 7, 10**18)
            StoreBlocks(store).record([BlockRecord(block, content, 90_000, 60 * block)])
            alive = block >= blocks - 2
            state = PailState.WORKED if alive else PailState.HARVESTED
            reward = None if alive else 9_123_456
            pails.record(
                [
                    PailRecord(f, block, state, 5_000_000, 60 * block, 15, 7, reward, 90_000)
                    for f in range(1, farmers + 1)
                ]
            )
            covered = [[pail_item(f, block)] for f in range(1, farmers + 1)] * 2
            if block % HARVEST_EVERY == HARVEST_EVERY - 1:
                span = range(block - HARVEST_EVERY + 1, block + 1)
                covered += [[pail_item(f, one) for one in span] for f in range(1, farmers + 1)]
            numbers = range(intent + 1, intent + 1 + len(covered))
            intent += len(covered)
            with store.atomic():
                store.execute_many(
                    "INSERT INTO intents VALUES (?, 'plant', ?, 'settled', ?, '', 0)",
                    [(number, f"made up:{number}", owner.number) for number in numbers],
                )
                store.execute_many(
                    "INSERT INTO intent_items VALUES (?, ?, 0)",
                    [
                        (number, item)
                        for number, items in zip(numbers, covered, strict=True)
                        for item in items
                    ],
                )
                postings = ((account("operator"), XLM, -FEE), (FEES, XLM, FEE))
                post_all(
                    store, [Entry(f"intent:{number}", postings, at + 20, intent=number) for number in numbers]
                )
        close = START + blocks * BLOCK_S
        StoreViews(store).save(View(60 * blocks, close, blocks - 1, False, 10**11, 12_000_000, time.time()))
        owner.retire()


def run(words: list[str], folder: Path, times: int) -> tuple[float, float, str]:
    """Run a command some times; give the best wall clock and CPU time in seconds, and what it printed."""
    best, cpu, printed = float("inf"), float("inf"), ""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder)}
    for _ in range(times):
        start, before = time.perf_counter(), os.times()
        printed = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "kalepool", *words],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        best, after = min(best, time.perf_counter() - start), os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        cpu = min(cpu, used)
    return best, cpu, printed


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--farmers", type=int, default=1_000)
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        build(folder / "kalepool.db", args.farmers, args.blocks)
        print(f"{args.farmers} farmers, {args.farmers * args.blocks} pails")
        for target, words in TARGETS:
            took, cpu, printed = run(words, folder, args.times)
            verdict = "ok" if took <= target else "TOO SLOW"
            lines = printed.count("\n")
            print(
                f"kalepool {' '.join(words):<24} {took:6.3f} s ({cpu:.2f} s CPU)"
                f"   target {target} s   {lines} lines   {verdict}"
            )


if __name__ == "__main__":
    main()
