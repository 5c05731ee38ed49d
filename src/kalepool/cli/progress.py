"""A bar on stderr while something takes long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalepool.cli.output import Output


@contextmanager
def progress_bar(output: Output, what: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar on stderr while a terminal is there to see it.

    Args:
        output: of this run.
        what: is being done, until told otherwise.

    Returns:
        What takes a word for what is being done, and the share of it that is, 0 to 1.
    """
    if output.quiet or not sys.stderr.isatty():
        yield lambda _what, _share: None
        return
    from rich.console import Console  # noqa: PLC0415 - not needed in a pipe
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)
