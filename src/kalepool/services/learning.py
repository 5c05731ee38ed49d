"""What the pool learns from its own rounds and from past blocks, kept over restarts: the planner's outlook."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import scale
from kalepool.core.economics import is_valid, others_parts, weight_of
from kalepool.core.facts import DELAYS, HASH_RATE
from kalepool.core.intents import Kind
from kalepool.core.records import PailState
from kalepool.core.strategy import Outlook, lives_of
from kalepool.services.costs import Costs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kalepool.core.records import BlockRecord
    from kalepool.ports import Blocks, Facts, Pails
    from kalepool.services.pricing import Pricer

_DELAYS_KEPT: Final = 400
_LIVES_OF: Final = 100
_PARTS_OF: Final = 20
_ENOUGH_PAILS: Final = 100
_RATES_KEPT: Final = 51
_FORGOTTEN_AFTER: Final = 120
_TIMED: Final = frozenset({Kind.PLANT, Kind.WORK})


class Learner:
    """Gives the outlook that plans are made with.

    The round loop tells it of every plant and work that was sent and that landed, asks for an ``outlook`` each
    round, and lets it ``save`` once a block.

    Args:
        blocks: past ones.
        pails: ours.
        facts: where delays are kept over a restart.
        pricer: says what KALE is worth.
    """

    def __init__(self, blocks: Blocks, pails: Pails, facts: Facts, pricer: Pricer) -> None:
        self._blocks = blocks
        self._pails = pails
        self._facts = facts
        self._pricer = pricer
        self._costs = Costs(facts)
        self._delays = deque(_parsed(facts.get(DELAYS)), _DELAYS_KEPT)
        self._sent: dict[tuple[Kind, tuple[str, ...]], int] = {}
        self._rates: deque[float] = deque(map(float, _parsed(facts.get(HASH_RATE))), _RATES_KEPT)
        self._seen: int | None = None
        self._past: tuple[tuple[int, ...], float | None, float] = ((), None, 0.0)

    def sent(self, kind: Kind, items: Iterable[str], ledger: int) -> None:
        """Take note of a plant or work that left after a ledger had closed; of nothing else."""
        if kind in _TIMED:
            self._sent.setdefault((kind, tuple(items)), ledger)

    def landed(self, kind: Kind, items: Sequence[str], ledger: int, charged: int) -> None:
        """Take note of the ledger that one landed in, and what it cost; one that left in another life tells no delay.

        Args:
            kind: of call.
            items: that it covered: for a harvest a pail each.
            ledger: which it landed in.
            charged: its fee, stroops.
        """
        self._costs.note(kind, len(items), charged)
        sent = self._sent.pop((kind, tuple(items)), None)
        if sent is not None:
            self._delays.append(max(ledger - sent, 1))

    def save(self) -> None:
        """Keep delays, the hash rate, prices and fees over a restart; forget what never landed."""
        newest = max(self._sent.values(), default=0)
        self._sent = {key: at for key, at in self._sent.items() if at > newest - _FORGOTTEN_AFTER}
        self._facts.put(DELAYS, " ".join(map(str, self._delays)))
        if self._rates:
            self._facts.put(HASH_RATE, str(round(median(self._rates))))
        self._pricer.save()
        self._costs.save()

    def outlook(self, hashrate: float) -> Outlook:
        """Give what has been learned; past blocks are read again when a new one is known.

        Args:
            hashrate: hashes a second, as measured over the last ledgers; 0 while nothing is hashed. What the
                machine can do is the median of those that were not 0.
        """
        if hashrate > 0:
            self._rates.append(hashrate)
        latest = self._blocks.latest()
        if latest is not None and latest.index != self._seen:
            self._seen = latest.index
            self._past = self._learn(self._blocks.between(max(latest.index - _LIVES_OF, 0), latest.index))
        lives, others, risk = self._past
        return Outlook(
            delays=tuple(self._delays),
            lives=lives,
            others_parts=others,
            hashrate=median(self._rates) if self._rates else 0.0,
            kale_price=self._pricer.price(0 if latest is None else latest.index).estimate,
            fees=self._costs.fees,
            forfeit_risk=risk,
        )

    def _learn(self, records: Sequence[BlockRecord]) -> tuple[tuple[int, ...], float | None, float]:
        over = records[:-1][-_PARTS_OF:]  # the last one is still open
        ours = [self._our_parts(record) for record in over]
        return lives_of(records), others_parts(over, ours), self._risk()

    def _our_parts(self, record: BlockRecord) -> float:
        if not is_valid(record.block):
            return 0.0
        pails = self._pails.in_blocks(record.index, record.index)
        return weight_of(record.block, pails) / scale(record.block)

    def _risk(self) -> float:
        """Give the part of pails that ended without work; nothing while there are few."""
        counts = self._pails.counts()
        forfeited = counts.get(PailState.FORFEITED, 0)
        ended = forfeited + counts.get(PailState.HARVESTED, 0) + counts.get(PailState.HARVESTABLE, 0)
        return forfeited / ended if ended >= _ENOUGH_PAILS else 0.0


def _parsed(text: str | None) -> list[int]:
    return [int(word) for word in (text or "").split() if word.isdecimal()]
