"""Operations without contracts: sponsored accounts, payments, leaving. Amounts are stroops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stellar_sdk import xdr

from kalepool.adapters.stellar.envelopes import MAX_OPERATIONS, operation
from kalepool.core.amounts import MAX_I64
from kalepool.core.classic import MAX_NEWCOMERS
from kalepool.errors import UsageError
from kalepool.xdr.keys import account_id, credit_asset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.classic import Newcomer, Payment
    from kalepool.xdr.keys import Asset


def sponsor(newcomers: Sequence[Newcomer], payer: str, asset: Asset) -> list[bytes]:
    """Write the operations that create accounts and trustlines with reserves carried by the payer.

    Raises:
        UsageError: for more newcomers than can sign, or one who needs nothing.
    """
    if not 0 < len(newcomers) <= MAX_NEWCOMERS:
        raise UsageError(f"a transaction sponsors 1 to {MAX_NEWCOMERS} accounts, not {len(newcomers)}")
    operations = []
    for newcomer in newcomers:
        if not newcomer.creates and not newcomer.trusts:
            raise UsageError(f"{newcomer.address} needs nothing")
        operations.append(operation(_begin(newcomer.address), payer))
        if newcomer.creates:
            operations.append(operation(_create(newcomer.address), payer))
        if newcomer.trusts:
            operations.append(operation(_trust(asset, MAX_I64), newcomer.address))
        operations.append(operation(_END, newcomer.address))
    return operations


def pay(payments: Sequence[Payment], asset: Asset) -> list[bytes]:
    """Write payments.

    Raises:
        UsageError: for none, for more than fit into a transaction, for an amount of nothing.
    """
    if not 0 < len(payments) <= MAX_OPERATIONS:
        raise UsageError(f"a transaction makes 1 to {MAX_OPERATIONS} payments, not {len(payments)}")
    return [operation(_payment(payment, asset), payment.source) for payment in payments]


def trust(asset: Asset) -> list[bytes]:
    """Write the operation by which the source gets a trustline, its reserve carried by itself."""
    return [operation(_trust(asset, MAX_I64))]


def leave(
    heir: str, asset: Asset, last: Sequence[Payment] = (), *, has_trustline: bool = True
) -> list[bytes]:
    """Write the operations by which the source gives up its trustline and its account.

    The network refuses to remove a trustline that still holds something.

    Args:
        heir: receives what XLM is left; reserves go back to who carried them.
        asset: KALE.
        last: payments before that, which empty the trustline.
        has_trustline: whether there is one.
    """
    operations = pay(last, asset) if last else []
    if has_trustline:
        operations.append(operation(_trust(asset, 0)))
    return [*operations, operation(_merge(heir))]


def _body(kind: xdr.OperationType, **arm: object) -> bytes:
    return xdr.OperationBody(kind, **arm).to_xdr_bytes()  # type: ignore[arg-type]


def _begin(address: str) -> bytes:
    return _body(
        xdr.OperationType.BEGIN_SPONSORING_FUTURE_RESERVES,
        begin_sponsoring_future_reserves_op=xdr.BeginSponsoringFutureReservesOp(account_id(address)),
    )


_END: Final = _body(xdr.OperationType.END_SPONSORING_FUTURE_RESERVES)


def _create(address: str) -> bytes:
    return _body(
        xdr.OperationType.CREATE_ACCOUNT,
        create_account_op=xdr.CreateAccountOp(account_id(address), xdr.Int64(0)),
    )


def _trust(asset: Asset, limit: int) -> bytes:
    plain = credit_asset(asset)
    line = xdr.ChangeTrustAsset(plain.type, alpha_num4=plain.alpha_num4, alpha_num12=plain.alpha_num12)
    return _body(xdr.OperationType.CHANGE_TRUST, change_trust_op=xdr.ChangeTrustOp(line, xdr.Int64(limit)))


def _payment(payment: Payment, asset: Asset) -> bytes:
    if not 0 < payment.amount <= MAX_I64:
        raise UsageError("a payment is more than nothing, and no more than the network can hold")
    paid = xdr.Asset(xdr.AssetType.ASSET_TYPE_NATIVE) if payment.is_xlm else credit_asset(asset)
    amount = xdr.Int64(payment.amount)
    return _body(
        xdr.OperationType.PAYMENT,
        payment_op=xdr.PaymentOp(_muxed(payment.destination), paid, amount),
    )


def _merge(heir: str) -> bytes:
    return _body(xdr.OperationType.ACCOUNT_MERGE, destination=_muxed(heir))


def _muxed(address: str) -> xdr.MuxedAccount:
    key = account_id(address).account_id.ed25519
    return xdr.MuxedAccount(xdr.CryptoKeyType.KEY_TYPE_ED25519, ed25519=key)
