"""The devnet's socket."""

from __future__ import annotations

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
