"""``kalepool report``: KALE earned and XLM spent, by farmer, day or block."""

from __future__ import annotations

import csv
import io
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kalepool.cli.commands.statement import statement
from kalepool.cli.output import output_of
from kalepool.cli.running import PassphraseFile, open_pool
from kalepool.cli.wording import amount, count, instant, mean, percent, rounded
from kalepool.core.amounts import STROOPS_PER_UNIT, format_amount
from kalepool.core.reports import some
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.core.reports import Line
    from kalepool.services.reporting import Report

_COUNTS: Final = ("missed", "planted", "worked", "harvested", "forfeited", "expired")
_AMOUNTS: Final = (
    ("staked", "staked"),
    ("returned", "returned"),
    ("stake_forfeited", "stake_forfeited"),
    ("stake_expired", "stake_expired"),
    ("earned", "reward"),
    ("fees", "fees"),
)


def report(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[statement NAME]", help="One farmer's statement instead, to send to him."),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="From when on: 24h, 7d, 30d, all or a day (2026-01-31).")
    ] = "7d",
    by: Annotated[str, typer.Option(metavar="WHAT", help="A line a farmer, day or block.")] = "farmer",
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV, amounts in KALE and XLM.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Draw it: earnings and fees by day, farmers by rank."),
    ] = None,
    as_html: Annotated[
        bool, typer.Option("--html", help="With statement: a page of HTML, not Markdown.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show what was earned and spent.

    Days and times are the network's, UTC: a pail belongs to the day its block opened.
    """
    from kalepool.core.reports import parse_by  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    if words:
        kind, *names = words
        if kind != "statement" or len(names) != 1:
            raise UsageError(
                f"there is no report {' '.join(words)!r}",
                hint="write it like: kalepool report statement NAME",
            )
        statement(output, names[0], as_html=as_html, passphrase_file=passphrase_file)
        return
    if as_csv and output.json:
        raise UsageError("--csv and --json are two forms of the same", hint="choose one")
    with open_pool(output, "report") as pool:
        found = pool.reporting.report(parse_by(by), since)
        if plot is not None:
            _write_plot(output, pool, since, plot)
    if as_csv:
        output.write(_csv(found))
    else:
        output.emit("report", _data(found), lambda console: _render(console, found))


def _write_plot(output: Output, pool: Pool, since: str, file: Path) -> None:
    from kalepool.cli.plots import Rank, Series, plot  # noqa: PLC0415
    from kalepool.core.reports import By  # noqa: PLC0415

    days, farmers = (pool.reporting.report(by, since) for by in (By.DAY, By.FARMER))
    labels = [line.key for line in days.lines]
    panels: list[Series | Rank] = [
        Series("KALE earned by day", labels, [line.reward / STROOPS_PER_UNIT for line in days.lines]),
        Series(
            "XLM paid in fees by day",
            labels,
            [line.fees / STROOPS_PER_UNIT for line in days.lines],
            joined=True,
        ),
        Rank("KALE earned by farmer", [(line.key, line.reward / STROOPS_PER_UNIT) for line in farmers.lines]),
    ]
    start = "the beginning" if days.since is None else instant(days.since)
    drawn = plot(f"From {start} to {instant(days.until)}", panels)
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint="choose another file") from None
    output.note(f"drew {file}")


def _data(found: Report) -> dict[str, Any]:
    return {
        "by": found.by.value,
        "since": None if found.since is None else instant(found.since),
        "until": instant(found.until),
        "lines": [{found.by.value: line.key} | _fields(line) for line in found.lines],
        "total": _fields(found.total),
        "other_fees_stroops": str(found.other_fees),
    }


def _fields(line: Line) -> dict[str, Any]:
    return {
        **{name: getattr(line, name) for name in _COUNTS},
        "work_rate": line.work_rate,
        "mean_gap": line.mean_gap,
        "mean_zeros": line.mean_zeros,
        **{f"{name}_stroops": str(getattr(line, field)) for name, field in _AMOUNTS},
    }


def _csv(found: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    amounts = [f"{name}_{'xlm' if name == 'fees' else 'kale'}" for name, _ in _AMOUNTS]
    writer.writerow([found.by.value, *_COUNTS, "mean_gap", "mean_zeros", *amounts])
    for line in found.lines:
        writer.writerow(
            [
                line.key,
                *(getattr(line, name) for name in _COUNTS),
                "" if line.mean_gap is None else f"{line.mean_gap:.3f}",
                "" if line.mean_zeros is None else f"{line.mean_zeros:.3f}",
                *(format_amount(getattr(line, field)) for _, field in _AMOUNTS),
            ]
        )
    return text.getvalue().rstrip("\n")


def _render(console: Console, found: Report) -> None:
    from rich import box  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    start = "the beginning" if found.since is None else instant(found.since)
    console.print(Text(f"from {start} to {instant(found.until)}"))
    if not found.lines:
        console.print("no pails")
        return
    console.print("earned and lost in KALE, fees in XLM\n")
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    decimals = _FINE if max(found.total.reward, found.total.fees) < _COARSE_FROM else _COARSE
    total = _cells(found.total, decimals)
    table.add_column(found.by.value, "total", overflow="fold")
    for heading, footer in zip(_HEADINGS, total, strict=True):
        table.add_column(heading, footer, justify="right", no_wrap=True)
    for line in found.lines:
        table.add_row(Text(line.key), *_cells(line, decimals))
    console.print(table)
    console.print(Text("\n" + "\n".join(_remarks(found))))


_HEADINGS: Final = ("planted", "worked", "harvest", "gap", "zeros", "earned", "lost", "fees")
_FINE, _COARSE = 4, 2
_COARSE_FROM: Final = 10_000 * STROOPS_PER_UNIT
"""From here on two decimals are shown, so that a line stays within 80 columns."""


def _cells(line: Line, decimals: int) -> list[str]:
    return [
        count(line.planted),
        count(line.worked),
        count(line.harvested),
        mean(line.mean_gap),
        mean(line.mean_zeros),
        rounded(line.reward, decimals),
        rounded(line.stake_forfeited + line.stake_expired, decimals),
        rounded(line.fees, _FINE if decimals == _FINE else _COARSE + 1),
    ]


def _remarks(found: Report) -> list[str]:
    total = found.total
    done = total.harvested / total.planted if total.planted else None
    remarks = [
        f"worked {percent(total.work_rate)} of what was planted, harvested {percent(done)} so far",
        f"staked {amount(total.staked)} KALE, {amount(total.returned)} of it back",
    ]
    if total.missed:
        remarks.append(f"{some(total.missed, 'plant')} never landed")
    if total.forfeited or total.expired:
        remarks.append(
            f"stakes lost: {amount(total.stake_forfeited)} KALE in {some(total.forfeited, 'pail')} without work, "
            f"{amount(total.stake_expired)} KALE in {count(total.expired)} that expired"
        )
    if found.other_fees:
        remarks.append(f"fees for other things, such as funding: {amount(found.other_fees)} XLM")
    return remarks
