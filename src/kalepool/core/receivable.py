"""What a self-custody farmer owes the pool: rewards are minted to him, so fee and pool's part are a receivable.

There is one definition, ``shares.share_postings``. What is settled stands in the books, less what he has paid
to the operator; what waits to be settled is worked out here in the same way.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from kalepool.core.postings import KALE
from kalepool.core.records import PailState
from kalepool.core.shares import receivable, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kalepool.core.chain import Landed
    from kalepool.core.farmers import SealedTerms
    from kalepool.core.postings import Posting
    from kalepool.core.records import PailRecord


def accrued(pails: Iterable[PailRecord], agreed: Sequence[SealedTerms]) -> int:
    """Give fees and the pool's parts of harvested pails, in stroops.

    Args:
        pails: of one farmer; what is not harvested counts nothing.
        agreed: all terms of his, oldest first; of those from the same block the last counts.
    """
    begins = [terms.from_block for terms in agreed]
    total = 0
    for pail in pails:
        if pail.state is PailState.HARVESTED and pail.reward is not None:
            terms = agreed[bisect_right(begins, pail.block) - 1].terms
            parts = split(pail.reward, share_bps=terms.share_bps, fee_bps=terms.fee_bps)
            total += parts.fee + parts.pool
    return total


def repaid(farmer: int) -> str:
    """Name the account of what a self-custody farmer has paid of what he owes."""
    return f"repaid:{farmer}"


def repayment_postings(landed: Landed, debtors: Mapping[str, int], operator: str) -> tuple[Posting, ...]:
    """Give what transfers of KALE to the operator mean for those who owe him; a receivable below zero is a credit.

    Args:
        landed: a transaction that no intent of ours began.
        debtors: numbers of self-custody farmers by address.
        operator: G address.
    """
    postings: list[Posting] = []
    for move in landed.moves:
        if move.kind == "transfer" and move.parties[1] == operator and move.parties[0] in debtors:
            number = debtors[move.parties[0]]
            postings += [(receivable(number), KALE, -move.amount), (repaid(number), KALE, move.amount)]
    return tuple(postings)
