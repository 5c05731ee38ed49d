"""Amounts of KALE and XLM: integers of stroops, never floats.

Both assets have seven decimals: 1 KALE = 10,000,000 stroops, and so has XLM.
"""

from __future__ import annotations

import re
from typing import NewType

from kalepool.errors import UsageError

Stroops = NewType("Stroops", int)

STROOPS_PER_UNIT = 10_000_000
MAX_I64 = 2**63 - 1

_AMOUNT = re.compile(r"(?P<whole>\d{1,12})(?:\.(?P<fraction>\d{1,7}))?", re.ASCII)


def stroops(value: int) -> Stroops:
    """Take an integer number of stroops as an amount.

    Raises:
        UsageError: for anything but an int (a float and a bool are refused).
    """
    if type(value) is not int:
        raise UsageError(f"an amount must be an integer of stroops, not {type(value).__name__}")
    return Stroops(value)


def parse_amount(text: str) -> Stroops:
    """Read a decimal amount such as ``2.5`` as stroops.

    Raises:
        UsageError: when the text is no plain decimal, has more than 7 decimals, or
            exceeds what the network can hold (2**63 - 1 stroops).
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not an amount", hint="write it like 2.5, with at most seven decimals and no sign"
        )
    fraction = (match["fraction"] or "").ljust(7, "0")
    value = int(match["whole"]) * STROOPS_PER_UNIT + int(fraction)
    if value > MAX_I64:
        raise UsageError(
            f"{text} is more than the network can hold", hint="the largest amount is 922337203685.4775807"
        )
    return Stroops(value)


def format_amount(amount: int) -> str:
    """Write stroops as a decimal without trailing zeros: ``25000000`` gives ``2.5``."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), STROOPS_PER_UNIT)
    decimals = f"{fraction:07d}".rstrip("0")
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"
