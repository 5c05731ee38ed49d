"""Transactions: from an envelope's XDR to plain values, once, when it arrives.

Nothing here judges a transaction; it only takes it apart and knows its hashes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import nacl.bindings
import nacl.exceptions
from stellar_sdk import xdr

from kalepool.core.address import account_address, raw_key
from kalepool.xdr.decode import decode
from kalepool.xdr.keys import address_of_account_id, address_of_sc_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.xdr.keys import Asset

MAX_OPERATIONS = 100
"""Operations a transaction; XDR itself holds to that, and to 20 signatures."""

_SHORT_CODE, _LONG_CODE = 4, 12
MAX_RESOURCE_FEE = 2**50
"""Stroops; core's bound, some 112 million XLM."""


@dataclass(frozen=True, slots=True)
class CreateAccount:
    """CREATE_ACCOUNT."""

    source: str | None
    destination: str
    balance: int


@dataclass(frozen=True, slots=True)
class Payment:
    """PAYMENT; the asset is None for XLM."""

    source: str | None
    destination: str
    asset: Asset | None
    amount: int


@dataclass(frozen=True, slots=True)
class ChangeTrust:
    """CHANGE_TRUST; the asset is None for what cannot be trusted here (XLM, pool shares)."""

    source: str | None
    asset: Asset | None
    limit: int


@dataclass(frozen=True, slots=True)
class BeginSponsoring:
    """BEGIN_SPONSORING_FUTURE_RESERVES."""

    source: str | None
    sponsored: str


@dataclass(frozen=True, slots=True)
class EndSponsoring:
    """END_SPONSORING_FUTURE_RESERVES."""

    source: str | None


@dataclass(frozen=True, slots=True)
class AccountMerge:
    """ACCOUNT_MERGE."""

    source: str | None
    destination: str


@dataclass(frozen=True, slots=True)
class BumpSequence:
    """BUMP_SEQUENCE."""

    source: str | None
    bump_to: int


