"""What ``status`` and ``report`` read: counts and sums made in the database. Nothing here writes."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from kalepool.adapters.store.day_tables import MEASURES
from kalepool.adapters.store.fold_tables import KEY_BLOCK, KEY_FARMER
from kalepool.adapters.store.owners import is_dead, look_up
from kalepool.adapters.store.pails import StorePails
from kalepool.adapters.store.processes import is_alive
from kalepool.core.farmers import FarmerState
from kalepool.core.intents import State
from kalepool.core.reports import DAY_S, By, HashedDay, Holder, Line, Overview

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.processes import Process

_NEVER: Final = 2**62
_FIRST_BLOCK: Final = 0
_LAST_BLOCK: Final = 2**62
_SHOWN: Final = (
    *("missed", "planted", "worked", "harvested", "forfeited", "expired"),
    *("staked", "returned", "stake_forfeited", "stake_expired", "stake_unpaid", "reward", "gaps", "zeros"),
    *("planned_pails", "planned_gaps", "planned_millizeros", "planned_reward", "met_reward"),
)
"""Sums of a pail as ``day_tables.MEASURES`` names them, in the order of ``Line``; fees follow."""

_OF_PAILS: Final = ", ".join(f"coalesce(sum({MEASURES[name].format(row='pails')}), 0)" for name in _SHOWN)
_OF_DAYS: Final = ", ".join(f"sum({name})" for name in (*_SHOWN, "fees"))


def _lines(line: str, farmers: str, *, blocks: str = "") -> str:
    """Write the query whose rows are line, farmers, the sums and the fees of pails from one block to another.

    Pails and fees are summed apart and joined by line: a look-up for every pail would take three times as long.
    """
    return f"""
        SELECT sums.*, coalesce(fees, 0) FROM
            (SELECT {line} AS line, {farmers} AS farmers, {_OF_PAILS} FROM pails {blocks}
                WHERE block BETWEEN ?1 AND ?2 GROUP BY 1) AS sums
            LEFT JOIN (SELECT {line} AS line, sum(stroops) AS fees FROM pail_fees {blocks}
                WHERE block BETWEEN ?1 AND ?2 GROUP BY 1) AS paid ON paid.line IS sums.line
    """  # noqa: S608 - put together from what stands below


_IN_DETAIL: Final = {
    By.FARMER: _lines("farmer", "1"),
    By.DAY: _lines("timestamp / 86400", "count(DISTINCT farmer)", blocks="LEFT JOIN blocks USING (block)"),
    By.BLOCK: _lines("block", "count(*)"),
}
_DAYS: Final = "day >= ? AND day < ?"
_HAD_PAILS: Final = "planned + missed + planted > 0"
_IN_DAYS: Final = {
    By.FARMER: f"SELECT farmer, 1, {_OF_DAYS} FROM pail_days WHERE {_DAYS} AND {_HAD_PAILS} GROUP BY 1",  # noqa: S608
    By.DAY: f"SELECT day, count(*), {_OF_DAYS} FROM pail_days WHERE {_DAYS} AND {_HAD_PAILS} GROUP BY 1",  # noqa: S608
}
_FOLDED: Final = f"""
    SELECT day, (SELECT max(last_block) FROM days AS before WHERE before.day < days.day), last_block,
        count(*), {_OF_DAYS}
    FROM pail_days JOIN days USING (day) WHERE day >= ? AND folded = 1 GROUP BY day ORDER BY day
"""  # noqa: S608
_Row: TypeAlias = tuple[Any, ...]


# Losses are few and stand together under their keys, loss:FARMER:BLOCK, so they are read by themselves.
_LOSSES: Final = f"""
    SELECT {KEY_FARMER.format(key="key")} AS farmer, {KEY_BLOCK.format(key="key")} AS block, stroops
    FROM entries JOIN postings ON entry = number
    WHERE key GLOB 'loss:*' AND account GLOB 'owed:compensation:*'
    UNION ALL SELECT
        {KEY_FARMER.format(key="brief_entries.key")}, {KEY_BLOCK.format(key="brief_entries.key")}, line.value ->> 2
    FROM brief_entries, json_each(postings) AS line
    WHERE brief_entries.key GLOB 'loss:*' AND line.value ->> 0 GLOB 'owed:compensation:*'
"""  # noqa: S608 - fixed words
_COMPENSATED: Final = {
    By.FARMER: "SELECT farmer, sum(stroops) FROM losses WHERE block >= ? GROUP BY 1",
    By.DAY: "SELECT timestamp / 86400, sum(stroops) FROM losses LEFT JOIN blocks USING (block) "
    "WHERE block >= ? GROUP BY 1",
    By.BLOCK: "SELECT block, sum(stroops) FROM losses WHERE block >= ? GROUP BY 1",
}
_OF_FOLDED: Final = """
    SELECT {line}, sum(received) FROM pail_days JOIN day_postings USING (day)
    WHERE folded = 1 AND account = 'owed:compensation:' || farmer AND asset = 'KALE' AND day >= ? GROUP BY 1
