"""Transactions as bytes: framed, hashed, signed, wrapped in a fee bump. No secret is ever here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kalepool.adapters.stellar import wire
from kalepool.core.address import raw_key
from kalepool.errors import InternalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Sign = Callable[[str, bytes], bytes]
    """Signs 32 bytes with an address's key: 64 bytes."""

ENVELOPE_TX: Final = wire.u32(2)
ENVELOPE_FEE_BUMP: Final = wire.u32(5)
BASE_FEE: Final = 100
"""Least inclusion fee for each operation, in stroops. A fee bump counts as one more."""

MAX_SIGNATURES: Final = 20
MAX_OPERATIONS: Final = 100
_PRECONDITIONS_TIME: Final = wire.u32(1)
_PRECONDITIONS_V2: Final = wire.u32(2)
_MEMO_TEXT: Final = wire.u32(1)
_MEMO_BYTES: Final = 28
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a transaction may land. Times are network time in Unix seconds, inclusive.

    Attributes:
        max_time: after it, an attempt that is not found can never land; never left out.
        min_time: held against the last closed ledger; 0 for none.
        min_ledger: first ledger; 0 for none.
        max_ledger: exclusive; 0 for none.
    """

    max_time: int
    min_time: int = 0
    min_ledger: int = 0
    max_ledger: int = 0

    def __post_init__(self) -> None:
        if self.max_time <= 0 or self.min_time > self.max_time:
            raise UsageError("a transaction needs a last moment, not before its first")

    def to_xdr(self) -> bytes:
        """Write Preconditions."""
        times = wire.u64(self.min_time) + wire.u64(self.max_time)
        if not self.min_ledger and not self.max_ledger:
            return _PRECONDITIONS_TIME + times
        ledgers = wire.u32(self.min_ledger) + wire.u32(self.max_ledger)
        # No bounds on the sequence number, its age and gap; no extra signers.
        rest = wire.NONE + wire.u64(0) + wire.NONE + wire.NONE
        return _PRECONDITIONS_V2 + wire.u32(1) + times + wire.u32(1) + ledgers + rest


@dataclass(frozen=True, slots=True)
class Lane:
    """Whose sequence number a transaction takes.

    Attributes:
        source: G address.
        sequence: the number that it takes.
    """

    source: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed transaction, ready to be journalled and sent.

    Attributes:
        inner_hash: hex; finds whichever fee bump landed.
        outer_hash: hex of the fee bump; the inner one where there is none.
        lane: whose sequence number it takes.
        max_time: network time after which it cannot land.
        envelope: XDR to send.
        fee: the most it can cost, stroops.
        resource_fee: the part of that which no bid changes.
        signed: the signed transaction inside, XDR.
    """

    inner_hash: str
    outer_hash: str
    lane: Lane
    max_time: int
    envelope: bytes = field(repr=False)
    fee: int
    resource_fee: int
    signed: bytes = field(repr=False)


def text_memo(text: str) -> bytes:
    """Write a memo; none for an empty text.

    Raises:
        UsageError: when it has more than 28 bytes.
    """
    raw = text.encode()
    if len(raw) > _MEMO_BYTES:
        raise UsageError(f"a memo has at most {_MEMO_BYTES} bytes", hint="shorten it")
    return _MEMO_TEXT + wire.opaque(raw) if raw else wire.NONE


def frame(
    lane: Lane,
    bounds: Bounds,
    operations: Sequence[bytes],
    *,
    fee: int,
    soroban: bytes | None = None,
    memo: bytes = wire.NONE,
) -> bytes:
    """Write a Transaction.

    Args:
        lane: whose sequence number it takes.
        bounds: when it may land.
        operations: as XDR.
        fee: the fee in it, stroops.
        soroban: SorobanTransactionData of a contract call.
        memo: as XDR.
    """
    return b"".join(
        (
            wire.account(lane.source),
            wire.u32(fee),
            wire.i64(lane.sequence),
            bounds.to_xdr(),
            memo,
            wire.array(operations),
            wire.NONE if soroban is None else wire.u32(1) + soroban,
        )
    )


def operation(body: bytes, source: str | None = None) -> bytes:
    """Write an Operation; its source is the transaction's unless another is given."""
    return (wire.NONE if source is None else wire.u32(1) + wire.account(source)) + body


def unsigned(transaction: bytes) -> bytes:
    """Give the envelope of a transaction without signatures, for a simulation."""
    return ENVELOPE_TX + transaction + wire.NONE


def sign(transaction: bytes, network_id: bytes, signers: Sequence[str], signer: Sign) -> tuple[bytes, bytes]:
    """Sign a transaction; give its hash, 32 bytes, and the TransactionV1Envelope.

    Raises:
        UsageError: when more sign than a transaction may carry.
    """
    if not 0 < len(signers) <= MAX_SIGNATURES:
        raise UsageError(f"a transaction carries 1 to {MAX_SIGNATURES} signatures, not {len(signers)}")
    payload = hashlib.sha256(network_id + ENVELOPE_TX + transaction).digest()
    signatures = wire.array([_signature(address, payload, signer) for address in signers])
    return payload, transaction + signatures


def bump(signed: bytes, network_id: bytes, payer: str, fee: int, signer: Sign) -> tuple[bytes, bytes]:
    """Wrap a TransactionV1Envelope in a fee bump; give its hash, 32 bytes, and the envelope to send."""
    outer = wire.account(payer) + wire.i64(fee) + ENVELOPE_TX + signed + wire.NONE
    payload = hashlib.sha256(network_id + ENVELOPE_FEE_BUMP + outer).digest()
    return payload, ENVELOPE_FEE_BUMP + outer + wire.array([_signature(payer, payload, signer)])


def _signature(address: str, payload: bytes, signer: Sign) -> bytes:
    signature = signer(address, payload)
    if len(signature) != _SIGNATURE_BYTES:
        raise InternalError(f"a signature has {_SIGNATURE_BYTES} bytes, not {len(signature)}")
    # The hint is the key's last four bytes.
    return raw_key(address)[-4:] + wire.opaque(signature)
