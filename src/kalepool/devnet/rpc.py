"""The methods of a Stellar RPC node, over a ledger as one node sees it.

Field names, types and error codes are those of stellar-rpc; where numbers are strings there,
they are strings here.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from stellar_sdk import xdr

from kalepool import __version__
from kalepool.devnet import jsonrpc
from kalepool.devnet.event_query import query_events
from kalepool.devnet.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, Params, RpcError
from kalepool.devnet.meta import (
    diagnostic_events,
    ledger_close_meta,
    ledger_header,
    transaction_events,
    transaction_meta,
)
from kalepool.devnet.network import PROTOCOL_VERSION
from kalepool.devnet.simulation import (
    Simulation,
    SimulationRequest,
    simulate_call,
    simulate_extension,
)
from kalepool.devnet.transactions import ExtendTtl, InvokeContract, parse_envelope
from kalepool.xdr.decode import decode, from_base64
from kalepool.xdr.keys import LIVING_PAILS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kalepool.devnet.entries import Entry
    from kalepool.devnet.execution import Applied
    from kalepool.devnet.ledger import ClosedLedger, Ledger
    from kalepool.devnet.queue import Answer
    from kalepool.devnet.state import View
    from kalepool.devnet.transactions import Transaction

Answered = dict[str, Any]

MAX_KEYS = 200
_MAX_HEALTHY_LATENCY_S = 30
_MAX_PAGE = 200
_DEFAULT_PAGE = 50
_FEE_WINDOW = (50, 10)
_PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
_HASH_HEX = 64
_REMEMBERED_CHARS = 512
_AUTH_MODES = ("", "enforce", "record", "record_allow_nonroot")


class Horizon(Protocol):
    """How far one node sees."""

    @property
    def latest(self) -> ClosedLedger:
        """The last ledger that this node has."""

    @property
    def entries(self) -> View:
        """Entries after that ledger."""

    def refuses_transactions(self) -> bool:
        """Whether it answers TRY_AGAIN_LATER to whatever is sent now."""


class Rpc:
    """One node's methods.

    Args:
        ledger: the network.
        horizon: how far this node sees.
        friendbot_url: where new accounts are funded.
    """

    def __init__(self, ledger: Ledger, horizon: Horizon, friendbot_url: str) -> None:
        self._ledger = ledger
        self._horizon = horizon
        self._friendbot_url = friendbot_url
        self.methods: Mapping[str, Callable[[Params], Answered]] = {
            "getHealth": self.get_health,
            "getNetwork": self.get_network,
            "getLatestLedger": self.get_latest_ledger,
            "getLedgerEntries": self.get_ledger_entries,
            "simulateTransaction": self.simulate_transaction,
            "sendTransaction": self.send_transaction,
            "getTransaction": self.get_transaction,
            "getTransactions": self.get_transactions,
            "getFeeStats": self.get_fee_stats,
            "getEvents": self.get_events,
            "getVersionInfo": self.get_version_info,
        }

    def handle(self, body: bytes) -> bytes | None:
        """Answer one HTTP body."""
        return jsonrpc.answer(body, self.methods)

    @property
    def _latest(self) -> ClosedLedger:
        return self._horizon.latest

    @property
    def _oldest(self) -> ClosedLedger:
        return self._ledger.oldest

    def get_health(self, _params: Params) -> Answered:
        """Tell the range of ledgers that the node has, unless it is far behind the network."""
        behind_s = self._ledger.latest.close_time - self._latest.close_time
        if behind_s > _MAX_HEALTHY_LATENCY_S:
            raise RpcError(
                INTERNAL_ERROR,
                f"latency ({behind_s}s) since last known ledger closed is too high"
                f" (>{_MAX_HEALTHY_LATENCY_S}s)",
            )
        return {
            "status": "healthy",
            "latestLedger": self._latest.sequence,
            "latestLedgerCloseTime": self._latest.close_time,
            "oldestLedger": self._oldest.sequence,
            "oldestLedgerCloseTime": self._oldest.close_time,
            "ledgerRetentionWindow": self._ledger.settings.history_ledgers,
        }

    def get_network(self, _params: Params) -> Answered:
        """Tell the network's passphrase."""
        return {
            "friendbotUrl": self._friendbot_url,
            "passphrase": self._ledger.identity.passphrase,
            "protocolVersion": PROTOCOL_VERSION,
        }

    def get_latest_ledger(self, _params: Params) -> Answered:
        """Tell the last closed ledger."""
        latest = self._latest
        return {
            "id": latest.hash.hex(),
            "protocolVersion": PROTOCOL_VERSION,
            "sequence": latest.sequence,
            "closeTime": str(latest.close_time),
            "headerXdr": ledger_header(latest, PROTOCOL_VERSION).to_xdr(),
            "metadataXdr": ledger_close_meta(latest, PROTOCOL_VERSION).to_xdr(),
        }

    def get_version_info(self, _params: Params) -> Answered:
        """Tell what answers here."""
        return {
            "version": f"kalepool-devnet-{__version__}",
            "commitHash": "",
            "buildTimestamp": "",
            "captiveCoreVersion": "none: a local network in one process",
            "protocolVersion": PROTOCOL_VERSION,
        }

    def get_ledger_entries(self, params: Params) -> Answered:
        """Read entries by key; what does not exist is left out."""
        _check_format(params)
        keys = jsonrpc.items(params, "keys", required=True)
        if len(keys) > MAX_KEYS:
            raise RpcError(INVALID_PARAMS, f"key count ({len(keys)}) exceeds maximum supported ({MAX_KEYS})")
        sequence, view = self._latest.sequence, self._horizon.entries
        found = []
        for position, key64 in enumerate(keys):
            raw = _ledger_key(key64, position)
            entry = view.get(raw)
            if entry is not None and entry.is_live(sequence):
                found.append(_entry_result(key64, entry))
        return {"entries": found, "latestLedger": sequence}

    def simulate_transaction(self, params: Params) -> Answered:
        """Try a transaction with one contract operation."""
        try:
            return self._simulate(params)
        except _SimulationError as refused:
            return {"error": str(refused), "latestLedger": self._latest.sequence}

    def _simulate(self, params: Params) -> Answered:
        _check_format(params)
        given64 = jsonrpc.text(params, "transaction")
        leeway = jsonrpc.u32(jsonrpc.section(params, "resourceConfig"), "instructionLeeway", 0)
        # Clients that do not ask for ADDRESS_V2 may be too old to decode it.
        upgraded = jsonrpc.flag(params, "useUpgradedAuth", default=False)
        try:
            tx = parse_envelope(from_base64(given64), self._ledger.identity.network_id)
        except ValueError:
            raise _SimulationError("Could not unmarshal transaction") from None
        if len(tx.operations) != 1:
            raise _SimulationError("Transaction contains more than one operation")
        operation = tx.operations[0]
        if not isinstance(operation, InvokeContract | ExtendTtl):
            kind = getattr(operation, "type", None)
            name = type(operation).__name__ if kind is None else kind.name
            raise _SimulationError(f"Transaction contains unsupported operation type: {name}")
        given = _authorization_entries(tx) if isinstance(operation, InvokeContract) else []
        mode = _auth_mode(params, operation, given)
        request = SimulationRequest(tx, given, mode, upgraded, leeway)
        latest, view = self._latest, self._horizon.entries
        if isinstance(operation, ExtendTtl):
            if tx.soroban is None:
                raise _SimulationError(
                    "To perform a SimulateTransaction for ExtendFootprintTtl or RestoreFootprint operations,"
                    " SorobanTransactionData must be provided"
                )
            simulation = simulate_extension(request, view, sequence=latest.sequence)
        else:
            simulation = simulate_call(
                request,
                view,
                self._ledger.rules,
                sequence=latest.sequence,
                close_time=latest.close_time,
            )
        return _simulation_answer(simulation, latest.sequence)

    def send_transaction(self, params: Params) -> Answered:
        """Take a transaction into the queue, or say why not."""
        _check_format(params)
        sent64 = jsonrpc.text(params, "transaction")
        try:
            tx = parse_envelope(from_base64(sent64), self._ledger.identity.network_id)
        except ValueError:
            raise RpcError(INVALID_PARAMS, "invalid_xdr") from None
        answer: Answered = {"status": "TRY_AGAIN_LATER"}
        if not self._horizon.refuses_transactions():
            answer = _send_answer(self._ledger.submit(tx))
        return answer | {
            "hash": tx.outer_hash.hex(),
            "latestLedger": self._latest.sequence,
            "latestLedgerCloseTime": str(self._latest.close_time),
        }

    def get_transaction(self, params: Params) -> Answered:
        """Find a transaction by its hash, a fee bump by either of its hashes."""
        _check_format(params)
        wanted = jsonrpc.text(params, "hash")
        if len(wanted) != _HASH_HEX:
            raise RpcError(INVALID_PARAMS, f"unexpected hash length ({len(wanted)})")
        try:
            # Not bytes.fromhex, which passes over spaces.
            raw = binascii.unhexlify(wanted)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, f"incorrect hash: {error}") from None
        answer: Answered = {
            "latestLedger": self._latest.sequence,
            "latestLedgerCloseTime": str(self._latest.close_time),
            "oldestLedger": self._oldest.sequence,
            "oldestLedgerCloseTime": str(self._oldest.close_time),
        }
        applied = self._ledger.by_hash.get(raw)
        if applied is None or applied.ledger > self._latest.sequence:
            return answer | {
                "status": "NOT_FOUND",
                "txHash": wanted,
                "applicationOrder": 0,
                "feeBump": False,
                "ledger": 0,
                "createdAt": "0",
                "events": {},
            }
        # The hash that was asked for, which of a fee bump may be the inner one.
        found = {"txHash": wanted, "createdAt": str(applied.close_time)}
        return answer | self.details(applied) | found

    def get_transactions(self, params: Params) -> Answered:
        """List transactions from a ledger on, page by page."""
        _check_format(params)
        page = jsonrpc.section(params, "pagination")
        limit = _limit(page, _MAX_PAGE, _DEFAULT_PAGE)
        cursor = page.get("cursor")
        start = jsonrpc.u32(params, "startLedger", 0)
        if cursor not in (None, ""):
            if start:
                raise RpcError(INVALID_REQUEST, "startLedger and cursor cannot both be set")
            start, after = _toid_parts(cursor)
        else:
            after = 0
        if not self._oldest.sequence <= start <= self._latest.sequence:
            raise RpcError(
                INVALID_REQUEST,
                "start ledger must be between the oldest ledger: "
                f"{self._oldest.sequence} and the latest ledger: {self._latest.sequence} for this rpc instance",
            )
        found: list[Answered] = []
        last = _toid(self._latest.sequence, 0, 1)
        for applied in self._applied_from(start, after):
            found.append(self.details(applied) | {"createdAt": applied.close_time})
            last = _toid(applied.ledger, applied.order, 1)
            if len(found) == limit:
                break
        return {
            "transactions": found,
            "latestLedger": self._latest.sequence,
            "latestLedgerCloseTimestamp": self._latest.close_time,
            "oldestLedger": self._oldest.sequence,
            "oldestLedgerCloseTimestamp": self._oldest.close_time,
            "cursor": str(last),
        }

    def _applied_from(self, start: int, after: int) -> Iterable[Applied]:
        for closed in self._ledger.ledgers(start, self._latest.sequence):
            for applied in closed.transactions:
                if closed.sequence > start or applied.order > after:
                    yield applied

    def details(self, applied: Applied) -> Answered:
        """Tell all about a transaction, but when it was applied."""
        tx, identity = applied.transaction, self._ledger.identity
        log = [event.to_xdr() for event in diagnostic_events(applied)]
        details: Answered = {
            "status": "SUCCESS" if applied.result.is_success else "FAILED",
            "txHash": tx.outer_hash.hex(),
            "applicationOrder": applied.order,
            "feeBump": tx.is_fee_bump,
            "envelopeXdr": base64.b64encode(tx.envelope).decode("ascii"),
            "resultXdr": applied.result.to_xdr().to_xdr(),
            "resultMetaXdr": transaction_meta(applied, identity).to_xdr(),
            "ledger": applied.ledger,
            "events": {
                "transactionEventsXdr": [event.to_xdr() for event in transaction_events(applied, identity)],
                "contractEventsXdr": [
                    [event.to_xdr().to_xdr() for event in events] for events in applied.operation_events
                ],
            },
        }
        if log:
            details["diagnosticEventsXdr"] = log
        return details

    def get_fee_stats(self, _params: Params) -> Answered:
        """Tell the inclusion fees paid lately: of Soroban and of classic transactions."""
        latest = self._latest.sequence
        parts = []
        for kind, window in enumerate(_FEE_WINDOW):
            closed = list(self._ledger.ledgers(latest - window + 1, latest))
            fees = [fee for ledger in closed for fee in ledger.inclusion_fees[kind]]
            parts.append(_distribution(fees, len(closed)))
        return {"sorobanInclusionFee": parts[0], "inclusionFee": parts[1], "latestLedger": latest}

    def get_events(self, params: Params) -> Answered:
        """List events of contracts by filters, page by page."""
        _check_format(params)
        found = query_events(params, self._ledger, self._latest)
        return found | {
            "latestLedger": self._latest.sequence,
            "oldestLedger": self._oldest.sequence,
            "latestLedgerCloseTime": str(self._latest.close_time),
            "oldestLedgerCloseTime": str(self._oldest.close_time),
        }


