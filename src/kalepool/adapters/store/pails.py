"""Blocks and pails as the pool remembers them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from kalepool.adapters.store.pail_copy import PailCopy
from kalepool.core.farm import Block
from kalepool.core.forecasts import Forecast
from kalepool.core.records import ALIVE, BlockRecord, PailRecord, PailState, PailTotal, check_pail_move

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kalepool.adapters.store.db import Store

_PAIL: Final = "farmer, block, state, stake, planted_ledger, gap, zeros, reward, live_until, why, lost"


class StorePails:
    """The pails of all farmers. Fulfils ``ports.Pails``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._copy = PailCopy(store)

    def record(self, pails: Sequence[PailRecord]) -> None:
        """Write pails as they are now known, all or none; what was known of them before is replaced.

        Raises:
            InternalError: when a move is not legal, or a state lacks what belongs to it
                (the ledger of the plant, the gap and zeros of the work, the reward of the harvest).
        """
        if not pails:
            return
        with self._store.atomic():
            keys = json.dumps([[pail.block, pail.farmer] for pail in pails])
            rows = self._store.all(
                "SELECT pails.block, farmer, state FROM json_each(?) AS wanted "
                "JOIN pails ON pails.block = wanted.value ->> 0 AND farmer = wanted.value ->> 1",
                (keys,),
            )
            states = {(block, farmer): PailState(state) for block, farmer, state in rows}
            for pail in pails:
                current = states.get((pail.block, pail.farmer))
                if current is not None:
                    check_pail_move(current, pail.state)
                states[pail.block, pail.farmer] = pail.state
            self._store.execute_many(_PUT_PAIL, [_pail_row(pail) for pail in pails])
            self._copy.write(pails)

    def in_blocks(self, first: int, last: int) -> list[PailRecord]:
        """Give every pail of a range of blocks, both ends counted in, by block and farmer."""
        if first == last:
            return self._copy.block(first, lambda: self._in_blocks(first, last))
        return self._in_blocks(first, last)

    def _in_blocks(self, first: int, last: int) -> list[PailRecord]:
        return self._pails(
            "SELECT * FROM pails WHERE block BETWEEN ? AND ? ORDER BY block, farmer", first, last
        )

    def of_farmer(self, farmer: int, first: int, last: int) -> list[PailRecord]:
        """Give one farmer's pails of a range of blocks, both ends counted in, by block."""
        return self._pails(
            "SELECT * FROM pails WHERE farmer = ? AND block BETWEEN ? AND ? ORDER BY block",
            farmer,
            first,
            last,
        )

    def alive(self, *states: PailState) -> list[PailRecord]:
        """Give pails that something must still be done about, by block and farmer.

        Args:
            states: of these alone, out of ``core.records.ALIVE``; of all of them when none is given.
        """
        return self._copy.alive(
            states or tuple(ALIVE), lambda: self._pails("SELECT * FROM alive_pails ORDER BY block, farmer")
        )

    def unsettled(self, most: int, *, without: Collection[int] = ()) -> list[PailRecord]:
        """Give pails that are over and not settled yet, by block and farmer.

        Args:
            most: how many at most.
            without: numbers of farmers who are left out.
        """
        return self._pails(
            "SELECT * FROM pails WHERE (block, farmer) IN ("
            "SELECT block, farmer FROM unsettled "
            "WHERE farmer NOT IN (SELECT value FROM json_each(?)) ORDER BY block, farmer LIMIT ?"
            ") ORDER BY block, farmer",
            json.dumps(list(without)),
            most,
        )

    def mark_settled(self, keys: Sequence[tuple[int, int]]) -> None:
        """Take pails, (farmer's number, block), out of those that wait to be settled."""
        self._store.execute_many("DELETE FROM unsettled WHERE farmer = ? AND block = ?", keys)

    def counts(self) -> dict[PailState, int]:
        """Give how many pails of all farmers are in each state."""
        rows = dict(self._store.all("SELECT state, sum(count) FROM pail_totals GROUP BY state"))
        return {state: rows.get(str(state), 0) for state in PailState}

    def foretell(self, forecasts: Sequence[Forecast]) -> None:
        """Keep what pails are expected to come to; what was kept of one before stays."""
        rows = [(one.gap, one.millizeros, one.reward, one.block, one.farmer) for one in forecasts]
        with self._store.atomic():
            self._store.execute_many(_FORETELL, rows)

    def foretold(self, block: int) -> list[Forecast]:
        """Give what the pails of a block were expected to come to, by farmer; those without a forecast are left out."""
        rows = self._store.all(
            "SELECT farmer, block, planned_gap, planned_millizeros, planned_reward FROM pails "
            "WHERE block = ? AND planned_gap IS NOT NULL ORDER BY farmer",
            (block,),
        )
        return [Forecast(*row) for row in rows]

    def totals(self) -> list[PailTotal]:
        """Give counts and sums by farmer and state, those without a pail left out."""
        rows = self._store.all("SELECT farmer, state, count, stake, reward FROM pail_totals WHERE count > 0")
        return [PailTotal(farmer, PailState(state), *sums) for farmer, state, *sums in rows]

    def _pails(self, query: str, *parameters: object) -> list[PailRecord]:
        rows = self._store.all(query.replace("*", _PAIL, 1), parameters)
        return [PailRecord(farmer, block, PailState(state), *rest) for farmer, block, state, *rest in rows]


