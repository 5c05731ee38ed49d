"""Files that are full, locked, damaged or gone: a clear error, its exit code, and nothing made worse."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from faults.farm import HOME, Farm
from kalepool.adapters.store.opening import open_store, read_store
from kalepool.adapters.store.verify import verify
from kalepool.cli.app import main
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = 3


def leave_in_log(farm: Farm, facts: int = 1) -> None:
    """Write facts that are in the log alone, as after a kill."""
    with open_store(farm.store, HOME) as store:
        for number in range(facts):
            with store.atomic(synced=True):
                store.execute("INSERT INTO facts VALUES (?, 'x', 1)", (f"fact {number}",))
        for name in ("kalepool.db", "kalepool.db-wal"):
            shutil.copy(farm.folder / name, farm.folder / f"kept-{name}")
    for name in ("kalepool.db", "kalepool.db-wal"):
        (farm.folder / f"kept-{name}").replace(farm.folder / name)


def run(farm: Farm, *words: str, limit: int | None = None, unlocks: bool = False) -> tuple[int, str]:
    """Run the program as a process; files of its may not grow beyond a limit."""

    def hold() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "kalepool", *farm.words(*words, unlocks=unlocks)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, preexec_fn=hold)
    return ended.returncode, ended.stderr


def test_a_full_disk_is_said_so_and_changes_nothing(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    with open_store(farm.store, HOME) as store:
        before = "\n".join(store.connection.iterdump())
        store.execute("PRAGMA max_page_count = 1")
        with pytest.raises(ConfigError, match="the disk is full"), store.atomic():
            for number in range(10_000):
                store.execute("INSERT INTO facts VALUES (?, ?, 1)", (f"fact {number}", "x" * 1_000))
        assert not store.connection.in_transaction
        assert "\n".join(store.connection.iterdump()) == before


def test_a_file_that_may_not_grow_ends_the_command_in_order(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    with read_store(farm.store) as store:
        before = "\n".join(store.connection.iterdump())
    code, told = run(farm, "farmer", "add", "one-more", limit=4_096, unlocks=True)
    assert code == CONFIG, told
    assert "error:" in told
    assert "Traceback" not in told
    with open_store(farm.store, HOME) as store:
        assert verify(store) == []
        owners = 'INSERT INTO "owners"'
        after = "\n".join(store.connection.iterdump())
        assert [line for line in after.split("\n") if not line.startswith(owners)] == [
            line for line in before.split("\n") if not line.startswith(owners)
        ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write whatever the file's mode")
def test_a_store_that_may_not_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    farm = Farm(tmp_path)
    farm.store.chmod(0o400)
    assert main(farm.words("status", unlocks=False)) == CONFIG
    assert "cannot be written to" in capsys.readouterr().err


def _of_another_kind(data: bytes) -> bytes:
    return b"not a database at all, but long enough to be one" + data[48:]


def _without_its_middle(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _with_rubbish_in_every_page(data: bytes) -> bytes:
    pages = [data[start : start + 4_096] for start in range(0, len(data), 4_096)]
    return pages[0] + b"".join(b"\xff" * 2_048 + page[2_048:] for page in pages[1:])


@pytest.mark.parametrize(
    "damage", [_of_another_kind, _without_its_middle, _with_rubbish_in_every_page, lambda _: b""]
)
@pytest.mark.parametrize("words", [("status",), ("farmer", "list"), ("db", "verify")])
def test_a_damaged_store_is_refused_and_left_as_it_is(
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    farm = Farm(tmp_path)
    data = damage(farm.store.read_bytes())
    farm.store.write_bytes(data)
    code = main(farm.words(*words, unlocks=False))
    told = capsys.readouterr()
    assert code in ({CONFIG, 1, 6} if words[0] == "db" else {CONFIG}), told
    assert "Traceback" not in told.err
    assert farm.store.read_bytes() == data


def test_a_log_that_is_gone_loses_its_own_commits_and_no_more(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    leave_in_log(farm)
    (farm.folder / "kalepool.db-wal").unlink()
    with open_store(farm.store, HOME) as store:
        assert verify(store) == []
        assert store.one("SELECT 1 FROM facts WHERE name = 'fact 0'") is None


def test_of_a_log_that_is_cut_anywhere_whole_commits_are_left(tmp_path: Path) -> None:
    farm = Farm(tmp_path)
    leave_in_log(farm, facts=4)
    log = farm.folder / "kalepool.db-wal"
    whole, data = log.read_bytes(), farm.store.read_bytes()
    left = []
    for size in range(0, len(whole) + 1, 1_111):
        (farm.folder / "kalepool.db-shm").unlink(missing_ok=True)
        farm.store.write_bytes(data)
        log.write_bytes(whole[:size])
        with open_store(farm.store, HOME) as store:
            assert verify(store) == []
            left.append(store.value("SELECT count(*) FROM facts WHERE name LIKE 'fact %'"))
    assert left == sorted(left)
    assert left[0] == 0
    assert left[-1] in {3, 4}


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.999])
def test_a_vault_that_was_cut_short_is_refused_and_left_as_it_is(
    tmp_path: Path, part: float, capsys: pytest.CaptureFixture[str]
) -> None:
    farm = Farm(tmp_path)
    vault = farm.folder / "kalepool.vault"
    data = vault.read_bytes()
    cut = data[: int(len(data) * part)]
    vault.write_bytes(cut)
    assert main(farm.words("farmer", "add", "one-more")) == CONFIG
    told = capsys.readouterr().err
    assert "vault" in told
    assert "Traceback" not in told
    assert vault.read_bytes() == cut
    with open_store(farm.store, HOME) as store:
        assert store.value("SELECT count(*) FROM farmers") == 2


def test_a_store_that_is_locked_by_a_stranger_is_waited_for_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("kalepool.adapters.store.db.BUSY_MS", 50)
    farm = Farm(tmp_path)
    holder = sqlite3.connect(farm.store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert main(farm.words("farmer", "add", "one-more")) == 7
    holder.close()
    assert "another kalepool is writing" in capsys.readouterr().err
