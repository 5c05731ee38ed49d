"""What became of a transaction: getTransaction's answer, taken apart and held against the hash."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from stellar_sdk import xdr

from kalepool.adapters.stellar.answers import MAX_I64
from kalepool.core.chain import AssetMove, Found, Status, Tip
from kalepool.xdr.decode import decode_base64
from kalepool.xdr.farm import pail_from_scval
from kalepool.xdr.keys import address_of_sc_address, pail_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.stellar.answers import Answer
    from kalepool.adapters.stellar.network import Network
    from kalepool.core.farm import Pail

MOVES: Final = frozenset({"mint", "burn", "transfer"})
"""What an asset's contract tells when it moves money."""
_META_VERSION: Final = 4
_CODES: Final = xdr.TransactionResultCode


def read_outcome(answer: Answer, wanted: str, network: Network) -> Found:
    """Read the answer about the transaction with this inner or outer hash.

    Raises:
        RetryableError: when the answer is not to be believed: it tells of another transaction, or
            its parts contradict each other.
    """
    tip = Tip(
        node=answer.node,
        ledger=answer.number("latestLedger"),
        close_time=answer.number("latestLedgerCloseTime", MAX_I64),
        oldest_ledger=answer.number("oldestLedger"),
    )
    status = answer.text("status")
    if status == "NOT_FOUND":
        return Found(Status.NOT_FOUND, tip)
    if status not in ("SUCCESS", "FAILED"):
        raise answer.wrong(f"has the unknown status {status}")
    ledger = answer.number("ledger")
    if not 0 < ledger <= tip.ledger:
        raise answer.wrong("has a ledger that is not closed yet")
    envelope = answer.xdr(xdr.TransactionEnvelope, "envelopeXdr")
    result = answer.xdr(xdr.TransactionResult, "resultXdr")
    meta = answer.xdr(xdr.TransactionMeta, "resultMetaXdr")
    with answer.reading("transaction"):
        outer_hash = _check_hash(envelope, wanted, network)
        code, operations = result_codes(result)
        succeeded = code == _CODES.txSUCCESS.name
        if succeeded != (status == "SUCCESS"):
            raise ValueError("status and result differ")
        if meta.v4 is None:
            raise ValueError(f"meta of version {meta.v}, not {_META_VERSION}")
        if result.fee_charged.int64 < 0:
            raise ValueError("a negative fee")
        log = meta.v4.diagnostic_events or [
            decode_base64(xdr.DiagnosticEvent, text) for text in answer.texts("diagnosticEventsXdr")
        ]
        harvests = _harvests(envelope, network)
        return Found(
            status=Status.SUCCESS if succeeded else Status.FAILED,
            tip=tip,
            ledger=ledger,
            closed_at=answer.number("createdAt", MAX_I64),
            fee_charged=result.fee_charged.int64,
            code=code,
            operation_codes=operations,
            contract_error=None if succeeded else kale_error(log, _called(envelope), network.kale),
            harvests=harvests,
            ended=_ended(harvests, meta.v4, network.kale),
            outer_hash=outer_hash,
            moves=_moves(meta.v4, network.asset_contract) if succeeded else (),
            return_value=_return_value(meta.v4) if succeeded else None,
        )


def result_codes(result: xdr.TransactionResult) -> tuple[str, tuple[str, ...]]:
    """Name a result's code and those of its operations; of the inner one where it is a fee bump's."""
    pair = result.result.inner_result_pair
    if pair is not None:
        code, operations = pair.result.result.code, pair.result.result.results
    else:
        code, operations = result.result.code, result.result.results
    return code.name, tuple(_operation_code(operation) for operation in operations or ())


def kale_error(log: Sequence[xdr.DiagnosticEvent], called: str | None, kale: str) -> int | None:
    """Give the number of the KALE contract's error that ended a call, or None where it was not KALE's.

    The asset's contract has the same numbers, and its errors pass through KALE on their way out: the
    first error in the log is where it began. A tractor goes on after KALE's errors, so what ended a
    call of a tractor is never KALE's.
    """
    if called != kale:
        return None
    for line in log:
        body = line.event.body.v0
        if body is None or len(body.topics) < 2 or symbol_of(body.topics[0]) != "error":  # noqa: PLR2004
            continue
        error, contract = body.topics[1].error, line.event.contract_id
        if error is None or error.contract_code is None or contract is None:
            return None
        owner = xdr.SCAddress(xdr.SCAddressType.SC_ADDRESS_TYPE_CONTRACT, contract_id=contract)
        return error.contract_code.uint32 if address_of_sc_address(owner) == kale else None
    return None


def _check_hash(envelope: xdr.TransactionEnvelope, wanted: str, network: Network) -> str:
    """Insist that an envelope is the one asked for; give its outer hash."""
    if envelope.fee_bump is not None:
        outer = _hash(
            network, xdr.EnvelopeType.ENVELOPE_TYPE_TX_FEE_BUMP, envelope.fee_bump.tx.to_xdr_bytes()
        )
        inner_envelope = envelope.fee_bump.tx.inner_tx.v1
    else:
        outer, inner_envelope = "", envelope.v1
    if inner_envelope is None:
        raise ValueError("an envelope of an old version")
    inner = _hash(network, xdr.EnvelopeType.ENVELOPE_TYPE_TX, inner_envelope.tx.to_xdr_bytes())
    if wanted not in (inner, outer):
        raise ValueError("another transaction than was asked for")
    return outer or inner


