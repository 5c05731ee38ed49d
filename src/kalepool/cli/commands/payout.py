"""``kalepool payout``: pay what is owed, in few transactions, each claim once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.asking import Yes, confirm
from kalepool.cli.output import output_of
from kalepool.cli.progress import progress_count
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.cli.tables import print_table, short
from kalepool.cli.telling import tell, tell_news
from kalepool.core.amounts import format_amount
from kalepool.core.shares import Claim
from kalepool.errors import PartialError, UnresolvedError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.core.payouts import Held, Line
    from kalepool.errors import KalepoolError
    from kalepool.services.paying import Paid, PayoutPlan
    from kalepool.services.restoring import Ahead


def payout(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Of these farmers alone.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Whatever thresholds and rhythms say.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and pay nothing.")] = False,
    confirm_restored: Annotated[
        bool,
        typer.Option(
            "--confirm-restored",
            help="After a restore: you have compared with the network, and no payment is missing here.",
        ),
    ] = False,
    yes: Yes = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Settle, show what is to be paid, and pay it: shares to farmers, the pool's part to the operator.

    A payment that cannot be received is held and told of; the others go on. Interrupted, run it again:
    nobody is paid twice.
    """
    if confirm_restored and (names or now or dry_run):
        raise UsageError("--confirm-restored stands alone", hint="confirm first, then pay")
    output = output_of(ctx)
    with open_pool(output, "payout", passphrase_file) as pool:
        unlock(pool, farmers=True)
        if confirm_restored:
            _tell_confirmed(output, run_async(_confirm(output, pool, yes)))
            return
        for name in names or []:
            pool.farmers.get(name)
        broken = pool.settling.settle().broken
        plan, paid = run_async(_pay(output, pool, names or [], now, dry_run, yes))
        _tell_paid(output, plan, paid, broken, dry_run=dry_run)


async def _pay(
    output: Output, pool: Pool, names: list[str], now: bool, dry_run: bool, yes: bool
) -> tuple[PayoutPlan, Paid | None]:
    async with pool.online():
        plan = await pool.paying.plan(names, now_due=now)
        tell_news(output, pool)
        if dry_run or not plan.batches:
            return plan, None
        if not plan.missing:
            output.note(_quoted(plan))
            confirm("Pay this?", yes=yes)
        with progress_count(output, "paying") as told:
            paid = await pool.paying.pay(plan, told)
    if paid.lines:
        total = sum(line.amount for line, _ in paid.lines)
        pool.record(f"paid {len(paid.lines)} claims, {format_amount(total)} KALE in all")
    return plan, paid


async def _confirm(output: Output, pool: Pool, yes: bool) -> list[Ahead]:
    async with pool.online():
        reading = await pool.restoring.read()
        if reading is not None:
            output.note(
                f"read back {reading.unknown} transactions that were not known here: {reading.returned} payments "
                "of claims, booked as paid"
            )
        for doubt in await pool.restoring.doubts(reading):
            output.note(doubt)
        confirm("Is every payment since known here, or allowed for?", yes=yes)
        return await pool.restoring.confirm()


def _tell_confirmed(output: Output, ahead: list[Ahead]) -> None:
    data = {
        "confirmed": [{"name": one.name, "address": one.address, "sequence": str(one.chain)} for one in ahead]
    }

    def render(console: Console) -> None:
        console.print("confirmed: payouts go on", soft_wrap=True)

    output.emit("payout", data, render)


def _quoted(plan: PayoutPlan) -> str:
    parts = [
        f"{format_amount(plan.total(claim))} KALE {words}"
        for claim, words in (
            (Claim.FARMER, "to farmers"),
            (Claim.POOL, "to the operator"),
            (Claim.COMPENSATION, "for lost stakes"),
        )
        if plan.total(claim)
    ]
    return (
        f"{len(plan.lines)} payments in {len(plan.batches)} transactions: {', '.join(parts)}; "
        f"fees are at most {format_amount(plan.fees)} XLM"
    )


def _tell_paid(
    output: Output, plan: PayoutPlan, paid: Paid | None, broken: list[str], *, dry_run: bool
) -> None:
    held = [*plan.held, *(paid.held if paid is not None else [])]
    data: dict[str, Any] = {
        "planned": [_line(line) for line in plan.lines] if paid is None else [],
        "paid": [] if paid is None else [{**_line(line), "transaction": tx} for line, tx in paid.lines],
        "held": [{**_line(one.line), "why": one.why} for one in held],
        "waiting": [{**_line(one.line), "why": one.why} for one in plan.waiting],
        "open": [] if paid is None else [_line(line) for line in paid.open],
        "unresolved": [list(intent.items) for intent in plan.unresolved],
        "transactions": len(plan.batches) if paid is None else paid.transactions,
        "fees_most_stroops": str(plan.fees),
    }

    def render(console: Console) -> None:
        _render(console, plan, paid, held)

    tell(output, "payout", data, render, _error(plan, paid, held, broken, dry_run=dry_run))


def _error(
    plan: PayoutPlan, paid: Paid | None, held: list[Held], broken: list[str], *, dry_run: bool
) -> KalepoolError | None:
    if broken:
        return UnresolvedError(
            f"terms of {', '.join(broken[:5])} do not carry this vault's seal: nothing of theirs is settled",
            hint="somebody changed them in the store: agree them anew with `kalepool farmer set`",
        )
    if plan.unresolved or (paid is not None and paid.open):
        return UnresolvedError(
            "it is not known what became of some payments; the others went on",
            hint="run this again when nodes can tell; what is open is not paid twice",
        )
    if held and not dry_run:
        names = ", ".join(dict.fromkeys(one.line.name for one in held[:5]))
        return PartialError(f"{len(held)} payments are held: {names}", hint="the reasons stand beside them")
    return None


def _line(line: Line) -> dict[str, Any]:
    return {
        "farmer": line.name,
        "claim": str(line.claim),
        "from": line.source,
        "to": line.destination or None,
        "amount_stroops": str(line.amount),
        "memo": line.memo,
    }


def _render(console: Console, plan: PayoutPlan, paid: Paid | None, held: list[Held]) -> None:
    if paid is None:
        console.print(_quoted(plan) if plan.lines else "nothing to pay", soft_wrap=True)
        rows = [_cells(line, "") for line in plan.lines]
    else:
        console.print(
            f"{len(paid.lines)} of {len(plan.lines)} payments landed in {paid.transactions} transactions",
            soft_wrap=True,
        )
        rows = [_cells(line, short(tx)) for line, tx in paid.lines]
    rows += [_cells(one.line, f"held: {one.why}") for one in held]
    rows += [_cells(one.line, f"waits: {one.why}") for one in plan.waiting]
    if rows:
        print_table(console, ("farmer", "claim", "KALE", "to", "transaction"), rows, right=("KALE",))


def _cells(line: Line, note: str) -> tuple[str, ...]:
    to = short(line.destination) if line.destination else "-"
    return (line.name, str(line.claim), format_amount(line.amount), to, note)
