"""What was last seen of the network, for commands that do not ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.chain import AccountState
from kalepool.core.records import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.store.db import Store


class StoreViews:
    """The last snapshot, and accounts as last read. Fulfils ``ports.Views``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def save(self, view: View) -> None:
        """Put a view in the place of the last one."""
        self._store.execute(
            "INSERT OR REPLACE INTO view VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
            (
                view.ledger,
                view.close_time,
                view.block,
                view.paused,
                view.operator_xlm,
                view.hashrate,
                view.seen_at,
            ),
        )

    def last(self) -> View | None:
        """Give the last view; None where the network was never seen."""
        row = self._store.one(
            "SELECT ledger, close_time, block, paused, operator_xlm, hashrate, seen_at FROM view"
        )
        if row is None:
            return None
        ledger, close_time, block, paused, *rest = row
        return View(ledger, close_time, block, bool(paused), *rest)

    def save_accounts(self, accounts: Sequence[AccountState], ledger: int) -> None:
        """Remember accounts as they were in a ledger, in the place of what was known of them."""
        with self._store.atomic():
            self._store.execute_many(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        one.address,
                        one.xlm,
                        one.spendable,
                        one.sequence,
                        one.kale,
                        one.kale_limit,
                        one.sponsor,
                        ledger,
                    )
                    for one in accounts
                ],
            )

    def accounts(self) -> dict[str, AccountState]:
        """Give every account as last read, by address."""
        rows = self._store.all(
            "SELECT address, xlm, spendable, sequence, kale, kale_limit, sponsor, ledger FROM accounts"
        )
        return {row[0]: AccountState(*row) for row in rows}
