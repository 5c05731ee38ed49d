"""An event loop in virtual time that does the same in the same order every time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    import selectors
    from collections.abc import Coroutine

_T = TypeVar("_T")

_BEGINS_AT: Final = 1_000.0
_MOST_TURNS: Final = 100_000


class SpinningError(RuntimeError):
    """Something runs in circles."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to what is waited for next, as soon as nothing can run.

    Nothing outside of it is looked at: no socket, no other thread.
    """

    def __init__(self) -> None:
        self._virtual = _BEGINS_AT
        super().__init__()
        cast("Any", self)._selector = _NoSelector(self._selector, self)

    _selector: selectors.BaseSelector
    _scheduled: list[asyncio.TimerHandle]

    def time(self) -> float:
        """Give the virtual time, seconds."""
        return self._virtual

    def jump(self) -> None:
        """Go to the moment of the next timer."""
        assert self._scheduled, "everything waits, and for nothing"
        self._virtual = max(self._virtual, self._scheduled[0].when())


class _NoSelector:
    def __init__(self, real: selectors.BaseSelector, loop: VirtualLoop) -> None:
        self._real = real
        self._loop = loop
        self._idle = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        self._idle += 1
        if timeout is None or timeout > 0:
            self._loop.jump()
            self._idle = 0
        if self._idle > _MOST_TURNS:
            raise SpinningError("no time passes, and nothing comes to an end")
        return []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def run_virtually(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        # What a killed process has left behind ends with errors that nobody waits for.
        runner.get_loop().set_exception_handler(lambda _loop, _context: None)
        return runner.run(coroutine)


def virtual_time() -> float:
    """Give the running loop's time, seconds."""
    return asyncio.get_running_loop().time()
