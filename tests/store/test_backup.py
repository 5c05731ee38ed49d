"""Backups and verification: a copy is whole or is not there, and what is wrong is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.audit import StoreAudit
from kalepool.adapters.store.backup import back_up
from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.facts import StoreFacts
from kalepool.adapters.store.opening import open_store, read_store
from kalepool.adapters.store.pails import StorePails
from kalepool.adapters.store.verify import verify
from kalepool.core.facts import RESTORED
from kalepool.core.intents import State
from kalepool.core.postings import FEES
from kalepool.core.records import PailRecord, PailState
from kalepool.errors import ConfigError
from support.store import HOME, SEAL, HandClock, add_farmers, attempt, plant

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.journal import StoreJournal


@pytest.fixture
def lived_in(store: Store, journal: StoreJournal) -> Store:
    """A store with a bit of everything: intents 1 settled, 2 sent, 3 planned, 4 expired."""
    add_farmers(store, 2)
    journal.plan_all([plant(number) for number in (1, 2, 3, 4)])
    journal.sign_all([(number, attempt(source=f"G{number}")) for number in (1, 2, 4)])
    journal.settle(1, (("operator", "XLM", -300), (FEES, "XLM", 300)), at=9.0)
    journal.mark([2], State.SENT)
    journal.mark([4], State.EXPIRED)
    StorePails(store).record([PailRecord(number, 7, PailState.PLANNED, 5) for number in (1, 2)])
    StoreAudit(store, HandClock()).append("operator", "init", lambda *_: SEAL)
    return store


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    tables = store.all("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name: store.all(f"SELECT * FROM {name}") for (name,) in tables}


def test_a_sound_store_has_no_findings(lived_in: Store) -> None:
    assert verify(lived_in) == []


def test_a_backup_holds_everything_and_is_its_owners_alone(lived_in: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    back_up(lived_in, target, now=5_000.0)
    assert target.stat().st_mode & 0o777 == 0o600
    with read_store(target) as copy:
        assert verify(copy) == []
        assert rows(copy) | {"facts": []} == rows(lived_in)


def test_a_backup_opens_as_a_store_that_knows_it_was_restored(lived_in: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    back_up(lived_in, target, now=5_000.0)
    with open_store(target, HOME) as restored:
        assert StoreFacts(restored, HandClock()).get(RESTORED) == "5000"
    assert StoreFacts(lived_in, HandClock()).get(RESTORED) is None


def test_a_backup_is_of_one_moment_while_others_write(lived_in: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with open_store(lived_in.path, HOME) as other, other.atomic():
        StoreBooks(other).post("a", (("x", "XLM", 1), ("y", "XLM", -1)), at=1.0)
        back_up(lived_in, target, now=5_000.0)
    with read_store(target) as copy:
        assert StoreBooks(copy).balance("x", "XLM") == 0


def test_a_backup_takes_no_other_files_place(lived_in: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")
    with pytest.raises(ConfigError, match="there already"):
        back_up(lived_in, target, now=5_000.0)
    assert target.read_text() == "precious"


def sabotage(store: Store, *statements: str) -> None:
    """Do what the rules of the store forbid, as a hand with another program could."""
    store.execute("PRAGMA foreign_keys = OFF")
    for (trigger,) in store.all("SELECT name FROM sqlite_schema WHERE type = 'trigger'"):
        store.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        store.execute(statement)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE postings SET stroops = 301 WHERE account = 'xlm:fees'", "do not sum to zero"),
        ("UPDATE postings SET at = 8", "of another time"),
        ("DELETE FROM postings", "entries without postings"),
        ("UPDATE balances SET stroops = 301 WHERE account = 'xlm:fees'", "balances that differ"),
        ("DELETE FROM balances", "postings that differ from their balances"),
        ("UPDATE intent_items SET open = 1 WHERE intent = 1", "held by closed intents"),
        ("UPDATE intent_items SET open = 0 WHERE intent = 2", "let go by open intents"),
        ("DELETE FROM attempts WHERE intent = 2", "without an attempt"),
        ("UPDATE intents SET state = 'planned' WHERE number = 2", "planned intents with an attempt"),
        ("UPDATE attempts SET verdict = 'open' WHERE intent = 4", "left open"),
        ("UPDATE intents SET state = 'failed' WHERE number = 1", "not settled"),
        ("UPDATE pail_totals SET count = 2 WHERE farmer = 1", "totals that differ"),
        ("DELETE FROM pail_totals", "pails that differ"),
        ("UPDATE pail_fees SET stroops = 299", "fees of pails that differ"),
        ("DELETE FROM pail_fees", "fees of pails that differ"),
        ("INSERT INTO pail_fees VALUES (9, 1, 5)", "fees of pails that the books do not have"),
        ("UPDATE day_fees SET stroops = 299", "fees of days that differ"),
        ("DELETE FROM terms WHERE farmer = 1", "without terms"),
        ("UPDATE farmers SET state = 'active' WHERE number = 1", "leads elsewhere"),
        ("UPDATE audit SET number = 2", "gaps in the audit log"),
        ("UPDATE intents SET owner = 99 WHERE number = 3", "a reference to nothing: intents -> owners"),
    ],
)
def test_what_cannot_have_been_is_found_and_not_backed_up(
    lived_in: Store, tmp_path: Path, statement: str, finding: str
) -> None:
    sabotage(lived_in, statement)
    assert [line for line in verify(lived_in) if finding in line]
    with pytest.raises(ConfigError, match="not sound"):
        back_up(lived_in, tmp_path / "copy.db", now=5_000.0)
    assert not (tmp_path / "copy.db").exists()


def test_many_findings_of_a_kind_are_counted_and_some_shown(store: Store) -> None:
    sabotage(store, "INSERT INTO audit VALUES (100, 0, '', '', zeroblob(32))")
    add_farmers(store, 8)
    store.execute("DELETE FROM terms")
    assert "farmers without terms from block 0: 8 (1, 2, 3, 4, 5, ...)" in verify(store)


def test_damage_to_the_file_is_found(lived_in: Store) -> None:
    path, page = lived_in.path, lived_in.value("PRAGMA page_size")
    root = lived_in.value("SELECT rootpage FROM sqlite_schema WHERE name = 'postings_by_account'")
    lived_in.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    with read_store(path) as damaged:
        assert verify(damaged)[0].startswith("the file: ")
