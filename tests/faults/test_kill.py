"""``mine`` as a process of its own, killed before and after each step of an intent; and what is left of it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from faults.farm import HOME, Farm
from faults.kills import POINTS, SPEED, Victim, killed
from kalepool.adapters.store import migrations
from kalepool.adapters.store.db import Store
from kalepool.adapters.store.opening import open_store, read_store
from kalepool.adapters.store.schema import VERSION
from kalepool.adapters.store.verify import verify
from kalepool.cli.app import main
from support.live import LiveNetwork

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)


def test_whatever_step_it_is_killed_at_the_next_run_finishes_what_was_begun(tmp_path: Path) -> None:
    network = LiveNetwork(speed=SPEED)
    victim = Victim(tmp_path, network)
    with network:
        assert [(point, found) for point in POINTS if (found := victim.die(point))] == []
        victim.live()
    wrong, counts = victim.judge()
    assert wrong == []
    assert counts["transactions"]


def test_a_killed_backup_leaves_no_file_of_its_name(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    target = tmp_path / "copy.db"
    for point in ("before-backup", "after-backup"):
        assert killed(point, farm.words("db", "backup", str(target), unlocks=False)) == -signal.SIGKILL
        assert not target.exists()
    assert main(farm.words("db", "backup", str(target), unlocks=False)) == 0
    with read_store(target) as copy:
        assert verify(copy) == []


def test_a_killed_migration_is_made_by_the_next_run(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    path = tmp_path / "kalepool.db"
    path.unlink()
    path.touch(mode=0o600)
    with Store(path) as store:
        migrations.migrate(store, stop_before="2 what each pail cost in fees")
        store.execute("INSERT INTO home VALUES (1, ?, ?)", (HOME.passphrase, HOME.contract))
    for point in ("before-migration", "after-migration"):
        assert killed(point, farm.words("status", unlocks=False)) == -signal.SIGKILL, point
    with open_store(path, HOME) as store:
        assert store.value("PRAGMA user_version") == VERSION
        assert verify(store) == []
