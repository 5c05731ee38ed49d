"""Files that only their owner may read, and that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from typing import TYPE_CHECKING

from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 16 * 1024 * 1024
"""No file of ours comes near it; what is larger is something else."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class UnconfirmedError(ConfigError):
    """The new file is in its place, but the disk did not confirm that it will stay there."""


def read_private(path: Path, what: str) -> bytes:
    """Read a file that nobody but its owner can touch.

    Args:
        path: where it is.
        what: what it is, for messages: "the vault".

    Raises:
        ConfigError: when it is missing, unreadable, too large, or open to group or others.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise ConfigError(
                    f"{what} {path} is open to others (mode {stat.S_IMODE(mode):04o})",
                    hint=f"close it with: chmod 600 {path}; then consider whether someone has read it",
                )
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{what} {path} does not exist", hint="check the path") from None
    except OSError as error:
        raise ConfigError(
            f"{what} {path} cannot be read: {error.strerror}", hint="check the path, its mode and its owner"
        ) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{what} {path} is larger than {MAX_BYTES} bytes", hint="check the path")
    return data


def write_private(path: Path, data: bytes, *, instead_of: bytes | None, what: str) -> None:
    """Put a file of mode 0600 in place, whole or not at all, and on disk before this returns.

    Writers of one folder take turns; a file that is not what the caller has read is left alone.

    Args:
        path: where it shall be.
        data: its contents.
        instead_of: what stands there now; None when nothing may.
        what: what it is, for messages: "the vault".

    Raises:
        UnconfirmedError: the new file is there, but may not survive a power cut.
        ConfigError: anything else went wrong; what stood there stands unchanged.
    """
    if instead_of is not None:
        path = path.resolve()  # a link stays, and what it leads to is replaced
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}.new"
    try:
        with _turn(path.parent) as folder:
            _insist(path, instead_of, what)
            try:
                _write_through(temporary, data)
                temporary.rename(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
            _confirm(folder, path, what)
    except OSError as error:
        raise ConfigError(
            f"{what} {path} cannot be written: {error.strerror or error}",
            hint="nothing has changed; check the folder, its permissions and the free space",
        ) from error


def check_new(path: Path, what: str) -> None:
    """Insist that a file could be put there, for what must not be half done.

    Raises:
        ConfigError: when something is there, or there is no folder that can be written to.
    """
    _insist(path, None, what)
    if not os.access(path.parent, os.W_OK | os.X_OK) or not path.parent.is_dir():
        raise ConfigError(
            f"nothing can be written into {path.parent}", hint="create the folder, or choose another"
        )


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[int]:
    # The folder is what is locked: the file itself is another one after each rename.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _insist(path: Path, instead_of: bytes | None, what: str) -> None:
    if instead_of is None:
        if os.path.lexists(path):
            raise ConfigError(
                f"{what} {path} exists already", hint="it is never overwritten: choose another path"
            )
    elif read_private(path, what) != instead_of:
        raise ConfigError(
            f"{what} {path} was changed by another process meanwhile",
            hint="nothing has changed; run it again",
        )


def _write_through(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor has no path
        os.fchmod(descriptor, 0o600)  # whatever the umask
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _confirm(folder: int, path: Path, what: str) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno == errno.EINVAL:  # this file system has no such thing
            return
        raise UnconfirmedError(
            f"{what} {path} has been written, but the disk did not confirm it: {error.strerror or error}",
            hint="the new file counts; check the disk and make a backup elsewhere",
        ) from error
