"""One look at the network as a round has it, and what a round is to do at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kalepool.core.intents import Kind
from kalepool.core.rounds import Wait
from kalepool.services.lanes import UnderWay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.core.strategy import Pace


_GAP_LEDGERS: Final = 2


@dataclass(slots=True)
class Look:
    """What the last round saw, and what is under way after it."""

    snapshot: Snapshot
    pace: Pace
    farmers: Mapping[int, Farmer]
    under_way: UnderWay = field(default_factory=UnderWay)
    wait: Wait = field(default_factory=lambda: Wait(0.0, ""))
    held_back: str = ""
    is_stale: bool = False

    def is_past(self, now: float) -> bool:
        """Tell whether two ledgers' time has passed since: the machine slept or a node kept it waiting, look again."""
        return now - self.pace.now > _GAP_LEDGERS * self.pace.ledger_seconds


@dataclass(slots=True)
class Scope:
    """What is done, and for whom.

    Attributes:
        kinds: plants, works, harvests.
        farmers: numbers; None for all.
        works_now: works go out at once, whatever the gap.
    """

    kinds: frozenset[Kind] = frozenset({Kind.PLANT, Kind.WORK, Kind.HARVEST})
    farmers: frozenset[int] | None = None
    works_now: bool = False

    def has(self, kind: Kind, farmer: int) -> bool:
        """Tell whether something is done for a farmer."""
        return kind in self.kinds and (self.farmers is None or farmer in self.farmers)
