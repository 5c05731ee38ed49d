"""Classic operations: accounts, payments, trustlines, sponsorship.

Each function returns the operation's result code; what a failed one has changed is dropped with
its layer. Rules: stellar-core's operations, the part of them that is listed in the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.devnet import transactions as tx
from kalepool.devnet.entries import BASE_RESERVE, MAX_I64, Account, Trustline
from kalepool.devnet.events import AssetEvent
from kalepool.devnet.results import OpCode, OperationResult
from kalepool.xdr.keys import account_key, trustline_key

if TYPE_CHECKING:
    from enum import IntEnum

    from kalepool.devnet.network import Identity
    from kalepool.devnet.state import Layer
    from kalepool.xdr.keys import Asset

_MAX_SUBENTRIES = 1_000

_Create = xdr.CreateAccountResultCode
_Pay = xdr.PaymentResultCode
_Trust = xdr.ChangeTrustResultCode
_Merge = xdr.AccountMergeResultCode
_Bump = xdr.BumpSequenceResultCode
_Begin = xdr.BeginSponsoringFutureReservesResultCode
_End = xdr.EndSponsoringFutureReservesResultCode


@dataclass
class ClassicContext:
    """What classic operations of one transaction share.

    Attributes:
        layer: where entries are changed.
        identity: the network's ids.
        close_time: of this ledger.
        memo: the transaction's memo, which goes with its payments' events.
        sponsors: who sponsors whom until EndSponsoring, by the sponsored's address.
        events: what the asset contracts tell of the current operation.
    """

    layer: Layer
    identity: Identity
    close_time: int
    memo: xdr.Memo | None = None
    sponsors: dict[str, str] = field(default_factory=dict)
    events: list[AssetEvent] = field(default_factory=list)

    def account(self, address: str) -> Account | None:
        """Give an account, or None."""
        return self.layer.account(account_key(address))

    def put(self, account: Account) -> None:
        """Store an account."""
        self.layer.put(account_key(account.address), account)

    def line(self, address: str, asset: Asset) -> Trustline | None:
        """Give a trustline, or None."""
        entry = self.layer.get(trustline_key(address, asset))
        return entry.value if entry is not None and isinstance(entry.value, Trustline) else None

    def put_line(self, line: Trustline) -> None:
        """Store a trustline."""
        self.layer.put(trustline_key(line.address, line.asset), line)

    def tell(
        self, kind: str, parties: tuple[str, ...], asset: Asset | None, amount: int, *, memo: bool
    ) -> None:
        """Note an asset event of the running operation."""
        if asset is None:
            contract, name = self.identity.native_contract, "native"
        elif asset == self.identity.kale:
            contract, name = self.identity.sac_contract, self.identity.kale_name
        else:
            return  # an asset whose contract is not on this network
        self.events.append(AssetEvent(contract, kind, parties, name, amount, self.memo if memo else None))


def apply_classic(context: ClassicContext, operation: tx.Operation, source: str) -> OperationResult:
    """Carry out one classic operation that ``malformed`` has nothing against.

    Args:
        context: of the transaction.
        operation: what to do.
        source: the operation's source, or the transaction's.
    """
    payer = context.account(source)
    if payer is None:
        return OperationResult(operation, OpCode.opNO_ACCOUNT)
    if isinstance(operation, tx.CreateAccount):
        return OperationResult(operation, _create_account(context, operation, payer))
    if isinstance(operation, tx.Payment):
        return OperationResult(operation, _payment(context, operation, payer))
    if isinstance(operation, tx.ChangeTrust):
        return OperationResult(operation, _change_trust(context, operation, payer))
    if isinstance(operation, tx.BeginSponsoring):
        return OperationResult(operation, _begin_sponsoring(context, operation, payer))
    if isinstance(operation, tx.EndSponsoring):
        return OperationResult(operation, _end_sponsoring(context, payer))
    if isinstance(operation, tx.AccountMerge):
        code, moved = _account_merge(context, operation, payer)
        return OperationResult(operation, code, moved)
    if isinstance(operation, tx.BumpSequence):
        return OperationResult(operation, _bump_sequence(context, operation, payer))
    return OperationResult(operation, OpCode.opNOT_SUPPORTED)


def malformed(  # noqa: C901, PLR0912 - one arm a kind
    operation: tx.Operation, source: str
) -> OperationResult | None:
    """Judge an operation without looking at the ledger; None where nothing is wrong with it."""
    code: IntEnum | None = None
    if isinstance(operation, tx.CreateAccount):
        if operation.balance < 0 or operation.destination == source:
            code = _Create.CREATE_ACCOUNT_MALFORMED
    elif isinstance(operation, tx.Payment):
        if operation.amount <= 0 or not (operation.asset is None or _is_valid(operation.asset)):
            code = _Pay.PAYMENT_MALFORMED
    elif isinstance(operation, tx.ChangeTrust):
        if operation.limit < 0 or operation.asset is None or not _is_valid(operation.asset):
            code = _Trust.CHANGE_TRUST_MALFORMED
    elif isinstance(operation, tx.BeginSponsoring):
        if operation.sponsored == source:
            code = _Begin.BEGIN_SPONSORING_FUTURE_RESERVES_MALFORMED
    elif isinstance(operation, tx.AccountMerge):
        if operation.destination == source:
            code = _Merge.ACCOUNT_MERGE_MALFORMED
    elif isinstance(operation, tx.BumpSequence):
        if operation.bump_to < 0:
            code = _Bump.BUMP_SEQUENCE_BAD_SEQ
    elif isinstance(operation, tx.Unsupported):
        code = OpCode.opNOT_SUPPORTED
    return None if code is None else OperationResult(operation, code)


def _is_valid(asset: Asset) -> bool:
    code, _ = asset
    return code.isascii() and code.isalnum()


def _create_account(context: ClassicContext, operation: tx.CreateAccount, payer: Account) -> _Create:
    sponsor = context.sponsors.get(operation.destination)
    if context.account(operation.destination) is not None:
        return _Create.CREATE_ACCOUNT_ALREADY_EXIST
    if sponsor is None and operation.balance < 2 * BASE_RESERVE:
        return _Create.CREATE_ACCOUNT_LOW_RESERVE
    if sponsor is not None and not _carry(context, sponsor, 2):
        return _Create.CREATE_ACCOUNT_LOW_RESERVE
    payer = context.account(payer.address) or payer  # carrying may have changed it
    if payer.spendable < operation.balance:
        return _Create.CREATE_ACCOUNT_UNDERFUNDED
    context.put(replace(payer, balance=payer.balance - operation.balance))
    context.put(
        Account(
            address=operation.destination,
            balance=operation.balance,
            sequence=context.layer.sequence << 32,
            sponsored=0 if sponsor is None else 2,
            sponsor=sponsor,
        )
    )
    if operation.balance:
        parties = (payer.address, operation.destination)
        context.tell("transfer", parties, None, operation.balance, memo=True)
    return _Create.CREATE_ACCOUNT_SUCCESS


def _payment(context: ClassicContext, operation: tx.Payment, payer: Account) -> _Pay:
    parties = (payer.address, operation.destination)
    if operation.asset is None:
        code = _pay_native(context, operation, payer)
        if code == _Pay.PAYMENT_SUCCESS:
            context.tell("transfer", parties, None, operation.amount, memo=True)
        return code
    code = _pay_credit(context, operation, payer.address, operation.asset)
    if code == _Pay.PAYMENT_SUCCESS:
        issuer = operation.asset[1]
        if payer.address == issuer:
            context.tell("mint", parties[1:], operation.asset, operation.amount, memo=True)
        elif operation.destination == issuer:
            context.tell("burn", parties[:1], operation.asset, operation.amount, memo=False)
        else:
            context.tell("transfer", parties, operation.asset, operation.amount, memo=True)
    return code


def _pay_native(context: ClassicContext, operation: tx.Payment, payer: Account) -> _Pay:
    receiver = context.account(operation.destination)
    if receiver is None:
        return _Pay.PAYMENT_NO_DESTINATION
    if payer.spendable < operation.amount:
        return _Pay.PAYMENT_UNDERFUNDED
    if payer.address == receiver.address:
        return _Pay.PAYMENT_SUCCESS
    if receiver.balance + operation.amount > MAX_I64:
        return _Pay.PAYMENT_LINE_FULL
    context.put(replace(payer, balance=payer.balance - operation.amount))
    context.put(replace(receiver, balance=receiver.balance + operation.amount))
    return _Pay.PAYMENT_SUCCESS


def _pay_credit(context: ClassicContext, operation: tx.Payment, payer: str, asset: Asset) -> _Pay:
    issuer, receiver = asset[1], operation.destination
    if receiver != issuer and context.account(receiver) is None:
        return _Pay.PAYMENT_NO_DESTINATION
    into = context.line(receiver, asset)
    if receiver != issuer:
        if into is None:
            return _Pay.PAYMENT_NO_TRUST
        if into.balance + operation.amount > into.limit and payer != receiver:
            return _Pay.PAYMENT_LINE_FULL
    if payer != issuer:
        out = context.line(payer, asset)
        if out is None:
            return _Pay.PAYMENT_SRC_NO_TRUST
        if out.balance < operation.amount:
            return _Pay.PAYMENT_UNDERFUNDED
        if payer == receiver:
            return _Pay.PAYMENT_SUCCESS
        context.put_line(replace(out, balance=out.balance - operation.amount))
    if into is not None:
        context.put_line(replace(into, balance=into.balance + operation.amount))
    return _Pay.PAYMENT_SUCCESS


def _change_trust(context: ClassicContext, operation: tx.ChangeTrust, payer: Account) -> _Trust | OpCode:
    asset = operation.asset
    assert asset is not None, "judged before"
    if asset[1] == payer.address:
        return _Trust.CHANGE_TRUST_SELF_NOT_ALLOWED
    line = context.line(payer.address, asset)
    if line is not None:
        return _change_line(context, operation, payer, line)
    if operation.limit == 0:
        return _Trust.CHANGE_TRUST_INVALID_LIMIT
    if context.account(asset[1]) is None:
        return _Trust.CHANGE_TRUST_NO_ISSUER
    if payer.subentries >= _MAX_SUBENTRIES:
        return OpCode.opTOO_MANY_SUBENTRIES
    sponsor = context.sponsors.get(payer.address)
    if sponsor is None:
        if payer.spendable < BASE_RESERVE:
            return _Trust.CHANGE_TRUST_LOW_RESERVE
        context.put(replace(payer, subentries=payer.subentries + 1))
    else:
        if not _carry(context, sponsor, 1):
            return _Trust.CHANGE_TRUST_LOW_RESERVE
        context.put(replace(payer, subentries=payer.subentries + 1, sponsored=payer.sponsored + 1))
    context.put_line(Trustline(payer.address, asset, 0, operation.limit, sponsor))
    return _Trust.CHANGE_TRUST_SUCCESS


def _change_line(
    context: ClassicContext, operation: tx.ChangeTrust, payer: Account, line: Trustline
) -> _Trust:
    if operation.limit < line.balance:
        return _Trust.CHANGE_TRUST_INVALID_LIMIT
    if operation.limit > 0:
        if context.account(line.asset[1]) is None:
            return _Trust.CHANGE_TRUST_NO_ISSUER
        context.put_line(replace(line, limit=operation.limit))
        return _Trust.CHANGE_TRUST_SUCCESS
    context.layer.delete(trustline_key(line.address, line.asset))
    sponsored = payer.sponsored - (line.sponsor is not None)
    context.put(replace(payer, subentries=payer.subentries - 1, sponsored=sponsored))
    if line.sponsor is not None:
        _release(context, line.sponsor, 1)
    return _Trust.CHANGE_TRUST_SUCCESS


def _begin_sponsoring(context: ClassicContext, operation: tx.BeginSponsoring, payer: Account) -> _Begin:
    if operation.sponsored in context.sponsors:
        return _Begin.BEGIN_SPONSORING_FUTURE_RESERVES_ALREADY_SPONSORED
    if payer.address in context.sponsors or operation.sponsored in context.sponsors.values():
        return _Begin.BEGIN_SPONSORING_FUTURE_RESERVES_RECURSIVE
    context.sponsors[operation.sponsored] = payer.address
    return _Begin.BEGIN_SPONSORING_FUTURE_RESERVES_SUCCESS


def _end_sponsoring(context: ClassicContext, payer: Account) -> _End:
    if context.sponsors.pop(payer.address, None) is None:
        return _End.END_SPONSORING_FUTURE_RESERVES_NOT_SPONSORED
    return _End.END_SPONSORING_FUTURE_RESERVES_SUCCESS


def _account_merge(
    context: ClassicContext, operation: tx.AccountMerge, payer: Account
) -> tuple[_Merge, int | None]:
    receiver = context.account(operation.destination)
    if receiver is None:
        return _Merge.ACCOUNT_MERGE_NO_ACCOUNT, None
    if payer.subentries:
        return _Merge.ACCOUNT_MERGE_HAS_SUB_ENTRIES, None
    # Merged and created anew in the same ledger, an account must not get numbers it has used.
    if payer.sequence >= context.layer.sequence << 32:
        return _Merge.ACCOUNT_MERGE_SEQNUM_TOO_FAR, None
    if payer.sponsoring or payer.address in context.sponsors.values():
        return _Merge.ACCOUNT_MERGE_IS_SPONSOR, None
    if receiver.balance + payer.balance > MAX_I64:
        return _Merge.ACCOUNT_MERGE_DEST_FULL, None
    context.layer.delete(account_key(payer.address))
    context.put(replace(receiver, balance=receiver.balance + payer.balance))
    if payer.sponsor is not None:
        _release(context, payer.sponsor, 2)
    if payer.balance:
        parties = (payer.address, operation.destination)
        context.tell("transfer", parties, None, payer.balance, memo=True)
    return _Merge.ACCOUNT_MERGE_SUCCESS, payer.balance


def _bump_sequence(context: ClassicContext, operation: tx.BumpSequence, payer: Account) -> _Bump:
    if operation.bump_to > payer.sequence:
        context.put(
            replace(
                payer,
                sequence=operation.bump_to,
                sequence_ledger=context.layer.sequence,
                sequence_time=context.close_time,
            )
        )
    return _Bump.BUMP_SEQUENCE_SUCCESS


def _carry(context: ClassicContext, sponsor: str, entries: int) -> bool:
    """Make the sponsor carry reserves; False where it lacks the XLM."""
    account = context.account(sponsor)
    if account is None or account.spendable < entries * BASE_RESERVE:
        return False
    context.put(replace(account, sponsoring=account.sponsoring + entries))
    return True


def _release(context: ClassicContext, sponsor: str, entries: int) -> None:
    account = context.account(sponsor)
    assert account is not None, "an account that sponsors cannot be merged"
    context.put(replace(account, sponsoring=account.sponsoring - entries))
