"""Everybody plays the same recorded blocks with the same chances; what came of it, side by side."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kalepool.backtest.allotment import Outcome
from kalepool.backtest.others import USUAL_BOTS, Bot, Clairvoyant, Setup
from kalepool.backtest.planner import Planner
from kalepool.backtest.sampling import draw
from kalepool.core.economics import Fees

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.backtest.recording import Recorded
    from kalepool.backtest.sampling import Chances
    from kalepool.core.strategy import Policy

_STROOPS: Final = 10_000_000
BOUND: Final = Clairvoyant("clairvoyant")
BOUND_TWICE: Final = Clairvoyant("clairvoyant, twice", twice=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One player's result.

    Attributes:
        name: of the player.
        kind: ``policy``, ``bot`` or ``clairvoyant``.
        outcome: sums over all blocks.
        course: KALE stroops of each block, all farmers together.
        farmers: how many he had.
    """

    name: str
    kind: str
    outcome: Outcome
    course: tuple[int, ...]
    farmers: int

    @property
    def kale(self) -> float:
        """KALE for one farmer in one block."""
        return self.outcome.kale / _STROOPS / max(self.outcome.blocks * self.farmers, 1)

    @property
    def xlm(self) -> float:
        """XLM of fees for one farmer in one block."""
        return self.outcome.xlm / _STROOPS / max(self.outcome.blocks * self.farmers, 1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A backtest's results.

    Attributes:
        rows: by player.
        setup: what was the same for all.
        farmers: of each player.
        seed: that chance began with.
        first: index of the first block played, and the last's.
    """

    rows: tuple[Row, ...]
    setup: Setup
    farmers: int
    seed: int
    first: int
    last: int

    def row(self, name: str) -> Row:
        """Give one player's row."""
        return next(row for row in self.rows if row.name == name)

    def of_bound(self, row: Row) -> float:
        """Give a row's KALE as a part of the clairvoyant's who works once."""
        return row.kale / self.row(BOUND.name).kale if self.row(BOUND.name).kale else 0.0

    def of_twice(self, row: Row) -> float:
        """Give a row's KALE as a part of the clairvoyant's who works twice."""
        return row.kale / self.row(BOUND_TWICE.name).kale if self.row(BOUND_TWICE.name).kale else 0.0

    def over_bots(self, row: Row) -> float:
        """Give a row's KALE as a multiple of the better usual bot's."""
        best = max(other.kale for other in self.rows if other.kind == "bot")
        return row.kale / best if best else 0.0


@dataclass(slots=True)
class _Player:
    name: str
    kind: str
    play: Callable[[Recorded, Chances, Chances | None, int], Outcome]
    total: Outcome = field(default_factory=Outcome)
    course: list[int] = field(default_factory=list)


def compare(
    blocks: Sequence[Recorded],
    policies: Sequence[Policy],
    *,
    farmers: int,
    hashrate: float,
    stake: float,
    seed: int,
    price: float | None = None,
    progress: Callable[[float], None] = lambda _share: None,
) -> Comparison:
    """Let everybody play.

    Args:
        blocks: recorded ones, in order.
        policies: ours.
        farmers: that each player has.
        hashrate: hashes a second that each player has.
        stake: what each farmer stakes, as a part of the block's largest.
        seed: of chance.
        price: XLM for one KALE, or None.
        progress: is told how much is done, 0 to 1.
    """
    setup = Setup(hashrate, stake, Fees(), price)
    players = [_planner(policy, setup) for policy in policies]
    players += [_other("bot", bot, setup) for bot in USUAL_BOTS]
    players += [_other("clairvoyant", bound, setup) for bound in (BOUND, BOUND_TWICE)]
    chances = _chances(blocks[0].index, farmers, seed)
    first = 1
    for at, recorded in enumerate(blocks):
        last = at + 1 == len(blocks)
        following = None if last else _chances(blocks[at + 1].index, farmers, seed)
        for player in players:
            outcome = player.play(recorded, chances, following, first)
            player.total += outcome
            player.course.append(outcome.kale)
        first += recorded.ledgers
        chances = following or chances
        progress((at + 1) / len(blocks))
    rows = tuple(
        Row(player.name, player.kind, player.total, tuple(player.course), farmers) for player in players
    )
    return Comparison(rows, setup, farmers, seed, blocks[0].index, blocks[-1].index)


def _chances(index: int, farmers: int, seed: int) -> Chances:
    # Each block's chances are its own, whatever was drawn for others: runs over parts of a recording agree.
    return draw(random.Random(f"{seed} {index}"), farmers)  # noqa: S311 - to be repeatable


def _planner(policy: Policy, setup: Setup) -> _Player:
    return _Player(policy.name, "policy", Planner(policy, setup).play)


def _other(kind: str, one: Bot | Clairvoyant, setup: Setup) -> _Player:
    def play(recorded: Recorded, chances: Chances, _following: Chances | None, first: int) -> Outcome:
        return one.play(recorded, chances, first, setup)

    return _Player(one.name, kind, play)
