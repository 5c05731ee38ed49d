"""A contest on the devnet: our farmers against those of the usual bots, in the same blocks, with neighbours.

    python benchmarks/devnet_contest.py [--blocks 50] [--farmers 10] [--neighbours 20] [--hashrate 40] [--policy steady]

5.8 seconds a ledger, so that 240 s are 41 ledgers as on mainnet. Everything happens in ledger time, in this
process: every team's plants and works go through the farm's contracts like the neighbours' do, so ranges, entropy
and totals are what all of them make together. Proofs and inclusion delays are drawn: each team has the same hash
rate, and its transactions take the same kind of time. Teams do not wait for each other, and one opens the blocks: ours,
when it is due (--followers: the neighbours do).
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stellar_sdk import scval

from kalepool.backtest.machine import Machine, Wanted
from kalepool.backtest.others import USUAL_BOTS, Bot
from kalepool.backtest.sampling import DELAYS, stream
from kalepool.core.actions import Grind, Lane, Plant, SubmitWork
from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import harvest, scale
from kalepool.core.farm import Block, Pail, Proof
from kalepool.core.rounds import plan
from kalepool.core.strategy import POLICIES, Outlook, Pace, Policy
from kalepool.devnet.contracts import contracts_of
from kalepool.devnet.host import Host, HostError
from kalepool.devnet.ledger import Ledger, LedgerSettings
from kalepool.devnet.neighbours import Neighbours
from kalepool.xdr.keys import address_value, block_key, pail_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.devnet.ledger import Told
    from kalepool.devnet.state import Layer

_WARM_UP = 5
_STROOPS = 10_000_000
_FAR = 10**9
_DIGITS = 64


class _Everything:
    """A footprint and an authorizer that allow all: teams act inside the ledger."""

    def check_read(self, key: bytes) -> None:
        """Allow."""

    def check_write(self, key: bytes) -> None:
        """Allow."""

    def require(self, host: Host, address: str) -> None:
        """Agree."""

    def leave(self, depth: int) -> None:
        """Nothing to forget."""


class Field:
    """The network as teams reach it: a call lands some ledgers after it was sent, or fails there."""

    def __init__(self, neighbours: int, ledger_seconds: float, seed: int) -> None:
        self.ledger = Ledger(LedgerSettings(ledger_seconds=ledger_seconds))
        self.dice = random.Random(f"contest {seed}")
        self._contracts = contracts_of(
            self.ledger.identity,
            opener_reads_previous=self.ledger.settings.opener_reads_previous,
            trusts_hashes=True,
        )
        self._due: dict[int, list[Callable[[Layer, int], None]]] = {}
        self.ledger.participants.append(self._take_part)
        Neighbours(self.ledger, neighbours, seed)

    @property
    def contract(self) -> str:
        """The KALE contract."""
        return self.ledger.identity.kale_contract

    def delay(self) -> int:
        """Draw how many ledgers a transaction takes."""
        return self.dice.choices([one for one, _ in DELAYS], [chance for _, chance in DELAYS])[0]

    def send(self, ledgers: int, act: Callable[[Layer, int], None]) -> None:
        """Let something happen so many ledgers on."""
        self._due.setdefault(self.ledger.latest.sequence + ledgers, []).append(act)

    def _take_part(self, _ledger: Ledger, layer: Layer, close_time: int) -> list[Told]:
        acts = self._due.pop(layer.sequence, [])
        self.dice.shuffle(acts)
        for act in acts:
            act(layer, close_time)
        return []

    def call(self, layer: Layer, close_time: int, function: str, *arguments: object) -> bool:
        """Call the KALE contract; False, and nothing changed, where it refuses."""
        top = layer.layer()
        everything = _Everything()
        host = Host(
            top,
            self.ledger.identity,
            self._contracts,
            everything,
            everything,
            close_time=close_time,
            temporary_ttl=self.ledger.settings.temporary_ttl,
        )
        try:
            host.call(self.contract, function, list(arguments))  # type: ignore[arg-type]
        except HostError:
            return False
        top.keep()
        return True

    def block(self, index: int) -> Block | None:
        """Give a Block."""
        entry = self.ledger.state.get(block_key(self.contract, index))
        return entry.value if entry is not None and isinstance(entry.value, Block) else None

    def pail(self, address: str, index: int) -> Pail | None:
        """Give a Pail."""
        entry = self.ledger.state.get(pail_key(self.contract, address, index))
        return entry.value if entry is not None and isinstance(entry.value, Pail) else None


@dataclass
class Team:
    """Farmers of one side, with a machine of their own."""

    name: str
    ground: Field
    rate: float
    addresses: list[str]
    earned: dict[int, int] = field(default_factory=dict)
    gaps: list[int] = field(default_factory=list)
    zeros: list[int] = field(default_factory=list)
    calls: int = 0
    failed: int = 0
    machine: Machine = field(init=False)
    index: int = -1
    opened_at: int = 0

    def __post_init__(self) -> None:
        self.machine = self.new_machine()

    def new_machine(self) -> Machine:
        """Give the machine streams of a new block."""
        machine = Machine(self.rate)
        machine.begin([stream(self.ground.dice) for _ in self.addresses])
        return machine

    def plant(self, farmer: int, block: int) -> int:
        """Send a plant for a block and no other; give its delay."""
        delay, address = self.ground.delay(), self.addresses[farmer]

        def act(layer: Layer, close_time: int) -> None:
            self.calls += 1
            farm = self.ground.ledger.farm
            due = farm.block is not None and close_time >= farm.block.timestamp + 300
            lands_in = self._index_in(layer) + (1 if self._index_in(layer) == farm.index and due else 0)
            if lands_in != block or not self.ground.call(
                layer, close_time, "plant", address_value(address), scval.to_int128(0)
            ):
                self.failed += 1

        self.ground.send(delay, act)
        return delay

    def work(self, farmer: int, block: int, zeros: int) -> int:
        """Send a work for a block; give its delay."""
        delay, address = self.ground.delay(), self.addresses[farmer]

        def act(layer: Layer, close_time: int) -> None:
            self.calls += 1
            claimed = scval.to_bytes(self._hash_with(zeros))
            nonce = scval.to_uint64(self.ground.dice.getrandbits(64))
            if self._index_in(layer) != block or not self.ground.call(
                layer, close_time, "work", address_value(address), claimed, nonce
            ):
                self.failed += 1

        self.ground.send(delay, act)
        return delay

    def settle(self, index: int) -> None:
        """Count what a block that is over pays."""
        block, total = self.ground.block(index), 0
        for address in self.addresses:
            pail = self.ground.pail(address, index)
            if block is None or pail is None or pail.zeros is None:
                continue
            total += harvest(self.ground.ledger.farm, index, block, pail).reward
            self.gaps.append(pail.gap or 0)
            self.zeros.append(pail.zeros)
        self.earned[index] = total

    def _index_in(self, layer: Layer) -> int:
        from kalepool.devnet.entries import KaleInstance  # noqa: PLC0415
        from kalepool.xdr.keys import instance_key  # noqa: PLC0415

        entry = layer.get(instance_key(self.ground.contract))
        assert entry is not None and isinstance(entry.value, KaleInstance)
        return entry.value.farm.index

    def _hash_with(self, zeros: int) -> bytes:
        dice = self.ground.dice
        rest = dice.getrandbits(4 * (_DIGITS - zeros - 1))
        return bytes.fromhex("0" * zeros + f"{dice.randint(1, 15):x}{rest:0{_DIGITS - zeros - 1}x}")

    def after(self, seconds: float) -> None:
        """Do what is to be done once a ledger has closed.

        Args:
            seconds: since the one before.
        """
        raise NotImplementedError


@dataclass
class BotTeam(Team):
    """A usual bot: plants when it sees a new block, hashes to its limit, sends at its minute."""

    bot: Bot = USUAL_BOTS[0]
    sent: bool = True

    def after(self, seconds: float) -> None:
        """Plant, hash or send."""
        farm = self.ground.ledger.farm
        assert farm.block is not None
        if farm.index != self.index:
            self.index, self.sent = farm.index, False
            self.machine = self.new_machine()
            for farmer in range(len(self.addresses)):
                self.plant(farmer, farm.index)
            return
        if self.sent:
            return
        farmers = range(len(self.addresses))
        if self.bot.nonces:
            left = self.rate * seconds / len(farmers)
            for search in self.machine.searches:
                tries = min(left, max(self.bot.nonces - search.hashes, 0))
                while tries > 0:
                    tries -= search.walk(tries)
        else:
            self.machine.run(seconds, [Wanted(farmer, self.bot.zeros) for farmer in farmers])
        if self.ground.ledger.latest.close_time >= farm.block.timestamp + self.bot.work_at_s:
            self.sent = True
            for farmer in farmers:
                if self.machine.searches[farmer].zeros >= 0:
                    self.work(farmer, self.index, self.machine.searches[farmer].zeros)


@dataclass
class OurTeam(Team):
    """The pool: ``core.rounds.plan`` on a snapshot of every ledger."""

    policy: Policy = POLICIES["steady"]
    delays: deque[int] = field(default_factory=lambda: deque(maxlen=400))
    lives: deque[int] = field(default_factory=lambda: deque(maxlen=100))
    parts: deque[float] = field(default_factory=lambda: deque(maxlen=20))
    under_way: dict[tuple[int, int], int] = field(default_factory=dict)
    working: dict[int, int] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    ahead: tuple[bytes, Machine] | None = None
    ahead_of: bytes | None = None

    def after(self, seconds: float) -> None:
        """Plan, and do it."""
        self._hash(seconds)
        latest, farm = self.ground.ledger.latest, self.ground.ledger.farm
        assert farm.block is not None
        if farm.index != self.index:
            self._open(farm.index)
        self.under_way = {key: at for key, at in self.under_way.items() if at > latest.sequence}
        self.working = {key: at for key, at in self.working.items() if at > latest.sequence}
        block = self.ground.block(farm.index)
        pails = {
            (address, farm.index): DatedPail(pail, _FAR)
            for address in self.addresses
            if (pail := self.ground.pail(address, farm.index)) is not None
        }
        blocks = {} if block is None else {farm.index: DatedBlock(block, _FAR)}
        snapshot = Snapshot("", latest.sequence, farm, b"", blocks, pails)
        step = self.ground.ledger.settings.ledger_seconds
        pace = Pace(latest.sequence, latest.close_time, latest.close_time, step)
        parts = sorted(self.parts)
        outlook = Outlook(
            delays=tuple(self.delays),
            lives=tuple(self.lives),
            others_parts=parts[len(parts) // 2] if len(parts) > 2 else None,
            hashrate=self.rate,
        )
        self._apply(plan(snapshot, self._lanes(), self.policy, pace, outlook).actions)

    def _open(self, index: int) -> None:
        opened = self.ground.block(index)
        before = self.ground.block(self.index) if self.index >= 0 else None
        assert opened is not None
        if before is not None:
            self.lives.append(opened.timestamp - before.timestamp)
            ours = 2.0 * len(self.addresses)
            self.parts.append(max(before.normalized_total / scale(before) - ours, 1.0))
        kept = self.ahead is not None and self.ahead[0] == opened.entropy
        self.machine = self.ahead[1] if self.ahead is not None and kept else self.new_machine()
        self.ahead, self.ahead_of, self.index = None, None, index
        self.working.clear()

    def _hash(self, seconds: float) -> None:
        if self.ahead_of is None:
            self.machine.run(seconds, self.wanted)
            return
        if self.ahead is None or self.ahead[0] != self.ahead_of:
            self.ahead = (self.ahead_of, self.new_machine())
        self.ahead[1].run(seconds, self.wanted)

    def _lanes(self) -> list[Lane]:
        return [
            Lane(
                farmer,
                address,
                plants=True,
                works=True,
                stake=0,
                available=0,
                proof=None
                if self.machine.searches[farmer].zeros < 0
                else Proof(self.index, 0, b"", self.machine.searches[farmer].zeros),
                under_way=frozenset(block for one, block in self.under_way if one == farmer),
                working=farmer in self.working,
                harvest_every=20,
            )
            for farmer, address in enumerate(self.addresses)
        ]

    def _apply(self, actions: tuple[object, ...]) -> None:
        sequence = self.ground.ledger.latest.sequence
        self.wanted, self.ahead_of = [], None
        for action in actions:
            if isinstance(action, Plant):
                delay = self.plant(action.farmer, action.block)
                self.delays.append(delay)
                self.under_way[action.farmer, action.block] = sequence + delay
            elif isinstance(action, SubmitWork):
                delay = self.work(action.farmer, action.block, action.proof.zeros)
                self.delays.append(delay)
                self.working[action.farmer] = sequence + delay
            elif isinstance(action, Grind):
                self.wanted.append(Wanted(action.farmer, action.cap, action.weight))
                self.ahead_of = action.entropy


def contest(options: argparse.Namespace) -> list[Team]:
    """Let all farm until so many blocks after the first few are over; give the teams."""
    network = Field(options.neighbours, options.ledger_seconds, options.seed)

    def addresses(team: int) -> list[str]:
        identity = network.ledger.identity
        names = [identity.keypair(f"team {team} {n}").public_key for n in range(options.farmers)]
        for name in names:
            network.ledger.create_account(name, 10 * _STROOPS)
            network.ledger.give_kale(name, 0)
        return names

    policy = replace(POLICIES[options.policy], plant_ahead=not options.followers)
    rate = options.hashrate * 1e6
    teams: list[Team] = [OurTeam(f"kalepool, {options.policy}", network, rate, addresses(0), policy=policy)]
    teams += [
        BotTeam(bot.name, network, rate, addresses(number), bot=bot)
        for number, bot in enumerate(USUAL_BOTS, 1)
    ]
    seen, before = network.ledger.farm.index, network.ledger.latest.close_time
    while network.ledger.farm.index <= options.blocks + _WARM_UP:
        closed = network.ledger.close()
        index = network.ledger.farm.index
        if index != seen:
            for team in teams:
                if seen > _WARM_UP:
                    team.settle(seen)
            seen = index
        for team in teams:
            team.after(closed.close_time - before)
        before = closed.close_time
    return teams


def main() -> int:
    """Print the table; 1 when a bot has earned more than we have."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=50)
    parser.add_argument("--farmers", type=int, default=10)
    parser.add_argument("--neighbours", type=int, default=20)
    parser.add_argument("--hashrate", type=float, default=40)
    parser.add_argument("--ledger-seconds", type=float, default=5.8)
    parser.add_argument("--policy", default="steady", choices=[*POLICIES])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--followers", action="store_true")
    options = parser.parse_args()
    teams = contest(options)
    print(f"| {'team':<22} | KALE a farmer and block | mean gap | mean zeros | calls | failed |")
    print("|---|---:|---:|---:|---:|---:|")
    kale = [sum(team.earned.values()) / _STROOPS / len(team.earned) / options.farmers for team in teams]
    for team, one in zip(teams, kale, strict=True):
        print(
            f"| {team.name:<22} | {one:.2f} | {statistics.mean(team.gaps):.1f} |"
            f" {statistics.mean(team.zeros):.2f} | {team.calls} | {team.failed} |"
        )
    print(f"{len(teams[0].earned)} blocks; ours {kale[0] / max(kale[1:]):.3f} times the better bot")
    return int(kale[0] <= max(kale[1:]))


if __name__ == "__main__":
    sys.exit(main())
