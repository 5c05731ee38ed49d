"""``kalepool wallet``: accounts on the network, what they hold, and their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kalepool.cli.asking import Yes, confirm
from kalepool.cli.commands.wallet_keys import export, passphrase
from kalepool.cli.commands.wallet_recover import recover
from kalepool.cli.commands.wallet_withdraw import withdraw
from kalepool.cli.lazy import COMMANDS
from kalepool.cli.output import EXIT_CODES, Output, output_of
from kalepool.cli.progress import progress_count
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.cli.tables import print_table, short
from kalepool.cli.telling import tell_news
from kalepool.core.amounts import format_amount
from kalepool.core.roster import format_bps, parse_bps
from kalepool.errors import PartialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer
    from kalepool.services.balances import Held
    from kalepool.services.funding import Funded, Needs
    from kalepool.services.gathering import Quote, Swept

wallet = typer.Typer(
    cls=TyperGroup, no_args_is_help=True, rich_markup_mode=None, help=COMMANDS["wallet"].about
)
wallet.command("export")(export)
wallet.command("passphrase")(passphrase)
wallet.command("recover")(recover)
wallet.command("withdraw")(withdraw)


@wallet.command("fund")
def fund(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Farmers' names.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All farmers who are not funded yet.")] = False,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Create accounts and trustlines on the network, sponsored by the operator; funded farmers are active.

    The channel accounts that harvests are sent from are created with them. What is there already is left
    as it is: run it again when it was interrupted.
    """
    from kalepool.services.funding import choose  # noqa: PLC0415 - `--help` does without

    if bool(names) == everybody:
        raise UsageError("which farmers?", hint="name them, or give --all")
    output = output_of(ctx)
    with open_pool(output, "wallet fund", passphrase_file) as pool:
        chosen = choose(pool.farmers, names or [])
        unlock(pool, farmers=True)
        needs, done = run_async(_fund(output, pool, chosen, yes))
    data = {
        "funded": list(done.farmers),
        "transactions": done.transactions,
        "fees_stroops": str(done.fees),
        "locked_stroops": str(needs.locked),
    }
    output.emit("wallet fund", data, lambda console: _render_funded(console, needs, done))


async def _fund(output: Output, pool: Pool, chosen: Sequence[Farmer], yes: bool) -> tuple[Needs, Funded]:
    async with pool.online():
        needs = await pool.funding.survey(chosen)
        if needs.newcomers and not needs.missing:
            output.note(_cost(needs))
            confirm("Go on?", yes=yes)
        with progress_count(output, "funding") as told:
            return needs, await pool.funding.fund(needs, told)


def _cost(needs: Needs) -> str:
    return (
        f"{len(needs.newcomers)} accounts: locks {format_amount(needs.locked)} XLM of the operator's as reserves, "
        f"which come back when they are closed, and costs at most {format_amount(needs.fees)} XLM in fees; "
        f"he has {format_amount(needs.available)} XLM to spend"
    )


def _render_funded(console: Console, needs: Needs, done: Funded) -> None:
    if not done.farmers and not done.transactions:
        console.print("nothing to do: all of them are funded", soft_wrap=True)
        return
    console.print(
        f"funded {len(done.farmers)} farmers in {done.transactions} transactions: "
        f"{format_amount(done.fees)} XLM in fees, {format_amount(needs.locked)} XLM locked as reserves",
        soft_wrap=True,
    )


@wallet.command("balance")
def balance(
    ctx: typer.Context,
    wide: Annotated[bool, typer.Option("--wide", help="Whole addresses, on a terminal too.")] = False,
) -> None:
    """Ask the network what operator, channels and farmers hold."""
    output = output_of(ctx)

    async def read(pool: Pool) -> list[Held]:
        async with pool.online():
            return await pool.balances.read()

    with open_pool(output, "wallet balance") as pool:
        pool.farmers.all()  # a store of another network is told before this one is asked
        held = run_async(read(pool))
    kale = sum(one.state.kale or 0 for one in held if one.state is not None)
    data = {"accounts": [_held(one) for one in held], "kale_stroops": str(kale)}
    output.emit("wallet balance", data, lambda console: _render_balances(console, held, kale, wide=wide))


