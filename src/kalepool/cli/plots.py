"""Plots as SVG that needs nothing from elsewhere: earnings by day, the rank of farmers, the rate of hashing.

Colours are told apart by people who see few of them, and text stays text: it can be searched and copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 880
_LEFT, _RIGHT = 76, 20
_TITLE_Y: Final = 30
_GREEN, _AMBER, _FAINT, _GRID = "#2f7d4f", "#d98e04", "#66756d", "#e3eae6"
_STYLE: Final = (
    "text{font-family:system-ui,sans-serif;font-size:13px;fill:#1c2420}"
    ".t{font-size:16px;font-weight:600}.f{fill:#66756d;font-size:12px}.e{text-anchor:end}.m{text-anchor:middle}"
)
_PANEL: Final = 230
_ROW: Final = 24
_MOST_ROWS: Final = 20
_MOST_LABELS: Final = 8
_TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Series:
    """Values along a line of labels, such as days.

    Attributes:
        title: what is shown, with its unit.
        labels: one for each value.
        values: none below 0.
        joined: a line from value to value, not columns.
    """

    title: str
    labels: Sequence[str]
    values: Sequence[float]
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Rank:
    """Things with a value each, the greatest first.

    Attributes:
        title: what is shown, with its unit.
        rows: (name, value), in any order; beyond the first twenty they are added up.
    """

    title: str
    rows: Sequence[tuple[str, float]]


def plot(title: str, panels: Sequence[Series | Rank]) -> str:
    """Draw panels under each other; give the SVG.

    A panel without values says so.
    """
    drawn: list[str] = []
    y = _TITLE_Y + 24
    for panel in panels:
        height, parts = _series(panel, y) if isinstance(panel, Series) else _rank(panel, y)
        drawn += parts
        y += height
    size = f'viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_escaped(title)}">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>',
            _text(20, _TITLE_Y, title, "t"),
            *drawn,
            "</svg>",
        ]
    )


def nice(most: float) -> float:
    """Give a round number that is not below the greatest value: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 10.0 ** floor(log10(most))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= most)


def _series(series: Series, top: int) -> tuple[int, list[str]]:
    parts = [_text(20, top + 14, series.title, "")]
    if not any(series.values):
        return 60, [*parts, _text(20, top + 38, "nothing yet", "f")]
    foot, head = top + _PANEL - 44, top + 34
    width, ceiling = _WIDTH - _LEFT - _RIGHT, nice(max(series.values))
    for tick in range(_TICKS + 1):
        y = foot - (foot - head) * tick / _TICKS
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, y + 4, _short(ceiling * tick / _TICKS), "f e"))
    step = width / len(series.values)
    points = [
        (_LEFT + step * (place + 0.5), foot - (foot - head) * value / ceiling)
        for place, value in enumerate(series.values)
    ]
    if series.joined:
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{_AMBER}" stroke-width="2"/>')
    else:
        bar = max(step * 0.72, 1)
        parts += [
            f'<rect x="{x - bar / 2:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{foot - y:.1f}" fill="{_GREEN}">'
            f"<title>{_escaped(label)}: {value:,.7g}</title></rect>"
            for (x, y), label, value in zip(points, series.labels, series.values, strict=True)
        ]
    every = -(-len(points) // _MOST_LABELS)
    parts += [
        _text(x, foot + 20, label, "f m")
        for place, ((x, _), label) in enumerate(zip(points, series.labels, strict=True))
        if place % every == 0
    ]
    return _PANEL, parts


def _rank(rank: Rank, top: int) -> tuple[int, list[str]]:
    parts = [_text(20, top + 14, rank.title, "")]
    rows = sorted(rank.rows, key=lambda row: (-row[1], row[0]))
    if not rows:
        return 60, [*parts, _text(20, top + 38, "nothing yet", "f")]
    shown, rest = rows[:_MOST_ROWS], rows[_MOST_ROWS:]
    if rest:
        shown.append((f"{len(rest)} more", sum(value for _, value in rest)))
    left, most = 180, max((value for _, value in shown), default=0) or 1
    y = top + 30
    for place, (name, value) in enumerate(shown):
        length = (_WIDTH - left - 110) * value / most
        colour = _FAINT if place == _MOST_ROWS else _GREEN
        parts.append(_text(left - 8, y + 13, _clipped(name), "e"))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{max(length, 1):.1f}" height="{_ROW - 8}" fill="{colour}"/>'
        )
        parts.append(_text(left + length + 8, y + 13, f"{value:,.2f}", "f"))
        y += _ROW
    return y - top + 24, parts


def _text(x: float, y: float, text: str, kind: str) -> str:
    mark = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{mark}>{_escaped(text)}</text>'


def _short(value: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _clipped(name: str, most: int = 22) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
