"""Rolling up what is old: into sums by day, then into a brief form, then into its day, a small piece at a time.

Each piece is a transaction of its own and can be cut off anywhere; where it left off is read from the tables.
What may go, and that nothing is lost by it, the database checks: see ``fold_tables``.
"""

# ruff: noqa: S608 - statements are put together from the fixed words of these modules alone

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.day_tables import ADD_FEES, ADD_UP, IN_DAY, NAMES, of
from kalepool.adapters.store.fold_tables import BRIEF_BLOCK, KEY_BLOCK, KINDS, LINES, OVER, SHARE_LIKE, UNPAID
from kalepool.core.reports import DAY_S
from kalepool.core.upkeep import Rolled
from kalepool.errors import InternalError

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store

SETTLED_DOWN: Final = 24
"""Blocks after which pails hardly change any more: as long as the longest harvest interval, and a few."""

FOLDED_EVERY: Final = 12
"""Blocks between two looks for days to fold: about an hour."""

_PAILS_AT_ONCE: Final = 2_000
_INTENTS_AT_ONCE: Final = 16
_ENTRIES_AT_ONCE: Final = 50

_TO_SUM: Final = """
    SELECT block, timestamp / 86400 FROM blocks
    WHERE block > coalesce((SELECT max(last_block) FROM days), -1)
        AND block <= (SELECT max(block) FROM blocks) - ?
    ORDER BY block
"""
_SUM_PAILS: Final = f"""
    INSERT INTO pail_days (day, farmer, {NAMES})
    SELECT ?, farmer, {of("pails", wrap="coalesce(sum({}), 0)")} FROM pails
    WHERE block BETWEEN ? AND ? GROUP BY farmer {ADD_UP}
"""
_SUM_FEES: Final = f"""
    INSERT INTO pail_days (day, farmer, fees)
    SELECT ?, farmer, sum(stroops) FROM pail_fees WHERE block BETWEEN ? AND ? GROUP BY farmer {ADD_FEES}
"""

# Numbers follow time, so only the oldest are looked at: what comes after a few that must stay must stay too.
_INTENTS: Final = f"""
    SELECT number FROM (
        SELECT number FROM intents WHERE kind IN ({KINDS}) AND state IN ({OVER}) ORDER BY number LIMIT ?1
    ) WHERE number < (SELECT max(number) FROM intents)
        AND EXISTS (SELECT 1 FROM intent_items WHERE intent = number)
        AND NOT EXISTS (
            SELECT 1 FROM intent_items WHERE intent = number AND (
                item NOT GLOB 'pail:*' OR {KEY_BLOCK.format(key="item")} > ?2
            )
        )
"""
_ENTRIES: Final = f"""
    SELECT number FROM (SELECT number, key FROM entries WHERE {SHARE_LIKE} ORDER BY number LIMIT ?1)
    WHERE {KEY_BLOCK.format(key="key")} <= ?2
"""
_SHORTEN: Final = f"""
    INSERT INTO brief_entries SELECT key, at, why, {LINES.format(entry="number")} FROM entries
    WHERE number IN (SELECT value FROM json_each(?))
"""

_FOLDABLE: Final = """
    FROM pail_days JOIN farmers ON number = farmer
    WHERE folded = 0 AND custody = 'custodial' AND planned = 0 AND planted = harvested + forfeited + expired
        AND day < (SELECT timestamp / 86400 FROM blocks ORDER BY block DESC LIMIT 1) - ?
"""
_UNPAID: Final = f"SELECT {UNPAID.format(row='one')} FROM pail_days AS one WHERE day = ? AND farmer = ?"
_UNSETTLED: Final = f"SELECT EXISTS (SELECT 1 FROM unsettled WHERE {IN_DAY.format(day='?1')} AND farmer = ?2)"
# Pails leave the table, and the copies of it in memory hold none so old: nobody asks for them any more.
_FOLD: Final = "UPDATE pail_days SET folded = 1 WHERE day = ? AND farmer = ?"
_START: Final = (-1, -1)


