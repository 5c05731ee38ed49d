"""JSON-RPC over several nodes: failover, health, pacing, batches, counts.

Reads are tried again, on another node where there is one. What is sent is posted once: whether an
envelope may be sent again is for whoever keeps the journal to decide.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_none

from kalepool.adapters.stellar import batches
from kalepool.adapters.stellar.batches import Call
from kalepool.adapters.stellar.pacing import Pace
from kalepool.adapters.stellar.transport import BusyError, Limits, Transport, check_url
from kalepool.errors import ConfigError, RejectedError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    import httpx

    from kalepool.adapters.stellar.answers import Answer

    Answers = list[Answer]
    Sleep = Callable[[float], Awaitable[None]]
    Ask = Callable[[Sequence[Call]], Awaitable[list[Answer | RetryableError]]]

_T = TypeVar("_T")

_NETWORK_CALL: Final = Call("getNetwork", {})
_KNOWN_FOR_A_REFERENCE: Final = 3
_LEEWAY_S: Final = 60.0
"""Nodes see ledgers late, and so do we."""


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """How nodes are asked.

    Attributes:
        requests_per_second: HTTP requests to each node in the long run.
        burst: HTTP requests to a node that may go out at once after a quiet while.
        attempts: how often a read is tried in all.
        patience_s: longest wait for a node that may be asked.
        behind_ledgers: a node further behind the others than this is not listened to.
        distrust_s: a node that said what was not true is not asked for so long.
        ledgers_per_second: more than the network closes; a node that is further on than that
            allows is not listened to, unless the others say the same.
        limits: of every request.
    """

    requests_per_second: float = 1.0
    burst: int = 10
    attempts: int = 4
    patience_s: float = 15.0
    behind_ledgers: int = 3
    distrust_s: float = 300.0
    ledgers_per_second: float = math.inf
    limits: Limits = field(default_factory=Limits)


@dataclass(slots=True)
class Counts:
    """What was asked so far.

    Attributes:
        http_requests: bodies posted.
        calls: JSON-RPC calls by method.
    """

    http_requests: int = 0
    calls: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Node:
    name: str
    url: str = field(repr=False)
    pace: Pace
    is_known: bool = False  # it has said that it is on our network
    is_foreign: bool = False  # it has said that it is on another one
    ledger: int | None = None
    leap: int | None = None  # how far on it says the network is, where that was not believed
    trouble: str = ""  # why it rests


class TornReadError(RetryableError):
    """Answers of one read belong to different ledgers: nobody's fault, read again."""