"""
_FOLDED_LOSSES: Final = {
    By.FARMER: _OF_FOLDED.format(line="farmer"),
    By.DAY: _OF_FOLDED.format(line="day"),
}


class StoreReports:
    """Counts and sums over a store. Fulfils ``ports.Reports``.

    Args:
        store: an open store.
        now: the machine's clock, Unix seconds.
        probe: whether a process lives; None where that cannot be known.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        probe: Callable[[Process], bool | None] = is_alive,
    ) -> None:
        self._store = store
        self._now = now
        self._probe = probe

    def overview(self) -> Overview:
        """Tell where the pool stands, as of one moment."""
        with self._store.reading():
            farmers = dict(self._store.all("SELECT state, count(*) FROM farmers GROUP BY state"))
            intents = dict(self._store.all("SELECT state, count(*) FROM open_intents GROUP BY state"))
            unresolved = intents.pop(State.UNRESOLVED.value, 0)
            return Overview(
                farmers={state: farmers.get(state.value, 0) for state in FarmerState},
                pails=StorePails(self._store).counts(),
                at_work=self._store.value(
                    "SELECT coalesce(sum(stake), 0) FROM pail_totals "
                    "WHERE state IN ('planted', 'worked', 'harvestable')"
                ),
                open_intents=sum(intents.values()),
                unresolved=unresolved,
                holder=self._holder(),
            )

    def expiring(self, before: int) -> tuple[int, int | None]:
        """Count worked pails that will die before a ledger, by their own or their Block's end; and give the first end."""
        row = self._store.one(
            "SELECT count(*), min(ends) FROM ("
            "SELECT min(coalesce(alive_pails.live_until, blocks.live_until), "
            "coalesce(blocks.live_until, alive_pails.live_until)) AS ends "
            "FROM alive_pails LEFT JOIN blocks ON blocks.block = alive_pails.block "
            "WHERE state IN ('worked', 'harvestable')) WHERE ends < ?",
            (before,),
        )
        assert row is not None
        return row[0], row[1]

    def day_fees(self, days: int) -> list[tuple[int, int]]:
        """Give (day since 1970, XLM fees in stroops) of the last days that had any, the latest first."""
        rows = self._store.all("SELECT day, stroops FROM day_fees ORDER BY day DESC LIMIT ?", (days,))
        return [(day, stroops) for day, stroops in rows]

    def other_fees(self, since: float | None) -> int:
        """Give the XLM fees in stroops that belong to no pail, from a network time on, or all."""
        total: int = self._store.value(
            "SELECT coalesce(sum(stroops), 0) FROM other_fees WHERE at >= ?", (since or 0,)
        )
        return total

    def channels(self) -> list[str]:
        """Give the addresses of the channel accounts, by number."""
        return [address for (address,) in self._store.all("SELECT address FROM channels ORDER BY number")]

    def lines(self, by: By, since: float | None) -> list[Line]:
        """Give the lines of a report.

        Days that are summed are read as sums, and the rest pail by pail. Where a day is folded, there is no
        more than its sum: it counts whole, and in a report by block it is a line ``FIRST..LAST``.

        Args:
            by: what a line stands for; farmers come by number, days and blocks in their order.
            since: network time: blocks that opened then or later count; None for all pails.
        """
        with self._store.reading():
            first = 0
            if since is not None:
                found = self._store.value("SELECT min(block) FROM blocks WHERE timestamp >= ?", (since,))
                if found is None:
                    return []
                first = found
            names = dict(self._store.all("SELECT number, name FROM farmers")) if by is By.FARMER else {}
            if by is By.BLOCK:
                return self._by_block(first)
            rows, owed = self._rows(by, first), self._compensated(by, first)
        keys = names if by is By.FARMER else {day: _day_name(day) for day, *_ in rows}
        return [Line(keys[one], *(*sums, owed.get(one, 0))) for one, *sums in rows]

    def hashed(self, since: float | None) -> list[HashedDay]:
        """Give how much was hashed in each day's blocks, from those that opened at a network time on, or all."""
        rows = self._store.all(
            "SELECT date(timestamp / 86400 * 86400, 'unixepoch'), sum(hashes), sum(milliseconds) "
            "FROM hashing JOIN blocks USING (block) WHERE timestamp >= ? GROUP BY 1 ORDER BY 1",
            (since or 0,),
        )
        return [HashedDay(*row) for row in rows]

    def _compensated(self, by: By, first: int) -> Counter[int | None]:
        """Give what was owed for lost stakes, by the number of the farmer, the day or the block."""
        owed: Counter[int | None] = Counter()
        rows = self._store.all(f"WITH losses AS ({_LOSSES}) {_COMPENSATED[by]}", (first,))
        if by is not By.BLOCK:
            day, _ = self._first_whole_day(first)
            rows += self._store.all(_FOLDED_LOSSES[by], (day,))
        for key, stroops in rows:
            owed[key] += stroops
        return owed

    def folded_until(self) -> float | None:
        """Give the network time before which days may be folded: no pail of theirs is kept; None without any."""
        day = self._store.value("SELECT max(day) FROM pail_days WHERE folded = 1")
        return None if day is None else float((day + 1) * DAY_S)

    def _first_whole_day(self, first: int) -> tuple[int, int]:
        """Give the first day to be read as sums, and the first block that no day has the sum of."""
        summed: int | None = self._store.value("SELECT max(last_block) FROM days")
        begun = self._store.one(
            "SELECT day, last_block, (SELECT max(last_block) FROM days AS before WHERE before.day < days.day), "
            "EXISTS (SELECT 1 FROM pail_days WHERE pail_days.day = days.day AND folded = 1) "
            "FROM days WHERE last_block >= ? ORDER BY last_block LIMIT 1",
            (first,),
        )
        if summed is None or begun is None:
            return _NEVER, _FIRST_BLOCK
        day, _, before, is_folded = begun
        is_whole = is_folded or first <= (-1 if before is None else before) + 1
        return (day if is_whole else day + 1), summed + 1

    def _rows(self, by: By, first: int) -> list[_Row]:
        day, beyond = self._first_whole_day(first)
        until = _NEVER
        if by is By.DAY and beyond > _FIRST_BLOCK:
            # Of a day that is summed in part, nobody could say how many farmers it had.
            until = self._store.value("SELECT max(day) FROM days")
            beyond = 1 + self._store.value(
                "SELECT coalesce(max(last_block), -1) FROM days WHERE day < ?", (until,)
            )
        rows = self._store.all(_IN_DAYS[by], (day, until))
        spans = [(max(first, beyond), _LAST_BLOCK)]
        if first < beyond and (cut := self._cut_day(first, day)) is not None:
            spans.append((first, cut))
        for span in spans:
            rows += self._store.all(_IN_DETAIL[by], span)
        return _added(rows)

    def _cut_day(self, first: int, day: int) -> int | None:
        """Give the last block of the day in whose midst a report begins; None where it begins with a day."""
        last: int | None = self._store.value("SELECT max(last_block) FROM days WHERE day < ?", (day,))
        return None if last is None or last < first else last

    def _by_block(self, first: int) -> list[Line]:
        day, _ = self._first_whole_day(first)
        owed = self._compensated(By.BLOCK, first)
        of_days = dict(self._store.all(_FOLDED_LOSSES[By.DAY], (day,)))
        lines = []
        for one, before, last, *sums in self._store.all(_FOLDED, (day,)):
            begun = 0 if before is None else before + 1
            lines.append((begun, Line(f"{begun}..{last}", *(*sums, of_days.get(one, 0)))))
        lines += [
            (block, Line(str(block), *(*sums, owed[block])))
            for block, *sums in self._store.all(_IN_DETAIL[By.BLOCK], (first, _LAST_BLOCK))
        ]
        return [line for _, line in sorted(lines, key=lambda one: (one[0], "." not in one[1].key))]

    def _holder(self) -> Holder | None:
        held = self._store.one("SELECT owner, since FROM mining_lock")
        if held is None:
            return None
        row = look_up(self._store, held[0])
        alive = not is_dead(row, self._now(), self._probe)
        return Holder(row.role, row.process.pid, row.process.host, held[1], row.heartbeat, alive)


def _added(rows: Sequence[_Row]) -> list[_Row]:
    """Add the sums of rows of the same line up, in the order of lines, an unknown one first; farmers are the same."""
    lines: dict[int | None, list[int]] = {}
    for line, farmers, *sums in rows:
        known = lines.setdefault(line, [farmers, *(0 for _ in sums)])
        known[1:] = [one + other for one, other in zip(known[1:], sums, strict=True)]
    return [(line, *lines[line]) for line in sorted(lines, key=lambda one: -1 if one is None else one)]


def _day_name(day: int | None) -> str:
    return "unknown" if day is None else f"{datetime.fromtimestamp(day * DAY_S, UTC):%Y-%m-%d}"
