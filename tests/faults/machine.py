"""The machine that the pool runs on: its clock, its disk, its processes, and the trace of what they did."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx

from faults.loop import virtual_time
from faults.process import Killed, Process
from faults.truth import Truth
from kalepool.adapters.store.opening import Home, create_store
from kalepool.devnet.app import Application
from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.neighbours import Neighbours
from kalepool.errors import InternalError, KalepoolError
from kalepool.networks import NETWORKS
from support.devnet import Bench, keypair
from support.vault import make

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from faults.scenario import Scenario
    from kalepool.config import Value

_WALLETS: Final = 10
_MACHINE_TIME: Final = 1_900_000_000.0


class Machine:
    """A machine on a network that forgets, with a store on a disk that may lose what was not synced.

    Attributes:
        counts: what happened how often, for people.
        violations: what must never be.
        is_over: nothing goes wrong any more.
        slept: seconds in which nothing here ran. ``skew``: seconds by which somebody has set the clock.
        synced: bytes of the log that are on the disk for good.
        processes: by pid.
    """

    def __init__(self, scenario: Scenario, folder: Path, tell: Callable[[str], None] | None) -> None:
        self.scenario = scenario
        self.folder = folder
        self._tell = tell
        self._hash = hashlib.sha256()
        self.dice = random.Random(f"world {scenario.seed}")
        settings = LedgerSettings(
            temporary_ttl=scenario.temporary_ttl,
            history_ledgers=scenario.history,
            opener_reads_previous=scenario.opener_reads_previous,
        )
        self.bench = Bench(settings, scenario.plan)
        self.ledger = self.bench.ledger
        if scenario.neighbours:
            Neighbours(self.ledger, scenario.neighbours)
        self.transport = httpx.ASGITransport(Application(self.bench.devnet, admin_token="none"))
        url = "http://127.0.0.1:8000"
        self.options: dict[str, Value] = {"network.rpc": (url, f"{url}/nodes/second"), "harvest.channels": 4}
        local = NETWORKS["local"]
        self.vault = make(folder / "kalepool.vault")
        self.path = folder / "kalepool.db"
        create_store(self.path, Home(local.passphrase, local.kale))
        self.operator = self.vault.operator
        self.wallets = [self.vault.wallet(index) for index in range(_WALLETS)]
        self.truth = Truth(self.ledger, self.wallets, keypair("stranger").public_key)
        self.slept = 0.0
        self.skew = 0.0
        self.synced = 0
        self.processes: dict[int, Process] = {}
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.errors: list[BaseException] = []
        self.is_over = False

    # What is written down

    def note(self, *parts: object) -> None:
        """Put a line into the trace."""
        line = f"{virtual_time():.3f} {self.ledger.latest.sequence} " + " ".join(map(str, parts))
        self._hash.update(line.encode() + b"\n")
        if self._tell is not None:
            self._tell(line)

    @property
    def digest(self) -> str:
        """The trace's hash, hex."""
        return self._hash.hexdigest()

    def violate(self, what: str) -> None:
        """Write down what must never be."""
        self.note("VIOLATION", what)
        self.violations.append(what)

    # The machine

    def machine_time(self) -> float:
        """Give the wall clock, which people may set."""
        return _MACHINE_TIME + virtual_time() + self.slept + self.skew

    def is_alive(self, pid: int) -> bool:
        """Tell whether a process lives."""
        found = self.processes.get(pid)
        return found is not None and found.is_alive

    def draws_twice(self) -> bool:
        """Draw whether a send arrives twice."""
        return not self.is_over and self.dice.random() < self.scenario.twice

    def note_commit(self, process: Process, *, synced: bool) -> None:
        """Take note of a commit: what is in the log now is on the disk, if it was synced."""
        self.note("commit", process.name, "synced" if synced else "")
        if synced:
            self.synced = self._log_bytes()

    def note_closed(self) -> None:
        """Take note that a process has closed the file: the last one brings the log into it."""
        if not self._log.exists():
            self.synced = 0

    @property
    def _log(self) -> Path:
        return self.path.with_name(self.path.name + "-wal")

    def _log_bytes(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def kill_all(self) -> None:
        """Kill every process."""
        for process in list(self.processes.values()):
            if process.is_alive:
                process.die()

    def lose_power(self) -> None:
        """Kill everything; of what was not synced, any first part survives."""
        data = self.path.read_bytes()
        log = self._log.read_bytes() if self._log.exists() else b""
        kept = self.dice.randint(min(self.synced, len(log)), len(log))
        self.note("power", self.synced, kept, len(log))
        self.kill_all()
        self.replace_store(data, log[:kept])
        self.synced = kept

    def replace_store(self, data: bytes, log: bytes = b"") -> None:
        """Let the store be these files; nobody has it open."""
        self.path.write_bytes(data)
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)
        self._log.unlink(missing_ok=True)
        if log:
            self._log.write_bytes(log)
        self.synced = 0

    # Processes

    async def live(
        self,
        role: str,
        body: Callable[[Process], Coroutine[Any, Any, Any]],
        *,
        fuse: int | None = None,
        container: str | None = None,
    ) -> Any:
        """Let a process live to its end; give what it gave, or the error it ended with, or None if killed."""
        number = len(self.processes) + 1
        fuse = None if self.is_over else fuse
        process: Process | None = None
        try:
            process = Process(self, role, number, fuse=fuse, container=container)
            process.task = asyncio.ensure_future(body(process))
            await asyncio.wait({process.task})
            if process.is_alive:
                return self._result(process)
        except Killed:
            pass
        except KalepoolError as error:
            return self._judged(role, error)
        finally:
            if process is not None and process.is_alive:
                with suppress(Killed):
                    process.close()
        self.counts["killed"] += 1
        return None

    def _result(self, process: Process) -> Any:
        assert process.task is not None
        error = None if process.task.cancelled() else process.task.exception()
        if error is None:
            return None if process.task.cancelled() else process.task.result()
        if isinstance(error, Killed):
            return None
        return self._judged(process.role, error)

    def _judged(self, role: str, error: BaseException) -> BaseException:
        if isinstance(error, KalepoolError) and not isinstance(error, InternalError):
            self.note(role, "ends", type(error).__name__, error.message)
            self.counts[f"{role} ends: {type(error).__name__}"] += 1
        else:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            where = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            self.errors.append(error)
            self.violate(f"{role} ends with {type(error).__name__}: {error} at {where}")
        return error
