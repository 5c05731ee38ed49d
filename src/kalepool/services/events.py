"""What the round loop tells: events for people and scripts, a batch for each look at the network."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.forecasts import Outcome
    from kalepool.services.stopping import AtRisk

_REMEMBERED: Final = 50


class Name(StrEnum):
    """Kinds of events; the words are a promise of the command line."""

    STARTED = "started"
    BLOCK_OPENED = "block_opened"
    PLANTED = "planted"
    PROOF = "proof"
    WORKED = "worked"
    HARVESTED = "harvested"
    FORFEITED = "forfeited"
    EXPIRED = "expired"
    RETRY = "retry"
    NETWORK_LOST = "network_lost"
    NETWORK_BACK = "network_back"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        name: what kind.
        at: network time, Unix seconds.
        farmer: name of the farmer whom it is about, or None.
        block: index of the block that it is about, or None.
        ledger: the last closed ledger when it was seen, or the one in which it happened.
        transaction: hash of the transaction, hex, or None.
        reason: for people, why or what; may be empty.
        stake: stroops, or None.
        zeros: of a proof or a work, or None.
        reward: stroops beside the stake, or None.
        outcome: of the event that ended a block for the pool: what was planned of it, and what came.
        at_risk: of ``stopped``: stakes that are lost unless their pails are worked in time.
    """

    name: Name
    at: float
    farmer: str | None = None
    block: int | None = None
    ledger: int | None = None
    transaction: str | None = None
    reason: str = ""
    stake: int | None = None
    zeros: int | None = None
    reward: int | None = None
    at_risk: tuple[AtRisk, ...] = ()
    outcome: Outcome | None = None


Listener: TypeAlias = "Callable[[Sequence[Event]], None]"
"""Is given what one look at the network showed, in order; never nothing."""


class Teller:
    """Gathers events and hands them to listeners.

    Args:
        listeners: who is told.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners
        self._waiting: list[Event] = []
        self._once: set[str] = set()
        self.last: deque[Event] = deque(maxlen=_REMEMBERED)

    def tell(self, event: Event) -> None:
        """Take an event; listeners get it at the next ``flush``."""
        self._waiting.append(event)
        self.last.append(event)

    def attach(self, outcome: Outcome) -> None:
        """Put a block's outcome on the last event about one of its pails that is still waiting for ``flush``."""
        for place in range(len(self._waiting) - 1, -1, -1):
            event = self._waiting[place]
            if event.block == outcome.block and event.farmer is not None:
                told = self._waiting[place] = replace(event, outcome=outcome)
                self.last = deque((told if one is event else one for one in self.last), _REMEMBERED)
                return

    def tell_once(self, key: str, event: Event) -> None:
        """Take an event unless one was told under this key since the last ``again``."""
        if key not in self._once:
            self._once.add(key)
            self.tell(event)

    def again(self, prefix: str = "") -> None:
        """Let what was told under keys of a prefix be told again."""
        self._once = {key for key in self._once if not key.startswith(prefix)}

    def flush(self) -> None:
        """Hand everything on."""
        if self._waiting:
            batch, self._waiting = self._waiting, []
            for listener in self._listeners:
                listener(batch)
