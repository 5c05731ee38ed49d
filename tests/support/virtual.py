"""Running coroutines in virtual time: a wait takes none, and a minute passes at once."""

from __future__ import annotations

import asyncio
import atexit
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import looptime

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on a loop whose clock jumps to whatever is waited for next."""
    return _runner().run(coroutine)


def loop_time() -> float:
    """Give the running loop's time, in seconds; it goes on from one ``run`` to the next."""
    return asyncio.get_running_loop().time()


@cache
def _runner() -> asyncio.Runner:
    runner = asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=1_000.0))
    atexit.register(runner.close)
    return runner
