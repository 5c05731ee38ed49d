"""Asking each node by itself how it is, for a check-up: no failover, no second try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.adapters.stellar.batches import Call
from kalepool.adapters.stellar.rpc import RpcClient, RpcSettings, names_of
from kalepool.core.health import NodeReport
from kalepool.errors import KalepoolError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from kalepool.adapters.stellar.answers import Answer
    from kalepool.adapters.stellar.transport import Limits

_CALLS = (Call("getNetwork", {}), Call("getHealth", {}))


async def probe(
    urls: Sequence[str],
    passphrase: str,
    limits: Limits,
    *,
    transport: httpx.AsyncBaseTransport | None,
    monotonic: Callable[[], float],
    now: Callable[[], float],
) -> list[NodeReport]:
    """Ask every node; give a report each, in their order.

    Args:
        urls: of the nodes.
        passphrase: of the network they should be on.
        limits: of every request.
        transport: what carries HTTP; sockets where it is None.
        monotonic: seconds of a clock that never steps, for latencies.
        now: the machine's clock, Unix seconds.
    """
    settings = RpcSettings(requests_per_second=100.0, burst=10, attempts=1, limits=limits)
    reports = []
    for name, url in zip(names_of(urls), urls, strict=True):
        rpc = RpcClient([url], passphrase, settings, transport=transport, monotonic=monotonic)
        try:
            await rpc.check_network()
            began, asked_at = monotonic(), now()
            network, health = await rpc.read(_CALLS, _both)
            reports.append(
                NodeReport(
                    name=name,
                    latency_s=monotonic() - began,
                    protocol=network.number("protocolVersion"),
                    ledger=health.number("latestLedger"),
                    close_time=health.number("latestLedgerCloseTime", 2**63 - 1),
                    oldest_ledger=health.number("oldestLedger"),
                    asked_at=asked_at,
                )
            )
        except KalepoolError as error:
            reports.append(NodeReport(name, trouble=error.message, hint=error.hint))
        finally:
            if transport is None:
                await rpc.close()
    return reports


def _both(answers: list[Answer]) -> tuple[Answer, Answer]:
    network, health = answers
    return network, health
