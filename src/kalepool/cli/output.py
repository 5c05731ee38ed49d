"""The one place that prints. Data goes to stdout, everything else to stderr; errors become exit codes."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kalepool import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer
    from rich.console import Console

SCHEMA = 1

EXIT_CODES: dict[type[errors.KalepoolError], int] = {
    errors.InternalError: 1,
    errors.UsageError: 2,
    errors.ConfigError: 3,
    errors.RetryableError: 4,
    errors.RejectedError: 5,
    errors.PartialError: 6,
    errors.LockedError: 7,
    errors.UnresolvedError: 8,
}
EXIT_BUG = 1
EXIT_INTERRUPTED = 130  # as shells have it: 128 + SIGINT


@dataclass(slots=True)
class Output:
    """How this run wants to be told things; kept in the typer context.

    Attributes:
        json: print one JSON document to stdout instead of text.
        quiet: no notes on stderr; errors and warnings still show.
        verbose: tracebacks with errors.
        network: the network named by ``--network``, or None.
        config: the file named by ``--config``, or None.
    """

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    network: str | None = None
    config: str | None = None

    def emit(self, command: str, data: dict[str, Any], render: Callable[[Console], None]) -> None:
        """Print a command's result: the envelope with ``--json``, else what ``render`` draws."""
        if self.json:
            self.emit_document(command, data)
        else:
            render(stdout_console())

    def emit_document(
        self, command: str, data: dict[str, Any], error: errors.KalepoolError | None = None
    ) -> None:
        """Print the JSON envelope."""
        document = {
            "schema": SCHEMA,
            "command": command,
            "ok": error is None,
            "data": data,
            "error": error
            and {"code": error.code, "message": one_line(error.message), "hint": one_line(error.hint)},
        }
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()

    def write(self, text: str) -> None:
        """Print a line or more of plain data to stdout."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def note(self, message: str) -> None:
        """Tell the operator something that is not data."""
        if not self.quiet:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()

    def warn(self, message: str) -> None:
        """Tell the operator something that he must not miss, however quiet this run is to be."""
        sys.stderr.write(f"warning: {one_line(message)}\n")
        sys.stderr.flush()

    def fail(self, command: str, error: errors.KalepoolError) -> int:
        """Report an error in one line and a hint; give the exit code it stands for."""
        if self.verbose:
            traceback.print_exception(error, file=sys.stderr)
        if self.json:
            self.emit_document(command, {}, error)
        else:
            sys.stderr.write(f"error: {one_line(error.message)}\n")
            if error.hint:
                sys.stderr.write(f"hint: {one_line(error.hint)}\n")
        return exit_code(error)


def one_line(text: str) -> str:
    """Write a text that may repeat anything as one line that plays no tricks with a terminal."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def exit_code(error: errors.KalepoolError) -> int:
    """Give the exit code that an error stands for; one of a special kind has its base's."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), EXIT_BUG)


def output_of(ctx: typer.Context) -> Output:
    """Give the output settings of this run."""
    found = ctx.find_object(Output)
    return found if found is not None else Output()


def stdout_console() -> Console:
    """Give a rich console for stdout: no colour and no wrapping of data when it is no terminal."""
    from rich.console import Console  # noqa: PLC0415 - not needed for --json

    # In a pipe or a file a table must keep its columns whatever the width of the terminal.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)
