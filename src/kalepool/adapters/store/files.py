"""New files that appear whole or not at all, readable by their owner alone."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING

from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give an empty draft beside a path; when the body ends well, it becomes the file, synced.

    Raises:
        ConfigError: when the path is taken, before or meanwhile, or its folder cannot be written.
    """
    if os.path.lexists(path):
        raise _taken(path)
    try:
        handle, name = mkstemp(prefix=f".{path.name}.", suffix=".draft", dir=path.parent)  # mode 0600
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be made: {error.strerror}", hint="check the folder and the rights to it"
        ) from error
    draft = Path(name)
    try:
        os.close(handle)
        yield draft
        _sync(draft)
        # A link, unlike a rename, refuses to take another file's place.
        path.hardlink_to(draft)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}", hint="check the disk") from error
    finally:
        for left in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm", "-journal"))):
            left.unlink(missing_ok=True)
    _sync(path.parent)


def _taken(path: Path) -> ConfigError:
    return ConfigError(f"{path} is there already", hint="choose another name, or move it away")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