class _SimulationError(Exception):
    """A simulation is answered with an error inside its result."""


def _check_format(params: Params) -> None:
    if jsonrpc.text(params, "xdrFormat", "") not in ("", "base64"):
        raise RpcError(INVALID_PARAMS, "expected xdrFormat to be base64: this network does not speak json")


def _ledger_key(key64: object, position: int) -> bytes:
    if not isinstance(key64, str):
        raise RpcError(INVALID_PARAMS, "invalid parameters: keys must be strings")
    try:
        # Only keys of a real entry's length are worth remembering: what a hostile client sends is not.
        decoded = _remembered_key if len(key64) <= _REMEMBERED_CHARS else _decoded_key
        raw, kind = decoded(key64)
    except ValueError:
        raise RpcError(
            INVALID_PARAMS, f"cannot unmarshal key value {key64[:200]} at index {position}"
        ) from None
    if kind == xdr.LedgerEntryType.TTL:
        raise RpcError(INVALID_PARAMS, "ledger ttl entries cannot be queried directly")
    return raw


def _decoded_key(key64: str) -> tuple[bytes, xdr.LedgerEntryType]:
    raw = from_base64(key64)
    key = decode(xdr.LedgerKey, raw)
    if key.to_xdr_bytes() != raw:
        raise ValueError("not canonical")
    return raw, key.type


