"""``kalepool backtest``: its table, its document, its picture, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.app import main

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ["backtest", "--last", "6", "--policy", "steady", "--farmers", "3"]


def test_the_document_has_every_player_with_amounts_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["first_block"], data["last_block"], data["farmers"]) == (11_356, 11_361, 3)
    players = {player["name"]: player for player in data["players"]}
    assert [player["kind"] for player in data["players"]] == [
        "policy",
        "bot",
        "bot",
        "clairvoyant",
        "clairvoyant",
    ]
    assert int(players["steady"]["kale_stroops_per_farmer_block"]) > 0
    assert players["clairvoyant"]["of_clairvoyant"] == 1


def test_the_table_is_the_same_each_time_and_the_picture_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for _ in range(2):
        assert main([*SHORT, "--plot", str(tmp_path / "x.svg"), "-q"]) == 0
        shown.append(capsys.readouterr())
    assert shown[0] == shown[1]
    assert "clairvoyant, twice" in shown[0].out
    assert (tmp_path / "x.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--policy", "greed"], "no policy 'greed'"),
        (["--farmers", "0"], "--farmers 0"),
        (["--hashrate", "0"], "--hashrate 0"),
        (["--stake", "101"], "--stake 101"),
        (["--last", "0"], "--last 0"),
        (["--blocks", "nowhere.csv"], "cannot be read"),
        (["--blocks", "x.csv", "--from-store"], "exclude each other"),
    ],
)
def test_what_cannot_be_is_a_matter_of_usage(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_a_store_there_is_nothing_to_replay_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["backtest", "--from-store"]) == 3
    assert "hint:" in capsys.readouterr().err
