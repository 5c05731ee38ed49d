"""What chance decides in a replay, drawn once and shared by all who play: proofs and inclusion delays.

A farmer's proofs in a block are the records of one stream of hashes: the best of the first n has at least z
zeros with probability 1 - (1 - 16^-z)^n. The next record after b zeros comes after a geometric number of
hashes with chance 16^-(b+1), and goes beyond b + 1 with a sixteenth for each further zero. So who hashes a
stream further finds what was in it, whoever he is, and nobody finds more in the same hashes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

TOP_ZEROS: Final = 16
"""Streams end here: the next record would take 3 x 10^20 hashes."""

DELAYS: Final = ((1, 0.86), (2, 0.11), (3, 0.02), (4, 0.007), (6, 0.003))
"""Ledgers from sending to landing, with their chances: an assumption; planners learn it, nobody is told."""

_WORKS: Final = 4

Stream = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Chances:
    """What chance has in store in one block.

    Attributes:
        streams: each farmer's records: (hashes after which it is found, its zeros).
        plants: each farmer's delay of the plant, ledgers.
        works: each farmer's delays of his first, second, ... work.
    """

    streams: tuple[Stream, ...]
    plants: tuple[int, ...]
    works: tuple[tuple[int, ...], ...]


def draw(dice: random.Random, farmers: int) -> Chances:
    """Draw a block's chances."""
    return Chances(
        tuple(stream(dice) for _ in range(farmers)),
        tuple(_delay(dice) for _ in range(farmers)),
        tuple(tuple(_delay(dice) for _ in range(_WORKS)) for _ in range(farmers)),
    )


def stream(dice: random.Random) -> Stream:
    """Draw the records of one endless stream of hashes, up to ``TOP_ZEROS``."""
    records = []
    hashes, best = 0, -1
    while best < TOP_ZEROS:
        hashes += _geometric(dice, 16.0 ** -(best + 1))
        best += 1
        while dice.random() < 1 / 16:
            best += 1
        records.append((hashes, best))
    return tuple(records)


def _geometric(dice: random.Random, chance: float) -> int:
    """Draw how many tries it takes until one succeeds."""
    if chance >= 1:
        return 1
    # 1 - random() is in (0, 1], so its logarithm exists.
    return int(math.log(1 - dice.random()) / math.log1p(-chance)) + 1


def _delay(dice: random.Random) -> int:
    left = dice.random()
    for delay, chance in DELAYS:
        left -= chance
        if left < 0:
            return delay
    return DELAYS[-1][0]
