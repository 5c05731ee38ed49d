"""What a unit is worth in a block: one more zero, one more ledger of gap, one more stroop of stake.

Reward arithmetic is the contract's alone (``core.contract``); here it is differentiated, and set beside
chances and fees. docs/STRATEGY.md derives what stands here. Worths are floats, because they are estimates;
no amount that moves is computed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import block_reward, scale, weigh
from kalepool.core.farm import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalepool.core.farm import Block
    from kalepool.core.records import BlockRecord, PailRecord

USUAL_PARTS: Final = 32.0
"""What all works of a block weigh on mainnet, in full parts (``normalized_total / scale``): the median of 680 blocks."""

DIGIT: Final = 16.0
_STROOPS: Final = 10_000_000
_LOWEST_BLOCKS: Final = 3
_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Fees:
    """What calls cost in XLM, stroops; the defaults are a model of mainnet, fee bumps included.

    Attributes:
        plant: one plant.
        work: one work, first or repeated.
        harvest: one block's harvest by itself.
        batch: fixed part of a harvest of several blocks in one call.
        batch_block: what each block adds to it.
    """

    plant: int = 19_426
    work: int = 14_339
    harvest: int = 12_678
    batch: int = 8_500
    batch_block: int = 4_317

    def harvest_each(self, blocks: int) -> float:
        """Give what the harvest of one block costs when so many share a call."""
        return float(self.harvest) if blocks <= 1 else self.batch_block + self.batch / blocks

    def round_of(self, blocks: int) -> float:
        """Give what one farmer's block costs: plant, work and his part of a harvest of so many blocks."""
        return self.plant + self.work + self.harvest_each(blocks)


@dataclass(frozen=True, slots=True)
class Market:
    """A block as one who works in it sees it: what a weight is worth.

    Attributes:
        index: of the block.
        block: its ranges and what stands in it.
        total: what all works will weigh when the block is over, ours included, in the contract's units.
    """

    index: int
    block: Block
    total: float

    @property
    def pot(self) -> int:
        """What the block's works share, stroops."""
        return block_reward(self.index) + self.block.staked_total

    @property
    def part(self) -> float:
        """Worth of one full part (a full gap, a full stake or all zeros) in stroops of KALE."""
        return scale(self.block) * self.pot / max(self.total, 1.0)

    def worth(self, weight: float) -> float:
        """Give what a weight earns, stroops."""
        return weight * self.pot / max(self.total, 1.0)

    def gain(self, before: float, after: float) -> float:
        """Give what the pool gains when its own weight grows, in a block where that makes the total grow too."""
        others = max(self.total - before, 0.0)
        return self.pot * (after / max(others + after, 1.0) - before / max(others + before, 1.0))


class Scales:
    """A block's scales: what gap and zeros weigh by the contract, each pair asked of it once.

    Args:
        block: whose ranges hold.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.full = scale(block)
        self._known: dict[tuple[int, int], int] = {}
        span = block.max_stake - block.min_stake
        self._per_stroop = 1 / span if span > 0 else 0.0

    def work(self, gap: int, zeros: int) -> int:
        """Give what a work weighs but for its stake, in the contract's units."""
        found = self._known.get((gap, zeros))
        if found is None:
            weights = weigh(self.block, gap, 0, zeros)
            found = self._known[gap, zeros] = weights.gap + weights.zeros
        return found

    def staked(self, stake: int) -> float:
        """Give a stake's part of a full one, 0 to 1."""
        inside = min(max(stake, self.block.min_stake), self.block.max_stake) - self.block.min_stake
        return inside * self._per_stroop


@dataclass(frozen=True, slots=True)
class Marginal:
    """Worth of one more unit within its range, stroops of KALE; nothing beyond it.

    Attributes:
        zero: one more leading zero.
        ledger: one more ledger of gap.
        stroop: one more stroop staked.
    """

    zero: float
    ledger: float
    stroop: float


def marginal(market: Market, gap: int, stake: int, zeros: int) -> Marginal:
    """Price the next zero, ledger and stroop of one farmer in a block.

    Args:
        market: the block.
        gap: ledgers he has.
        stake: stroops he has staked.
        zeros: of his best proof.
    """
    now = weigh(market.block, gap, stake, zeros)
    more = weigh(market.block, gap + 1, stake, zeros + 1)
    # A stroop is far less than a unit of weight where the stake's range is not the largest: its slope, then.
    span = market.block.max_stake - market.block.min_stake
    inside = market.block.min_stake <= stake < market.block.max_stake
    return Marginal(
        zero=market.worth(more.zeros - now.zeros),
        ledger=market.worth(more.gap - now.gap),
        stroop=market.worth(scale(market.block) / span) if inside else 0.0,
    )


def is_valid(block: Block) -> bool:
    """Tell whether the contract can weigh works in this block at all: an inverted range refuses every one."""
    try:
        weigh(block, 0, 0, 0)
    except ContractError:
        return False
    return True


