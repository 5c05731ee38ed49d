"""``kalepool doctor``: can this machine mine? One row a check, and what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kalepool.cli.output import EXIT_CODES, Output, output_of
from kalepool.cli.progress import is_watched
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.health import Check

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    ctx: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Leave the network out.")] = False,
    agree_contract: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="Agree to the code that the KALE contract runs now."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Check whether this machine can mine: one row a check, and what to do about it.

    Changes nothing and asks for no passphrase, unless you agree to another code of the contract.
    """
    output = output_of(ctx)
    if agree_contract is not None:
        if offline:
            raise UsageError("--agree-contract asks the network what runs", hint="leave out --offline")
        with open_pool(output, "doctor", passphrase_file) as pool:
            _agree(output, pool, agree_contract)
        return
    checks = _examine(output, offline=offline)
    failed = [check for check in checks if check.grade == "fail"]
    error = ConfigError(
        f"{len(failed)} of {len(checks)} checks failed: {', '.join(check.name for check in failed)}",
        hint="do what their rows say, and run it again",
    )
    if failed and output.json:
        output.emit_document("doctor", _data(checks), error)
        raise typer.Exit(EXIT_CODES[ConfigError])
    output.emit("doctor", _data(checks), lambda console: _render(console, checks))
    if failed:
        raise error


def _examine(output: Output, *, offline: bool) -> list[Check]:
    from kalepool.checkup import examine  # noqa: PLC0415 - loads services; `--help` does without
    from kalepool.services.doctor import failed  # noqa: PLC0415

    try:
        pool = open_pool(output, "doctor")
    except ConfigError as error:
        return [failed("configuration", error)]
    with pool, _progress(output) as progress:
        return run_async(examine(pool, offline=offline, progress=progress))


def _agree(output: Output, pool: Pool, written: str) -> None:
    from kalepool.core.facts import CONTRACT_CODE  # noqa: PLC0415
    from kalepool.services.doctor import NetworkDoctor  # noqa: PLC0415

    async def ask() -> str:
        try:
            return await NetworkDoctor(pool.chain, pool.facts).agree(written)
        finally:
            await pool.rpc.close()

    unlock(pool)
    before = pool.facts.get(CONTRACT_CODE)
    code = run_async(ask())
    with pool.store.atomic(synced=True):
        pool.record(f"agreed to the contract's code {code}, before {before or 'none'}")
        pool.facts.put(CONTRACT_CODE, code)
    output.emit(
        "doctor", {"agreed": code, "before": before}, lambda console: console.print(f"agreed to code {code}")
    )


@contextmanager
def _progress(output: Output) -> Iterator[Callable[[str], None]]:
    if not is_watched(output):
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only for a terminal

    with Console(stderr=True).status("looking") as spinner:
        yield lambda what: spinner.update(f"looking at {what}")


def _data(checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "checks": [
            {"name": check.name, "result": check.grade.value, "message": check.says, "hint": check.do}
            for check in checks
        ]
    }


def _render(console: Console, checks: Sequence[Check]) -> None:
    from rich.table import Table  # noqa: PLC0415 - not needed for --json
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        text = Text(check.says)
        if check.do:
            text.append(f"\n-> {check.do}", style="bold")
        table.add_row(Text(check.grade.value, style=_COLOURS[check.grade.value]), Text(check.name), text)
    console.print(table)
