"""Where a passphrase comes from, in which order, and what happens where there is none."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kalepool.cli.output import EXIT_CODES
from kalepool.cli.passphrase import read_passphrase
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

ASK = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))  # a session's leader gets its terminal by opening one
from kalepool.cli.passphrase import read_passphrase
from kalepool.errors import KalepoolError
try:
    print("got", read_passphrase(environ={}, confirm="confirm" in sys.argv).reveal_text()[::-1])
except KalepoolError as error:
    print("error:", error.message)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.touch(0o600)
    path.write_text("of the file\n")
    return path


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "kalepool-passphrase").write_text("of systemd\n")
    return folder


def test_the_first_place_that_has_one_wins(file: Path, credentials: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(credentials), "KALEPOOL_PASSPHRASE": "of the environment"}
    assert read_passphrase(file, environ=environ).reveal_text() == "of the file"
    assert read_passphrase(environ=environ).reveal_text() == "of systemd"
    (credentials / "kalepool-passphrase").unlink()
    assert read_passphrase(environ=environ).reveal_text() == "of the environment"
    del environ["CREDENTIALS_DIRECTORY"]
    assert read_passphrase(environ=environ).reveal_text() == "of the environment"


def test_a_second_passphrase_has_its_own_names(credentials: Path) -> None:
    environ = {"KALEPOOL_NEW": "new", "KALEPOOL_PASSPHRASE": "old", "CREDENTIALS_DIRECTORY": str(credentials)}
    assert read_passphrase(environ=environ, variable="KALEPOOL_NEW", credential="x").reveal_text() == "new"
    (credentials / "x").write_text("newer")
    assert read_passphrase(environ=environ, variable="KALEPOOL_NEW", credential="x").reveal_text() == "newer"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain", "plain"),
        (b"unix\n", "unix"),
        (b"dos\r\n", "dos"),
        (b"  spaces count \n", "  spaces count "),
        (b"two\n\n", "two\n"),
        ("größer".encode(), "größer"),
    ],
)
def test_one_newline_at_the_end_of_a_file_is_not_part_of_it(file: Path, written: bytes, read: str) -> None:
    file.write_bytes(written)
    assert read_passphrase(file, environ={}).reveal_text() == read


def set_mode(mode: int) -> Callable[[Path], None]:
    return lambda file: file.chmod(mode)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (set_mode(0o640), "open to others"),
        (set_mode(0o604), "open to others"),
        (lambda file: file.unlink(), "does not exist"),
        (lambda file: file.write_bytes(b""), "is empty"),
        (lambda file: file.write_bytes(b"\n"), "is empty"),
        (lambda file: file.write_bytes(b"x" * 5000), "longer than 4096 bytes"),
    ],
)
def test_a_file_that_will_not_do_is_refused_and_nothing_else_is_tried(
    file: Path, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(file)
    with pytest.raises(ConfigError, match=message) as caught:
        read_passphrase(file, environ={"KALEPOOL_PASSPHRASE": "of the environment"})
    assert caught.value.hint
    assert EXIT_CODES[type(caught.value)] == 3


@pytest.mark.parametrize("place", ["environment", "credential"])
def test_an_empty_passphrase_is_refused_wherever_it_is(credentials: Path, place: str) -> None:
    environ = {"KALEPOOL_PASSPHRASE": ""}
    if place == "credential":
        (credentials / "kalepool-passphrase").write_text("\n")
        environ["CREDENTIALS_DIRECTORY"] = str(credentials)
    with pytest.raises(ConfigError, match="is empty"):
        read_passphrase(environ=environ)


def test_a_credential_that_cannot_be_read_is_told(credentials: Path) -> None:
    (credentials / "kalepool-passphrase").unlink()
    (credentials / "kalepool-passphrase").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_passphrase(environ={"CREDENTIALS_DIRECTORY": str(credentials)})


def test_without_a_terminal_it_is_an_error_that_names_the_places() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK.replace("os.close", "0 and os.close").replace("os.open", "0 and os.open")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "error: the vault's passphrase is needed, and there is no terminal to ask on\n"


def test_the_hint_names_every_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(ConfigError) as caught:
            read_passphrase(environ={})
    for place in ("--passphrase-file", "kalepool-passphrase", "KALEPOOL_PASSPHRASE"):
        assert place in caught.value.hint


def converse(*answers: bytes, confirm: bool = False) -> bytes:
    """Answer each prompt on a terminal of its own; give all that was shown there."""
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-c", ASK, *(["confirm"] if confirm else [])]
    shown = b""
    with subprocess.Popen(
        arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as child:
        os.close(theirs)
        for number, answer in enumerate(answers, 1):
            while shown.count(b": ") < number:
                shown += os.read(ours, 1024)
            os.write(ours, answer)
        while True:
            try:
                more = os.read(ours, 1024)
            except OSError:  # how a terminal says that everybody has left
                break
            shown += more
        assert child.wait() == 0
    os.close(ours)
    return shown


def test_a_person_types_it_unseen() -> None:
    shown = converse(b"typed by hand\n")
    assert b"Passphrase: " in shown
    assert b"got dnah yb depyt" in shown
    assert b"typed by hand" not in shown


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((b"one\n", b"one\n"), b"got eno"),
        ((b"one\n", b"two\n"), b"error: the two passphrases differ"),
        ((b"\n",), b"error: the passphrase from the terminal is empty"),
        ((b"\x04",), b"error: no passphrase was typed"),
    ],
)
def test_a_new_passphrase_is_typed_twice(answers: tuple[bytes, ...], outcome: bytes) -> None:
    assert outcome in converse(*answers, confirm=True)
