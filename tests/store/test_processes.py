"""Several processes on one store: killed at every step, and getting in each other's way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytest

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.locks import MiningLock
from kalepool.adapters.store.opening import open_store
from kalepool.adapters.store.owners import Owner
from kalepool.adapters.store.verify import verify
from kalepool.core.intents import Attempt, Intent, Kind, State
from kalepool.errors import LockedError
from support import store_child
from support.store import HOME

if TYPE_CHECKING:
    from pathlib import Path


class Child:
    """Another process, which stops at each of its points."""

    def __init__(self, path: Path, act: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, store_child.__file__, act, path, HOME.passphrase, HOME.contract],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def at(self) -> str:
        """Wait for the next point; give its name."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until(self, point: str) -> None:
        while (here := self.at()) != point:
            assert here, f"it ended before {point}"
            self.go_on()

    def kill(self) -> None:
        """Give it no chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def life(state: State, *attempts: Attempt) -> list[Intent]:
    return [Intent(1, Kind.PLANT, "plant:1:7", ("pail:1:7",), state, attempts)]


SENT = life(State.SENT, store_child.ATTEMPT)


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("planning", []),
        ("planned", life(State.PLANNED)),
        ("signing", life(State.PLANNED)),
        ("signed", life(State.SIGNED, store_child.ATTEMPT)),
        ("marking", life(State.SIGNED, store_child.ATTEMPT)),
        ("marked", SENT),
        ("settling", SENT),
        ("settled", []),
    ],
)
def test_a_process_killed_at_any_step_leaves_a_sound_store_to_its_heir(
    path: Path, point: str, left: list[Intent]
) -> None:
    with Child(path, "live") as child:
        child.until(point)
        child.kill()
    with open_store(path, HOME) as store:
        assert verify(store) == []
        heir = Owner(store, "mine", time.time)
        with MiningLock(store, heir).hold():
            assert StoreJournal(store, heir).open_intents() == left
        fee = 300 if point == "settled" else 0
        assert StoreBooks(store).balance("network", "XLM") == fee


def test_an_heir_finishes_what_was_begun(path: Path) -> None:
    with Child(path, "live") as child:
        child.until("settling")
        child.kill()
    with open_store(path, HOME) as store:
        journal = StoreJournal(store, Owner(store, "mine", time.time))
        journal.settle(journal.open_intents()[0].number, store_child.FEE, at=9.0)
        assert verify(store) == []
        assert StoreBooks(store).balance("network", "XLM") == 300


def test_a_living_process_keeps_its_lock_and_its_intents(path: Path) -> None:
    with Child(path, "live") as child, open_store(path, HOME) as store:
        child.until("signed")
        other = Owner(store, "mine", time.time)
        with (
            pytest.raises(LockedError, match=f"live holds .* pid {child.process.pid} "),
            MiningLock(store, other).hold(),
        ):
            pass
        assert StoreJournal(store, other).open_intents() == []


def test_a_killed_holders_lock_is_taken_over(path: Path) -> None:
    with Child(path, "lock") as child, open_store(path, HOME) as store:
        child.until("held")
        lock = MiningLock(store, Owner(store, "mine", time.time))
        with pytest.raises(LockedError), lock.hold():
            pass
        child.kill()
        with lock.hold():
            lock.beat()


def race(path: Path, act: str, count: int = 2) -> list[str]:
    """Let several go at the same moment; give the point that each comes to."""
    with ExitStack() as stack:
        children = [stack.enter_context(Child(path, act)) for _ in range(count)]
        for child in children:
            assert child.at() == "ready"
        for child in children:
            child.go_on()
        return [child.at() for child in children]


def test_of_many_that_want_the_lock_one_gets_it(path: Path) -> None:
    assert sorted(race(path, "lock", 4)) == ["held", "refused", "refused", "refused"]


@pytest.mark.parametrize("act", ["plan", "claim", "book"])
def test_what_two_want_at_once_is_had_by_exactly_one(path: Path, act: str) -> None:
    one, two = (set(json.loads(had)) for had in race(path, act))
    assert one | two == set(range(100))
    assert one & two == set()
    with open_store(path, HOME) as store:
        assert verify(store) == []
