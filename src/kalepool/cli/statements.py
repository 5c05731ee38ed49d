"""A farmer's statement as a page: Markdown to read anywhere, HTML to open and print. One text, two forms."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Final

from kalepool.cli.wording import instant
from kalepool.core.amounts import format_amount
from kalepool.core.roster import format_bps
from kalepool.core.shares import Claim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.statements import Crop, FoldedDay, Statement

_CLAIMS: Final = {Claim.FARMER: "share", Claim.COMPENSATION: "for a lost stake"}
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#1c2420}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{text-align:left;padding:.25em .6em;border-bottom:1px solid #d9e2dc;vertical-align:top}"
    "th{color:#50635a;font-weight:600}td.r,th.r{text-align:right}code{font-size:.8em;word-break:break-all}"
)


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    headings: tuple[str, ...]
    right: int  # so many columns from the left stand to the right
    rows: Sequence[tuple[str, ...]]
    hashes: bool = True  # the last column is a transaction


def markdown(statement: Statement) -> str:
    """Write a statement as Markdown."""
    lines = [f"# Statement for {_plain(statement.farmer.name)}", ""]
    lines += [f"- {label}: {text}" for label, text in _facts(statement)]
    for table in _tables(statement):
        lines += ["", f"## {table.title}", ""]
        if not table.rows:
            lines.append("None.")
            continue
        marks = ["---:" if place < table.right else "---" for place in range(len(table.headings))]
        lines += [f"| {' | '.join(table.headings)} |", f"| {' | '.join(marks)} |"]
        for row in table.rows:
            cells = [_plain(cell) for cell in row]
            if table.hashes and cells[-1]:
                cells[-1] = f"`{cells[-1]}`"
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def html(statement: Statement) -> str:
    """Write a statement as a page of HTML that needs nothing from elsewhere."""
    title = f"Statement for {escape(statement.farmer.name)}"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    parts = [f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{title}</h1><table>']
    parts += [
        f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in _facts(statement)
    ]
    parts.append("</table>")
    for table in _tables(statement):
        parts.append(f"<h2>{escape(table.title)}</h2>")
        if not table.rows:
            parts.append("<p>None.</p>")
            continue
        parts.append("<table>" + _row("th", table.headings, table))
        parts += [_row("td", row, table) for row in table.rows]
        parts.append("</table>")
    return "\n".join([*parts, "</body></html>"])


def _row(tag: str, cells: Sequence[str], table: _Table) -> str:
    written = []
    for place, cell in enumerate(cells):
        mark = ' class="r"' if place < table.right else ""
        text = escape(cell)
        if tag == "td" and table.hashes and place == len(cells) - 1:
            text = f"<code>{text}</code>"
        written.append(f"<{tag}{mark}>{text}</{tag}>")
    return f"<tr>{''.join(written)}</tr>"


def _facts(statement: Statement) -> list[tuple[str, str]]:
    farmer = statement.farmer
    return [
        ("wallet", farmer.address),
        ("payout address", farmer.terms.payout or "none: shares stay in the wallet"),
        ("terms", str(statement.life[-1].became)),
        ("drawn up", instant(statement.until)),
        ("earned", f"{format_amount(statement.total('reward'))} KALE"),
        ("fee", f"{format_amount(statement.total('fee'))} KALE"),
        ("pool's part", f"{format_amount(statement.total('pool'))} KALE"),
        ("his share", f"{format_amount(statement.total('share'))} KALE"),
        (
            "lost stakes",
            f"{format_amount(statement.lost)} KALE, of it {format_amount(statement.total('compensated'))} compensated",
        ),
        ("paid to him", f"{format_amount(statement.paid)} KALE"),
        ("still owed to him", f"{format_amount(statement.owed)} KALE"),
    ]


def _tables(statement: Statement) -> list[_Table]:
    payments = [
        (format_amount(one.amount), instant(one.at), _CLAIMS[one.claim], one.transaction)
        for one in statement.payments
    ]
    tables = [
        _Table("Payments, in KALE", ("amount", "time", "what for", "transaction"), 1, payments),
        _Table(
            "Harvests and losses, in KALE",
            ("block", "stake", "reward", "fee", "pool", "share", "opened", "what became of it"),
            6,
            [_crop(crop) for crop in statement.crops],
        ),
        _Table(
            "Terms",
            ("from block", "fee", "share", "payout address"),
            3,
            [
                (
                    str(one.from_block),
                    format_bps(one.terms.fee_bps),
                    format_bps(one.terms.share_bps),
                    one.terms.payout or "none",
                )
                for one in statement.agreed
            ],
            hashes=False,
        ),
        _Table(
            "Their life",
            ("what", "when", "by", "why"),
            0,
            [(str(step.became), instant(step.at), step.who, step.why) for step in statement.life],
            hashes=False,
        ),
    ]
    if statement.days:
        headings = (
            "pails",
            "harvested",
            "lost",
            "stake",
            "of it lost",
            "reward",
            "fee",
            "pool",
            "share",
            "compensated",
            "day",
        )
        title = "Earlier days, in KALE: their pails are not kept one by one"
        tables.append(_Table(title, headings, 10, [_day(day) for day in statement.days], hashes=False))
    return tables


def _crop(crop: Crop) -> tuple[str, ...]:
    amounts = (crop.stake, crop.reward, crop.fee, crop.pool, crop.share)
    became = crop.transaction
    if crop.why:
        paid = f"; {format_amount(crop.compensated)} compensated" if crop.compensated else ""
        by = f"; {crop.transaction}" if crop.transaction else ""
        became = f"{crop.state}: {crop.why}{paid}{by}"
    opened = instant(crop.at) if crop.at else "-"
    return (str(crop.block), *map(format_amount, amounts), opened, became or str(crop.state))


def _day(day: FoldedDay) -> tuple[str, ...]:
    counts = (day.planted, day.harvested, day.lost)
    amounts = (day.stake, day.stake_lost, day.reward, day.fee, day.pool, day.share, day.compensated)
    return (*map(str, counts), *map(format_amount, amounts), instant(day.at)[:10])


def _plain(text: str) -> str:
    """Give text that cannot become a part of the table around it."""
    return text.replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
