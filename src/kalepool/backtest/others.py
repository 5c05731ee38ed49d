"""Whom a policy is measured against: the two usual bots, and a clairvoyant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.backtest.allotment import Allotment
from kalepool.backtest.machine import Machine, Wanted

if TYPE_CHECKING:
    from kalepool.backtest.allotment import Outcome
    from kalepool.backtest.recording import Recorded
    from kalepool.backtest.sampling import Chances
    from kalepool.core.economics import Fees

_TOP: int = 64


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot with constants, generously played: what it has at its minute it sends, however little.

    Attributes:
        name: for people.
        work_at_s: seconds after the opening at which it sends.
        zeros: it stops hashing for a farmer at so many; 64 for no such limit.
        nonces: it tries so many for each; 0 for no such limit.
    """

    name: str
    work_at_s: float
    zeros: int = _TOP
    nonces: int = 0

    def play(self, recorded: Recorded, chances: Chances, first: int, setup: Setup) -> Outcome:
        """Play one block."""
        allotment = Allotment(recorded, first, setup.fees)
        machine = Machine(setup.rate)
        machine.begin(chances.streams)
        farmers = range(len(chances.streams))
        stake = setup.stake_in(recorded)
        if self.nonces:
            share = min(float(self.nonces), setup.rate * self.work_at_s / len(farmers))
            for search in machine.searches:
                left = share
                while left > 0:
                    left -= search.walk(left)
        else:
            machine.run(self.work_at_s, [Wanted(farmer, self.zeros) for farmer in farmers])
        sent_after = first + -(-self.work_at_s // recorded.ledger_s)
        for farmer in farmers:
            allotment.plant(farmer, first + chances.plants[farmer], stake)
            search = machine.searches[farmer]
            if search.zeros >= 0:
                allotment.work(farmer, int(sent_after) + chances.works[farmer][0], search.zeros)
        return allotment.settle(1)


USUAL_BOTS = (Bot("6 zeros, 240 s", 240, zeros=6), Bot("10 M nonces, 180 s", 180, nonces=10_000_000))


@dataclass(frozen=True, slots=True)
class Clairvoyant:
    """He knows when each block closes, what will be in it and how long each transaction takes.

    A bound on purpose: his plants land in the opening ledger, his works in the last one before the close,
    none fails, and every second of the block's life is hashed for it, those that his works are under way
    too. Nobody's schedule hashes more: a second hashed ahead for the next block is one of this block's. He
    knows no nonces beforehand; each hash goes where it is worth most, which is the best that can be done.

    Attributes:
        name: for people.
        twice: whether he works each pail twice, at once and at the end, for what the contract's accounting
            of a repeated work gains.
    """

    name: str
    twice: bool = False

    def play(self, recorded: Recorded, chances: Chances, first: int, setup: Setup) -> Outcome:
        """Play one block."""
        allotment = Allotment(recorded, first, setup.fees)
        machine = Machine(setup.rate)
        machine.begin(chances.streams)
        farmers = range(len(chances.streams))
        cap = recorded.block.max_zeros
        machine.run(recorded.ledgers * recorded.ledger_s, [Wanted(farmer, cap) for farmer in farmers])
        for farmer in farmers:
            allotment.plant(farmer, first, setup.stake_in(recorded))
            zeros = machine.searches[farmer].zeros
            if self.twice and zeros > 0:
                allotment.work(farmer, first + 1, 0)
            allotment.work(farmer, first + recorded.ledgers - 1, max(zeros, 0))
        return allotment.settle(setup.harvest_every)


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for all who play.

    Attributes:
        rate: hashes a second of the machine.
        stake: what each farmer stakes, as a part of the block's largest stake.
        fees: what calls cost.
        price: XLM for one KALE, or None.
        harvest_every: blocks that a harvest gathers; bots harvest each by itself.
    """

    rate: float
    stake: float
    fees: Fees
    price: float | None = None
    harvest_every: int = 5

    def stake_in(self, recorded: Recorded) -> int:
        """Give each farmer's stake in a block, stroops."""
        return int(self.stake * recorded.block.max_stake)
