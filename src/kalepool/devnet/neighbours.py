"""Other farmers on the network: they plant, work and harvest each block like mainnet's did.

They live inside the ledger: what they do goes through the same contracts as everybody's calls and
shows in the same entries and events, but they send no transactions, pay no fees, and draw their
zeros from what a hash budget would find instead of hashing. Their ways are calibrated on 340 blocks
of December 2024: gaps, zeros, stakes and the time at which blocks open. Twenty of them make totals
like those; more or fewer make them larger or smaller in proportion.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stellar_sdk import scval

from kalepool.core.contract import BLOCK_INTERVAL_S
from kalepool.devnet.contracts import contracts_of
from kalepool.devnet.entries import KaleInstance
from kalepool.devnet.host import Host, HostError
from kalepool.devnet.ledger import Told
from kalepool.xdr.keys import address_value, instance_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stellar_sdk import xdr

    from kalepool.core.farm import Farm
    from kalepool.devnet.ledger import Ledger
    from kalepool.devnet.state import Layer

_FUNDS_STROOPS = 1_000_000_000_000
_KALE_STROOPS = 20_000_0000000
_FORFEITS = 0.002
_HASH_DIGITS = 64

# Seconds after the 300th at which somebody opens the next block: (earliest, latest, most often).
_OPENING_S = (2.0, 27.0, 21.0)
_PLANTING_S = 14.0
_HARVEST_BLOCKS = (1, 4)


@dataclass(frozen=True, slots=True)
class Habit:
    """How one kind of neighbour farms.

    Attributes:
        gap_s: seconds between plant and work, and their spread (standard deviation).
        difficulty: zeros at which it stops hashing.
        hashes: how many hashes it tries at the most.
        stake_kale: what it stakes, KALE, give or take a tenth.
    """

    gap_s: tuple[float, float]
    difficulty: int
    hashes: float
    stake_kale: float


# Ordered so that the first few already span the ranges: the largest stake, a strong one, a hasty one.
_HABITS: Sequence[Habit] = (
    Habit((256, 7), 9, 4.5e10, 1_160),
    Habit((6, 4), 5, 1e9, 0),
    Habit((258, 7), 9, 4.5e10, 410),
    Habit((254, 9), 7, 2e10, 40),
    Habit((244, 12), 6, 5e9, 0),
    Habit((258, 7), 8, 2e10, 980),
    Habit((256, 8), 9, 4.5e10, 120),
    Habit((252, 9), 7, 2e10, 700),
    Habit((200, 25), 6, 5e9, 10),
    Habit((258, 7), 8, 2e10, 300),
    Habit((254, 9), 7, 2e10, 0),
    Habit((180, 30), 6, 5e9, 850),
    Habit((258, 7), 8, 2e10, 60),
    Habit((250, 9), 7, 2e10, 530),
    Habit((258, 7), 8, 2e10, 220),
    Habit((254, 9), 6, 5e9, 1_000),
    Habit((258, 7), 8, 2e10, 5),
    Habit((244, 12), 7, 2e10, 150),
    Habit((120, 40), 6, 5e9, 0),
    Habit((258, 7), 8, 2e10, 640),
)


@dataclass(slots=True)
class _Plan:
    """What a neighbour means to do in one block."""

    index: int
    plant_at: float
    gap_s: float
    stake: int
    zeros: int
    forfeits: bool
    planted_at: int | None = None
    planted_in: int = 0
    done: bool = False


@dataclass(slots=True)
class _Neighbour:
    address: str
    habit: Habit
    plan: _Plan | None = None
    pails: list[tuple[int, int]] = field(default_factory=list)


class _Everything:
    """A footprint and an authorizer that allow all: neighbours act inside the ledger."""

    def check_read(self, key: bytes) -> None:
        """Allow."""

    def check_write(self, key: bytes) -> None:
        """Allow."""

    def require(self, host: Host, address: str) -> None:
        """Agree."""

    def leave(self, depth: int) -> None:
        """Nothing to forget."""


class Neighbours:
    """A number of other farmers, who take part in every ledger from now on.

    Args:
        ledger: the network's.
        count: how many.
        seed: what they draw from: the same seed and the same ledgers give the same farmers' deeds.
    """

    def __init__(self, ledger: Ledger, count: int, seed: int = 1) -> None:
        self._random = random.Random(f"neighbours {seed}")  # noqa: S311 - to be repeatable
        self._contracts = contracts_of(
            ledger.identity,
            opener_reads_previous=ledger.settings.opener_reads_previous,
            trusts_hashes=True,
        )
        self._everything = _Everything()
        self._seen: tuple[int, int] | None = None
        self._opens_at = 0.0
        self._deeds = 0
        self._told: list[Told] = []
        self.members = [
            _Neighbour(
                ledger.identity.keypair(f"neighbour {number}").public_key, _HABITS[number % len(_HABITS)]
            )
            for number in range(count)
        ]
        for member in self.members:
            ledger.create_account(member.address, _FUNDS_STROOPS)
            ledger.give_kale(member.address, _KALE_STROOPS)
        ledger.participants.append(self.take_part)

    def take_part(self, ledger: Ledger, layer: Layer, close_time: int) -> list[Told]:
        """Do what is due in the ledger that is closing; give the events."""
        self._told = []
        self._look(ledger, layer)
        if self.members and close_time >= self._opens_at:
            opener = self._random.choice(self.members)
            self._plan_for(opener, self._farm(ledger, layer).index + 1, close_time)
            self._plant(opener, ledger, layer, close_time)
            self._look(ledger, layer)
        for member in self.members:
            plan = member.plan
            if plan is None or plan.done:
                pass
            elif plan.planted_at is None:
                if close_time >= plan.plant_at:
                    self._plant(member, ledger, layer, close_time)
            elif close_time >= plan.planted_at + plan.gap_s and layer.sequence > plan.planted_in:
                self._work(member, plan, ledger, layer, close_time)
            self._harvest(member, ledger, layer, close_time)
        return self._told

    def _look(self, ledger: Ledger, layer: Layer) -> None:
        """Make plans when a block has opened, whoever opened it."""
        farm = self._farm(ledger, layer)
        if farm.block is None or self._seen == (farm.index, farm.block.timestamp):
            return
        self._seen = (farm.index, farm.block.timestamp)
        self._opens_at = farm.block.timestamp + BLOCK_INTERVAL_S + self._random.triangular(*_OPENING_S)
        for member in self.members:
            if member.plan is None or member.plan.index != farm.index:
                self._plan_for(member, farm.index, farm.block.timestamp)

    def _plan_for(self, member: _Neighbour, index: int, opened_at: int) -> None:
        draw, habit = self._random, member.habit
        stake = habit.stake_kale * draw.uniform(0.95, 1.0) * 10_000_000
        member.plan = _Plan(
            index=index,
            plant_at=opened_at + draw.uniform(0, _PLANTING_S),
            gap_s=max(draw.gauss(*habit.gap_s), 1.0),
            stake=int(stake),
            zeros=_draw_zeros(draw, habit),
            forfeits=draw.random() < _FORFEITS,
        )

    def _plant(self, member: _Neighbour, ledger: Ledger, layer: Layer, close_time: int) -> None:
        plan = member.plan
        assert plan is not None
        stake = scval.to_int128(plan.stake)
        if self._do(ledger, layer, close_time, "plant", [address_value(member.address), stake]):
            # In a Block that was missing the plant may have gone one further than meant.
            plan.index = self._farm(ledger, layer).index
            plan.planted_at, plan.planted_in = close_time, layer.sequence
            plan.done = plan.forfeits
        else:
            plan.done = True

    def _work(self, member: _Neighbour, plan: _Plan, ledger: Ledger, layer: Layer, close_time: int) -> None:
        plan.done = True
        nonce = scval.to_uint64(self._random.getrandbits(64))
        claimed = scval.to_bytes(self._hash_with(plan.zeros))
        arguments = [address_value(member.address), claimed, nonce]
        if self._farm(ledger, layer).index == plan.index and self._do(
            ledger, layer, close_time, "work", arguments
        ):
            harvest_in = plan.index + self._random.randint(*_HARVEST_BLOCKS)
            member.pails.append((plan.index, harvest_in))

    def _harvest(self, member: _Neighbour, ledger: Ledger, layer: Layer, close_time: int) -> None:
        if not member.pails or self._seen is None or member.pails[0][1] > self._seen[0]:
            return
        index, _ = member.pails.pop(0)
        arguments = [address_value(member.address), scval.to_uint32(index)]
        self._do(ledger, layer, close_time, "harvest", arguments)

    def _do(
        self, ledger: Ledger, layer: Layer, close_time: int, function: str, arguments: Sequence[xdr.SCVal]
    ) -> bool:
        """Call the KALE contract; False, and nothing changed, where it refuses."""
        top = layer.layer()
        host = Host(
            top,
            ledger.identity,
            self._contracts,
            self._everything,
            self._everything,
            close_time=close_time,
            temporary_ttl=ledger.settings.temporary_ttl,
        )
        try:
            host.call(ledger.identity.kale_contract, function, arguments)
        except HostError:
            return False
        top.keep()
        self._deeds += 1
        tx_hash = hashlib.sha256(f"neighbour's deed {self._deeds}".encode()).digest()
        order = (1 << 19) + len(self._told)  # behind all transactions of the ledger
        self._told += [Told(order, 0, n, event, tx_hash) for n, event in enumerate(host.events)]
        return True

    def _farm(self, ledger: Ledger, layer: Layer) -> Farm:
        entry = layer.get(instance_key(ledger.identity.kale_contract))
        assert entry is not None
        assert isinstance(entry.value, KaleInstance)
        return entry.value.farm

    def _hash_with(self, zeros: int) -> bytes:
        """Make up a hash with exactly so many leading hexadecimal zeros."""
        first = self._random.randint(1, 15)
        rest = self._random.getrandbits(4 * (_HASH_DIGITS - zeros - 1))
        digits = f"{first:x}{rest:0{_HASH_DIGITS - zeros - 1}x}"
        return bytes.fromhex("0" * zeros + digits)


def _draw_zeros(draw: random.Random, habit: Habit) -> int:
    """Draw the zeros of the best of a budget of hashes that ends at the first good enough one."""
    # The best of n hashes has at least z zeros with probability 1 - (1 - 16^-z)^n, close to 1 - exp(-n 16^-z).
    found = draw.random() < -math.expm1(-habit.hashes * 16.0**-habit.difficulty)
    if found:
        zeros = habit.difficulty
        while draw.random() < 1 / 16:
            zeros += 1
        return min(zeros, _HASH_DIGITS - 1)
    zeros = habit.difficulty - 1
    while zeros > 0 and draw.random() >= -math.expm1(-habit.hashes * 16.0**-zeros):
        zeros -= 1
    return zeros
