"""A devnet's ASGI application with a client inside the process, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from kalepool.devnet.app import Application
from support import clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kalepool.devnet.devnet import Devnet

URL = "http://127.0.0.1:8000"
TOKEN = "the token"


class Web:
    """One application and its client; each call is a run of its own.

    Args:
        devnet: the network.
        describe_more: see ``Application``.
    """

    def __init__(self, devnet: Devnet, **application: Any) -> None:
        self.devnet = devnet
        self.application = Application(devnet, admin_token=TOKEN, **application)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.application), base_url=URL)

    def run(self, session: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
        """Let somebody use a client."""

        async def with_client() -> Any:
            async with self.client() as client:
                return await session(client)

        return clock.run(with_client())

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.run(lambda client: client.request(method, path, **more))
        assert isinstance(answer, httpx.Response)
        return answer

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, body: bytes, path: str = "/") -> httpx.Response:
        return self.request("POST", path, content=body)

    def admin(self, command: Any, token: str | None = TOKEN) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.request("POST", "/admin", json=command, headers=headers)


def call(method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Give the JSON-RPC request of a call."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params or {})}
