"""A process with a store of its own: it acts, says where it is on stdout, and waits to be let on, or killed.

    python store_child.py ACT STORE PASSPHRASE CONTRACT

Each line it writes is a point; it goes on from there when it reads a line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.locks import MiningLock
from kalepool.adapters.store.opening import Home, open_store
from kalepool.adapters.store.owners import Owner
from kalepool.core.intents import Attempt, Kind, Plan, State
from kalepool.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.store.db import Store

ATTEMPT: Final = Attempt(1, "inner", ("outer",), "GA", 5, b"envelope", 1_030, 50)
FEE: Final = (("operator", "XLM", -300), ("network", "XLM", 300))


def point(name: str) -> None:
    """Say where we are, and wait."""
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    if not sys.stdin.readline():
        sys.exit(1)


def live(store: Store, owner: Owner) -> None:
    """Take one intent through its life, with a point before and after each commit."""
    journal = StoreJournal(store, owner)
    with MiningLock(store, owner).hold():
        point("started")
        with store.atomic():
            intent = journal.plan(Kind.PLANT, "plant:1:7", ["pail:1:7"])
            point("planning")
        point("planned")
        assert intent is not None
        with store.atomic(synced=True):
            journal.sign(intent.number, ATTEMPT)
            point("signing")
        point("signed")
        with store.atomic():
            journal.mark([intent.number], State.SENT)
            point("marking")
        point("marked")
        with store.atomic():
            journal.settle(intent.number, FEE, at=9.0)
            point("settling")
        point("settled")


def lock(store: Store, owner: Owner) -> None:
    """Try to hold the mining lock."""
    point("ready")
    try:
        with MiningLock(store, owner).hold():
            point("held")
    except LockedError:
        point("refused")


def plan(store: Store, owner: Owner) -> None:
    """Begin the same 100 purposes as anybody else who runs this, in transactions of one."""
    journal = StoreJournal(store, owner)
    point("ready")
    begun = [number for number in range(100) if journal.plan(Kind.PLANT, f"plant:{number}:7", [])]
    point(json.dumps(begun))


def claim(store: Store, owner: Owner) -> None:
    """Claim the same 100 items as anybody else, under purposes of our own."""
    journal = StoreJournal(store, owner)
    point("ready")
    plans = [Plan(Kind.HARVEST, f"harvest:{owner.number}:{item}", (f"pail:{item}:7",)) for item in range(100)]
    answers = [journal.plan_all([plan])[0] for plan in plans]
    point(json.dumps([item for item, answer in enumerate(answers) if answer]))


def book(store: Store, _: Owner) -> None:
    """Book the same 100 things as anybody else."""
    books = StoreBooks(store)
    point("ready")
    point(json.dumps([number for number in range(100) if books.post(f"event:{number}", FEE, at=1.0)]))


ACTS: Final[dict[str, Callable[[Store, Owner], None]]] = {
    act.__name__: act for act in (live, lock, plan, claim, book)
}

if __name__ == "__main__":
    _, the_act, the_path, *the_home = sys.argv
    with open_store(Path(the_path), Home(*the_home)) as the_store:
        ACTS[the_act](the_store, Owner(the_store, the_act, time.time))
