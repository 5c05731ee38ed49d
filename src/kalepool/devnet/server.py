"""A devnet in real time: ledgers close by the clock, uvicorn serves it on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import uvicorn

from kalepool.devnet.app import Application
from kalepool.devnet.network import PROTOCOL_VERSION
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive

    from kalepool.devnet.devnet import Devnet

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Listen on a port of loopback; 0 takes any that is free.

    Raises:
        ConfigError: when it cannot be had.
    """
    # The protocol is named because asyncio turns Nagle's algorithm off for sockets that say TCP alone; with
    # it on, every answer on a kept connection waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        # Whoever reads the printed address and connects at once waits in the backlog until it is served.
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} cannot be used: {error.strerror}",
            hint="another devnet may be running; say another port with --port, or --port 0 for any free one",
        ) from None
    return listener


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs the devnet; uvicorn would raise them once more after its end."""
        yield


class Server:
    """Runs a devnet until it is stopped.

    Args:
        devnet: the network.
        listener: a listening socket.
        speed: how many network seconds pass in a second.
        admin_token: what the admin endpoint asks for; drawn where it is not given.
    """

    def __init__(
        self, devnet: Devnet, listener: socket.socket, *, speed: float = 1.0, admin_token: str | None = None
    ) -> None:
        self.devnet = devnet
        self.speed = speed
        self.application = Application(
            devnet, admin_token=admin_token, describe_more=self._describe_more, drop=_abort
        )
        self._listener = listener
        self._server = _Uvicorn(
            uvicorn.Config(
                self.application,
                http="h11",
                ws="none",
                lifespan="off",
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=0,
            )
        )

    def describe(self) -> dict[str, Any]:
        """Say who and where the network is: what ``GET /`` answers."""
        return self.devnet.describe() | self._describe_more()

    def _describe_more(self) -> dict[str, Any]:
        return {"speed": self.speed, "protocol_version": PROTOCOL_VERSION}

    async def run(self) -> None:
        """Serve and close ledgers until ``stop`` is called, which may be before this."""
        closing = asyncio.create_task(self._close_ledgers())
        serving = asyncio.create_task(self._serve())
        try:
            await asyncio.wait({closing, serving}, return_when=asyncio.FIRST_COMPLETED)
            if closing.done():
                closing.result()  # a ledger that cannot close is a bug: let it be seen
        finally:
            self.stop()
            closing.cancel()
            await asyncio.gather(closing, serving, return_exceptions=True)

    def stop(self) -> None:
        """End it; open connections are not waited for."""
        self._server.should_exit = True
        self._server.force_exit = True

    async def _serve(self) -> None:
        await self._server.serve(sockets=[self._listener])

    async def _close_ledgers(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            late_by = self.devnet.draw_lateness()
            due += (self.devnet.ledger.settings.ledger_seconds + late_by) / self.speed
            # After a suspended night, ledgers go on from now; they are not made up for.
            due = max(due, loop.time() - 1.0)
            await asyncio.sleep(due - loop.time())
            self.devnet.close_ledger(late_by)


def _abort(receive: Receive) -> None:
    """Break the connection that a request came by, without an answer.

    ASGI has no word for this; uvicorn's request cycle, whose method ``receive`` is, has the transport.
    """
    receive.__self__.transport.abort()  # type: ignore[attr-defined]
