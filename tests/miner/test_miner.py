"""The miner over a set of jobs: what it works on, what it never does twice, how it stops."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalepool.adapters import miner as adapter
from kalepool.adapters.miner import MAX_THREADS, Miner, fastest_kernel, kernels, search
from kalepool.core.grinding import Job, JobId, Progress
from kalepool.core.proof import verify
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = 2**64
LATE_S = 30.0  # a patience that only a hung miner exhausts


def job_of(farmer: int, **changes: object) -> Job:
    return Job(index=5, entropy=b"\x01" * 32, farmer=farmer.to_bytes(32, "big"), **changes)  # type: ignore[arg-type]


def stop(miner: Miner) -> None:
    """Stop it, and wait for chunks that a busy machine lets end late."""
    miner.stop()
    assert miner.wait(TOP - 1, time.monotonic() + LATE_S).busy == 0


def run_until_idle(miner: Miner) -> None:
    """Let it work until no job is worth a hash."""
    until_s = time.monotonic() + LATE_S
    miner.start(until_s)
    while (stats := miner.wait(TOP - 1, until_s)).busy:
        assert stats.running
    assert time.monotonic() < until_s
    miner.stop()


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_every_farmer_has_a_proof_and_no_cap_is_passed_without_need(threads: int) -> None:
    with Miner(threads=threads) as miner:
        jobs = {miner.add(job_of(i, cap=3)): i for i in range(50)}
        run_until_idle(miner)
        progress = miner.read_all()
    assert progress.keys() == jobs.keys()
    for job_id, done in progress.items():
        assert done.best is not None
        assert done.best.zeros >= 3
        assert verify(done.best, b"\x01" * 32, jobs[job_id].to_bytes(32, "big"))


def test_the_best_is_what_a_search_of_the_same_nonces_finds() -> None:
    with Miner(threads=3) as miner:
        job_id = miner.add(job_of(1, cursor=2**32 - 3000, cap=4))
        run_until_idle(miner)
        done = miner.read(job_id)
    assert done.hashes == done.cursor - (2**32 - 3000)
    assert done.best is not None
    assert done.best.zeros == search(job_of(1, cursor=2**32 - 3000), done.hashes).zeros


def test_a_job_at_its_cap_or_without_weight_is_not_worked_on() -> None:
    with Miner(threads=2) as miner:
        rested, capped = miner.add(job_of(1, weight=0.0)), miner.add(job_of(2, cap=0, best_nonce=7))
        other = miner.add(job_of(3, cap=2))
        run_until_idle(miner)
        assert miner.read(rested) == Progress(cursor=0, hashes=0, best=None)
        assert miner.read(capped).hashes == 0
        assert miner.read(other).hashes > 0


def test_a_job_taken_up_again_goes_on_at_its_cursor_with_its_best() -> None:
    with Miner(threads=2) as miner:
        job_id = miner.add(job_of(1, cap=3))
        run_until_idle(miner)
        before = miner.read(job_id)
    assert before.best is not None
    with Miner(threads=2) as miner:
        job_id = miner.add(job_of(1, cap=3, cursor=before.cursor, best_nonce=before.best.nonce))
        run_until_idle(miner)
        assert miner.read(job_id) == Progress(cursor=before.cursor, hashes=0, best=before.best)


def test_the_last_nonce_is_hashed_and_none_after_it() -> None:
    with Miner(threads=4) as miner:
        job_id = miner.add(job_of(1, cursor=TOP - 5000))
        run_until_idle(miner)
        done = miner.read(job_id)
        assert (done.cursor, done.hashes) == (TOP, 5000)
        assert done.best == search(job_of(1, cursor=TOP - 5000), 5000)
        # And a job that is said to be at its end stays there.
        ended = miner.add(job_of(2, cursor=TOP))
        run_until_idle(miner)
        assert miner.read(ended) == Progress(cursor=TOP, hashes=0, best=None)


def test_jobs_come_change_and_go_while_it_runs() -> None:
    with Miner(threads=2) as miner:
        miner.start()
        first = miner.add(job_of(1, cap=2))
        stats = miner.stats()
        until_s = time.monotonic() + LATE_S
        while miner.read(first).best is None:
            stats = miner.wait(stats.improvements, until_s)
        miner.change(first, job_of(2, cursor=1000))
        assert miner.read(first).cursor >= 1000
        second = miner.add(job_of(3, weight=0.0))
        miner.weigh(second, cap=64, weight=100.0)
        while miner.read(second).best is None:
            stats = miner.wait(stats.improvements, until_s)
        miner.remove(second)
        stop(miner)
        assert miner.stats().jobs == 1
        changed = miner.read(first)
        assert changed.hashes == changed.cursor - 1000
        assert changed.best is None or verify(changed.best, b"\x01" * 32, (2).to_bytes(32, "big"))


def test_a_heavier_farmer_gets_the_hashes_until_the_chance_outweighs_it() -> None:
    with Miner(threads=1) as miner:
        # 16 times the weight is worth as much as one zero less: a thousand times, two and a half.
        light, heavy = miner.add(job_of(1, weight=1.0, cap=3)), miner.add(job_of(2, weight=1000.0, cap=3))
        until_s = time.monotonic() + LATE_S
        miner.start()
        stats = miner.stats()
        while (best := miner.read(heavy).best) is None or best.zeros < 3:
            stats = miner.wait(stats.improvements, until_s)
        miner.stop()
        assert miner.read(heavy).hashes > 0
        assert miner.read(light).hashes < 2**20


def test_stopped_means_that_nothing_is_hashed_any_more() -> None:
    with Miner(threads=4) as miner:
        job_id = miner.add(job_of(1))
        miner.start()
        miner.wait(0, time.monotonic() + LATE_S)
        stop(miner)
        stats, done = miner.stats(), miner.read(job_id)
        assert (stats.busy, stats.running) == (0, False)
        assert done.hashes == done.cursor == stats.hashes
        assert miner.wait(TOP - 1, time.monotonic() + LATE_S) == stats
        miner.start()
        miner.wait(stats.improvements, time.monotonic() + LATE_S)
        stop(miner)
        assert miner.read(job_id).hashes > done.hashes


def test_a_stop_takes_at_most_50_ms() -> None:
    with Miner() as miner:
        for i in range(100):
            miner.add(job_of(i))
        times_s = []
        for _ in range(20):
            miner.start()
            miner.wait(miner.stats().improvements, time.monotonic() + 0.005)
            began_s = time.monotonic()
            miner.stop()
            times_s.append(time.monotonic() - began_s)
    # A busy machine may take the CPU away for any one of them; the engine's own part shows in the quickest half.
    assert sorted(times_s)[len(times_s) // 2] < 0.050


def test_a_deadline_ends_the_search() -> None:
    with Miner(threads=2) as miner:
        job_id = miner.add(job_of(1))
        deadline_s = time.monotonic() + 0.05
        miner.start(deadline_s)
        stats = miner.stats()
        while stats.running:
            stats = miner.wait(stats.improvements, time.monotonic() + LATE_S)
        assert time.monotonic() >= deadline_s
        miner.stop()
        assert miner.read(job_id).best is not None


def test_a_deadline_that_has_passed_is_no_missing_deadline() -> None:
    with Miner(threads=1) as miner:
        miner.add(job_of(1))
        miner.start(0.0)
        assert not miner.wait(0, time.monotonic() + LATE_S).running
        assert miner.stats().hashes == 0


@settings(max_examples=20, deadline=None)
@given(
    cursors=st.lists(st.integers(0, TOP - 1), min_size=1, max_size=8),
    threads=st.integers(1, 6),
    cap=st.integers(0, 3),
)
def test_no_nonce_is_hashed_twice_and_none_left_out(cursors: list[int], threads: int, cap: int) -> None:
    with Miner(threads=threads) as miner:
        ids = {miner.add(job_of(i, cursor=at, cap=cap)): at for i, at in enumerate(cursors)}
        run_until_idle(miner)
        progress = miner.read_all()
        total = miner.stats().hashes
    for job_id, at in ids.items():
        # As many hashes as the cursor has moved: chunks neither overlap nor leave gaps.
        assert progress[job_id].hashes == progress[job_id].cursor - at
    assert total == sum(done.hashes for done in progress.values())


def test_a_wait_in_another_thread_ends_when_the_miner_is_closed() -> None:
    miner = Miner(threads=1)
    miner.add(job_of(1))
    miner.start()
    waiting = threading.Thread(target=miner.wait, args=(TOP - 1, time.monotonic() + 2 * LATE_S))
    waiting.start()
    miner.close()
    waiting.join(LATE_S)
    assert not waiting.is_alive()
    miner.close()
    with pytest.raises(UsageError, match="closed"):
        miner.stats()


class InterruptedInTime(Exception):  # noqa: N818 - stands for Ctrl-C
    """What a signal's handler raised."""


