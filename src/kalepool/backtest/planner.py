"""The pool itself in a replay: ``core.rounds.plan`` decides, ledger by ledger, on what it would have seen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kalepool.backtest.allotment import Allotment
from kalepool.backtest.machine import Machine, Wanted
from kalepool.core.actions import Grind, Lane, Plant, SubmitWork, Wait
from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import scale
from kalepool.core.farm import Farm, Proof
from kalepool.core.rounds import plan
from kalepool.core.strategy import Outlook, Pace

if TYPE_CHECKING:
    from kalepool.backtest.allotment import Outcome
    from kalepool.backtest.others import Setup
    from kalepool.backtest.recording import Recorded
    from kalepool.backtest.sampling import Chances
    from kalepool.core.actions import Action
    from kalepool.core.strategy import Policy

_RICH: Final = 10**18
_FAR: Final = 10**9
_DELAYS_KEPT: Final = 400
_BLOCKS_KEPT: Final = 100
_OTHERS_KEPT: Final = 20
_ENOUGH: Final = 3


@dataclass(slots=True)
class _Sent:
    """A transaction under way: in which ledger it lands, and what it does; zeros is None for a plant."""

    lands: int
    delay: int
    farmer: int
    zeros: int | None
    stake: int = 0


@dataclass(slots=True)
class Planner:
    """The pool under one policy, over many blocks: what it learns in one it uses in the next.

    It opens no block itself: in the recording others did.

    Attributes:
        policy: how it chooses.
        setup: what is the same for all.
    """

    policy: Policy
    setup: Setup
    _delays: deque[int] = field(default_factory=lambda: deque(maxlen=_DELAYS_KEPT))
    _lives: deque[int] = field(default_factory=lambda: deque(maxlen=_BLOCKS_KEPT))
    _others: deque[float] = field(default_factory=lambda: deque(maxlen=_OTHERS_KEPT))
    _ahead: Machine | None = None

    def play(self, recorded: Recorded, chances: Chances, following: Chances | None, first: int) -> Outcome:
        """Play one block.

        Args:
            recorded: the block.
            chances: what chance has in store in it.
            following: the same of the next block, for hashing ahead; None at the end.
            first: number of the ledger that opens it.
        """
        machine, self._ahead = self._ahead, None
        if machine is None:
            machine = Machine(self.setup.rate)
            machine.begin(chances.streams)
        game = _Game(self, recorded, chances, following, first, machine)
        outcome = game.play()
        self._ahead = game.ahead
        self._lives.append(round(recorded.ledgers * recorded.ledger_s))
        self._others.append(recorded.block.normalized_total / scale(recorded.block))
        return outcome

    def outlook(self) -> Outlook:
        """Give what has been learned so far."""
        others = sorted(self._others)
        return Outlook(
            delays=tuple(self._delays),
            lives=tuple(self._lives),
            others_parts=others[len(others) // 2] if len(others) >= _ENOUGH else None,
            hashrate=self.setup.rate,
            kale_price=self.setup.price,
            fees=self.setup.fees,
        )

    def learn(self, delay: int) -> None:
        """Take note of how long a transaction took."""
        self._delays.append(delay)


class _Game:
    """One block, ledger by ledger."""

    def __init__(
        self,
        planner: Planner,
        recorded: Recorded,
        chances: Chances,
        following: Chances | None,
        first: int,
        machine: Machine,
    ) -> None:
        self.ahead: Machine | None = None
        self._planner = planner
        self._recorded = recorded
        self._chances = chances
        self._following = following
        self._first = first
        self._machine = machine
        self._allotment = Allotment(recorded, first, planner.setup.fees)
        self._outlook = planner.outlook()
        self._stake = planner.setup.stake_in(recorded)
        fixed = planner.policy.fixed
        self._policy = replace(
            planner.policy,
            plant_ahead=False,
            fixed=None if fixed is None else replace(fixed, stake=self._stake),
        )
        self._sent: list[_Sent] = []
        self._works = [0] * len(chances.streams)
        self._wanted: list[Wanted] = []
        self._hashes_ahead = False
        self._works_seen = 0

    def play(self) -> Outcome:
        ledger, end = 0, self._recorded.ledgers
        while ledger < end:
            self._land(self._first + ledger)
            actions = self._decide(ledger)
            self._apply(actions, self._first + ledger)
            until = min(self._next(actions, ledger), end)
            self._hash(ledger, until)
            ledger = until
        self._land(self._first + end + _FAR)
        planner = self._planner
        every = max(planner.setup.harvest_every, planner.policy.harvest_from or 0)
        return self._allotment.settle(every)

    def _land(self, ledger: int) -> None:
        """Let everything land that lands by this ledger."""
        landing = sorted((one for one in self._sent if one.lands <= ledger), key=lambda one: one.lands)
        self._sent = [one for one in self._sent if one.lands > ledger]
        for one in landing:
            self._planner.learn(one.delay)
            if one.zeros is None:
                self._allotment.plant(one.farmer, one.lands, one.stake)
            elif self._allotment.work(one.farmer, one.lands, one.zeros):
                self._works_seen += 1
                self.ahead = None  # the entropy it was hashed with is another now

    def _decide(self, ledger: int) -> tuple[Action, ...]:
        recorded, base = self._recorded, self._first
        now = recorded.block.timestamp + ledger * recorded.ledger_s
        pace = Pace(base + ledger, int(now), now, recorded.ledger_s)
        entropy = (1 + self._works_seen + 1000 * (ledger >= recorded.last_work)).to_bytes(32, "big")
        record = replace(recorded.following, timestamp=recorded.block.timestamp, entropy=entropy)
        # Of the block's total only what is ours is seen: how fast others' works come in was not recorded.
        block = replace(recorded.block, normalized_total=self._allotment.total, staked_total=0)
        snapshot = Snapshot(
            "",
            base + ledger,
            Farm("", "", recorded.index, record, paused=False),
            b"",
            {recorded.index: DatedBlock(block, base + _FAR)},
            {
                (str(farmer), recorded.index): DatedPail(pail, base + _FAR)
                for farmer, pail in self._allotment.pails.items()
            },
        )
        return plan(snapshot, self._lanes(), self._policy, pace, self._outlook).actions

    def _lanes(self) -> list[Lane]:
        planting = {one.farmer for one in self._sent if one.zeros is None}
        working = {one.farmer for one in self._sent if one.zeros is not None}
        index = self._recorded.index
        return [
            Lane(
                farmer,
                str(farmer),
                plants=True,
                works=True,
                stake=self._stake,
                available=_RICH,
                proof=None if search.zeros < 0 else Proof(index, 0, b"", search.zeros),
                under_way=frozenset({index}) if farmer in planting else frozenset(),
                working=farmer in working,
            )
            for farmer, search in enumerate(self._machine.searches)
        ]

    def _apply(self, actions: tuple[Action, ...], ledger: int) -> None:
        self._wanted = []
        self._hashes_ahead = False
        for action in actions:
            if isinstance(action, Plant):
                delay = self._chances.plants[action.farmer]
                self._sent.append(_Sent(ledger + delay, delay, action.farmer, None, action.stake))
            elif isinstance(action, SubmitWork):
                delays = self._chances.works[action.farmer]
                delay = delays[self._works[action.farmer] % len(delays)]
                self._works[action.farmer] += 1
                self._sent.append(_Sent(ledger + delay, delay, action.farmer, action.proof.zeros))
            elif isinstance(action, Grind):
                self._wanted.append(Wanted(action.farmer, action.cap, action.weight))
                self._hashes_ahead = action.entropy is not None

    def _next(self, actions: tuple[Action, ...], ledger: int) -> int:
        """Give the ledger at which to look again."""
        if self._hashes_ahead:
            return ledger + 1
        (wait,) = [action for action in actions if isinstance(action, Wait)]
        since = wait.until - self._recorded.block.timestamp
        wanted = int(since / self._recorded.ledger_s + 0.999)
        landing = min((one.lands - self._first for one in self._sent), default=wanted)
        return max(min(wanted, landing), ledger + 1)

    def _hash(self, ledger: int, until: int) -> None:
        seconds = (until - ledger) * self._recorded.ledger_s
        if not self._hashes_ahead:
            self._machine.run(seconds, self._wanted)
        elif self._following is not None and ledger >= self._recorded.last_work:
            # What is hashed ahead before others' last work is lost with the entropy it was for.
            if self.ahead is None:
                self.ahead = Machine(self._planner.setup.rate)
                self.ahead.begin(self._following.streams)
            self.ahead.run(seconds, self._wanted)
