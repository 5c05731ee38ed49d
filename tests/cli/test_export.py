"""``db export``: every table in a file of its own, complete, private, and never over something else."""

from __future__ import annotations

import csv
import json
import stat
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.export import TABLES
from kalepool.core.records import PailRecord, PailState
from support.steading import Steading, enter

if TYPE_CHECKING:
    from pathlib import Path

GREAT = 2**53 + 1


@pytest.fixture
def steading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Steading:
    enter(tmp_path, monkeypatch)
    steading = Steading(tmp_path, capsys)
    steading.data("farmer", "add", "ada")
    with steading.pool() as pool:
        pool.pails.record([PailRecord(1, 7, PailState.PLANTED, GREAT, 100)])
        pool.books.post("x", [("a", "KALE", GREAT), ("b", "KALE", -GREAT)], at=1.0)
    return steading


def test_every_table_is_written_as_csv(steading: Steading) -> None:
    done = steading.data("db", "export", "out")
    assert (done["rows"]["farmers"], done["rows"]["pails"], done["rows"]["postings"]) == (1, 1, 2)
    folder = steading.folder / "out"
    assert {path.stem for path in folder.iterdir()} == done["rows"].keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    with (folder / "pails.csv").open(newline="") as file:
        (pail,) = csv.DictReader(file)
    assert (pail["block"], pail["stake"]) == ("7", str(GREAT))
    with (folder / "terms.csv").open(newline="") as file:
        (terms,) = csv.DictReader(file)
    assert len(bytes.fromhex(terms["seal"])) == 32


def test_amounts_survive_json(steading: Steading) -> None:
    steading.data("db", "export", "out", "--objects")
    folder = steading.folder / "out"
    (pail,) = json.loads((folder / "pails.json").read_text())
    assert (pail["block"], pail["stake"]) == (7, str(GREAT))
    assert json.loads((folder / "audit.json").read_text())[0]["who"] == "farmer add"
    assert json.loads((folder / "attempts.json").read_text()) == []


def test_no_table_that_says_what_happened_is_forgotten(steading: Steading) -> None:
    with steading.pool() as pool:
        tables = {name for (name,) in pool.store.all("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    tables = {name for name in tables if not name.startswith(("_sqlite", "sqlite"))}
    assert tables - TABLES.keys() == {
        "accounts",
        "brief_sequences",
        "door",
        "facts",
        "grinds",
        "home",
        "mining_lock",
        "owners",
        "view",
    }  # fmt: skip - what the program needs to run, and nobody to count


def test_nothing_is_written_over(steading: Steading) -> None:
    (steading.folder / "out").mkdir()
    assert steading.run("db", "export", "out")[0] == 3
    assert list((steading.folder / "out").iterdir()) == []
    assert steading.run("db", "export", "no/where")[0] == 3
