"""What a transaction costs in CPU: built, signed, fee-bumped and signed again; target beside figure.

    python benchmarks/transaction_speed.py

On one core, signatures by PyNaCl included. The figure of the SDK's own builder stands beside, since
it is what writing XDR directly saves. Median of several windows, with the best beside it.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from typing import TYPE_CHECKING

import nacl.bindings

from kalepool.adapters.stellar.calls import Harvest, Plant, Work
from kalepool.adapters.stellar.envelopes import Bounds, Lane
from support.devnet import KALE, plant_arguments, sign
from support.stellar import Pool
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.stellar.calls import ContractCall

WINDOWS = 9
FARMERS = 200
TARGET = "< 2.5"


def main() -> None:
    """Run all of it and print the table."""
    pool = Pool()
    farmers = [pool.member(f"farmer {number}", kale=100) for number in range(FARMERS)]
    addresses = [farmer.public_key for farmer in farmers]
    secrets = {keys.public_key: keys.raw_secret_key() + keys.raw_public_key() for keys in pool.keys.values()}
    pool.sign = lambda address, payload: nacl.bindings.crypto_sign(payload, secrets[address])[:64]  # type: ignore[method-assign]
    pool.connect()
    first = farmers[0]
    run(pool.transactions.learn(Plant(addresses[0], KALE, 0), addresses[0]))
    pool.land(pool.plant(first, KALE))
    pool.close()
    proof = pool.proof(first)
    run(pool.transactions.learn(Work(addresses[0], 0, proof.hash, proof.nonce), addresses[0]))
    pool.land(pool.work(first, proof))
    pool.open_block(pool.account("opener", kale=0))
    run(pool.transactions.learn(Harvest(addresses[0], 0), addresses[0]))

    print(f"{'CPU a transaction, ms':<44}{'target':>10}{'median':>10}{'best':>10}")
    row("plant with stake", TARGET, built(pool, addresses, lambda one, block: Plant(one, KALE, block)))
    row("work", TARGET, built(pool, addresses, lambda one, block: Work(one, block, proof.hash, block)))
    row("harvest", TARGET, built(pool, addresses, Harvest))
    row("plant by the SDK's builder, for comparison", "", by_sdk(pool))


def row(name: str, target: str, figures: list[float]) -> None:
    """Print one line of the table."""
    print(f"{name:<44}{target:>10}{statistics.median(figures):>10.3f}{min(figures):>10.3f}", flush=True)


def built(pool: Pool, farmers: list[str], make: Callable[[str, int], ContractCall]) -> list[float]:
    """Measure building, signing and bumping. Each window is a block just opened: its keys are new."""
    bounds = Bounds(max_time=2_000_000_000, min_ledger=1)

    def build(window: int) -> None:
        for farmer in farmers:
            pool.transactions.build(make(farmer, 1 + window), Lane(farmer, 1), bounds, 200)

    return measured(build, len(farmers))


def by_sdk(pool: Pool) -> list[float]:
    """Measure the same with the SDK: build from a known simulation, sign, bump, sign, encode."""
    farmer = pool.member("by the SDK", kale=100)
    result = pool.simulate(pool.unsigned_call(farmer, pool.kale, "plant", plant_arguments(farmer, KALE)))

    def build(_window: int) -> None:
        for _ in range(20):
            envelope = pool.unsigned_call(farmer, pool.kale, "plant", plant_arguments(farmer, KALE))
            inner = pool.assemble(envelope, result)
            pool.bump(sign(inner, farmer), pool.operator).to_xdr()

    return measured(build, 20)


def measured(build: Callable[[int], None], count: int) -> list[float]:
    """Give milliseconds of CPU for each of so many."""
    figures = []
    for window in range(WINDOWS):
        started = time.process_time()
        build(window)
        figures.append(1_000 * (time.process_time() - started) / count)
    return figures


if __name__ == "__main__":
    main()
