"""What options must be, before anything is opened: whoever mistyped is told that first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from kalepool.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN: Final = 20


def check_range(option: str, value: float, low: float, high: float) -> None:
    """Insist that a number is between two others, both counted in.

    Args:
        option: as it is written, such as ``--farmers``.
        value: what was given; whole numbers may be of any size.
        low: the least.
        high: the most.

    Raises:
        UsageError: when it is not, or is no number at all.
    """
    if not low <= value <= high:
        given = str(value) if isinstance(value, int) else f"{value:.12g}"
        given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
        raise UsageError(
            f"{option} {given} is out of range", hint=f"{option} is {_plain(low)} to {_plain(high)}"
        )


def check_plot(file: Path) -> None:
    """Insist that a picture can be written there.

    Raises:
        UsageError: when it cannot.
    """
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise UsageError(f"{file} cannot be written", hint="choose another --plot")


def _plain(bound: float) -> str:
    return f"{bound:,.6f}".rstrip("0").rstrip(".")
