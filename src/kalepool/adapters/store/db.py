"""The connection to a store: transactions, what is on disk when, and what SQLite's complaints mean."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from kalepool.errors import ConfigError, InternalError, KalepoolError, LockedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

BUSY_MS: Final = 5_000
"""How long a statement waits for another process's write."""

_BACKUP_HINT: Final = "restore the last backup, or look at it with: kalepool db verify"
_DISK: Final[dict[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space and run this again: nothing was changed"),
    sqlite3.SQLITE_READONLY: (
        "it cannot be written to",
        "give this user the right to write to it and its folder",
    ),
    sqlite3.SQLITE_PERM: (
        "it cannot be written to",
        "give this user the right to write to it and its folder",
    ),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "check the path, and the rights of its folder"),
    sqlite3.SQLITE_NOTADB: ("it is not a kalepool store", "check the path of the store in the configuration"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _BACKUP_HINT),
    sqlite3.SQLITE_IOERR: ("the disk failed", "check the disk; nothing was changed"),
}


class Store:
    """An open store. Used by one thread; other processes may have it open too.

    Attributes:
        connection: SQLite's, without transactions of Python's own making.
        path: the file.
    """

    def __init__(self, path: Path, *, uri: str | None = None) -> None:
        self.path = path
        self._savepoints = 0
        self._undone = 0
        self._written: Counter[str] = Counter()
        with self.translated():
            self.connection = sqlite3.connect(
                uri or path, uri=uri is not None, isolation_level=None, timeout=BUSY_MS / 1000
            )

    def close(self) -> None:
        """Close it. Nothing is pending: every transaction ends where it began."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def atomic(self, *, synced: bool = False) -> Iterator[None]:
        """Do all of the body or none of it; nothing of another process's writing comes between.

        A block within a block undoes only itself when an error leaves it, and is on disk when the outermost ends.

        Args:
            synced: return only when the commit has reached the disk. Without it a power cut may undo the
                last commits, in order, and never leaves half of one; a crash of the program undoes none.

        Raises:
            InternalError: a synced block inside one that is not: it could not keep its promise.
            LockedError: another process kept the store busy.
            ConfigError: the file cannot be written.
        """
        if self.connection.in_transaction:
            if synced and not self.is_synced:
                raise InternalError("a synced commit was asked for inside a transaction that is not synced")
            with self._savepoint():
                yield
            return
        self.execute("PRAGMA synchronous = FULL" if synced else "PRAGMA synchronous = NORMAL")
        try:
            # Immediate: two processes that both read first and write later would otherwise deadlock.
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                self._undone += 1
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        finally:
            self.connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._savepoints += 1
        name = f"inner_{self._savepoints}"
        self.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            self._undone += 1
            # A full disk may have ended the whole transaction already.
            if self.connection.in_transaction:
                self.connection.execute(f"ROLLBACK TO {name}")
                self.connection.execute(f"RELEASE {name}")
            raise
        else:
            self.execute(f"RELEASE {name}")
        finally:
            self._savepoints -= 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let every query of the body see the store as of one moment, whatever others write."""
        if self.connection.in_transaction:
            yield
            return
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def note_write(self, table: str) -> None:
        """Take note that this connection writes to a table of which somebody may keep a copy in memory."""
        self._written[table] += 1

    def stamp(self, table: str) -> tuple[int, int, int]:
        """Give what differs once a table may have changed: by another connection, by this one, or undone.

        Of what this connection writes it knows by ``note_write`` alone.
        """
        others: int = self.value("PRAGMA data_version")
        return others, self._undone, self._written[table]

    @property
    def is_synced(self) -> bool:
        """Whether a commit now would reach the disk before it returns."""
        full = 2
        level: int = self.connection.execute("PRAGMA synchronous").fetchone()[0]
        return level >= full

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; give how many rows it changed."""
        with self.translated():
            return self.connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Run one statement for each row; give how many rows it changed."""
        with self.translated():
            return self.connection.executemany(sql, rows).rowcount

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Give every row of a query."""
        with self.translated():
            return self.connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """Give the first row of a query, or None."""
        with self.translated():
            row: tuple[Any, ...] | None = self.connection.execute(sql, parameters).fetchone()
            return row

    def value(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        """Give the one value of a query that always has one."""
        row = self.one(sql, parameters)
        assert row is not None
        return row[0]

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn SQLite's errors into ours: a line that says what happened, a hint what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.path) from error


def translate(error: sqlite3.Error, path: Path) -> KalepoolError:
    """Say what an error of SQLite's means for who runs the pool.

    A broken constraint means that the program tried what the store forbids: an InternalError.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LockedError(
            f"the store {path} is busy: another kalepool is writing to it",
            hint="wait for it to finish, and run this again",
        )
    if code in _DISK:
        what, hint = _DISK[code]
        return ConfigError(f"the store {path} cannot be used: {what}", hint=hint)
    return InternalError(f"the store {path} refused: {error}", hint="this is a bug; the money is as it was")
