"""The books: double entry in stroops. An entry, once in, is not changed; old ones leave into sums by day (``roll_up``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.core.bookings import Booking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.store.db import Store


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to the books.

    Attributes:
        key: unique: the same thing is never booked twice.
        postings: (account, asset, stroops); those to one account and asset count as one, zeros as none.
        at: network time of it, Unix seconds.
        why: a note for people.
        intent: the intent it settles, or None.
    """

    key: str
    postings: tuple[tuple[str, str, int], ...]
    at: float
    why: str = ""
    intent: int | None = None


def post_all(store: Store, entries: Sequence[Entry]) -> None:
    """Write entries whose keys are new, in one transaction. One without postings leaves no trace.

    Raises:
        InternalError: when an entry does not sum to zero for each asset, or its key is taken.
    """
    with store.atomic():
        number: int = store.value("SELECT coalesce(max(number), 0) FROM entries")
        sealed, posted = [], []
        for entry in entries:
            sums: dict[tuple[str, str], int] = {}
            for account, asset, stroops in entry.postings:
                line = account, asset
                sums[line] = sums.get(line, 0) + stroops
            lines = [(number + 1, *line, stroops, entry.at) for line, stroops in sums.items() if stroops]
            if lines:
                number += 1
                posted += lines
                sealed.append((number, entry.key, entry.intent, entry.why, entry.at))
        store.execute_many("INSERT INTO postings VALUES (?, ?, ?, ?, ?)", posted)
        # The entry closes its postings: the database refuses it unless they sum to zero.
        store.execute_many("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", sealed)


def _bookings(rows: Sequence[tuple[str, str, str, int, float, str]]) -> dict[str, Booking]:
    found: dict[str, Booking] = {}
    for key, account, asset, stroops, at, why in rows:
        before = found[key].postings if key in found else ()
        found[key] = Booking(key, (*before, (account, asset, stroops)), at, why)
    return found


class StoreBooks:
    """The books of a store. Fulfils ``ports.Books``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def post(self, key: str, postings: Sequence[tuple[str, str, int]], *, at: float, why: str = "") -> bool:
        """Book what no intent of ours did, such as a stranger's harvest; False where it was booked before.

        Raises:
            InternalError: when the postings do not sum to zero for each asset.
        """
        with self._store.atomic():
            if self.find([key]):
                return False
            post_all(self._store, [Entry(key, tuple(postings), at, why)])
            return True

    def post_all(self, bookings: Sequence[Booking]) -> list[bool]:
        """Book many in one transaction; False where one was booked before, or has no postings.

        Raises:
            InternalError: when postings do not sum to zero for each asset.
        """
        with self._store.atomic():
            known = self.find([one.key for one in bookings])
            fresh: dict[str, Booking] = {}
            answers = []
            for one in bookings:
                new = one.key not in known and one.key not in fresh and bool(one.postings)
                answers.append(new)
                if new:
                    fresh[one.key] = one
            post_all(self._store, [Entry(one.key, one.postings, one.at, one.why) for one in fresh.values()])
        return answers

    def find(self, keys: Sequence[str]) -> dict[str, Booking]:
        """Give what is booked under these keys; what is not, or is folded into a day, is left out."""
        wanted = (json.dumps(list(keys)),)
        rows = self._store.all(
            "SELECT key, account, asset, stroops, entries.at, why FROM entries "
            "JOIN postings ON entry = number WHERE key IN (SELECT value FROM json_each(?))",
            wanted,
        )
        brief = self._store.all(
            "SELECT key, at, why, postings FROM brief_entries WHERE key IN (SELECT value FROM json_each(?))",
            wanted,
        )
        return _bookings(rows) | {
            key: Booking(key, tuple((*line,) for line in json.loads(lines)), at, why)
            for key, at, why, lines in brief
        }

    def last_paid(self, prefix: str) -> dict[str, float]:
        """Give when something last went out of each account that begins so: network time, Unix seconds."""
        rows = self._store.all(
            "SELECT account, max(at) FROM postings WHERE account GLOB ? AND stroops < 0 GROUP BY account",
            (f"{prefix}*",),
        )
        return dict(rows)

    def balance(self, account: str, asset: str) -> int:
        """Give the balance of an account; 0 where nothing was ever posted."""
        row = self._store.one(
            "SELECT stroops FROM balances WHERE account = ? AND asset = ?", (account, asset)
        )
        return 0 if row is None else row[0]

    def balances(self, prefix: str = "") -> dict[tuple[str, str], int]:
        """Give every balance by (account, asset), or those of accounts that begin so."""
        rows = self._store.all(
            "SELECT account, asset, stroops FROM balances WHERE account GLOB ?", (f"{prefix}*",)
        )
        return {(account, asset): stroops for account, asset, stroops in rows}

    def total(self) -> int:
        """Give the sum of all postings, counted anew: zero, or something is broken."""
        # In halves: on the way to zero a sum may pass what an integer of SQLite's can hold.
        row = self._store.one(
            "SELECT coalesce(sum(stroops >> 32), 0), coalesce(sum(stroops & 0xFFFFFFFF), 0) FROM ("
            "SELECT stroops FROM postings UNION ALL SELECT received - paid FROM day_postings)"
        )
        assert row is not None
        high, low = row
        total: int = (high << 32) + low
        return total

    def turnover(self, account: str, asset: str, since: float, until: float) -> tuple[int, int]:
        """Give what went into an account and out of it, in stroops, both positive.

        What is folded into its day counts where the whole day lies between.

        Args:
            account: which.
            asset: of what.
            since: network time, counted in.
            until: network time, not counted in.
        """
        row = self._store.one(
            "SELECT coalesce(sum(received), 0), coalesce(sum(paid), 0) FROM ("
            "SELECT max(stroops, 0) AS received, max(-stroops, 0) AS paid FROM postings "
            "WHERE account = ?1 AND asset = ?2 AND at >= ?3 AND at < ?4 "
            "UNION ALL SELECT received, paid FROM day_postings "
            "WHERE account = ?1 AND asset = ?2 AND day * 86400 >= ?3 AND (day + 1) * 86400 <= ?4)",
            (account, asset, since, until),
        )
        assert row is not None
        return row[0], row[1]

    def movements(self, since: float, until: float) -> list[tuple[str, str, int, int]]:
        """Give (account, asset, stroops in, stroops out) of every account that moved between two network times.

        What is folded into its day counts where the whole day lies between.
        """
        rows = self._store.all(
            "SELECT account, asset, sum(received), sum(paid) FROM ("
            "SELECT account, asset, max(stroops, 0) AS received, max(-stroops, 0) AS paid FROM postings "
            "WHERE at >= ?1 AND at < ?2 "
            "UNION ALL SELECT account, asset, received, paid FROM day_postings "
            "WHERE day * 86400 >= ?1 AND (day + 1) * 86400 <= ?2) GROUP BY account, asset",
            (since, until),
        )
        return [(account, asset, received, paid) for account, asset, received, paid in rows]
