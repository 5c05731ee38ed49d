"""Plots: well-formed SVG that says what it shows, whatever names and values are in it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.cli.plots import Rank, Series, Style, plot, step_of

SVG = "{http://www.w3.org/2000/svg}"
VALUES = st.floats(0, 1e12, allow_nan=False)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=40)


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


@given(
    st.lists(st.tuples(NAMES, VALUES), max_size=40), st.lists(st.tuples(NAMES, VALUES), max_size=40), NAMES
)
def test_any_names_and_values_make_well_formed_pictures(
    days: list[tuple[str, float]], rows: list[tuple[str, float]], title: str
) -> None:
    labels, values = [label for label, _ in days], [value for _, value in days]
    panels: list[Series | Rank] = [
        Series("KALE by day", labels, values),
        Series("MH/s", labels, values, Style.AREA),
        Series("of plan", labels, values, planned=[value * 1.5 or None for value in values]),
        Rank("Rank", rows),
    ]
    root = ET.fromstring(plot(title, panels))
    height = float(root.attrib["height"])
    for rect in root.iter(f"{SVG}rect"):
        assert float(rect.attrib["height"]) >= 0
        assert float(rect.get("y", "0")) + float(rect.attrib["height"]) <= height + 0.2


def test_columns_have_the_heights_of_their_values() -> None:
    root = ET.fromstring(plot("x", [Series("KALE", ["mon", "tue"], [5.0, 10.0])]))
    low, high = [float(rect.attrib["height"]) for rect in root.iter(f"{SVG}rect")][1:]
    assert high == pytest.approx(2 * low, rel=0.01)


def test_farmers_are_ranked_and_those_beyond_twenty_added_up() -> None:
    shown = words(plot("x", [Rank("KALE", [(f"f-{number:02}", float(number)) for number in range(25)])]))
    names = [word for word in shown if word.startswith("f-")]
    assert names == [f"f-{number:02}" for number in range(24, 4, -1)]
    assert "5 more" in shown
    assert "10.00" in shown  # 0 + 1 + 2 + 3 + 4


def test_an_empty_panel_says_so() -> None:
    assert words(plot("x", [Series("KALE", [], []), Rank("rank", [])])).count("nothing yet") == 2


@given(st.floats(1e-9, 1e15))
def test_axes_have_round_steps_and_few_of_them(most: float) -> None:
    step = step_of(most)
    assert most / 5.000001 <= step <= most * 1.000001  # at least one step, at most five
    assert f"{step:e}"[0] in "125"


@pytest.mark.parametrize(("most", "step"), [(0, 1), (1, 0.2), (1.1, 0.5), (5, 1), (49, 10), (51, 20)])
def test_steps_are_those_that_people_count_in(most: float, step: float) -> None:
    assert step_of(most) == pytest.approx(step)


def test_what_was_planned_is_marked_and_named_and_what_matters_stands_on_top() -> None:
    svg = plot("x", [Series("KALE", ["mon", "tue"], [5.0, 8.0], planned=[10.0, None])], [("KALE", "13.0")])
    assert words(svg)[:3] == ["x", "13.0", "KALE"]
    assert "planned" in words(svg)
    assert svg.count('stroke-width="3"') == 2  # one mark, one in the key
    assert "planned" not in words(plot("x", [Series("KALE", ["mon"], [5.0], planned=[None])]))
