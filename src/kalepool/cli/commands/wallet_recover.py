"""``kalepool wallet recover``: vault and store from the 24 words, and what the network knows of the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kalepool.cli.output import Output, output_of
from kalepool.cli.passphrase import read_passphrase, read_secret_line
from kalepool.cli.progress import progress_count
from kalepool.cli.running import PassphraseFile, run_async
from kalepool.core.amounts import format_amount
from kalepool.errors import ConfigError, UsageError
from kalepool.private_files import read_private
from kalepool.secret import Secret

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.founding import Place
    from kalepool.services.recovery import Recovered

_MOST_GAP = 10_000
_LOST = (
    "names, e-mail addresses, terms and payout addresses, debts, history and the audit log",
    "imported seeds, and whose accounts were only watched",
)


def recover(
    ctx: typer.Context,
    recovery_phrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the 24 words stand, mode 0600.")
    ] = None,
    gap: Annotated[
        int, typer.Option(metavar="N", help="Wallets in a row that may be missing before the search ends.")
    ] = 40,
    import_operator: Annotated[
        bool, typer.Option("--import-operator", help="Read the operator's seed, S..., from stdin.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make vault and store from the 24 words, and find the derived accounts and open pails on the network.

    Use it in an empty folder, when no backup of the store is left. Farmers come back as recovered-N, paused,
    with the configured terms and no payout address.
    """
    from kalepool.bootstrap import Pool  # noqa: PLC0415 - `--help` does without
    from kalepool.founding import check_recovery, place_of  # noqa: PLC0415

    if not 1 <= gap <= _MOST_GAP:
        raise UsageError(f"a gap of {gap} wallets", hint=f"a gap is 1 to {_MOST_GAP}")
    if import_operator and recovery_phrase_file is None and not os.isatty(0):
        raise UsageError(
            "both the phrase and the operator's seed from stdin", hint="give --recovery-phrase-file FILE"
        )
    output = output_of(ctx)
    place = place_of(output.config, output.network, os.environ, Path.cwd())
    place.check()
    phrase = _read_phrase(recovery_phrase_file)
    seed = read_secret_line("The operator's seed, S...: ") if import_operator else None
    passphrase = read_passphrase(
        passphrase_file, prompt="Passphrase for the vault: ", confirm=place.vault in place.missing
    )
    check_recovery(place, passphrase, phrase, seed)
    with Pool(place.config, "wallet recover", lambda: passphrase) as pool:
        found = run_async(_recover(output, place, pool, phrase, seed, passphrase, gap))
        operator = pool.vault.operator
    _tell(output, operator, found)


def _read_phrase(file: Path | None) -> Secret:
    if file is None:
        return read_secret_line("The 24 words, in order: ")
    return Secret(read_private(file, "the recovery phrase"))


async def _recover(
    output: Output,
    place: Place,
    pool: Pool,
    phrase: Secret,
    seed: Secret | None,
    passphrase: Secret,
    gap: int,
) -> Recovered:
    from kalepool.founding import complete, make_vault  # noqa: PLC0415

    # The network first: nothing is made where nothing can be found.
    async with pool.online():
        if place.vault in place.missing:
            make_vault(place, passphrase=passphrase, phrase=phrase, operator_seed=seed)
        elif pool.vault.recovery_phrase().reveal_text().split() != phrase.reveal_text().lower().split():
            raise ConfigError(
                f"the vault at {place.vault} is of another recovery phrase", hint="recover in an empty folder"
            )
        complete(place)
        with progress_count(output, "searching") as told:
            return await pool.recovery.recover(gap, lambda searched: told(searched, searched))


def _tell(output: Output, operator: str, found: Recovered) -> None:
    data = {
        "operator": operator,
        "operator_exists": found.operator is not None,
        "channels": found.channels,
        "farmers": [
            {"name": one.name, "address": one.address, "state": str(one.state)} for one in found.farmers
        ],
        "open_pails": found.pails,
        "searched": found.searched,
        "lost": list(_LOST),
    }

    def render(console: Console) -> None:
        has = "does not exist" if found.operator is None else f"{format_amount(found.operator.xlm)} XLM"
        seen = f"{len(found.farmers)} farmers, {found.channels} channels and {found.pails} open pails"
        lines = [
            f"operator {operator}: {has}",
            f"found {seen}, among {found.searched} wallets",
            "only a backup of the store brings back:",
            *(f"  {lost}" for lost in _LOST),
        ]
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)

    output.emit("wallet recover", data, render)
    if found.farmers:
        output.note(
            "next: agree on terms with `kalepool farmer set`, then begin again with `kalepool farmer resume`"
        )
