"""The simulation from a shell: ``python -m tests.faults.simulate --seed N --trace``."""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from types import FrameType

_LONGEST_S = 90
_ENOUGH = 150
_LEAST_WORKED = 0.99
_TOLD_EVERY = 100
_SEARCHED = ("src", "tests/faults", "tests/support")
_SOURCES = {".py", ".c", ".h"}
_TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "src")]

from faults.runs import Run, run_seed  # noqa: E402 - found by the path above


def main(arguments: list[str] | None = None) -> int:
    """Run seeds; give 1 when one of them found something that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", type=int, default=20, help="so many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument(
        "--fresh", action="store_true", help="some seeds that belong to this state of the program alone"
    )
    parser.add_argument("--seconds", type=float, help="begin no more seeds after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--mutant", help="with this mistake built in")
    given = parser.parse_args(arguments)
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of strings are gone through in an order that depends on it.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.faults.simulate", *sys.argv[1:]])
    if given.seed is not None:
        return _one(given.seed, trace=given.trace, mutant=given.mutant)
    if given.fresh:
        given.first, given.seeds = _first_of_this_program(), _ENOUGH
        say(f"fresh seeds from {given.first} on")
    return _many(given)


def _first_of_this_program() -> int:
    """Give a seed that each state of the program has its own of, so that what one machine finds another finds too."""
    read = hashlib.sha256()
    for path in sorted(
        path.relative_to(_TESTS.parent)
        for folder in _SEARCHED
        for path in (_TESTS.parent / folder).rglob("*")
        if path.suffix in _SOURCES
    ):
        read.update(f"{path.as_posix()}\n".encode() + (_TESTS.parent / path).read_bytes())
    return int.from_bytes(read.digest()[:4])


def say(line: str) -> None:
    """Write a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _one(seed: int, *, trace: bool, mutant: str | None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        run = run_seed(seed, Path(folder), tell=say if trace else None, mutant=mutant)
    say(f"seed {seed}: {run.blocks} blocks, {dict(run.counts)}, trace {run.digest[:16]}, {run.seconds:.1f} s")
    for violation in run.violations:
        say(f"  {violation}")
    return 1 if run.violations else 0


def _run(seed: int, mutant: str | None) -> Run:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_LONGEST_S)
    with tempfile.TemporaryDirectory() as folder:
        return run_seed(seed, Path(folder), mutant=mutant)


def _too_long(_number: int, frame: FrameType | None) -> None:
    raise TimeoutError("".join(traceback.format_stack(frame)[-12:]))


def _unless_stopped(futures: Iterator[Future[Run]]) -> Iterator[Future[Run]]:
    """Give what is done until somebody stops it: then the sum of what was done is told all the same."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        yield from futures


def _many(given: argparse.Namespace) -> int:
    counts: Counter[str] = Counter()
    failed, done, blocks = [], 0, 0
    begun = time.monotonic()
    with ProcessPoolExecutor(given.jobs) as pool:
        seeds = range(given.first, given.first + given.seeds)
        waiting = {pool.submit(_run, seed, given.mutant): seed for seed in seeds}
        for future in _unless_stopped(as_completed(waiting)):
            if given.seconds is not None and time.monotonic() - begun > given.seconds:
                break
            run = future.result()
            done, blocks = done + 1, blocks + run.blocks
            counts.update(run.counts)
            if run.violations:
                failed.append(run.seed)
                say(f"seed {run.seed}: {run.violations[0]}")
                for more in run.violations[1:5]:
                    say(f"    {more}")
                say(f"  replay it: python -m tests.faults.simulate --seed {run.seed} --trace")
            if done % _TOLD_EVERY == 0:
                say(f"... {done} seeds, {len(failed)} with violations")
        pool.shutdown(cancel_futures=True)
    say(f"{done} seeds, {blocks} blocks, {len(failed)} with violations, {time.monotonic() - begun:.0f} s")
    for kind in ("healthy", "rough"):
        whole, worked = counts[f"{kind} farmer blocks"], counts[f"{kind} farmer blocks worked"]
        if whole:
            say(f"{kind}: {worked} of {whole} farmers' blocks planted and worked, {worked / whole:.2%}")
    if counts["healthy farmer blocks worked"] < _LEAST_WORKED * counts["healthy farmer blocks"]:
        say("that is too few")
        return 1
    for name, count in sorted(counts.items()):
        say(f"  {count:>8} {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
