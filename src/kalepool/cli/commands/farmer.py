"""``kalepool farmer``: who farms here, and on which terms."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kalepool.cli.commands.farmer_exit import exit_
from kalepool.cli.commands.farmer_view import data_of, details_of, render_details, render_list
from kalepool.cli.lazy import COMMANDS
from kalepool.cli.output import EXIT_CODES, Output, output_of
from kalepool.cli.passphrase import read_secret_line
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.core.address import is_account, raw_key
from kalepool.core.amounts import parse_amount
from kalepool.core.roster import (
    MAX_CSV_BYTES,
    Applicant,
    RosterError,
    check_name,
    numbered,
    parse_bps,
    parse_csv,
    parse_email,
    parse_payout,
    parse_stake,
)
from kalepool.errors import ConfigError, RetryableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer, SealedTerms

farmer = typer.Typer(
    cls=TyperGroup, no_args_is_help=True, rich_markup_mode=None, help=COMMANDS["farmer"].about
)

farmer.command("exit")(exit_)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The farmer's name.")]
_Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Farmers' names.")]
_NONE = "none"


@farmer.command("add")
def add(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="His name.")] = None,
    count: Annotated[int | None, typer.Option(metavar="N", help="Add NAME-1 to NAME-N.")] = None,
    stake: Annotated[
        str | None, typer.Option(metavar="STAKE", help="Part of the balance, 10%, or KALE, 2.5.")
    ] = None,
    share: Annotated[str | None, typer.Option(metavar="PERCENT", help="His part after the fee.")] = None,
    payout: Annotated[str | None, typer.Option(metavar="G...", help="Where his share is paid to.")] = None,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to write to him.")] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Add all of a file: name,email,payout,stake,share.")
    ] = None,
    import_seed: Annotated[
        bool, typer.Option("--import-seed", help="Read his seed, S..., from stdin, and keep it.")
    ] = False,
    watch: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="He keeps his own account and plants himself: G... or C..."),
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Add farmers: one by NAME, --count of them, or all of a file. All are added, or none."""
    output = output_of(ctx)
    if csv is not None:
        _refuse_beside("--csv", name, count, stake, share, payout, email, import_seed or None, watch)
        listed = _read_csv(output, csv)
    else:
        if name is None:
            raise UsageError("which farmer?", hint="give a NAME, or --csv FILE")
        if import_seed:
            _refuse_beside("--import-seed", count, watch)
        if watch is not None:
            _refuse_beside("--watch", count, payout)
            raw_key(watch)
        names = [check_name(name)] if count is None else numbered(name, count)
        terms = {
            "email": None if email is None else parse_email(email),
            "payout": None if payout is None else parse_payout(payout),
            "stake": None if stake is None else parse_stake(stake),
            "share_bps": None if share is None else parse_bps(share, "a share"),
        }
        listed = [(0, Applicant(one, **terms)) for one in names]  # type: ignore[arg-type]
    applicants = [applicant for _, applicant in listed]
    with open_pool(output, "farmer add", passphrase_file) as pool:
        known = {one.name for one in pool.farmers.all()}
        unlock(pool, farmers=True)
        receivers = [one.payout for one in applicants if one.payout is not None and one.name not in known]
        checked = _check_receivers(output, pool, [*receivers, *([watch] if watch else [])])
        try:
            added = _enter(pool, listed, csv is not None, import_seed, watch)
        except RosterError as error:
            _tell_faults(output, error)
            raise
        _tell_added(output, pool, added, checked)


@farmer.command("list")
def list_(
    ctx: typer.Context,
    wide: Annotated[bool, typer.Option("--wide", help="Whole addresses, on a terminal too.")] = False,
) -> None:
    """List all farmers with their balances as last seen."""
    output = output_of(ctx)
    with open_pool(output, "farmer list") as pool:
        farmers, accounts, lives = pool.farmers.all(), pool.views.accounts(), pool.farmers.lives()
    rows = [data_of(one, accounts.get(one.address), lives[one.number]) for one in farmers]
    output.emit("farmer list", {"farmers": rows}, lambda console: render_list(console, rows, wide=wide))