class StoreRollUp:
    """Rolls a store up. Fulfils ``ports.Upkeep``.

    Args:
        store: open; pieces are transactions of their own.
        keep_days: how many days of pails are kept one by one.

    Attributes:
        done: what this one has rolled up.
        refused: (day, farmer's number) of what the database would not fold: it is not as it should be.
    """

    def __init__(self, store: Store, keep_days: int) -> None:
        self._store = store
        self._keep_days = keep_days
        self._rested_at: int | None = None
        self._folded_at = -FOLDED_EVERY
        self._looked_at = _START
        self._unpaid: set[int] = set()
        self.done = Rolled()
        self.refused: set[tuple[int, int]] = set()

    def step(self) -> bool:
        """Do one piece, of some milliseconds; False where there is nothing to do until another block is known.

        Raises:
            LockedError: when another process keeps the store busy.
        """
        newest: int | None = self._store.value("SELECT max(block) FROM blocks")
        if newest is None or newest == self._rested_at:
            return False
        if self._sum_up() or self._shorten_intents() or self._shorten_entries():
            return True
        if newest - self._folded_at >= FOLDED_EVERY:
            if self._fold():
                return True
            self._folded_at, self._looked_at = newest, _START
            self._unpaid.clear()
        self._rested_at = newest
        return False

    def due(self) -> Rolled:
        """Count what waits to be rolled up, as of one moment. Takes a pass over what is kept at full length."""
        with self._store.reading():
            brief = self._brief_block()
            found = self._store.all(
                f"SELECT day, farmer, missed + planted {_FOLDABLE}",
                (self._keep_days,),
            )
            free = [
                (day, pails)
                for day, farmer, pails in found
                if not self._is_unsettled(day, farmer) and not self._is_unpaid(day, farmer)
            ]
            days = [day for day, _ in free]
            return Rolled(
                blocks=self._store.value(f"SELECT count(*) FROM ({_TO_SUM})", (SETTLED_DOWN,)),
                intents=self._store.value(f"SELECT count(*) FROM ({_INTENTS})", (-1, brief)),
                entries=self._store.value(f"SELECT count(*) FROM ({_ENTRIES})", (-1, brief)),
                pails=sum(pails for _, pails in free),
                farmer_days=len(free),
                first=float(min(days) * DAY_S) if days else None,
                last=float(max(days) * DAY_S) if days else None,
            )

    def _brief_block(self) -> int:
        block: int = self._store.value(f"SELECT {BRIEF_BLOCK}")
        return block

    def _sum_up(self) -> bool:
        """Add the next blocks to their days."""
        with self._store.atomic():
            row = self._store.one(_TO_SUM + " LIMIT 1", (SETTLED_DOWN,))
            if row is None:
                return False
            begun = self._store.one("SELECT day, last_block FROM days ORDER BY last_block DESC LIMIT 1")
            day_before, before = begun or (row[1], -1)
            # Blocks of few farmers are taken by the dozen, those of many one by one.
            ahead = self._store.all(_TO_SUM + " LIMIT 32", (SETTLED_DOWN,))
            farmers = max(self._store.value("SELECT count(*) FROM farmers"), 1)
            ahead = [one for one in ahead if one[1] == row[1]][: max(_PAILS_AT_ONCE // farmers, 1)]
            last, day = ahead[-1][0], max(row[1], day_before)
            span = (day, before + 1, last)
            self._store.execute(
                "INSERT INTO days VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET last_block = excluded.last_block",
                (day, last),
            )
            self._store.execute(_SUM_PAILS, span)
            self._store.execute(_SUM_FEES, span)
        self.done.blocks += len(ahead)
        return True

    def _shorten_intents(self) -> bool:
        with self._store.atomic():
            numbers = self._store.all(_INTENTS, (_INTENTS_AT_ONCE, self._brief_block()))
            self._store.execute_many("DELETE FROM intents WHERE number = ?", numbers)
        self.done.intents += len(numbers)
        return bool(numbers)

    def _shorten_entries(self) -> bool:
        with self._store.atomic():
            rows = self._store.all(_ENTRIES, (_ENTRIES_AT_ONCE, self._brief_block()))
            if rows:
                self._store.execute(_SHORTEN, (json.dumps([number for (number,) in rows]),))
        self.done.entries += len(rows)
        return bool(rows)

    def _fold(self) -> bool:
        """Look at one day of one farmer, and fold it if nothing of it waits."""
        with self._store.atomic():
            row = self._store.one(
                f"SELECT day, farmer, missed + planted {_FOLDABLE} AND (day, farmer) > (?, ?) ORDER BY day, farmer LIMIT 1",
                (self._keep_days, *self._looked_at),
            )
            if row is None:
                return False
            day, farmer, pails = row
            self._looked_at = day, farmer
            if farmer in self._unpaid or (day, farmer) in self.refused or self._is_unsettled(day, farmer):
                return True
            if self._is_unpaid(day, farmer):
                # Claims are paid oldest first: where one waits, later ones do.
                self._unpaid.add(farmer)
                return True
            try:
                with self._store.atomic():
                    self._store.execute(_FOLD, (day, farmer))
            except InternalError:
                # The database found that something is not as it should be, or is still open. It stays as it is.
                self.refused.add((day, farmer))
                return True
        done = self.done
        done.pails, done.farmer_days = done.pails + pails, done.farmer_days + 1
        done.first = float(day * DAY_S) if done.first is None else done.first
        done.last = float(day * DAY_S)
        return True

    def _is_unsettled(self, day: int, farmer: int) -> bool:
        return bool(self._store.value(_UNSETTLED, (day, farmer)))

    def _is_unpaid(self, day: int, farmer: int) -> bool:
        return bool(self._store.value(_UNPAID, (day, farmer)))
