"""What the pool learns from its own rounds and from past blocks, kept over restarts: the planner's outlook."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import scale, weigh
from kalepool.core.economics import is_valid, others_parts
from kalepool.core.records import PailState
from kalepool.core.strategy import Outlook, lives_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.records import BlockRecord
    from kalepool.ports import Blocks, Facts, Pails

DELAYS_FACT: Final = "inclusion_delays"
_DELAYS_KEPT: Final = 400
_LIVES_OF: Final = 100
_PARTS_OF: Final = 20
_ENOUGH_PAILS: Final = 100


class Learner:
    """Gives the outlook that plans are made with.

    The round loop tells it of every transaction of ours that landed (``landed``), asks for an ``outlook`` each
    round, and lets it ``save`` once a block.

    Args:
        blocks: past ones.
        pails: ours.
        facts: where delays are kept over a restart.
        price: XLM for one KALE, or None.
    """

    def __init__(self, blocks: Blocks, pails: Pails, facts: Facts, price: float | None) -> None:
        self._blocks = blocks
        self._pails = pails
        self._facts = facts
        self._price = price
        self._delays = deque(_parsed(facts.get(DELAYS_FACT)), _DELAYS_KEPT)
        self._seen: int | None = None
        self._past: tuple[tuple[int, ...], float | None, float] = ((), None, 0.0)

    def landed(self, delay: int) -> None:
        """Take note of how many ledgers a transaction took: its ledger less the last closed when it was sent."""
        self._delays.append(max(delay, 1))

    def save(self) -> None:
        """Keep the delays over a restart."""
        self._facts.put(DELAYS_FACT, " ".join(map(str, self._delays)))

    def outlook(self, hashrate: float) -> Outlook:
        """Give what has been learned; past blocks are read again when a new one is known.

        Args:
            hashrate: hashes a second, as measured; 0 when unknown.
        """
        latest = self._blocks.latest()
        if latest is not None and latest.index != self._seen:
            self._seen = latest.index
            self._past = self._learn(self._blocks.between(max(latest.index - _LIVES_OF, 0), latest.index))
        lives, others, risk = self._past
        return Outlook(
            delays=tuple(self._delays),
            lives=lives,
            others_parts=others,
            hashrate=hashrate,
            kale_price=self._price,
            forfeit_risk=risk,
        )

    def _learn(self, records: Sequence[BlockRecord]) -> tuple[tuple[int, ...], float | None, float]:
        over = records[:-1][-_PARTS_OF:]  # the last one is still open
        ours = [self._our_parts(record) for record in over]
        return lives_of(records), others_parts(over, ours), self._risk()

    def _our_parts(self, record: BlockRecord) -> float:
        if not is_valid(record.block):
            return 0.0
        return sum(
            weigh(record.block, pail.gap or 0, pail.stake, pail.zeros).total
            for pail in self._pails.in_blocks(record.index, record.index)
            if pail.zeros is not None
        ) / scale(record.block)

    def _risk(self) -> float:
        """Give the part of pails that ended without work; nothing while there are few."""
        counts = self._pails.counts()
        forfeited = counts.get(PailState.FORFEITED, 0)
        ended = forfeited + counts.get(PailState.HARVESTED, 0) + counts.get(PailState.HARVESTABLE, 0)
        return forfeited / ended if ended >= _ENOUGH_PAILS else 0.0


def _parsed(text: str | None) -> list[int]:
    return [int(word) for word in (text or "").split() if word.isdecimal()]