@farmer.command("show")
def show(
    ctx: typer.Context,
    name: _Name,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the seals of his terms; unlocks the vault.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show a farmer: terms now and before, states and when they changed, balances as last seen."""
    output = output_of(ctx)
    with open_pool(output, "farmer show", passphrase_file) as pool:
        found = pool.farmers.get(name)
        agreed: list[tuple[SealedTerms, bool | None]] = [
            (terms, pool.onboarding.seal_holds(found, terms) if verify else None)
            for terms in pool.farmers.agreed(found.number)
        ]
        details = details_of(
            found,
            pool.views.accounts().get(found.address),
            agreed,
            pool.farmers.moves(found.number),
            pool.farmers.life(found.number),
            pool.receivables.receivables().get(found.number),
        )
    output.emit("farmer show", details, lambda console: render_details(console, details))
    if any(holds is False for _, holds in agreed):
        raise ConfigError(
            f"terms of '{name}' were changed without the vault", hint="do not pay him; restore a backup"
        )


@farmer.command("set")
def set_(
    ctx: typer.Context,
    name: _Name,
    stake: Annotated[
        str | None, typer.Option(metavar="STAKE", help="Part of the balance, 10%, or KALE, 2.5.")
    ] = None,
    harvest_every: Annotated[
        int | None, typer.Option(metavar="BLOCKS", help="Blocks between harvests, 1 to 20.")
    ] = None,
    share: Annotated[str | None, typer.Option(metavar="PERCENT", help="His part after the fee.")] = None,
    fee: Annotated[str | None, typer.Option(metavar="PERCENT", help="The platform's part.")] = None,
    payout: Annotated[
        str | None, typer.Option(metavar="G...", help="Where his share is paid to, or `none`.")
    ] = None,
    payout_from: Annotated[
        str | None, typer.Option(metavar="KALE", help="Less than this of his share is not paid out yet.")
    ] = None,
    payout_every: Annotated[
        int | None, typer.Option(metavar="HOURS", help="Hours between his payouts, at least.")
    ] = None,
    memo: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What his payout address wants to see; `none` for nothing."),
    ] = None,
    exit_delay: Annotated[
        int | None, typer.Option(metavar="HOURS", help="Hours between his wish to leave and the end.")
    ] = None,
    email: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to write to him, or `none`.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Agree new terms with a farmer, from the next block on; pails planted before keep theirs."""
    from kalepool.services.onboarding import Change  # noqa: PLC0415 - `--help` does without

    given = (stake, harvest_every, share, fee, payout, payout_from, payout_every, memo, exit_delay, email)
    if all(value is None for value in given):
        raise UsageError("nothing to set", hint="see `kalepool farmer set --help`")
    change = Change(
        stake=None if stake is None else parse_stake(stake),
        harvest_every=harvest_every,
        share_bps=None if share is None else parse_bps(share, "a share"),
        fee_bps=None if fee is None else parse_bps(fee, "a fee"),
        payout=payout and ("" if payout == _NONE else parse_payout(payout)),
        payout_from=None if payout_from is None else parse_amount(payout_from),
        payout_every_h=payout_every,
        exit_delay_h=exit_delay,
        memo="" if memo == _NONE else memo,
    )
    written = email and ("" if email == _NONE else parse_email(email))
    output = output_of(ctx)
    with open_pool(output, "farmer set", passphrase_file) as pool:
        pool.farmers.get(name)
        unlock(pool, farmers=True)
        if change.payout:
            _check_receivers(output, pool, [change.payout])
        found, block = pool.onboarding.change(name, change, email=written)
        life = pool.farmers.lives()[found.number]
        row = {**data_of(found, pool.views.accounts().get(found.address), life), "from_block": block}

    def render(console: Console) -> None:
        since = "are as they were" if block is None else f"hold from block {block}"
        console.print(f"{name}: terms {since}", markup=False, soft_wrap=True)

    output.emit("farmer set", {"farmer": row}, render)


@farmer.command("pause")
def pause(
    ctx: typer.Context,
    names: _Names,
    why: Annotated[str, typer.Option(metavar="TEXT", help="A note for the record.")] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Plant no more for some farmers; their open pails are still worked and harvested."""
    output = output_of(ctx)
    with open_pool(output, "farmer pause", passphrase_file) as pool:
        _tell_moved(output, "farmer pause", pool.onboarding.pause(names, why=_note(why)))


@farmer.command("resume")
def resume(
    ctx: typer.Context,
    names: _Names,
    why: Annotated[str, typer.Option(metavar="TEXT", help="A note for the record.")] = "",
    passphrase_file: PassphraseFile = None,
) -> None:
    """Plant again for farmers who were paused."""
    output = output_of(ctx)
    with open_pool(output, "farmer resume", passphrase_file) as pool:
        _tell_moved(output, "farmer resume", pool.onboarding.resume(names, why=_note(why)))


def _enter(
    pool: Pool, listed: Sequence[tuple[int, Applicant]], of_file: bool, import_seed: bool, watch: str | None
) -> list[Farmer]:
    if of_file:
        return pool.onboarding.add_listed(listed)
    if import_seed:
        return [pool.onboarding.add_seed(listed[0][1], read_secret_line("His seed, S...: "))]
    if watch is not None:
        return [pool.onboarding.watch(listed[0][1], watch)]
    return pool.onboarding.add([applicant for _, applicant in listed])


def _refuse_beside(option: str, *others: object) -> None:
    if any(other is not None for other in others):
        raise UsageError(
            f"{option} stands alone: it does not go with what else was given",
            hint="see `kalepool farmer add --help`",
        )


def _read_csv(output: Output, path: Path) -> list[tuple[int, Applicant]]:
    try:
        with path.open("rb") as file:
            return parse_csv(file.read(MAX_CSV_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="check the path") from None
    except RosterError as error:
        _tell_faults(output, error)
        raise


def _tell_faults(output: Output, error: RosterError) -> None:
    """Tell of every fault; the error itself names the first alone."""
    if output.json:
        faults = [{"line": fault.line, "message": fault.what} for fault in error.faults]
        output.emit_document("farmer add", {"faults": faults}, error)
        raise typer.Exit(EXIT_CODES[UsageError])
    for fault in error.faults:
        output.warn(f"line {fault.line}: {fault.what}")


def _check_receivers(output: Output, pool: Pool, addresses: Sequence[str]) -> bool | None:
    """Insist that addresses can receive KALE; give False where the network could not be asked, None for none."""
    accounts = [address for address in addresses if is_account(address)]
    if not accounts:
        return None
    from kalepool.services.onboarding import check_receivers  # noqa: PLC0415

    async def check() -> None:
        async with pool.online():
            await check_receivers(pool.chain, accounts)

    try:
        run_async(check())
    except RetryableError as error:
        output.warn(f"not checked whether KALE can be paid to these addresses: {error.message}")
        return False
    return True


def _note(why: str) -> str:
    if not why.isprintable():
        raise UsageError("a note is one line of text", hint="leave out what cannot be printed")
    return why


def _tell_added(output: Output, pool: Pool, added: Sequence[Farmer], checked: bool | None) -> None:
    accounts, lives = pool.views.accounts(), pool.farmers.lives()
    data: dict[str, Any] = {
        "farmers": [data_of(one, accounts.get(one.address), lives[one.number]) for one in added],
        "receivers_checked": checked,
    }

    def render(console: Console) -> None:
        for one in added:
            console.print(f"{one.name} {one.address}", markup=False, soft_wrap=True)

    output.emit("farmer add", data, render)
    if any(one.state == "created" for one in added):
        output.note("next: kalepool wallet fund --all")


def _tell_moved(output: Output, command: str, farmers: Sequence[Farmer]) -> None:
    def render(console: Console) -> None:
        for one in farmers:
            console.print(f"{one.name} {one.state}", markup=False, soft_wrap=True)

    rows = [{"name": one.name, "address": one.address, "state": str(one.state)} for one in farmers]
    output.emit(command, {"farmers": rows}, render)
