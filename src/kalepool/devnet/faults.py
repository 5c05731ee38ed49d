"""What goes wrong on purpose: at nodes, on the network, at given ledgers. Drawn from a seed.

A fault file is TOML::

    seed = 7

    [node]                      # every node; [nodes.NAME] for one served at /nodes/NAME
    latency_ms = 40             # every answer takes this long
    jitter_ms = 60              # and up to this much longer
    reset_before = 0.01         # probability: the connection breaks, the request was not read
    reset_after = 0.01          # probability: the connection breaks, the request was carried out
    no_answer = 0.001           # probability: the answer never comes
    too_many_requests = 0.02    # probability of HTTP 429
    retry_after_s = 2           # what a 429 asks for
    server_error = 0.01         # probability of HTTP 500, 502, 503 or 504
    try_again_later = 0.02      # probability that sendTransaction is put off
    lag_ledgers = 0             # the node sees the network this many ledgers late
    stalled = false             # the node sees no new ledger

    [network]
    late = 0.05                 # probability that a ledger closes late
    late_by_s = 8.0             # by how much, in network seconds

    [[at]]
    ledger = 100                # once this ledger has closed
    action = "pause"            # pause, unpause, remove_block, change_wasm, node
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAIN_NODE: Final = "main"
ACTIONS: Final = ("pause", "unpause", "remove_block", "change_wasm", "node")
_SERVER_ERRORS = (500, 502, 503, 504)
_MAX_LAG = 1_000
_MAX_DELAY_MS = 600_000


@dataclass(frozen=True, slots=True)
class NodeFaults:
    """How one node misbehaves; the file's ``[node]``. Probabilities are 0 to 1."""

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    reset_before: float = 0.0
    reset_after: float = 0.0
    no_answer: float = 0.0
    too_many_requests: float = 0.0
    retry_after_s: int = 1
    server_error: float = 0.0
    try_again_later: float = 0.0
    lag_ledgers: int = 0
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """How the network misbehaves; the file's ``[network]``."""

    late: float = 0.0
    late_by_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens once a ledger has closed; the file's ``[[at]]``.

    Attributes:
        ledger: its sequence.
        action: one of ``ACTIONS``.
        index: the block that ``remove_block`` removes; None for the current one.
        node: whose faults ``node`` changes.
        faults: the faults that it changes, by name.
    """

    ledger: int
    action: str
    index: int | None = None
    node: str = MAIN_NODE
    faults: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """A whole fault file."""

    seed: int = 0
    nodes: dict[str, NodeFaults] = field(default_factory=lambda: {MAIN_NODE: NodeFaults()})
    network: NetworkFaults = field(default_factory=NetworkFaults)
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to happen to one request.

    Attributes:
        delay_s: wait this long.
        status: answer with this HTTP status instead; 0 for none.
        retry_after_s: with status 429.
        reset_before: break the connection before anything is done.
        reset_after: break it once all is done.
        no_answer: never answer.
    """

    delay_s: float = 0.0
    status: int = 0
    retry_after_s: int = 0
    reset_before: bool = False
    reset_after: bool = False
    no_answer: bool = False


