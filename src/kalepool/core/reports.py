"""What the pool tells of itself: counts, sums and warnings, as values that can be shown in any form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from kalepool.core.forecasts import MILLI
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.farmers import FarmerState
    from kalepool.core.prices import Price
    from kalepool.core.records import PailState

DAY_S: Final = 86_400
_HOUR_S: Final = 3_600
_MOST_DIGITS: Final = 5
_SINCE_HINT: Final = "write it like 24h, 7d, 30d, all or 2026-01-31 (UTC)"


class By(StrEnum):
    """What the lines of a report stand for."""

    FARMER = "farmer"
    DAY = "day"  # UTC, by the network's time of the block
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the mining lock; times are Unix seconds on the machine's clock.

    Attributes:
        role: its command.
        pid: on ``host``.
        host: the machine's name.
        since: when it took the lock.
        heartbeat: when it last gave a sign of life.
        alive: whether it still lives, as far as can be known.
    """

    role: str
    pid: int
    host: str
    since: float
    heartbeat: float
    alive: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """Where the pool stands, as its store has it.

    Attributes:
        farmers: how many are in each state.
        pails: how many of all farmers are in each state.
        at_work: stroops staked in pails that are planted and not yet harvested.
        open_intents: money actions under way, the unresolved ones not counted.
        unresolved: money actions that a person must look at.
        holder: who holds the mining lock, or None.
    """

    farmers: Mapping[FarmerState, int]
    pails: Mapping[PailState, int]
    at_work: int
    open_intents: int
    unresolved: int
    holder: Holder | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a report: counts of pails and sums over them. Amounts are stroops.

    Attributes:
        key: farmer's name, day as YYYY-MM-DD, or block; empty for the totals.
        farmers: how many had a pail; for totals, 0.
        missed: plants that never landed.
        planted: pails planted.
        worked: of these, worked.
        harvested: of these, harvested.
        forfeited: ended without work; the stake is lost.
        expired: died before they were harvested; stake and reward are lost.
        staked: stakes of all planted pails.
        returned: stakes that came back with a harvest.
        stake_forfeited: stakes of forfeited pails. ``stake_expired`` likewise.
        stake_unpaid: of stakes, what harvests did not pay back.
        reward: KALE earned, the stake not counted.
        gaps: sum of the gaps of all works, in ledgers. ``zeros`` likewise.
        planned_pails: pails that are over and of which was written down what they were expected to come to.
        planned_gaps: sum of the gaps planned for these, in ledgers.
        planned_millizeros: likewise of zeros, in thousandths.
        planned_reward: likewise of KALE earned.
        met_reward: KALE that these pails did earn.
        fees: XLM paid for plants, works and harvests of these pails.
        compensated: what the pool owed, or has paid, for stakes lost in these pails.
    """

    key: str
    farmers: int = 0
    missed: int = 0
    planted: int = 0
    worked: int = 0
    harvested: int = 0
    forfeited: int = 0
    expired: int = 0
    staked: int = 0
    returned: int = 0
    stake_forfeited: int = 0
    stake_expired: int = 0
    stake_unpaid: int = 0
    reward: int = 0
    gaps: int = 0
    zeros: int = 0
    planned_pails: int = 0
    planned_gaps: int = 0
    planned_millizeros: int = 0
    planned_reward: int = 0
    met_reward: int = 0
    fees: int = 0
    compensated: int = 0

    @property
    def plant_rate(self) -> float | None:
        """Part of the plants tried that landed, 0 to 1; None where none was tried."""
        tried = self.planted + self.missed
        return self.planted / tried if tried else None

    @property
    def work_rate(self) -> float | None:
        """Part of the planted pails that were worked, 0 to 1; None where none was planted."""
        return self.worked / self.planted if self.planted else None

    @property
    def harvest_rate(self) -> float | None:
        """Part of the worked pails that were harvested so far; None where none was worked."""
        return self.harvested / self.worked if self.worked else None

    @property
    def lost(self) -> int:
        """Stakes that did not come back."""
        return self.stake_forfeited + self.stake_expired + self.stake_unpaid

    @property
    def plan_rate(self) -> float | None:
        """What was earned as a part of what was planned, of the pails with a plan; None where nothing was planned."""
        return self.met_reward / self.planned_reward if self.planned_reward else None

    @property
    def planned_gap(self) -> float | None:
        """Mean gap that was planned, in ledgers."""
        return self.planned_gaps / self.planned_pails if self.planned_pails else None

    @property
    def planned_zeros(self) -> float | None:
        """Mean zeros that were planned."""
        return self.planned_millizeros / MILLI / self.planned_pails if self.planned_pails else None

    def profit(self, price: Price) -> int | None:
        """Give what was earned less the stakes lost, at a price, less the fees: stroops of XLM; None without a price."""
        value = price.in_xlm(self.reward - self.lost)
        return None if value is None else value - self.fees

    @property
    def mean_gap(self) -> float | None:
        """Mean gap of the works, in ledgers."""
        return self.gaps / self.worked if self.worked else None

    @property
    def mean_zeros(self) -> float | None:
        """Mean zeros of the works."""
        return self.zeros / self.worked if self.worked else None

    @classmethod
    def total(cls, lines: list[Line]) -> Self:
        """Add lines up."""
        summed = [field.name for field in fields(cls) if field.name not in {"key", "farmers"}]
        return cls("", **{name: sum(getattr(line, name) for line in lines) for name in summed})


@dataclass(frozen=True, slots=True)
class HashedDay:
    """How much was hashed in a day's blocks.

    Attributes:
        key: the day as YYYY-MM-DD, UTC.
        hashes: of the whole pool.
        milliseconds: for which it mined.
    """

    key: str
    hashes: int
    milliseconds: int

    @property
    def rate(self) -> float:
        """Hashes a second while the pool mined; 0 where it did not."""
        return 1_000 * self.hashes / self.milliseconds if self.milliseconds else 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the operator should know: what, and what to do about it."""

    what: str
    do: str


def parse_since(text: str, now: float) -> float | None:
    """Read where a report begins: ``24h``, ``7d``, ``all`` or a day; give network time, None for all.

    Args:
        text: as written on the command line.
        now: network time that hours and days are counted back from.

    Raises:
        UsageError: when it is none of these.
    """
    if text == "all":
        return None
    number, unit = text[:-1], text[-1:]
    if number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS and unit in {"h", "d"}:
        return now - int(number) * (_HOUR_S if unit == "h" else DAY_S)
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise UsageError(f"{text!r} is no time to report from", hint=_SINCE_HINT) from None


def parse_by(text: str) -> By:
    """Read what a report's lines stand for.

    Raises:
        UsageError: when it is nothing known.
    """
    try:
        return By(text)
    except ValueError:
        raise UsageError(f"a report is not by {text!r}", hint="it is by farmer, day or block") from None


def some(number: int, noun: str) -> str:
    """Write how many there are of something: ``1 pail``, ``1,200 pails``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
