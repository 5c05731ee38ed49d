"""The price of KALE: as configured, or as the liquidity pool on the ledger has it.

Anybody with enough KALE or XLM can move a pool's price for a moment. So a price steers only whether to take part
and what a report calls profit, never an amount that moves; one reading a block counts; and a price that jumps
between blocks is believed only when it stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

JUMP: Final = Fraction(5, 4)
"""A price that has grown or fallen by more than this factor since the block before is not believed yet."""

BELIEVED_AFTER: Final = 4
"""So many blocks in a row must tell the new price, each within the bound of the one before."""

KEPT_BLOCKS: Final = 12
"""A price older than this is none: an hour."""


@dataclass(frozen=True, slots=True)
class Reserves:
    """What the liquidity pool of KALE and XLM holds, stroops."""

    kale: int
    xlm: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The pool as a block first showed it; both reserves are above 0, stroops."""

    block: int
    kale: int
    xlm: int

    @property
    def price(self) -> Fraction:
        """XLM for one KALE."""
        return Fraction(self.xlm, self.kale)


@dataclass(frozen=True, slots=True)
class Price:
    """What one KALE is worth in XLM, and who says so.

    Attributes:
        xlm: for one KALE; None where nobody says.
        source: for people.
        note: why the pool's last word does not count, for people; may be empty.
    """

    xlm: Fraction | None
    source: str
    note: str = ""

    @property
    def estimate(self) -> float | None:
        """XLM for one KALE, for chances and worths, which are floats."""
        return None if self.xlm is None else float(self.xlm)

    def in_xlm(self, kale: int) -> int | None:
        """Give what an amount of KALE is worth, both in stroops, rounded down; None without a price."""
        return None if self.xlm is None else kale * self.xlm.numerator // self.xlm.denominator


def flaw(reserves: Reserves | None, least_xlm: int) -> str:
    """Say why no price can be read from a pool; empty where one can.

    Args:
        reserves: of the pool; None where there is none on the ledger.
        least_xlm: stroops that it must hold at least: a thin pool is cheap to push.
    """
    if reserves is None:
        return "there is no liquidity pool of KALE and XLM"
    if reserves.kale <= 0 or reserves.xlm <= 0:
        return "the liquidity pool is empty"
    if reserves.xlm < least_xlm:
        return "the liquidity pool is too thin"
    return ""


def is_jump(before: Fraction, now: Fraction) -> bool:
    """Tell whether a price has moved further than a block's trade should move it."""
    return now > before * JUMP or now * JUMP < before


@dataclass(frozen=True, slots=True)
class Readings:
    """What the pool told lately.

    Attributes:
        believed: the reading that counts; None before the first.
        rivals: later ones that it does not go with, the oldest first.
    """

    believed: Reading | None = None
    rivals: tuple[Reading, ...] = ()

    def taken(self, block: int, reserves: Reserves) -> Readings:
        """Take what a block shows of a pool without a flaw; only the first reading of a block counts."""
        now, last = Reading(block, reserves.kale, reserves.xlm), self._last
        if last is not None and block <= last.block:
            return self
        before = self.recent(block)
        if before is None or not is_jump(before.price, now.price):
            return Readings(now)
        is_steady = bool(self.rivals) and not is_jump(self.rivals[-1].price, now.price)
        rivals = (*self.rivals, now) if is_steady else (now,)
        return Readings(now) if len(rivals) >= BELIEVED_AFTER else Readings(before, rivals)

    def recent(self, block: int) -> Reading | None:
        """Give the reading that counts in a block; None where there is none or it is too old."""
        if self.believed is None or self.believed.block <= block - KEPT_BLOCKS:
            return None
        return self.believed

    @property
    def _last(self) -> Reading | None:
        return self.rivals[-1] if self.rivals else self.believed

    def note(self) -> str:
        """Say that the pool's last word is not believed; empty where it is."""
        if not self.rivals or self.believed is None:
            return ""
        return (
            f"the liquidity pool's price jumped from {shown(self.believed.price)} to {shown(self.rivals[-1].price)} "
            f"XLM between blocks: the old one counts until {BELIEVED_AFTER} blocks in a row tell the new one"
        )

    def packed(self) -> str:
        """Write it in one line, to be remembered."""
        known = () if self.believed is None else (self.believed, *self.rivals)
        return " ".join(f"{one.block}:{one.kale}:{one.xlm}" for one in known)

    @classmethod
    def unpacked(cls, text: str | None) -> Readings:
        """Read what was remembered; nothing of what was not written so."""
        found: list[Reading] = []
        for word in (text or "").split():
            numbers = [int(part) for part in word.split(":") if part.isascii() and part.isdecimal()]
            if len(numbers) != 3 or 0 in numbers[1:]:  # noqa: PLR2004 - block, KALE, XLM
                return cls()
            found.append(Reading(*numbers))
        return cls(found[0], tuple(found[1:])) if found else cls()


def price_of(readings: Readings | None, block: int, configured: Fraction | None, flaw_now: str = "") -> Price:
    """Say what KALE is worth in a block: by the pool where it is asked and tells, else as configured.

    Args:
        readings: of the pool; None where it is not asked.
        block: the current one.
        configured: XLM for one KALE, or None.
        flaw_now: why the pool tells nothing now; may be empty.
    """
    found = None if readings is None else readings.recent(block)
    note = "" if readings is None else flaw_now or ("" if found is None else readings.note())
    if found is not None:
        return Price(found.price, f"liquidity pool, block {found.block}", note)
    return Price(configured, "configured" if configured is not None else "not known", note)


def parse_price(value: float) -> Fraction | None:
    """Read a configured price exactly as it is written; 0 is none."""
    return Fraction(repr(value)) or None


def shown(price: Fraction) -> str:
    """Write a price for people: four figures that matter."""
    return f"{float(price):.4g}"
