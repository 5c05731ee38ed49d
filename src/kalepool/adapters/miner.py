"""The hash engine as Python sees it: bytes in, proofs out. The only importer of the C extension.

Every call into C runs without the GIL. A kernel is held against known answers before its first job, and every
proof is hashed once more by an implementation that is not ours before it leaves.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from kalepool.core.farm import Proof
from kalepool.core.grinding import MAX_ZEROS, Job, JobId, Progress
from kalepool.core.proof import MAX_U32, MAX_U64, verify
from kalepool.errors import ConfigError, InternalError, KalepoolError, UsageError

try:
    from kalepool._miner import ffi, lib
except ImportError as error:
    raise ConfigError(
        f"the hash engine was not built for this Python: {error}",
        hint="install kalepool with pip where a C compiler and Python's headers are",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

MAX_THREADS = 1024
_MAX_NICENESS = 19
# Python handles a Ctrl-C only between calls into C: what may take long is done in slices.
_SLICE_NONCES = 2**21  # a thread's share; with the slowest kernel under a second
_SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class Stats:
    """What the miner as a whole has done.

    Attributes:
        hashes: since it was made.
        improvements: how often any job's best has changed.
        jobs: in the set.
        busy: workers that are hashing.
        running: started, not stopped, before its deadline.
    """

    hashes: int
    improvements: int
    jobs: int
    busy: int
    running: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to hash.

    Attributes:
        name: as ``Miner`` and ``search`` take it.
        lanes: hashes made side by side.
        runs: whether this CPU and system can run it.
    """

    name: str
    lanes: int
    runs: bool


def kernels() -> list[Kernel]:
    """List the kernels compiled in, slowest first."""
    found: list[Kernel] = []
    while (name := lib.keccak_miner_kernel_name(len(found))) != ffi.NULL:
        found.append(
            Kernel(
                name=ffi.string(name).decode("ascii"),
                lanes=lib.keccak_miner_kernel_lanes(name),
                runs=lib.keccak_miner_kernel_runs(name),
            )
        )
    return found


def fastest_kernel() -> str:
    """Name the kernel that is used when none is asked for."""
    return [kernel.name for kernel in kernels() if kernel.runs][-1]


def self_test(kernel: str) -> None:
    """Hold a kernel against its known answers; takes some 50 ms.

    Raises:
        UsageError: no such kernel here.
        InternalError: it fails them, and must not be used.
    """
    _ensure(lib.keccak_miner_self_test(_kernel_name(kernel)), kernel)


_sound: set[str] = set()


def _sound_kernel(kernel: str | None) -> str:
    name = fastest_kernel() if kernel is None else kernel
    if name not in _sound:
        self_test(name)
        _sound.add(name)
    return name


def search(job: Job, count: int, *, threads: int = 1, kernel: str | None = None) -> Proof:
    """Hash ``count`` nonces from the job's cursor on, and give the best.

    The answer is the lowest nonce among those with the most zeros, whatever the number of threads and the kernel.
    The job's cap, weight and best known nonce play no part.

    Raises:
        UsageError: a value is out of range, or the nonces go beyond 2**64 - 1.
        InternalError: kernel and reference disagree.
    """
    if not 0 < count <= MAX_U64:
        raise UsageError(f"a number of nonces is 1 to 2**64 - 1, not {count}")
    spec = _spec(job)
    if job.cursor + count > MAX_U64 + 1:
        raise UsageError(
            f"{count} nonces from {job.cursor} go beyond 2**64 - 1",
            hint="a nonce is never hashed twice: no wrap",
        )
    name = _sound_kernel(kernel)
    best, state = None, ffi.new("keccak_job_state *")
    for done in range(0, count, _SLICE_NONCES * _threads(threads)):
        spec.cursor = job.cursor + done
        part = min(_SLICE_NONCES * threads, count - done)
        _ensure(lib.keccak_search_nonces(_kernel_name(name), threads, spec, part, state), name)
        if best is None or state.zeros > best.zeros:
            best = _proof(state)
    assert best is not None  # there was a first slice
    return _checked(best, job)


