"""``kalepool db``: copies of the store, and whether it can be believed."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import EXIT_CODES, Output, output_of
from kalepool.cli.running import PassphraseFile, open_pool, run_async
from kalepool.cli.wording import amount
from kalepool.core.reports import some
from kalepool.errors import ConfigError, KalepoolError, UnresolvedError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.services.comparing import Comparison, Difference

db = typer.Typer(no_args_is_help=True, help="Copy the store, and check it.")


@db.command("backup")
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; nothing may be there yet.")],
) -> None:
    """Copy the store, also while it is in use, and check the copy."""
    from kalepool.keeping import back_up  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    with open_pool(output, "db backup") as pool:
        size = back_up(pool, file)
    data = {"file": str(file), "bytes": size}
    output.emit(
        "db backup", data, lambda console: console.print(f"{file}: {size:,} bytes, checked", markup=False)
    )
    output.note("keep it elsewhere; the vault and the recovery phrase are not in it")


@db.command("export")
def export(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Made here; nothing may be there yet.")],
    as_csv: Annotated[
        bool, typer.Option("--csv/--objects", help="CSV with headings, or lists of JSON objects.")
    ] = True,
) -> None:
    """Write every table of the store to a file of its own: amounts in stroops, bytes in hex."""
    from kalepool.keeping import export as write  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    with open_pool(output, "db export") as pool:
        rows = write(pool, folder, as_json=not as_csv)

    def render(console: Console) -> None:
        for name, count in rows.items():
            console.print(f"{name:<14} {count:>12,} rows", markup=False)

    output.emit("db export", {"folder": str(folder), "rows": rows}, render)


@db.command("verify")
def verify(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A backup; else the pool's own store.")
    ] = None,
    chain: Annotated[bool, typer.Option("--chain", help="Compare balances with the network's too.")] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Check the seals of the audit log too; unlocks the vault.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Check the store: the file, its references, the books, every history in it."""
    output = output_of(ctx)
    if file is not None and (chain or audit):
        raise UsageError(
            "--chain and --audit look at the pool's own store", hint="leave out FILE, or the options"
        )
    with open_pool(output, "db verify", passphrase_file) as pool:
        _verify(output, pool, file, chain=chain, audit=audit)


def _verify(output: Output, pool: Pool, file: Path | None, *, chain: bool, audit: bool) -> None:
    from kalepool.keeping import compare_with_chain, findings, forged_row  # noqa: PLC0415

    name = str(file or pool.config.path("store.path"))
    found = findings(pool, file)
    if audit and (number := forged_row(pool)) is not None:
        found.append(f"the audit log was changed: row {number} does not carry its seal")
    compared = run_async(compare_with_chain(pool)) if chain and not found else None
    error: KalepoolError | None = None
    if found:
        error = ConfigError(
            f"{name} is not sound: {some(len(found), 'finding')}",
            hint="stop `mine`, keep the file, and restore the last backup",
        )
    elif compared is not None and compared.differences:
        error = UnresolvedError(
            f"books and chain differ in {len(compared.differences)} of {some(compared.compared, 'balance')}",
            hint="while something is under way that may be: run it again a minute later; else look at each",
        )
    data = {"store": name, "findings": found, "chain": None if compared is None else _data(compared)}
    if error is None:
        output.emit("db verify", data, lambda console: _render(console, name, found, compared))
        return
    if output.json:
        output.emit_document("db verify", data, error)
        raise typer.Exit(EXIT_CODES[type(error)])
    output.emit("db verify", data, lambda console: _render(console, name, found, compared))
    raise error


def _data(compared: Comparison) -> dict[str, Any]:
    return {
        "compared": compared.compared,
        "unbooked": compared.unbooked,
        "differences": [
            {
                "who": row.who,
                "address": row.address,
                "asset": row.asset,
                "books_stroops": str(row.books),
                "chain_stroops": None if row.chain is None else str(row.chain),
            }
            for row in compared.differences
        ],
    }


def _render(console: Console, name: str, found: list[str], compared: Comparison | None) -> None:
    from rich.text import Text  # noqa: PLC0415 - not needed for --json

    for finding in found:
        console.print(Text(finding))
    if not found:
        console.print(Text(f"{name}: sound"))
    if compared is None:
        return
    if compared.differences:
        console.print(_table(compared.differences))
    else:
        console.print(f"books and chain agree in {some(compared.compared, 'balance')}")
    if compared.unbooked:
        left = f"{some(compared.unbooked, 'account')} left out: nothing was booked to them yet"
        console.print(left)


def _table(rows: tuple[Difference, ...]) -> object:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("who", overflow="fold")
    table.add_column("asset", no_wrap=True)
    for heading in ("books", "chain", "chain - books"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        chain = "no account" if row.chain is None else amount(row.chain)
        table.add_row(
            Text(row.who), row.asset, amount(row.books), chain, amount((row.chain or 0) - row.books)
        )
    return table
