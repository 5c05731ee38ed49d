"""Stores for tests: a hand-moved clock, farmers and intents without ceremony."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.opening import Home
from kalepool.adapters.store.owners import Owner
from kalepool.adapters.store.processes import Process
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.intents import Attempt, Kind, Plan, plant_purpose

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store

HOME = Home("Test SDF Network ; September 2015", "CONTRACT")
SEAL = bytes(range(32))


@dataclass
class HandClock:
    """A clock that stands until it is moved."""

    time: float = 1_000.0

    def __call__(self) -> float:
        return self.time


class Town:
    """Processes of one machine, of which a test says who lives."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = HandClock()
        self.dead: set[int] = set()
        self.unknown: set[int] = set()

    def owner(self, pid: int, role: str = "mine") -> Owner:
        process = Process("farmhouse", "boot", pid, f"started {pid}")
        return Owner(self.store, role, self.clock, process=process, probe=self.probe)

    def probe(self, process: Process) -> bool | None:
        return None if process.pid in self.unknown else process.pid not in self.dead


def farmer(
    name: str,
    *,
    state: FarmerState = FarmerState.CREATED,
    wallet_index: int | None = None,
    terms: Terms | None = None,
    email: str | None = None,
) -> Farmer:
    return Farmer(0, name, f"G-{name}", Custody.CUSTODIAL, state, wallet_index, terms or Terms(), email)


def add_farmers(store: Store, count: int) -> list[Farmer]:
    """Add farmers number 1 to count to a store that has none."""
    farmers = [farmer(f"farmer-{place}", wallet_index=place) for place in range(count)]
    return StoreFarmers(store, HandClock()).add(farmers, who="test", seal=lambda _: SEAL)


def plant(number: int, block: int = 7, *, reserve: int = 0) -> Plan:
    reserves = (("operator", "XLM", reserve),) if reserve else ()
    return Plan(Kind.PLANT, plant_purpose(number, block), (f"pail:{number}:{block}",), reserves)


def attempt(number: int = 1, *, source: str = "GA", sequence: int = 5, name: str = "") -> Attempt:
    inner = name or f"{source}/{sequence}/{number}"
    return Attempt(number, inner, (f"{inner}/outer",), source, sequence, b"envelope", 1_030, 50)
