"""A simulated process of the pool: it may die at any await and any commit, and leaves what a kill leaves."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import httpx

from faults.digger import Digger
from faults.loop import virtual_time
from kalepool.adapters.store.owners import Owner
from kalepool.adapters.store.processes import Process as Identity
from kalepool.bootstrap import Pool
from kalepool.config import load
from support.vault import MAIN, secret

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from faults.machine import Machine

HOST: Final = "host"
_WRITES: Final = ("INSERT", "UPDATE", "DELETE")


class Killed(BaseException):
    """The process is no more. No handler of the program's catches it."""


class Process:
    """One process.

    Args:
        world: where it lives.
        role: what it does, as the store records it.
        number: its pid.
        fuse: it dies at so many crash points from now; None for never.
        container: whose pids are its own; None for the machine's.
    """

    def __init__(
        self, world: Machine, role: str, number: int, *, fuse: int | None = None, container: str | None = None
    ) -> None:
        self.world = world
        self.role = role
        self.number = number
        self.fuse = fuse
        self.is_alive = True
        self.container = container or HOST
        self._raw: sqlite3.Connection | None = None
        self.task: asyncio.Future[Any] | None = None
        world.processes[number] = self
        self.digger = Digger(world.scenario.nonces)
        self.pool = self._pool()

    def _pool(self) -> Pool:
        world = self.world
        pool = Pool(
            load(None, {}, world.folder, world.options),
            self.role,
            lambda: secret(MAIN),
            transport=_Wire(self, world.transport),
            monotonic=lambda: virtual_time() + world.slept,
            now=world.machine_time,
            sleep=self._sleep,
        )
        made: dict[str, Any] = pool.__dict__
        self._raw = pool.store.connection
        # Only who closes the file last brings the log into it: so what was synced is the log's first bytes.
        self._raw.execute("PRAGMA wal_autocheckpoint = 0")
        pool.store.connection = _Connection(self, self._raw)  # type: ignore[assignment]
        identity = Identity(HOST, self.container, self.number, "started")
        made["owner"] = Owner(
            pool.store, self.role, world.machine_time, process=identity, probe=self._is_alive
        )
        made["miner"] = self.digger
        return pool

    def _is_alive(self, other: Identity) -> bool | None:
        if other.machine != self.container:
            return None
        return self.world.is_alive(other.pid)

    def insist(self) -> None:
        """Let nothing more be done by the dead."""
        if not self.is_alive:
            raise Killed

    def point(self, where: str) -> None:
        """Pass a crash point."""
        self.insist()
        if self.fuse is None:
            return
        self.fuse -= 1
        if self.fuse < 0:
            self.world.note("killed", self.name, where)
            self.world.counts[f"crash: {where}"] += 1
            self.die()
            raise Killed

    @property
    def name(self) -> str:
        """What the trace calls it."""
        return f"{self.role}.{self.number}"

    def die(self) -> None:
        """Be killed: what was committed stays."""
        if self.container != HOST:
            self.world.truth.unseen_deaths.add(self.world.ledger.latest.sequence)
        elif self.role != "mine":
            self.world.truth.lone_deaths.add(self.world.ledger.latest.sequence)
        self.is_alive = False
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        if self.task is not None:
            # Whatever swallows the error of one of its tasks would otherwise go on for ever.
            self.task.cancel()
        self.world.note_closed()

    def close(self) -> None:
        """End in order."""
        if not self.is_alive:
            return
        self.pool.close()
        self.is_alive = False
        self._raw = None
        self.world.note_closed()

    async def _sleep(self, seconds: float) -> None:
        self.point("sleep")
        await asyncio.sleep(seconds)
        self.insist()


class _Connection:
    """SQLite's connection, with a crash point on both sides of every commit."""

    def __init__(self, process: Process, raw: sqlite3.Connection) -> None:
        self._process = process
        self._raw = raw

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        process = self._process
        process.insist()
        commits = sql == "COMMIT" or (sql.startswith(_WRITES) and not self._raw.in_transaction)
        if commits:
            process.point("before a commit")
        cursor = self._raw.execute(sql, parameters)
        if commits:
            synced = self._raw.execute("PRAGMA synchronous").fetchone()[0] >= 2
            process.world.note_commit(process, synced=synced)
            process.point("after a commit")
        return cursor

    def executemany(self, sql: str, rows: Any) -> sqlite3.Cursor:
        self._process.insist()
        assert self._raw.in_transaction
        return self._raw.executemany(sql, rows)

    @property
    def in_transaction(self) -> bool:
        self._process.insist()
        return self._raw.in_transaction

    def backup(self, target: sqlite3.Connection) -> None:
        self._process.insist()
        self._raw.backup(target)

    def close(self) -> None:
        self._raw.close()


class _Wire(httpx.AsyncBaseTransport):
    """Carries a process's requests; what is sent may arrive twice."""

    def __init__(self, process: Process, inner: httpx.AsyncBaseTransport) -> None:
        self._process = process
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        process, world = self._process, self._process.world
        process.point("before a request")
        if process.role == "mine":
            world.truth.mine_looks.add(world.ledger.latest.sequence)
        methods = _methods(request.content)
        if "sendTransaction" in methods and world.draws_twice():
            world.counts["a send arrives twice"] += 1
            await self._inner.handle_async_request(_copy(request))
            process.insist()
        try:
            response = await self._inner.handle_async_request(request)
            body = await response.aread()
        except BaseException as error:
            world.note("request", process.name, methods, type(error).__name__)
            process.insist()
            raise
        digest = hashlib.sha256(body).hexdigest()[:12]
        world.note("request", process.name, request.url.path, methods, response.status_code, digest)
        process.point("after a request")
        return httpx.Response(response.status_code, headers=_plain(response), stream=httpx.ByteStream(body))


def _plain(response: httpx.Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.headers.items() if name != "content-length"]


def _copy(request: httpx.Request) -> httpx.Request:
    return httpx.Request(request.method, request.url, headers=request.headers, content=request.content)


def _methods(body: bytes) -> str:
    if not body:
        return ""
    calls = json.loads(body)
    names = [call["method"] for call in (calls if isinstance(calls, list) else [calls])]
    return ",".join(f"{name}*{names.count(name)}" for name in dict.fromkeys(names))
