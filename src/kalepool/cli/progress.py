"""Bars on stderr while something takes long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalepool.cli.output import Output


def is_watched(output: Output) -> bool:
    """Tell whether there is a terminal on stderr, and nobody has asked for quiet."""
    return not output.quiet and sys.stderr.isatty()


@contextmanager
def progress_bar(output: Output, what: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar with a percentage while a terminal is there to see it.

    Args:
        output: of this run.
        what: is being done, until told otherwise.

    Returns:
        What takes a word for what is being done, and the share of it that is, 0 to 1.
    """
    with _bar(output, what, total=1.0) as update:
        yield lambda what, share: update(description=what, completed=share)


@contextmanager
def progress_count(output: Output, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with a count while a terminal is there to see it; gives what is told (done, total)."""
    with _bar(output, what, total=None) as update:
        yield lambda done, total: update(completed=done, total=total)


@contextmanager
def _bar(output: Output, what: str, *, total: float | None) -> Iterator[Callable[..., None]]:
    if not is_watched(output):
        yield lambda **_: None
        return
    from rich.console import Console  # noqa: PLC0415 - not needed in a pipe
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    # Where the total is not known beforehand, things are counted.
    amount = MofNCompleteColumn() if total is None else TextColumn("{task.percentage:>3.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), amount)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.update, bar.add_task(what, total=total))
