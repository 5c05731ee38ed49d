"""``kalepool doctor`` as an operator meets it: before ``init``, after it, and when something is wrong."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from kalepool import checkup
from kalepool.core.facts import CONTRACT_CODE
from kalepool.core.health import Engine
from support.desk import Desk
from support.virtual import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    # Timing the engine takes a second, and has a test of its own.
    monkeypatch.setattr(checkup, "look_at_engine", quick)
    desk = Desk(tmp_path, monkeypatch, capsys)
    with desk.farm.pool() as pool:
        desk.farm.add_farmers(pool, 2)
        desk.farm.add_channels(pool)
    return desk


def quick(_: object) -> Engine:
    return Engine({"portable": ""}, 40.0, 2)


def rows(document: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["result"] for check in document["data"]["checks"]}


def test_a_pool_that_can_mine_is_told_so(desk: Desk) -> None:
    code, document = desk.json("doctor")
    assert code == 0
    assert "fail" not in rows(document).values()
    assert rows(document)["node 127.0.0.1:8000"] == "ok"


def test_every_row_that_is_not_well_says_what_to_do(desk: Desk) -> None:
    _, document = desk.json("doctor")
    for check in document["data"]["checks"]:
        assert bool(check["hint"]) == (check["result"] != "ok"), check


def test_the_table_fits_eighty_columns(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "")
    code, out, err = desk.run("doctor", "--offline")
    assert (code, err) == (0, "")
    assert "warn  backup" in out
    assert "-> make one elsewhere: kalepool db backup FILE" in out
    assert "node" not in out


def test_nothing_is_asked_and_nothing_changed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KALEPOOL_PASSPHRASE")
    before = desk.fingerprint()
    assert desk.run("doctor")[0] == 0
    assert desk.fingerprint() == before


def test_before_init_a_fit_machine_is_no_failure(desk: Desk) -> None:
    (desk.folder / "kalepool.db").unlink()
    (desk.folder / "kalepool.vault").unlink()
    code, document = desk.json("doctor")
    found = rows(document)
    assert code == 0
    assert found["store"] == found["vault"] == found["configuration"] == "warn"
    assert found["contract"] == "ok"
    hints = {check["hint"] for check in document["data"]["checks"] if check["name"] in {"store", "vault"}}
    assert hints == {"make it: kalepool init"}


def test_without_a_network_the_nodes_fail_and_the_rest_is_shown(desk: Desk) -> None:
    desk.farm.transport.change = lambda *_: {}
    code, out, err = desk.run("doctor")
    assert code == 3
    assert "fail  node 127.0.0.1:8000" in out
    assert "-> start it with: kalepool devnet" in out
    assert "error: 1 of " in err
    assert "hint: " in err
    assert desk.json("doctor")[1]["ok"] is False


def test_a_wrong_network_is_named(desk: Desk) -> None:
    def elsewhere(_: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        return result | {"passphrase": "elsewhere"} if method == "getNetwork" else result

    desk.farm.transport.change = elsewhere
    code, out, _ = desk.run("doctor")
    assert code == 3
    assert "is not on the network 'kalepool local network'" in " ".join(out.split())


def open_store_to_others(folder: Path) -> None:
    (folder / "kalepool.db").chmod(0o644)


def open_vault_to_others(folder: Path) -> None:
    (folder / "kalepool.vault").chmod(0o640)


def spoil_store(folder: Path) -> None:
    (folder / "kalepool.db").write_bytes(b"no store" * 1_000)
    (folder / "kalepool.db").chmod(0o600)


def spoil_vault(folder: Path) -> None:
    (folder / "kalepool.vault").write_text("{}")


def misspell_key(folder: Path) -> None:
    (folder / "kalepool.toml").write_text("[mining]\nthread = 2\n")


def open_configuration_to_others(folder: Path) -> None:
    (folder / "kalepool.toml").write_text("")
    (folder / "kalepool.toml").chmod(0o666)


@pytest.mark.parametrize(
    ("harm", "row"),
    [
        (open_store_to_others, "store"),
        (open_vault_to_others, "vault"),
        (spoil_store, "store"),
        (spoil_vault, "vault"),
        (misspell_key, "configuration"),
        (open_configuration_to_others, "configuration"),
    ],
)
def test_what_stands_in_the_way_is_a_row_that_failed(desk: Desk, harm: Any, row: str) -> None:
    harm(desk.folder)
    code, document = desk.json("doctor")
    assert (code, rows(document)[row]) == (3, "fail")
    assert document["error"]["message"].endswith(f"checks failed: {row}")
    assert all(check["hint"] for check in document["data"]["checks"] if check["name"] == row)


def test_agreeing_to_code_is_remembered_and_audited(desk: Desk) -> None:
    with desk.farm.pool() as pool:
        code = run(pool.chain.snapshot([])).wasm_hash.hex()
        pool.facts.put(CONTRACT_CODE, "ab" * 32)
    assert desk.json("doctor")[0] == 3
    exit_code, out, _ = desk.run("doctor", "--agree-contract", code)
    assert (exit_code, out) == (0, f"agreed to code {code}\n")
    with desk.farm.pool() as pool:
        assert pool.facts.get(CONTRACT_CODE) == code
        (row,) = pool.audit.rows()
        assert row.what == f"agreed to the contract's code {code}, before {'ab' * 32}"
    assert desk.json("doctor")[0] == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [(["ab" * 32], 2), (["short"], 2), (["ab" * 32, "--offline"], 2), ([], 2)],
)
def test_agreeing_to_something_else_changes_nothing(desk: Desk, words: list[str], code: int) -> None:
    assert desk.refuses("doctor", "--agree-contract", *words)[0] == code


def test_agreeing_takes_the_right_passphrase(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk.farm.pool() as pool:
        code = run(pool.chain.snapshot([])).wasm_hash.hex()
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", "wrong")
    assert desk.refuses("doctor", "--agree-contract", code)[0] == 3


def test_the_engine_is_tested_and_timed_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, monkeypatch, capsys)
    with desk.farm.pool() as pool:
        engine = checkup.look_at_engine(pool)
    assert "portable" in engine.kernels
    assert not any(engine.kernels.values())
    assert engine.mhs > 0
    assert stat.S_IMODE((tmp_path / "kalepool.db").stat().st_mode) == 0o600
