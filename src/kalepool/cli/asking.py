"""What a person is asked before something is spent, and shown while it goes on."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalepool.cli.output import Output

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
"""The option of every command that asks before it spends."""


def confirm(question: str, *, yes: bool) -> None:
    """Go on only when a person says yes, or has said so before.

    Raises:
        UsageError: when there is nobody to ask.
        typer.Abort: when the answer is no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "this needs a yes, and there is no terminal to ask on", hint="give --yes: nothing was done"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort


@contextmanager
def progress(output: Output, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr while a terminal is there to see it; gives what is told (done, total)."""
    if output.quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415 - most runs have no terminal to draw on
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
