"""Wrong words where nothing has been made yet: what is wrong with them is told first, and nothing is made."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.app import main
from support.steading import Steading, enter

if TYPE_CHECKING:
    from pathlib import Path

HUGE = "1" + 400 * "0"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("KALEPOOL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nobody"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        ("report --by nonsense", 2, "a report is not by 'nonsense'", "it is by farmer, day or block"),
        ("report --since 3x", 2, "'3x' is no time to report from", "write it like 24h, 7d"),
        (f"report --since {HUGE}d", 2, "is no time to report from", "write it like 24h, 7d"),
        ("report --plot nowhere/report.svg", 2, "nowhere/report.svg cannot be written", "another --plot"),
        ("report statement", 2, "whose statement?", "kalepool report statement NAME"),
        ("report", 3, "there is no store at", "kalepool init"),
        ("payout", 3, "there is no store at", "kalepool init"),
        ("payout --now --confirm-restored", 2, "--confirm-restored stands alone", "confirm first"),
        ("db compact", 3, "there is no store at", "kalepool init"),
        ("db compact --keep-days 29", 2, "--keep-days 29 is out of range", "--keep-days is 30 to 36,500"),
        ("db verify --adopt", 2, "--adopt goes with --chain alone", "give --chain --adopt"),
        ("backtest --from-store", 3, "there is no store at", "kalepool init"),
        ("backtest --last 0", 2, "--last 0 is out of range", "--last is 1 to 1,000,000"),
        ("backtest --hashrate 0", 2, "--hashrate 0 is out of range", "is 0.000001 to 1,000,000"),
        ("backtest --price 1e400", 2, "--price inf is out of range", "--price is 0 to 1,000,000"),
        (f"backtest --farmers {HUGE}", 2, "--farmers 1000", "--farmers is 1 to 1,000"),
        (f"devnet --port {HUGE}", 2, "--port 1000", "--port is 0 to 65,535"),
        (f"demo --blocks {HUGE}", 2, "--blocks 1000", "--blocks is 1 to 50"),
        ("work --seconds nan", 2, "--seconds nan is out of range", "--seconds is 0 to 300"),
        ("farmer set ada --share 101", 2, "'101' is not a share", "0% to 100%"),
        ("farmer set ada --fee -1", 2, "'-1' is not a fee", "0% to 100%"),
        ("farmer set ada --share 1e400", 2, "'1e400' is not a share", "0% to 100%"),
        ("plan", 3, "there is no store at", "kalepool init"),
    ],
)
def test_wrong_words_are_told_before_the_pool_is_missed(
    empty: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, error: str, hint: str
) -> None:
    assert main(words.split()) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    told = shown.err.splitlines()
    assert [line.partition(": ")[0] for line in told] == ["error", "hint"]
    assert error in told[0]
    assert hint in told[1]
    assert max(map(len, told)) < 500
    assert list(empty.iterdir()) == []


def test_without_its_devnet_the_local_network_is_told_how_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steading = Steading(tmp_path, capsys)
    enter(tmp_path, monkeypatch)
    code, out, err = steading.run("plan", "--refresh")
    assert (code, out) == (4, "")
    assert err.splitlines()[1] == "hint: is the local network running? start it with: kalepool devnet"


def test_a_report_of_a_pool_that_saw_no_network_yet_has_no_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steading = Steading(tmp_path, capsys)
    enter(tmp_path, monkeypatch)
    assert steading.run("report") == (0, "the network was not looked at yet\nno pails\n", "")


def test_a_missing_pool_is_a_document_for_scripts(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json"]) == 3
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"]["code"] == "config"
    assert shown.err == ""
    assert list(empty.iterdir()) == []
