"""From older stores to newer ones: every step and its record in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlite_utils import Migrations

from kalepool.adapters.store.books import Entry, post_all
from kalepool.adapters.store.db import Store
from kalepool.adapters.store.migrations import STEPS, migrate
from kalepool.adapters.store.opening import open_store
from kalepool.adapters.store.pails import StorePails
from kalepool.adapters.store.schema import VERSION
from kalepool.adapters.store.verify import verify
from kalepool.core.records import PailRecord, PailState
from kalepool.errors import ConfigError, InternalError
from support.store import HOME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlite_utils import Database

NAMES = [step.name for step in STEPS._migrations]


MADE_UP = f"{VERSION + 1} made up"


def with_another(another: Callable[[Database], None]) -> Migrations:
    steps = Migrations("kalepool")
    for step in STEPS._migrations:
        steps(name=step.name)(step.fn)
    steps(name=MADE_UP)(another)
    return steps


def add_weather(db: Database) -> None:
    db.conn.execute("ALTER TABLE blocks ADD COLUMN weather TEXT NOT NULL DEFAULT 'fair'")


def fail_half_way(db: Database) -> None:
    add_weather(db)
    db.conn.execute("INSERT INTO nowhere VALUES (1)")


def leave_an_orphan(db: Database) -> None:
    db.conn.execute("PRAGMA defer_foreign_keys = ON")
    db.conn.execute("INSERT INTO mining_lock VALUES (1, 99, 0)")


def schema(store: Store) -> list[tuple[object, ...]]:
    return store.all("SELECT type, name, sql FROM sqlite_schema ORDER BY name")


def test_the_newest_version_is_the_number_of_steps() -> None:
    assert len(NAMES) == VERSION


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_a_store_of_each_version_opens_as_the_newest(tmp_path: Path, version: int) -> None:
    path = tmp_path / "older.db"
    path.touch(mode=0o600)
    with Store(path) as store:
        stop = NAMES[version] if version < VERSION else None
        assert migrate(store, stop_before=stop) == version
        store.execute("INSERT INTO home VALUES (1, ?, ?)", (HOME.passphrase, HOME.contract))
    with open_store(path, HOME) as store:
        assert store.value("PRAGMA user_version") == VERSION


def test_a_step_is_taken_and_recorded_once(store: Store) -> None:
    steps = with_another(add_weather)
    assert migrate(store, steps) == VERSION + 1
    assert migrate(store, steps) == VERSION + 1
    assert store.value("PRAGMA user_version") == VERSION + 1
    assert store.all("SELECT name FROM _sqlite_migrations") == [(name,) for name in [*NAMES, MADE_UP]]


def test_rows_live_through_a_step(store: Store) -> None:
    store.execute("INSERT INTO blocks VALUES (7, 0, 1, 2, 3, 4, 5, 6, ?, 8, '9', 10, 11)", (bytes(32),))
    migrate(store, with_another(add_weather))
    assert store.all("SELECT block, weather FROM blocks") == [(7, "fair")]


@pytest.mark.parametrize(("step", "kind"), [(fail_half_way, Exception), (leave_an_orphan, ConfigError)])
def test_a_step_that_fails_leaves_the_store_as_it_was(
    store: Store, step: Callable[[Database], None], kind: type[Exception]
) -> None:
    before = schema(store), store.all("SELECT * FROM _sqlite_migrations")
    with pytest.raises(kind):
        migrate(store, with_another(step))
    assert (schema(store), store.all("SELECT * FROM _sqlite_migrations")) == before
    assert store.value("PRAGMA user_version") == VERSION
    assert store.all("SELECT * FROM mining_lock") == []


def test_two_that_migrate_at_once_take_each_step_once(store: Store) -> None:
    with Store(store.path) as other:
        migrate(other, with_another(add_weather))
        assert migrate(store, with_another(add_weather)) == VERSION + 1


def test_a_broken_rule_of_the_store_is_a_bug_to_the_caller(store: Store) -> None:
    with pytest.raises(InternalError, match="FOREIGN KEY"):
        store.execute("INSERT INTO mining_lock VALUES (1, 99, 0)")


def test_fees_booked_before_they_were_counted_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    path.touch(mode=0o600)
    fee = (("operator", "XLM", -7), ("xlm:fees", "XLM", 7))
    with Store(path) as store:
        migrate(store, stop_before=NAMES[1])
        store.execute("INSERT INTO home VALUES (1, ?, ?)", (HOME.passphrase, HOME.contract))
        store.execute("INSERT INTO owners VALUES (1, 'mine', 'h', 'm', 1, 's', 0, 0, 0)")
        store.execute("INSERT INTO intents VALUES (1, 'harvest', 'harvest:1', 'settled', 1, '', 0)")
        store.execute("INSERT INTO intents VALUES (2, 'plant', 'plant:4:8', 'failed', 1, '', 0)")
        store.execute_many(
            "INSERT INTO intent_items VALUES (?, ?, 0)", [(1, "pail:3:9"), (1, "pail:3:10"), (2, "pail:4:8")]
        )
        store.execute("INSERT INTO attempts VALUES (2, 1, 'ab', '[]', 'GA', 1, x'', 0, 0, 'dead')")
        post_all(
            store,
            [
                Entry("intent:1", fee, at=86_400.0, intent=1),
                Entry("failed:ab", fee, at=86_500.0),
                Entry("elsewhere", fee, at=200_000.0),
            ],
        )
    with open_store(path, HOME) as store:
        assert store.all("SELECT * FROM pail_fees") == [(8, 4, 7), (9, 3, 3), (10, 3, 4)]
        assert store.all("SELECT * FROM day_fees") == [(1, 14), (2, 7)]
        assert store.all("SELECT * FROM other_fees") == [(3, 200_000.0, 7)]


def test_pails_of_an_older_store_keep_their_rows_rules_and_totals(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    path.touch(mode=0o600)
    with Store(path) as store:
        migrate(store, stop_before=NAMES[3])
        store.execute("INSERT INTO home VALUES (1, ?, ?)", (HOME.passphrase, HOME.contract))
        store.execute("INSERT INTO farmers VALUES (1, 'farmer-1', 'GA', 'custodial', 'active', 0, NULL)")
        store.execute("INSERT INTO pails VALUES (7, 1, 'harvested', 500, 60, 15, 7, 900, 9000, 'so')")
        store.execute("INSERT INTO pails VALUES (8, 1, 'planted', 500, 60, NULL, NULL, NULL, 9000, '')")
        before = {
            row
            for row in store.all("SELECT type, name FROM sqlite_schema WHERE tbl_name = 'pails'")
            if not str(row[1]).startswith("sqlite_")
        }
        migrate(store, stop_before=NAMES[4])
        assert before <= set(store.all("SELECT type, name FROM sqlite_schema WHERE tbl_name = 'pails'"))
    with open_store(path, HOME) as store:
        whole, planted = StorePails(store).in_blocks(7, 8)
        assert whole == PailRecord(1, 7, PailState.HARVESTED, 500, 60, 15, 7, 900, 9000, "so")
        assert StorePails(store).alive() == [planted]
        StorePails(store).record([replace(planted, state=PailState.HARVESTED, reward=0, lost=500)])
        with pytest.raises(InternalError, match="never forgotten"):
            store.execute("DELETE FROM pails")
        assert not [line for line in verify(store) if "pail" in line]
