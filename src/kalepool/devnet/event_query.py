"""getEvents: filters, cursors and pages over the events of closed ledgers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stellar_sdk import xdr

from kalepool.core.address import raw_key
from kalepool.devnet import jsonrpc
from kalepool.devnet.events import AssetEvent
from kalepool.devnet.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, Params, RpcError
from kalepool.devnet.ledger import Told
from kalepool.devnet.meta import fee_returned, fee_taken
from kalepool.errors import UsageError
from kalepool.xdr.decode import decode_base64

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalepool.devnet.ledger import ClosedLedger, Ledger
    from kalepool.devnet.network import Identity

_MAX_FILTERS = 5
_MAX_SEGMENTS = 4
_MAX_LIMIT = 10_000
_DEFAULT_LIMIT = 100
_SCAN_LEDGERS = 10_000
_LAST_IN_LEDGER = ((1 << 32) - 1, (1 << 32) - 1)
_AFTER_ALL_TRANSACTIONS = (1 << 20) - 1
"""Place in the ledger of what is told behind all transactions; what is told before them is at 0."""
_CURSOR = re.compile(r"(\d{1,19})-(\d{1,10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Filter:
    kinds: tuple[str, ...]
    contracts: tuple[str, ...]
    topics: tuple[tuple[str, ...], ...]

    def matches(self, told: Told) -> bool:
        if self.kinds and "contract" not in self.kinds:
            return False
        if self.contracts and told.event.contract not in self.contracts:
            return False
        if not self.topics:
            return True
        given = _topics(told.event)
        return any(_segments_match(wanted, given) for wanted in self.topics)


def query_events(params: Params, ledger: Ledger, latest: ClosedLedger) -> dict[str, Any]:
    """Answer a getEvents: its events and its cursor.

    Args:
        params: of the call.
        ledger: where the history is.
        latest: the last ledger that the node sees.

    Raises:
        RpcError: as a node would.
    """
    page = jsonrpc.section(params, "pagination")
    limit = jsonrpc.u32(page, "limit", 0) or _DEFAULT_LIMIT
    start = jsonrpc.u32(params, "startLedger", 0)
    end = jsonrpc.u32(params, "endLedger", 0)
    cursor = page.get("cursor")
    if cursor is not None:
        if start or end:
            raise RpcError(INVALID_PARAMS, "ledger ranges and cursor cannot both be set")
        start, after = _parse_cursor(cursor)
    else:
        after = (-1, -1)
        if not start:
            raise RpcError(INVALID_PARAMS, "startLedger must be positive")
    if limit > _MAX_LIMIT:
        raise RpcError(INVALID_PARAMS, f"limit must not exceed {_MAX_LIMIT}")
    filters = _filters(params)
    if not ledger.oldest.sequence <= start <= latest.sequence:
        raise RpcError(
            INVALID_REQUEST,
            f"startLedger must be within the ledger range: {ledger.oldest.sequence} - {latest.sequence}",
        )
    stop = min(latest.sequence + 1, start + _SCAN_LEDGERS, end or latest.sequence + 1)
    found: list[dict[str, Any]] = []
    for closed, told in _events(ledger, start, stop, after):
        if not filters or any(wanted.matches(told) for wanted in filters):
            found.append(_info(closed, told))
            if len(found) == limit:
                return {"events": found, "cursor": found[-1]["id"]}
    return {"events": found, "cursor": _cursor(stop - 1, *_LAST_IN_LEDGER)}


def _events(
    ledger: Ledger, start: int, stop: int, after: tuple[int, int]
) -> Iterator[tuple[ClosedLedger, Told]]:
    for closed in ledger.ledgers(start, stop - 1):
        for told in events_of(closed, ledger.identity):
            if closed.sequence > start or (_place(told), told.position) > after:
                yield closed, told


def events_of(closed: ClosedLedger, identity: Identity) -> Iterator[Told]:
    """Give every event of a ledger in the order of cursors: fees, what transactions told, refunds.

    Fees are numbered through the ledger, with places before and behind all of its transactions (CAP-0067);
    failed transactions have them too. They are made here, when somebody asks.
    """
    for position, applied in enumerate(closed.transactions):
        taken, tx_hash = fee_taken(applied, identity), applied.transaction.outer_hash
        yield Told(0, 0, position, taken, tx_hash, applied.result.is_success)
    yield from closed.events
    refunds = ((applied, fee_returned(applied, identity)) for applied in closed.transactions)
    given = ((applied, event) for applied, event in refunds if event is not None)
    for position, (applied, event) in enumerate(given):
        tx_hash, successful = applied.transaction.outer_hash, applied.result.is_success
        yield Told(_AFTER_ALL_TRANSACTIONS, 0, position, event, tx_hash, successful)


def _place(told: Told) -> int:
    return told.transaction_order << 12 | told.operation


def _cursor(ledger: int, place: int, position: int) -> str:
    return f"{ledger << 32 | place:019d}-{position:010d}"


def _parse_cursor(cursor: object) -> tuple[int, tuple[int, int]]:
    match = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if match is None:
        raise RpcError(INVALID_PARAMS, "invalid parameters: invalid event id")
    number = int(match[1])
    return number >> 32, (number & 0xFFFFFFFF, int(match[2]))


def _info(closed: ClosedLedger, told: Told) -> dict[str, Any]:
    return {
        "type": "contract",
        "ledger": closed.sequence,
        "ledgerClosedAt": datetime.fromtimestamp(closed.close_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "contractId": told.event.contract,
        "id": _cursor(closed.sequence, _place(told), told.position),
        "operationIndex": told.operation,
        "transactionIndex": told.transaction_order,
        "txHash": told.transaction_hash.hex(),
        "inSuccessfulContractCall": told.successful,
        "topic": _topics(told.event),
        "value": told.event.data().to_xdr(),
    }


def _topics(event: AssetEvent) -> list[str]:
    return list(_encoded_topics(event.kind, event.parties, event.asset))


@lru_cache(maxsize=16_384)
def _encoded_topics(kind: str, parties: tuple[str, ...], asset: str) -> tuple[str, ...]:
    return tuple(topic.to_xdr() for topic in AssetEvent("", kind, parties, asset, 0).topics())


def _filters(params: Params) -> list[_Filter]:
    given = jsonrpc.items(params, "filters")
    if len(given) > _MAX_FILTERS:
        raise RpcError(INVALID_PARAMS, "maximum 5 filters per request")
    filters = []
    for number, item in enumerate(given, start=1):
        if not isinstance(item, dict):
            raise RpcError(INVALID_PARAMS, "invalid parameters: a filter must be an object")
        try:
            filters.append(_filter(item))
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"filter {number} invalid: {error}") from None
    return filters


def _filter(item: Params) -> _Filter:
    kinds = (
        tuple(kind for kind in jsonrpc.text(item, "type", "").split(",") if kind) if item.get("type") else ()
    )
    if any(kind not in ("system", "contract") for kind in kinds):
        raise ValueError("filter type invalid: if set, type must be either 'system' or 'contract'")
    contracts = jsonrpc.items(item, "contractIds")
    topics = jsonrpc.items(item, "topics")
    if len(contracts) > _MAX_FILTERS:
        raise ValueError("maximum 5 contract IDs per filter")
    if len(topics) > _MAX_FILTERS:
        raise ValueError("maximum 5 topics per filter")
    for number, contract in enumerate(contracts, start=1):
        if not isinstance(contract, str) or not _is_contract(contract):
            raise ValueError(f"contract ID {number} invalid")
    return _Filter(
        kinds, tuple(contracts), tuple(_topic(topic, n) for n, topic in enumerate(topics, start=1))
    )


def _is_contract(address: str) -> bool:
    try:
        raw_key(address)
    except UsageError:
        return False
    return address.startswith("C")


def _topic(topic: object, number: int) -> tuple[str, ...]:
    if not isinstance(topic, list) or not all(isinstance(segment, str) for segment in topic):
        raise RpcError(INVALID_PARAMS, "invalid parameters: a topic must be an array of strings")
    if not topic:
        raise ValueError(f"topic {number} invalid: topic must have at least 1 segment")
    fixed = topic[:-1] if topic[-1] == "**" else topic
    if "**" in fixed:
        raise ValueError(f"topic {number} invalid: wildcard '**' is only allowed as the last segment")
    if len(fixed) > _MAX_SEGMENTS:
        raise ValueError(f"topic {number} invalid: topic cannot have more than 4 segments")
    for segment in fixed:
        if segment != "*":
            _check_value(segment)
    return tuple(topic)


def _check_value(segment: str) -> None:
    try:
        decode_base64(xdr.SCVal, segment)
    except ValueError:
        raise RpcError(INVALID_PARAMS, "invalid parameters: a topic segment is not an ScVal") from None


def _segments_match(wanted: tuple[str, ...], given: list[str]) -> bool:
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        if len(given) < len(wanted):
            return False
    elif len(given) != len(wanted):
        return False
    return all(segment in ("*", topic) for segment, topic in zip(wanted, given, strict=False))
