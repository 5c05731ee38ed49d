"""Farmers as a round sees them, and what can be decided about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from kalepool.core.farm import Proof


@dataclass(frozen=True, slots=True)
class Lane:
    """One farmer as a round sees him.

    Attributes:
        farmer: his number in the store.
        address: G or C address.
        plants: whether the pool plants for him (an active custodial farmer).
        works: whether the pool works for him.
        stake: what his terms want staked, stroops; None when his balance could not be read.
        available: KALE on the chain less what open intents reserve, stroops; None when unknown.
        proof: best proof so far for the current block, or None.
        under_way: blocks with an open plant of his.
        working: whether a work of his for the current block is open.
        harvest_every: blocks between his harvests.
        interest: part of his reward that counts in what is made the most of, 0 to 1; the same for all makes
            the most of what all get together.
    """

    farmer: int
    address: str
    plants: bool
    works: bool
    stake: int | None
    available: int | None
    proof: Proof | None = None
    under_way: frozenset[int] = frozenset()
    working: bool = False
    harvest_every: int = 1
    interest: float = 1.0


@dataclass(frozen=True, slots=True)
class Plant:
    """Plant for a farmer in a block, and in no other."""

    farmer: int
    block: int
    stake: int
    opens: bool
    max_time: int
    reason: str


@dataclass(frozen=True, slots=True)
class Grind:
    """Search proofs for a farmer in the current block, or ahead in the next.

    Attributes:
        weight: worth of one more zero beside the others'.
        entropy: of the block, 32 bytes, where it is not open yet: the one it will have if nobody works any
            more. None for the current block's own. All of one round are for the same block.
    """

    farmer: int
    block: int
    cap: int
    reason: str
    weight: float = 1.0
    entropy: bytes | None = None


@dataclass(frozen=True, slots=True)
class SubmitWork:
    """Send a farmer's proof."""

    farmer: int
    block: int
    proof: Proof
    improves: bool
    max_time: int
    reason: str


@dataclass(frozen=True, slots=True)
class Harvest:
    """Harvest a farmer's pails."""

    farmer: int
    blocks: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at this network time, or when something happens."""

    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing is done for a farmer, and why."""

    farmer: int
    reason: str


Action: TypeAlias = Plant | Grind | SubmitWork | Harvest | Wait
