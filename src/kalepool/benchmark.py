"""How fast this machine hashes, how near that is to what its CPU can issue, and whether the hashes are right.

Noise only ever slows: many short windows are timed, of all kernels in turn so that they share whatever else the
machine does, and the best is what the CPU can do. Clocks change from one millisecond to the next, so each window has
a chain of dependent additions before and after it. Where both tell the same clock the window gives cycles per hash.
That can still be wrong, for the clock may have been another in between: the few lowest are not believed.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kalepool.adapters.miner import clock_hz, kernels, search
from kalepool.core.grinding import Job
from kalepool.core.proof import expected_zeros
from kalepool.errors import InternalError, UsageError
from kalepool.machine import Cpu, cpu, usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_SECONDS: Final = 3600.0
BLOCK_S: Final = 320  # median of a block's life on the public network
FARMERS: Final = (1, 10, 100)

# The hash at the end of a chain of a hundred searches over a million nonces, each search's entropy the best hash
# of the one before. Made with pycryptodome; tests/miner/test_search.py holds every kernel to the same.
CHAIN_SEARCHES: Final = 100
CHAIN_NONCES: Final = 10_000
CHAIN_DIGEST: Final = "000af3d34694b9ae63b11c16e682fbbfd332fa10b837898a9e9276a300d5e849"

_WINDOW_S = 0.010
_WINDOW_THREADED_S = 0.040  # starting and ending threads is part of it, and must not show
_BLOCK_NONCES = 8192
_WINDOWS_MIN = 3
_CLOCK_DRIFT = 0.003
_CLOCK_MISREAD = 20  # one window in so many may owe its few cycles to a clock that was higher in between

# Arithmetic of one pass over all lanes of a kernel: docs/HASH_ENGINE.md counts it. Loads and stores have ports of
# their own on all CPUs that have a figure below.
OPERATIONS: Final = {"portable": 2952, "avx2": 3987, "avx512": 1962, "neon": 3455, "neon-sha3": 1456}
_ASSUMED_A_CYCLE: Final = {"portable": 4, "avx2": 4, "avx512": 2, "neon": 4, "neon-sha3": 2}
# Intel: 3 vector ports, of which two fuse for 512 bits. Scalar: 4 ports, since Golden Cove 5. AMD: Zen 5 widened all.
_INTEL: Final = {"portable": 4, "avx2": 3, "avx512": 2}
_INTEL_FIVE_PORTS: Final = frozenset({143, 207, 173, 174, 151, 154, 183, 186, 191, 170, 172, 197, 198})
_ZEN_5: Final = {"portable": 6, "avx2": 4, "avx512": 4}
_FAMILY_ZEN_5 = 26


@dataclass(frozen=True, slots=True)
class Rate:
    """What one kernel did with one number of threads.

    Attributes:
        name: of the kernel.
        lanes: hashes it makes side by side.
        threads: that shared each window.
        mhs: million hashes a second in the best window; ``mhs_median`` in the median one.
        cycles_per_hash: of one core; one window in twenty had fewer, most of them by a clock that changed unseen.
        limit_cycles: cycles a hash needs at least, by the operations that the CPU can issue in a cycle.
        limit_share: how much of that limit was reached.
        scaling: rate over the rate of one thread times the number of threads; 1 for one thread.
        right: whether what it found is what the reference finds.
    """

    name: str
    lanes: int
    threads: int
    mhs: float
    mhs_median: float
    cycles_per_hash: float
    limit_cycles: float
    limit_share: float
    scaling: float
    right: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run measured.

    Attributes:
        cpu: its name.
        clock_ghz: best clock seen, in additions of a dependent chain.
        checksum: over what the kernels found: hexadecimal, equal to ``CHAIN_DIGEST`` when all are right.
        rates: a row a kernel and number of threads, slowest kernel first.
    """

    cpu: str
    clock_ghz: float
    checksum: str
    rates: tuple[Rate, ...]

    @property
    def right(self) -> bool:
        """Whether every kernel found what it should have."""
        return all(rate.right for rate in self.rates)

    @property
    def best_mhs(self) -> float:
        """Million hashes a second of the machine at its best, by kernels that are right."""
        return max((rate.mhs for rate in self.rates if rate.right), default=0.0)

    def zeros_expected(self) -> dict[int, float]:
        """Give the mean best zeros of each of so many farmers who share the machine for a block."""
        hashes = self.best_mhs * 1e6 * BLOCK_S
        return {farmers: expected_zeros(hashes / farmers) for farmers in FARMERS}


@dataclass(slots=True)
class _Series:
    """The windows of one kernel with one number of threads."""

    kernel: str
    lanes: int
    threads: int
    digest: str
    nonces: int = _BLOCK_NONCES
    cursor: int = 0
    rates_hz: list[float] = field(default_factory=list)
    clocks_hz: list[float] = field(default_factory=list)
    cycles: list[float] = field(default_factory=list)  # of windows whose clock stayed the same
    unsteady: list[float] = field(default_factory=list)  # of the others: a last resort

    def run_window(self) -> None:
        """Time one window, and size the next by it."""
        job = Job(index=1, entropy=bytes(32), farmer=bytes(32), cursor=self.cursor)
        before_hz = _clock_now_hz()
        began_ns, began_cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        search(job, self.nonces, threads=self.threads, kernel=self.kernel)
        elapsed_s = (time.perf_counter_ns() - began_ns) / 1e9
        # Of all threads, and without what other processes took: cycles are of the CPU, rates of the clock on the wall.
        cpu_s = (time.process_time_ns() - began_cpu_ns) / 1e9
        after_hz = _clock_now_hz()
        clock = max(before_hz, after_hz)
        self.cursor += self.nonces
        self.rates_hz.append(self.nonces / elapsed_s)
        self.clocks_hz.append(clock)
        steady = min(before_hz, after_hz) > clock * (1 - _CLOCK_DRIFT)
        (self.cycles if steady else self.unsteady).append(cpu_s * clock / self.nonces)
        wanted_s = _WINDOW_S if self.threads == 1 else _WINDOW_THREADED_S
        # Whole shares for every thread, so that none idles at a window's end.
        share = 2 * _BLOCK_NONCES * self.threads
        self.nonces = max(1, round(max(self.rates_hz) * wanted_s / share)) * share