@pytest.fixture
def soon_interrupted() -> Iterator[None]:
    """Have this thread interrupted by a signal in a moment, as by Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        raise InterruptedInTime

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    yield
    timer.join()
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("soon_interrupted")
def test_a_signal_ends_a_long_wait() -> None:
    with Miner(threads=1) as miner:
        miner.add(job_of(1))
        miner.start()
        began_s = time.monotonic()
        with pytest.raises(InterruptedInTime):
            miner.wait(TOP - 1, began_s + LATE_S)
        assert time.monotonic() - began_s < LATE_S / 3


@pytest.mark.usefixtures("soon_interrupted")
def test_a_signal_ends_a_long_search() -> None:
    began_s = time.monotonic()
    with pytest.raises(InterruptedInTime):
        search(job_of(1), 2**40)
    assert time.monotonic() - began_s < LATE_S


def test_a_search_in_slices_finds_what_one_search_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = search(job_of(1, cursor=TOP - 100_000), 100_000)
    monkeypatch.setattr(adapter, "_SLICE_NONCES", 777)
    assert search(job_of(1, cursor=TOP - 100_000), 100_000, threads=3) == whole


def _in_a_child(miner: Miner) -> None:
    # Ends by a failure or by multiprocessing's own exit; a hang is what this is about.
    with pytest.raises(UsageError, match="another process"):
        miner.stop()
    miner.close()
    assert search(job_of(1), 1000, threads=2).zeros > 0


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_is_told_that_the_threads_are_not_its_own() -> None:
    with Miner(threads=2) as miner:
        job_id = miner.add(job_of(1))
        miner.start()
        child = multiprocessing.get_context("fork").Process(target=_in_a_child, args=(miner,))
        child.start()
        child.join(LATE_S)
        assert child.exitcode == 0
        # And the parent's is as it was.
        assert miner.read(job_id).best is not None
        stop(miner)


def test_other_threads_run_while_it_hashes() -> None:
    counted = threading.Event()

    def count() -> None:
        counted.set()

    other = threading.Thread(target=count)
    # Some seconds of work on any machine; with the GIL held the other thread could not even begin.
    blocker = threading.Thread(target=search, args=(job_of(1), 20_000_000))
    blocker.start()
    other.start()
    assert counted.wait(LATE_S)
    assert blocker.is_alive()
    blocker.join()
    other.join()


@pytest.mark.parametrize("kernel", [kernel.name for kernel in kernels() if kernel.runs])
def test_every_kernel_mines(kernel: str) -> None:
    with Miner(threads=2, kernel=kernel, niceness=10, cpus=[0]) as miner:
        job_id = miner.add(job_of(1, cap=3))
        run_until_idle(miner)
        assert miner.kernel == kernel
        best = miner.read(job_id).best
    assert best is not None
    assert best.zeros >= 3


def test_kernels_are_listed_slowest_first_and_portable_always_runs() -> None:
    listed = kernels()
    assert (listed[0].name, listed[0].lanes, listed[0].runs) == ("portable", 1, True)
    assert [kernel.lanes for kernel in listed] == sorted(kernel.lanes for kernel in listed)
    assert fastest_kernel() == [kernel.name for kernel in listed if kernel.runs][-1]


def test_as_many_threads_as_allowed_can_be_made_and_ended() -> None:
    with Miner(threads=MAX_THREADS) as miner:
        job_id = miner.add(job_of(1, cap=2))
        run_until_idle(miner)
        assert miner.read(job_id).best is not None


def test_importing_the_adapter_is_quick_and_leaves_the_check_for_later() -> None:
    # CPU time, for other tests may run; beside the program itself, which brings most of the standard library.
    program = (
        "import kalepool.cli.app, sys, time; began = time.process_time(); import kalepool.adapters.miner;"
        "took = time.process_time() - began; assert 'Crypto' not in sys.modules; print(took)"
    )
    times_s = [
        float(
            subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        )
        for _ in range(5)
    ]
    assert min(times_s) < 0.030


def test_ids_of_jobs_that_went_are_not_used_again() -> None:
    with Miner(threads=1) as miner:
        seen: set[JobId] = set()
        for i in range(100):
            job_id = miner.add(job_of(i))
            assert job_id not in seen
            seen.add(job_id)
            miner.remove(job_id)
