"""``kalepool report`` as an operator and a script meet it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.wording import ago, amount, duration, percent, rounded
from support.desk import Desk
from support.field_day import live_through

if TYPE_CHECKING:
    from pathlib import Path

SCREEN = """\
from the beginning to 2025-10-10T00:07:30Z
earned and lost in KALE, fees in XLM

farmer    planted  worked  harvest   gap  zeros  earned    lost    fees
───────────────────────────────────────────────────────────────────────
farmer-1        4       3        3  20.0    6.0  2.7000  0.0000  0.0000
farmer-2        3       2        1  20.0    6.0  0.9000  1.0000  0.0000
───────────────────────────────────────────────────────────────────────
total           7       5        4  20.0    6.0  3.6000  1.0000  0.0000

worked 71.4 % of what was planted, harvested 57.1 % so far
staked 3.5 KALE, 2 of it back
1 plant never landed
stakes lost: 0.5 KALE in 1 pail without work, 0.5 KALE in 1 that expired
fees for other things, such as funding: 0.0000007 XLM
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, monkeypatch, capsys)
    with desk.farm.pool() as pool:
        desk.farm.add_farmers(pool, 2)
        live_through(pool)
    return desk


def test_a_table_says_what_each_farmer_earned(desk: Desk) -> None:
    code, out, err = desk.run("report", "--since", "all")
    assert (code, err) == (0, "")
    assert [line.rstrip() for line in out.splitlines()] == [line.rstrip() for line in SCREEN.splitlines()]


def test_a_script_gets_amounts_in_stroops(desk: Desk) -> None:
    code, document = desk.json("report", "--since", "2025-10-10", "--by", "day")
    assert code == 0
    data = document["data"]
    assert (data["since"], data["until"]) == ("2025-10-10T00:00:00Z", "2025-10-10T00:07:30Z")
    (line,) = data["lines"]
    assert line["day"] == "2025-10-10"
    assert line["earned_stroops"] == data["total"]["earned_stroops"] == "9000000"
    assert (line["planted"], line["fees_stroops"], data["other_fees_stroops"]) == (3, "33", "7")
    assert line["work_rate"] == pytest.approx(2 / 3)


def test_csv_has_plain_numbers_and_a_row_a_line(desk: Desk) -> None:
    code, out, _ = desk.run("report", "--csv", "--by", "block")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["block"] for row in rows] == ["100", "101", "102", "103"]
    assert rows[0]["earned_kale"] == "1.8"
    assert rows[0]["fees_xlm"] == "0.0000034"
    assert rows[3]["mean_gap"] == ""


def test_a_new_pool_has_nothing_to_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, monkeypatch, capsys)
    code, out, _ = desk.run("report", "--since", "all")
    assert (code, out.splitlines()[-1]) == (0, "no pails")
    assert desk.json("report")[1]["data"]["lines"] == []
    assert len(desk.run("report", "--csv")[1].splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "moon"], "hint: it is by farmer, day or block"),
        (["--since", "moon"], "hint: write it like 24h, 7d, all or 2026-01-31 (UTC)"),
        (["--since"], "hint: see `kalepool report --help`"),
        (["--csv", "extra"], "hint: write it like: kalepool report statement NAME"),
    ],
)
def test_wrong_words_are_a_matter_of_usage(desk: Desk, words: list[str], said: str) -> None:
    code, _, hint = desk.refuses("report", *words)
    assert (code, hint) == (2, said)


def test_csv_and_json_at_once_are_refused(desk: Desk) -> None:
    code, document = desk.json("report", "--csv")
    assert (code, document["error"]["hint"]) == (2, "choose one")


def test_a_store_of_another_network_is_refused(desk: Desk) -> None:
    assert desk.refuses("report", "--network", "testnet")[0] == 3


@pytest.mark.parametrize(
    ("stroops", "exact", "short"),
    [
        (0, "0", "0.0000"),
        (1, "0.0000001", "0.0000"),
        (499, "0.0000499", "0.0000"),
        (500, "0.00005", "0.0001"),
        (-500, "-0.00005", "-0.0001"),
        (-1, "-0.0000001", "0.0000"),
        (12_345_678_901_234_567, "1,234,567,890.1234567", "1,234,567,890.1235"),
        (9_999_999, "0.9999999", "1.0000"),
    ],
)
def test_amounts_are_written_exactly_and_shortened_without_floats(
    stroops: int, exact: str, short: str
) -> None:
    assert (amount(stroops), rounded(stroops)) == (exact, short)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (172_800, "2 d"),
        (-5, "0 s"),
    ],
)
def test_ages_are_said_in_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said
    assert ago(seconds) == ("just now" if seconds < 1 else f"{said} ago")


@pytest.mark.parametrize(
    ("part", "said"), [(None, "-"), (1.0, "100 %"), (0.9999, "99.9 %"), (0.5, "50.0 %"), (0.0, "0.0 %")]
)
def test_only_all_of_it_is_a_hundred_per_cent(part: float | None, said: str) -> None:
    assert percent(part) == said
