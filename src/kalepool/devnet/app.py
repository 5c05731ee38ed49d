"""The network over HTTP: an ASGI application, for a socket or for use inside a process.

Routes: ``GET /`` describes the network, ``POST /`` is its RPC node, ``POST /nodes/NAME`` another
one, ``GET /friendbot?addr=G...`` funds an account, ``/admin`` makes things go wrong.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kalepool.devnet import jsonrpc
from kalepool.devnet.faults import MAIN_NODE, is_block_index
from kalepool.errors import KalepoolError, RejectedError
from kalepool.xdr.keys import account_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kalepool.devnet.devnet import Devnet
    from kalepool.devnet.faults import Fate

_MOST_DIGITS = 19
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_ADMIN_FIELDS = frozenset({"action", "index", "node", "faults", "xlm_stroops", "kale_stroops"})


class Application:
    """ASGI application of a devnet.

    Args:
        devnet: the network.
        admin_token: what the admin endpoint asks for; drawn where it is not given.
        describe_more: further fields of ``GET /``, such as the speed.
        drop: breaks the connection of a request; where there is none (inside a process),
            ConnectionResetError is raised to the client instead.
    """

    def __init__(
        self,
        devnet: Devnet,
        *,
        admin_token: str | None = None,
        describe_more: Callable[[], dict[str, Any]] | None = None,
        drop: Callable[[Receive], None] | None = None,
    ) -> None:
        self.devnet = devnet
        self.admin_token = admin_token or secrets.token_urlsafe(16)
        self._describe_more = describe_more
        self._drop = drop
        self._funded: tuple[int, dict[str, Any]] = (0, {})
        self._routes: ASGIApp = Starlette(
            routes=[
                Route("/", self._describe, methods=["GET"]),
                Route("/", self._rpc, methods=["POST"]),
                Route("/nodes/{node}", self._rpc, methods=["POST"]),
                Route("/friendbot", self._friendbot, methods=["GET", "POST"]),
                Route("/admin", self._admin, methods=["POST"]),
            ],
            exception_handlers={
                HTTPException: _http_error,
                KalepoolError: _refused,
                ConnectionResetError: self._break,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, if it comes from this machine and from no web page."""
        if scope["type"] != "http":
            return
        refusal = _foreign(scope)
        if refusal:
            await JSONResponse({"error": refusal}, status_code=403)(scope, receive, send)
            return
        await self._routes(scope, receive, send)

    async def _break(self, _request: Request, error: Exception) -> Response:
        # Handled as a response, since an error that leaves the routes is answered with a 500 first.
        return _Break(self._drop, str(error))

    # Routes

    async def _describe(self, _request: Request) -> Response:
        described = self.devnet.describe()
        if self._describe_more is not None:
            described |= self._describe_more()
        return JSONResponse(described)

    async def _rpc(self, request: Request) -> Response:
        name = request.path_params.get("node", MAIN_NODE)
        node = self.devnet.nodes.get(name)
        if node is None:
            raise HTTPException(404, f"there is no node {name!r}")
        fate = self.devnet.dice.fate(node.faults)
        body = await _body(request)
        if body is None:
            message = f"request body exceeds {jsonrpc.MAX_BODY_BYTES} bytes"
            content = jsonrpc.error_body(jsonrpc.INVALID_REQUEST, message)
            return _json(content, status=413)
        refused = await _suffer(fate, request)
        if refused is not None:
            return refused
        answer = self.devnet.rpcs[name].handle(body)
        if fate.reset_after:
            raise ConnectionResetError("a fault: the connection breaks after the request was carried out")
        return Response(status_code=204) if answer is None else _json(answer)

    async def _friendbot(self, request: Request) -> Response:
        address = request.query_params.get("addr", "")
        try:
            self.devnet.want_funds(address)
        except RejectedError as error:
            return JSONResponse(
                {"status": 400, "title": "Bad Request", "detail": error.message}, status_code=400
            )
        ledger = self.devnet.ledger
        while ledger.state.get(account_key(address)) is None:
            await self.devnet.wait_for_ledger()
        entry = ledger.state.get(account_key(address))
        assert entry is not None
        return JSONResponse({"successful": True, "ledger": entry.modified} | self._funding_of(entry.modified))

    def _funding_of(self, sequence: int) -> dict[str, Any]:
        """Give friendbot's transaction in a ledger; encoded once for all whom it funded."""
        if self._funded[0] != sequence:
            ledger, found = self.devnet.ledger, {}
            closed = ledger.closed(sequence)
            friendbot = ledger.identity.friendbot.public_key
            for applied in closed.transactions if closed is not None else []:
                if applied.transaction.source == friendbot:
                    details = self.devnet.rpcs[MAIN_NODE].details(applied)
                    found = {
                        "hash": details["txHash"],
                        "envelope_xdr": details["envelopeXdr"],
                        "result_xdr": details["resultXdr"],
                        "result_meta_xdr": details["resultMetaXdr"],
                    }
            self._funded = (sequence, found)
        return self._funded[1]

    async def _admin(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self.admin_token}".encode()):
            raise HTTPException(401, "the admin endpoint needs the token that was printed at the start")
        body = await _body(request)
        try:
            command = json.loads(body or b"")
        except (ValueError, RecursionError):
            command = None
        if not isinstance(command, dict) or not command.keys() <= _ADMIN_FIELDS:
            raise HTTPException(400, f"send a JSON object with {', '.join(sorted(_ADMIN_FIELDS))}")
        return JSONResponse({"done": self._administer(command)})

    def _administer(self, command: dict[str, Any]) -> Any:
        action, devnet = command.get("action"), self.devnet
        if action == "pause":
            devnet.pause()
        elif action == "unpause":
            devnet.unpause()
        elif action == "remove_block":
            return devnet.remove_block(_optional_index(command.get("index")))
        elif action == "change_wasm":
            return devnet.change_wasm()
        elif action == "fill_pool":
            devnet.fill_pool(
                xlm=_stroops(command.get("xlm_stroops")), kale=_stroops(command.get("kale_stroops"))
            )
        elif action == "node":
            name = command.get("node", MAIN_NODE)
            devnet.change_node(name if isinstance(name, str) else "", _object(command.get("faults")))
        elif action == "network":
            devnet.change_network(_object(command.get("faults")))
        else:
            raise HTTPException(
                400,
                "the action is one of pause, unpause, remove_block, change_wasm, fill_pool, node, network",
            )
        return True


