"""Reading the network: fulfils ``ports.Chain``."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kalepool.adapters.stellar.answers import MAX_I64
from kalepool.adapters.stellar.batches import MAX_CALLS, Call
from kalepool.adapters.stellar.entries import MAX_KEYS, Entries, encode_key
from kalepool.adapters.stellar.happenings import EventReader
from kalepool.adapters.stellar.outcomes import read_outcome
from kalepool.adapters.stellar.rpc import TornReadError, insist
from kalepool.adapters.stellar.simulations import read_simulation
from kalepool.core.chain import AccountState, DatedBlock, DatedPail, Snapshot, Tip
from kalepool.errors import RetryableError, UsageError
from kalepool.xdr.keys import account_key, block_key, instance_key, pail_key, pool_key, trustline_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from kalepool.adapters.stellar.answers import Answer
    from kalepool.adapters.stellar.network import Network
    from kalepool.adapters.stellar.rpc import Ask, RpcClient
    from kalepool.adapters.stellar.simulations import Simulation
    from kalepool.core.chain import Found, Happenings

PERCENTILES: Final = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
_LEAST_INCLUSION_FEE: Final = 100
_HEALTH: Final = Call("getHealth", {})
_INDEX_TRIES: Final = 4

_Question: TypeAlias = tuple[int, str, frozenset[str]]
"""What events are asked for: from which ledger on, whose fees, whose KALE."""


class StellarChain:
    """The network, as its nodes tell.

    Args:
        rpc: asks the nodes.
        network: which network and farm.
        prices: whether snapshots of the current block bring the liquidity pool along.
    """

    def __init__(self, rpc: RpcClient, network: Network, *, prices: bool = False) -> None:
        self._rpc = rpc
        self._prices = prices
        self._network = network
        self._index: int | None = None
        # What events are likely to be asked for after the next snapshot.
        self._following: _Question | None = None
        # What a snapshot brought along, after so many requests.
        self._ahead: tuple[int, _Question, Happenings] | None = None

    async def check_network(self) -> None:
        """Insist that the nodes are on our network.

        Raises:
            ConfigError: when one is on another.
            RetryableError: when none answers.
        """
        await self._rpc.check_network()

    async def tip(self) -> Tip:
        """Ask how far the network is: the cheap question."""
        return await self._rpc.read([_HEALTH], lambda answers: self._tip(answers[0]))

    async def snapshot(
        self, pails: Sequence[tuple[str, int]], blocks: Sequence[int] = (), *, current: bool = True
    ) -> Snapshot:
        """Read the farm, Blocks and pails in one ledger.

        One request with one getLedgerEntries for 196 pails; up to 2,000 keys go in one request, as
        several calls whose answers must belong to the same ledger.

        Args:
            pails: (farmer's address, block index) of each wanted.
            blocks: indexes of further Blocks.
            current: whether the Blocks of FarmIndex and the one before are read too.

        Raises:
            RetryableError: when no node gave an answer to be believed.
        """
        for _ in range(_INDEX_TRIES):
            # Which Blocks are the current ones is known from the instance alone, so the next one is
            # asked for too: a roll-over between two reads costs no further request.
            guess = [] if not current or self._index is None else _around(self._index)
            snapshot = await self._snapshot(pails, {*blocks, *guess}, priced=self._prices and current)
            self._index = snapshot.farm.index
            if not current or {self._index, max(self._index - 1, 0)} <= {*blocks, *guess}:
                return snapshot
        raise TornReadError("the farm moves on faster than it can be read", hint="try again")

    async def accounts(self, addresses: Sequence[str]) -> dict[str, AccountState]:
        """Read accounts with their KALE trustlines; those that do not exist are left out.

        Raises:
            RetryableError: when no node gave an answer to be believed.
        """
        wanted = list(dict.fromkeys(addresses))
        keys = [
            key
            for address in wanted
            for key in (account_key(address), trustline_key(address, self._network.asset))
        ]

        def parse(answers: list[Answer]) -> dict[str, AccountState]:
            # An account and its trustline stand in one call, so each is true in one ledger.
            asked = frozenset(map(encode_key, keys))
            states = {}
            for position, answer in enumerate(answers):
                entries = Entries([answer], asked)
                self._note(answer, entries.ledgers)
                half = MAX_KEYS // 2
                for address in wanted[position * half : (position + 1) * half]:
                    line = trustline_key(address, self._network.asset)
                    state = entries.account(account_key(address), line)
                    if state is not None:
                        states[address] = state
            return states

        return await self._rpc.read(_entry_calls(keys), parse) if keys else {}

    async def find(self, inner_hash: str) -> Found:
        """Ask one node about a transaction."""
        return (await self.find_all([inner_hash]))[0]

    async def find_all(self, inner_hashes: Sequence[str]) -> list[Found]:
        """Ask one node about many transactions, in batches; the answers stand in their order.

        Raises:
            RetryableError: when no node gave answers to be believed.
        """
        if not inner_hashes:
            return []

        def parse(answers: list[Answer]) -> list[Found]:
            found = []
            for wanted, answer in zip(inner_hashes, answers, strict=True):
                self._note(answer, {answer.number("latestLedger")})
                found.append(read_outcome(answer, wanted, self._network))
            return found

        return await self._rpc.read([Call("getTransaction", {"hash": one}) for one in inner_hashes], parse)

    async def happenings(self, since: int, payer: str, holders: Collection[str]) -> Happenings:
        """Read from events what landed from a ledger on: fees of a payer, and KALE moved.

        No request where the last snapshot brought them along; else one in which getHealth rides along, and more
        where the events fill more than a page, or the node has no such ledger. All of it comes from one node.

        Args:
            since: the first ledger wanted.
            payer: whose fees are told.
            holders: whose KALE is told of, where others moved it.

        Raises:
            RetryableError: when no node gave answers to be believed.
        """
        question: _Question = (since, payer, frozenset(holders))
        ahead, self._ahead = self._ahead, None
        # Once anything was asked or sent since the snapshot, what came with it may be too old to tell of that.
        if ahead is not None and ahead[:2] == (self._rpc.counts.http_requests, question):
            found = ahead[2]
        else:
            found = await self._rpc.converse(lambda ask: self._read_events(question, ask))
        self._following = (found.last + 1, payer, question[2])
        return found

    async def _read_events(self, question: _Question, ask: Ask) -> Happenings:
        since, payer, holders = question
        reader = EventReader(self._network, payer, holders, since)
        health, page = await ask([_HEALTH, reader.question()])
        (answer,) = insist([health])
        tip = self._tip(answer)
        if since > tip.ledger:
            return reader.nothing(tip)
        if since < tip.oldest_ledger:
            reader = EventReader(self._network, payer, holders, tip.oldest_ledger)
            (page,) = await ask([reader.question()])
        while True:
            (answer,) = insist([page])
            self._note(answer, {answer.number("latestLedger")})
            if reader.take(answer):
                return reader.happenings()
            (page,) = await ask([reader.question()])

    async def deployed(self, contracts: Sequence[str]) -> tuple[Tip, list[bytes]]:
        """Read how far the network is and which code contracts run, 32 bytes each, in one request.

        Raises:
            RetryableError: when no node gave an answer to be believed.
        """
        keys = [instance_key(contract) for contract in contracts]

        def parse(answers: list[Answer]) -> tuple[Tip, list[bytes]]:
            tip = self._tip(answers[0])
            entries = Entries(answers[1:], frozenset(map(encode_key, keys)))
            self._note(answers[1], entries.ledgers)
            hashes = []
            for contract, key in zip(contracts, keys, strict=True):
                found = entries.wasm_hash(key)
                if found is None:
                    raise answers[1].wrong(f"does not know the contract {contract}")
                hashes.append(found)
            return tip, hashes

        return await self._rpc.read([_HEALTH, *_entry_calls(keys)], parse)

    async def inclusion_fee(self, percentile: int) -> int:
        """Give the inclusion fee per operation that so many in a hundred of late bid at most, in stroops.

        Raises:
            UsageError: for a percentile that nodes do not tell.
            RetryableError: when no node gave an answer to be believed.
        """
        if percentile not in PERCENTILES:
            raise UsageError(f"there is no percentile {percentile}", hint=f"there are {PERCENTILES}")

        def parse(answers: list[Answer]) -> int:
            fee = answers[0].section("sorobanInclusionFee").number(f"p{percentile}", MAX_I64)
            return max(fee, _LEAST_INCLUSION_FEE)

        return await self._rpc.read([Call("getFeeStats", {})], parse)

    async def simulate(
        self, envelope: bytes, called: str | None, *, besides: Collection[str] = ()
    ) -> Simulation | None:
        """Let a node try a transaction; None where no node is left to ask.

        Args:
            envelope: XDR; signatures are not needed.
            called: the contract that its operation calls, or None.
            besides: nodes that have been asked already.

        Raises:
            RetryableError: when no node gave an answer to be believed.
        """

        def parse(answers: list[Answer]) -> Simulation:
            simulation = read_simulation(answers[0], called, self._network.kale)
            self._note(answers[0], {simulation.ledger})
            return simulation

        if besides and not self._rpc.has_others(besides):
            return None
        params = {"transaction": base64.b64encode(envelope).decode("ascii")}
        return await self._rpc.read([Call("simulateTransaction", params)], parse, besides=besides)

    def distrust(self, node: str) -> None:
        """Ask a node no more for a while: what it said was not true."""
        self._rpc.distrust(node)

    async def _snapshot(
        self, pails: Sequence[tuple[str, int]], indexes: set[int], *, priced: bool
    ) -> Snapshot:
        kale, asset = self._network.kale, self._network.asset
        farm_key = instance_key(kale)
        block_keys = {index: block_key(kale, index) for index in sorted(indexes)}
        pail_keys = {(farmer, index): pail_key(kale, farmer, index) for farmer, index in pails}
        pool_keys = [pool_key(asset)] if priced else []
        keys = [farm_key, *pool_keys, *block_keys.values(), *pail_keys.values()]

        def parse(answers: list[Answer]) -> Snapshot:
            tip, first = self._tip(answers[0]), answers[1]
            entries = Entries(answers[1:], frozenset(map(encode_key, keys)))
            if len(entries.ledgers) > 1:
                raise TornReadError("a ledger closed in the middle of a read", hint="try again")
            ledger = self._note(first, entries.ledgers)
            found = entries.farm(farm_key)
            if found is None:
                raise first.wrong(f"does not know the KALE contract {kale}")
            farm, wasm_hash = found
            if farm.asset not in (None, self._network.asset_contract):
                raise first.wrong("has a farm of another asset")
            reserves = entries.reserves(asset) if priced else None
            snapshot = Snapshot(first.node, ledger, farm, wasm_hash, tip=tip, reserves=reserves)
            for index, key in block_keys.items():
                block = entries.block(key)
                if block is not None:
                    snapshot.blocks[index] = DatedBlock(*block)
            for pair, key in pail_keys.items():
                pail = entries.pail(key)
                if pail is not None:
                    snapshot.pails[pair] = DatedPail(*pail)
            return snapshot

        return await self._read_with_events([_HEALTH, *_entry_calls(keys)], parse)

    async def _read_with_events(
        self, calls: Sequence[Call], parse: Callable[[list[Answer]], Snapshot]
    ) -> Snapshot:
        """Read a snapshot. Who asked for events after the last one is likely to do so again: they ride along."""
        following, self._following, self._ahead = self._following, None, None
        if following is None or len(calls) >= MAX_CALLS:
            return await self._rpc.read(calls, parse)

        async def talk(ask: Ask) -> Snapshot:
            reader = EventReader(self._network, following[1], following[2], following[0])
            *answers, page = await ask([*calls, reader.question()])
            snapshot = parse(insist(answers))
            assert snapshot.tip is not None
            found = self._taken(reader, page, snapshot.tip)
            if found is not None:
                self._ahead = (self._rpc.counts.http_requests, following, found)
            return snapshot

        return await self._rpc.converse(talk)

    @staticmethod
    def _taken(reader: EventReader, page: Answer | RetryableError, tip: Tip) -> Happenings | None:
        """Take events that rode along, when they are good and all there is; else they are asked for by themselves."""
        if reader.first > tip.ledger:
            return reader.nothing(tip)
        try:
            if isinstance(page, RetryableError) or not reader.take(page):
                return None
        except RetryableError:
            return None
        return reader.happenings()

    def _tip(self, answer: Answer) -> Tip:
        tip = Tip(
            node=answer.node,
            ledger=self._note(answer, {answer.number("latestLedger")}),
            close_time=answer.number("latestLedgerCloseTime", MAX_I64),
            oldest_ledger=answer.number("oldestLedger"),
        )
        if not 0 < tip.oldest_ledger <= tip.ledger:
            raise answer.wrong("has an oldestLedger after the latest")
        return tip

    def _note(self, answer: Answer, ledgers: Iterable[int]) -> int:
        ledger = min(ledgers)
        self._rpc.note_ledger(answer, ledger)
        return ledger


def _around(index: int) -> list[int]:
    return [*range(max(index - 1, 0), index + 2)]


def _entry_calls(keys: Sequence[bytes]) -> list[Call]:
    calls = []
    for first in range(0, len(keys), MAX_KEYS):
        params: dict[str, Any] = {"keys": [encode_key(key) for key in keys[first : first + MAX_KEYS]]}
        calls.append(Call("getLedgerEntries", params))
    return calls