_remembered_key = lru_cache(maxsize=2 * LIVING_PAILS)(_decoded_key)


def _entry_result(key64: str, entry: Entry) -> Answered:
    result = {
        "key": key64,
        "xdr": entry.data64,
        "lastModifiedLedgerSeq": entry.modified,
        "extXdr": entry.extension64,
    }
    if entry.live_until is not None:
        result["liveUntilLedgerSeq"] = entry.live_until
    return result


def _authorization_entries(tx: Transaction) -> list[xdr.SorobanAuthorizationEntry]:
    envelope = xdr.TransactionEnvelope.from_xdr_bytes(tx.envelope)
    inner = envelope.v1
    if inner is None:
        assert envelope.fee_bump is not None
        inner = envelope.fee_bump.tx.inner_tx.v1
    assert inner is not None
    operation = inner.tx.operations[0].body.invoke_host_function_op
    assert operation is not None
    return operation.auth


def _auth_mode(
    params: Params, operation: InvokeContract | ExtendTtl, given: list[xdr.SorobanAuthorizationEntry]
) -> str:
    mode = jsonrpc.text(params, "authMode", "") if params.get("authMode") is not None else ""
    if mode not in _AUTH_MODES:
        names = ",".join(_AUTH_MODES[1:])
        raise _SimulationError(f"optional 'authMode' must be one of {names} when included")
    if isinstance(operation, ExtendTtl):
        if mode:
            raise _SimulationError("cannot set authMode with non-InvokeHostFunction operations")
        return mode
    if given and mode.startswith("record"):
        raise _SimulationError(f"cannot set authMode to '{mode}' with an auth footprint")
    return mode or ("enforce" if given else "record")


