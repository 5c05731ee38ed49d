"""The live screen of ``mine``: what it shows at which size."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from kalepool.cli.live import draw
from kalepool.core.farm import Block
from kalepool.core.farmers import FarmerState
from kalepool.services.picture import Picture, Seat
from kalepool.services.stopping import Phase

BLOCK = Block(
    timestamp=1_000,
    min_gap=2,
    max_gap=47,
    min_stake=0,
    max_stake=6_500_000,
    min_zeros=5,
    max_zeros=9,
    entropy=bytes(32),
    staked_total=0,
    normalized_total=0,
)
LINES = [f"00:19:{number:02} line {number}" for number in range(60)]


def seats(count: int) -> dict[int, Seat]:
    return {
        number: Seat(
            name=f"farmer-{number}",
            planted=True,
            worked=number % 2 == 0,
            stake=12_345_678 * number,
            zeros=6 if number % 2 == 0 else None,
            best=5 + number % 4,
            is_under_way=number % 5 == 0,
        )
        for number in range(1, count + 1)
    }


def picture(count: int) -> Picture:
    return Picture(
        now=1_142.0,
        ledger=123_456,
        close_time=1_140,
        ledger_seconds=5.6,
        index=183_487,
        block=BLOCK,
        age=142.0,
        due_at=1_300.0,
        farmers={FarmerState.ACTIVE: count, FarmerState.PAUSED: 2},
        seats=seats(count),
        hashes_per_second=41_200_000.0,
        operator_xlm=123_456_789_012,
        waits_for="work of farmer-3",
        waits_until=1_183.0,
        phase=Phase.RUNNING,
    )


def drawn(shown: Picture, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(draw(shown, "mainnet", LINES, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip("\n").splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 50), (120, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("count", [0, 1, 3, 20, 1_000])
def test_it_fits_whatever_the_size_and_fills_it(count: int, width: int, height: int) -> None:
    lines = drawn(picture(count), width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert lines[-1] == LINES[-1]


def test_what_the_operator_wants_to_know_is_there_at_80_columns() -> None:
    text = "\n".join(drawn(picture(3), 80, 24))
    for wanted in (
        "kalepool mine  mainnet",
        "ledger 123,456",
        "00:19:02",
        "183,487",
        "142 s, next due in 158 s",
        "gap 2 to 47, zeros 5 to 9, stake up to 0.65",
        "3 active, 2 paused",
        "planted 3",
        "worked 1",
        "41.2 Mh/s",
        "8 zeros, farmer-3",
        "12,345.68 XLM",
        "work of farmer-3, 41 s",
    ):
        assert wanted in text
    rows = {line.split()[0]: line.split()[1:] for line in drawn(picture(3), 80, 24) if "farmer-" in line[:8]}
    assert rows["farmer-1"] == ["1.2346", "6", "planted"]
    assert rows["farmer-2"] == ["2.4691", "6", "worked"]


def test_more_farmers_than_rows_are_counted_by_zeros() -> None:
    lines = drawn(picture(1_000), 80, 24)
    assert [line.split()[:2] for line in lines if "█" in line] == [[str(z), "250"] for z in (8, 7, 6, 5)]


def test_a_wide_screen_has_two_columns_of_farmers() -> None:
    assert any("farmer-1 " in line and "farmer-11" in line for line in drawn(picture(20), 120, 40))


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"block": None, "age": None, "due_at": None}, "is not open"),
        ({"age": 320.0, "now": 1_320.0}, "next due since 20 s"),
        ({"held_back": "the day's fees are spent"}, "held back the day's fees are spent"),
        ({"is_stale": True}, "the network stands still"),
        ({"phase": Phase.STOPPING}, "stopping: open pails are worked"),
        ({"hashes_per_second": 2.5e9}, "2.50 Gh/s"),
        ({"operator_xlm": None}, "unknown XLM"),
        ({"seats": {}}, "none yet"),
        ({"block": replace(BLOCK, max_gap=0, max_zeros=0)}, "none: nobody worked before it"),
    ],
)
def test_each_state_is_told(changed: dict[str, object], wanted: str) -> None:
    shown = replace(picture(3), **changed)  # type: ignore[arg-type]
    assert wanted in "\n".join(drawn(shown, 80, 24))
