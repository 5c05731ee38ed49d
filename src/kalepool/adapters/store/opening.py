"""Making a store, and opening one: whose it is, which version, and whether it is safe to write to."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.db import Store
from kalepool.adapters.store.files import new_file
from kalepool.adapters.store.schema import APPLICATION_ID, VERSION
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_STRICT_SINCE: Final = (3, 37, 0)
_CACHE_KIB: Final = 32 * 1024
"""Pages kept in memory, at most: a block of 1,000 farmers touches 5,000 places of the index of postings."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where a store belongs, for good.

    Attributes:
        passphrase: of the network.
        contract: address of the KALE contract.
    """

    passphrase: str
    contract: str


def create_store(path: Path, home: Home) -> None:
    """Make an empty store, readable by its owner alone: whole, or not at all.

    Raises:
        ConfigError: when something is there already, or the folder cannot be written.
    """
    from kalepool.adapters.store.migrations import migrate  # noqa: PLC0415 - costs 80 ms, see open_store

    _check_library()
    with new_file(path) as draft, Store(draft) as store:
        _set_up(store)
        migrate(store)
        store.execute("INSERT INTO home VALUES (1, ?, ?)", (home.passphrase, home.contract))


def open_store(path: Path, home: Home) -> Store:
    """Open a store, bringing an older one to this program's version.

    Raises:
        ConfigError: when it is missing, not a store, damaged, of another network or contract, of a newer
            program, readable by others, or cannot be written.
        LockedError: when another process keeps it busy.
    """
    _check_library()
    _check_file(path)
    store = Store(path, uri=f"{path.absolute().as_uri()}?mode=rw")
    try:
        version = _check_header(store)
        _check_home(store, home)
        _set_up(store)
        if version < VERSION:
            # Imported when needed: sqlite-utils takes 80 ms, and an up-to-date store has no use for it.
            from kalepool.adapters.store.migrations import migrate  # noqa: PLC0415

            migrate(store)
    except BaseException:
        store.close()
        raise
    return store


def read_store(path: Path) -> Store:
    """Open a store of this version only to read, whoever's it is: for verifying a backup.

    Raises:
        ConfigError: when it is missing, not a store, or of another version.
    """
    if not path.is_file():
        raise ConfigError(f"there is no store at {path}", hint="check the path")
    store = Store(path, uri=f"{path.absolute().as_uri()}?mode=ro")
    try:
        if _check_header(store) < VERSION:
            raise ConfigError(f"{path} is of an older version", hint="open it with any command first")
    except BaseException:
        store.close()
        raise
    return store


def _check_library() -> None:
    if sqlite3.sqlite_version_info < _STRICT_SINCE:
        raise ConfigError(
            f"SQLite {sqlite3.sqlite_version} is too old for the store",
            hint="use a Python that is built with SQLite 3.37 or newer",
        )


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"there is no store at {path}", hint="make one with: kalepool init")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"the store {path} can be read by others", hint=f"close it: chmod 600 {path}")
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
        raise ConfigError(
            f"the store {path} cannot be used: it cannot be written to",
            hint="give this user the right to write to it and its folder",
        )


def _check_header(store: Store) -> int:
    """Give the version, having seen that this is a store and not a newer one."""
    if store.value("PRAGMA application_id") != APPLICATION_ID:
        raise ConfigError(
            f"the store {store.path} cannot be used: it is not a kalepool store",
            hint="check the path of the store in the configuration",
        )
    version: int = store.value("PRAGMA user_version")
    if version > VERSION:
        raise ConfigError(
            f"the store {store.path} is of version {version}, made by a newer kalepool: this one knows {VERSION}",
            hint="install the newer kalepool again",
        )
    return version


def _set_up(store: Store) -> None:
    store.execute("PRAGMA foreign_keys = ON")
    store.execute("PRAGMA synchronous = NORMAL")
    store.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if store.value("PRAGMA journal_mode = WAL") != "wal":
        raise ConfigError(
            f"the store {store.path} cannot be used: its disk does not allow a write-ahead log",
            hint="keep the store on a local disk",
        )


def _check_home(store: Store, home: Home) -> None:
    row = store.one("SELECT passphrase, contract FROM home")
    if row is None:
        raise ConfigError(
            f"the store {store.path} is damaged: it belongs nowhere", hint="restore the last backup"
        )
    passphrase, contract = row
    if passphrase != home.passphrase:
        raise ConfigError(
            f"the store {store.path} belongs to the network '{passphrase}', not to '{home.passphrase}'",
            hint="choose its network, or another configuration",
        )
    if contract != home.contract:
        raise ConfigError(
            f"the store {store.path} belongs to the contract {contract}, not to {home.contract}",
            hint="choose its network, or another configuration",
        )
