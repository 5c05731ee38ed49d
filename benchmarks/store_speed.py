"""How fast the store is: a block of 1,000 farmers, and `status` over 300,000 pails.

    .venv/bin/python benchmarks/store_speed.py [--farmers 1000] [--blocks 300]

Targets: planning or marking 1,000 intents in one transaction under 100 ms; everything `status` reads in
a few milliseconds, however many pails there are.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from kalepool.adapters.store.backup import back_up
from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.opening import Home, create_store, open_store
from kalepool.adapters.store.owners import Owner
from kalepool.adapters.store.pails import StoreBlocks, StorePails
from kalepool.adapters.store.verify import verify
from kalepool.adapters.store.views import StoreViews
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.intents import Attempt, Kind, Plan, Settlement, State, pail_item, plant_purpose
from kalepool.core.records import PailRecord, PailState

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.store.db import Store

T = TypeVar("T")

HOME = Home("benchmark", "contract")
ENVELOPE = bytes(1_400)


def timed(what: str, work: Callable[[], T]) -> T:
    """Do some work; say how long it took."""
    start = time.perf_counter()
    result = work()
    print(f"{what:<52} {(time.perf_counter() - start) * 1000:9.1f} ms")
    return result


def farmer(number: int) -> Farmer:
    """Make up a farmer."""
    return Farmer(
        0, f"farmer-{number}", f"G{number:055}", Custody.CUSTODIAL, FarmerState.ACTIVE, number, Terms()
    )


def attempt(intent: int) -> Attempt:
    """Make up a signed envelope."""
    return Attempt(1, f"{intent:064x}", (f"{intent:064X}",), f"G{intent:055}", 7, ENVELOPE, 1_030, 50)


def pail(number: int, block: int, state: PailState) -> PailRecord:
    """Make up a pail of a farmer."""
    return PailRecord(number, block, state, 5_000_000, 60, 15, 7, 9_000_000, 9_000)


def one_block(store: Store, journal: StoreJournal, farmers: int, block: int) -> None:
    """Take a plant for every farmer through its life."""
    plans = [
        Plan(Kind.PLANT, plant_purpose(f, block), (pail_item(f, block),), (("operator", "XLM", 20_000),))
        for f in range(1, farmers + 1)
    ]
    answers = timed(f"plan {farmers} intents", lambda: journal.plan_all(plans))
    numbers = [intent.number for intent in answers if intent]
    signed = [(number, attempt(number)) for number in numbers]
    timed(f"sign {farmers} intents, synced", lambda: journal.sign_all(signed))
    timed(f"mark {farmers} intents sent", lambda: journal.mark(numbers, State.SENT))
    timed(f"read {farmers} open intents", journal.open_intents)
    postings = (("operator", "XLM", -20_000), ("network", "XLM", 20_000))
    done = [Settlement(number, postings, 1_000.0) for number in numbers]
    timed(f"settle {farmers} intents", lambda: journal.settle_all(done))
    planted = [pail(f, block, PailState.PLANTED) for f in range(1, farmers + 1)]
    timed(f"record {farmers} pails", lambda: StorePails(store).record(planted))


def many_blocks(pails: StorePails, farmers: int, blocks: int) -> None:
    """Fill the store with harvested pails."""
    for block in range(blocks):
        pails.record([pail(f, block, PailState.HARVESTED) for f in range(1, farmers + 1)])


def status(store: Store) -> None:
    """Read what `status` shows."""
    StoreViews(store).last()
    StoreFarmers(store, time.time).all()
    StorePails(store).counts()
    StoreBlocks(store).latest()
    StoreBooks(store).balances()


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--farmers", type=int, default=1_000)
    parser.add_argument("--blocks", type=int, default=300)
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kalepool.db"
        timed("create", lambda: create_store(path, HOME))
        with timed("open", lambda: open_store(path, HOME)) as store:
            farmers = [farmer(number) for number in range(args.farmers)]
            add = StoreFarmers(store, time.time).add
            timed(f"add {args.farmers} farmers", lambda: add(farmers, who="", seal=lambda _: bytes(32)))
            journal = StoreJournal(store, Owner(store, "benchmark", time.time))
            one_block(store, journal, args.farmers, args.blocks)
            pails = StorePails(store)
            count = args.farmers * args.blocks
            timed(f"record {count} pails", lambda: many_blocks(pails, args.farmers, args.blocks))
            timed(f"status over {count} pails", lambda: status(store))
            timed(f"pails alive among {count}", pails.alive)
            timed(f"totals of {args.farmers} farmers", pails.totals)
            timed("verify", lambda: verify(store))
            timed("backup, verified", lambda: back_up(store, Path(folder) / "copy.db", now=0.0))


if __name__ == "__main__":
    main()