class _Break(Response):
    """No answer: the connection breaks.

    Args:
        drop: breaks it; None where there is no connection.
        reason: what the client is told in its place.
    """

    def __init__(self, drop: Callable[[Receive], None] | None, reason: str) -> None:
        super().__init__()
        self._drop = drop
        self._reason = reason

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        """Break it."""
        if self._drop is None:
            raise ConnectionResetError(self._reason)
        self._drop(receive)
        await _until_gone(receive)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise HTTPException(400, "faults must be an object")
    return value


def _optional_index(value: object) -> int | None:
    if value is None or is_block_index(value):
        return value
    raise HTTPException(400, "index must be a block's number")


def _stroops(value: object) -> int:
    if (
        not isinstance(value, str)
        or not value.isascii()
        or not value.isdecimal()
        or len(value) > _MOST_DIGITS
    ):
        raise HTTPException(400, "amounts are stroops, written as strings of digits")
    return int(value)


def _foreign(scope: Scope) -> str:
    """Say why a request may not come in; empty where it may.

    A page in a browser can send requests to loopback; they carry its Origin, or say cross-site,
    or (by a name that resolves to loopback) another Host.
    """
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    host = headers.get(b"host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _LOOPBACK:
        return "the Host header must name this machine: 127.0.0.1, localhost or [::1]"
    origin = headers.get(b"origin")
    if origin is not None and origin.partition("://")[2] != host:
        return "requests from web pages are not served"
    if headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
        return "requests from web pages are not served"
    return ""


async def _body(request: Request) -> bytes | None:
    """Read the body; None where it is too large, however much of it there is."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= jsonrpc.MAX_BODY_BYTES:
            parts.append(part)
        else:
            parts.clear()
    return b"".join(parts) if size <= jsonrpc.MAX_BODY_BYTES else None


async def _suffer(fate: Fate, request: Request) -> Response | None:
    """Let happen to a request what was drawn for it before it is read; a response ends it."""
    if fate.delay_s:
        await asyncio.sleep(fate.delay_s)
    if fate.reset_before:
        raise ConnectionResetError("a fault: the connection breaks before the request was read")
    if fate.no_answer:
        await _until_gone(request.receive)
        raise ConnectionResetError("a fault: the answer never came")
    if fate.status == 429:  # noqa: PLR2004 - Too Many Requests
        return Response("too many requests", 429, {"Retry-After": str(fate.retry_after_s)})
    return Response("a fault: the server has an error", fate.status) if fate.status else None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, KalepoolError)
    return JSONResponse({"error": error.message, "hint": error.hint}, status_code=400)