def clock_hz(adds: int = 1_000_000) -> float:
    """Measure the core's clock now by a chain of dependent additions, one a cycle. Noise only lowers it."""
    elapsed_ns: int = lib.keccak_clock_chain(adds)
    return adds * 1e9 / max(elapsed_ns, 1)


class Miner:
    """Worker threads over a set of jobs: always the job where the next hash is worth most.

    The worth of a hash is the chance that it betters the job, times the job's weight: with equal weights the lowest
    best comes first, none at its cap is taken, and equals take turns. Methods may be called from any thread. Close
    the miner, or use it in a ``with`` block: its threads end there. A forked child has the object and none of the
    threads: there only ``close`` works.

    Args:
        threads: by default one for each physical core that the process may use.
        kernel: by default the fastest that this CPU runs.
        niceness: of the workers, 0 to 19.
        cpus: pin worker ``i`` to CPU ``cpus[i % len(cpus)]``; none is pinned when empty.

    Raises:
        UsageError: a value is out of range, or there is no such kernel here.
        ConfigError: the system gives no memory or no threads, or one of ``cpus`` is not ours.
        InternalError: the kernel fails its known answers.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        kernel: str | None = None,
        niceness: int = 0,
        cpus: Sequence[int] = (),
    ) -> None:
        self.threads = _threads(_usable_cores() if threads is None else threads)
        if not 0 <= niceness <= _MAX_NICENESS:
            raise UsageError(f"niceness is 0 to {_MAX_NICENESS}, not {niceness}")
        if any(not 0 <= cpu <= MAX_U32 // 2 for cpu in cpus):
            raise UsageError("a CPU's number is not negative")
        self.kernel = _sound_kernel(kernel)
        name, numbers = _kernel_name(self.kernel), ffi.new("int32_t[]", list(cpus))
        config = ffi.new(
            "keccak_miner_config *",
            {
                "kernel": name,
                "threads": self.threads,
                "niceness": niceness,
                "cpus": numbers,
                "cpu_count": len(cpus),
            },
        )
        made = ffi.new("keccak_miner **")
        _ensure(lib.keccak_miner_new(config, made), self.kernel)
        self._handle = ffi.gc(made[0], lib.keccak_miner_free)
        self._process = os.getpid()
        self._jobs: dict[JobId, Job] = {}
        self._proofs: dict[JobId, Proof] = {}  # checked already
        self._jobs_lock = threading.Lock()
        self._calls = threading.Condition()
        self._calls_under_way = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, end the threads and free everything. A second call does nothing."""
        if self._process != os.getpid():
            return  # a forked child: none of the threads is here, and any lock may be held by one that is not
        with self._calls:
            if self._closed:
                return
            self._closed = True
        lib.keccak_miner_stop(self._handle)
        with self._calls:
            # A wait under way in another thread ends with the stop; the memory must outlive it.
            self._calls.wait_for(lambda: self._calls_under_way == 0)
        ffi.release(self._handle)

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if self._process != os.getpid():
            raise UsageError("the miner's threads are in another process", hint="make it after the fork")
        with self._calls:
            if self._closed:
                raise UsageError("the miner has been closed")
            self._calls_under_way += 1
        try:
            yield self._handle
        finally:
            with self._calls:
                self._calls_under_way -= 1
                self._calls.notify_all()

    def add(self, job: Job) -> JobId:
        """Add a job to the set; a running miner takes it into account at once.

        Raises:
            UsageError: a value is out of range.
            ConfigError: there is no memory for it; the set is as before.
        """
        spec, made = _spec(job), ffi.new("uint64_t *")
        with self._open() as miner, self._jobs_lock:
            _ensure(lib.keccak_miner_add(miner, spec, made))
            job_id = JobId(made[0])
            self._jobs[job_id] = job
        return job_id

    def change(self, job_id: JobId, job: Job) -> None:
        """Give a job new contents, as for the next block; what is under way for the old ones is dropped."""
        spec = _spec(job)
        with self._open() as miner, self._jobs_lock:
            _ensure(lib.keccak_miner_change(miner, _u64(job_id), spec))
            self._jobs[job_id] = job
            self._proofs.pop(job_id, None)

    def weigh(self, job_id: JobId, *, cap: int, weight: float) -> None:
        """Change what a job's hashes are worth, and nothing else."""
        _check_worth(cap, weight)
        with self._open() as miner:
            _ensure(lib.keccak_miner_weigh(miner, _u64(job_id), cap, weight))

    def remove(self, job_id: JobId) -> None:
        """Take a job out of the set. Read it before: its progress goes with it."""
        with self._open() as miner, self._jobs_lock:
            _ensure(lib.keccak_miner_remove(miner, _u64(job_id)))
            del self._jobs[job_id]
            self._proofs.pop(job_id, None)

    def read(self, job_id: JobId) -> Progress:
        """Give a job's progress, at any time and without a stop."""
        state = ffi.new("keccak_job_state *")
        with self._open() as miner, self._jobs_lock:
            _ensure(lib.keccak_miner_read(miner, _u64(job_id), state))
            return self._progress(state)

    def read_all(self) -> dict[JobId, Progress]:
        """Give every job's progress at one instant."""
        with self._open() as miner, self._jobs_lock:
            # Jobs come and go only under our lock, so the number cannot change in between.
            states, count = ffi.new("keccak_job_state[]", len(self._jobs)), ffi.new("uint32_t *")
            _ensure(lib.keccak_miner_read_all(miner, states, len(self._jobs), count))
            return {JobId(states[i].id): self._progress(states[i]) for i in range(count[0])}

    def start(self, deadline_s: float | None = None) -> None:
        """Search until ``deadline_s`` of ``time.monotonic()``, or until stopped.

        Raises:
            InternalError: the kernel has been found wrong, and must not be used.
        """
        with self._open() as miner:
            # 0 would mean: no deadline. One that has passed means: stop at once.
            deadline_ns = 0 if deadline_s is None else max(1, _nanoseconds(deadline_s))
            _ensure(lib.keccak_miner_start(miner, deadline_ns), self.kernel)

    def stop(self) -> None:
        """Stop searching; when this returns, no worker hashes any more. Takes a few milliseconds.

        It takes 40 ms at most. Where the system gives a nice worker no CPU for so long, the last chunk is booked
        when it is done: ``stats().busy`` tells, and ``wait`` waits for it.
        """
        with self._open() as miner:
            lib.keccak_miner_stop(miner)

    def stats(self) -> Stats:
        """Count what was done.

        Raises:
            InternalError: the kernel has reported what the reference contradicts; the miner has stopped.
        """
        found = ffi.new("keccak_miner_stats *")
        with self._open() as miner:
            lib.keccak_miner_read_stats(miner, found)
        return self._stats(found)

    def wait(self, seen: int, until_s: float) -> Stats:
        """Sleep until there are more than ``seen`` improvements, or nothing is left to do.

        Args:
            seen: ``improvements`` of the stats known so far.
            until_s: time of ``time.monotonic()`` at which to return in any case.

        Raises:
            InternalError: as ``stats``.
        """
        found, until_ns = ffi.new("keccak_miner_stats *"), _nanoseconds(until_s)
        with self._open() as miner:
            while True:
                slice_ns = min(until_ns, time.monotonic_ns() + int(_SLICE_S * 1e9))
                lib.keccak_miner_wait(miner, _u64(seen), slice_ns, found)
                # One that ends before its time has its reason; at its time it may have one, and the next tells.
                if found.improvements > seen or not slice_ns <= time.monotonic_ns() < until_ns:
                    return self._stats(found)

    def _stats(self, found: Any) -> Stats:
        if found.refuted:
            raise _broken(self.kernel)
        return Stats(
            hashes=found.hashes,
            improvements=found.improvements,
            jobs=found.jobs,
            busy=found.busy,
            running=found.running,
        )

    def _progress(self, state: Any) -> Progress:
        job_id = JobId(state.id)
        best = None
        if state.zeros >= 0:
            # One nonce of a job has one hash: what was checked once is neither copied nor checked again.
            best = self._proofs.get(job_id)
            if best is None or best.nonce != state.nonce or best.zeros != state.zeros:
                best = self._proofs[job_id] = _checked(_proof(state), self._jobs[job_id])
        cursor = MAX_U64 + 1 if state.exhausted else state.cursor
        return Progress(cursor=cursor, hashes=state.hashes, best=best)


