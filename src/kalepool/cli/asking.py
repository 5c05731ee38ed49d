"""What a person is asked before something is spent, and shown while it goes on."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kalepool.errors import UsageError

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
