"""Plots as SVG that needs nothing from elsewhere: earnings by day, the rank of farmers, the rate of hashing.

Colours are told apart by people who see few of them, and text stays text: it can be searched and copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 880
_LEFT, _RIGHT, _MARGIN = 76, 20, 20
_TITLE_Y: Final = 36
_GREEN, _AMBER, _BLUE, _FAINT, _GRID = "#2f7d4f", "#d98e04", "#2b6cb0", "#66756d", "#e3eae6"
_STYLE: Final = (
    "text{font-family:system-ui,sans-serif;font-size:13px;fill:#1c2420}"
    ".t{font-size:17px;font-weight:600}.h{font-weight:600}.b{font-size:22px;font-weight:600}"
    ".f{fill:#66756d;font-size:12px}.e{text-anchor:end}.m{text-anchor:middle}"
)
_HEAD: Final = 84
_PANEL: Final = 214
_ROW: Final = 24
_WIDEST_BAR: Final = 44
_MOST_ROWS: Final = 20
_MOST_LABELS: Final = 10
_MOST_STEPS: Final = 5
_ALMOST: Final = 1 - 1e-9
"""What rounding adds to a value must not add a step to its axis."""


class Style(StrEnum):
    """How values along a line of labels are drawn."""

    COLUMNS = "columns"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Series:
    """Values along a line of labels, such as days.

    Attributes:
        title: what is shown, with its unit.
        labels: one for each value.
        values: none below 0.
        style: columns, or an area under a line.
        planned: what each value was expected to be, or None; drawn as a mark over its column.
    """

    title: str
    labels: Sequence[str]
    values: Sequence[float]
    style: Style = Style.COLUMNS
    planned: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Rank:
    """Things with a value each, the greatest first.

    Attributes:
        title: what is shown, with its unit.
        rows: (name, value), in any order; beyond the first twenty they are added up.
    """

    title: str
    rows: Sequence[tuple[str, float]]


def plot(title: str, panels: Sequence[Series | Rank], figures: Sequence[tuple[str, str]] = ()) -> str:
    """Draw panels under each other; give the SVG.

    A panel without values says so.

    Args:
        title: what it is of.
        panels: from the top.
        figures: what matters most, as (name, value): large, above the panels.
    """
    drawn: list[str] = []
    y = _TITLE_Y + 28
    if figures:
        drawn += _figures(figures, y)
        y += _HEAD
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
            _text(_MARGIN, _TITLE_Y, title, "t"),
            *drawn,
            "</svg>",
        ]
    )


def step_of(most: float) -> float:
    """Give a round step, 1, 2 or 5 times a power of ten, of which at most five reach the greatest value."""
    if most <= 0:
        return 1.0
    power = 10.0 ** floor(log10(most / _MOST_STEPS))
    return next(step * power for step in (1, 2, 5, 10) if _MOST_STEPS * step * power >= most * _ALMOST)


def _figures(figures: Sequence[tuple[str, str]], top: int) -> list[str]:
    wide = (_WIDTH - 2 * _MARGIN) / len(figures)
    parts = []
    for place, (name, value) in enumerate(figures):
        parts.append(_text(_MARGIN + place * wide, top + 22, value, "b"))
        parts.append(_text(_MARGIN + place * wide, top + 42, name, "f"))
    return parts


def _series(series: Series, top: int) -> tuple[int, list[str]]:
    parts = [_text(_MARGIN, top + 14, series.title, "h")]
    if not any(series.values):
        return 60, [*parts, _text(_MARGIN, top + 38, "nothing yet", "f")]
    foot, head = top + _PANEL - 52, top + 34
    width, most = _WIDTH - _LEFT - _RIGHT, max([*series.values, *(one or 0 for one in series.planned)])
    each = step_of(most)
    steps = max(ceil(most / each * _ALMOST), 1)
    for tick in range(steps + 1):
        y = foot - (foot - head) * tick / steps
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, y + 4, _short(each * tick), "f e"))
    step, ceiling = width / len(series.values), each * steps
    points = [
        (_LEFT + step * (place + 0.5), foot - (foot - head) * min(value / ceiling, 1))
        for place, value in enumerate(series.values)
    ]
    draw = _columns if series.style is Style.COLUMNS else _area
    parts += draw(series, points, foot, min(step * 0.72, _WIDEST_BAR))
    if any(series.planned):
        bar = min(step * 0.72, _WIDEST_BAR) / 2 + 3
        for (x, _), value in zip(points, series.planned, strict=True):
            if value is not None:
                y = foot - (foot - head) * min(value / ceiling, 1)
                parts.append(
                    f'<path d="M{x - bar:.1f} {y:.1f}H{x + bar:.1f}" stroke="{_AMBER}" stroke-width="3"/>'
                )
        parts.append(f'<path d="M{_WIDTH - _RIGHT - 78} {top + 10}h18" stroke="{_AMBER}" stroke-width="3"/>')
        parts.append(_text(_WIDTH - _RIGHT, top + 14, "planned", "f e"))
    every = -(-len(points) // _MOST_LABELS)
    parts += [
        _text(x, foot + 20, label, "f m")
        for place, ((x, _), label) in enumerate(zip(points, series.labels, strict=True))
        if place % every == 0
    ]
    return _PANEL, parts


def _columns(series: Series, points: Sequence[tuple[float, float]], foot: int, bar: float) -> list[str]:
    bar = max(bar, 1)
    return [
        f'<rect x="{x - bar / 2:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{foot - y:.1f}" fill="{_GREEN}">'
        f"<title>{_escaped(label)}: {value:,.7g}</title></rect>"
        for (x, y), label, value in zip(points, series.labels, series.values, strict=True)
    ]


def _area(series: Series, points: Sequence[tuple[float, float]], foot: int, _bar: float) -> list[str]:
    way = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    (first, _), (last, _) = points[0], points[-1]
    return [
        f'<polygon points="{first:.1f},{foot} {way} {last:.1f},{foot}" fill="{_BLUE}" fill-opacity="0.12"/>',
        f'<polyline points="{way}" fill="none" stroke="{_BLUE}" stroke-width="2" stroke-linejoin="round"/>',
        *(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BLUE}">'
            f"<title>{_escaped(label)}: {value:,.7g}</title></circle>"
            for (x, y), label, value in zip(points, series.labels, series.values, strict=True)
        ),
    ]


def _rank(rank: Rank, top: int) -> tuple[int, list[str]]:
    parts = [_text(_MARGIN, top + 14, rank.title, "h")]
    rows = sorted(rank.rows, key=lambda row: (-row[1], row[0]))
    if not rows:
        return 60, [*parts, _text(_MARGIN, top + 38, "nothing yet", "f")]
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
            f'<rect x="{left}" y="{y}" width="{max(length, 1):.1f}" height="{_ROW - 8}" rx="2" fill="{colour}"/>'
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