def _held(one: Held) -> dict[str, Any]:
    state = one.state
    return {
        "name": one.name,
        "role": one.role,
        "address": one.address,
        "exists": state is not None,
        "xlm_stroops": None if state is None else str(state.xlm),
        "spendable_stroops": None if state is None else str(state.spendable),
        "kale_stroops": None if state is None or state.kale is None else str(state.kale),
        "ledger": None if state is None else state.ledger,
    }


def _render_balances(console: Console, held: Sequence[Held], kale: int, *, wide: bool) -> None:
    rows = [
        (
            one.name,
            short(one.address, wide=wide),
            "-" if one.state is None else format_amount(one.state.xlm),
            "-" if one.state is None or one.state.kale is None else format_amount(one.state.kale),
        )
        for one in held
    ]
    rows.append(("all", "", "", format_amount(kale)))
    print_table(console, ("name", "address", "XLM", "KALE"), rows, right=("XLM", "KALE"))


@wallet.command("sweep")
def sweep(
    ctx: typer.Context,
    percent: Annotated[
        str, typer.Argument(metavar="PERCENT", help="Of each farmer's available KALE, such as 50.")
    ],
    to: Annotated[str, typer.Option(metavar="G...", help="Where it is gathered.")],
    memo: Annotated[str, typer.Option(metavar="TEXT", help="On every payment, at most 28 bytes.")] = "",
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Gather a part of all custodial farmers' KALE at one address, once, however often it is interrupted."""
    from kalepool.services.gathering import check_sweep  # noqa: PLC0415 - `--help` does without

    bps = parse_bps(percent, "a percentage")
    check_sweep(bps, to, memo)
    output = output_of(ctx)
    with open_pool(output, "wallet sweep", passphrase_file) as pool:
        unlock(pool, farmers=True)
        swept = run_async(_sweep(output, pool, bps, to, memo, yes))
        paid = sum(one.amount for one in swept if one.state == "settled")
        if swept:
            pool.record(f"swept {paid} stroops of KALE of {len(swept)} farmers to {to}")
    data = {
        "to": to,
        "swept_stroops": str(paid),
        "payments": [
            {
                "farmer": one.farmer,
                "amount_stroops": str(one.amount),
                "state": "waiting" if one.state is None else str(one.state),
                "why": one.why,
                "transaction": one.transaction or None,
            }
            for one in swept
        ],
    }
    failed = [one for one in swept if one.state != "settled"]
    error = failed and PartialError(
        f"{len(failed)} of {len(swept)} payments were not made, first that of '{failed[0].farmer}': "
        f"{failed[0].why or 'it did not land'}",
        hint=_hint(failed),
    )
    if error and output.json:
        output.emit_document("wallet sweep", data, error)
        raise typer.Exit(EXIT_CODES[PartialError])
    output.emit("wallet sweep", data, lambda console: _render_swept(console, swept, paid))
    if error:
        raise error


def _hint(failed: Sequence[Swept]) -> str:
    """Say what to do about payments that were not made; a sweep is over once each was made or has failed."""
    if all(one.state == "failed" for one in failed):
        return "this sweep is over; mend what made these fail, then sweep those who failed by hand or in a new one"
    return "run the same sweep again: who has paid does not pay twice"


async def _sweep(output: Output, pool: Pool, bps: int, to: str, memo: str, yes: bool) -> list[Swept]:
    async with pool.online():
        quote = await pool.gathering.quote(bps, to, memo)
        tell_news(output, pool)
        if not quote.sweep.amounts:
            return []
        if not quote.missing:
            output.note(_quoted(quote))
            confirm("Go on?", yes=yes)
        with progress_count(output, "sweeping") as told:
            return await pool.gathering.sweep(quote, told)


def _quoted(quote: Quote) -> str:
    sweep = quote.sweep
    again = "goes on with the sweep that was interrupted: " if quote.begun else ""
    return (
        f"{again}{format_bps(sweep.bps)} of {len(sweep.amounts)} farmers' KALE, "
        f"{format_amount(sum(sweep.amounts.values()))} in all, goes to {sweep.to}; "
        f"fees are at most {format_amount(quote.fees)} XLM"
    )


def _render_swept(console: Console, swept: Sequence[Swept], paid: int) -> None:
    if not swept:
        console.print("nothing to do: no farmer has KALE to sweep", soft_wrap=True)
        return
    console.print(f"swept {format_amount(paid)} KALE of {len(swept)} farmers", soft_wrap=True)
