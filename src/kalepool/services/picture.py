"""The present state of the round loop, for a screen: cheap to take, and frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.farm import Block
    from kalepool.core.farmers import FarmerState
    from kalepool.services.events import Event
    from kalepool.services.stopping import Phase


@dataclass(frozen=True, slots=True)
class Seat:
    """One farmer in the current block.

    Attributes:
        name: of the farmer.
        planted: whether he has a pail in it.
        worked: whether the pail was worked.
        stake: stroops, or None without a pail.
        zeros: of the work that landed, or None.
        best: zeros of the best proof found so far, or None.
        is_under_way: whether a transaction for this pail is in the network's queue.
    """

    name: str
    planted: bool
    worked: bool
    stake: int | None
    zeros: int | None
    best: int | None
    is_under_way: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """What there is to see.

    Attributes:
        now: network time, Unix seconds.
        ledger: last closed ledger.
        close_time: of that ledger.
        ledger_seconds: network seconds between ledgers, as measured.
        index: FarmIndex.
        block: the current Block with its ranges, or None where it does not exist.
        age: network seconds since the block opened, or None.
        due_at: network time from which on the next block may open, or None.
        paused: whether planting is stopped on the chain.
        farmers: how many are in each state.
        seats: farmers that the pool looks after, by number.
        hashes_per_second: over the last ledgers.
        operator_xlm: the operator's balance in stroops, or None where unknown.
        held_back: why nothing, or not for all, is planted; empty where nothing holds it back.
        waits_for: what the loop waits for.
        waits_until: network time.
        is_stale: whether the network has stood still.
        phase: running, stopping, or halted.
        blocks: planted in this run.
        events: the last ones, oldest first.
    """

    now: float
    ledger: int = 0
    close_time: int = 0
    ledger_seconds: float = 0.0
    index: int = 0
    block: Block | None = None
    age: float | None = None
    due_at: float | None = None
    paused: bool = False
    farmers: Mapping[FarmerState, int] = field(default_factory=dict)
    seats: Mapping[int, Seat] = field(default_factory=dict)
    hashes_per_second: float = 0.0
    operator_xlm: int | None = None
    held_back: str = ""
    waits_for: str = "the first look at the network"
    waits_until: float = 0.0
    is_stale: bool = False
    phase: Phase | None = None
    blocks: tuple[int, ...] = ()
    events: tuple[Event, ...] = ()
