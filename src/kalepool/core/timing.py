"""When a work should be sent: what each ledger of waiting earns, against the chance that it comes too late.

Both chances are learned: how many ledgers our transactions took to land, and how long blocks stayed open
beyond the 300 seconds that the contract promises. docs/STRATEGY.md has the derivation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import BLOCK_INTERVAL_S
from kalepool.core.economics import expected_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.economics import Scales
    from kalepool.core.farm import Block, Pail
    from kalepool.core.strategy import Pace

ENOUGH_OBSERVED: Final = 12
"""Transactions that must have landed before their delays are believed rather than the configured margin."""

_ENOUGH_LIVES: Final = 12
_LATE_LEDGERS: Final = 12
_EQUAL: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Delays:
    """How many ledgers a transaction takes: it is sent after ledger s closed, and lands in s + d.

    Attributes:
        chances: that d is 1, 2, ...; they sum to less than 1, what is missing is later or never.
    """

    chances: tuple[float, ...]

    @classmethod
    def learned(cls, observed: Sequence[int]) -> Delays | None:
        """Learn from what was seen; None of too few. One that never landed is counted as seen, unseen."""
        return _learned(tuple(observed))

    def quantile(self, chance: float) -> int:
        """Give the ledgers within which a transaction lands with at least this chance, or the most ever seen."""
        reached = 0.0
        for delay, one in enumerate(self.chances, 1):
            reached += one
            if reached >= chance:
                return delay
        return len(self.chances)


@lru_cache(maxsize=16)
def _learned(observed: tuple[int, ...]) -> Delays | None:
    if len(observed) < ENOUGH_OBSERVED:
        return None
    counts = Counter(max(delay, 1) for delay in observed)
    return Delays(tuple(counts[delay] / (len(observed) + 1) for delay in range(1, max(counts) + 1)))


def chance_open(second: float, lives: Sequence[int]) -> float:
    """Give the chance that a block is still open in a ledger that closes so many seconds after its beginning.

    Before 300 s nobody can open the next one. Later it depends on others: recent blocks tell, and one that
    closed at once is counted beside them; of too few, nothing is risked.

    Args:
        second: since the block's timestamp.
        lives: seconds that recent blocks stayed open.
    """
    if second < BLOCK_INTERVAL_S:
        return 1.0
    if len(lives) < _ENOUGH_LIVES:
        return 0.0
    ordered = _ordered(tuple(lives))
    return (len(ordered) - bisect_right(ordered, second)) / (len(ordered) + 1)


@lru_cache(maxsize=16)
def _ordered(lives: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(lives))


@dataclass(frozen=True, slots=True)
class Stay:
    """A block's remaining ledgers, with the chances of sending in each: made once for all farmers.

    Attributes:
        first: the ledger after which could be sent now: the last closed one.
        closes: when it and each later ledger closes, Unix seconds; the first is now.
        lands: chance that what is sent after it lands while the block is open.
        split: for each, chances that it lands there d = 1, 2, ... ledgers on while the block is open.
        surely: so many ledgers on, sending is as safe as now; later it is less.
    """

    first: int
    closes: tuple[float, ...]
    lands: tuple[float, ...]
    split: tuple[tuple[float, ...], ...]
    surely: int

    @classmethod
    def of(cls, record: Block, pace: Pace, delays: Delays, lives: Sequence[int]) -> Stay:
        """Look at every ledger from the last closed one to the last that could serve."""
        begun, step = record.timestamp, pace.ledger_seconds
        last = max(pace.ledger_closing_by(begun + BLOCK_INTERVAL_S), pace.ledger) + _LATE_LEDGERS
        count, following = last - pace.ledger + 1, pace.next_close()
        # One second of slack: close times are whole seconds, and a prediction.
        opens = [1.0] + [
            chance_open(following + at * step - begun + 1, lives) for at in range(count + len(delays.chances))
        ]
        split = tuple(
            tuple([one * opens[at + delay] for delay, one in enumerate(delays.chances, 1)])
            for at in range(count)
        )
        closes = (pace.now, *(following + at * step for at in range(count - 1)))
        lands = tuple([sum(one) for one in split])
        surely = 0
        while surely + 1 < count and lands[surely + 1] >= lands[0]:
            surely += 1
        return cls(pace.ledger, closes, lands, split, surely)

    def gaps(self, sequence: int, block: Block) -> dict[int, float]:
        """Give, for each ledger on that may be the best to send after, the gap expected to be earned, in full parts.

        Left out is what is surely too early (while everything lands in time and the gap still grows, waiting
        is better) and what is surely too late: where half of the chance is gone, no ledger's gain makes up for it.

        Args:
            sequence: ledger of the plant.
            block: its ranges.
        """
        span = block.max_gap - block.min_gap
        full_at = sequence + block.max_gap - len(self.split[0]) - self.first
        wanted = range(max(min(self.surely, full_at), 0), self._last() + 1)
        if span <= 0:
            return dict.fromkeys(wanted, 0.0)
        found: dict[int, float] = {}
        for at in wanted:
            reached = self.first + at - sequence - block.min_gap
            earned = 0.0
            for one in self.split[at]:
                reached += 1
                if reached > 0:
                    earned += one * (min(span, reached))
            found[at] = earned / span
        return found

    def _last(self) -> int:
        return max(at for at, lands in enumerate(self.lands) if 2 * lands >= self.lands[0])


@dataclass(frozen=True, slots=True)
class Send:
    """When to send one farmer's work.

    Attributes:
        after: the ledger that has closed when it is sent.
        lands: chance that it lands while the block is open.
        parts: full parts that it is expected to add.
    """

    after: int
    lands: float
    parts: float


def best_send(
    stay: Stay,
    gaps: dict[int, float],
    scales: Scales,
    pail: Pail,
    best: int,
    *,
    speed: float,
    stake_parts: float,
    fee_parts: float,
) -> Send:
    """Find the ledger after which a farmer's work is sent best; of equals the earliest.

    Waiting for ledger s earns gap up to the block's largest and the zeros that hashing finds until then,
    both only if the work lands while the block is open; if it does not, a first work's stake is lost too.

    Args:
        stay: the block's remaining ledgers.
        gaps: what ``stay.gaps`` gives for his plant.
        scales: the block's.
        pail: the farmer's; with a work in it, only what a better one adds counts.
        best: zeros of his best proof; -1 for none.
        speed: hashes a second that he gets.
        stake_parts: his stake as full parts at what a part is worth: what a failure loses.
        fee_parts: what a work's fee costs, likewise.
    """
    zeros = (scales.block.min_zeros, scales.block.max_zeros)
    # What success adds beside gap and zeros: the stake's part; less what a work that has landed earns already.
    rest, risk = scales.staked(pail.stake), stake_parts + fee_parts
    if pail.zeros is not None:
        rest, risk = -scales.work(pail.gap or 0, pail.zeros) / scales.full, fee_parts
    now = stay.closes[0]
    found, most = Send(stay.first, stay.lands[0], 0.0), -float("inf")
    for at, gap in gaps.items():
        lands = stay.lands[at]
        earned = gap + lands * (expected_part(zeros, round(speed * (stay.closes[at] - now)), best) + rest)
        value = earned - (1 - lands) * risk
        if value > most + _EQUAL:
            found, most = Send(stay.first + at, lands, earned), value
    return found


def spread(aims: Sequence[tuple[int, int]], first: int, room: int) -> dict[int, int]:
    """Spread works over ledgers so that no ledger takes more than ``room``; nobody goes later than he aims.

    From the last ledger backwards each takes those who aim for it or later and are not placed yet; whoever
    finds no place goes one earlier. Those given last among equals go first. What does not fit at all is
    placed in the first ledger, where sending takes as many as there is room for.

    Args:
        aims: (farmer, ledger after which he would be sent), in the order in which equals are kept late.
        first: the first ledger after which anything can be sent.
        room: works for one ledger.
    """
    placed: dict[int, int] = {}
    taken: Counter[int] = Counter()
    # `free` leads from a full ledger to the next earlier one with room.
    free: dict[int, int] = {}

    def place(ledger: int) -> int:
        path = []
        while ledger > first and taken[ledger] >= room:
            path.append(ledger)
            ledger = free.get(ledger, ledger - 1)
        for full in path:
            free[full] = ledger
        return ledger

    for farmer, aim in aims:
        ledger = place(max(aim, first))
        taken[ledger] += 1
        placed[farmer] = ledger
    return placed


def early_gain(
    *, part: float, stake: int, gap_parts: float, zero_parts: float, fails: float, improves: float, fee: float
) -> float:
    """Give what a work now is worth beside a better one later, in stroops of KALE: its insurance.

    If the later one fails (chance ``fails``), stake and what this work weighs are saved. If no better proof
    is found (chance 1 - ``improves``), the later one is impossible, and the gap that it would have gained
    is lost. It costs a fee.

    Args:
        part: worth of a full part.
        stake: of the pail, stroops.
        gap_parts: full parts of gap that waiting would gain.
        zero_parts: full parts that a work now weighs.
        fails: chance that a later work comes too late.
        improves: chance that a strictly better proof is found in time.
        fee: of one work, in stroops of KALE.
    """
    return fails * (stake + zero_parts * part) - (1 - improves) * (1 - fails) * gap_parts * part - fee


def credit(*, pot: float, total: float, ours: float, gap_parts: float, full: int) -> float:
    """Give what the pool gains because the contract books a repeated work without the gap it gained.

    The total is lower by that much than the weights that are paid from it, so every share of it is larger,
    everybody's: ours / (total - gained) instead of ours / total (contract: work; PROTOCOL.md, "A block's life").

    Args:
        pot: what the block pays, stroops.
        total: of the block with all works, ours included, units of weight.
        ours: weight of the pool's works.
        gap_parts: full parts of gap that the repeated work gains.
        full: units of a full part.
    """
    lower = max(total - gap_parts * full, ours, 1.0)
    return pot * ours * (1 / lower - 1 / max(total, 1.0))
