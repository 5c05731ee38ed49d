"""``kalepool farmer exit``: a farmer leaves with all that is his."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.asking import Yes, confirm
from kalepool.cli.output import output_of
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.cli.telling import tell_news
from kalepool.core.amounts import format_amount
from kalepool.core.farmers import FarmerState
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.services.exiting import ExitQuote


def exit_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The farmer's name.")],
    quote: Annotated[bool, typer.Option("--quote", help="Show what it would pay, and do nothing.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="He stays after all.")] = False,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Let a farmer leave: plant no more, wait for open pails and the agreed delay, pay all, close his account.

    Run it again to see what it waits for and to end it when that is over. Until then --cancel takes it
    back. What cannot be paid to him stays where it is.
    """
    if quote and cancel:
        raise UsageError("--quote and --cancel do not go together", hint="see `kalepool farmer exit --help`")
    output = output_of(ctx)
    with open_pool(output, "farmer exit", passphrase_file) as pool:
        pool.farmers.get(name)
        unlock(pool, farmers=True)
        if cancel:
            run_async(_cancel(pool, name))
            state = str(pool.farmers.get(name).state)
            output.emit(
                "farmer exit",
                {"farmer": name, "state": state, "done": False},
                lambda console: console.print(f"{name} stays: {state}", markup=False, soft_wrap=True),
            )
            return
        found = run_async(_exit(output, pool, name, quote, yes))
    _tell(output, found, only_quoted=quote)


async def _cancel(pool: Pool, name: str) -> None:
    async with pool.online():
        await pool.exiting.cancel(name)


async def _exit(output: Output, pool: Pool, name: str, quote: bool, yes: bool) -> ExitQuote:
    async with pool.online():
        farmer = pool.farmers.get(name)
        if quote:
            return await pool.exiting.quote(name)
        if farmer.state not in (FarmerState.EXITING, FarmerState.EXITED):
            found = await pool.exiting.quote(name)
            output.note("\n".join(_lines(found)))
            confirm(f"Let {name} leave?", yes=yes)
            pool.exiting.begin(name)
        done = await pool.exiting.advance(name)
        tell_news(output, pool)
        return done


def _lines(quote: ExitQuote) -> list[str]:
    to = quote.destination or "no payout address yet"
    own, share = format_amount(quote.principal), format_amount(quote.share)
    lines = [
        f"to the farmer ({to}): {format_amount(quote.his)} KALE, of it {own} his own and {share} shares",
        f"to the pool: {format_amount(quote.pool)} KALE",
    ]
    if quote.compensation:
        lines.append(f"compensation, by the pool: {format_amount(quote.compensation)} KALE")
    if quote.xlm:
        lines.append(f"XLM in his account, to him: {format_amount(quote.xlm)}")
    return lines


def _tell(output: Output, quote: ExitQuote, *, only_quoted: bool) -> None:
    data: dict[str, Any] = {
        "farmer": quote.farmer.name,
        "state": str(quote.farmer.state),
        "done": quote.done,
        "payout": quote.destination,
        "principal_stroops": str(quote.principal),
        "share_stroops": str(quote.share),
        "compensation_stroops": str(quote.compensation),
        "pool_stroops": str(quote.pool),
        "xlm_stroops": str(quote.xlm),
        "waits": list(quote.waits),
        "transaction": quote.transaction or None,
    }

    def render(console: Console) -> None:
        lines = [f"{quote.farmer.name} has left"] if quote.done else _lines(quote)
        if quote.transaction:
            lines.append(f"transaction {quote.transaction}")
        lines += [f"waits: {why}" for why in quote.waits]
        for line in lines:
            console.print(line, markup=False, soft_wrap=True)

    output.emit("farmer exit", data, render)
    if quote.waits and not only_quoted:
        output.note("run this again later: it ends when nothing is left to wait for")