def _clock_now_hz() -> float:
    # Some 20 us each: short enough that an interrupt spares one of three.
    return max(clock_hz(60_000) for _ in range(3))


def chain_digest(kernel: str, threads: int = 1) -> str:
    """Search a chain of a million nonces; give its last hash in hexadecimal."""
    entropy = bytes(32)
    for step in range(CHAIN_SEARCHES):
        job = Job(index=step, entropy=entropy, farmer=bytes(range(32)), cursor=step * 10_007)
        entropy = search(job, CHAIN_NONCES, kernel=kernel, threads=threads).hash
    return entropy.hex()


def issue_limit(kernel: str, lanes: int, processor: Cpu) -> float:
    """Give the cycles a hash needs at least on this CPU, as far as its ports are known; else on one like Zen 4."""
    a_cycle = _ASSUMED_A_CYCLE
    if processor.vendor == "GenuineIntel":
        a_cycle = {**_INTEL, "portable": 5 if processor.model in _INTEL_FIVE_PORTS else 4}
    elif processor.vendor == "AuthenticAMD" and processor.family >= _FAMILY_ZEN_5:
        a_cycle = _ZEN_5
    return OPERATIONS[kernel] / a_cycle[kernel] / lanes


def measure(
    seconds: float,
    *,
    kernel: str | None = None,
    threads: int | None = None,
    progress: Callable[[str, float], None] = lambda _what, _share: None,
) -> Report:
    """Time every kernel that runs here, or one, with one thread and with ``threads``.

    Args:
        seconds: how long to time, all kernels together; above 0. Checking them comes on top, about a second.
        kernel: the only one to time.
        threads: by default one for each physical core that the process may use.
        progress: told what is done now, and the share of the time that is over.

    Raises:
        UsageError: a value is out of range, or there is no such kernel here.
    """
    if not 0 < seconds <= MAX_SECONDS:
        raise UsageError(
            f"a benchmark takes more than 0 and at most {MAX_SECONDS:.0f} seconds, not {seconds:g}",
            hint="say for how long with --seconds, such as --seconds 5",
        )
    many = usable_cores() if threads is None else threads
    series = list(_checked_series(kernel, many, progress))
    began_s, turns = time.monotonic(), 0
    while (elapsed_s := time.monotonic() - began_s) < seconds or turns < _WINDOWS_MIN:
        turns += 1
        for each in series:
            if each.digest == CHAIN_DIGEST:
                progress(f"{each.kernel}, threads: {each.threads}", min(elapsed_s / seconds, 1.0))
                each.run_window()
    return _report(series)


def _checked_series(
    only: str | None, threads: int, progress: Callable[[str, float], None]
) -> Iterator[_Series]:
    """Hold each kernel against the reference before it is timed."""
    known = {each.name: each for each in kernels() if each.runs}
    if only is not None and only not in known:
        raise UsageError(f"there is no kernel {only!r} on this machine", hint=f"it runs {', '.join(known)}")
    for each in known.values():
        if only in (None, each.name):
            for count in sorted({1, threads}):
                progress(f"checking {each.name}", 0.0)
                try:
                    digest = chain_digest(each.name, count)
                except InternalError:
                    digest = ""
                yield _Series(each.name, each.lanes, count, digest)


def _report(series: list[_Series]) -> Report:
    processor = cpu()
    clock = max((max(each.clocks_hz) for each in series if each.clocks_hz), default=0.0)
    alone = {each.kernel: max(each.rates_hz, default=0.0) for each in series if each.threads == 1}
    digests = {each.digest for each in series}
    return Report(
        cpu=processor.name,
        clock_ghz=clock / 1e9,
        checksum=digests.pop() if len(digests) == 1 else "/".join(sorted(each or "none" for each in digests)),
        rates=tuple(_rate(each, alone[each.kernel], processor) for each in series),
    )


def _rate(series: _Series, alone_hz: float, processor: Cpu) -> Rate:
    # The first windows are small and size the others.
    timed = series.rates_hz[1:]
    best = max(timed, default=0.0)
    windows = sorted(series.cycles or series.unsteady)
    cycles = windows[len(windows) // _CLOCK_MISREAD] if windows else 0.0
    limit = issue_limit(series.kernel, series.lanes, processor)
    return Rate(
        name=series.kernel,
        lanes=series.lanes,
        threads=series.threads,
        mhs=best / 1e6,
        mhs_median=statistics.median(timed) / 1e6 if timed else 0.0,
        cycles_per_hash=cycles,
        limit_cycles=limit,
        limit_share=limit / cycles if cycles else 0.0,
        scaling=best / (series.threads * alone_hz) if alone_hz else 0.0,
        right=series.digest == CHAIN_DIGEST,
    )
