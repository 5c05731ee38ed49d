"""Results that are only in part what was asked for: the data first, then the error they end with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from kalepool.cli.output import exit_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.errors import KalepoolError


def tell(
    output: Output,
    command: str,
    data: dict[str, Any],
    render: Callable[[Console], None],
    error: KalepoolError | None,
) -> None:
    """Print a result, and end with an error where there is one: with ``--json`` in the same document.

    Raises:
        KalepoolError: the error given.
        typer.Exit: with its exit code, where the document has told of it.
    """
    if error is not None and output.json:
        output.emit_document(command, data, error)
        raise typer.Exit(exit_code(error))
    output.emit(command, data, render)
    if error is not None:
        raise error


def tell_news(output: Output, pool: Pool) -> None:
    """Tell that payouts go on, where payments of before a restore were read back meanwhile."""
    while pool.restoring.news:
        output.note(pool.restoring.news.pop(0))
