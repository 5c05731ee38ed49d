"""What the miner is not to be given: a typed error each, nothing leaks, nothing hangs."""

from __future__ import annotations

import ast
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kalepool import _miner
from kalepool.adapters import miner as adapter
from kalepool.adapters.miner import Miner, search, self_test
from kalepool.core.grinding import Job, JobId
from kalepool.errors import ConfigError, InternalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.core.farm import Proof

GOOD = Job(index=1, entropy=bytes(32), farmer=bytes(32))
TOP = 2**64

BAD_JOBS = {
    "farmer-31-bytes": replace(GOOD, farmer=bytes(31)),
    "farmer-33-bytes": replace(GOOD, farmer=bytes(33)),
    "farmer-empty": replace(GOOD, farmer=b""),
    "entropy-31-bytes": replace(GOOD, entropy=bytes(31)),
    "index-negative": replace(GOOD, index=-1),
    "index-above-u32": replace(GOOD, index=2**32),
    "cursor-negative": replace(GOOD, cursor=-1),
    "cursor-above-end": replace(GOOD, cursor=TOP + 1),
    "best-nonce-negative": replace(GOOD, best_nonce=-1),
    "best-nonce-above-u64": replace(GOOD, best_nonce=TOP),
    "cap-negative": replace(GOOD, cap=-1),
    "cap-65": replace(GOOD, cap=65),
    "weight-negative": replace(GOOD, weight=-0.5),
    "weight-nan": replace(GOOD, weight=math.nan),
    "weight-infinite": replace(GOOD, weight=math.inf),
    "weight-above-doubles": replace(GOOD, weight=10**400),
}


@pytest.mark.parametrize("job", BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_malformed_job_is_refused_and_the_set_stays_as_it_was(job: Job) -> None:
    with Miner(threads=1) as miner:
        job_id = miner.add(GOOD)
        with pytest.raises(UsageError):
            miner.add(job)
        with pytest.raises(UsageError):
            miner.change(job_id, job)
        assert miner.read_all().keys() == {job_id}


@pytest.mark.parametrize(
    ("job", "count", "threads", "kernel"),
    [
        (GOOD, 0, 1, None),
        (GOOD, -1, 1, None),
        (GOOD, TOP, 1, None),
        (replace(GOOD, cursor=TOP - 10), 11, 1, None),
        (replace(GOOD, cursor=TOP), 1, 1, None),
        (GOOD, 1, 0, None),
        (GOOD, 1, 10_000, None),
        (GOOD, 1, -1, None),
        (GOOD, 1, 1, "abacus"),
        (GOOD, 1, 1, "päckchen"),
        (replace(GOOD, farmer=bytes(31)), 1, 1, None),
    ],
    ids=[
        "count-0",
        "count-negative",
        "count-above-u64",
        "range-wraps",
        "cursor-at-end",
        "threads-0",
        "threads-10000",
        "threads-negative",
        "kernel-unknown",
        "kernel-not-ascii",
        "farmer-31-bytes",
    ],
)
def test_a_malformed_search_is_refused(job: Job, count: int, threads: int, kernel: str | None) -> None:
    with pytest.raises(UsageError):
        search(job, count, threads=threads, kernel=kernel)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Miner(threads=0),
        lambda: Miner(threads=10_000),
        lambda: Miner(kernel="abacus"),
        lambda: Miner(niceness=-1),
        lambda: Miner(niceness=20),
        lambda: Miner(cpus=[-1]),
        lambda: Miner(cpus=[2**32]),
    ],
    ids=["threads-0", "threads-10000", "kernel", "nice-negative", "nice-20", "cpu-negative", "cpu-huge"],
)
def test_a_malformed_miner_is_refused(make: Callable[[], Miner]) -> None:
    with pytest.raises(UsageError):
        make()


def test_a_cpu_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ConfigError):
        Miner(threads=2, cpus=[1023])