@dataclass(frozen=True, slots=True)
class Invocation:
    """One node of an authorization tree, or the call of an operation. Compared by value."""

    contract: str
    function: str
    arguments: tuple[bytes, ...]
    children: tuple[Invocation, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorization:
    """One authorization entry of an invocation.

    Attributes:
        address: who authorizes; None for the operation's source account (no signature of its own).
        nonce: signed nonce, or 0.
        expires: last ledger in which the signature counts, or 0.
        payload: what was signed, the SHA-256 of the preimage; empty for the source account.
        signature: SCVal as given, or None.
        root: the tree of calls that is authorized.
    """

    address: str | None
    nonce: int
    expires: int
    payload: bytes
    signature: xdr.SCVal | None
    root: Invocation


@dataclass(frozen=True, slots=True)
class InvokeContract:
    """INVOKE_HOST_FUNCTION that calls a contract."""

    source: str | None
    contract: str
    function: str
    arguments: tuple[xdr.SCVal, ...]
    authorizations: tuple[Authorization, ...]


@dataclass(frozen=True, slots=True)
class ExtendTtl:
    """EXTEND_FOOTPRINT_TTL."""

    source: str | None
    extend_to: int


@dataclass(frozen=True, slots=True)
class Unsupported:
    """An operation that this network does not carry out."""

    source: str | None
    type: xdr.OperationType
    is_soroban: bool


Operation: TypeAlias = (
    CreateAccount
    | Payment
    | ChangeTrust
    | BeginSponsoring
    | EndSponsoring
    | AccountMerge
    | BumpSequence
    | InvokeContract
    | ExtendTtl
    | Unsupported
)
SOROBAN = (InvokeContract, ExtendTtl)


@dataclass(frozen=True, slots=True)
class SorobanData:
    """Declared resources.

    Attributes:
        read_only: ledger keys that may be read, in the order declared.
        read_write: ledger keys that may be written too.
        instructions: at most these.
        disk_read_bytes: at most these, of classic entries.
        write_bytes: at most these.
        resource_fee: stroops of the fee set aside for resources.
    """

    read_only: tuple[bytes, ...]
    read_write: tuple[bytes, ...]
    instructions: int
    disk_read_bytes: int
    write_bytes: int
    resource_fee: int


@dataclass(frozen=True, slots=True)
class Preconditions:
    """When a transaction may be included. Zero stands for no bound.

    Attributes:
        min_time: Unix seconds, inclusive; ``max_time`` likewise.
        min_ledger: inclusive. ``max_ledger`` is exclusive.
        min_sequence: the account's sequence number may be as low as this; None for exactly one less.
        min_sequence_age: seconds since the account's number changed.
        min_sequence_gap: ledgers since the account's number changed.
        has_extra_signers: whether it asks for signers of its own, which this network does not have.
    """

    min_time: int = 0
    max_time: int = 0
    min_ledger: int = 0
    max_ledger: int = 0
    min_sequence: int | None = None
    min_sequence_age: int = 0
    min_sequence_gap: int = 0
    has_extra_signers: bool = False


@dataclass(slots=True)
class Transaction:
    """A transaction as it was sent, taken apart.

    Attributes:
        envelope: the XDR as sent.
        size: bytes of the inner envelope.
        hash: hash of the inner transaction.
        outer_hash: hash of the fee bump, or the same as ``hash``.
        source: whose sequence number it takes.
        sequence: that number.
        fee: the whole fee bid by who pays, stroops.
        inner_fee: the fee in the inner transaction.
        fee_source: who pays.
        operations: what it does.
        when: its preconditions.
        memo: the memo as XDR where there is one, for the events of payments.
        soroban: declared resources of a Soroban transaction.
        signatures: (hint, signature) of the inner transaction.
        outer_signatures: likewise of the fee bump.
    """

    envelope: bytes = field(repr=False)
    size: int
    hash: bytes
    outer_hash: bytes
    source: str
    sequence: int
    fee: int
    inner_fee: int
    fee_source: str
    operations: tuple[Operation, ...]
    when: Preconditions
    memo: xdr.Memo | None
    soroban: SorobanData | None
    signatures: tuple[tuple[bytes, bytes], ...]
    outer_signatures: tuple[tuple[bytes, bytes], ...]
    _verified: dict[tuple[bytes, bytes, str], bool] = field(default_factory=dict, repr=False)

    @property
    def is_fee_bump(self) -> bool:
        """Whether somebody else's envelope pays for it."""
        return self.hash != self.outer_hash

    @property
    def is_soroban(self) -> bool:
        """Whether any operation runs on the contract side."""
        return any(
            isinstance(op, SOROBAN) or (isinstance(op, Unsupported) and op.is_soroban)
            for op in self.operations
        )

    @property
    def fee_operations(self) -> int:
        """Operations as fees count them: a fee bump is one more."""
        return max(len(self.operations), 1) + self.is_fee_bump

    @property
    def has_possible_fee(self) -> bool:
        """Whether the fees are in the range that XDR's types are wider than (core: XDRProvidesValidFee)."""
        resource_fee = self.soroban.resource_fee if self.soroban else 0
        return self.fee >= 0 and 0 <= resource_fee <= MAX_RESOURCE_FEE

    @property
    def inclusion_bid(self) -> int:
        """What is bid for a place in a ledger: the fee without the resource fee. In stroops."""
        return self.fee - (self.soroban.resource_fee if self.soroban else 0)

    def signed_by(self, address: str, payload: bytes, signatures: Sequence[tuple[bytes, bytes]]) -> set[int]:
        """Give the positions of the signatures over the payload that are this account's."""
        key = raw_key(address)
        found = set()
        for position, (hint, signature) in enumerate(signatures):
            if hint == key[-4:] and self._verify(payload, signature, address, key):
                found.add(position)
        return found

    def _verify(self, payload: bytes, signature: bytes, address: str, key: bytes) -> bool:
        # A transaction is checked when it arrives, in each ledger that passes it by, and when it is
        # applied; its signatures do not change between.
        cached = self._verified.get((payload, signature, address))
        if cached is None:
            cached = verify_ed25519(key, payload, signature)
            self._verified[(payload, signature, address)] = cached
        return cached


def verify_ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the ed25519 signature is the key's over the message."""
    try:
        nacl.bindings.crypto_sign_open(signature + message, key)
    except (nacl.exceptions.CryptoError, ValueError):
        return False
    return True


def network_id(passphrase: str) -> bytes:
    """Give the 32 bytes that stand for a network in every signed hash."""
    return hashlib.sha256(passphrase.encode()).digest()


def parse_envelope(raw: bytes, network: bytes) -> Transaction:
    """Take an envelope apart.

    Args:
        raw: XDR of a TransactionEnvelope.
        network: the network id that hashes are bound to.

    Raises:
        ValueError: when it is no XDR of a transaction envelope of version 1 or a fee bump.
    """
    envelope = decode(xdr.TransactionEnvelope, raw)
    if envelope.v1 is not None:
        inner, outer = envelope.v1, None
    elif envelope.fee_bump is not None and envelope.fee_bump.tx.inner_tx.v1 is not None:
        inner, outer = envelope.fee_bump.tx.inner_tx.v1, envelope.fee_bump
    else:
        raise ValueError("a transaction envelope of version 0 is not taken here")
    tx = inner.tx
    inner_raw = tx.to_xdr_bytes()
    inner_hash = _hash(network, xdr.EnvelopeType.ENVELOPE_TYPE_TX, inner_raw)
    source = _muxed(tx.source_account)
    if outer is None:
        outer_hash, fee, fee_source = inner_hash, tx.fee.uint32, source
    else:
        outer_hash = _hash(network, xdr.EnvelopeType.ENVELOPE_TYPE_TX_FEE_BUMP, outer.tx.to_xdr_bytes())
        fee, fee_source = outer.tx.fee.int64, _muxed(outer.tx.fee_source)
    operations = tuple(_operation(op, network) for op in tx.operations)
    # One envelope's discriminant and the inner signatures stand around the inner transaction.
    size = 4 + len(inner_raw) + sum(8 + len(sig.signature.signature) for sig in inner.signatures) + 4
    return Transaction(
        envelope=raw,
        size=size,
        hash=inner_hash,
        outer_hash=outer_hash,
        source=source,
        sequence=tx.seq_num.sequence_number.int64,
        fee=fee,
        inner_fee=tx.fee.uint32,
        fee_source=fee_source,
        operations=operations,
        when=_preconditions(tx.cond),
        memo=None if tx.memo.type == xdr.MemoType.MEMO_NONE else tx.memo,
        soroban=_soroban_data(tx.ext.soroban_data),
        signatures=_signatures(inner.signatures),
        outer_signatures=() if outer is None else _signatures(outer.signatures),
    )


def _hash(network: bytes, kind: xdr.EnvelopeType, body: bytes) -> bytes:
    return hashlib.sha256(network + kind.value.to_bytes(4, "big") + body).digest()


def _muxed(account: xdr.MuxedAccount) -> str:
    key = account.med25519.ed25519 if account.med25519 is not None else account.ed25519
    assert key is not None
    return account_address(key.uint256)


def _signatures(signatures: Sequence[xdr.DecoratedSignature]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((sig.hint.signature_hint, sig.signature.signature) for sig in signatures)


def _preconditions(cond: xdr.Preconditions) -> Preconditions:
    more = cond.v2
    times = cond.time_bounds if more is None else more.time_bounds
    min_time = 0 if times is None else times.min_time.time_point.uint64
    max_time = 0 if times is None else times.max_time.time_point.uint64
    if more is None:
        return Preconditions(min_time, max_time)
    ledgers, lowest = more.ledger_bounds, more.min_seq_num
    return Preconditions(
        min_time=min_time,
        max_time=max_time,
        min_ledger=0 if ledgers is None else ledgers.min_ledger.uint32,
        max_ledger=0 if ledgers is None else ledgers.max_ledger.uint32,
        min_sequence=None if lowest is None else lowest.sequence_number.int64,
        min_sequence_age=more.min_seq_age.duration.uint64,
        min_sequence_gap=more.min_seq_ledger_gap.uint32,
        has_extra_signers=bool(more.extra_signers),
    )


def _soroban_data(data: xdr.SorobanTransactionData | None) -> SorobanData | None:
    if data is None:
        return None
    resources = data.resources
    return SorobanData(
        read_only=tuple(key.to_xdr_bytes() for key in resources.footprint.read_only),
        read_write=tuple(key.to_xdr_bytes() for key in resources.footprint.read_write),
        instructions=resources.instructions.uint32,
        disk_read_bytes=resources.disk_read_bytes.uint32,
        write_bytes=resources.write_bytes.uint32,
        resource_fee=data.resource_fee.int64,
    )


def _asset(asset: xdr.Asset | xdr.ChangeTrustAsset) -> Asset | None:
    if asset.alpha_num4 is not None:
        code, issuer = asset.alpha_num4.asset_code.asset_code4, asset.alpha_num4.issuer
    elif asset.alpha_num12 is not None:
        code, issuer = asset.alpha_num12.asset_code.asset_code12, asset.alpha_num12.issuer
    else:
        return None
    short = code.rstrip(b"\0")
    if len(code) == _LONG_CODE and len(short) <= _SHORT_CODE:
        short = code  # not a code of the short kind in another dress: its zeros make it invalid
    return short.decode("latin-1"), address_of_account_id(issuer)


def _operation(op: xdr.Operation, network: bytes) -> Operation:  # noqa: C901 - one arm a kind
    source = None if op.source_account is None else _muxed(op.source_account)
    body = op.body
    if body.create_account_op is not None:
        create = body.create_account_op
        return CreateAccount(source, address_of_account_id(create.destination), create.starting_balance.int64)
    if body.payment_op is not None:
        pay = body.payment_op
        return Payment(source, _muxed(pay.destination), _asset(pay.asset), pay.amount.int64)
    if body.change_trust_op is not None:
        return ChangeTrust(source, _asset(body.change_trust_op.line), body.change_trust_op.limit.int64)
    if body.begin_sponsoring_future_reserves_op is not None:
        sponsored = body.begin_sponsoring_future_reserves_op.sponsored_id
        return BeginSponsoring(source, address_of_account_id(sponsored))
    if body.type == xdr.OperationType.END_SPONSORING_FUTURE_RESERVES:
        return EndSponsoring(source)
    if body.type == xdr.OperationType.ACCOUNT_MERGE:
        assert body.destination is not None
        return AccountMerge(source, _muxed(body.destination))
    if body.bump_sequence_op is not None:
        return BumpSequence(source, body.bump_sequence_op.bump_to.sequence_number.int64)
    if body.extend_footprint_ttl_op is not None:
        return ExtendTtl(source, body.extend_footprint_ttl_op.extend_to.uint32)
    if body.invoke_host_function_op is not None:
        invoke = body.invoke_host_function_op
        call = invoke.host_function.invoke_contract
        if call is not None:
            return InvokeContract(
                source=source,
                contract=address_of_sc_address(call.contract_address),
                function=_symbol(call.function_name),
                arguments=tuple(call.args),
                authorizations=tuple(_authorization(entry, network) for entry in invoke.auth),
            )
        return Unsupported(source, body.type, is_soroban=True)
    return Unsupported(source, body.type, is_soroban=body.restore_footprint_op is not None)


def _symbol(symbol: xdr.SCSymbol) -> str:
    return symbol.sc_symbol.decode("latin-1")


def _authorization(entry: xdr.SorobanAuthorizationEntry, network: bytes) -> Authorization:
    root = _invocation(entry.root_invocation)
    kind = xdr.SorobanCredentialsType
    credentials = entry.credentials
    if credentials.type == kind.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT:
        return Authorization(None, 0, 0, b"", None, root)
    if credentials.address is not None:
        signed = credentials.address
        preimage = xdr.HashIDPreimage(
            xdr.EnvelopeType.ENVELOPE_TYPE_SOROBAN_AUTHORIZATION,
            soroban_authorization=xdr.HashIDPreimageSorobanAuthorization(
                xdr.Hash(network), signed.nonce, signed.signature_expiration_ledger, entry.root_invocation
            ),
        )
    elif credentials.address_v2 is not None:
        signed = credentials.address_v2
        preimage = xdr.HashIDPreimage(
            xdr.EnvelopeType.ENVELOPE_TYPE_SOROBAN_AUTHORIZATION_WITH_ADDRESS,
            soroban_authorization_with_address=xdr.HashIDPreimageSorobanAuthorizationWithAddress(
                network_id=xdr.Hash(network),
                nonce=signed.nonce,
                signature_expiration_ledger=signed.signature_expiration_ledger,
                address=signed.address,
                invocation=entry.root_invocation,
            ),
        )
    else:
        raise ValueError("authorizations with delegates are not taken here")
    return Authorization(
        address=address_of_sc_address(signed.address),
        nonce=signed.nonce.int64,
        expires=signed.signature_expiration_ledger.uint32,
        payload=hashlib.sha256(preimage.to_xdr_bytes()).digest(),
        signature=signed.signature,
        root=root,
    )


def _invocation(node: xdr.SorobanAuthorizedInvocation) -> Invocation:
    call = node.function.contract_fn
    children = tuple(_invocation(child) for child in node.sub_invocations)
    if call is None:
        # Authorizing a deployment is legal XDR; no call here will ever match it.
        return Invocation("", "", (node.function.to_xdr_bytes(),), children)
    return Invocation(
        address_of_sc_address(call.contract_address),
        _symbol(call.function_name),
        tuple(arg.to_xdr_bytes() for arg in call.args),
        children,
    )
