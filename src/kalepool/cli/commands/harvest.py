"""``kalepool harvest``: everything harvestable is swept up, then it ends. Made for cron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import EXIT_CODES, Output, output_of
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.core.amounts import format_amount
from kalepool.errors import PartialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.harvests import Ripe
    from kalepool.errors import KalepoolError
    from kalepool.services.surveying import Wish
    from kalepool.services.sweeping import Swept

_SHOWN = 20


def harvest(
    ctx: typer.Context,
    farmer: Annotated[str | None, typer.Option(metavar="NAME", help="Only this farmer's.")] = None,
    block: Annotated[
        str | None, typer.Option(metavar="A..B", help="Only these blocks, searched for on the chain.")
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Search the chain for pails that the store does not know.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be harvested; send and write nothing.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Harvest every farmer's finished pails, then end. For cron; safe beside `mine`."""
    output = output_of(ctx)
    with open_pool(output, "harvest", passphrase_file) as pool:
        wish = _wish(pool, farmer, block, scan=scan)
        names = {one.number: one.name for one in wish.farmers}
        if not wish.farmers:
            output.note("there are no farmers yet")
            _empty(output)
        elif dry_run:
            ripe = run_async(_look(pool, wish))
            data = {"dry_run": True, **_data(None, names), "would_harvest": _ripe_data(ripe, names)}
            output.emit("harvest", data, lambda console: _render_ripe(console, ripe, names))
        elif other := pool.harvest_lock.take():
            output.note(f"{other}; it does this work")
            _empty(output)
        else:
            _report(output, run_async(_sweep(pool, wish, output)), names)


def _empty(output: Output) -> None:
    output.emit("harvest", _data(None, {}), lambda _: None)


async def _look(pool: Pool, wish: Wish) -> dict[tuple[int, int], Ripe]:
    from kalepool.services.surveying import ripe_pails  # noqa: PLC0415 - `--help` does without

    async with pool.online():
        seen = await pool.survey(dry=True).everything(wish)
        return ripe_pails(seen, {one.number: one for one in wish.farmers})


async def _sweep(pool: Pool, wish: Wish, output: Output) -> Swept:
    # A wrong passphrase shows now, not in the night when there is something to send.
    unlock(pool)
    async with pool.online():
        return await pool.sweeper.sweep(wish, output.note)


def _wish(pool: Pool, farmer: str | None, block: str | None, *, scan: bool) -> Wish:
    from kalepool.services.surveying import Wish  # noqa: PLC0415

    blocks = None if block is None else parse_range(block)
    farmers = pool.farmers.all() if farmer is None else [pool.farmers.get(farmer)]
    return Wish(tuple(farmers), is_everyone=farmer is None, blocks=blocks, scan=scan)


def parse_range(text: str) -> tuple[int, int]:
    """Read ``A..B``, or ``A`` for one block.

    Raises:
        UsageError: when it is neither, or the wrong way round.
    """
    first, dots, last = text.partition("..")
    numbers = [first, last if dots else first]
    if not all(
        number.isascii() and number.isdigit() and len(number) <= len(str(2**32)) for number in numbers
    ):
        raise UsageError(f"{text!r} is no range of blocks", hint="give --block 100..120, or --block 100")
    low, high = map(int, numbers)
    if low > high:
        raise UsageError(f"{text!r} ends before it begins", hint=f"give --block {high}..{low}")
    return low, high


def _report(output: Output, swept: Swept, names: Mapping[int, str]) -> None:
    error = _error(swept)
    data = _data(swept, names)
    if error is None:
        output.emit("harvest", data, lambda console: _render(console, swept, names))
    elif output.json:
        output.emit_document("harvest", data, error)
        raise typer.Exit(EXIT_CODES[type(error)])
    else:
        output.emit("harvest", data, lambda console: _render(console, swept, names))
        raise error


