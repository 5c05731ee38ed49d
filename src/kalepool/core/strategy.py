"""How the pool behaves where the rules leave a choice, and what it knows when it chooses.

The contract clamps gap, stake and zeros to ranges that are known when the block opens (Block(i) freezes
the results of block i-1): below a range's top each unit has a price, beyond it none. ``core.economics``
has the prices, ``core.timing`` the chances; here are the policies, by name, and the values that feed both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import BLOCK_INTERVAL_S
from kalepool.core.economics import Fees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.farm import Block
    from kalepool.core.records import BlockRecord

_DEFAULT_TOP_ZEROS: Final = 9
_MAX_ZEROS: Final = 64


class Early(StrEnum):
    """Whether a work is sent early, with a better one to follow."""

    NEVER = "never"
    INSURE = "insure"  # where what it saves if the later one comes too late is worth its fee
    CREDIT = "credit"  # counting also what the contract's accounting of a repeated work gains


@dataclass(frozen=True, slots=True)
class Fixed:
    """What the operator has fixed by hand.

    Attributes:
        stake: stroops for each farmer.
        zeros: hashing for a farmer stops there.
        work_at_s: seconds after a block's beginning at which works are sent.
    """

    stake: int = 0
    zeros: int = 6
    work_at_s: int = 240


@dataclass(frozen=True, slots=True)
class Policy:
    """How the pool behaves where the rules leave a choice.

    Attributes:
        work_margin_ledgers: until enough delays have been seen, a work is sent so that it lands this many
            ledgers before the block may close.
        works_per_ledger: how many works are sent for one ledger at most, so that they do not crowd each other out.
        improve_from_stroops: a better proof is sent after the first when it gains at least so much KALE.
        harvest_margin_ledgers: a pail whose end is nearer than this is harvested at once.
        plant_ahead: send plants for the next block as soon as the next ledger is expected to be due.
        name: which of ``POLICIES`` it is made from.
        early: whether works are sent early, with better ones to follow.
        pregrind: when nothing is left to hash for in a block, hash for the next one.
        push: once everybody has all zeros that count, hash on for one more, which lifts the next block's range.
        skip_losing: leave out farmers whose block costs more than it earns, where a price is known.
        harvest_from: blocks that a harvest gathers at least, whatever the terms say, or None to follow them.
        fixed: what the operator has fixed, or None to plan it.
        for_pool: the pool's part of each reward is made the most of, and not what all get together.
        at_once: every work is due now: the pool is stopping, or somebody works by hand.
    """

    work_margin_ledgers: int = 3
    works_per_ledger: int = 40
    improve_from_stroops: int = 5_000_000
    harvest_margin_ledgers: int = 2_000
    plant_ahead: bool = True
    name: str = "steady"
    early: Early = Early.NEVER
    pregrind: bool = False
    push: bool = False
    skip_losing: bool = False
    harvest_from: int | None = None
    fixed: Fixed | None = None
    for_pool: bool = False
    at_once: bool = False


STEADY: Final = Policy(early=Early.INSURE, pregrind=True)
POLICIES: Final[dict[str, Policy]] = {
    "steady": STEADY,
    "max-kale": replace(STEADY, name="max-kale", early=Early.CREDIT, improve_from_stroops=1),
    "thrift": replace(
        STEADY,
        name="thrift",
        early=Early.NEVER,
        improve_from_stroops=2**62,
        skip_losing=True,
        harvest_from=20,
    ),
    "manual": replace(STEADY, name="manual", early=Early.NEVER, pregrind=False, fixed=Fixed()),
}
"""Policies by name; docs/STRATEGY.md has the numbers of each."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What has been learned, beyond the snapshot. The neutral one knows nothing and risks nothing.

    The round loop fills it, once a round, from the store and its own counts; ``outlook_of`` does the sums.

    Attributes:
        delays: ledgers that our latest transactions took: landing ledger less the last one closed when each was
            sent. From settled intents (a few hundred); one that expired counts as the most seen and one more.
        lives: seconds that recent blocks stayed open. From ``Blocks.between``.
        others_parts: full parts (``normalized_total / scale``) that other people's works weigh in a block;
            None for what is usual. From ``Blocks.between`` and ``Pails.in_blocks``.
        hashrate: hashes a second of the whole machine, as measured by the miner; 0 when unknown.
        kale_price: XLM for one KALE, as configured or by the liquidity pool; None when unknown: then nothing is left out for
            its cost, and ``Policy.improve_from_stroops`` stands for a fee.
        fees: what calls cost, stroops of XLM; the defaults are a model of mainnet. From settled intents.
        forfeit_risk: part of our stakes that was forfeited lately, 0 to 1. From ``Pails.totals``.
    """

    delays: tuple[int, ...] = ()
    lives: tuple[int, ...] = ()
    others_parts: float | None = None
    hashrate: float = 0.0
    kale_price: float | None = None
    fees: Fees = field(default_factory=Fees)
    forfeit_risk: float = 0.0


NEUTRAL: Final = Outlook()


def lives_of(records: Sequence[BlockRecord]) -> tuple[int, ...]:
    """Give the seconds that blocks stayed open, from records in order; a gap in the numbers tells nothing."""
    return tuple(
        after.block.timestamp - before.block.timestamp
        for before, after in pairwise(records)
        if after.index == before.index + 1
    )


@dataclass(frozen=True, slots=True)
class Pace:
    """How time and ledgers go together now.

    Attributes:
        ledger: last closed ledger.
        close_time: of that ledger, Unix seconds.
        now: network time.
        ledger_seconds: network seconds between ledgers, measured.
    """

    ledger: int
    close_time: int
    now: float
    ledger_seconds: float

    def next_close(self) -> float:
        """Tell when the next ledger should close: not before now."""
        return max(self.close_time + self.ledger_seconds, self.now)

    def close_of(self, ledger: int) -> float:
        """Tell when a later ledger should close."""
        return self.next_close() + (ledger - self.ledger - 1) * self.ledger_seconds

    def ledger_closing_by(self, moment: float) -> int:
        """Tell the last ledger that should have closed by then; the last closed one at least."""
        ahead = (moment - self.next_close()) / self.ledger_seconds
        return self.ledger if ahead < 0 else self.ledger + 1 + int(ahead)


def due_at(record: Block) -> int:
    """Tell from which close time on a plant opens the next block."""
    return record.timestamp + BLOCK_INTERVAL_S


def is_next_ledger_due(record: Block, pace: Pace) -> bool:
    """Tell whether what is sent now should land in a ledger that opens the next block."""
    return pace.next_close() >= due_at(record)


def cap_of(block: Block, policy: Policy | None = None) -> int:
    """Give the zeros beyond which more earn nothing; with no range yet, what mainnet usually has."""
    cap = min(block.max_zeros, _MAX_ZEROS)
    if block.max_zeros == 0 and block.min_zeros == 0:
        cap = _DEFAULT_TOP_ZEROS
    return cap if policy is None or policy.fixed is None else min(policy.fixed.zeros, cap)


def last_work_ledger(record: Block, pace: Pace, policy: Policy) -> int:
    """Give the last ledger that a work should be aimed at: the block may close after it."""
    return pace.ledger_closing_by(due_at(record) - 1) - policy.work_margin_ledgers


def last_plant_ledger(record: Block, pace: Pace, policy: Policy) -> int:
    """Give the last ledger that a plant may land in, so that its work can be aimed at a safe one."""
    return last_work_ledger(record, pace, policy) - 1


def work_ledger(planted_in: int, block: Block, record: Block, pace: Pace, policy: Policy) -> int:
    """Give the ledger that a pail's work should land in.

    It is the first in which the gap reaches the block's largest, where the block stays open so
    long; else the last that is safe. Where there is no range yet, later is better for nobody.
    """
    wanted = planted_in + max(block.max_gap, 1)
    return max(min(wanted, last_work_ledger(record, pace, policy)), planted_in + 1)


def stake_for(wanted: int, available: int | None, block: Block) -> int:
    """Give what to stake: the terms' wish, held to what there is and to what the block can weigh.

    Beyond the block's largest stake nothing is earned. Where the balance is unknown nothing is staked.
    """
    if available is None:
        return 0
    return max(min(wanted, available, block.max_stake), 0)
