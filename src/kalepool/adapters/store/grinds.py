"""Nonce cursors and best proofs, so that a restart hashes nothing twice and loses no proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.farm import Proof
from kalepool.core.records import Grind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.store.db import Store

_NONCE_BYTES: Final = 8

# Another entropy is another block (a reorganised test network): what was known is worth nothing.
_PUT: Final = """
    INSERT INTO grinds VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (block, farmer) DO UPDATE SET
        cursor = iif(entropy = excluded.entropy, max(cursor, excluded.cursor), excluded.cursor),
        nonce = iif(entropy = excluded.entropy AND zeros >= excluded.zeros, nonce, excluded.nonce),
        hash = iif(entropy = excluded.entropy AND zeros >= excluded.zeros, hash, excluded.hash),
        zeros = iif(entropy = excluded.entropy AND zeros >= excluded.zeros, zeros, excluded.zeros),
        entropy = excluded.entropy
"""


class StoreGrinds:
    """How far each farmer's nonces have been searched. Fulfils ``ports.Grinds``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def save(self, grinds: Sequence[Grind]) -> None:
        """Remember cursors and proofs; a cursor never goes back, a proof never gets worse."""
        with self._store.atomic():
            self._store.execute_many(_PUT, [_row(grind) for grind in grinds])

    def load(self, block: int, entropy: bytes) -> list[Grind]:
        """Give what is known of a block with this entropy, by farmer."""
        rows = self._store.all(
            "SELECT farmer, cursor, nonce, hash, zeros FROM grinds WHERE block = ? AND entropy = ? ORDER BY farmer",
            (block, entropy),
        )
        return [
            Grind(
                farmer,
                block,
                entropy,
                int.from_bytes(cursor, "big"),
                None if nonce is None else Proof(block, int.from_bytes(nonce, "big"), digest, zeros),
            )
            for farmer, cursor, nonce, digest, zeros in rows
        ]

    def forget(self, before: int) -> None:
        """Drop what is known of blocks before one: they are over."""
        self._store.execute("DELETE FROM grinds WHERE block < ?", (before,))

    def count(self, block: int, hashes: int, milliseconds: int) -> None:
        """Add hashes done while a block was the current one, and the time that the pool mined meanwhile."""
        self._store.execute(
            "INSERT INTO hashing VALUES (?, ?, ?) ON CONFLICT (block) DO UPDATE SET "
            "hashes = hashes + excluded.hashes, milliseconds = milliseconds + excluded.milliseconds",
            (block, hashes, milliseconds),
        )


def _row(grind: Grind) -> tuple[object, ...]:
    cursor = grind.cursor.to_bytes(_NONCE_BYTES, "big")
    best = grind.best
    proof = (
        (None, None, -1)
        if best is None
        else (best.nonce.to_bytes(_NONCE_BYTES, "big"), best.hash, best.zeros)
    )
    return (grind.block, grind.farmer, grind.entropy, cursor, *proof)
