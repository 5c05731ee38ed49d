"""What ``status`` and ``report`` read: counts and sums made in the database. Nothing here writes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.owners import is_dead, look_up
from kalepool.adapters.store.pails import StorePails
from kalepool.adapters.store.processes import is_alive
from kalepool.core.farmers import FarmerState
from kalepool.core.intents import State
from kalepool.core.reports import By, HashedDay, Holder, Line, Overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.processes import Process

_SUMS: Final = """
    count(*) FILTER (WHERE state = 'missed'),
    count(*) FILTER (WHERE state NOT IN ('planned', 'missed')),
    count(gap),
    count(*) FILTER (WHERE state = 'harvested'),
    count(*) FILTER (WHERE state = 'forfeited'),
    count(*) FILTER (WHERE state = 'expired'),
    coalesce(sum(stake) FILTER (WHERE state NOT IN ('planned', 'missed')), 0),
    coalesce(sum(stake) FILTER (WHERE state = 'harvested'), 0),
    coalesce(sum(stake) FILTER (WHERE state = 'forfeited'), 0),
    coalesce(sum(stake) FILTER (WHERE state = 'expired'), 0),
    coalesce(sum(reward), 0),
    coalesce(sum(gap), 0),
    coalesce(sum(zeros), 0),
    count(planned_gap) FILTER (WHERE state IN ('harvested', 'forfeited', 'expired')),
    coalesce(sum(planned_gap) FILTER (WHERE state IN ('harvested', 'forfeited', 'expired')), 0),
    coalesce(sum(planned_millizeros) FILTER (WHERE state IN ('harvested', 'forfeited', 'expired')), 0),
    coalesce(sum(planned_reward) FILTER (WHERE state IN ('harvested', 'forfeited', 'expired')), 0),
    coalesce(sum(reward) FILTER (WHERE planned_gap IS NOT NULL), 0)
"""


def _lines(line: str, farmers: str, key: str, *, blocks: str = "", names: str = "") -> str:
    """Write the query whose rows are key, line, farmers, the sums and the fees.

    Pails and fees are summed apart and joined by line: a look-up for every pail would take three times as long.
    """
    return f"""
        SELECT {key}, sums.*, coalesce(fees, 0) FROM
            (SELECT {line} AS line, {farmers} AS farmers, {_SUMS} FROM pails {blocks}
                WHERE block >= ? GROUP BY 1) AS sums
            LEFT JOIN (SELECT {line} AS line, sum(stroops) AS fees FROM pail_fees {blocks}
                WHERE block >= ? GROUP BY 1) AS paid ON paid.line IS sums.line
            {names}
        ORDER BY sums.line
    """  # noqa: S608 - put together from what stands below


_OF_BLOCKS: Final = "LEFT JOIN blocks USING (block)"
_QUERIES: Final = {
    By.FARMER: _lines("farmer", "1", "name", names="JOIN farmers ON farmers.number = sums.line"),
    By.DAY: _lines(
        "timestamp / 86400",
        "count(DISTINCT farmer)",
        "coalesce(date(sums.line * 86400, 'unixepoch'), 'unknown')",
        blocks=_OF_BLOCKS,
    ),
    By.BLOCK: _lines("block", "count(*)", "CAST(sums.line AS TEXT)"),
}


# Losses are few and stand together under their keys, loss:FARMER:BLOCK, so they are read by themselves.
_LOSSES: Final = """
    SELECT
        CAST(substr(key, 6) AS INTEGER) AS farmer,
        CAST(substr(key, 6 + instr(substr(key, 6), ':')) AS INTEGER) AS block,
        stroops
    FROM entries JOIN postings ON entry = number
    WHERE key GLOB 'loss:*' AND account GLOB 'owed:compensation:*'
"""
_COMPENSATED: Final = {
    By.FARMER: "SELECT name, sum(stroops) FROM losses JOIN farmers ON number = farmer WHERE block >= ? GROUP BY 1",
    By.DAY: "SELECT coalesce(date(timestamp / 86400 * 86400, 'unixepoch'), 'unknown'), sum(stroops) "
    "FROM losses LEFT JOIN blocks USING (block) WHERE block >= ? GROUP BY 1",
    By.BLOCK: "SELECT CAST(block AS TEXT), sum(stroops) FROM losses WHERE block >= ? GROUP BY 1",
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
            rows = self._store.all(_QUERIES[by], (first, first))
            compensated = dict(self._store.all(f"WITH losses AS ({_LOSSES}) {_COMPENSATED[by]}", (first,)))
        lines = [Line(key, *sums) for key, _, *sums in rows]
        return [replace(line, compensated=compensated.get(line.key, 0)) for line in lines]

    def hashed(self, since: float | None) -> list[HashedDay]:
        """Give how much was hashed in each day's blocks, from those that opened at a network time on, or all."""
        rows = self._store.all(
            "SELECT date(timestamp / 86400 * 86400, 'unixepoch'), sum(hashes), sum(milliseconds) "
            "FROM hashing JOIN blocks USING (block) WHERE timestamp >= ? GROUP BY 1 ORDER BY 1",
            (since or 0,),
        )
        return [HashedDay(*row) for row in rows]

    def _holder(self) -> Holder | None:
        held = self._store.one("SELECT owner, since FROM mining_lock")
        if held is None:
            return None
        row = look_up(self._store, held[0])
        alive = not is_dead(row, self._now(), self._probe)
        return Holder(row.role, row.process.pid, row.process.host, held[1], row.heartbeat, alive)
