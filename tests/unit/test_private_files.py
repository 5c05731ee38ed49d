"""Private files: nobody else reads them, and they are replaced whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from kalepool.errors import ConfigError
from kalepool.private_files import MAX_BYTES, UnconfirmedError, read_private, write_private

WHAT = "the thing"


def fail(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def make_huge(path: Path) -> None:
    path.touch(0o600)
    os.truncate(path, MAX_BYTES + 1)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_a_new_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "file"
    old = os.umask(umask)
    try:
        write_private(path, b"one", instead_of=None, what=WHAT)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o777])
def test_a_file_open_to_others_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_private(path, WHAT)
    assert "open to others" in caught.value.message
    assert f"chmod 600 {path}" in caught.value.hint


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_closed_file_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    path.chmod(mode)
    assert read_private(path, WHAT) == b"one"


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(mode=0o700), "cannot be read"),
        (make_huge, "larger than"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, prepare: object, message: str) -> None:
    assert callable(prepare)
    path = tmp_path / "file"
    prepare(path)
    with pytest.raises(ConfigError, match=message):
        read_private(path, WHAT)


@pytest.mark.parametrize("there", ["file", "link to nowhere"])
def test_nothing_is_overwritten_that_was_not_expected(tmp_path: Path, there: str) -> None:
    path = tmp_path / "file"
    if there == "file":
        path.write_bytes(b"mine")
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="exists already"):
        write_private(path, b"new", instead_of=None, what=WHAT)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"one", instead_of=None, what=WHAT)
    write_private(path, b"two", instead_of=b"one", what=WHAT)
    with pytest.raises(ConfigError, match="another process"):
        write_private(path, b"three", instead_of=b"one", what=WHAT)
    assert path.read_bytes() == b"two"


@pytest.mark.parametrize("broken", ["fsync", "rename", "open"])
@pytest.mark.parametrize("old", [None, b"one"])
def test_a_failing_disk_leaves_what_was_there_and_nothing_besides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        write_private(path, old, instead_of=None, what=WHAT)
    before = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(
            *{"fsync": (os, "fsync"), "open": (os, "open"), "rename": (Path, "rename")}[broken], fail
        )
        with pytest.raises(ConfigError, match="cannot be written") as caught:
            write_private(path, b"two", instead_of=old, what=WHAT)
    assert "nothing has changed" in caught.value.hint
    assert sorted(tmp_path.iterdir()) == before
    assert old is None or path.read_bytes() == old


def test_the_contents_are_on_disk_before_the_name_is_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        steps.append("folder" if stat.S_ISDIR(found.st_mode) else f"file of {found.st_size} bytes")
        fsync(descriptor)

    def noted_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    write_private(tmp_path / "file", b"one", instead_of=None, what=WHAT)
    assert steps == ["file of 3 bytes", "rename", "folder"]


@pytest.mark.parametrize(("number", "raised"), [(errno.EIO, True), (errno.EINVAL, False)])
def test_a_folder_that_will_not_sync_is_told_unless_it_never_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "no")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    path = tmp_path / "file"
    if raised:
        with pytest.raises(UnconfirmedError, match="did not confirm"):
            write_private(path, b"one", instead_of=None, what=WHAT)
    else:
        write_private(path, b"one", instead_of=None, what=WHAT)
    assert path.read_bytes() == b"one"


def test_writers_of_one_folder_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename
    refused: list[bool] = []

    def contended_rename(self: Path, target: Path) -> Path:
        other = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused.append(True)
        finally:
            os.close(other)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", contended_rename)
    write_private(tmp_path / "file", b"one", instead_of=None, what=WHAT)
    write_private(tmp_path / "file", b"two", instead_of=b"one", what=WHAT)  # the turn was given back
    assert refused == [True, True]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "file", tmp_path / "link"
    write_private(target, b"one", instead_of=None, what=WHAT)
    link.symlink_to(target)
    write_private(link, b"two", instead_of=b"one", what=WHAT)
    assert link.is_symlink()
    assert target.read_bytes() == b"two"


def test_an_unwritable_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        write_private(tmp_path / "missing" / "file", b"one", instead_of=None, what=WHAT)
