"""Looking after a store: copies of it, and whether it can be believed. Stands beside bootstrap."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from kalepool.core.facts import LAST_BACKUP
from kalepool.core.sealing import audit_entry, terms_message
from kalepool.errors import LockedError
from kalepool.services.auditing import first_forged
from kalepool.services.comparing import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.core.records import AuditRow
    from kalepool.core.upkeep import Rolled


def back_up(pool: Pool, target: Path) -> int:
    """Copy the pool's store to a new file, checked; give its size in bytes.

    Raises:
        ConfigError: when the name is taken, the disk full, or the store not sound: then there is no copy.
    """
    from kalepool.adapters.store.backup import back_up as copy  # noqa: PLC0415 - see bootstrap

    now = pool.machine_time()
    copy(pool.store, target, now=now)
    # The copy is good whether or not its date can be written down; `doctor` then goes by the one before.
    with suppress(LockedError):
        pool.facts.put(LAST_BACKUP, f"{now:.0f}")
    return target.stat().st_size


def export(pool: Pool, folder: Path, *, as_json: bool) -> dict[str, int]:
    """Write the store as plain files into a new folder; give the number of rows of each table.

    Raises:
        ConfigError: when the folder is there already, or cannot be written.
    """
    from kalepool.adapters.store.export import export as write  # noqa: PLC0415

    return write(pool.store, folder, as_json=as_json)


def due(pool: Pool, keep_days: int | None) -> Rolled:
    """Count what may be rolled up now; days to keep from the configuration where none are given."""
    return pool.roll_up(keep_days).due()


def compact(pool: Pool, keep_days: int | None, told: Callable[[int, int], None]) -> tuple[Rolled, int]:
    """Roll up what is old, piece by piece; give what was done, and how many days were refused.

    Cut off anywhere, it goes on where it was. The file does not shrink: what has become free is used again.

    Args:
        pool: whose store.
        keep_days: days of pails kept one by one, or None for those configured.
        told: is told how many pieces are done, twice: how many there are, nobody knows before.

    Raises:
        LockedError: when another process keeps the store busy.
    """
    roll_up = pool.roll_up(keep_days)
    for pieces in count(1):
        if not roll_up.step():
            break
        told(pieces, pieces)
    return roll_up.done, len(roll_up.refused)


def findings(pool: Pool, file: Path | None) -> list[str]:
    """Check the pool's store, or another file; give what is wrong, a line each.

    Raises:
        ConfigError: when it is missing, not a store, or of another network or version.
    """
    from kalepool.adapters.store.opening import read_store  # noqa: PLC0415
    from kalepool.adapters.store.verify import verify  # noqa: PLC0415

    if file is None:
        return verify(pool.store)
    with read_store(file) as store:
        return verify(store)


def forged_row(pool: Pool) -> int | None:
    """Give the number of the first row of the audit log whose seal does not hold, or None. Unlocks the vault."""
    vault = pool.vault

    def link(before: bytes, row: AuditRow) -> bytes:
        return vault.audit_link(before, audit_entry(row))

    return first_forged(pool.audit.rows(), link)


def forged_terms(pool: Pool) -> list[str]:
    """Give the names of farmers whose terms, as they stand, do not carry this vault's seal. Unlocks the vault."""
    forged = []
    for farmer in pool.farmers.all():
        latest = pool.farmers.agreed(farmer.number)[-1]
        message = terms_message(farmer, latest.terms, latest.from_block)
        if not pool.vault.seal_holds(message, latest.seal):
            forged.append(farmer.name)
    return forged


async def compare_with_chain(pool: Pool) -> Comparison:
    """Compare the books with what the chain holds.

    Raises:
        RetryableError: when no node answers.
    """
    try:
        await pool.chain.check_network()
        return await compare(pool.books, pool.farmers, pool.facts, pool.chain, pool.addresses.operator)
    finally:
        await pool.rpc.close()
