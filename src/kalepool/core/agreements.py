"""The life of what was agreed with a farmer, apart from where his account stands.

It is agreed (pending), begins when he is first planted for (active), ends when he wants to leave
(exiting) and has been paid all that is his (completed), or is called off before it began (cancelled).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalepool.core.farmers import FarmerState


class Life(StrEnum):
    """Where an agreement stands."""

    PENDING = "pending"
    ACTIVE = "active"
    EXITING = "exiting"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


LIFE_MOVES: Final[dict[Life, frozenset[Life]]] = {
    # Who was funded and never planted for has something to take along.
    Life.PENDING: frozenset({Life.ACTIVE, Life.EXITING, Life.CANCELLED}),
    Life.ACTIVE: frozenset({Life.EXITING}),
    # An exit can be called off until it completes.
    Life.EXITING: frozenset({Life.ACTIVE, Life.COMPLETED}),
    Life.COMPLETED: frozenset(),
    Life.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Lived:
    """One recorded step of an agreement's life.

    Attributes:
        place: among the steps of this farmer, from 1.
        became: where it stands from then on.
        who: the person or command that did it.
        why: a note; may be empty.
        at: Unix seconds on the machine's clock.
        asked_at: network time of the wish to leave, from which the agreed delay counts; None for other steps.
        seal: MAC over the wish to leave, 32 bytes: an exit pays out all that he has. None for other steps.
    """

    place: int
    became: Life
    who: str
    why: str
    at: float
    asked_at: int | None = None
    seal: bytes | None = None


def life_after(current: Life | None, state: FarmerState) -> Life:
    """Give where an agreement stands once the farmer's account is in a state.

    Args:
        current: where it stood; None for a new farmer.
        state: of the account.
    """
    if state in (FarmerState.CREATED, FarmerState.FUNDED):
        return current or Life.PENDING
    if state is FarmerState.EXITED:
        return Life.CANCELLED if current is Life.PENDING else Life.COMPLETED
    return Life.EXITING if state is FarmerState.EXITING else Life.ACTIVE
