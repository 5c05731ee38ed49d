"""Whether a transaction may be taken, in the order in which stellar-core asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.devnet.classic import malformed
from kalepool.devnet.fees import BASE_FEE, is_classic_key, non_refundable_fee
from kalepool.devnet.results import OpCode, OperationResult, TransactionResult, TxCode
from kalepool.xdr.keys import account_key

if TYPE_CHECKING:
    from kalepool.devnet.entries import Account
    from kalepool.devnet.state import Layer
    from kalepool.devnet.transactions import Operation, SorobanData, Transaction


@dataclass(frozen=True, slots=True)
class Limits:
    """What fits into a ledger and into a transaction: the public network's settings of 2026.

    Attributes:
        transactions: Soroban transactions a ledger.
        instructions: of all Soroban transactions of a ledger, which run one after another.
        write_entries: entries written a ledger.
        write_bytes: bytes written a ledger.
        operations: classic operations a ledger.
        tx_instructions: instructions a transaction; ``tx_`` likewise for the others.
    """

    transactions: int = 2_000
    instructions: int = 580_000_000
    write_entries: int = 1_000
    write_bytes: int = 286_720
    operations: int = 1_000
    tx_instructions: int = 400_000_000
    tx_disk_read_entries: int = 200
    tx_disk_read_bytes: int = 200_000
    tx_write_entries: int = 200
    tx_write_bytes: int = 132_096
    tx_footprint_entries: int = 400
    tx_bytes: int = 132_096


def check(
    tx: Transaction, layer: Layer, limits: Limits, *, close_time: int, for_apply: bool
) -> TransactionResult | None:
    """Judge a transaction; None where it may go on.

    Args:
        tx: the transaction.
        layer: the ledger it would be part of; its sequence is that ledger's.
        limits: of the network.
        close_time: what time bounds are held against: the last closed ledger's when a transaction
            arrives, its own ledger's when it is applied.
        for_apply: fees have been taken already.
    """
    if tx.is_fee_bump and not for_apply:
        code = _check_fee_bump(tx, layer)
        if code is not None:
            return TransactionResult(code, _fee_asked(tx, code))
    result = _check_inner(tx, layer, limits, close_time, for_apply=for_apply)
    if result is None or not tx.is_fee_bump:
        return result
    return TransactionResult(result.code, 0, result.operations, tx.hash)


def _fee_asked(tx: Transaction, code: TxCode) -> int:
    # A refusal for its fee tells the fee that would have done.
    if code != TxCode.txINSUFFICIENT_FEE:
        return 0
    return BASE_FEE * tx.fee_operations + (tx.soroban.resource_fee if tx.soroban else 0)


def _check_fee_bump(tx: Transaction, layer: Layer) -> TxCode | None:
    if tx.inclusion_bid < BASE_FEE * tx.fee_operations or _bids_less_than_inner(tx):
        return TxCode.txINSUFFICIENT_FEE
    payer = layer.account(account_key(tx.fee_source))
    if payer is None:
        return TxCode.txNO_ACCOUNT
    used = tx.signed_by(tx.fee_source, tx.outer_hash, tx.outer_signatures)
    if not used:
        return TxCode.txBAD_AUTH
    if payer.spendable < tx.fee:
        return TxCode.txINSUFFICIENT_BALANCE
    return TxCode.txBAD_AUTH_EXTRA if len(used) < len(tx.outer_signatures) else None


def _bids_less_than_inner(tx: Transaction) -> bool:
    """Tell whether the fee bump pays a lower rate than the transaction inside already does."""
    resource_fee = tx.soroban.resource_fee if tx.soroban else 0
    inner_bid, inner_operations = tx.inner_fee - resource_fee, max(len(tx.operations), 1)
    return tx.inclusion_bid * inner_operations < inner_bid * tx.fee_operations


def _check_inner(  # noqa: C901 - a table of checks in core's order
    tx: Transaction, layer: Layer, limits: Limits, close_time: int, *, for_apply: bool
) -> TransactionResult | None:
    pays_itself = not tx.is_fee_bump and not for_apply
    code = _check_shape(tx, limits) or _check_time(tx, layer.sequence, close_time)
    if code is None and pays_itself and tx.inclusion_bid < BASE_FEE * tx.fee_operations:
        return TransactionResult(TxCode.txINSUFFICIENT_FEE, _fee_asked(tx, TxCode.txINSUFFICIENT_FEE))
    if code is not None:
        return TransactionResult(code)
    account = layer.account(account_key(tx.source))
    if account is None:
        return TransactionResult(TxCode.txNO_ACCOUNT)
    code = _check_sequence(tx, account, layer.sequence, close_time)
    if code is not None:
        return TransactionResult(code)
    if tx.when.has_extra_signers:
        return TransactionResult(TxCode.txBAD_AUTH)
    used = tx.signed_by(tx.source, tx.hash, tx.signatures)
    if not used:
        return TransactionResult(TxCode.txBAD_AUTH)
    if pays_itself and account.spendable < tx.fee:
        return TransactionResult(TxCode.txINSUFFICIENT_BALANCE)
    results = []
    for operation in tx.operations:
        result, mine = _check_operation(tx, operation.source or tx.source, operation)
        results.append(result)
        used |= mine
    if any(result is not None for result in results):
        given = (
            OperationResult.untried(operation) if result is None else result
            for operation, result in zip(tx.operations, results, strict=True)
        )
        return TransactionResult(TxCode.txFAILED, 0, tuple(given))
    if len(used) < len(tx.signatures):
        return TransactionResult(TxCode.txBAD_AUTH_EXTRA)
    return None


def _check_shape(tx: Transaction, limits: Limits) -> TxCode | None:
    if not tx.operations:
        return TxCode.txMISSING_OPERATION
    if tx.is_soroban != (tx.soroban is not None) or (tx.is_soroban and len(tx.operations) > 1):
        return TxCode.txMALFORMED
    if tx.soroban is not None and not _resources_fit(tx, tx.soroban, limits):
        return TxCode.txSOROBAN_INVALID
    return None


def _resources_fit(tx: Transaction, data: SorobanData, limits: Limits) -> bool:
    keys = data.read_only + data.read_write
    return (
        data.instructions <= limits.tx_instructions
        and data.disk_read_bytes <= limits.tx_disk_read_bytes
        and data.write_bytes <= limits.tx_write_bytes
        and len(data.read_write) <= limits.tx_write_entries
        and len(keys) <= limits.tx_footprint_entries
        and sum(map(is_classic_key, keys)) <= limits.tx_disk_read_entries
        and tx.size <= limits.tx_bytes
        and len(set(keys)) == len(keys)
        and data.resource_fee >= non_refundable_fee(data, tx.size)
    )


def _check_time(tx: Transaction, sequence: int, close_time: int) -> TxCode | None:
    when = tx.when
    if when.min_time > close_time or when.min_ledger > sequence:
        return TxCode.txTOO_EARLY
    if (when.max_time and when.max_time < close_time) or (when.max_ledger and when.max_ledger <= sequence):
        return TxCode.txTOO_LATE
    return None


def _check_sequence(tx: Transaction, account: Account, sequence: int, close_time: int) -> TxCode | None:
    if tx.when.min_sequence is None:
        if account.sequence != tx.sequence - 1:
            return TxCode.txBAD_SEQ
    elif not tx.when.min_sequence <= account.sequence < tx.sequence:
        return TxCode.txBAD_SEQ
    if (
        close_time - account.sequence_time < tx.when.min_sequence_age
        or sequence - account.sequence_ledger < tx.when.min_sequence_gap
    ):
        return TxCode.txBAD_MIN_SEQ_AGE_OR_GAP
    return None


def _check_operation(
    tx: Transaction, source: str, operation: Operation
) -> tuple[OperationResult | None, set[int]]:
    mine = tx.signed_by(source, tx.hash, tx.signatures)
    if not mine:
        return OperationResult(operation, OpCode.opBAD_AUTH), mine
    return malformed(operation, source), mine
