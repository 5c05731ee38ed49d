"""What a self-custody farmer owes the pool: rewards are minted to him, so the fee is a receivable."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from kalepool.core.farmers import BPS
from kalepool.core.records import PailState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalepool.core.farmers import SealedTerms
    from kalepool.core.records import PailRecord


def accrued(pails: Iterable[PailRecord], agreed: Sequence[SealedTerms]) -> int:
    """Give the fees on harvested pails, in stroops; each is rounded down, in the farmer's favour.

    Args:
        pails: of one farmer; what is not harvested counts nothing.
        agreed: all terms of his, oldest first; of those from the same block the last counts.
    """
    begins = [terms.from_block for terms in agreed]
    total = 0
    for pail in pails:
        if pail.state is PailState.HARVESTED and pail.reward is not None:
            terms = agreed[bisect_right(begins, pail.block) - 1].terms
            total += pail.reward * terms.fee_bps // BPS
    return total
