"""What landed, from getEvents: the fees of one payer, and every move of KALE, page by page.

Since CAP-0067 nodes tell the fee of every transaction as an event, successful or failed, and what came
back of it as another one. An asset's own events are those of successful transactions alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from stellar_sdk import Address, scval, xdr

from kalepool.adapters.stellar.answers import MAX_I64
from kalepool.adapters.stellar.batches import Call
from kalepool.adapters.stellar.outcomes import MOVES, amount_of, symbol_of
from kalepool.core.chain import AssetMove, Happenings, Landed, LumenMoves
from kalepool.xdr.decode import decode_base64, from_base64
from kalepool.xdr.keys import address_value

if TYPE_CHECKING:
    from kalepool.adapters.stellar.answers import Answer
    from kalepool.adapters.stellar.network import Network
    from kalepool.core.chain import Tip

PAGE: Final = 5_000
"""Events asked for at once: some 4 MB. Nodes give up to 10,000."""

MAX_PAGES: Final = 40
"""Pages read in one go. After a long absence the rest is left for the next one."""

_FEE: Final = "fee"
_TRANSFER: Final = "transfer"
_BEFORE_ALL_TRANSACTIONS: Final = 0
_AFTER_ALL_TRANSACTIONS: Final = (1 << 20) - 1
_LEDGER_END: Final = (1 << 32) - 1
_PARTIES: Final = {"mint": 1, "burn": 1, "transfer": 2}
_ID: Final = re.compile(r"(\d{19})-(\d{10})", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_I128: Final = xdr.SCValType.SCV_I128.value.to_bytes(4, "big")
_I128_BYTES: Final = 20


class EventReader:
    """Reads pages of events into what they mean. Of one node, from one ledger on.

    Args:
        network: which network and farm.
        payer: whose fees are wanted.
        holders: whose KALE is wanted, where others moved it.
        first: the first ledger wanted, which the node has.
    """

    def __init__(self, network: Network, payer: str, holders: frozenset[str], first: int) -> None:
        self.holders = holders
        self._network = network
        self._payer = payer
        self.first = first
        self._last = first - 1
        self._close_time = 0
        self._node = ""
        self._cursor: str | None = None
        self._pages = 0
        self._seen: dict[str, _Transaction] = {}
        self._lumens: dict[str, LumenMoves] = {}

    def question(self) -> Call:
        """Give the call for the next page."""
        payer, transfer = address_value(self._payer).to_xdr(), scval.to_symbol(_TRANSFER).to_xdr()
        fees = [scval.to_symbol(_FEE).to_xdr(), payer]
        lumens = [[transfer, "*", payer, "*"], [transfer, payer, "*", "*"]]
        params: dict[str, Any] = {
            "filters": [
                {
                    "type": "contract",
                    "contractIds": [self._network.native_contract],
                    "topics": [fees, *lumens],
                },
                {"type": "contract", "contractIds": [self._network.asset_contract]},
            ],
            "pagination": {"limit": PAGE},
        }
        if self._cursor is None:
            params["startLedger"] = self.first
        else:
            params["pagination"]["cursor"] = self._cursor
        return Call("getEvents", params)

    def take(self, answer: Answer) -> bool:
        """Read a page; tell whether it was the last one.

        Raises:
            RetryableError: when it is not to be believed.
        """
        self._node = answer.node
        self._pages += 1
        latest = answer.number("latestLedger")
        before, closed_at = self._cursor or "", 0
        with answer.reading("page of events"):
            for event in answer.sections("events"):
                place = event.text("id")
                if place <= before:
                    raise ValueError("an event out of order")
                before = place
                closed_at = self._take_event(event, _ledger(place), latest)
            cursor = answer.text("cursor")
            ledger = _ledger(cursor)
            if cursor < before or cursor == self._cursor or not self.first <= ledger <= latest:
                raise ValueError("a cursor that points elsewhere")
        self._cursor = cursor
        # A cursor behind all that a ledger can hold ends it; any other one stands where the page was cut.
        self._last = ledger if int(cursor[:19]) & _LEDGER_END == _LEDGER_END else ledger - 1
        if self._last == latest:
            self._close_time = answer.number("latestLedgerCloseTime", MAX_I64)
            return True
        self._close_time = closed_at or self._close_time
        return self._pages >= MAX_PAGES

    def nothing(self, tip: Tip) -> Happenings:
        """Say that no ledger has closed since."""
        return Happenings(tip.node, self.first, self.first - 1, tip.close_time)

    def happenings(self) -> Happenings:
        """Give what was read, up to the end of the last whole ledger."""
        paid: dict[str, Landed] = {}
        others: dict[str, Landed] = {}
        for tx_hash, seen in self._seen.items():
            if seen.ledger <= self._last:
                landed = Landed(seen.ledger, seen.closed_at, seen.taken - seen.returned, tuple(seen.moves))
                (paid if seen.is_paid else others)[tx_hash] = landed
        lumens = {tx_hash: one for tx_hash, one in self._lumens.items() if one.ledger <= self._last}
        return Happenings(self._node, self.first, self._last, self._close_time, paid, others, lumens)

    def _take_event(self, event: Answer, ledger: int, latest: int) -> int:
        """Note one event; give the close time of its ledger."""
        if event.number("ledger") != ledger or not self.first <= ledger <= latest:
            raise ValueError("an event of another ledger than it says, or than was asked for")
        contract, topics = event.text("contractId"), event.texts("topic")
        kind = _symbol(topics[0]) if topics else ""
        tx_hash, closed_at = event.text("txHash"), _moment(event.text("ledgerClosedAt"))
        if not _HASH.fullmatch(tx_hash):
            raise ValueError("a hash that is none")
        if contract == self._network.native_contract and kind == _FEE:
            if [_address(topic) for topic in topics[1:]] != [self._payer]:
                raise ValueError("a fee that was not asked for")
            place = int(event.text("id")[:19]) >> 12 & _AFTER_ALL_TRANSACTIONS
            self._transaction(tx_hash, ledger, closed_at).take_fee(_amount(event.text("value")), place)
        elif contract == self._network.native_contract and kind == _TRANSFER:
            self._take_lumens(_move(event, kind, topics), tx_hash, ledger, closed_at)
        elif contract != self._network.asset_contract:
            raise ValueError("an event that was not asked for")
        elif kind in MOVES:
            move = _move(event, kind, topics)
            # A fee stands before all transactions of its ledger: whose it is, is known by now.
            if tx_hash in self._seen or not self.holders.isdisjoint(move.parties):
                self._transaction(tx_hash, ledger, closed_at).take_move(move)
        return closed_at

    def _take_lumens(self, move: AssetMove, tx_hash: str, ledger: int, closed_at: int) -> None:
        if self._payer not in move.parties or move.amount > MAX_I64:
            raise ValueError("a payment that was not asked for, or beyond any balance")
        before = self._lumens.get(tx_hash, LumenMoves(ledger, closed_at, ()))
        if (before.ledger, before.closed_at) != (ledger, closed_at):
            raise ValueError("a transaction in two ledgers")
        giver, taker = move.parties
        self._lumens[tx_hash] = LumenMoves(ledger, closed_at, (*before.moves, (giver, taker, move.amount)))

    def _transaction(self, tx_hash: str, ledger: int, closed_at: int) -> _Transaction:
        seen = self._seen.setdefault(tx_hash, _Transaction(ledger, closed_at))
        if (seen.ledger, seen.closed_at) != (ledger, closed_at):
            raise ValueError("a transaction in two ledgers")
        return seen


class _Transaction:
    """What events told so far of one transaction."""

    __slots__ = ("closed_at", "is_paid", "ledger", "moves", "returned", "taken")

    def __init__(self, ledger: int, closed_at: int) -> None:
        self.ledger = ledger
        self.closed_at = closed_at
        self.is_paid = False
        self.taken = 0
        self.returned = 0
        self.moves: list[AssetMove] = []

    def take_fee(self, amount: int, place: int) -> None:
        """Note what was taken before all transactions, or what came back behind this one or all of them."""
        if place == _BEFORE_ALL_TRANSACTIONS:
            if self.is_paid or not 0 <= amount <= MAX_I64:
                raise ValueError("a fee taken twice, or none at all")
            self.is_paid, self.taken = True, amount
        elif not self.is_paid or self.returned or not 0 <= -amount <= self.taken:
            raise ValueError("a fee that comes back and was never taken, or comes back twice")
        else:
            self.returned = -amount

    def take_move(self, move: AssetMove) -> None:
        """Note a move of the asset, which is at most what a balance can hold."""
        if move.amount > MAX_I64:
            raise ValueError("an amount beyond any balance")
        self.moves.append(move)


def _move(event: Answer, kind: str, topics: list[str]) -> AssetMove:
    if not event.flag("inSuccessfulContractCall", missing=True):
        raise ValueError("a move of a call that failed")
    parties = tuple(map(_address, topics[1 : 1 + _PARTIES[kind]]))
    move = AssetMove(kind, parties, _amount(event.text("value")))
    if len(parties) != _PARTIES[kind] or move.amount < 0:
        raise ValueError("a move without those whom it concerns, or of less than nothing")
    return move


def _ledger(place: str) -> int:
    match = _ID.fullmatch(place)
    if match is None:
        raise ValueError("a place that is none")
    return int(match[1]) >> 32


@lru_cache(maxsize=1_024)
def _moment(text: str) -> int:
    """Read the close time of a ledger; Unix seconds."""
    if not _TIME.fullmatch(text):
        raise ValueError("a time that is none")
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


@lru_cache(maxsize=1_024)
def _symbol(topic: str) -> str:
    return symbol_of(decode_base64(xdr.SCVal, topic))


@lru_cache(maxsize=16_384)
def _address(topic: str) -> str:
    """Read whom an event concerns. Claimable balances and liquidity pools hold assets too."""
    value = decode_base64(xdr.SCVal, topic)
    if value.address is None:
        raise ValueError("a party that is no address")
    return Address.from_xdr_sc_address(value.address).address


def _amount(value: str) -> int:
    raw = from_base64(value)
    if len(raw) == _I128_BYTES and raw.startswith(_I128):
        return int.from_bytes(raw[4:], "big", signed=True)
    return amount_of(decode_base64(xdr.SCVal, value))
