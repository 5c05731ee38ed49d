"""``mine`` as a process of its own, killed before and after each step of an intent; and what is left of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from faults.farm import FARMERS, HOME, Farm
from kalepool.adapters.store import migrations
from kalepool.adapters.store.db import Store
from kalepool.adapters.store.intent_rows import load_intents
from kalepool.adapters.store.opening import open_store, read_store
from kalepool.adapters.store.schema import VERSION
from kalepool.adapters.store.verify import verify
from kalepool.cli.app import main
from kalepool.core.records import PailState
from support.live import LiveNetwork

if TYPE_CHECKING:
    from kalepool.bootstrap import Pool
    from kalepool.core.intents import Intent

pytestmark = pytest.mark.timeout(240)

CHILD: Final = Path(__file__).with_name("kill_child.py")
SPEED: Final = 100.0
STEPS: Final = ("plan", "sign", "send", "mark", "learn", "settle")
POINTS: Final = [f"{when}-{step}" for step in STEPS for when in ("before", "after")]


def killed(point: str, words: list[str], passes: int = 1) -> int:
    """Run the program until it kills itself; give how it ended."""
    command = [sys.executable, str(CHILD), point, str(passes), *words]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode


def intents(pool: Pool) -> list[Intent]:
    return load_intents(pool.store, [number for (number,) in pool.store.all("SELECT number FROM intents")])


def test_whatever_step_it_is_killed_at_the_next_run_finishes_what_was_begun(tmp_path: Path) -> None:
    network = LiveNetwork(speed=SPEED)
    farm = Farm(tmp_path, network.url, network.ledger)
    with network:
        for point in POINTS:
            ended = killed(point, farm.words("mine", "--blocks", "1", "--plain"))
            assert ended == -signal.SIGKILL, point
            with read_store(tmp_path / "kalepool.db") as store:
                assert verify(store) == [], point
        assert main(farm.words("mine", "--blocks", "1", "--plain")) == 0
        assert main(farm.words("harvest")) == 0
    landed = {applied.transaction.outer_hash.hex(): applied for applied in network.ledger.by_hash.values()}
    with farm.pool() as pool:
        assert pool.books.total() == 0
        assert pool.pails.counts()[PailState.HARVESTED] >= FARMERS
        assert pool.pails.alive(PailState.HARVESTABLE) == []
        known = set()
        for intent in intents(pool):
            hashes = [one for attempt in intent.attempts for one in attempt.outer_hashes]
            known.update(hashes)
            assert sum(one in landed for one in hashes) == (intent.state in {"settled", "failed"}), intent
        ours = {
            one
            for one, applied in landed.items()
            if applied.transaction.fee_source == pool.addresses.operator
        }
        assert ours <= known
        assert not pool.journal.open_intents(mine=False)


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
