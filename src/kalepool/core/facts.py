"""Names of the small things that a store remembers (``ports.Facts``), for whoever sets or reads them."""

from __future__ import annotations

from typing import Final

CONTRACT_CODE: Final = "agreed-code"
"""Hex of the hash of the KALE contract's code that the operator agreed to, 32 bytes."""

RESTORED: Final = "restored-from-backup"
"""Set in every backup: while it stands, payouts made after the backup may be unknown here."""

BOOKED: Final = "booked-ledger"
"""The last ledger whose moves by others are in the books."""

UNREAD: Final = "unread-from-ledger"
"""From which ledger on payments of ours may be unknown here, until they have been read back."""

READ_BACK: Final = "read-back-ledger"
"""Up to which ledger payments that were unknown here have been read back, or confirmed by a person."""

UNSEEN: Final = "unseen-ledgers"
"""Ledgers of which nothing can be read any more and nothing is booked, such as ``100-250 300-310``."""

LAST_BACKUP: Final = "backup:last"
"""When ``db backup`` last made a copy, Unix seconds on the machine's clock."""

DELAYS: Final = "inclusion-delays"
"""Ledgers that the latest plants and works took to land, the oldest first, parted by spaces."""

POOL_READINGS: Final = "liquidity-pool"
"""What the liquidity pool told lately, as ``core.prices.Readings`` writes it."""

FEES_PAID: Final = "fees-paid"
"""What the latest calls of each kind cost, in thousandths of what the model says."""

HASH_RATE: Final = "hash-rate"
"""Hashes a second that the machine did lately, a whole number."""


def opening(address: str) -> str:
    """Name the fact that an account's balance was taken into the books: the ledger in which it was read."""
    return f"opening:{address}"


def spans(text: str | None) -> list[tuple[int, int]]:
    """Read ranges of ledgers as ``UNSEEN`` writes them, both ends counted in; none where nothing is remembered."""
    parts = [span.partition("-") for span in (text or "").split()]
    return [(int(first), int(last)) for first, _, last in parts]
