"""Whether the nodes serve: a row for each, and what they agree on. Pure: reports in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.health import Check, Grade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.health import NodeReport

_SLOW_S: Final = 2.0
_SHORT_HISTORY: Final = 720
"""Ledgers, an hour: an outage longer than a node's history leaves transactions unresolved."""

_BEHIND_LEDGERS: Final = 3
_DRIFT_S: Final = 30.0


def node_checks(nodes: Sequence[NodeReport], *, local: bool) -> list[Check]:
    """Check every node, the lag between them, and the machine's clock against the network's time.

    Args:
        nodes: what they told.
        local: whether this is a local network, which keeps its own time and a short history.
    """
    good = [node for node in nodes if not node.trouble]
    checks = [_node(node, local=local, others=len(good) > 0) for node in nodes]
    if good:
        checks += [_lag(good), _clock(good, local=local)]
    return checks


def _node(node: NodeReport, *, local: bool, others: bool) -> Check:
    name = f"node {node.name}"
    if node.trouble:
        start = "start it with: kalepool devnet" if local else node.hint or "configure another node"
        return Check(name, Grade.WARN if others else Grade.FAIL, node.trouble, start)
    history = node.ledger - node.oldest_ledger
    says = (
        f"ledger {node.ledger:,}, protocol {node.protocol}, {node.latency_s * 1000:.0f} ms, "
        f"history of {history:,} ledgers"
    )
    if node.latency_s > _SLOW_S:
        return Check(name, Grade.WARN, says, "it is slow: put a faster node first")
    if history < _SHORT_HISTORY and not local:
        return Check(name, Grade.WARN, says, "its history is short: add a node that keeps more")
    return Check(name, Grade.OK, says)


def _lag(nodes: Sequence[NodeReport]) -> Check:
    ledgers = [node.ledger for node in nodes]
    behind = max(ledgers) - min(ledgers)
    says = f"{len(nodes)} of them answer, {behind} ledgers apart"
    if behind > _BEHIND_LEDGERS:
        last = min(nodes, key=lambda node: node.ledger)
        return Check("nodes", Grade.WARN, says, f"{last.name} lags: take it out, or wait")
    protocols = {node.protocol for node in nodes}
    if len(protocols) > 1:
        return Check(
            "nodes", Grade.WARN, f"{says}, on protocols {sorted(protocols)}", "an upgrade is under way"
        )
    return Check("nodes", Grade.OK, says)


def _clock(nodes: Sequence[NodeReport], *, local: bool) -> Check:
    if local:
        return Check("clock", Grade.OK, "a local network keeps its own time")
    # A ledger is seen some seconds after it closed: the node that is furthest on tells most.
    drift = min((node.asked_at - node.close_time for node in nodes), key=abs)
    says = f"this machine is {abs(drift):.0f} s {'ahead of' if drift >= 0 else 'behind'} the last ledger"
    if abs(drift) > _DRIFT_S:
        return Check(
            "clock", Grade.WARN, says, "set it (timedatectl); mining goes by the network's time all the same"
        )
    return Check("clock", Grade.OK, says)