@pytest.mark.parametrize("job_id", [0, 12_345, 2**63, TOP, -1])
def test_an_unknown_job_is_refused(job_id: int) -> None:
    with Miner(threads=1) as miner:
        missing = JobId(job_id)
        for call in (
            lambda: miner.read(missing),
            lambda: miner.remove(missing),
            lambda: miner.change(missing, GOOD),
            lambda: miner.weigh(missing, cap=1, weight=1.0),
        ):
            with pytest.raises(UsageError):
                call()


def test_a_worth_out_of_range_is_refused() -> None:
    with Miner(threads=1) as miner:
        job_id = miner.add(GOOD)
        for cap, weight in ((-1, 1.0), (65, 1.0), (1, -1.0), (1, math.nan)):
            with pytest.raises(UsageError):
                miner.weigh(job_id, cap=cap, weight=weight)


def test_a_time_that_is_no_number_is_refused() -> None:
    with Miner(threads=1) as miner:
        with pytest.raises(UsageError):
            miner.start(math.nan)
        with pytest.raises(UsageError):
            miner.wait(0, math.nan)


def test_an_engine_that_was_not_built_is_a_configuration_error() -> None:
    program = """
import sys
sys.modules["kalepool._miner"] = None
from kalepool.cli.app import main
sys.exit(main(["bench"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: the hash engine was not built")
    assert "hint: " in done.stderr


def test_more_jobs_than_memory_is_an_error_that_leaves_a_working_miner() -> None:
    # In a process of its own, whose address space is the limit.
    program = """
import resource, time
from kalepool.adapters.miner import Miner, _spec
from kalepool.core.grinding import Job
from kalepool.errors import ConfigError
from kalepool.adapters import miner as adapter
job = Job(index=1, entropy=bytes(32), farmer=bytes(32), cap=1)
spec, made = _spec(job), adapter.ffi.new("uint64_t *")
with Miner(threads=1) as miner:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    usual = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20, usual[1]))
    added = 0
    while (code := adapter.lib.keccak_miner_add(miner._handle, spec, made)) == 0:
        added += 1
    resource.setrlimit(resource.RLIMIT_AS, usual)
    assert code == adapter.lib.KECCAK_NO_MEMORY, code
    try:
        adapter._ensure(code)
    except ConfigError as error:
        print(error.message)
    miner.start(time.monotonic() + 30)
    stats = miner.wait(0, time.monotonic() + 30)
    assert stats.improvements > 0 and stats.jobs == added > 10_000, stats
    miner.stop()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("there is no memory left for the miner\n", "")


def test_a_kernel_that_fails_its_known_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        """The engine, but for one answer."""

        def __getattr__(self, name: str) -> object:
            return getattr(_miner.lib, name)

        def keccak_miner_self_test(self, _: object) -> object:
            return _miner.lib.KECCAK_BAD_KERNEL

    monkeypatch.setattr(adapter, "lib", Broken())
    monkeypatch.setattr(adapter, "_sound", set())
    with pytest.raises(InternalError, match="computes wrong hashes"):
        self_test("portable")
    with pytest.raises(InternalError, match="portable"):
        Miner(threads=1, kernel="portable")
    with pytest.raises(InternalError):
        search(GOOD, 1)


def test_a_proof_that_another_implementation_denies_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(proof: Proof, entropy: bytes, farmer: bytes) -> bool:
        return False

    monkeypatch.setattr(adapter, "verify", deny)
    with pytest.raises(InternalError, match="does not hash to what"):
        search(GOOD, 10)
    with Miner(threads=1) as miner:
        job_id = miner.add(replace(GOOD, best_nonce=3))
        with pytest.raises(InternalError):
            miner.read(job_id)
        with pytest.raises(InternalError):
            miner.read_all()


def test_only_the_adapter_imports_the_extension() -> None:
    # An extension is no module to import-linter, so this wall is checked here.
    source = Path(adapter.__file__).parents[1]
    importers = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
            else:
                continue
            if any(name.split(".")[:2] == ["kalepool", "_miner"] for name in names):
                importers.add(path.relative_to(source).as_posix())
    assert importers == {"adapters/miner.py"}
