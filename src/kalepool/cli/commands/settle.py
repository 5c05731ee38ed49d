"""``kalepool settle``: what is owed to whom, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import output_of
from kalepool.cli.running import PassphraseFile, open_pool
from kalepool.cli.tables import print_table
from kalepool.cli.telling import tell
from kalepool.cli.wording import instant
from kalepool.core.amounts import format_amount
from kalepool.core.roster import format_bps
from kalepool.errors import UnresolvedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from kalepool.cli.output import Output
    from kalepool.services.settling import Explained, Settled

_LAST_BLOCK = 2**32 - 1


def settle(
    ctx: typer.Context,
    explain: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show how each pail of this farmer was settled.")
    ] = None,
    block: Annotated[
        str | None, typer.Option(metavar="A..B", help="With --explain: of these blocks.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Work out what is owed: shares of harvests, and stakes lost by the pool's fault. Nothing is paid.

    Each pail is settled once, under the terms that held for its block; run again, it does nothing.
    """
    if block is not None and explain is None:
        raise UsageError("--block goes with --explain", hint="see `kalepool settle --help`")
    first, last = _blocks(block)
    output = output_of(ctx)
    with open_pool(output, "settle", passphrase_file) as pool:
        done = pool.settling.settle()
        if explain is None:
            _tell_settled(output, done)
        else:
            lines = pool.settling.explain(explain, first, last)
            if (until := pool.reports.folded_until()) is not None:
                output.note(
                    f"days before {instant(until)[:10]} may be folded: see kalepool report statement {explain}"
                )
            _tell_explained(output, explain, lines)


def _blocks(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, _LAST_BLOCK
    first, dots, last = text.partition("..")
    try:
        numbers = int(first), int(last if dots else first)
    except ValueError:
        numbers = -1, -1
    if not 0 <= numbers[0] <= numbers[1] <= _LAST_BLOCK:
        raise UsageError(f"{text!r} are no blocks", hint="write them like 183400..183487, or 183487")
    return numbers


def _tell_settled(output: Output, done: Settled) -> None:
    data: dict[str, Any] = {
        "pails": done.pails,
        "farmers": len(done.farmers),
        "shares_stroops": str(done.shares),
        "pool_stroops": str(done.pool),
        "fees_stroops": str(done.fees),
        "compensated_stroops": str(done.compensated),
        "not_compensated_stroops": str(done.beyond),
        "broken_seals": done.broken,
    }

    def render(console: Console) -> None:
        if not done.pails:
            console.print("nothing to settle", soft_wrap=True)
            return
        console.print(f"settled {done.pails} pails of {len(done.farmers)} farmers", soft_wrap=True)
        for label, amount in (
            ("to farmers", done.shares),
            ("to the pool", done.pool),
            ("fees", done.fees),
            ("compensation", done.compensated),
            ("lost, not compensated", done.beyond),
        ):
            if amount:
                console.print(f"  {label:<22} {format_amount(amount)} KALE", soft_wrap=True)

    error = UnresolvedError(
        f"terms of {len(done.broken)} farmers do not carry this vault's seal: {', '.join(done.broken[:5])}",
        hint="somebody changed them in the store; nothing of theirs is settled until they are agreed anew",
    )
    tell(output, "settle", data, render, error if done.broken else None)


def _tell_explained(output: Output, name: str, lines: Sequence[Explained]) -> None:
    differing = [line.record.block for line in lines if not line.agrees]
    error = UnresolvedError(
        f"the books say otherwise of {len(differing)} pails, first that of block {differing[0]}"
        if differing
        else "",
        hint="check the store with: kalepool db verify",
    )
    data = {"farmer": name, "pails": [_data(line) for line in lines]}
    tell(output, "settle", data, lambda console: _render(console, name, lines), error if differing else None)


def _data(line: Explained) -> dict[str, Any]:
    record, terms, parts = line.record, line.terms.terms, line.split
    booked = line.booked
    return {
        "block": record.block,
        "state": str(record.state),
        "stake_stroops": str(record.stake),
        "stake_lost_stroops": str(record.stake_lost),
        "reward_stroops": None if record.reward is None else str(record.reward),
        "terms_from_block": line.terms.from_block,
        "fee_bps": terms.fee_bps,
        "share_bps": terms.share_bps,
        "fee_stroops": None if parts is None else str(parts.fee),
        "farmer_stroops": None if parts is None else str(parts.farmer),
        "pool_stroops": None if parts is None else str(parts.pool),
        "lost_by": None if line.loss is None else str(line.loss),
        "settled": booked is not None,
        "agrees": line.agrees,
        "why": (booked.why if booked is not None else "") or record.why,
        "postings": []
        if booked is None
        else [
            {"account": account, "asset": asset, "amount_stroops": str(amount)}
            for account, asset, amount in booked.postings
        ],
    }


def _render(console: Console, name: str, lines: Sequence[Explained]) -> None:
    if not lines:
        console.print(f"no pail of {name} is over yet", markup=False, soft_wrap=True)
        return
    rows = []
    for line in lines:
        record, terms, parts = line.record, line.terms.terms, line.split
        if parts is None:
            cells = (f"lost {format_amount(record.stake)}", "", "", "", str(line.loss or "-"))
        else:
            short = f"lost {format_amount(record.lost)}: {line.loss}" if record.lost else ""
            cells = (
                format_amount(record.reward or 0),
                f"{format_amount(parts.fee)} ({format_bps(terms.fee_bps)})",
                f"{format_amount(parts.farmer)} ({format_bps(terms.share_bps)})",
                format_amount(parts.pool),
                short if line.agrees else "BOOKS DIFFER",
            )
        rows.append((str(record.block), str(record.state), *cells))
    headings = ("block", "state", "reward", "fee", "farmer", "pool", "note")
    print_table(console, headings, rows, right=("block", "reward", "fee", "farmer", "pool"))
