"""``kalepool backtest``: what policies would have earned on recorded blocks, beside bots and a clairvoyant."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.checks import check_plot, check_range
from kalepool.cli.output import Output, output_of
from kalepool.cli.progress import progress_bar
from kalepool.cli.running import open_pool
from kalepool.core.strategy import POLICIES
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.backtest.compare import Comparison, Row
    from kalepool.backtest.recording import Recorded

_MOST_FARMERS = 1_000
_MOST_RATE = 1_000_000.0
_ROOMY = 90


def backtest(
    ctx: typer.Context,
    blocks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Recorded blocks, CSV; else mainnet's of December 2024."),
    ] = None,
    from_store: Annotated[
        bool, typer.Option("--from-store", help="Replay the blocks that this pool has recorded.")
    ] = False,
    last: Annotated[int | None, typer.Option(metavar="N", help="Replay only the last N blocks.")] = None,
    farmers: Annotated[int, typer.Option(metavar="N", help="Farmers of each player.")] = 10,
    hashrate: Annotated[
        float, typer.Option(metavar="H", help="Million hashes a second of each player.")
    ] = 40.0,
    policy: Annotated[
        str | None, typer.Option(metavar="P", help="Only this one of ours: " + ", ".join(POLICIES) + ".")
    ] = None,
    stake: Annotated[
        float, typer.Option(metavar="PERCENT", help="Each farmer's stake, of the block's largest.")
    ] = 0.0,
    price: Annotated[float, typer.Option(metavar="XLM", help="XLM for one KALE; 0 when unknown.")] = 0.0,
    seed: Annotated[int, typer.Option(help="What proofs and delays are drawn from.")] = 1,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw it here.")] = None,
) -> None:
    """Replay recorded blocks with sampled proofs, for our policies, the usual bots and a clairvoyant.

    Everybody has the same farmers, hash rate, stakes, proofs and inclusion delays. The clairvoyant is a bound: he
    knows when each block closes and what will be in it, and none of his works is late. "Twice" is one who works
    each pail twice for what the contract's accounting of a repeated work gains: max-kale's bound.
    """
    from kalepool.backtest.compare import compare  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    check_range("--farmers", farmers, 1, _MOST_FARMERS)
    check_range("--hashrate", hashrate, 0.000001, _MOST_RATE)
    check_range("--stake", stake, 0, 100)
    check_range("--price", price, 0, 1_000_000)
    if policy is not None and policy not in POLICIES:
        raise UsageError(f"there is no policy {policy!r}", hint=f"policies are {', '.join(POLICIES)}")
    if last is not None:
        check_range("--last", last, 1, 1_000_000)
    if plot is not None:
        check_plot(plot)
    chosen = _recording(output, blocks, last, from_store=from_store)[-(last or 0) :]
    with progress_bar(output, "replaying") as progress:
        result = compare(
            chosen,
            [POLICIES[policy]] if policy else list(POLICIES.values()),
            farmers=farmers,
            hashrate=hashrate * 1e6,
            stake=stake / 100,
            seed=seed,
            price=price or None,
            progress=lambda share: progress("replaying", share),
        )
    if plot is not None:
        _draw(plot, result)
        output.note(f"drawn in {plot}")
    output.emit("backtest", _data(result), lambda console: render(console, result))


def _recording(output: Output, blocks: Path | None, last: int | None, *, from_store: bool) -> list[Recorded]:
    from kalepool.backtest.recording import from_file, from_records, mainnet  # noqa: PLC0415

    if blocks is not None and from_store:
        raise UsageError("--blocks and --from-store exclude each other", hint="give one of them")
    if blocks is not None:
        return from_file(blocks)
    if not from_store:
        return mainnet()
    with open_pool(output, "backtest") as pool:
        latest = pool.blocks.latest()
        first = 0 if latest is None or last is None else max(latest.index - last, 0)
        records = [] if latest is None else pool.blocks.between(first, latest.index)
        return from_records(records, lambda index: pool.pails.in_blocks(index, index))


def _draw(path: Path, result: Comparison) -> None:
    from kalepool.backtest.picture import picture  # noqa: PLC0415

    try:
        path.write_text(picture(result), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="choose another --plot"
        ) from None


def _data(result: Comparison) -> dict[str, Any]:
    setup = result.setup
    return {
        "first_block": result.first,
        "last_block": result.last,
        "farmers": result.farmers,
        "hashrate_mhs": setup.rate / 1e6,
        "stake_share": setup.stake,
        "price_xlm": setup.price,
        "seed": result.seed,
        "players": [
            {
                "name": row.name,
                "kind": row.kind,
                "kale_stroops_per_farmer_block": str(round(row.kale * 10_000_000)),
                "xlm_stroops_per_farmer_block": str(round(row.xlm * 10_000_000)),
                "of_clairvoyant": round(result.of_bound(row), 4),
                "of_clairvoyant_twice": round(result.of_twice(row), 4),
                "times_better_bot": round(result.over_bots(row), 4),
                "mean_gap": round(_mean(row, row.outcome.gaps), 2),
                "mean_zeros": round(_mean(row, row.outcome.zeros), 2),
                "works": row.outcome.works,
                "missed": row.outcome.missed,
            }
            for row in result.rows
        ],
    }


def _mean(row: Row, total: int) -> float:
    return total / max(row.outcome.worked, 1)


def render(console: Console, result: Comparison) -> None:
    """Show the table for people."""
    from rich import box  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415

    setup = result.setup
    console.print(
        f"blocks {result.first} to {result.last}, {result.farmers} farmers, {setup.rate / 1e6:g} M hashes/s,"
        f" stake {setup.stake:.0%} of the largest, seed {result.seed}",
        markup=False,
    )
    room = int(console.width >= _ROOMY)
    table = Table(box=box.SIMPLE, pad_edge=False, padding=(0, room, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in ("KALE", "XLM", "x bot", "of best", "of twice", "gap", "zeros", "missed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in result.rows:
        table.add_row(
            row.name,
            f"{row.kale:.2f}",
            f"{row.xlm:.5f}",
            f"{result.over_bots(row):.3f}",
            f"{result.of_bound(row):.1%}",
            f"{result.of_twice(row):.1%}",
            f"{_mean(row, row.outcome.gaps):.1f}",
            f"{_mean(row, row.outcome.zeros):.2f}",
            str(row.outcome.missed),
        )
    console.print(table)
    console.print("KALE and XLM: for one farmer in one block. x bot: of the better bot's KALE.", markup=False)
    console.print("of best, of twice: of the clairvoyant's KALE who works once, and twice.", markup=False)
