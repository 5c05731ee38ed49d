"""``kalepool plan``: from the store's last view, without a passphrase; or from the network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.cli.app import main
from kalepool.config import load
from kalepool.core.facts import POOL_READINGS
from kalepool.core.farm import Block
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.prices import Readings, Reserves
from kalepool.core.records import BlockRecord, PailRecord, PailState, View
from kalepool.networks import NETWORKS
from support.vault import secret

if TYPE_CHECKING:
    from pathlib import Path

OPENED, INDEX = 1_700_000_000, 40
BLOCK = Block(OPENED, 0, 47, 0, 1_000_0000000, 5, 9, b"\1" * 32, 0, 0)
ADDRESS = "GBQHTQ7NTSKHVTSVM6EHUO3TU4P4BK2TAAII25V2TT2Q6OWXUJWEKALE"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A store of one farmer, in a working folder without a vault or a passphrase."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KALEPOOL_PASSPHRASE", raising=False)
    local = NETWORKS["local"]
    create_store(tmp_path / "kalepool.db", Home(local.passphrase, local.kale))
    pool = Pool(load(None, {}, tmp_path), "test", lambda: secret("unused"))
    farmer = Farmer(0, "ann", ADDRESS, Custody.CUSTODIAL, FarmerState.ACTIVE, 0, Terms())
    pool.farmers.add([farmer], who="test", seal=lambda _: bytes(32))
    return pool


def seen(pool: Pool, *pails: PailRecord) -> None:
    pool.blocks.record([BlockRecord(INDEX, BLOCK, 20_000, opened_ledger=500)])
    pool.pails.record(pails)
    pool.views.save(View(520, OPENED + 100, INDEX, False, 10**9, 40_000_000, 0.0))
    pool.close()


def test_a_store_that_has_seen_nothing_says_how_to_look(
    store: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    store.close()
    assert main(["plan"]) == 3
    assert "--refresh" in capsys.readouterr().err


def test_the_plan_says_what_and_why_and_needs_no_passphrase(
    store: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    seen(store)
    assert main(["plan", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["policy"], data["block"], data["ledger"]) == ("steady", INDEX, 520)
    assert int(data["worth"]["zero_stroops"]) > 0
    plant, grind, wait = data["actions"]
    assert (plant["action"], plant["farmer"], plant["block"]) == ("plant", "ann", INDEX)
    assert "balance is unknown" in plant["reason"]
    assert (grind["action"], grind["cap"]) == ("grind", 9)
    assert wait["action"] == "wait"
    assert all(action["reason"] for action in data["actions"])


def test_a_planted_farmer_is_shown_with_the_ledger_of_his_work(
    store: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    seen(store, PailRecord(1, INDEX, PailState.PLANTED, 5, planted_ledger=501, live_until=20_000))
    assert main(["plan", "--json"]) == 0
    (work,) = json.loads(capsys.readouterr().out)["data"]["works"]
    assert (work["farmer"], work["ledger"], work["worked"]) == ("ann", 501 + 47, False)
    assert work["reason"].endswith("until delays are known")
    assert main(["plan"]) == 0
    shown = capsys.readouterr().out
    assert "policy steady, block 40, 100 s old" in shown
    assert (
        "work    1 due        for ledger 548, about 2023-11-14T22:17:20Z: gap 47, up to 47 counts; 3 led"
        in shown
    )
    assert "zeros 5 to 9" in shown


def test_the_policy_is_the_configured_one(
    store: Pool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(store)
    monkeypatch.setenv("KALEPOOL_MINING_POLICY", "manual")
    monkeypatch.setenv("KALEPOOL_MANUAL_ZEROS", "7")
    assert main(["plan", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["policy"] == "manual"
    assert [action["cap"] for action in data["actions"] if action["action"] == "grind"] == [7]


def test_the_price_and_where_it_comes_from_are_shown(
    store: Pool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.facts.put(POOL_READINGS, Readings().taken(INDEX - 1, Reserves(kale=400, xlm=10)).packed())
    seen(store)
    assert main(["plan"]) == 0
    assert "price   not known\n" in capsys.readouterr().out
    monkeypatch.setenv("KALEPOOL_MINING_KALE_PRICE_XLM", "0.5")
    assert main(["plan"]) == 0
    assert "price   0.5 XLM a KALE (configured)" in capsys.readouterr().out
    monkeypatch.setenv("KALEPOOL_MINING_KALE_PRICE_FROM_POOL", "true")
    assert main(["plan"]) == 0
    assert "price   0.025 XLM a KALE (liquidity pool, block 39)" in capsys.readouterr().out
    assert main(["plan", "--json"]) == 0
    price = json.loads(capsys.readouterr().out)["data"]["price"]
    assert price == {"xlm": 0.025, "source": "liquidity pool, block 39", "note": ""}


def test_without_a_network_a_refresh_can_be_tried_again(
    store: Pool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.close()
    monkeypatch.setenv("KALEPOOL_NETWORK_RPC", "http://127.0.0.1:9")
    assert main(["plan", "--refresh"]) == 4
    assert "hint:" in capsys.readouterr().err
