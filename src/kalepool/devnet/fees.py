"""What resources cost, and how much of it comes back.

Rates are the public network's, in stroops (network settings read in 2026). Rent and events are a
model: their rates move with the size of the ledger there, and stand still here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.devnet.entries import Account, Trustline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalepool.devnet.entries import Entry
    from kalepool.devnet.transactions import SorobanData

BASE_FEE = 100

_PER_10_000_INSTRUCTIONS = 7
_DISK_READ_ENTRY = 1_563
_DISK_READ_KB = 447
_WRITE_ENTRY = 2_500
_WRITE_KB = 875
_TRANSACTION = 406
_ENVELOPE_KB = 4_059
_HISTORY_BYTES = 300

_EVENTS_KB = 2_500
_RENT_KB = 1_000
_TEMPORARY_RENT_DENOMINATOR = 2_430
_PERSISTENT_RENT_DENOMINATOR = 1_215
_TTL_ENTRY_BYTES = 48

_CLASSIC = (xdr.LedgerEntryType.ACCOUNT.value, xdr.LedgerEntryType.TRUSTLINE.value)


@dataclass(frozen=True, slots=True)
class FeeParts:
    """How a Soroban transaction's resource fee divides, in stroops.

    Attributes:
        non_refundable: for declared resources, charged whatever happens.
        rent: for the time that entries live.
        events: for events and return value.
    """

    non_refundable: int
    rent: int = 0
    events: int = 0

    @property
    def refundable(self) -> int:
        """What is charged for use rather than for declaration."""
        return self.rent + self.events


def is_classic_key(key: bytes) -> bool:
    """Tell whether the key is an account's or a trustline's: the entries that are read from disk."""
    return int.from_bytes(key[:4], "big") in _CLASSIC


def non_refundable_fee(resources: SorobanData, envelope_bytes: int) -> int:
    """Give the stroops charged for declared resources and the envelope's size."""
    disk_reads = sum(map(is_classic_key, resources.read_only + resources.read_write))
    return (
        _ceil(resources.instructions * _PER_10_000_INSTRUCTIONS, 10_000)
        + disk_reads * _DISK_READ_ENTRY
        + _ceil(resources.disk_read_bytes * _DISK_READ_KB, 1024)
        + len(resources.read_write) * _WRITE_ENTRY
        + _ceil(resources.write_bytes * _WRITE_KB, 1024)
        + _TRANSACTION
        + _ceil((envelope_bytes + _HISTORY_BYTES) * _ENVELOPE_KB, 1024)
    )


def events_fee(size: int) -> int:
    """Give the stroops for so many bytes of events and return value."""
    return _ceil(size * _EVENTS_KB, 1024)


def rent_fee(changes: Iterable[tuple[Entry | None, Entry | None]], sequence: int) -> int:
    """Give the stroops for the time that changed contract entries will live longer than before.

    Args:
        changes: (before, after) of each changed entry.
        sequence: this ledger.
    """
    fee = 0
    for before, after in changes:
        if after is None or after.live_until is None:
            continue
        paid_until = (
            before.live_until if before is not None and before.live_until is not None else sequence - 1
        )
        ledgers = after.live_until - max(paid_until, sequence - 1)
        if ledgers <= 0:
            continue
        denominator = _TEMPORARY_RENT_DENOMINATOR if after.temporary else _PERSISTENT_RENT_DENOMINATOR
        fee += _ceil(after.size * _RENT_KB * ledgers, 1024 * denominator)
        if before is not None:
            fee += _ceil(_TTL_ENTRY_BYTES * _WRITE_KB, 1024)
    return fee


def disk_read_bytes(entries: Iterable[Entry]) -> int:
    """Give the bytes that reading these entries takes from disk: classic ones alone."""
    return sum(entry.size for entry in entries if isinstance(entry.value, Account | Trustline))


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
