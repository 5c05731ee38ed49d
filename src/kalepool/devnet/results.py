"""Outcomes of operations and transactions, and their XDR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.devnet import transactions as tx

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import IntEnum

TxCode = xdr.TransactionResultCode
OpCode = xdr.OperationResultCode

_TYPES: dict[type[tx.Operation], xdr.OperationType] = {
    tx.CreateAccount: xdr.OperationType.CREATE_ACCOUNT,
    tx.Payment: xdr.OperationType.PAYMENT,
    tx.ChangeTrust: xdr.OperationType.CHANGE_TRUST,
    tx.BeginSponsoring: xdr.OperationType.BEGIN_SPONSORING_FUTURE_RESERVES,
    tx.EndSponsoring: xdr.OperationType.END_SPONSORING_FUTURE_RESERVES,
    tx.AccountMerge: xdr.OperationType.ACCOUNT_MERGE,
    tx.BumpSequence: xdr.OperationType.BUMP_SEQUENCE,
    tx.InvokeContract: xdr.OperationType.INVOKE_HOST_FUNCTION,
    tx.ExtendTtl: xdr.OperationType.EXTEND_FOOTPRINT_TTL,
}
# The field of OperationResultTr, its class and its codes, for each kind of operation.
_ARMS: dict[xdr.OperationType, tuple[str, type, type[IntEnum]]] = {
    xdr.OperationType.CREATE_ACCOUNT: (
        "create_account_result",
        xdr.CreateAccountResult,
        xdr.CreateAccountResultCode,
    ),
    xdr.OperationType.PAYMENT: ("payment_result", xdr.PaymentResult, xdr.PaymentResultCode),
    xdr.OperationType.CHANGE_TRUST: (
        "change_trust_result",
        xdr.ChangeTrustResult,
        xdr.ChangeTrustResultCode,
    ),
    xdr.OperationType.BEGIN_SPONSORING_FUTURE_RESERVES: (
        "begin_sponsoring_future_reserves_result",
        xdr.BeginSponsoringFutureReservesResult,
        xdr.BeginSponsoringFutureReservesResultCode,
    ),
    xdr.OperationType.END_SPONSORING_FUTURE_RESERVES: (
        "end_sponsoring_future_reserves_result",
        xdr.EndSponsoringFutureReservesResult,
        xdr.EndSponsoringFutureReservesResultCode,
    ),
    xdr.OperationType.ACCOUNT_MERGE: (
        "account_merge_result",
        xdr.AccountMergeResult,
        xdr.AccountMergeResultCode,
    ),
    xdr.OperationType.BUMP_SEQUENCE: (
        "bump_seq_result",
        xdr.BumpSequenceResult,
        xdr.BumpSequenceResultCode,
    ),
    xdr.OperationType.INVOKE_HOST_FUNCTION: (
        "invoke_host_function_result",
        xdr.InvokeHostFunctionResult,
        xdr.InvokeHostFunctionResultCode,
    ),
    xdr.OperationType.EXTEND_FOOTPRINT_TTL: (
        "extend_footprint_ttl_result",
        xdr.ExtendFootprintTTLResult,
        xdr.ExtendFootprintTTLResultCode,
    ),
}


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How one operation ended.

    Attributes:
        operation: the operation, for its kind.
        code: the kind's own result code, or an ``OpCode`` where it was not even tried.
        payload: XLM moved by a merge, or what gives the hash that a successful invocation reports.
    """

    operation: tx.Operation
    code: IntEnum
    payload: int | Callable[[], bytes] | None = None

    @property
    def is_success(self) -> bool:
        """Whether it did what it says."""
        return not isinstance(self.code, OpCode) and self.code.value == 0

    @classmethod
    def untried(cls, operation: tx.Operation) -> OperationResult:
        """Give what stands for an operation that is in order, in a transaction refused for another one."""
        if type(operation) not in _TYPES:
            return cls(operation, OpCode.opNOT_SUPPORTED)
        codes = _ARMS[_TYPES[type(operation)]][2]
        payload: int | Callable[[], bytes] | None = None
        if isinstance(operation, tx.AccountMerge):
            payload = 0
        elif isinstance(operation, tx.InvokeContract):
            payload = bytes(32).__bytes__
        return cls(operation, codes(0), payload)

    def to_xdr(self) -> xdr.OperationResult:
        """Give the OperationResult."""
        if isinstance(self.code, OpCode):
            return xdr.OperationResult(self.code)
        kind = _TYPES[type(self.operation)]
        field, arm, _ = _ARMS[kind]
        if callable(self.payload):
            inner = arm(self.code, success=xdr.Hash(self.payload()))
        elif isinstance(self.payload, int):
            inner = arm(self.code, source_account_balance=xdr.Int64(self.payload))
        else:
            inner = arm(self.code)
        return xdr.OperationResult(OpCode.opINNER, xdr.OperationResultTr(kind, **{field: inner}))


@dataclass(frozen=True, slots=True)
class TransactionResult:
    """How a transaction ended.

    Attributes:
        code: txSUCCESS, txFAILED or why it was refused; of the inner transaction for a fee bump.
        fee_charged: stroops taken in the end.
        operations: results, for txSUCCESS and txFAILED.
        inner_hash: of the inner transaction, for a fee bump whose envelope itself was in order.
    """

    code: TxCode
    fee_charged: int = 0
    operations: tuple[OperationResult, ...] = ()
    inner_hash: bytes | None = None

    @property
    def is_success(self) -> bool:
        """Whether every operation succeeded."""
        return self.code == TxCode.txSUCCESS

    def to_xdr(self) -> xdr.TransactionResult:
        """Give the TransactionResult."""
        results = None
        if self.code in (TxCode.txSUCCESS, TxCode.txFAILED):
            results = [operation.to_xdr() for operation in self.operations]
        if self.inner_hash is None:
            body = xdr.TransactionResultResult(self.code, results=results)
        else:
            inner = xdr.InnerTransactionResult(
                xdr.Int64(0),
                xdr.InnerTransactionResultResult(self.code, results=results),
                xdr.InnerTransactionResultExt(0),
            )
            outer = TxCode.txFEE_BUMP_INNER_SUCCESS if self.is_success else TxCode.txFEE_BUMP_INNER_FAILED
            pair = xdr.InnerTransactionResultPair(xdr.Hash(self.inner_hash), inner)
            body = xdr.TransactionResultResult(outer, inner_result_pair=pair)
        return xdr.TransactionResult(xdr.Int64(self.fee_charged), body, xdr.TransactionResultExt(0))