def chance(hashes: float, zeros: int) -> float:
    """Give the chance that the best of so many hashes has at least so many zeros: 1 - (1 - 16^-z)^n."""
    if hashes <= 0 or zeros <= 0:
        return 1.0 if zeros <= 0 else 0.0
    return -math.expm1(hashes * math.log1p(-(DIGIT**-zeros)))


@lru_cache(maxsize=4096)
def expected_part(block_zeros: tuple[int, int], hashes: float, best: int) -> float:
    """Give the expected full parts that zeros earn after so many more hashes.

    Args:
        block_zeros: the block's min_zeros and max_zeros.
        hashes: still to come for this farmer.
        best: zeros he has; -1 for none.
    """
    low, high = block_zeros
    if high <= low:
        return 0.0
    have = min(max(best - low, 0), high - low)
    # No hash has more zeros than digits, whatever a block says.
    more = sum(chance(hashes, zeros) for zeros in range(max(best, low) + 1, min(high, _DIGITS) + 1))
    return (have + more) / (high - low)


def hash_gain(best: int, low: int, cap: int) -> float:
    """Give how many zeros that count one more hash adds on average.

    A hash lifts the best from b to z or more with chance 16^-z; zeros up to ``low`` and beyond ``cap`` count
    for nothing, so the sum runs over z = max(b, low) + 1 .. cap. The native miner ranks by weight times this,
    with ``low`` = -1: below the range it takes the farmer with the fewest zeros first, where any order serves.
    """
    start = max(best, low)
    if start >= cap:
        return 0.0
    return (DIGIT**-start - DIGIT**-cap) / (DIGIT - 1)


def next_to_grind(bests: Sequence[int], weights: Sequence[float], low: int, cap: int) -> int | None:
    """Give who gets the next hash: the one for whom it is worth most, the first of equals; None at rest.

    Worth never rises along any path of one farmer's search, so taking the largest is not only best for
    the next hash but for any number of them (docs/STRATEGY.md, "Who gets the next hash").
    """
    worths = [weight * hash_gain(best, low, cap) for best, weight in zip(bests, weights, strict=True)]
    if not worths or max(worths) <= 0:
        return None
    return worths.index(max(worths))


def interest_weights(interests: Sequence[float], held: Sequence[float], total: float) -> list[float]:
    """Give what one more unit of weight of each farmer is worth to somebody who gets a part of each reward.

    He gets sum(s_f w_f) / T of the pot, with T = all weights; its slope in w_f is (s_f - sum(s_g w_g) / T) / T:
    a unit earns his part of it, and thins out all that he has. With equal parts all slopes are equal.
    Where a slope is below zero a better proof would cost him money: then it is 0, and that farmer rests.

    Args:
        interests: his part of each farmer's reward, 0 to 1.
        held: weight that each is expected to have.
        total: of the block, all works.
    """
    mean = sum(part * weight for part, weight in zip(interests, held, strict=True)) / max(total, 1.0)
    return [max(part - mean, 0.0) for part in interests]


def others_parts(records: Sequence[BlockRecord], ours: Sequence[float] = ()) -> float | None:
    """Estimate what other people's works will weigh in full parts, from blocks that are over.

    Args:
        records: recent blocks, as they were when they closed.
        ours: what our own works weighed in each of them, full parts; left out where we had none.

    Returns:
        The median; None of fewer than three blocks.
    """
    own = list(ours) + [0.0] * (len(records) - len(ours))
    found = sorted(
        max(record.block.normalized_total / scale(record.block) - mine, 0.0)
        for record, mine in zip(records, own, strict=False)
        if is_valid(record.block)
    )
    if len(found) < _LOWEST_BLOCKS:
        return None
    return found[len(found) // 2]


def weight_of(block: Block, pails: Iterable[PailRecord]) -> int:
    """Give what the works of our pails weigh in their block, in the contract's units.

    Raises:
        ContractError: BLOCK_INVALID when a range is inverted.
    """
    return sum(
        weigh(block, pail.gap or 0, pail.stake, pail.zeros).total for pail in pails if pail.zeros is not None
    )


def market_of(index: int, block: Block, others: float | None, ours: float) -> Market:
    """Estimate a block's market; what is in it already is the least that it can be.

    Args:
        index: of the block.
        block: as it stands.
        others: estimate of others' full parts, or None for what is usual.
        ours: full parts that our works will have.
    """
    estimate = ((USUAL_PARTS if others is None else others) + ours) * scale(block)
    return Market(index, block, max(estimate, float(block.normalized_total), 1.0))


def in_kale(xlm_stroops: float, price: float | None) -> float | None:
    """Give what a fee costs in stroops of KALE at a price in XLM per KALE; None without a price."""
    return None if price is None or price <= 0 else xlm_stroops / price


def format_kale(stroops: float) -> str:
    """Write an estimate of KALE for people: three figures that matter."""
    return f"{stroops / _STROOPS:.3g} KALE"
