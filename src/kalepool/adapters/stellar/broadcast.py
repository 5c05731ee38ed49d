"""Sending to the network: fulfils ``ports.Broadcaster``. Nothing is ever sent twice from here."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Final

from stellar_sdk import xdr

from kalepool.adapters.stellar import batches
from kalepool.adapters.stellar.batches import Call
from kalepool.adapters.stellar.outcomes import result_codes
from kalepool.core.chain import SendAnswer, Sent
from kalepool.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.stellar.answers import Answer
    from kalepool.adapters.stellar.rpc import RpcClient

_AT_ONCE: Final = 4


class StellarBroadcaster:
    """Sends envelopes.

    Args:
        rpc: asks the nodes.
    """

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc
        # More at once would only wait for the same nodes' pace.
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def send(self, envelopes: Sequence[bytes]) -> list[SendAnswer]:
        """Send envelopes, ten a request, each once.

        Returns:
            An answer each, in their order. UNKNOWN where no readable answer came: the envelope may
            have been taken. Never raises for a network's fault.
        """
        calls = [
            Call("sendTransaction", {"transaction": base64.b64encode(envelope).decode("ascii")})
            for envelope in envelopes
        ]
        answers = await asyncio.gather(*(self._post(batch) for batch in batches.split(calls)))
        return [answer for batch in answers for answer in batch]

    async def _post(self, batch: Sequence[Call]) -> list[SendAnswer]:
        async with self._slots:
            node, answers = await self._rpc.post_once(batch)
        return [_read(answer, node) for answer in answers]


def _read(answer: Answer | None, node: str) -> SendAnswer:
    if answer is None:
        return SendAnswer(Sent.UNKNOWN, node=node)
    try:
        return _read_answer(answer)
    except RetryableError:
        return SendAnswer(Sent.UNKNOWN, node=node)


def _read_answer(answer: Answer) -> SendAnswer:
    status = answer.text("status")
    if status not in ("PENDING", "DUPLICATE", "TRY_AGAIN_LATER", "ERROR"):
        raise answer.wrong(f"has the unknown status {status}")
    code = ""
    if status == "ERROR":
        # An error without a readable reason is no statement to act on.
        result = answer.xdr(xdr.TransactionResult, "errorResultXdr")
        code, _ = result_codes(result)
    return SendAnswer(Sent(status), code, answer.node)
