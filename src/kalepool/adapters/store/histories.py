"""What was harvested and paid for one farmer, with the transactions that did it. Nothing here writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kalepool.core.reports import DAY_S
from kalepool.core.shares import Claim, owed, paid, shared
from kalepool.core.statements import FoldedDay, Payment

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store


class StoreHistories:
    """Farmers' histories in a store. Fulfils ``ports.Histories``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def payments(self, farmer: int) -> list[Payment]:
        """Give what was paid on account of a farmer, by time."""
        found = []
        for claim in Claim:
            rows = self._store.all(
                # The key of a payment that was read back ends with its hash.
                "SELECT entries.at, stroops, coalesce(outer_hashes, iif(entries.key GLOB 'returned:*', "
                "json_array(substr(entries.key, -64)), json_array(''))) FROM postings JOIN entries ON entries.number = entry "
                "LEFT JOIN attempts ON attempts.intent = entries.intent AND verdict = 'landed' "
                "WHERE account = ? AND asset = 'KALE' AND stroops > 0",
                (paid(claim, farmer),),
            )
            found += [Payment(claim, at, stroops, json.loads(hashes)[-1]) for at, stroops, hashes in rows]
        return sorted(found, key=lambda one: (one.at, one.claim))

    def harvests(self, farmer: int) -> dict[int, str]:
        """Give the hash, hex, of the transaction that harvested each block's pail, where it was ours."""
        prefix = f"pail:{farmer}:"
        rows = self._store.all(
            "SELECT item, outer_hashes FROM intents JOIN intent_items ON intent_items.intent = intents.number "
            "JOIN attempts ON attempts.intent = intents.number AND verdict = 'landed' "
            "WHERE purpose GLOB ? AND state = 'settled' AND item GLOB ? ORDER BY intents.number",
            (f"harvest:{farmer}:*", f"{prefix}*"),
        )
        brief = self._store.all(
            "SELECT block, hash FROM brief_intents WHERE farmer = ? AND kind = 'harvest' AND state = 'settled' "
            "AND hash IS NOT NULL ORDER BY intent",
            (farmer,),
        )
        return dict(brief) | {int(item.removeprefix(prefix)): json.loads(hashes)[-1] for item, hashes in rows}

    def days(self, farmer: int) -> list[FoldedDay]:
        """Give the days of which a farmer's pails are folded, by time."""
        shares, pools, fees = (
            self._turned(shared(part, farmer), "paid") for part in ("farmer", "pool", "fee")
        )
        losses = self._turned(owed(Claim.COMPENSATION, farmer), "received")
        rows = self._store.all(
            "SELECT day, planted, harvested, forfeited + expired, staked, "
            "stake_forfeited + stake_expired + stake_unpaid, reward FROM pail_days WHERE farmer = ? AND folded = 1 ORDER BY day",
            (farmer,),
        )
        return [
            FoldedDay(
                float(day * DAY_S),
                *counts,
                *(turned.get(day, 0) for turned in (fees, shares, pools, losses)),
            )
            for day, *counts in rows
        ]

    def _turned(self, account: str, which: str) -> dict[int, int]:
        rows = self._store.all(
            f"SELECT day, {which} FROM day_postings WHERE account = ? AND asset = 'KALE'",  # noqa: S608 - a column
            (account,),
        )
        return dict(rows)
