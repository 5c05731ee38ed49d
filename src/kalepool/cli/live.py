"""The live screen of ``mine``: where the block, the farmers and the money stand, twice a second.

Everything on it comes from a ``Picture`` and the log's last lines, so that what it looks like can be
tested without a farm. It reads well from 80 columns and 24 rows on; what has no room is left out.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kalepool.cli.wording import amount, count, rounded
from kalepool.services.stopping import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import RenderableType

    from kalepool.services.picture import Picture, Seat

_EVERY_S: Final = 0.5
_BLOCK_S: Final = 300
_BAR_CELLS: Final = 24
_LEAST_LINES: Final = 5
_WIDE: Final = 100
_MEGA, _GIGA = 1e6, 1e9
_LINES_KEPT: Final = 100
_PHASES: Final = {Phase.STOPPING: "stopping: open pails are worked", Phase.HALTED: "stopping at once"}


class Screen:
    """Draws pictures until it is cancelled.

    Args:
        take: gives the present state.
        title: what stands at the top, such as the network.
        console: where it is drawn.
    """

    def __init__(self, take: Callable[[], Picture], title: str, console: Console | None = None) -> None:
        self._take = take
        self._title = title
        self._console = console or Console(highlight=False)
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def note(self, line: str) -> None:
        """Take a line of the log; the last ones are shown."""
        self._lines.append(line)

    def last(self, most: int) -> list[str]:
        """Give the last lines taken, oldest first."""
        return list(self._lines)[-most:]

    async def run(self) -> None:
        """Draw until cancelled; the terminal is then as it was before."""
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            while True:
                size = self._console.size
                screen = draw(self._take(), self._title, list(self._lines), size.width, size.height)
                live.update(screen, refresh=True)
                await asyncio.sleep(_EVERY_S)


def draw(picture: Picture, title: str, lines: Sequence[str], width: int, height: int) -> RenderableType:
    """Draw a picture for a terminal of so many columns and rows.

    Args:
        picture: the present state.
        title: what stands at the top.
        lines: of the log, oldest first.
        width: columns.
        height: rows.
    """
    head: list[RenderableType] = [_title(picture, title, width), Text(), *_block(picture)]
    head += [_counts(picture), _hashing(picture), _waiting(picture)]
    if picture.held_back:
        head.append(_line(f"held back {picture.held_back}", "yellow"))
    if picture.is_stale:
        head.append(_line("the network stands still: no ledger has closed lately", "bold red"))
    seats = list(picture.seats.values())
    room = height - len(head) - 2
    farmers, rows = _farmers(seats, max(room - _LEAST_LINES, 0), width)
    shown = [_line(line) for line in lines[-max(room - rows, 1) :]]
    return Group(*head, Text(), *farmers, Text(), *shown)


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _named(name: str, *parts: str | tuple[str, str]) -> Text:
    line = Text.assemble((f"{name:<10}", "dim"), *parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _title(picture: Picture, title: str, width: int) -> Table:
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(justify="right", no_wrap=True)
    name = Text.assemble(("kalepool mine", "bold"), f"  {title}")
    if picture.phase in _PHASES:
        name.append(f"  {_PHASES[picture.phase]}", style="bold yellow")
    pace = f", one in {picture.ledger_seconds:.1f} s" if width >= _WIDE and picture.ledger_seconds else ""
    clock = f"{datetime.fromtimestamp(picture.now, UTC):%H:%M:%S}" if picture.now else "--:--:--"
    line.add_row(name, f"ledger {count(picture.ledger)}{pace}  {clock}")
    return line


def _block(picture: Picture) -> list[Text]:
    if picture.block is None or picture.age is None or picture.due_at is None:
        return [_named("block", f"{picture.index} is not open"), Text()]
    age = max(picture.age, 0.0)
    filled = min(int(_BAR_CELLS * age / _BLOCK_S), _BAR_CELLS)
    left = picture.due_at - picture.now
    due = f"next due in {left:.0f} s" if left >= 0 else f"next due since {-left:.0f} s"
    block = picture.block
    ranges = (
        f"gap {block.min_gap} to {block.max_gap}, zeros {block.min_zeros} to {block.max_zeros}, "
        f"stake up to {amount(max(block.max_stake, 0))}"
    )
    return [
        _named(
            "block",
            (f"{count(picture.index)}  ", "bold"),
            ("━" * filled, "green" if left >= 0 else "yellow"),
            ("━" * (_BAR_CELLS - filled), "dim"),
            f"  {age:.0f} s, {due}",
        ),
        _named("ranges", ranges if block.max_gap or block.max_zeros else "none: nobody worked before it"),
    ]


def _counts(picture: Picture) -> Text:
    seats = picture.seats.values()
    states = ", ".join(f"{count(number)} {state}" for state, number in picture.farmers.items() if number)
    return _named(
        "farmers",
        states or "none",
        ("  planted ", "dim"),
        count(sum(seat.planted for seat in seats)),
        ("  worked ", "dim"),
        count(sum(seat.worked for seat in seats)),
        ("  under way ", "dim"),
        count(sum(seat.is_under_way for seat in seats)),
    )


def _hashing(picture: Picture) -> Text:
    rate = picture.hashes_per_second
    worded = f"{rate / _GIGA:.2f} Gh/s" if rate >= _GIGA else f"{rate / _MEGA:.1f} Mh/s"
    best = max(picture.seats.values(), key=_best, default=None)
    xlm = "unknown" if picture.operator_xlm is None else rounded(picture.operator_xlm, 2)
    return _named(
        "hashing",
        worded,
        ("  best ", "dim"),
        "none yet" if best is None or best.best is None else f"{best.best} zeros, {best.name}",
        ("  operator ", "dim"),
        f"{xlm} XLM",
    )


def _best(seat: Seat) -> int:
    return -1 if seat.best is None else seat.best


def _waiting(picture: Picture) -> Text:
    left = picture.waits_until - picture.now
    return _named("waiting", picture.waits_for, f", {left:.0f} s" if left >= 1 else "")


def _farmers(seats: Sequence[Seat], most: int, width: int) -> tuple[list[RenderableType], int]:
    """Give each farmer a place where there are rows enough, else count them by zeros; and the rows used."""
    columns = 2 if width >= _WIDE else 1
    rows = -(-len(seats) // columns) + 1
    if not seats or most < 2:  # noqa: PLR2004 - a head and a line
        return [], 0
    if rows <= most:
        return [_table(seats, columns)], rows
    table = _histogram(seats, most)
    return [table], table.row_count


def _table(seats: Sequence[Seat], columns: int) -> Table:
    table = Table.grid(padding=(0, 2))
    heads = []
    for _ in range(columns):
        table.add_column(no_wrap=True, max_width=24, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True, min_width=10)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True, min_width=10)
        heads += [Text(word, style="dim") for word in ("farmer", "stake", "zeros", "state")]
    table.add_row(*heads)
    height = -(-len(seats) // columns)
    for row in range(height):
        table.add_row(*[cell for seat in seats[row::height] for cell in _cells(seat)])
    return table


def _cells(seat: Seat) -> tuple[RenderableType, ...]:
    zeros = seat.zeros if seat.worked else seat.best
    stake = "" if seat.stake is None else rounded(seat.stake)
    return seat.name, stake, "" if zeros is None else str(zeros), _state(seat)


def _state(seat: Seat) -> Text:
    if seat.is_under_way:
        return Text("under way", style="cyan")
    if seat.worked:
        return Text("worked", style="green")
    return Text("planted") if seat.planted else Text("waiting", style="dim")


def _histogram(seats: Sequence[Seat], rows: int) -> Table:
    """Count farmers by their best zeros, for farms that are larger than the screen."""
    counts = Counter(seat.best for seat in seats)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(*[Text(word, style="dim") for word in ("zeros", "farmers", "")])
    most = max(counts.values())
    for zeros in sorted(counts, key=lambda zeros: -1 if zeros is None else zeros, reverse=True)[: rows - 1]:
        bar = "█" * max(round(40 * counts[zeros] / most), 1)
        name = "none" if zeros is None else str(zeros)
        table.add_row(name, count(counts[zeros]), Text(bar, style="dim" if zeros is None else "green"))
    return table