class RpcClient:
    """Asks nodes of one network.

    Args:
        urls: of the nodes, the preferred one first.
        passphrase: of the network; a node that does not say the same is never used.
        settings: how nodes are asked.
        transport: what carries HTTP; sockets where it is None.
        monotonic: seconds of a clock that never steps.
        sleep: waits for seconds.

    Raises:
        ConfigError: when there is no URL, or one that is none.
    """

    def __init__(
        self,
        urls: Sequence[str],
        passphrase: str,
        settings: RpcSettings | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        if not urls:
            raise ConfigError("no node is configured", hint="name at least one RPC URL")
        self.counts = Counts()
        self._settings = settings or RpcSettings()
        self._passphrase = passphrase
        self._transport = Transport(self._settings.limits, transport)
        self._monotonic = monotonic
        self._sleep = sleep
        self._next_id = 1
        self._reached: tuple[int, float] | None = None  # a ledger that was believed, and when
        self._nodes = [
            _Node(name, url, Pace(self._settings.requests_per_second, self._settings.burst))
            for name, url in zip(names_of(urls), urls, strict=True)
        ]

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    @property
    def node_names(self) -> list[str]:
        """What errors and answers call the nodes, in the order of their URLs."""
        return [node.name for node in self._nodes]

    async def check_network(self) -> None:
        """Ask every node which network it is on.

        Raises:
            ConfigError: when one of them is on another network.
            RetryableError: when none of them answers.
        """
        silent = []
        for node in self._nodes:
            try:
                await self._make_known(node)
            except RetryableError as error:
                silent.append(error)
        foreign = [node.name for node in self._nodes if node.is_foreign]
        if foreign:
            raise ConfigError(
                f"the node {foreign[0]} is not on the network {self._passphrase!r}",
                hint="check the URLs and the network in kalepool.toml",
            )
        if len(silent) == len(self._nodes):
            raise silent[0]

    async def ask_friendbot(self, address: str) -> None:
        """Let the network's friendbot create and fund an account; only networks for trying things have one.

        Raises:
            RejectedError: when the network has no friendbot.
            RetryableError: when it does not answer, or refuses.
        """
        url = await self.read(
            [_NETWORK_CALL],
            lambda answers: answers[0].text("friendbotUrl") if answers[0].has("friendbotUrl") else "",
        )
        if not url:
            raise RejectedError("this network has no friendbot", hint=f"send XLM to {address}")
        name = check_url(url)
        await self._transport.post(f"friendbot at {name}", f"{url}?addr={address}", b"")

    async def read(
        self, calls: Sequence[Call], parse: Callable[[Answers], _T], *, besides: Collection[str] = ()
    ) -> _T:
        """Ask one node all of the calls, in as few requests as it takes; try others when it fails.

        Args:
            calls: what is asked.
            parse: makes of the answers, in order, what is wanted; may raise RetryableError to
                say that the node is not to be believed.
            besides: names of nodes not to ask; there is another.

        Raises:
            RetryableError: when no node gave a good answer.
            ConfigError: when every node is on another network.
        """

        async def talk(ask: Ask) -> _T:
            answers: Answers = []
            for batch in batches.split(calls):
                answers += insist(await ask(batch))
            return parse(answers)

        return await self.converse(talk, besides=besides)

    async def converse(self, talk: Callable[[Ask], Awaitable[_T]], *, besides: Collection[str] = ()) -> _T:
        """Ask one node what depends on its answers; when it fails, begin anew with another.

        Args:
            talk: is given a function that posts one batch, and gives an answer or an error for each
                call; may raise RetryableError to say that the node is not to be believed.
            besides: names of nodes not to ask; there is another.

        Raises:
            RetryableError: when no node gave good answers.
            ConfigError: when every node is on another network.
        """
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(self._settings.attempts),
            retry=retry_if_exception_type(RetryableError),
            wait=wait_none(),  # a node that failed rests, and choosing one waits for that
            sleep=self._sleep,
            reraise=True,
        ):
            with attempt:
                return await self._converse_once(talk, besides)
        raise AssertionError("unreachable: the last attempt raises")  # pragma: no cover

    async def post_once(self, calls: Sequence[Call]) -> tuple[str, list[Answer | None]]:
        """Post one batch to one node, once. Never raises for a network's fault.

        Returns:
            The node's name, empty when none could be asked; and each call's answer, None where
            there was none or it was an error: then the call may have been carried out or not.
        """
        try:
            node = await self._known_node()
        except RetryableError:
            return "", [None] * len(calls)
        try:
            answers = await self._post(node, calls)
        except RetryableError as error:
            self._blame(node, error)
            return node.name, [None] * len(calls)
        self._praise(node)
        return node.name, [None if isinstance(answer, RetryableError) else answer for answer in answers]

    def has_others(self, besides: Collection[str]) -> bool:
        """Tell whether there is a node but those named, and not of another network."""
        return any(not node.is_foreign and node.name not in besides for node in self._nodes)

    def distrust(self, name: str) -> None:
        """Let a node rest for long that said what was not true, and count its word no more until then."""
        node = self._named(name)
        node.ledger, node.trouble = None, "what it said was not true"
        node.pace.rest(self._monotonic(), self._settings.distrust_s)

    def note_ledger(self, answer: Answer, ledger: int) -> None:
        """Note how far a node sees.

        Raises:
            RetryableError: when that is too far behind the others, or further on than the
                network can have come since it was last seen, and no other node says so too.
        """
        node = self._named(answer.node)
        if self._is_leap(ledger):
            node.leap = ledger
            if self._is_alone(node, ledger):
                raise RetryableError(
                    f"the node {answer.node} is at ledger {ledger}, further than the network can have come",
                    hint="try again, or configure another node",
                )
        node.leap, node.ledger = None, ledger
        self._reached = ledger, self._monotonic()
        ledgers = sorted(node.ledger for node in self._nodes if node.ledger is not None)
        # With three or more, a single node that runs ahead, or lies, does not make the others old.
        reference = ledgers[-2] if len(ledgers) >= _KNOWN_FOR_A_REFERENCE else ledgers[-1]
        if ledger < reference - self._settings.behind_ledgers:
            raise RetryableError(
                f"the node {answer.node} is {reference - ledger} ledgers behind the others",
                hint="try again, or configure another node",
            )

    def _named(self, name: str) -> _Node:
        return next(node for node in self._nodes if node.name == name)

    def _is_leap(self, ledger: int) -> bool:
        if self._reached is None:
            return False
        reached, when = self._reached
        elapsed = self._monotonic() - when + _LEEWAY_S
        return ledger > reached + elapsed * self._settings.ledgers_per_second

    def _is_alone(self, node: _Node, ledger: int) -> bool:
        """Tell whether another node that serves does not say that the network is so far on.

        A machine that slept sees every node leap; and where there is no other, there is nobody to ask.
        """
        near = _LEEWAY_S * self._settings.ledgers_per_second
        others = [one for one in self._nodes if one is not node and not one.is_foreign]
        if any(one.leap is not None and abs(one.leap - ledger) <= near for one in others):
            return False
        return any(not one.trouble for one in others)

    async def _converse_once(self, talk: Callable[[Ask], Awaitable[_T]], besides: Collection[str]) -> _T:
        node = await self._known_node(besides)
        asked = 0

        async def ask(calls: Sequence[Call]) -> list[Answer | RetryableError]:
            nonlocal asked
            if asked:
                await self._wait_for([node])
            asked += 1
            return await self._post(node, calls)

        try:
            result = await talk(ask)
        except TornReadError:
            raise
        except RetryableError as error:
            self._blame(node, error)
            raise
        self._praise(node)
        return result

    async def _known_node(self, besides: Collection[str] = ()) -> _Node:
        """Choose a node that may be asked now and is on our network."""
        while True:
            usable = [node for node in self._nodes if not node.is_foreign and node.name not in besides]
            if not usable:
                raise ConfigError(
                    f"no node is on the network {self._passphrase!r}",
                    hint="check the URLs and the network in kalepool.toml",
                )
            node = await self._wait_for(usable)
            if node.is_known:
                return node
            await self._make_known(node)

    async def _make_known(self, node: _Node) -> None:
        await self._wait_for([node])
        try:
            (answer,) = insist(await self._post(node, [_NETWORK_CALL]))
            passphrase = answer.text("passphrase")
        except RetryableError as error:
            self._blame(node, error)
            raise
        node.is_known = passphrase == self._passphrase
        node.is_foreign = not node.is_known

    async def _wait_for(self, nodes: Sequence[_Node]) -> _Node:
        """Wait until one of the nodes may be asked: the first of those that need the least waiting."""
        deadline = self._monotonic() + self._settings.patience_s
        while True:
            now = self._monotonic()
            node = min(nodes, key=lambda node: node.pace.wait(now))
            wait = node.pace.wait(now)
            if wait <= 0:
                return node
            if now + wait > deadline:
                why = f": {node.trouble}" if node.trouble else ""
                raise RetryableError(
                    f"no node may be asked for another {wait:.0f} s{why}",
                    hint="wait, or configure more nodes",
                )
            await self._sleep(wait)

    async def _post(self, node: _Node, calls: Sequence[Call]) -> list[Answer | RetryableError]:
        node.pace.take(self._monotonic())
        first_id, self._next_id = self._next_id, self._next_id + len(calls)
        self.counts.http_requests += 1
        self.counts.calls.update(call.method for call in calls)
        body = await self._transport.post(node.name, node.url, batches.encode(calls, first_id))
        return batches.take_apart(body, calls, first_id, node.name)

    def _praise(self, node: _Node) -> None:
        node.trouble = ""
        node.pace.succeed()

    def _blame(self, node: _Node, error: RetryableError) -> None:
        # Where a node that fails says the network stands no longer counts for the others.
        node.ledger, node.trouble = None, error.message
        now = self._monotonic()
        if isinstance(error, BusyError) and error.retry_after_s is not None:
            node.pace.rest(now, error.retry_after_s)
        else:
            node.pace.fail(now)


def insist(answers: Sequence[Answer | RetryableError]) -> Answers:
    """Give answers without an error among them.

    Raises:
        RetryableError: the first error there is.
    """
    good: Answers = []
    for answer in answers:
        if isinstance(answer, RetryableError):
            raise answer
        good.append(answer)
    return good


def names_of(urls: Sequence[str]) -> list[str]:
    """Name nodes by their hosts; a path may hold a key, so further nodes of a host are numbered."""
    hosts = [check_url(url) for url in urls]
    return [
        host if hosts.index(host) == position else f"{host}#{hosts[: position + 1].count(host)}"
        for position, host in enumerate(hosts)
    ]
