"""Drawing up a farmer's statement from what is settled and paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.postings import KALE
from kalepool.core.shares import COMPENSATION, Claim, owed
from kalepool.core.statements import Crop, Statement

if TYPE_CHECKING:
    from kalepool.ports import Blocks, Books, Farmers, Histories
    from kalepool.services.settling import Explained, Settling


class Stating:
    """Draws up statements.

    Args:
        farmers: whose.
        blocks: when they opened.
        books: what is owed.
        histories: what was harvested and paid by which transaction.
        settling: how each pail was shared.
    """

    def __init__(
        self, farmers: Farmers, blocks: Blocks, books: Books, histories: Histories, settling: Settling
    ) -> None:
        self._farmers = farmers
        self._blocks = blocks
        self._books = books
        self._histories = histories
        self._settling = settling

    def state(self, name: str, *, until: float) -> Statement:
        """Draw up a farmer's statement; pails that wait are settled first.

        Args:
            name: whose.
            until: network time it is drawn up for.

        Raises:
            UsageError: when there is no such farmer.
            BrokenSealError: when his terms do not carry this vault's seal.
        """
        farmer = self._farmers.get(name)
        self._settling.settle()
        explained = self._settling.explain(name)
        hashes = self._histories.harvests(farmer.number)
        indexes = [line.record.block for line in explained]
        known = self._blocks.between(min(indexes), max(indexes)) if indexes else []
        times = {record.index: float(record.block.timestamp) for record in known}
        crops = tuple(
            _crop(line, times.get(line.record.block, 0.0), hashes.get(line.record.block, ""))
            for line in explained
        )
        his = [one for one in self._histories.payments(farmer.number) if one.claim is not Claim.POOL]
        due = sum(
            self._books.balance(owed(claim, farmer.number), KALE)
            for claim in (Claim.FARMER, Claim.COMPENSATION)
        )
        days = tuple(self._histories.days(farmer.number))
        life, agreed = self._farmers.life(farmer.number), self._farmers.agreed(farmer.number)
        return Statement(farmer, until, days, crops, tuple(his), due, tuple(life), tuple(agreed))


def _crop(line: Explained, at: float, transaction: str) -> Crop:
    record, parts, booked = line.record, line.split, line.booked
    postings = () if booked is None else booked.postings
    return Crop(
        block=record.block,
        at=at,
        state=record.state,
        stake=record.stake,
        stake_lost=record.stake_lost,
        reward=record.reward or 0,
        fee=0 if parts is None else parts.fee,
        share=0 if parts is None else parts.farmer,
        pool=0 if parts is None else parts.pool,
        compensated=-sum(amount for name, _, amount in postings if name == COMPENSATION),
        transaction=transaction,
        why=(booked.why if booked is not None else "") or record.why,
    )
