"""``kalepool report`` as an operator and a script meet it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.wording import ago, amount, duration, percent, rounded
from kalepool.core.forecasts import Forecast
from kalepool.core.reports import By
from support.desk import Desk
from support.field_day import FIRST, MIDNIGHT, live_through

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

87.5 % of all plants landed, 71.4 % of these were worked, 80.0 % of those harvested so far
staked 3.5 KALE, 2 of it back
1 plant never landed
stakes lost: 0.5 KALE in 1 pail without work, 0.5 KALE in 1 that expired; 0 KALE of it compensated by the pool
fees for other things, such as funding: 0.0000007 XLM
profit is shown once a price is known: see mining.kale_price_xlm in kalepool.toml
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


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_screen_never_sets_an_amount_beside_another_farmers_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    with desk.farm.pool() as pool:
        pool.store.execute("UPDATE farmers SET name = 'farmer-1-of-a-very-long-name' WHERE number = 1")
    monkeypatch.setenv("COLUMNS", str(width))
    out = desk.run("report", "--since", "all")[1].splitlines()
    first = next(place for place, line in enumerate(out) if line.startswith("farmer-1"))
    second = next(place for place, line in enumerate(out) if line.startswith("farmer-2"))
    assert first < second
    assert out[first].split()[1] == "4"
    assert out[second].split()[1] == "3"


def test_at_a_price_there_is_a_profit_to_the_stroop_and_the_price_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KALEPOOL_MINING_KALE_PRICE_XLM", "0.3")
    _, out, _ = desk.run("report", "--since", "all")
    assert "fees and profit in XLM, at 0.3 XLM a KALE (configured)" in out
    assert max(map(len, out.splitlines()[3:8])) <= 80
    assert (
        "profit after all fees: 0.779986" in out
    )  # (3.6 - 1.0) * 0.3, less 130 stroops of pails and 7 of others
    _, document = desk.json("report", "--since", "all")
    data = document["data"]
    assert data["price"] == {"xlm": 0.3, "source": "configured", "note": ""}
    assert [line["profit_xlm_stroops"] for line in data["lines"]] == ["8099900", "-300030"]
    assert (data["total"]["profit_xlm_stroops"], data["profit_xlm_stroops"]) == ("7799870", "7799863")
    rows = list(csv.DictReader(io.StringIO(desk.run("report", "--since", "all", "--csv")[1])))
    assert [row["profit_xlm"] for row in rows] == ["0.80999", "-0.030003"]


def test_without_a_price_there_is_no_profit(desk: Desk) -> None:
    _, document = desk.json("report", "--since", "all")
    assert document["data"]["profit_xlm_stroops"] is None
    assert document["data"]["total"]["profit_xlm_stroops"] is None
    assert "profit_xlm" not in desk.run("report", "--csv")[1]


def test_what_came_is_held_against_what_was_planned(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        planned = [Forecast(1, FIRST, 21, 6_500, 10_000_000), Forecast(2, FIRST + 1, 20, 5_500, 5_000_000)]
        # Of those that are not over yet nothing can be said.
        pool.pails.foretell([*planned, Forecast(1, FIRST + 3, 20, 6_000, 1)])
    _, document = desk.json("report", "--since", "all")
    one, two = (line["planned"] for line in document["data"]["lines"])
    assert one == {
        "pails": 1,
        "gap": 21.0,
        "zeros": 6.5,
        "earned_stroops": "10000000",
        "earned_of_it_stroops": "9000000",
        "earned_part": 0.9,
    }
    assert (two["pails"], two["earned_part"]) == (1, 0.0)  # forfeited
    total = document["data"]["total"]["planned"]
    assert (total["gap"], total["zeros"], total["earned_part"]) == (20.5, 6.0, 0.6)
    out = desk.run("report", "--since", "all")[1]
    assert "of plan: 0.90 of 1.50 KALE (60 %), gap 20.0 of 20.5, zeros 6.0 of 6.0" in out
    assert out.splitlines()[3].endswith("plan")
    assert out.splitlines()[5].endswith("90 %")
    rows = list(csv.DictReader(io.StringIO(desk.run("report", "--since", "all", "--csv")[1])))
    assert [(row["planned_gap"], row["planned_kale"]) for row in rows] == [("21.000", "1"), ("20.000", "0.5")]


@pytest.mark.parametrize("by", list(By))
def test_compensation_is_told_on_the_line_whose_pail_lost_the_stake(desk: Desk, by: By) -> None:
    with desk.farm.pool() as pool:
        pool.settling.settle()
        paid = [("owed:compensation:2", "KALE", -3_000_000), ("paid:compensation:2", "KALE", 3_000_000)]
        pool.books.post("pay:1", paid, at=MIDNIGHT)  # what was paid of it changes nothing here
    _, document = desk.json("report", "--since", "all", "--by", by.value)
    lines = {line[by.value]: line["compensated_stroops"] for line in document["data"]["lines"]}
    wanted = {
        By.FARMER: {"farmer-1": "0", "farmer-2": "10000000"},
        By.DAY: {"2025-10-09": "5000000", "2025-10-10": "5000000"},
        By.BLOCK: {"100": "0", "101": "5000000", "102": "5000000", "103": "0"},
    }
    assert lines == wanted[by]
    assert document["data"]["total"]["compensated_stroops"] == "10000000"


@pytest.mark.parametrize(
    ("since", "blocks"),
    [("24h", 4), ("7d", 4), ("30d", 4), ("all", 4), ("2025-10-10", 2), ("0h", 0), ("2025-10-11", 0)],
)
def test_a_report_begins_when_it_is_told_to(desk: Desk, since: str, blocks: int) -> None:
    _, document = desk.json("report", "--by", "block", "--since", since)
    assert len(document["data"]["lines"]) == blocks


def test_the_picture_has_earnings_ranks_and_the_hash_rate(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        pool.grinds.count(FIRST, 4_000_000_000, 100_000)
        pool.grinds.count(FIRST + 2, 9_000_000_000, 100_000)
        assert [(day.key, day.rate) for day in pool.reporting.hashed("all")] == [
            ("2025-10-09", 4e7),
            ("2025-10-10", 9e7),
        ]
        assert [day.key for day in pool.reporting.hashed("2025-10-10")] == ["2025-10-10"]
    code, _, err = desk.run("report", "--since", "all", "--plot", "picture.svg")
    drawn = (desk.folder / "picture.svg").read_text(encoding="utf-8")
    assert (code, "drew picture.svg" in err) == (0, True)
    for words in (
        "KALE earned by day",
        "KALE earned by farmer",
        "Hash rate by day, MH/s",
        "farmer-2",
        "10 Oct",
        "MH/s on average",
    ):
        assert words in drawn
    assert "nothing yet" not in drawn


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
        (["--since", "moon"], "hint: write it like 24h, 7d, 30d, all or 2026-01-31 (UTC)"),
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
