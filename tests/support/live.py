"""A devnet on a socket, closing ledgers by the clock: for clients that know nothing of us."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from kalepool.devnet.devnet import Devnet
from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.server import HOST, Server, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from kalepool.devnet.ledger import ClosedLedger
    from kalepool.devnet.network import Identity

SPEED = 100.0
"""A ledger in 50 ms: time enough to simulate and send within a block of 3 s, even on a busy machine."""
HURRY = 4_000.0
_PATIENCE_S = 60.0
_YEAR_S = 365 * 86_400


class LiveNetwork:
    """Runs a devnet in a thread of its own, from entering to leaving the context.

    Its time began a year ago, so that it stays behind the wall clock that SDKs set time bounds by.

    Args:
        speed: network seconds in a second.
        history: ledgers whose transactions are kept.
    """

    def __init__(self, speed: float = SPEED, history: int = 2_880) -> None:
        self._speed = speed
        listener = listen(0)
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        settings = LedgerSettings(genesis_time=int(time.time()) - _YEAR_S, history_ledgers=history)
        devnet = Devnet(settings, base_url=self.url)
        self.identity: Identity = devnet.ledger.identity
        # To prepare accounts by before the network runs; afterwards it belongs to its thread.
        self.ledger = devnet.ledger
        self._latest = devnet.ledger.latest
        self._closed = threading.Condition()
        devnet.on_close.append(self._note)
        self._server = Server(devnet, listener, speed=speed)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop()
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), "the devnet did not stop"

    def wait_for(self, wanted: Callable[[ClosedLedger], bool]) -> None:
        """Wait for a ledger that is what is wanted, the last closed one included."""
        with self._closed:
            assert self._closed.wait_for(lambda: wanted(self._latest), _PATIENCE_S), "ledgers do not close"

    def wait_for_next(self) -> None:
        """Wait until the next ledger has closed."""
        seen = self._latest.sequence
        self.wait_for(lambda closed: closed.sequence > seen)

    def wait_for_time(self, close_time: int) -> None:
        """Wait for a ledger that closed at this network time or later; time hurries until then."""
        with self._hurry():
            self.wait_for(lambda closed: closed.close_time >= close_time)

    @contextmanager
    def _hurry(self) -> Iterator[None]:
        self._server.speed = HURRY
        try:
            yield
        finally:
            self._server.speed = self._speed

    def _note(self, closed: ClosedLedger) -> None:
        with self._closed:
            self._latest = closed
            self._closed.notify_all()
