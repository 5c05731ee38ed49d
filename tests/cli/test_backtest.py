"""``kalepool backtest``: its table, its document, its picture, and what it refuses."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from kalepool.adapters.store.opening import Home, create_store
from kalepool.backtest.compare import compare
from kalepool.backtest.recording import mainnet
from kalepool.bootstrap import Pool
from kalepool.cli.app import main
from kalepool.cli.commands.backtest import render
from kalepool.config import load
from kalepool.core.records import BlockRecord
from kalepool.core.strategy import POLICIES
from kalepool.networks import NETWORKS
from support.vault import secret

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


def test_no_figure_is_cut_off_at_80_columns() -> None:
    result = compare(mainnet()[:2], [*POLICIES.values()], farmers=2, hashrate=4e7, stake=0, seed=1)
    written = io.StringIO()
    render(Console(width=80, file=written), result)
    shown = written.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    assert all(f"{row.xlm:.5f}" in shown for row in result.rows)
    assert max(map(len, shown.splitlines())) <= 80


def test_what_the_pool_recorded_is_replayed_from_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    local = NETWORKS["local"]
    create_store(tmp_path / "kalepool.db", Home(local.passphrase, local.kale))
    assert main(["backtest", "--from-store"]) == 2
    assert "mine some blocks first" in capsys.readouterr().err
    pool = Pool(load(None, {}, tmp_path), "test", lambda: secret("unused"))
    pool.blocks.record([BlockRecord(one.index, one.block, 99) for one in mainnet()[:5]])
    pool.close()
    for words, first in (([], 11_023), (["--last", "2"], 11_025)):
        assert (
            main(["backtest", "--from-store", "--policy", "steady", "--farmers", "1", "--json", *words]) == 0
        )
        data = json.loads(capsys.readouterr().out)["data"]
        assert (data["first_block"], data["last_block"]) == (first, 11_026)


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
