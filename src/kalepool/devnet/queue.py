"""The transaction queue: what waits for a ledger, and what goes into the next one.

Rules: stellar-core's transaction queue and surge pricing, as far as a client can see them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from kalepool.devnet.results import TransactionResult, TxCode
from kalepool.devnet.validity import check
from kalepool.xdr.keys import account_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalepool.devnet.state import Layer
    from kalepool.devnet.transactions import Transaction
    from kalepool.devnet.validity import Limits

PENDING_LEDGERS = 4
"""A transaction not included in this many ledgers is dropped."""

BAN_LEDGERS = 10
"""A dropped transaction's hash is refused for this many ledgers."""

QUEUE_LEDGERS = 2
"""The queue holds this many ledgers' worth."""

_REPLACE_FACTOR = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node says to a transaction that arrives.

    Attributes:
        status: PENDING, DUPLICATE, TRY_AGAIN_LATER or ERROR.
        result: why, with ERROR.
    """

    status: str
    result: TransactionResult | None = None


@dataclass(slots=True)
class _Waiting:
    transaction: Transaction
    ledgers: int = 0


@dataclass(frozen=True, slots=True)
class _Load:
    """What transactions take of a ledger, per kind of resource."""

    soroban: tuple[int, int, int, int] = (0, 0, 0, 0)
    operations: int = 0

    @classmethod
    def of(cls, tx: Transaction) -> _Load:
        data = tx.soroban
        if data is None:
            return cls(operations=tx.fee_operations)
        return cls((1, data.instructions, len(data.read_write), data.write_bytes))

    def __add__(self, other: _Load) -> _Load:
        first, second = self.soroban, other.soroban
        total = (first[0] + second[0], first[1] + second[1], first[2] + second[2], first[3] + second[3])
        return _Load(total, self.operations + other.operations)

    def fits(self, limits: Limits, ledgers: int) -> bool:
        most = (limits.transactions, limits.instructions, limits.write_entries, limits.write_bytes)
        return self.operations <= limits.operations * ledgers and all(
            used <= ledgers * limit for used, limit in zip(self.soroban, most, strict=True)
        )


def bid_rate(tx: Transaction) -> Fraction:
    """Give the inclusion bid per operation: the order in a surge."""
    return Fraction(tx.inclusion_bid, tx.fee_operations)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What goes into a ledger.

    Attributes:
        transactions: in the order in which they are applied.
        base_rates: inclusion fee per operation, stroops: for Soroban and for classic transactions.
    """

    transactions: tuple[Transaction, ...]
    base_rates: tuple[int, int]

    def inclusion(self, tx: Transaction) -> int:
        """Give the inclusion fee that a chosen transaction pays."""
        rate = self.base_rates[0 if tx.is_soroban else 1]
        return min(tx.inclusion_bid, rate * tx.fee_operations)


