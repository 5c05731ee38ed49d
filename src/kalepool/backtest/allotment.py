"""One player's part of a recorded block: what he plants and works in it, booked by the contract's own rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.contract import new_record, share_of_block, weigh, work
from kalepool.core.farm import Farm, Pail

if TYPE_CHECKING:
    from kalepool.backtest.recording import Recorded
    from kalepool.core.economics import Fees

_HASH: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one or more blocks brought all farmers of one player.

    Attributes:
        kale: stroops of reward, less stakes that were forfeited.
        xlm: stroops of fees.
        works: works that landed in time, repeated ones too.
        missed: pails that ended without work.
        gaps: sum of the gaps of the pails worked.
        zeros: sum of their zeros.
        worked: pails worked.
        blocks: how many blocks this sums up.
    """

    kale: int = 0
    xlm: float = 0.0
    works: int = 0
    missed: int = 0
    gaps: int = 0
    zeros: int = 0
    worked: int = 0
    blocks: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(*(getattr(self, name) + getattr(other, name) for name in Outcome.__slots__))


@dataclass(slots=True)
class Allotment:
    """A player's farmers in one block. Others' works are the recording's; they neither see nor mind ours.

    Attributes:
        recorded: the block.
        first: number of the ledger that opened it.
        fees: what calls cost.
        pails: by farmer, planted ones.
        spent: stroops of XLM so far.
        works: that landed.
    """

    recorded: Recorded
    first: int
    fees: Fees
    pails: dict[int, Pail] = field(default_factory=dict)
    spent: float = 0.0
    works: int = 0
    _farm: Farm = field(init=False)
    _total: int = 0

    def __post_init__(self) -> None:
        self._farm = Farm("", "", self.recorded.index, new_record(0), paused=False)

    def plant(self, farmer: int, ledger: int, stake: int) -> None:
        """Land a plant in a ledger; the next block's is no longer this one's."""
        self.spent += self.fees.plant
        if ledger < self.first + self.recorded.ledgers:
            self.pails[farmer] = Pail(ledger, stake)

    def work(self, farmer: int, ledger: int, zeros: int) -> bool:
        """Land a work in a ledger; False where it fails, paid for all the same."""
        self.spent += self.fees.work
        pail = self.pails.get(farmer)
        late = ledger >= self.first + self.recorded.ledgers
        if (
            pail is None
            or late
            or ledger <= pail.sequence
            or (pail.zeros is not None and zeros <= pail.zeros)
        ):
            return False
        # Our works' part of the total alone: others' stands in the recording, and is put to it at the end.
        block = replace(self.recorded.block, normalized_total=self._total, staked_total=0)
        done = work(self._farm, block, pail, claimed=_HASH, actual=_HASH, zeros=zeros, sequence=ledger)
        self._total = done.block.normalized_total
        self.pails[farmer] = done.pail
        self.works += 1
        return True

    @property
    def total(self) -> int:
        """What our works have put to the block's total, units of weight."""
        return self._total

    def settle(self, harvest_every: int) -> Outcome:
        """Harvest everything; give what the block brought."""
        block = self.recorded.block
        missed = [pail for pail in self.pails.values() if pail.zeros is None]
        lost = sum(pail.stake for pail in missed)
        final = replace(
            block,
            normalized_total=block.normalized_total + self._total,
            staked_total=block.staked_total + lost,
        )
        worked = [pail for pail in self.pails.values() if pail.zeros is not None]
        rewards = sum(
            share_of_block(
                self.recorded.index, final, weigh(final, pail.gap or 0, pail.stake, pail.zeros or 0).total
            )
            for pail in worked
        )
        return Outcome(
            kale=rewards - lost,
            xlm=self.spent + len(worked) * self.fees.harvest_each(harvest_every),
            works=self.works,
            missed=len(missed),
            gaps=sum(pail.gap or 0 for pail in worked),
            zeros=sum(pail.zeros or 0 for pail in worked),
            worked=len(worked),
            blocks=1,
        )
