"""What was planned of each block is told with what came, once, by the event that ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.cli.mining_log import LogLines, as_data
from kalepool.core.farmers import Terms
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path


def test_each_block_is_held_against_its_plan_once_its_last_pail_is_harvested(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)
    # One of them harvests every other block: until then the block is not over.
    shift.farmers += shift.stead.add_farmers(shift.pool, 1, terms=Terms(harvest_every=2))
    blocks = shift.mine(4).blocks
    told = [event for event in shift.events if event.outcome is not None]
    outcomes = {event.block: event.outcome for event in told}
    assert sorted(event.block or 0 for event in told) == list(blocks)
    for block in blocks:
        records = shift.pool.pails.in_blocks(block, block)
        outcome = outcomes[block]
        assert outcome is not None
        assert outcome.pails == 3
        assert outcome.reward == sum(record.reward or 0 for record in records)
        assert outcome.gaps == sum(record.gap or 0 for record in records)
        assert outcome.zeros == sum(record.zeros or 0 for record in records)
        last = max(place for place, event in enumerate(shift.events) if event.block == block and event.farmer)
        assert shift.events[last].outcome is outcome
    late = outcomes[blocks[-1]]
    assert late is not None
    assert late.share is not None
    assert 0.5 < late.share < 2  # by then the weight of others is known
    assert abs(late.gaps - late.planned_gaps) <= 2 * late.pails
    shift.pool.close()


def test_it_is_told_in_lines_and_in_objects(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2)
    (block,) = shift.mine(1).blocks
    lines: list[str] = []
    for verbose in (False, True):
        LogLines(lines.append, lambda: 2, verbose=verbose)(shift.events)
    said = [line for line in lines if f"block {block}: planned" in line]
    assert len(said) == 2
    assert all(" KALE, got " in line and " %); gap " in line and ", zeros " in line for line in said)
    (data,) = [data["outcome"] for data in map(as_data, shift.events) if "outcome" in data]
    assert data["farmers"] == 2
    assert int(data["reward_stroops"]) > 0
    assert data["planned_gap"] == pytest.approx(data["gap"], abs=2)
    shift.pool.close()


def test_the_hashes_of_each_block_are_counted(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2)
    blocks = shift.mine(2).blocks
    rows = dict(shift.pool.store.all("SELECT block, hashes FROM hashing"))
    assert all(rows[block] > 0 for block in blocks)
    assert sum(rows.values()) == shift.pool.grinder.hashes
    shift.again()
    (third,) = shift.mine(1).blocks
    assert dict(shift.pool.store.all("SELECT block, hashes FROM hashing"))[third] > 0
    seconds = shift.pool.store.value("SELECT sum(milliseconds) FROM hashing") / 1_000
    assert seconds == pytest.approx(3 * 300, abs=60)
    shift.pool.close()
