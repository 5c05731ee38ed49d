"""Applying a transaction to a ledger: fee, sequence number, operations, refund."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.devnet.auth import EnforcingAuthorizer
from kalepool.devnet.classic import ClassicContext, apply_classic
from kalepool.devnet.entries import Account
from kalepool.devnet.fees import FeeParts, disk_read_bytes, events_fee, non_refundable_fee, rent_fee
from kalepool.devnet.host import MAX_TTL, DeclaredFootprint, Host, HostError
from kalepool.devnet.results import OperationResult, TransactionResult, TxCode
from kalepool.devnet.transactions import ExtendTtl, InvokeContract
from kalepool.devnet.validity import Limits, check
from kalepool.xdr.keys import account_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalepool.devnet.entries import Entry
    from kalepool.devnet.events import AssetEvent, Diagnostic
    from kalepool.devnet.host import ContractFunction
    from kalepool.devnet.network import Identity
    from kalepool.devnet.state import Layer
    from kalepool.devnet.transactions import SorobanData, Transaction

Change = tuple["Entry | None", "Entry | None"]

_Invoke = xdr.InvokeHostFunctionResultCode
_Extend = xdr.ExtendFootprintTTLResultCode


@dataclass(frozen=True)
class Rules:
    """What execution on one network goes by.

    Attributes:
        identity: the network's ids.
        contracts: functions by contract and name.
        limits: of ledgers and transactions.
        temporary_ttl: ledgers that a new temporary entry lives.
    """

    identity: Identity
    contracts: Mapping[str, Mapping[str, ContractFunction]]
    limits: Limits
    temporary_ttl: int


@dataclass(slots=True)
class Applied:
    """A transaction in a closed ledger, with what its meta is built from.

    Attributes:
        transaction: what was applied.
        ledger: sequence of the ledger.
        close_time: of that ledger.
        order: its place in the ledger, from 1.
        result: how it ended.
        sequence_changes: changes before the operations: the sequence number.
        operation_changes: changes of each operation that succeeded.
        operation_events: asset events of each operation.
        return_value: of an invocation that succeeded.
        fees: how the resource fee divides, for a Soroban transaction.
        fee_taken: stroops taken before anything ran.
        refund: stroops given back after everything ran.
        diagnostics: the host's log.
    """

    transaction: Transaction
    ledger: int
    close_time: int
    order: int
    result: TransactionResult
    fee_taken: int
    sequence_changes: list[Change] = field(default_factory=list)
    operation_changes: list[list[Change]] = field(default_factory=list)
    operation_events: list[list[AssetEvent]] = field(default_factory=list)
    return_value: xdr.SCVal | None = None
    fees: FeeParts | None = None
    refund: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)


def take_fee(tx: Transaction, layer: Layer, inclusion: int) -> int:
    """Take inclusion and resource fee from who pays, for whom the queue vouches; give the stroops taken."""
    key = account_key(tx.fee_source)
    account = layer.account(key)
    assert account is not None, "fees are taken before any operation could merge an account away"
    fee = inclusion + (tx.soroban.resource_fee if tx.soroban else 0)
    layer.put(key, replace(account, balance=account.balance - fee))
    return fee


def give_refund(applied: Applied, layer: Layer) -> None:
    """Give back what a Soroban transaction did not use of its refundable fee."""
    tx = applied.transaction
    if tx.soroban is None or applied.fees is None:
        return
    refundable = tx.soroban.resource_fee - applied.fees.non_refundable
    refund = refundable - applied.fees.refundable
    key = account_key(tx.fee_source)
    account = layer.account(key)
    if refund <= 0 or account is None:  # merged away in this very ledger: nobody to give it to
        return
    layer.put(key, replace(account, balance=account.balance + refund))
    applied.refund = refund
    applied.result = replace(applied.result, fee_charged=applied.result.fee_charged - refund)


def apply(
    tx: Transaction, layer: Layer, rules: Rules, *, close_time: int, order: int, fee_taken: int
) -> Applied:
    """Apply a transaction whose fee has been taken.

    Args:
        tx: the transaction.
        layer: the ledger it is part of.
        rules: of the network.
        close_time: of the ledger.
        order: its place, from 1.
        fee_taken: stroops taken for it.
    """
    applied = Applied(tx, layer.sequence, close_time, order, TransactionResult(TxCode.txSUCCESS), fee_taken)
    if tx.soroban is not None:
        applied.fees = FeeParts(non_refundable_fee(tx.soroban, tx.size))
    refusal = check(tx, layer, rules.limits, close_time=close_time, for_apply=True)
    if refusal is not None and refusal.code != TxCode.txFAILED:
        applied.result = replace(refusal, fee_charged=fee_taken)
        return applied
    _take_sequence(tx, layer, close_time, applied)
    if refusal is not None:
        applied.result = replace(refusal, fee_charged=fee_taken)
        return applied
    operations = layer.layer()
    code, results = _run(tx, operations, rules, applied)
    if code == TxCode.txSUCCESS:
        operations.keep()
    else:
        applied.operation_changes.clear()
        applied.operation_events.clear()
        applied.return_value = None
        if applied.fees is not None:
            # What a failed transaction did is undone, so only what it declared is paid for.
            applied.fees = FeeParts(applied.fees.non_refundable)
    applied.result = TransactionResult(code, fee_taken, tuple(results), tx.hash if tx.is_fee_bump else None)
    return applied


def _take_sequence(tx: Transaction, layer: Layer, close_time: int, applied: Applied) -> None:
    key = account_key(tx.source)
    before = layer.get(key)
    assert before is not None
    assert isinstance(before.value, Account)
    account = replace(
        before.value, sequence=tx.sequence, sequence_ledger=layer.sequence, sequence_time=close_time
    )
    applied.sequence_changes.append((before, layer.put(key, account)))


def _run(
    tx: Transaction, layer: Layer, rules: Rules, applied: Applied
) -> tuple[TxCode, list[OperationResult]]:
    if tx.soroban is not None:
        result = _run_soroban(tx, tx.soroban, layer, rules, applied)
        return (TxCode.txSUCCESS if result.is_success else TxCode.txFAILED), [result]
    context = ClassicContext(layer, rules.identity, applied.close_time, tx.memo)
    results = []
    for operation in tx.operations:
        context.layer, context.events = layer.layer(), []
        result = apply_classic(context, operation, operation.source or tx.source)
        results.append(result)
        if result.is_success:
            applied.operation_changes.append(context.layer.difference())
            applied.operation_events.append(context.events)
            context.layer.keep()
    if not all(result.is_success for result in results):
        return TxCode.txFAILED, results
    if context.sponsors:
        return TxCode.txBAD_SPONSORSHIP, []
    return TxCode.txSUCCESS, results


def _run_soroban(
    tx: Transaction, data: SorobanData, layer: Layer, rules: Rules, applied: Applied
) -> OperationResult:
    operation = tx.operations[0]
    touched = (layer.get(key) for key in data.read_only + data.read_write)
    too_much_read = disk_read_bytes(entry for entry in touched if entry is not None) > data.disk_read_bytes
    top = layer.layer()
    if isinstance(operation, ExtendTtl):
        return _extend(operation, data, top, applied, too_much_read=too_much_read)
    assert isinstance(operation, InvokeContract)
    if too_much_read:
        return OperationResult(operation, _Invoke.INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED)
    source = operation.source or tx.source
    host = Host(
        top,
        rules.identity,
        rules.contracts,
        DeclaredFootprint(data.read_only, data.read_write),
        EnforcingAuthorizer(operation.authorizations, source),
        close_time=applied.close_time,
        temporary_ttl=rules.temporary_ttl,
        max_instructions=data.instructions,
    )
    applied.diagnostics = host.diagnostics
    try:
        value = host.call(operation.contract, operation.function, operation.arguments)
    except HostError:
        if host.instructions > data.instructions:
            return OperationResult(operation, _Invoke.INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED)
        return OperationResult(operation, _Invoke.INVOKE_HOST_FUNCTION_TRAPPED)
    changes = top.difference()
    if host.instructions > data.instructions or written_bytes(changes) > data.write_bytes:
        return OperationResult(operation, _Invoke.INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED)
    if not _pay_for_use(applied, data, rent_fee(changes, top.sequence), output_bytes(host.events, value)):
        return OperationResult(operation, _Invoke.INVOKE_HOST_FUNCTION_INSUFFICIENT_REFUNDABLE_FEE)
    top.keep()
    applied.operation_changes.append(changes)
    applied.operation_events.append(host.events)
    applied.return_value = value

    def success_hash() -> bytes:
        preimage = xdr.InvokeHostFunctionSuccessPreImage(value, [event.to_xdr() for event in host.events])
        return hashlib.sha256(preimage.to_xdr_bytes()).digest()

    return OperationResult(operation, _Invoke.INVOKE_HOST_FUNCTION_SUCCESS, success_hash)


def _extend(
    operation: ExtendTtl,
    data: SorobanData,
    layer: Layer,
    applied: Applied,
    *,
    too_much_read: bool,
) -> OperationResult:
    if operation.extend_to > MAX_TTL - 1 or data.read_write:
        return OperationResult(operation, _Extend.EXTEND_FOOTPRINT_TTL_MALFORMED)
    if too_much_read:
        return OperationResult(operation, _Extend.EXTEND_FOOTPRINT_TTL_RESOURCE_LIMIT_EXCEEDED)
    extend_entries(data.read_only, operation.extend_to, layer)
    changes = layer.difference()
    if not _pay_for_use(applied, data, rent_fee(changes, layer.sequence), 0):
        return OperationResult(operation, _Extend.EXTEND_FOOTPRINT_TTL_INSUFFICIENT_REFUNDABLE_FEE)
    layer.keep()
    applied.operation_changes.append(changes)
    applied.operation_events.append([])
    return OperationResult(operation, _Extend.EXTEND_FOOTPRINT_TTL_SUCCESS)


def extend_entries(keys: Sequence[bytes], extend_to: int, layer: Layer) -> None:
    """Make contract entries live at least so many ledgers from now; those gone or classic are passed over."""
    end = layer.sequence + extend_to
    for key in keys:
        entry = layer.get(key)
        if entry is not None and entry.live_until is not None and entry.live_until < end:
            layer.put_entry(entry.extended(end))


def _pay_for_use(applied: Applied, data: SorobanData, rent: int, output: int) -> bool:
    """Charge rent and events; False where the refundable fee does not cover them."""
    assert applied.fees is not None
    applied.fees = FeeParts(applied.fees.non_refundable, rent, events_fee(output))
    return applied.fees.refundable <= data.resource_fee - applied.fees.non_refundable


def written_bytes(changes: Sequence[Change]) -> int:
    """Give the bytes of entries written; a longer life alone writes none of them."""
    return sum(
        after.size
        for before, after in changes
        if after is not None and (before is None or before.value is not after.value)
    )


def output_bytes(events: Sequence[AssetEvent], value: xdr.SCVal) -> int:
    """Give the bytes of events and return value."""
    return sum(event.size for event in events) + len(value.to_xdr_bytes())