class StoreBlocks:
    """Blocks as last seen. Fulfils ``ports.Blocks``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, blocks: Sequence[BlockRecord]) -> None:
        """Write blocks as they are now known; an opening ledger once known stays."""
        with self._store.atomic():
            self._store.execute_many(_PUT_BLOCK, [_block_row(record) for record in blocks])

    def between(self, first: int, last: int) -> list[BlockRecord]:
        """Give the blocks known of a range, both ends counted in, by index."""
        rows = self._store.all(
            "SELECT * FROM blocks WHERE block BETWEEN ? AND ? ORDER BY block", (first, last)
        )
        return [_block(row) for row in rows]

    def latest(self) -> BlockRecord | None:
        """Give the block with the highest index; None in a new store."""
        row = self._store.one("SELECT * FROM blocks ORDER BY block DESC LIMIT 1")
        return None if row is None else _block(row)


_PUT_PAIL: Final = """
    INSERT INTO pails (block, farmer, state, stake, planted_ledger, gap, zeros, reward, live_until, why, lost)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (block, farmer) DO UPDATE SET
        state = excluded.state, stake = excluded.stake, planted_ledger = excluded.planted_ledger,
        gap = excluded.gap, zeros = excluded.zeros, reward = excluded.reward,
        live_until = excluded.live_until, why = excluded.why, lost = excluded.lost
"""

_FORETELL: Final = """
    UPDATE pails SET planned_gap = ?, planned_millizeros = ?, planned_reward = ?
    WHERE block = ? AND farmer = ? AND planned_gap IS NULL
"""

_PUT_BLOCK: Final = """
    INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (block) DO UPDATE SET
        staked_total = excluded.staked_total, normalized_total = excluded.normalized_total,
        live_until = excluded.live_until, opened_ledger = coalesce(opened_ledger, excluded.opened_ledger)
"""


def _pail_row(pail: PailRecord) -> tuple[object, ...]:
    return (
        pail.block,
        pail.farmer,
        pail.state,
        pail.stake,
        pail.planted_ledger,
        pail.gap,
        pail.zeros,
        pail.reward,
        pail.live_until,
        pail.why,
        pail.lost,
    )


def _block_row(record: BlockRecord) -> tuple[object, ...]:
    block = record.block
    return (
        record.index,
        block.timestamp,
        block.min_gap,
        block.max_gap,
        block.min_stake,
        block.max_stake,
        block.min_zeros,
        block.max_zeros,
        block.entropy,
        block.staked_total,
        str(block.normalized_total),
        record.live_until,
        record.opened_ledger,
    )


def _block(row: tuple[Any, ...]) -> BlockRecord:
    index, *stored, live_until, opened_ledger = row
    stored[-1] = int(stored[-1])
    return BlockRecord(index, Block(*stored), live_until, opened_ledger)
