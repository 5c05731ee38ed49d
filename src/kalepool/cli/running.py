"""What every command that touches the pool does alike: settings, passphrase, event loop, signals."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kalepool.cli.passphrase import read_passphrase
from kalepool.config import load

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.config import Config, Value

_T = TypeVar("_T")

PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", metavar="FILE", help="Where the vault's passphrase stands, mode 0600."),
]
"""The option of every command that unlocks the vault."""


def settings(output: Output, options: Mapping[str, Value] | None = None) -> Config:
    """Load the configuration as files, environment and options say.

    Args:
        output: knows ``--config`` and ``--network``.
        options: further options by ``section.key``.
    """
    named = {"network.name": output.network} if output.network else {}
    return load(output.config, os.environ, Path.cwd(), {**named, **(options or {})})


def open_pool(
    output: Output,
    role: str,
    passphrase_file: Path | None = None,
    options: Mapping[str, Value] | None = None,
) -> Pool:
    """Make the pool of this run; nothing is opened yet.

    Args:
        output: of this run.
        role: the command's name.
        passphrase_file: what ``--passphrase-file`` names.
        options: settings that options override, by ``section.key``.
    """
    from kalepool.bootstrap import Pool  # noqa: PLC0415 - `--help` does without

    return Pool(settings(output, options), role, lambda: read_passphrase(passphrase_file))


def unlock(pool: Pool, *, farmers: bool = False) -> None:
    """Open store and vault before anything is asked of the network or changed: what is missing or mistyped ends here.

    Args:
        pool: of this run.
        farmers: whether farmers' keys are wanted, which the passphrase for operations alone does not open.

    Raises:
        ConfigError: when one cannot be opened, or the passphrase does not open enough.
    """
    _ = pool.store, pool.vault
    if farmers:
        pool.vault.wallet(0)


def run_async(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end; Ctrl-C and SIGTERM cancel it, and it ends as if by Ctrl-C."""

    async def cancellable() -> _T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await coroutine

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
