"""The tables of docs/STRATEGY.md: policies on mainnet's blocks for many farms, hash rates and stakes.

python benchmarks/planner_tables.py [--farmers 1 10 50 100] [--rates 4 40 400] [--stakes 0 0.1 1]
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product

from kalepool.backtest.compare import Comparison, compare
from kalepool.backtest.recording import mainnet
from kalepool.core.strategy import POLICIES

SHOWN = ("steady", "max-kale")


def cell(case: tuple[int, float, float], seed: int) -> Comparison:
    """Play one cell of the table."""
    farmers, rate, stake = case
    policies = [POLICIES[name] for name in SHOWN]
    return compare(mainnet(), policies, farmers=farmers, hashrate=rate * 1e6, stake=stake, seed=seed)


def line(case: tuple[int, float, float], result: Comparison) -> str:
    """Write one row of the table."""
    farmers, rate, stake = case
    steady, greedy = (result.row(name) for name in SHOWN)
    bots = [row.kale for row in result.rows if row.kind == "bot"]
    bounds = [row.kale for row in result.rows if row.kind == "clairvoyant"]
    figures = [
        *(f"{kale:.2f}" for kale in bots),
        f"{steady.kale:.2f}",
        f"{result.over_bots(steady):.3f}",
        f"{bounds[0]:.2f}",
        f"{result.of_bound(steady):.1%}",
        f"{greedy.kale:.2f}",
        f"{result.over_bots(greedy):.3f}",
        f"{bounds[1]:.2f}",
        f"{result.of_twice(greedy):.1%}",
    ]
    return f"| {farmers} | {rate:g} | {stake:.0%} | " + " | ".join(figures) + " |"


def main() -> int:
    """Print the table, row by row as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--farmers", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--rates", type=float, nargs="+", default=[4, 40, 400])
    parser.add_argument("--stakes", type=float, nargs="+", default=[0, 0.1, 1])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cases = list(product(options.farmers, options.rates, options.stakes))
    print(
        "| farmers | M/s | stake | 6 zeros | 10 M | steady | x bot | bound | of it |"
        " max-kale | x bot | bound, twice | of it |"
    )
    print("|" + "---:|" * 13)
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        for case, result in zip(cases, workers.map(cell, cases, [options.seed] * len(cases)), strict=True):
            print(line(case, result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