def _simulation_answer(simulation: Simulation, latest: int) -> Answered:
    events = [event.to_xdr(successful=not simulation.error).to_xdr() for event in simulation.diagnostics]
    answer: Answered = {"latestLedger": latest}
    if events:
        answer["events"] = events
    if simulation.error:
        return answer | {"error": simulation.error}
    assert simulation.data is not None
    answer["transactionData"] = simulation.data.to_xdr()
    answer["minResourceFee"] = str(simulation.data.resource_fee.int64)
    if simulation.return_value is not None:
        auth = [entry.to_xdr() for entry in simulation.authorizations]
        answer["results"] = [{"auth": auth, "xdr": simulation.return_value.to_xdr()}]
    answer["stateChanges"] = [_state_change(before, after) for before, after in simulation.changes]
    return answer


def _state_change(before: Entry | None, after: Entry | None) -> Answered:
    known = before or after
    assert known is not None
    kind = "created" if before is None else "deleted" if after is None else "updated"
    return {
        "type": kind,
        "key": base64.b64encode(known.key).decode("ascii"),
        "before": None if before is None else before.to_xdr().to_xdr(),
        "after": None if after is None else after.to_xdr().to_xdr(),
    }


def _send_answer(answer: Answer) -> Answered:
    if answer.result is None:
        return {"status": answer.status}
    return {"status": answer.status, "errorResultXdr": answer.result.to_xdr().to_xdr()}