def _hash(network: Network, kind: xdr.EnvelopeType, body: bytes) -> str:
    return hashlib.sha256(network.network_id + kind.value.to_bytes(4, "big") + body).hexdigest()


def _call(envelope: xdr.TransactionEnvelope) -> xdr.InvokeContractArgs | None:
    """Give what an envelope's operation calls, or None where it calls no contract."""
    inner = envelope.v1 if envelope.fee_bump is None else envelope.fee_bump.tx.inner_tx.v1
    if inner is None or not inner.tx.operations:
        return None
    operation = inner.tx.operations[0].body.invoke_host_function_op
    return None if operation is None else operation.host_function.invoke_contract


def _called(envelope: xdr.TransactionEnvelope) -> str | None:
    """Give the contract that an envelope's operation calls, or None where it calls none."""
    call = _call(envelope)
    return None if call is None else address_of_sc_address(call.contract_address)


def _harvests(envelope: xdr.TransactionEnvelope, network: Network) -> tuple[tuple[str, int], ...]:
    """Give the pails that a call of KALE's or the tractor's ``harvest`` is about; none of any other call."""
    call = _call(envelope)
    if (
        call is None
        or call.function_name.sc_symbol != b"harvest"
        or address_of_sc_address(call.contract_address) not in (network.kale, network.tractor)
        or len(call.args) != 2  # noqa: PLR2004 - the farmer, and one block or many
        or call.args[0].address is None
    ):
        return ()
    farmer, wanted = address_of_sc_address(call.args[0].address), call.args[1]
    blocks = [wanted] if wanted.vec is None else wanted.vec.sc_vec
    return tuple((farmer, block.u32.uint32) for block in blocks if block.u32 is not None)


def _ended(
    harvests: Sequence[tuple[str, int]], meta: xdr.TransactionMetaV4, kale: str
) -> dict[tuple[str, int], Pail]:
    """Give the pails among some that a transaction's changes remove, as they were until then."""
    wanted = {pail_key(kale, *pail): pail for pail in harvests}
    before: dict[bytes, xdr.ContractDataEntry] = {}
    ended = {}
    for operation in meta.operations if wanted else ():
        for change in operation.changes.ledger_entry_changes:
            data = None if change.state is None else change.state.data.contract_data
            if data is not None:
                key = xdr.LedgerKeyContractData(data.contract, data.key, data.durability)
                before[_key_of(key)] = data
            elif change.removed is not None and change.removed.contract_data is not None:
                key_bytes = _key_of(change.removed.contract_data)
                if key_bytes in wanted and key_bytes in before:
                    ended[wanted[key_bytes]] = pail_from_scval(before[key_bytes].val)
    return ended


def _key_of(data: xdr.LedgerKeyContractData) -> bytes:
    return xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=data).to_xdr_bytes()


def _operation_code(operation: xdr.OperationResult) -> str:
    if operation.tr is None:
        return operation.code.name
    arms = (value for name, value in vars(operation.tr).items() if name != "type" and value is not None)
    code = getattr(next(arms, None), "code", None)
    return code.name if code is not None else operation.code.name


def _moves(meta: xdr.TransactionMetaV4, asset_contract: str) -> tuple[AssetMove, ...]:
    moves = []
    for operation in meta.operations:
        for event in operation.events:
            contract, body = event.contract_id, event.body.v0
            if contract is None or body is None or not body.topics:
                continue
            owner = xdr.SCAddress(xdr.SCAddressType.SC_ADDRESS_TYPE_CONTRACT, contract_id=contract)
            kind = symbol_of(body.topics[0])
            if address_of_sc_address(owner) == asset_contract and kind in MOVES:
                parties = [topic.address for topic in body.topics if topic.address is not None]
                moves.append(
                    AssetMove(kind, tuple(map(address_of_sc_address, parties)), amount_of(body.data))
                )
    return tuple(moves)


def amount_of(data: xdr.SCVal) -> int:
    """Read what an asset event carries: an amount, or a map of amount and memo.

    Raises:
        ValueError: when it is neither.
    """
    if data.map is not None:
        named = {symbol_of(entry.key): entry.val for entry in data.map.sc_map}
        data = named.get("amount", data)
    if data.i128 is None:
        raise ValueError("an asset event without an amount")
    return (data.i128.hi.int64 << 64) + data.i128.lo.uint64


def symbol_of(value: xdr.SCVal) -> str:
    """Read a symbol; empty where it is something else."""
    return "" if value.sym is None else value.sym.sc_symbol.decode("ascii", "replace")


def _return_value(meta: xdr.TransactionMetaV4) -> bytes | None:
    soroban = meta.soroban_meta
    return None if soroban is None or soroban.return_value is None else soroban.return_value.to_xdr_bytes()
