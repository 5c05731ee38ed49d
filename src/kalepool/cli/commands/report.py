"""``kalepool report``: KALE earned and XLM spent, by farmer, day or block."""

from __future__ import annotations

import csv
import io
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from kalepool.cli.checks import check_plot
from kalepool.cli.commands.statement import statement
from kalepool.cli.output import output_of
from kalepool.cli.running import PassphraseFile, open_pool
from kalepool.cli.wording import amount, count, instant, mean, percent, rounded
from kalepool.core.amounts import STROOPS_PER_UNIT, format_amount
from kalepool.core.prices import shown
from kalepool.core.reports import some
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.output import Output
    from kalepool.core.prices import Price
    from kalepool.core.reports import Line
    from kalepool.services.reporting import Report

_COUNTS: Final = ("missed", "planted", "worked", "harvested", "forfeited", "expired")
_AMOUNTS: Final = (
    ("staked", "staked"),
    ("returned", "returned"),
    ("stake_forfeited", "stake_forfeited"),
    ("stake_expired", "stake_expired"),
    ("stake_unpaid", "stake_unpaid"),
    ("compensated", "compensated"),
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
        typer.Option(
            metavar="FILE.svg", help="Draw it: earnings, hash rate and fees by day, farmers by rank."
        ),
    ] = None,
    as_html: Annotated[
        bool, typer.Option("--html", help="With statement: a page of HTML, not Markdown.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show what was earned and spent, beside what was planned.

    Days and times are the network's, UTC: a pail belongs to the day its block opened. Profit is what was earned
    less the stakes lost, at the price of KALE that is configured or read from the liquidity pool, less fees.
    """
    from kalepool.core.reports import parse_by, parse_since  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    if words:
        kind, *names = words
        if words == ["statement"]:
            raise UsageError("whose statement?", hint="write it like: kalepool report statement NAME")
        if kind != "statement" or len(names) != 1:
            raise UsageError(
                f"there is no report {' '.join(words)!r}",
                hint="write it like: kalepool report statement NAME",
            )
        statement(output, names[0], as_html=as_html, passphrase_file=passphrase_file)
        return
    if as_csv and output.json:
        raise UsageError("--csv and --json are two forms of the same", hint="choose one")
    line_by = parse_by(by)
    parse_since(since, 0.0)  # before the store is opened, whose time it counts from
    if plot is not None:
        check_plot(plot)
    with open_pool(output, "report") as pool:
        found = pool.reporting.report(line_by, since)
        if plot is not None:
            _write_plot(output, pool, since, plot)
    if as_csv:
        output.write(_csv(found))
    else:
        output.emit("report", _data(found), lambda console: _render(console, found))


def _write_plot(output: Output, pool: Pool, since: str, file: Path) -> None:
    from kalepool.cli.report_plot import draw  # noqa: PLC0415 - not needed without --plot
    from kalepool.core.reports import By  # noqa: PLC0415

    days, farmers = (pool.reporting.report(by, since) for by in (By.DAY, By.FARMER))
    drawn = draw(days, farmers, pool.reporting.hashed(since))
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}", hint="choose another file") from None
    output.note(f"drew {file}")


def _data(found: Report) -> dict[str, Any]:
    price = found.price
    return {
        "by": found.by.value,
        "since": None if found.since is None else instant(found.since),
        "until": instant(found.until),
        "price": {"xlm": price.estimate, "source": price.source, "note": price.note},
        "lines": [{found.by.value: line.key} | _fields(line, price) for line in found.lines],
        "total": _fields(found.total, price),
        "other_fees_stroops": str(found.other_fees),
        "profit_xlm_stroops": _stroops(found.profit),
        "folded_until": None if found.folded_until is None else instant(found.folded_until),
    }


def _fields(line: Line, price: Price) -> dict[str, Any]:
    return {
        **{name: getattr(line, name) for name in _COUNTS},
        "plant_rate": line.plant_rate,
        "work_rate": line.work_rate,
        "harvest_rate": line.harvest_rate,
        "mean_gap": line.mean_gap,
        "mean_zeros": line.mean_zeros,
        **{f"{name}_stroops": str(getattr(line, field)) for name, field in _AMOUNTS},
        "profit_xlm_stroops": _stroops(line.profit(price)),
        "planned": {
            "pails": line.planned_pails,
            "gap": line.planned_gap,
            "zeros": line.planned_zeros,
            "earned_stroops": str(line.planned_reward),
            "earned_of_it_stroops": str(line.met_reward),
            "earned_part": line.plan_rate,
        },
    }


def _stroops(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _csv(found: Report) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    amounts = [f"{name}_{'xlm' if name == 'fees' else 'kale'}" for name, _ in _AMOUNTS]
    rates = ("plant_rate", "work_rate", "harvest_rate")
    profits = () if found.price.xlm is None else ("profit_xlm",)
    means = ("mean_gap", "mean_zeros", "planned_gap", "planned_zeros")
    writer.writerow([found.by.value, *_COUNTS, *rates, *means, *amounts, "planned_kale", *profits])
    for line in found.lines:
        profit = line.profit(found.price)
        writer.writerow(
            [
                line.key,
                *(getattr(line, name) for name in _COUNTS),
                *(_decimals(getattr(line, name), 4) for name in rates),
                *(_decimals(getattr(line, name), 3) for name in means),
                *(format_amount(getattr(line, field)) for _, field in _AMOUNTS),
                format_amount(line.planned_reward) if line.planned_pails else "",
                *(() if profit is None else (format_amount(profit),)),
            ]
        )
    return text.getvalue().rstrip("\n")


def _decimals(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _render(console: Console, found: Report) -> None:
    from rich import box  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    start = "the beginning" if found.since is None else instant(found.since)
    console.print(
        Text(
            f"from {start} to {instant(found.until)}" if found.until else "the network was not looked at yet"
        )
    )
    if not found.lines:
        console.print("no pails")
        return
    priced = found.price.xlm is not None
    console.print(
        Text(f"earned and lost in KALE, fees{' and profit' if priced else ''} in XLM{_priced(found)}\n")
    )
    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    decimals = _FINE if max(found.total.reward, found.total.fees) < _COARSE_FROM else _COARSE
    wide = console.width >= _WIDE and bool(found.total.planned_pails)
    columns = [_cells(line, decimals, found.price, wide=wide) for line in (found.total, *found.lines)]
    table.add_column(found.by.value, "total", overflow="fold")
    for heading, footer in columns[0].items():
        table.add_column(heading, footer, justify="right", no_wrap=True)
    rows = [(line.key, *cells.values()) for line, cells in zip(found.lines, columns[1:], strict=True)]
    every = [(found.by.value, *columns[0]), ("total", *columns[0].values()), *rows]
    if sum(max(map(len, column)) + _GAP for column in zip(*every, strict=True)) <= console.width:
        # No cell takes two lines: to lay out one tall row takes a fraction of the time of a thousand.
        rows = [tuple("\n".join(column) for column in zip(*rows, strict=True))]
    for key, *cells in rows:
        table.add_row(Text(key), *cells)
    console.print(table)
    console.print(Text("\n" + "\n".join(_remarks(found))))


_FINE, _COARSE = 4, 2
_COARSE_FROM: Final = 10_000 * STROOPS_PER_UNIT
"""From here on two decimals are shown, so that a line stays within 80 columns."""


_GAP: Final = 3
"""What a column takes up beside its widest cell, at most."""


_WIDE: Final = 96
"""From so many columns on there is room to say beside each line how it compares with the plan."""


def _cells(line: Line, decimals: int, price: Price, *, wide: bool) -> dict[str, str]:
    fine = _FINE if decimals == _FINE else _COARSE + 1
    cells = {
        "planted": count(line.planted),
        "worked": count(line.worked),
        "harvest": count(line.harvested),
        "gap": mean(line.mean_gap),
        "zeros": mean(line.mean_zeros),
        "earned": rounded(line.reward, decimals),
        "lost": rounded(line.lost, decimals),
        "fees": rounded(line.fees, fine),
    }
    if wide:
        cells["plan"] = "-" if line.plan_rate is None else f"{100 * line.plan_rate:.0f} %"
    profit = line.profit(price)
    if profit is not None:
        cells["profit"] = rounded(profit, decimals)
    return cells


def _priced(found: Report) -> str:
    price = found.price
    return "" if price.xlm is None else f", at {shown(price.xlm)} XLM a KALE ({price.source})"


def _remarks(found: Report) -> list[str]:
    total = found.total
    rates = percent(total.plant_rate), percent(total.work_rate), percent(total.harvest_rate)
    remarks = [
        "{} of all plants landed, {} of these were worked, {} of those harvested so far".format(*rates),
        f"staked {amount(total.staked)} KALE, {amount(total.returned)} of it back",
    ]
    if total.planned_pails:
        remarks.append(
            f"of plan: {rounded(total.met_reward, 2)} of {rounded(total.planned_reward, 2)} KALE"
            + ("" if total.plan_rate is None else f" ({100 * total.plan_rate:.0f} %)")
            + f", gap {mean(total.mean_gap)} of {mean(total.planned_gap)}"
            + f", zeros {mean(total.mean_zeros)} of {mean(total.planned_zeros)}"
        )
    if total.missed:
        remarks.append(f"{some(total.missed, 'plant')} never landed")
    if total.forfeited or total.expired:
        remarks.append(
            f"stakes lost: {amount(total.stake_forfeited)} KALE in {some(total.forfeited, 'pail')} without work, "
            f"{amount(total.stake_expired)} KALE in {count(total.expired)} that expired; "
            f"{amount(total.compensated)} KALE of it compensated by the pool"
        )
    if total.stake_unpaid:
        remarks.append(f"stakes not paid back by the farm: {amount(total.stake_unpaid)} KALE")
    if found.other_fees:
        remarks.append(f"fees for other things, such as funding: {amount(found.other_fees)} XLM")
    if found.profit is not None:
        remarks.append(f"profit after all fees: {amount(found.profit)} XLM")
    else:
        remarks.append("profit is shown once a price is known: see mining.kale_price_xlm in kalepool.toml")
    if found.price.note:
        remarks.append(found.price.note)
    if found.folded_until is not None:
        day = instant(found.folded_until)[:10]
        remarks.append(f"days before {day} may be kept as sums alone: each counts whole")
    return remarks
