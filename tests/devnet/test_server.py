"""The devnet's socket."""

from __future__ import annotations

import asyncio
import socket

import pytest

from kalepool.devnet.server import HOST, listen
from kalepool.errors import ConfigError


def test_a_client_may_connect_before_the_server_runs() -> None:
    """Whoever starts a devnet and reads its address from stdout must not be refused."""
    with listen(0) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        pass


def test_a_port_that_somebody_listens_on_is_refused_with_a_hint() -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be used") as caught:
            listen(port)
        assert "--port" in caught.value.hint


def test_it_listens_on_loopback_alone() -> None:
    with listen(0) as listener:
        assert listener.getsockname()[0] == HOST == "127.0.0.1"


def test_answers_are_sent_at_once() -> None:
    """Asyncio turns Nagle's algorithm off where a socket names TCP; else each answer waits 40 ms."""

    async def connected() -> int:
        found = asyncio.get_running_loop().create_future()

        def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen(0) as listener:
            server = await asyncio.start_server(note, sock=listener)
            async with server:
                _, writer = await asyncio.open_connection(*listener.getsockname())
                nodelay = await found
                writer.close()
                return int(nodelay)

    assert asyncio.run(connected()) == 1
