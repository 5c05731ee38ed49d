"""Tables of text: plain, aligned, readable in 80 columns."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

_SHOWN = 4


def short(address: str | None, *, wide: bool = False) -> str:
    """Give an address for people: its ends, where a terminal has no room for all of it.

    Args:
        address: G or C address, or None.
        wide: whether all of it is wanted anyway.
    """
    if address is None:
        return "-"
    if wide or not sys.stdout.isatty():
        return address
    return f"{address[:_SHOWN]}…{address[-_SHOWN:]}"


def print_table(
    console: Console, headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Print rows under headings.

    Args:
        console: where.
        headings: of the columns.
        rows: cells, as plain text.
        right: headings of columns whose cells stand to the right.
    """
    from rich import box  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # Where no terminal sets a limit, nothing may be cut: scripts read it.
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(
            heading, justify="right" if heading in right else "left", no_wrap=True, overflow="ellipsis"
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if not sys.stdout.isatty():
        console.width = 300
    console.print(table, width=None if sys.stdout.isatty() else 300, crop=sys.stdout.isatty())
