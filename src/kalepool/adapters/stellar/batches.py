"""JSON-RPC 2.0: bodies of one or several calls, and the answers that belong to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kalepool.adapters.stellar.answers import Answer, printable
from kalepool.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_CALLS: Final = 10
"""Nodes refuse larger batches."""

MAX_BODY_BYTES: Final = 400_000
"""Nodes refuse bodies of more than 512 KiB."""


@dataclass(frozen=True, slots=True)
class Call:
    """One JSON-RPC call."""

    method: str
    params: Mapping[str, Any]


def split(calls: Sequence[Call]) -> Iterator[list[Call]]:
    """Split calls into batches that nodes take, in order."""
    batch: list[Call] = []
    size = 0
    for call in calls:
        length = len(json.dumps(call.params)) + len(call.method) + 60
        if batch and (len(batch) == MAX_CALLS or size + length > MAX_BODY_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(call)
        size += length
    if batch:
        yield batch


def encode(calls: Sequence[Call], first_id: int) -> bytes:
    """Give the body of a batch; a single call stands alone. Ids count up from the first."""
    requests = [
        {"jsonrpc": "2.0", "id": first_id + position, "method": call.method, "params": call.params}
        for position, call in enumerate(calls)
    ]
    return json.dumps(requests[0] if len(requests) == 1 else requests, separators=(",", ":")).encode()


def take_apart(body: bytes, calls: Sequence[Call], first_id: int, node: str) -> list[Answer | RetryableError]:
    """Give what a body answers to each call: a result, or the error that stands in its place.

    Raises:
        RetryableError: when the body as a whole is no answer.
    """
    try:
        parsed = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _nonsense(node, calls, "no JSON") from None
    # A batch that is refused as a whole is answered by one error.
    responses = parsed if isinstance(parsed, list) else [parsed]
    by_id: dict[int, dict[str, Any]] = {}
    for response in responses:
        if not isinstance(response, dict):
            raise _nonsense(node, calls, "something that is no response")
        identity = response.get("id")
        if identity is None and response.get("error") is not None:
            raise _refused(node, calls[0].method, response["error"])
        if type(identity) is not int or identity in by_id:
            raise _nonsense(node, calls, "without the id that was asked, or twice")
        by_id[identity] = response
    return [_result(by_id.get(first_id + position), call, node) for position, call in enumerate(calls)]


def _result(response: dict[str, Any] | None, call: Call, node: str) -> Answer | RetryableError:
    if response is None:
        return _nonsense(node, [call], "nothing")
    if response.get("error") is not None:
        return _refused(node, call.method, response["error"])
    try:
        return Answer(response.get("result"), node, call.method)
    except RetryableError as error:
        return error


def _refused(node: str, method: str, error: object) -> RetryableError:
    code, message = None, ""
    if isinstance(error, dict):
        code, message = error.get("code"), str(error.get("message", ""))
    return RetryableError(
        f"the node {node} answers {method} with error {printable(str(code))}: {printable(message)}",
        hint="try again, or configure another node",
    )


def _nonsense(node: str, calls: Sequence[Call], what: str) -> RetryableError:
    return RetryableError(
        f"the node {node} answers {calls[0].method} with {what}",
        hint="try again, or configure another node",
    )


def _no_constant(name: str) -> Any:
    raise ValueError(name)
