"""The ``kalepool`` program: its commands, its global options, its way out."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from kalepool import __version__
from kalepool.cli.lazy import Program
from kalepool.cli.output import EXIT_BUG, EXIT_INTERRUPTED, Output
from kalepool.errors import KalepoolError, UsageError
from kalepool.networks import NETWORKS
from kalepool.secret import forbid_dumps

_FLAGS = {"--json", "-q", "--quiet", "-v", "--verbose"}
_WITH_VALUE = {"--config", "--network"}


def hoist_global_options(args: list[str]) -> tuple[list[str], list[str]]:
    """Part global options from the command and its words, so that they work before and after it.

    Nothing behind ``--`` is touched. Give the global options and the rest.

    Raises:
        UsageError: when an option that needs a value ends the line.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            rest.append(word)
            rest.extend(words)
        elif word in _FLAGS or word.partition("=")[0] in _WITH_VALUE:
            front.append(word)
            if word in _WITH_VALUE:
                value = next(words, None)
                if value is None:
                    raise UsageError(f"{word} requires an argument", hint="see `kalepool --help`")
                front.append(value)
        else:
            rest.append(word)
    return front, rest


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"kalepool {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    config: Annotated[str | None, typer.Option(metavar="PATH", help="The configuration file.")] = None,
    network: Annotated[str | None, typer.Option(metavar="NAME", help="local, testnet or mainnet.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more; tracebacks too.")] = False,
    version: Annotated[  # noqa: ARG001 - acts in its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run a KALE farm for many farmers from one machine.

    The options above work before or after the command.
    """
    ctx.obj = Output(json=json, quiet=quiet, verbose=verbose, network=network, config=config)
    if network is not None and network not in NETWORKS:
        raise UsageError(f"there is no network {network!r}", hint="networks are local, testnet and mainnet")


@cache
def tree() -> Any:
    """Give all commands as they are parsed; building them is what a usage error would else do twice."""
    return typer.main.get_command(app)


def main(argv: list[str] | None = None) -> int:
    """Run the program and give its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        front, rest = hoist_global_options(words)
    except UsageError as error:
        return Output(json="--json" in words).fail("", error)
    return _run(front, rest)


def _run(front: list[str], rest: list[str]) -> int:
    output = Output(json="--json" in front, verbose="-v" in front or "--verbose" in front)
    command = _command(rest)
    try:
        result = tree()(front + rest, prog_name="kalepool", standalone_mode=False)
    except KalepoolError as error:
        return output.fail(command, error)
    except TyperException as error:
        if not str(error):  # no command at all: the help has been shown
            return 2
        text = error.format_message() if hasattr(error, "format_message") else str(error)
        where = " ".join(["kalepool", *_known(command).split(), "--help"])
        return output.fail(command, UsageError(text.rstrip("."), hint=f"see `{where}`"))
    except (KeyboardInterrupt, typer.Abort):
        result = EXIT_INTERRUPTED
    except SystemExit as error:
        # What typer makes of a reader that has gone (`| head`): there is nobody left to tell of it.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return _leave_quietly()
    except BrokenPipeError:
        return _leave_quietly()
    except Exception as error:  # noqa: BLE001 - the last resort of a program: one line, not a traceback
        return _bug(output, command, error)
    if result == EXIT_INTERRUPTED:  # also what typer makes of a KeyboardInterrupt
        sys.stderr.write("stopped\n")
    return result if isinstance(result, int) else 0


def _command(words: list[str]) -> str:
    """Give the command that a line asks for, such as ``bench`` or ``farmer add``; empty where there is none."""
    named = [word for word in words if not word.startswith("-")]
    group = bool(named) and hasattr(tree().commands.get(named[0]), "commands")
    return " ".join(named[: 2 if group else 1])


def _known(command: str) -> str:
    """Give as much of a command as there is."""
    found: list[str] = []
    group: Any = tree()
    for word in command.split():
        group = getattr(group, "commands", {}).get(word)
        if group is None:
            break
        found.append(word)
    return " ".join(found)


def _leave_quietly() -> int:
    # What is still buffered must go somewhere when the interpreter ends.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _bug(output: Output, command: str, error: Exception) -> int:
    kind = type(error).__name__
    wrapped = KalepoolError(
        f"unexpected failure: {kind}: {error}", hint="this is a bug; run again with --verbose for the details"
    )
    wrapped.__cause__ = error
    output.fail(command, wrapped)
    return EXIT_BUG


def run() -> None:
    """Entry point of the installed command."""
    forbid_dumps()
    sys.exit(main())
