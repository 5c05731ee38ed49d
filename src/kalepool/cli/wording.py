"""Numbers, amounts and times as people read them. What scripts read is never written here."""

from __future__ import annotations

from datetime import UTC, datetime

from kalepool.core.amounts import STROOPS_PER_UNIT, format_amount

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def count(number: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{number:,}"


def amount(stroops: int) -> str:
    """Write an amount exactly, thousands apart, without trailing zeros: ``1,234.5``."""
    whole, _, decimals = format_amount(abs(stroops)).partition(".")
    sign = "-" if stroops < 0 else ""
    return f"{sign}{int(whole):,}.{decimals}" if decimals else f"{sign}{int(whole):,}"


def rounded(stroops: int, decimals: int = 4) -> str:
    """Write an amount to so many decimals, halves away from zero, so that a column stays in line."""
    step = STROOPS_PER_UNIT // 10**decimals
    whole, part = divmod((abs(stroops) + step // 2) // step, 10**decimals)
    return f"{'-' if stroops < 0 and (whole or part) else ''}{whole:,}.{part:0{decimals}d}"


def mean(value: float | None, decimals: int = 1) -> str:
    """Write a mean; a dash where there is none."""
    return "-" if value is None else f"{value:.{decimals}f}"


def percent(part: float | None) -> str:
    """Write a part of 1 in per cent; a dash where there is none. Only all of it is 100 %."""
    if part is None:
        return "-"
    return "100 %" if part == 1 else f"{min(part * 100, 99.9):.1f} %"


def duration(seconds: float) -> str:
    """Write a time span in its two greatest units: ``3 h 12 min``."""
    whole = int(max(seconds, 0))
    days, hours, minutes = whole // _DAY, whole % _DAY // _HOUR, whole % _HOUR // _MINUTE
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {whole % _MINUTE} s" if whole % _MINUTE else f"{minutes} min"
    return f"{whole} s"


def ago(seconds: float) -> str:
    """Write how long ago something was: ``12 s ago``."""
    return "just now" if seconds < 1 else f"{duration(seconds)} ago"


def instant(seconds: float) -> str:
    """Write a moment as ISO 8601, UTC, for scripts and people alike."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
