"""When to plant and work in a block, what a hash is worth for whom: from ranges, time and a policy.

The contract clamps gap, stake and zeros to ranges that are known when the block opens (Block(i) freezes
the results of block i-1): below a range's top each unit has a price, beyond it none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import BLOCK_INTERVAL_S, share_of_block, weigh

if TYPE_CHECKING:
    from kalepool.core.farm import Block

_DEFAULT_TOP_ZEROS: Final = 9
_MAX_ZEROS: Final = 64


@dataclass(frozen=True, slots=True)
class Policy:
    """How the pool behaves where the rules leave a choice.

    Attributes:
        work_margin_ledgers: a work is sent so that it lands this many ledgers before the block may close.
        works_per_ledger: how many works are sent for one ledger at most, so that they do not crowd each other out.
        improve_from_stroops: a better proof is sent after the first when it gains at least so much KALE.
        harvest_margin_ledgers: a pail whose end is nearer than this is harvested at once.
        plant_ahead: send plants for the next block as soon as the next ledger is expected to be due.
    """

    work_margin_ledgers: int = 3
    works_per_ledger: int = 40
    improve_from_stroops: int = 5_000_000
    harvest_margin_ledgers: int = 2_000
    plant_ahead: bool = True


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


def cap_of(block: Block) -> int:
    """Give the zeros beyond which more earn nothing; with no range yet, what mainnet usually has."""
    if block.max_zeros == 0 and block.min_zeros == 0:
        return _DEFAULT_TOP_ZEROS
    return min(block.max_zeros, _MAX_ZEROS)


def last_work_ledger(record: Block, pace: Pace, policy: Policy) -> int:
    """Give the last ledger that a work should be aimed at: the block may close after it."""
    return pace.ledger_closing_by(due_at(record) - 1) - policy.work_margin_ledgers


def work_ledger(planted_in: int, block: Block, record: Block, pace: Pace, policy: Policy) -> int:
    """Give the ledger that a pail's work should land in.

    It is the first in which the gap reaches the block's largest, where the block stays open so
    long; else the last that is safe. Where there is no range yet, later is better for nobody.
    """
    wanted = planted_in + max(block.max_gap, 1)
    return max(min(wanted, last_work_ledger(record, pace, policy)), planted_in + 1)


def gain_of_improving(index: int, block: Block, gap: int, stake: int, zeros: tuple[int, int]) -> int:
    """Give the KALE in stroops that a better proof adds to a work that has landed.

    Args:
        index: of the block.
        block: as it stands.
        gap: ledgers that the second work would have.
        stake: of the pail.
        zeros: of the landed work, and of the better proof.
    """
    before, after = (weigh(block, gap, stake, count).total for count in zeros)
    return share_of_block(index, block, after) - share_of_block(index, block, before)


def stake_for(wanted: int, available: int | None, block: Block) -> int:
    """Give what to stake: the terms' wish, held to what there is and to what the block can weigh.

    Beyond the block's largest stake nothing is earned. Where the balance is unknown nothing is staked.
    """
    if available is None:
        return 0
    return max(min(wanted, available, block.max_stake), 0)
