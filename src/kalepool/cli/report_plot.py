"""The picture of a report: what matters most, earnings against plan, the hash rate, fees, and the rank of farmers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from kalepool.cli.plots import Rank, Series, Style, plot
from kalepool.cli.wording import instant, rounded
from kalepool.core.amounts import STROOPS_PER_UNIT
from kalepool.core.prices import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.reports import HashedDay
    from kalepool.services.reporting import Report

_RATES: Final = (("GH/s", 1e9), ("MH/s", 1e6), ("kH/s", 1e3), ("H/s", 1.0))
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


def draw(days: Report, farmers: Report, hashed: Sequence[HashedDay]) -> str:
    """Draw what a pool earned and spent; give the SVG.

    Args:
        days: by day.
        farmers: by farmer, of the same time.
        hashed: likewise.
    """
    start = "the beginning" if days.since is None else instant(days.since)
    title = f"From {start} to {instant(days.until)}"
    return plot(title, _panels(days, farmers, hashed), _figures(days, hashed))


def _panels(days: Report, farmers: Report, hashed: Sequence[HashedDay]) -> list[Series | Rank]:
    labels = [_day(line.key) for line in days.lines]
    unit, size = _unit_of(max((day.rate for day in hashed), default=0.0))
    return [
        Series(
            "KALE earned by day",
            labels,
            [line.reward / STROOPS_PER_UNIT for line in days.lines],
            planned=[
                line.planned_reward / STROOPS_PER_UNIT if line.planned_pails else None for line in days.lines
            ],
        ),
        Series(
            f"Hash rate by day, {unit}",
            [_day(day.key) for day in hashed],
            [day.rate / size for day in hashed],
            Style.AREA,
        ),
        Series("XLM paid in fees by day", labels, [line.fees / STROOPS_PER_UNIT for line in days.lines]),
        Rank("KALE earned by farmer", [(line.key, line.reward / STROOPS_PER_UNIT) for line in farmers.lines]),
    ]


def _figures(days: Report, hashed: Sequence[HashedDay]) -> list[tuple[str, str]]:
    total, spent = days.total, days.total.fees + days.other_fees
    unit, size = _unit_of(max((day.rate for day in hashed), default=0.0))
    milliseconds = sum(day.milliseconds for day in hashed)
    figures = [
        ("KALE earned", rounded(total.reward, 1)),
        ("KALE of stakes lost", rounded(total.lost, 1)),
        ("XLM of fees", rounded(spent, 3)),
    ]
    if days.profit is not None and days.price.xlm is not None:
        figures.append((f"XLM of profit at {shown(days.price.xlm)}", rounded(days.profit, 1)))
    if milliseconds:
        mean_rate = 1_000 * sum(day.hashes for day in hashed) / milliseconds
        figures.append((f"{unit} on average", f"{mean_rate / size:.3g}"))
    return figures


def _unit_of(rate: float) -> tuple[str, float]:
    """Give the unit in which a rate of hashes a second reads well, and its size."""
    return next((unit, size) for unit, size in _RATES if rate >= size or size == 1)


def _day(key: str) -> str:
    """Write a day as an axis has room for it: ``14 Nov``; what is none stays."""
    try:
        day = date.fromisoformat(key)
    except ValueError:
        return key
    return f"{day.day} {_MONTHS[3 * day.month - 3 : 3 * day.month]}"
