"""The program, killed at a named point: ``python kill_child.py POINT N ARGUMENT...``.

It is ``kalepool ARGUMENT...``, until the Nth time that it passes the point; there it kills itself with
SIGKILL. The points are patched in from here: the program knows nothing of them.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from kalepool.adapters.stellar.broadcast import StellarBroadcaster
from kalepool.adapters.store import backup, migrations
from kalepool.adapters.store.journal import StoreJournal
from kalepool.cli.app import main
from kalepool.core.intents import State
from kalepool.services.reconcile import Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable

_METHODS: Final[dict[str, tuple[Any, str]]] = {
    "plan": (StoreJournal, "plan_all"),
    "sign": (StoreJournal, "sign_all"),
    "send": (StellarBroadcaster, "send"),
    "mark": (StoreJournal, "mark"),
    "learn": (Reconciler, "_weigh"),
    "settle": (Reconciler, "_settle"),
    "backup": (backup, "verify"),
    "migration": (migrations, "migrate"),
}
"""The six steps of an intent, and what is done to the file as a whole."""

_CALLS: Final[dict[str, Callable[..., bool]]] = {
    "sign": lambda _, attempts: bool(attempts),
    "mark": lambda _, intents, state, **__: bool(intents) and state is State.SENT,
    "settle": lambda _, settled: bool(settled),
}
"""Which calls count; all where nothing is said."""


def die_at(point: str, passes: int) -> None:
    """Let this process die before or after a step.

    Args:
        point: ``before-`` or ``after-`` and the step.
        passes: at which time.
    """
    when, step = point.split("-", 1)
    owner, name = _METHODS[step]
    real = getattr(owner, name)
    counts = _CALLS.get(step, lambda *_, **__: True)
    left = passes

    def pass_by(moment: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal left
        if moment == when and counts(*arguments, **named):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(real)
    def call(*arguments: Any, **named: Any) -> Any:
        pass_by("before", arguments, named)
        result = real(*arguments, **named)
        pass_by("after", arguments, named)
        return result

    @functools.wraps(real)
    async def call_async(*arguments: Any, **named: Any) -> Any:
        pass_by("before", arguments, named)
        result = await real(*arguments, **named)
        pass_by("after", arguments, named)
        return result

    setattr(owner, name, call_async if inspect.iscoroutinefunction(real) else call)


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
