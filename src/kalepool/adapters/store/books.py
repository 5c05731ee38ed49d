"""The books: double entry in stroops. An entry, once in, is neither changed nor taken out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
            sums: Counter[tuple[str, str]] = Counter()
            for account, asset, stroops in entry.postings:
                sums[account, asset] += stroops
            lines = [(*line, stroops) for line, stroops in sums.items() if stroops]
            if lines:
                number += 1
                posted += [(number, *line, entry.at) for line in lines]
                sealed.append((number, entry.key, entry.intent, entry.why, entry.at))
        store.execute_many("INSERT INTO postings VALUES (?, ?, ?, ?, ?)", posted)
        # The entry closes its postings: the database refuses it unless they sum to zero.
        store.execute_many("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", sealed)


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
            if self._store.one("SELECT 1 FROM entries WHERE key = ?", (key,)):
                return False
            post_all(self._store, [Entry(key, tuple(postings), at, why)])
            return True

    def balance(self, account: str, asset: str) -> int:
        """Give the balance of an account; 0 where nothing was ever posted."""
        row = self._store.one(
            "SELECT stroops FROM balances WHERE account = ? AND asset = ?", (account, asset)
        )
        return 0 if row is None else row[0]

    def balances(self) -> dict[tuple[str, str], int]:
        """Give every balance by (account, asset)."""
        rows = self._store.all("SELECT account, asset, stroops FROM balances")
        return {(account, asset): stroops for account, asset, stroops in rows}

    def total(self) -> int:
        """Give the sum of all postings, counted anew: zero, or something is broken."""
        total: int = self._store.value("SELECT coalesce(sum(stroops), 0) FROM postings")
        return total

    def turnover(self, account: str, asset: str, since: float, until: float) -> tuple[int, int]:
        """Give what went into an account and out of it, in stroops, both positive.

        Args:
            account: which.
            asset: of what.
            since: network time, counted in.
            until: network time, not counted in.
        """
        row = self._store.one(
            "SELECT coalesce(sum(max(stroops, 0)), 0), coalesce(sum(max(-stroops, 0)), 0) FROM postings "
            "WHERE account = ? AND asset = ? AND at >= ? AND at < ?",
            (account, asset, since, until),
        )
        assert row is not None
        return row[0], row[1]

    def movements(self, since: float, until: float) -> list[tuple[str, str, int, int]]:
        """Give (account, asset, stroops in, stroops out) of every account that moved between two network times."""
        rows = self._store.all(
            "SELECT account, asset, sum(max(stroops, 0)), sum(max(-stroops, 0)) FROM postings "
            "WHERE at >= ? AND at < ? GROUP BY account, asset",
            (since, until),
        )
        return [(account, asset, received, paid) for account, asset, received, paid in rows]