def _proof(state: Any) -> Proof:
    return Proof(index=state.index, nonce=state.nonce, hash=bytes(ffi.buffer(state.hash)), zeros=state.zeros)


def _checked(proof: Proof, job: Job) -> Proof:
    if not verify(proof, job.entropy, job.farmer):
        raise InternalError(
            f"nonce {proof.nonce} does not hash to what the engine says",
            hint="run `kalepool bench`; if it fails too, this machine computes wrongly",
        )
    return proof


def _check_worth(cap: int, weight: float) -> None:
    if not 0 <= cap <= MAX_ZEROS:
        raise UsageError(f"a cap is 0 to {MAX_ZEROS} zeros, not {cap}")
    if not 0 <= weight <= sys.float_info.max:
        raise UsageError(f"a weight is finite and not negative, not {weight}")


def _spec(job: Job) -> Any:
    if not 0 <= job.index <= MAX_U32:
        raise UsageError(f"a block index is a u32, not {job.index}")
    for what, value in (("entropy", job.entropy), ("a farmer's raw key", job.farmer)):
        if len(value) != 32:  # noqa: PLR2004
            raise UsageError(f"{what} has 32 bytes, not {len(value)}")
    if not 0 <= job.cursor <= MAX_U64 + 1:
        raise UsageError(f"a cursor is 0 to 2**64, not {job.cursor}")
    if job.best_nonce is not None and not 0 <= job.best_nonce <= MAX_U64:
        raise UsageError(f"a nonce is a u64, not {job.best_nonce}")
    _check_worth(job.cap, job.weight)
    return ffi.new(
        "keccak_job_spec *",
        {
            "index": job.index,
            "entropy": list(job.entropy),
            "farmer": list(job.farmer),
            "cursor": min(job.cursor, MAX_U64),
            "exhausted": job.cursor > MAX_U64,
            "has_best": job.best_nonce is not None,
            "best_nonce": job.best_nonce or 0,
            "cap": job.cap,
            "weight": job.weight,
        },
    )


