"""``kalepool db``: copies of the store, whether it can be believed, and how much of it is kept at length."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.asking import Yes, confirm
from kalepool.cli.checks import check_range
from kalepool.cli.lazy import COMMANDS
from kalepool.cli.output import EXIT_CODES, Output, output_of
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.cli.wording import amount, instant
from kalepool.core.reports import some
from kalepool.errors import ConfigError, KalepoolError, UnresolvedError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.upkeep import Rolled
    from kalepool.services.adopting import Adoption
    from kalepool.services.comparing import Comparison, Difference

db = typer.Typer(no_args_is_help=True, help=COMMANDS["db"].about)


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
    """Write the history and the books to plain files, a table each: amounts in stroops, bytes in hex."""
    from kalepool.keeping import export as write  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    with open_pool(output, "db export") as pool:
        rows = write(pool, folder, as_json=not as_csv)

    def render(console: Console) -> None:
        for name, count in rows.items():
            console.print(f"{name:<14} {count:>12,} rows", markup=False)

    output.emit("db export", {"folder": str(folder), "rows": rows}, render)


@db.command("compact")
def compact(
    ctx: typer.Context,
    keep_days: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Keep pails one by one for so many days; else as store.keep_days says."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be rolled up.")] = False,
) -> None:
    """Roll old pails up into sums by farmer and day; `mine` does so by itself, bit by bit."""
    from kalepool.cli.progress import progress_count  # noqa: PLC0415
    from kalepool.core.upkeep import LEAST_KEEP_DAYS, MOST_KEEP_DAYS  # noqa: PLC0415 - `--help` does without
    from kalepool.keeping import compact as roll_up  # noqa: PLC0415
    from kalepool.keeping import due  # noqa: PLC0415

    if keep_days is not None:
        check_range("--keep-days", keep_days, LEAST_KEEP_DAYS, MOST_KEEP_DAYS)
    output, refused = output_of(ctx), 0
    with open_pool(output, "db compact") as pool:
        if dry_run:
            found = due(pool, keep_days)
        else:
            with progress_count(output, "rolling up") as told:
                found, refused = roll_up(pool, keep_days, told)
    data = {
        "dry_run": dry_run,
        "blocks_summed": found.blocks,
        "transactions_shortened": found.intents,
        "shares_shortened": found.entries,
        "pails_folded": found.pails,
        "from": None if found.first is None else instant(found.first),
        "until": None if found.last is None else instant(found.last),
        "days_refused": refused,
    }
    output.emit("db compact", data, lambda console: _render_due(console, found, dry_run=dry_run))
    if refused:
        output.warn(
            f"{some(refused, 'day')} not folded: a transaction of theirs is open, or see: kalepool db verify"
        )


def _render_due(console: Console, found: Rolled, *, dry_run: bool) -> None:
    if found.is_nothing:
        console.print("nothing is old enough")
        return
    would = "to be " if dry_run else ""
    console.print(f"{some(found.blocks, 'block')} {would}summed by farmer and day")
    console.print(
        f"{some(found.intents, 'transaction')} and {some(found.entries, 'share')} {would}kept in brief"
    )
    if found.first is not None and found.last is not None:
        days = f"from {instant(found.first)[:10]} to {instant(found.last)[:10]}"
        console.print(f"{some(found.pails, 'pail')} {would}folded into their days, {days}")
    if dry_run and found.blocks:
        console.print("what these blocks hold is known once they are summed")


@db.command("verify")
def verify(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A backup; else the pool's own store.")
    ] = None,
    chain: Annotated[bool, typer.Option("--chain", help="Compare balances with the network's too.")] = False,
    audit: Annotated[
        bool,
        typer.Option("--audit", help="Check the seals of terms and of the audit log too; unlocks the vault."),
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt", help="With --chain: book what differs, where ledgers went by that nobody saw."
        ),
    ] = False,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Check the store: the file, its references, the books, every history in it."""
    output = output_of(ctx)
    if adopt and (not chain or audit):
        raise UsageError("--adopt goes with --chain alone", hint="give --chain --adopt")
    if file is not None and (chain or audit):
        raise UsageError(
            "--chain and --audit look at the pool's own store", hint="leave out FILE, or the options"
        )
    with open_pool(output, "db verify", passphrase_file) as pool:
        if adopt:
            _adopt(output, pool, yes=yes)
            return
        _verify(output, pool, file, chain=chain, audit=audit)


def _verify(output: Output, pool: Pool, file: Path | None, *, chain: bool, audit: bool) -> None:
    from kalepool.keeping import compare_with_chain, findings, forged_row, forged_terms  # noqa: PLC0415

    name = str(file or pool.config.path("store.path"))
    found = findings(pool, file)
    if audit and (number := forged_row(pool)) is not None:
        found.append(f"the audit log was changed: row {number} does not carry its seal")
    if audit:
        found += [
            f"the terms of '{one}' were changed: they do not carry their seal" for one in forged_terms(pool)
        ]
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


def _adopt(output: Output, pool: Pool, *, yes: bool) -> None:
    """Book what the chain holds, once a person agrees."""
    unlock(pool)

    async def adopt() -> Adoption:
        async with pool.online():
            wanted = await pool.adopting.plan()
            for one in wanted.differences:
                gained = (one.chain or 0) - one.books
                output.note(f"{one.who} {one.address}: {amount(gained)} {one.asset} beside the books")
            confirm(f"Book this as what happened in ledgers {wanted.unseen}, which nobody saw?", yes=yes)
            pool.adopting.adopt(wanted)
            return wanted

    wanted = run_async(adopt())
    rows = [
        {
            "who": one.who,
            "address": one.address,
            "asset": one.asset,
            "booked_stroops": str((one.chain or 0) - one.books),
        }
        for one in wanted.differences
    ]
    data = {"adopted": rows, "unseen": wanted.unseen}
    text = f"{some(len(rows), 'balance')} taken from the chain; ledgers {wanted.unseen} are accounted for"
    output.emit("db verify", data, lambda console: console.print(text, soft_wrap=True))


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