class Queue:
    """Transactions that wait.

    Args:
        limits: of the network's ledgers.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._waiting: dict[str, _Waiting] = {}
        self._banned: dict[bytes, int] = {}
        self._fees: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, tx: Transaction, layer: Layer, close_time: int) -> Answer:
        """Take a transaction, or say why not.

        Args:
            tx: the transaction.
            layer: the state of the last closed ledger, seen from the next one.
            close_time: of the last closed ledger.
        """
        if tx.outer_hash in self._banned:
            return Answer("TRY_AGAIN_LATER")
        if not tx.has_possible_fee:
            return Answer("ERROR", _refusal(tx, TxCode.txMALFORMED))
        current = self._waiting.get(tx.source)
        if current is not None:
            answer = self._against(tx, current.transaction)
            if answer is not None:
                return answer
        refusal = check(tx, layer, self.limits, close_time=close_time, for_apply=False)
        if refusal is None:
            refusal = self._check_funds(tx, current, layer)
        if refusal is not None:
            return Answer("ERROR", refusal)
        crowded_out = self._make_room(tx, current)
        if isinstance(crowded_out, Answer):
            return crowded_out
        if current is not None:
            self._remove(current.transaction)
        for other in crowded_out:
            self._drop(other, layer.sequence - 1)
        self._waiting[tx.source] = _Waiting(tx)
        self._fees[tx.fee_source] = self._fees.get(tx.fee_source, 0) + tx.fee
        return Answer("PENDING")

    def _against(self, tx: Transaction, current: Transaction) -> Answer | None:
        """Judge a transaction whose source has one waiting; None where it may take its place."""
        if tx.outer_hash in (current.outer_hash, current.hash):
            return Answer("DUPLICATE")
        if tx.sequence < current.sequence:
            return Answer("ERROR", _refusal(tx, TxCode.txBAD_SEQ))
        if not tx.is_fee_bump or tx.sequence > current.sequence:
            return Answer("TRY_AGAIN_LATER")
        asked = bid_rate(current) * _REPLACE_FACTOR
        if bid_rate(tx) < asked:
            fee = -(-asked * tx.fee_operations // 1) + (tx.soroban.resource_fee if tx.soroban else 0)
            return Answer("ERROR", TransactionResult(TxCode.txINSUFFICIENT_FEE, int(fee)))
        return None

    def _check_funds(
        self, tx: Transaction, current: _Waiting | None, layer: Layer
    ) -> TransactionResult | None:
        """Hold the payer's balance against all it would owe."""
        owed = self._fees.get(tx.fee_source, 0) + tx.fee
        if current is not None and current.transaction.fee_source == tx.fee_source:
            owed -= current.transaction.fee
        payer = layer.account(account_key(tx.fee_source))
        if payer is None or payer.spendable < owed:
            return TransactionResult(TxCode.txINSUFFICIENT_BALANCE)
        return None

    def _make_room(self, tx: Transaction, current: _Waiting | None) -> Answer | list[Transaction]:
        """Find whom the transaction crowds out of a full queue: those who bid less, lowest first."""
        load = _Load.of(tx)
        if not load.fits(self.limits, 1):
            return Answer("ERROR", _refusal(tx, TxCode.txSOROBAN_INVALID))
        others = [
            waiting.transaction
            for waiting in self._waiting.values()
            if waiting is not current and waiting.transaction.is_soroban == tx.is_soroban
        ]
        total = sum((_Load.of(other) for other in others), load)
        if total.fits(self.limits, QUEUE_LEDGERS):
            return []
        kept = sorted(others, key=bid_rate, reverse=True)
        crowded_out = []
        while not total.fits(self.limits, QUEUE_LEDGERS):
            lowest = kept.pop()
            if bid_rate(lowest) >= bid_rate(tx):
                asked = int(bid_rate(lowest) * tx.fee_operations) + 1
                fee = asked + (tx.soroban.resource_fee if tx.soroban else 0)
                return Answer("ERROR", TransactionResult(TxCode.txINSUFFICIENT_FEE, fee))
            crowded_out.append(lowest)
            total = sum((_Load.of(other) for other in kept), load)
        return crowded_out

    def choose(self, layer: Layer, close_time: int, seed: bytes) -> Chosen:
        """Choose what goes into the ledger that closes now; the rest waits or is dropped.

        Args:
            layer: the ledger, before anything is applied.
            close_time: of that ledger.
            seed: what the order of application is shuffled by.
        """
        self._banned = {tx: until for tx, until in self._banned.items() if until > layer.sequence}
        valid = []
        for waiting in list(self._waiting.values()):
            tx = waiting.transaction
            refusal = check(tx, layer, self.limits, close_time=close_time, for_apply=True)
            if refusal is None:
                valid.append(tx)
            else:
                self._drop(tx, layer.sequence)
        valid = self._drop_unpaid(valid, layer)
        soroban, soroban_rate = self._fill(tx for tx in valid if tx.is_soroban)
        classic, classic_rate = self._fill(tx for tx in valid if not tx.is_soroban)
        chosen = sorted(soroban + classic, key=lambda tx: hashlib.sha256(seed + tx.outer_hash).digest())
        # Classic transactions are a phase of their own, before the Soroban ones.
        chosen.sort(key=lambda tx: tx.is_soroban)
        for tx in chosen:
            self._remove(tx)
        self._grow_old(layer.sequence)
        return Chosen(tuple(chosen), (soroban_rate, classic_rate))

    def _drop_unpaid(self, valid: list[Transaction], layer: Layer) -> list[Transaction]:
        """Drop what a payer can no longer pay for, who covered it all when it arrived; give the rest."""
        owed: Counter[str] = Counter()
        for tx in valid:
            owed[tx.fee_source] += tx.fee
        paid = []
        for tx in valid:
            payer = layer.account(account_key(tx.fee_source))
            if payer is not None and payer.spendable >= owed[tx.fee_source]:
                paid.append(tx)
            else:
                self._drop(tx, layer.sequence)
        return paid

    def _fill(self, candidates: Iterable[Transaction]) -> tuple[list[Transaction], int]:
        """Take the highest bids that fit; give them and the inclusion rate they pay."""
        taken: list[Transaction] = []
        load, surge = _Load(), False
        ordered = sorted(candidates, key=lambda tx: (-bid_rate(tx), tx.outer_hash))
        for tx in ordered:
            larger = load + _Load.of(tx)
            if larger.fits(self.limits, 1):
                taken.append(tx)
                load = larger
            else:
                surge = True
        if not surge or not taken:
            return taken, 100
        return taken, int(min(bid_rate(tx) for tx in taken))

    def _grow_old(self, sequence: int) -> None:
        for waiting in list(self._waiting.values()):
            waiting.ledgers += 1
            if waiting.ledgers >= PENDING_LEDGERS:
                self._drop(waiting.transaction, sequence)

    def _drop(self, tx: Transaction, sequence: int) -> None:
        """Drop a transaction, and ban it from the last closed ledger (its sequence) on."""
        self._remove(tx)
        self._banned[tx.outer_hash] = sequence + BAN_LEDGERS

    def _remove(self, tx: Transaction) -> None:
        del self._waiting[tx.source]
        left = self._fees[tx.fee_source] - tx.fee
        if left:
            self._fees[tx.fee_source] = left
        else:
            del self._fees[tx.fee_source]


def _refusal(tx: Transaction, code: TxCode) -> TransactionResult:
    return TransactionResult(code, 0, (), tx.hash if tx.is_fee_bump else None)
