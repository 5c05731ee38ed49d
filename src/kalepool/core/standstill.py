"""Whether a stake was lost because the network stood still: known from the close times of ledgers alone.

Conservative, since it takes a compensation from a farmer: what is not known so is on the pool's account.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import BLOCK_INTERVAL_S
from kalepool.core.shares import Loss

if TYPE_CHECKING:
    from kalepool.core.strategy import Pace

_LEAST_S: Final = 90
"""A network that closes no ledger for so long stands still; it takes some 6 s for each."""

_LEDGERS: Final = 3
"""Between two looks that are further apart the pool may have been away, and the network not."""

_LAST_S: Final = 30
"""A pool may leave a work until so many seconds before its block can end."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time in which the network closed next to no ledger; close times, Unix seconds."""

    since: int
    until: int


def between(before: Pace, now: Pace) -> Standstill | None:
    """Give the standstill that two looks, one after the other, have seen; None where there was none."""
    ledgers, seconds = now.ledger - before.ledger, now.close_time - before.close_time
    if not 0 < ledgers <= _LEDGERS or seconds < _LEAST_S:
        return None
    return Standstill(before.close_time, now.close_time)


def excuse(standstill: Standstill | None, opened_at: int) -> str:
    """Give the reason why a pail was not worked, where that was the network's doing; empty where it was not.

    It was where the network stood still before a work had to leave, and went on when the block could end.

    Args:
        standstill: the last one seen.
        opened_at: close time of the ledger that opened the pail's block.
    """
    due = opened_at + BLOCK_INTERVAL_S
    if standstill is None or not opened_at <= standstill.since < due - _LAST_S or standstill.until < due:
        return ""
    seconds = standstill.until - standstill.since
    return f"{Loss.NETWORK}: it stood still for {seconds} s, until the block could end"
