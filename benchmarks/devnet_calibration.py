"""Whether the devnet's neighbours farm like mainnet's farmers did: medians side by side.

    python benchmarks/devnet_calibration.py [--blocks 300] [--neighbours 20] [--seed 1] [--ledger-seconds 5.8]

5.8 seconds a ledger give 55 ledgers in 319 s, as in the recording of 340 blocks of December 2024.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kalepool.core.contract import scale
from kalepool.core.farm import Block
from kalepool.devnet.ledger import Ledger, LedgerSettings
from kalepool.devnet.neighbours import Neighbours
from kalepool.xdr.keys import block_key

RECORDING = Path(__file__).parents[1] / "tests" / "data" / "mainnet_blocks.csv"
TOLERANCE = 0.10
_FIRST_BLOCKS = 3  # no ranges yet: the farm begins with nothing


@dataclass(frozen=True)
class Comparison:
    """One figure of a run beside the recording's."""

    name: str
    recorded: float
    run: float

    @property
    def off(self) -> float:
        """How far the run is from the recording, as a part of it."""
        return self.run / self.recorded - 1


def recorded_blocks(path: Path = RECORDING) -> list[Block]:
    """Read the recording."""
    with path.open(encoding="ascii", newline="") as file:
        return [
            Block(
                **{name: int(row[name]) for name in row if name in Block.__slots__},
                entropy=bytes(32),
            )
            for row in csv.DictReader(file)
        ]


def run_blocks(blocks: int, neighbours: int, seed: int, ledger_seconds: float) -> list[Block]:
    """Let neighbours farm so many blocks; give the Blocks, once ranges have formed."""
    ledger = Ledger(LedgerSettings(ledger_seconds=ledger_seconds))
    Neighbours(ledger, neighbours, seed)
    found: dict[int, Block] = {}
    while ledger.farm.index <= blocks + _FIRST_BLOCKS:
        ledger.close()
        index = ledger.farm.index - 1
        entry = ledger.state.get(block_key(ledger.identity.kale_contract, index)) if index >= 0 else None
        if entry is not None and isinstance(entry.value, Block):
            found[index] = entry.value
    return [found[index] for index in sorted(found) if index >= _FIRST_BLOCKS][:blocks]


def compare(recorded: list[Block], run: list[Block]) -> list[Comparison]:
    """Compare medians."""
    figures = {
        "max_gap": lambda block: block.max_gap,
        "max_zeros": lambda block: block.max_zeros,
        "min_zeros": lambda block: block.min_zeros,
        "normalized_total / scale": lambda block: block.normalized_total / scale(block),
    }
    return [
        Comparison(name, *(statistics.median(map(figure, blocks)) for blocks in (recorded, run)))
        for name, figure in figures.items()
    ]


def main() -> int:
    """Print the table; 1 when a figure is further off than the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger-seconds", type=float, default=5.8)
    options = parser.parse_args()
    run = run_blocks(options.blocks, options.neighbours, options.seed, options.ledger_seconds)
    comparisons = compare(recorded_blocks(), run)
    print(f"{'median of':<28}{'mainnet':>10}{'devnet':>10}{'off':>9}")
    for one in comparisons:
        print(f"{one.name:<28}{one.recorded:>10.2f}{one.run:>10.2f}{one.off:>+9.1%}")
    intervals = [after.timestamp - before.timestamp for before, after in pairwise(run)]
    print(f"{len(run)} blocks of {statistics.median(intervals):.0f} s (mainnet: 319 s)")
    return int(any(abs(one.off) > TOLERANCE for one in comparisons))


if __name__ == "__main__":
    sys.exit(main())
