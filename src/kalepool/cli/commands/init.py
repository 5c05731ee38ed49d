"""``kalepool init``: configuration, vault and store, and the operator's account."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import Output, output_of
from kalepool.cli.passphrase import read_passphrase, read_secret_line
from kalepool.cli.phrase import hand_over
from kalepool.cli.running import PassphraseFile, run_async
from kalepool.core.amounts import format_amount
from kalepool.errors import RetryableError, UsageError
from kalepool.networks import LOCAL

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.founding import Place
    from kalepool.secret import Secret

_SEND_SOME = "send XLM to it: 1.5 for each farmer's reserves, and about 1.4 a farmer and day for fees"


def init(
    ctx: typer.Context,
    passphrase_file: PassphraseFile = None,
    recovery_phrase_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the recovery phrase to this new file, mode 0600."),
    ] = None,
    operations_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A second passphrase that opens operator and channels alone, for cron."
        ),
    ] = None,
    import_operator: Annotated[
        bool, typer.Option("--import-operator", help="Read the operator's seed, S..., from stdin.")
    ] = False,
) -> None:
    """Make kalepool.toml, the store and the vault, and create or import the operator's account.

    Nothing is overwritten: run again, it completes what is missing and says what is there. On the local
    network the operator's account is funded by friendbot.
    """
    from kalepool.bootstrap import Pool  # noqa: PLC0415 - `--help` does without
    from kalepool.founding import complete, make_vault, new_phrase, place_of  # noqa: PLC0415

    output = output_of(ctx)
    place = place_of(output.config, output.network, os.environ, Path.cwd())
    place.check()
    made: list[Path] = []
    passphrase: Secret | None = None
    if place.vault in place.missing:
        passphrase = read_passphrase(passphrase_file, prompt="New passphrase for the vault: ", confirm=True)
        operations = read_passphrase(operations_passphrase_file) if operations_passphrase_file else None
        seed = read_secret_line("The operator's seed, S...: ") if import_operator else None
        phrase = new_phrase(place, passphrase, operations, seed)
        hand_over(phrase, recovery_phrase_file)
        make_vault(
            place,
            passphrase=passphrase,
            phrase=phrase,
            operations_passphrase=operations,
            operator_seed=seed,
        )
        made.append(place.vault)
    elif import_operator or recovery_phrase_file or operations_passphrase_file:
        raise UsageError(
            f"there is a vault at {place.vault} already",
            hint="its phrase is not shown again; `kalepool wallet` changes passphrases and imports seeds",
        )
    made += complete(place)
    with Pool(place.config, "init", lambda: passphrase or read_passphrase(passphrase_file)) as pool:
        if place.vault in made:
            pool.record(f"made the pool on {pool.known.name}, operator {pool.vault.operator}")
        funding = run_async(_fund(pool)) if pool.known.name == LOCAL else _SEND_SOME
        _tell(output, place, pool, made, funding)


async def _fund(pool: Pool) -> str:
    """Let friendbot fund the operator's account on the local network, unless it exists."""
    operator = pool.addresses.operator
    try:
        async with pool.online():
            if not await pool.chain.accounts([operator]):
                await pool.rpc.ask_friendbot(operator)
            state = (await pool.chain.accounts([operator])).get(operator)
    except RetryableError as error:
        return f"not funded yet: {error.message}; start `kalepool devnet`, then run init again"
    return "not funded yet: run init again" if state is None else f"has {format_amount(state.xlm)} XLM"


def _tell(output: Output, place: Place, pool: Pool, made: list[Path], funding: str) -> None:
    files = {"configuration": place.file, "store": place.store, "vault": place.vault}
    data: dict[str, Any] = {
        "network": pool.known.name,
        "operator": pool.addresses.operator,
        "operator_imported": pool.addresses.operator_imported,
        "funding": funding,
        "made": [name for name, path in files.items() if path in made],
        **{name: str(path) for name, path in files.items()},
    }

    def render(console: Console) -> None:
        for name, path in files.items():
            console.print(f"{name:<14} {path} ({'made' if path in made else 'was there'})", soft_wrap=True)
        console.print(f"{'network':<14} {pool.known.name}")
        console.print(f"{'operator':<14} {pool.addresses.operator}", soft_wrap=True)
        console.print(f"{'':<14} {funding}", soft_wrap=True)

    output.emit("init", data, render)
    if made:
        output.note("next: kalepool farmer add NAME, then kalepool wallet fund --all, then kalepool mine")