def _error(swept: Swept) -> KalepoolError | None:
    if swept.stopped is not None:
        return swept.stopped
    failed = sum(one.failed for one in swept.pending)
    parts = []
    if swept.expired:
        parts.append(f"{_count(len(swept.expired), 'pail')} expired: stake and reward are lost")
    if failed:
        parts.append(f"{_count(failed, 'pail')} could not be harvested")
    if not parts:
        return None
    return PartialError("; ".join(parts), hint="the reasons are listed above; see `kalepool doctor`")


def _data(swept: Swept | None, names: Mapping[int, str]) -> dict[str, Any]:
    if swept is None:
        return {"harvested": [], "pending": [], "expired": [], "extended": []}
    return {
        "harvested": [
            {
                "farmer": names[one.farmer],
                "block": one.block,
                "reward_stroops": str(one.reward),
                "stake_stroops": str(one.stake),
                "transaction": one.transaction,
            }
            for one in swept.harvested
        ],
        "pending": [
            {"farmer": names[one.farmer], "block": one.block, "reason": one.reason, "failed": one.failed}
            for one in swept.pending
        ],
        "expired": [
            {
                "farmer": names[one.farmer],
                "block": one.block,
                "stake_stroops": str(one.stake),
                "reason": one.why,
            }
            for one in swept.expired
        ],
        "extended": sorted(swept.extended),
    }


def _ripe_data(ripe: Mapping[tuple[int, int], Ripe], names: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {
            "farmer": names[farmer],
            "block": block,
            "reward_stroops": str(one.reward),
            "stake_stroops": str(one.stake),
        }
        for (farmer, block), one in ripe.items()
    ]


def _render(console: Console, swept: Swept, names: Mapping[int, str]) -> None:
    rows = [(one.farmer, one.block, one.reward, one.stake) for one in swept.harvested]
    _table(console, rows, names)
    lines = [f"{names[one.farmer]}, block {one.block}: {one.reason}" for one in swept.pending]
    lines += [f"{names[one.farmer]}, block {one.block} has expired: {one.why}" for one in swept.expired]
    for line in lines[:_SHOWN]:
        console.print(line, soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"... and {len(lines) - _SHOWN} more; --json lists them all")
    calls = _count(len({one.transaction for one in swept.harvested}), "transaction")
    line = f"{_sum(rows, 'harvested')}, in {calls}" if rows else "nothing was harvested"
    console.print(line, soft_wrap=True)
    if swept.extended:
        console.print(f"blocks given a longer life: {', '.join(map(str, sorted(swept.extended)))}")


def _render_ripe(console: Console, ripe: Mapping[tuple[int, int], Ripe], names: Mapping[int, str]) -> None:
    rows = [(farmer, block, one.reward, one.stake) for (farmer, block), one in ripe.items()]
    _table(console, rows, names)
    console.print(_sum(rows, "would be harvested") if rows else "there is nothing to harvest")


def _table(console: Console, rows: Sequence[tuple[int, int, int, int]], names: Mapping[int, str]) -> None:
    from rich.table import Table  # noqa: PLC0415

    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    for title in ("farmer", "blocks"):
        table.add_column(title)
    for title in ("pails", "reward KALE", "stake KALE"):
        table.add_column(title, justify="right")
    for farmer in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == farmer]
        blocks = [row[1] for row in mine]
        span = str(blocks[0]) if len(blocks) == 1 else f"{min(blocks)}..{max(blocks)}"
        reward, stake = (format_amount(sum(row[column] for row in mine)) for column in (2, 3))
        table.add_row(names[farmer], span, str(len(mine)), reward, stake)
    console.print(table)


def _sum(rows: Sequence[tuple[int, int, int, int]], what: str) -> str:
    farmers = len({row[0] for row in rows})
    reward, stake = (format_amount(sum(row[column] for row in rows)) for column in (2, 3))
    return (
        f"{_count(len(rows), 'pail')} of {_count(farmers, 'farmer')} {what}: "
        f"{reward} KALE of reward and {stake} KALE of stake"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
