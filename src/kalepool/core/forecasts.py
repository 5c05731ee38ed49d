"""What a block is expected to come to for each farmer, and what came of it.

A forecast is made once, when all plants of a block have landed: by the ledger that the work is aimed at, the
hashes until then and the estimate of the block's total. Nothing is decided by it; it is held against the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.contract import block_reward, weigh
from kalepool.core.economics import USUAL_PARTS, chance, expected_part
from kalepool.core.records import PailState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalepool.core.records import PailRecord
    from kalepool.core.situation import Aim, Situation

MILLI: Final = 1_000
_OVER: Final = frozenset({PailState.HARVESTED, PailState.FORFEITED, PailState.EXPIRED, PailState.MISSED})


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one pail is expected to come to.

    Attributes:
        farmer: his number.
        block: index.
        gap: ledgers between plant and work.
        millizeros: thousandths of leading zeros of the work: an expectation is no whole number.
        reward: KALE beside the stake, stroops.
    """

    farmer: int
    block: int
    gap: int
    millizeros: int
    reward: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A block that is over for all who had a forecast: sums of what was planned and of what came.

    Attributes:
        block: index.
        pails: how many.
        planned_reward: stroops. ``reward`` likewise.
        planned_gaps: ledgers. ``gaps`` likewise; a pail without work has none.
        planned_millizeros: thousandths of zeros.
        zeros: leading zeros.
    """

    block: int
    pails: int
    planned_reward: int
    reward: int
    planned_gaps: int
    gaps: int
    planned_millizeros: int
    zeros: int

    @property
    def share(self) -> float | None:
        """What came, as a part of what was planned; None where nothing was planned."""
        return self.reward / self.planned_reward if self.planned_reward else None

    def mean(self, total: int) -> float:
        """Give a sum's mean over the pails."""
        return total / self.pails


def forecasts(aims: Sequence[Aim], situation: Situation) -> list[Forecast]:
    """Say what the pails of a block, as they are aimed now, are expected to come to.

    Args:
        aims: of all pails of the pool in the block.
        situation: the block.
    """
    block, pace = situation.block, situation.pace
    delay = round(median(situation.outlook.delays)) if situation.outlook.delays else 1
    cap = strategy.cap_of(block, situation.policy)
    found: list[tuple[Aim, int, float, float]] = []
    for aim in aims:
        lane, pail = aim.lane, aim.pail
        best = -1 if lane.proof is None or lane.proof.index != situation.index else lane.proof.zeros
        gap = max(aim.ledger - 1 + delay - pail.sequence, 1)
        # Whole hashes: many farmers have the same, and are calculated once.
        hashes = float(round(situation.speed * max(pace.close_of(aim.ledger - 1) - pace.now, 0)))
        zeros = _expected_zeros(hashes, max(best, 0), cap)
        part = expected_part((block.min_zeros, block.max_zeros), hashes, best)
        fixed = weigh(block, gap, pail.stake, 0)
        weight = fixed.gap + fixed.stake + max(part * situation.scales.full, 1.0)
        found.append((aim, gap, zeros, weight))
    others = situation.outlook.others_parts
    total = (USUAL_PARTS if others is None else others) * situation.scales.full
    total = max(total + sum(weight for *_, weight in found), float(block.normalized_total), 1.0)
    unit = block_reward(situation.index) / total
    return [
        Forecast(
            aim.lane.farmer, situation.index, gap, round(zeros * MILLI), round(weight * unit * aim.lands)
        )
        for aim, gap, zeros, weight in found
    ]


@lru_cache(maxsize=1_024)
def _expected_zeros(hashes: float, best: int, cap: int) -> float:
    """Give the expected zeros of the best proof after so many more hashes, none counted beyond the cap."""
    return best + sum(chance(hashes, more) for more in range(best + 1, cap + 1))


def outcome_of(block: int, planned: Iterable[Forecast], pails: Iterable[PailRecord]) -> Outcome | None:
    """Hold forecasts of a block against what came; None while one of these pails is not over, or there is none."""
    records = {pail.farmer: pail for pail in pails}
    pairs = [(forecast, records[forecast.farmer]) for forecast in planned]
    if not pairs or any(pail.state not in _OVER for _, pail in pairs):
        return None
    return Outcome(
        block,
        len(pairs),
        sum(forecast.reward for forecast, _ in pairs),
        sum(pail.reward or 0 for _, pail in pairs),
        sum(forecast.gap for forecast, _ in pairs),
        sum(pail.gap or 0 for _, pail in pairs),
        sum(forecast.millizeros for forecast, _ in pairs),
        sum(pail.zeros or 0 for _, pail in pairs),
    )
