"""Whether the audit log is what was written: every row sealed together with the one before."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kalepool.core.records import AuditRow

_START: Final = bytes(32)


def first_forged(rows: Iterable[AuditRow], link: Callable[[bytes, AuditRow], bytes]) -> int | None:
    """Give the number of the first row whose seal does not hold, or None.

    Rows cut off at the end leave no trace here: a log that is shorter than in a backup is a finding of its own.

    Args:
        rows: of the log, oldest first.
        link: gives the MAC over the chain before a row and the row.
    """
    before = _START
    for row in rows:
        if not hmac.compare_digest(link(before, row), row.chain):
            return row.number
        before = row.chain
    return None
