"""Builds what a round decides: fulfils ``ports.Composer`` over ``transactions``.

What a shape of call needs is learned from one simulation, when it is first wanted; afterwards no
network is needed to build. The bid is a percentile of what was paid lately, under a ceiling.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kalepool.adapters.stellar.calls import Extend, Harvest, Plant, TractorHarvest, Work
from kalepool.adapters.stellar.envelopes import BASE_FEE, Bounds, Lane
from kalepool.core.intents import Kind
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.adapters.stellar.calls import ContractCall
    from kalepool.adapters.stellar.chain import StellarChain
    from kalepool.adapters.stellar.envelopes import Sealed
    from kalepool.adapters.stellar.transactions import Transactions
    from kalepool.core.classic import Newcomer, Payment
    from kalepool.core.farm import Proof


class StellarComposer:
    """Makes builders of signed transactions.

    Args:
        transactions: builds and signs.
        chain: tells what inclusion costs.
        percentile: of the inclusion fees paid lately, that is bid.
        most: ceiling of the bid for one operation, stroops.
    """

    def __init__(
        self, transactions: Transactions, chain: StellarChain, *, percentile: int, most: int
    ) -> None:
        if most < BASE_FEE:
            raise UsageError(f"a bid is at least {BASE_FEE} stroops an operation")
        self._transactions = transactions
        self._chain = chain
        self._percentile = percentile
        self._most = most
        self._bid = BASE_FEE

    async def refresh_bid(self) -> int:
        """Ask what inclusion costs now; give the bid for one operation in stroops. Once a block is enough."""
        paid = await self._chain.inclusion_fee(self._percentile)
        self._bid = min(max(paid, BASE_FEE), self._most)
        return self._bid

    async def plant(
        self, farmer: str, *, block: int, stake: int, opens: bool, max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare a farmer's plant, sent from his own account.

        Raises:
            RejectedError: when what it needs cannot be learned now.
            RetryableError: when no node answers.
        """
        return await self._prepare(Plant(farmer, stake, block, opens), farmer, Bounds(max_time))

    async def work(
        self,
        farmer: str,
        *,
        source: str,
        block: int,
        proof: Proof,
        improves: bool,
        first_ledger: int,
        max_time: int,
    ) -> Callable[[int], Sealed]:
        """Prepare a work, sent from any account of ours.

        Args:
            farmer: whose pail it is.
            source: who sends it.
            block: index of the current block.
            proof: what was found.
            improves: whether a work of his has landed in the block.
            first_ledger: the ledger after his plant's; before it the gap would be 0.
            max_time: network time after which it must not land.

        Raises:
            RejectedError: when what it needs cannot be learned now.
            RetryableError: when no node answers.
        """
        call = Work(farmer, block, proof.hash, proof.nonce, improves)
        return await self._prepare(call, source, Bounds(max_time, min_ledger=first_ledger))

    async def harvest(
        self, farmer: str, *, source: str, blocks: Sequence[int], max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare a harvest of one block, or by the tractor of several.

        Raises:
            RejectedError: when what it needs cannot be learned now.
            RetryableError: when no node answers.
        """
        call: ContractCall = (
            Harvest(farmer, blocks[0]) if len(blocks) == 1 else TractorHarvest(farmer, tuple(blocks))
        )
        return await self._prepare(call, source, Bounds(max_time))

    async def extend(
        self, block: int, farmers: Sequence[str], *, source: str, ledgers: int, max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare an extension of a Block's life and that of farmers' pails in it. Each is simulated anew.

        Args:
            block: index.
            farmers: whose pails.
            source: who sends it.
            ledgers: how many ledgers from now they are to live at least.
            max_time: network time after which it must not land.

        Raises:
            RejectedError: when what it needs cannot be learned now.
            RetryableError: when no node answers.
        """
        return await self._prepare(Extend(block, tuple(farmers), ledgers), source, Bounds(max_time))

    def sponsor(
        self, newcomers: Sequence[Newcomer], *, source: str, max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare the creation of accounts and trustlines that the operator sponsors.

        Args:
            newcomers: at most 19, or 18 where the operator is not the source.
            source: the operator, or a channel.
            max_time: network time after which it must not land.
        """
        bid = self._classic_bid(sum(one.operations for one in newcomers))
        return lambda sequence: self._transactions.sponsor(
            newcomers, Lane(source, sequence), Bounds(max_time), bid
        )

    def pay(
        self, source: str, *, payments: Sequence[Payment], max_time: int, memo: str = ""
    ) -> Callable[[int], Sealed]:
        """Prepare payments from one account, at most 100; the operator pays the fee.

        Args:
            source: who pays.
            payments: to whom, and how much.
            max_time: network time after which it must not land.
            memo: at most 28 bytes.
        """
        bid = self._classic_bid(len(payments))
        return lambda sequence: self._transactions.pay(
            payments, Lane(source, sequence), Bounds(max_time), bid, memo
        )

    def trust(self, source: str, *, max_time: int) -> Callable[[int], Sealed]:
        """Prepare a KALE trustline of one account, whose reserve it carries itself."""
        bid = self._classic_bid(1)
        return lambda sequence: self._transactions.trust(Lane(source, sequence), Bounds(max_time), bid)

    def leave(
        self,
        source: str,
        *,
        last: Sequence[Payment],
        heir: str,
        has_trustline: bool,
        max_time: int,
        memo: str = "",
    ) -> Callable[[int], Sealed]:
        """Prepare the end of an account, the operator paying the fee: last payments, its trustline, its merge.

        Args:
            source: the account that ends.
            last: payments that empty it; others may pay in them too.
            heir: receives what XLM is left, G address.
            has_trustline: whether there is one to be removed.
            max_time: network time after which it must not land.
            memo: at most 28 bytes.
        """
        bid = self._classic_bid(len(last) + has_trustline + 1)
        return lambda sequence: self._transactions.leave(
            Lane(source, sequence),
            Bounds(max_time),
            bid,
            last,
            heir=heir,
            has_trustline=has_trustline,
            memo=memo,
        )

    def classic_fee(self, operations: int) -> int:
        """Give the most that a transaction of so many operations without a contract can cost, in stroops."""
        return self._classic_bid(operations) * (operations + 1)

    def _classic_bid(self, operations: int) -> int:
        """Bid as for contract calls, as far as the ceiling on a whole transaction allows."""
        # The fee bump counts as one operation more.
        return max(min(self._bid, self._transactions.max_fee // (operations + 1)), BASE_FEE)

    def most_fee(self, kind: Kind) -> int:
        """Give the most that a call of a kind can cost now, stroops.

        A plant is the dearest of them, so it stands in for what was not learned yet; before any was, the ceiling does.
        """
        for name in (kind, Kind.PLANT):
            fee = self._transactions.most_fee(name, 2 * self._bid)
            if fee is not None:
                return fee
        return self._transactions.max_fee

    def adopt(self, code: bytes) -> None:
        """Build for this code of the KALE contract from now on; what was learned of another is forgotten."""
        self._transactions.adopt(code)

    def forget(self, kind: Kind) -> None:
        """Learn anew what calls of a kind need, after one was refused in a ledger."""
        self._transactions.forget_kind(kind)

    async def _prepare(self, call: ContractCall, source: str, bounds: Bounds) -> Callable[[int], Sealed]:
        if not self._transactions.knows(call):
            await self._transactions.learn(call, source)
        return partial(self._build, call, source, bounds)

    def _build(self, call: ContractCall, source: str, bounds: Bounds, sequence: int) -> Sealed:
        # The fee bump counts as one operation more.
        return self._transactions.build(call, Lane(source, sequence), bounds, 2 * self._bid)
