"""``kalepool wallet export`` and ``passphrase``: the keys themselves, and what unlocks them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kalepool.cli.output import output_of
from kalepool.cli.passphrase import read_passphrase
from kalepool.cli.running import PassphraseFile, open_pool, settings, unlock
from kalepool.core.farmers import Custody
from kalepool.errors import UsageError
from kalepool.private_files import check_new, write_private

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.secret import Secret

NEW_VARIABLE = "KALEPOOL_NEW_PASSPHRASE"
NEW_CREDENTIAL = "kalepool-new-passphrase"

NewPassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where the new passphrase stands, mode 0600."),
]


def export(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose seed.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write it to this new file, mode 0600.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Hand over a farmer's secret seed, to a terminal or a new private file; the passphrase is asked for again.

    Whoever has the seed has the account. It is written down in the audit log that it was handed over.
    """
    from kalepool.bootstrap import Pool  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    on_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if to is None and (output.json or not (on_terminal and sys.stdout.isatty())):
        raise UsageError(
            "a seed is shown on a terminal alone", hint="give --to FILE: it is written there, mode 0600"
        )

    def ask() -> Secret:
        # Whoever sits at an open terminal must know the passphrase, though the environment has it.
        if on_terminal:
            return read_passphrase(environ={}, prompt="Passphrase, once more: ")
        return read_passphrase(passphrase_file)

    with Pool(settings(output), "wallet export", ask) as pool:
        found = pool.farmers.get(name)
        if found.custody is Custody.WATCHED:
            raise UsageError(f"'{name}' keeps his own account", hint="the pool has no key of his")
        with pool.vault.export_seed(found.address) as seed:
            # The record before the file: a seed that is out must stand in it, one that stayed in may.
            if to is not None:
                check_new(to, "the seed")
            where = "the terminal" if to is None else str(to)
            pool.record(f"exported the seed of '{name}', {found.address}, to {where}")
            if to is None:
                output.write(seed.reveal_text())
                return
            write_private(to, seed.reveal() + b"\n", instead_of=None, what="the seed")
    data = {"farmer": name, "address": found.address, "file": str(to)}

    def render(console: Console) -> None:
        console.print(f"the seed of {name} is in {to}", markup=False, soft_wrap=True)

    output.emit("wallet export", data, render)


def passphrase(
    ctx: typer.Context,
    operations: Annotated[
        bool,
        typer.Option(
            "--operations", help="Set the second passphrase, which opens operator and channels alone."
        ),
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove", help="With --operations: take it away instead.")
    ] = False,
    new_passphrase_file: NewPassphraseFile = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Give the vault a new passphrase, and new data keys.

    The old one still opens old copies of the vault: delete them. A script gives the new passphrase by
    --new-passphrase-file, the systemd credential kalepool-new-passphrase, or KALEPOOL_NEW_PASSPHRASE.
    """
    if remove and not operations:
        raise UsageError("--remove goes with --operations", hint="a vault always has its main passphrase")
    if remove and new_passphrase_file is not None:
        raise UsageError("--remove takes no new passphrase", hint="leave --new-passphrase-file out")
    output = output_of(ctx)
    what = "operations passphrase" if operations else "passphrase"
    with open_pool(output, "wallet passphrase", passphrase_file) as pool:
        # The store too: a change that cannot be recorded is not made. And the passphrase for operations changes nothing.
        unlock(pool, farmers=True)
        if remove:
            pool.vault.set_operations_passphrase(None)
        else:
            new = read_passphrase(
                new_passphrase_file,
                prompt=f"New {what}: ",
                confirm=True,
                credential=NEW_CREDENTIAL,
                variable=NEW_VARIABLE,
            )
            if operations:
                pool.vault.set_operations_passphrase(new)
            else:
                pool.vault.change_passphrase(new)
        done = "removed" if remove else "changed"
        pool.record(f"{done} the vault's {what}")
        second = pool.vault.has_operations_passphrase

    def render(console: Console) -> None:
        console.print(f"the vault's {what} was {done}", soft_wrap=True)

    data = {"changed": what, "removed": remove, "has_operations_passphrase": second}
    output.emit("wallet passphrase", data, render)