def _limit(page: Params, most: int, default: int) -> int:
    limit = jsonrpc.u32(page, "limit", 0) or default
    if limit > most:
        raise RpcError(INVALID_REQUEST, f"limit must not exceed {most}")
    return limit


def _toid(ledger: int, order: int, operation: int) -> int:
    return ledger << 32 | order << 12 | operation


def _toid_parts(cursor: object) -> tuple[int, int]:
    if not isinstance(cursor, str) or not cursor.isascii() or not cursor.isdigit() or len(cursor) > 19:  # noqa: PLR2004
        raise RpcError(INVALID_PARAMS, "invalid parameters: cursor must be a number in a string")
    number = int(cursor)
    return number >> 32, number >> 12 & 0xFFFFF


def _distribution(fees: list[int], ledgers: int) -> Answered:
    ordered = sorted(fees)
    result: Answered = {
        "max": str(ordered[-1] if ordered else 0),
        "min": str(ordered[0] if ordered else 0),
        "mode": str(Counter(ordered).most_common(1)[0][0] if ordered else 0),
    }
    for percent in _PERCENTILES:
        # Nearest rank, as nodes compute it.
        rank = -(-len(ordered) * percent // 100)
        result[f"p{percent}"] = str(ordered[max(rank, 1) - 1] if ordered else 0)
    return result | {"transactionCount": str(len(ordered)), "ledgerCount": ledgers}
