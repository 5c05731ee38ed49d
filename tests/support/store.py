"""Stores for tests: a hand-moved clock, and farmers without ceremony."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.opening import Home
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms

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
