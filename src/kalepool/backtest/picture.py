"""A backtest as a picture: KALE for each farmer, block after block, one line a player. Plain SVG."""

from __future__ import annotations

from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.backtest.compare import Comparison, Row

_STROOPS: Final = 10_000_000
_WIDTH, _HEIGHT = 900, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 230, 50, 50
_GRID: Final = 5
_FONT: Final = ' font-family="sans-serif" font-size="12"'
_COLOURS: Final = ("#1b7837", "#762a83", "#2166ac", "#b35806", "#8c510a", "#c51b7d", "#4d4d4d", "#999999")
_LABEL_STEP: Final = 16
_MOST_POINTS: Final = 400


def picture(result: Comparison) -> str:
    """Draw it.

    Args:
        result: of ``compare``.

    Returns:
        An SVG document.
    """
    rows = sorted(result.rows, key=lambda row: -row.kale)
    lines = {row.name: _course(row) for row in rows}
    most = max((line[-1] for line in lines.values()), default=0.0) or 1.0
    step = _round_step(most / _GRID)
    top = step * -(-most // step)
    setup = result.setup
    title = (
        f"KALE for each of {result.farmers} farmers, blocks {result.first} to {result.last}: "
        f"{setup.rate / 1e6:g} M hashes/s, stake {setup.stake:.0%} of the largest"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"{_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="24" font-size="14">{escape(title)}</text>',
    ]
    parts += _axes(result, step, top)
    level = 0.0
    for number, row in enumerate(rows):
        colour = _COLOURS[number % len(_COLOURS)]
        dash = ' stroke-dasharray="5 4"' if row.kind == "clairvoyant" else ""
        points = " ".join(_point(at, value, len(row.course), top) for at, value in _thin(lines[row.name]))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2"{dash} points="{points}"/>')
        level = max(level + _LABEL_STEP, _y(lines[row.name][-1], top) + 4)
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{level:.0f}" fill="{colour}">'
            f"{escape(row.name)}: {row.kale:.2f} a block</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _course(row: Row) -> list[float]:
    return [value / _STROOPS / row.farmers for value in accumulate(row.course)]


def _thin(line: Sequence[float]) -> list[tuple[int, float]]:
    every = max(len(line) // _MOST_POINTS, 1)
    points = list(enumerate(line, 1))
    return points[:-1:every] + points[-1:]


def _axes(result: Comparison, step: float, top: float) -> list[str]:
    parts, value = [], 0.0
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    while value <= top:
        y = _y(value, top)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
        value += step
    parts.append(f'<text x="{_LEFT}" y="{bottom + 20}">block {result.first}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 20}" text-anchor="end">block {result.last}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_TOP - 8}">KALE, summed up</text>')
    return parts


def _point(at: int, value: float, count: int, top: float) -> str:
    x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / max(count, 1)
    return f"{x:.1f},{_y(value, top):.1f}"


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top


def _round_step(wanted: float) -> float:
    """Give the first of 1, 2, 5, 10, 20, ... that is no smaller."""
    unit = 10.0 ** (len(str(int(max(wanted, 1)))) - 1)
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= wanted)
