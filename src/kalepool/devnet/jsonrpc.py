"""JSON-RPC 2.0 over one HTTP body: parsing, batches, errors. What the methods do is elsewhere."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

MAX_BATCH: Final = 10
MAX_BODY_BYTES: Final = 512 * 1024

MAX_U32: Final = 2**32 - 1

_FIELDS: Final = frozenset({"jsonrpc", "id", "method", "params"})

Json: TypeAlias = Any
Params: TypeAlias = "dict[str, Json]"


class RpcError(Exception):
    """A call is answered with an error.

    Args:
        code: JSON-RPC error code.
        message: what a node would say.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def answer(body: bytes, methods: Mapping[str, Callable[[Params], Json]]) -> bytes | None:
    """Answer a request body; None where there is nothing to answer (notifications).

    Args:
        body: one call or a batch of at most ten.
        methods: what can be called; each takes the parameters and may raise RpcError.
    """
    try:
        request = _parse(body)
    except RpcError as error:
        return _encode(_failure(None, error))
    if not isinstance(request, list):
        response = _answer_one(request, methods)
        return None if response is None else _encode(response)
    if not request:
        return _encode(_failure(None, RpcError(INVALID_REQUEST, "empty request batch")))
    if len(request) > MAX_BATCH:
        message = f"batch of {len(request)} calls exceeds the maximum of {MAX_BATCH}"
        return _encode(_failure(None, RpcError(INVALID_REQUEST, message)))
    responses = [_answer_one(call, methods) for call in request]
    answered = [response for response in responses if response is not None]
    return _encode(answered) if answered else None


def error_body(code: int, message: str) -> bytes:
    """Give the body of an error that belongs to no call."""
    return _encode(_failure(None, RpcError(code, message)))


def _parse(body: bytes) -> Json:
    if len(body) > MAX_BODY_BYTES:
        raise RpcError(INVALID_REQUEST, f"request body of {len(body)} bytes exceeds {MAX_BODY_BYTES}")
    try:
        # Decoded here, because json.loads takes UTF-16 and UTF-32 as well.
        return json.loads(body.decode(), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "invalid request value") from None


def _no_constant(name: str) -> Json:
    raise ValueError(name)


def _finite(digits: str) -> float:
    # 1e400 is JSON, but the infinity that it becomes could not be sent back.
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _answer_one(call: Json, methods: Mapping[str, Callable[[Params], Json]]) -> Json | None:
    identity = call.get("id") if isinstance(call, dict) else None
    if not isinstance(identity, str | int | float | None) or isinstance(identity, bool):
        return _failure(None, RpcError(INVALID_REQUEST, "invalid request ID"))
    try:
        name, params = _checked(call)
    except RpcError as error:
        return _failure(identity, error)
    response: Json
    try:
        response = {"jsonrpc": "2.0", "id": identity, "result": _call(name, params, methods)}
    except RpcError as error:
        response = _failure(identity, error)
    # A valid request without an id is a notification: it is carried out and never answered, not even
    # with an error. Nodes take an id of null for none.
    return None if identity is None else response


def _checked(call: Json) -> tuple[str, Json]:
    """Give method and parameters of a valid request."""
    if not isinstance(call, dict):
        raise RpcError(INVALID_REQUEST, "request is not a JSON object")
    if call.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "invalid version marker")
    name, params = call.get("method"), call.get("params")
    if not isinstance(name, str):
        raise RpcError(INVALID_REQUEST, "invalid method name")
    if not isinstance(params, dict | list | None):
        raise RpcError(INVALID_REQUEST, "parameters must be array or object")
    if not call.keys() <= _FIELDS:
        raise RpcError(INVALID_REQUEST, "extra fields in request")
    return name, params


def _call(name: str, params: Json, methods: Mapping[str, Callable[[Params], Json]]) -> Json:
    method = methods.get(name)
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, "method not found")
    if isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "invalid parameters: expected an object")
    return method(params or {})


def _failure(identity: Json, error: RpcError) -> Json:
    return {
        "jsonrpc": "2.0",
        "id": identity,
        "error": {"code": error.code, "message": error.message},
    }


def _encode(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# Parameters, taken with their types insisted on.


def text(params: Params, name: str, default: str | None = None) -> str:
    """Take a string; null is the same as nothing where there is a default."""
    value = params.get(name)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise _wrong(name, "a string")
    return value


def u32(params: Params, name: str, default: int | None = None) -> int:
    """Take an unsigned 32-bit number."""
    value = params.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_U32:
        raise _wrong(name, "an unsigned 32-bit number")
    return value


def flag(params: Params, name: str, *, default: bool) -> bool:
    """Take a boolean."""
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong(name, "a boolean")
    return value


def section(params: Params, name: str) -> Params:
    """Take an object, empty where it is missing."""
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong(name, "an object")
    return value


def items(params: Params, name: str, *, required: bool = False) -> list[Json]:
    """Take an array."""
    value = params.get(name)
    if value is None and not required:
        return []
    if not isinstance(value, list):
        raise _wrong(name, "an array")
    return value


def _wrong(name: str, expected: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"invalid parameters: {name} must be {expected}")