class Dice:
    """Draws fates from one seed.

    Args:
        seed: the same seed and the same requests give the same fates.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a simulation is to be repeatable

    def fate(self, faults: NodeFaults) -> Fate:
        """Draw what happens to a request at a node."""
        delay = faults.latency_ms + (self._random.uniform(0, faults.jitter_ms) if faults.jitter_ms else 0)
        status = 0
        if self.happens(faults.too_many_requests):
            status = 429
        elif self.happens(faults.server_error):
            status = self._random.choice(_SERVER_ERRORS)
        return Fate(
            delay_s=delay / 1000,
            status=status,
            retry_after_s=faults.retry_after_s,
            reset_before=self.happens(faults.reset_before),
            reset_after=self.happens(faults.reset_after),
            no_answer=self.happens(faults.no_answer),
        )

    def late_by(self, faults: NetworkFaults) -> float:
        """Draw by how many seconds a ledger closes late."""
        return faults.late_by_s if self.happens(faults.late) else 0.0

    def happens(self, probability: float) -> bool:
        """Draw whether something happens; nothing is drawn where it cannot."""
        return probability > 0 and self._random.random() < probability


def load_plan(path: Path) -> FaultPlan:
    """Read a fault file.

    Raises:
        ConfigError: when it cannot be read or says something unknown.
    """
    try:
        return parse_plan(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(
            f"the fault file {path} cannot be read: {error.strerror}", hint="check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the fault file {path} is not TOML: {error}", hint="see docs/DEVNET.md") from None


def parse_plan(data: dict[str, Any]) -> FaultPlan:
    """Read a fault plan from parsed TOML or JSON.

    Raises:
        ConfigError: when it says something unknown or impossible.
    """
    _only(data, {"seed", "node", "nodes", "network", "at"}, "the fault file")
    seed = data.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise _bad("seed must be a whole number")
    every = changed_node(NodeFaults(), _table(data.get("node", {}), "node"))
    nodes = {MAIN_NODE: every}
    for name, given in _table(data.get("nodes", {}), "nodes").items():
        if not name.isascii() or not name.replace("-", "").isalnum():
            raise _bad(f"a node's name has letters, digits and dashes, not {name!r}")
        nodes[name] = changed_node(every, _table(given, f"nodes.{name}"))
    network = changed_network(NetworkFaults(), _table(data.get("network", {}), "network"))
    events = data.get("at", [])
    if not isinstance(events, list):
        raise _bad("at must be an array of tables, [[at]]")
    return FaultPlan(seed, nodes, network, tuple(_event(_table(event, "at"), nodes) for event in events))


def changed_node(faults: NodeFaults, given: dict[str, Any]) -> NodeFaults:
    """Give the faults with some of them changed.

    Raises:
        ConfigError: for an unknown name or an impossible value.
    """
    for name, value in given.items():
        _check(NodeFaults, name, value)
    return replace(faults, **given)


def changed_network(faults: NetworkFaults, given: dict[str, Any]) -> NetworkFaults:
    """Give the network's faults with some of them changed.

    Raises:
        ConfigError: for an unknown name or an impossible value.
    """
    for name, value in given.items():
        _check(NetworkFaults, name, value)
    return replace(faults, **given)


def is_block_index(value: object) -> TypeGuard[int]:
    """Tell whether a value from outside can be a block's number, a u32."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def _event(given: dict[str, Any], nodes: dict[str, NodeFaults]) -> Event:
    ledger, action = given.get("ledger"), given.get("action")
    if not isinstance(ledger, int) or isinstance(ledger, bool) or ledger < 1:
        raise _bad("an [[at]] needs a ledger, a whole number from 1")
    if action not in ACTIONS:
        raise _bad(f"an [[at]] needs an action, one of {', '.join(ACTIONS)}")
    index, node = given.get("index"), given.get("node", MAIN_NODE)
    if index is not None and not is_block_index(index):
        raise _bad("index must be a block's number")
    if not isinstance(node, str) or node not in nodes:
        raise _bad(f"there is no node {node!r}")
    faults = {
        name: value for name, value in given.items() if name not in ("ledger", "action", "index", "node")
    }
    if faults and action != "node":
        raise _bad(f"{', '.join(faults)} belongs to the action node")
    changed_node(NodeFaults(), faults)
    return Event(ledger, str(action), index, node, tuple(faults.items()))


def _check(kind: type[NodeFaults | NetworkFaults], name: str, value: object) -> None:
    known = {item.name: item.type for item in fields(kind)}
    if name not in known:
        raise _bad(f"there is no fault {name!r}; there are {', '.join(known)}")
    if known[name] == "bool":
        if not isinstance(value, bool):
            raise _bad(f"{name} must be true or false")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{name} must be a number")
    if known[name] == "int" and not isinstance(value, int):
        raise _bad(f"{name} must be a whole number")
    if not 0 <= value <= _most(name):
        raise _bad(f"{name} must be between 0 and {_most(name):g}")


def _most(name: str) -> float:
    if name.endswith("_ms"):
        return _MAX_DELAY_MS
    if name.endswith("_s"):
        return _MAX_DELAY_MS / 1000
    return _MAX_LAG if name == "lag_ledgers" else 1.0


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad(f"{name} must be a table")
    return value


def _only(data: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise _bad(f"{where} has no {unknown[0]!r}; it has {', '.join(sorted(known))}")


def _bad(message: str) -> ConfigError:
    return ConfigError(message, hint="docs/DEVNET.md lists the faults")
