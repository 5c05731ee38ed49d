"""``kalepool wallet withdraw``: the operator takes out what is his."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kalepool.cli.asking import Yes, confirm
from kalepool.cli.output import output_of
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.cli.telling import tell_news
from kalepool.core.amounts import format_amount, parse_amount
from kalepool.core.farmers import MAX_MEMO_BYTES
from kalepool.core.roster import parse_payout
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.services.withdrawing import Withdrawal


def withdraw(
    ctx: typer.Context,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="How much, such as 2.5.")],
    to: Annotated[str, typer.Option(metavar="G...", help="Where it goes.")],
    asset: Annotated[str, typer.Option(metavar="ASSET", help="KALE or XLM.")] = "KALE",
    memo: Annotated[str, typer.Option(metavar="TEXT", help="On the payment, at most 28 bytes.")] = "",
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Pay KALE or XLM of the operator's to an address; what he owes to farmers stays."""
    if not memo.isprintable() or len(memo.encode()) > MAX_MEMO_BYTES:
        raise UsageError(f"a memo is one line of at most {MAX_MEMO_BYTES} bytes", hint="shorten it")
    from kalepool.services.withdrawing import check_asset  # noqa: PLC0415 - `--help` does without

    check_asset(asset.upper())
    stroops, taker = parse_amount(amount), parse_payout(to)
    output = output_of(ctx)
    with open_pool(output, "wallet withdraw", passphrase_file) as pool:
        unlock(pool)
        done, transaction = run_async(_withdraw(output, pool, asset.upper(), stroops, taker, memo, yes))
    data = {
        "asset": done.asset,
        "amount_stroops": str(done.amount),
        "to": done.to,
        "left_stroops": str(done.left),
        "transaction": transaction,
    }

    def render(console: Console) -> None:
        console.print(
            f"{format_amount(done.amount)} {done.asset} went to {done.to}", markup=False, soft_wrap=True
        )
        console.print(f"transaction {transaction}", markup=False, soft_wrap=True)

    output.emit("wallet withdraw", data, render)


async def _withdraw(
    output: Output, pool: Pool, asset: str, stroops: int, to: str, memo: str, yes: bool
) -> tuple[Withdrawal, str]:
    async with pool.online():
        plan = await pool.withdrawing.plan(asset, stroops, to, memo)
        tell_news(output, pool)
        output.note(
            f"{format_amount(plan.amount)} {plan.asset} to {plan.to}; {format_amount(plan.left)} are left"
        )
        confirm("Withdraw it?", yes=yes)
        return plan, await pool.withdrawing.withdraw(plan)
