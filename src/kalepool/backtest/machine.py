"""A machine that hashes, in a replay: it walks streams as the miner would, at a given rate."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kalepool.core.economics import hash_gain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.backtest.sampling import Stream


@dataclass(frozen=True, slots=True)
class Wanted:
    """One farmer to hash for, as a plan has it."""

    farmer: int
    cap: int
    weight: float = 1.0


@dataclass(slots=True)
class Search:
    """How far a farmer's stream has been walked.

    Attributes:
        stream: his records.
        hashes: done for him.
        zeros: of the best so far; -1 before the first hash.
        place: records found.
    """

    stream: Stream
    hashes: float = 0.0
    zeros: int = -1
    place: int = 0

    def walk(self, budget: float) -> float:
        """Hash until the next record or the end of the budget; give the hashes done."""
        if self.place < len(self.stream):
            needed = self.stream[self.place][0] - self.hashes
            if needed <= budget:
                self.hashes, self.zeros = self.stream[self.place]
                self.place += 1
                return needed
        self.hashes += budget
        return budget


@dataclass(slots=True)
class Machine:
    """All searches of a block, at one rate.

    Attributes:
        rate: hashes a second.
        searches: by farmer.
    """

    rate: float
    searches: list[Search] = field(default_factory=list)

    def begin(self, streams: Sequence[Stream]) -> None:
        """Begin with a block's streams."""
        self.searches = [Search(one) for one in streams]

    def run(self, seconds: float, wanted: Sequence[Wanted]) -> None:
        """Hash for so long, each hash for whom it is worth most; rest when it is worth nothing for anybody.

        Among equals one is served until he improves: which one makes no difference to what is found on
        average, for hashing has no memory.
        """
        budget = self.rate * seconds
        heap = [
            (-one.weight * hash_gain(self.searches[one.farmer].zeros, -1, one.cap), at)
            for at, one in enumerate(wanted)
        ]
        heapq.heapify(heap)
        while budget > 0 and heap and heap[0][0] < 0:
            at = heap[0][1]
            one = wanted[at]
            search = self.searches[one.farmer]
            budget -= search.walk(budget)
            heapq.heapreplace(heap, (-one.weight * hash_gain(search.zeros, -1, one.cap), at))