def _usable_cores() -> int:
    from kalepool.machine import usable_cores  # noqa: PLC0415 - most callers know; keeps the import quick

    return usable_cores()


def _threads(count: int) -> int:
    if not 1 <= count <= MAX_THREADS:
        raise UsageError(
            f"a miner has 1 to {MAX_THREADS} threads, not {count}",
            hint="give one for each core, or say nothing and it does so by itself",
        )
    return count


def _u64(value: int) -> int:
    if not 0 <= value <= MAX_U64:
        raise UsageError(f"{value} is no u64")
    return value


def _nanoseconds(at_s: float) -> int:
    if math.isnan(at_s):
        raise UsageError("a time is a number")
    return int(min(max(at_s, 0.0), 2.0**33) * 1e9)


def _kernel_name(kernel: str) -> Any:
    return ffi.new("char[]", kernel.encode("ascii", "replace"))


def _broken(kernel: str) -> InternalError:
    return InternalError(
        f"the kernel {kernel} computes wrong hashes and is refused",
        hint="run `kalepool bench`; another kernel may be sound: --kernel portable",
    )


def _ensure(code: int, kernel: str = "") -> None:
    """Turn an error of the engine into one of ours."""
    if code == lib.KECCAK_OK:
        return
    raise _error(code, kernel)


def _error(code: int, kernel: str) -> KalepoolError:
    if code == lib.KECCAK_NO_KERNEL:
        known = ", ".join(each.name for each in kernels() if each.runs)
        return UsageError(f"there is no kernel {kernel!r} on this machine", hint=f"it runs {known}")
    if code == lib.KECCAK_BAD_KERNEL:
        return _broken(kernel)
    if code == lib.KECCAK_NO_JOB:
        return UsageError("there is no such job in the miner")
    if code == lib.KECCAK_NO_MEMORY:
        return ConfigError(
            "there is no memory left for the miner", hint="mine with fewer farmers, or more memory"
        )
    if code == lib.KECCAK_NO_THREADS:
        return ConfigError(
            "the system refused the miner's threads",
            hint="use fewer --threads, and CPUs this process may use",
        )
    return UsageError("a value given to the miner is out of range")
