"""Making and opening a store: what is made, and what is refused without harm."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.opening import create_store, open_store, read_store
from kalepool.adapters.store.schema import APPLICATION_ID, VERSION
from kalepool.errors import ConfigError, KalepoolError, LockedError
from support.store import HOME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalepool.adapters.store.db import Store


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_new_store_is_its_owners_alone_and_stands_in_one_file(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_files_beside_an_open_store_are_its_owners_alone(store: Store) -> None:
    with store.atomic():
        store.execute("INSERT INTO facts VALUES ('a', 'b', 1)")
    modes = {file.stat().st_mode & 0o777 for file in store.path.parent.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("foreign_keys", 1),
        ("synchronous", 1),
        ("busy_timeout", 5_000),
        ("application_id", APPLICATION_ID),
        ("user_version", VERSION),
    ],
)
def test_an_open_store_has_its_settings(store: Store, pragma: str, value: object) -> None:
    assert store.value(f"PRAGMA {pragma}") == value


def test_every_table_is_strict(store: Store) -> None:
    lax = store.all(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict "
        "AND name NOT LIKE '%sqlite_%'"
    )
    assert lax == []


def test_a_store_is_not_made_over_another_file(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("precious")
    with pytest.raises(ConfigError, match="there already"):
        create_store(taken, HOME)
    assert contents(tmp_path) == {"taken": b"precious"}


def test_a_store_that_appears_while_another_is_made_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = tmp_path / "late"
    monkeypatch.setattr("os.path.lexists", lambda _: late.write_text("first") == 0)
    with pytest.raises(ConfigError, match="there already"):
        create_store(late, HOME)
    assert contents(tmp_path) == {"late": b"first"}


def test_a_store_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made: No such file"):
        create_store(tmp_path / "nowhere" / "kalepool.db", HOME)


@pytest.mark.parametrize(
    ("home", "says"),
    [
        (replace(HOME, passphrase="Public"), "belongs to the network 'Test SDF"),
        (replace(HOME, contract="OTHER"), "belongs to the contract CONTRACT, not to OTHER"),
    ],
)
def test_a_store_belongs_to_one_network_and_contract(path: Path, home: object, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_store(path, home)  # type: ignore[arg-type]


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def of_somebody_else(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (dish TEXT)")
    path.chmod(0o600)


def homeless(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM home")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (newer, "made by a newer kalepool"),
        (lambda path: path.write_bytes(b"not a database " * 1_000), "not a kalepool store"),
        (lambda path: path.write_bytes(b""), "not a kalepool store"),
        (of_somebody_else, "not a kalepool store"),
        (lambda path: path.write_bytes(path.read_bytes()[:5_000]), "damaged"),
        (homeless, "belongs nowhere"),
        (lambda path: path.chmod(0o640), "can be read by others"),
        (lambda path: path.unlink(), "no store at"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line_with_a_hint_and_left_as_it_is(
    path: Path, harm: Callable[[Path], object], says: str
) -> None:
    harm(path)
    before = contents(path.parent)
    with pytest.raises(ConfigError, match=says) as refusal:
        open_store(path, HOME)
    assert refusal.value.hint
    assert "\n" not in refusal.value.message
    assert contents(path.parent).get(path.name) == before.get(path.name)


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 36, 0))
    with pytest.raises(ConfigError, match="too old"):
        open_store(path, HOME)


def fill(store: Store) -> None:
    store.execute(f"PRAGMA max_page_count = {store.value('PRAGMA page_count')}")


def close_for_writing(store: Store) -> None:
    store.execute("PRAGMA query_only = ON")


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [(fill, ConfigError, "the disk is full"), (close_for_writing, ConfigError, "cannot be written to")],
)
def test_a_write_that_the_disk_refuses_changes_nothing(
    store: Store, state: Callable[[Store], None], kind: type[KalepoolError], says: str
) -> None:
    state(store)
    with pytest.raises(kind, match=says), store.atomic():
        store.execute("INSERT INTO facts VALUES ('a', 'b', 1)")
        store.execute("INSERT INTO facts VALUES ('big', ?, 1)", ("x" * 1_000_000,))
    assert store.all("SELECT * FROM facts") == []


def test_a_store_that_another_process_keeps_busy_is_locked(path: Path, store: Store) -> None:
    store.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockedError, match="busy"), store.atomic():
            pass


def test_a_store_opened_to_read_is_not_written_to(path: Path) -> None:
    with read_store(path) as store, pytest.raises(ConfigError, match="cannot be written"):
        store.execute("INSERT INTO facts VALUES ('a', 'b', 1)")


def test_reading_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no store at"):
        read_store(tmp_path / "nothing")
