"""The round loop over a devnet: every farmer is planted, worked and harvested, and the books agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.core.farmers import FarmerState
from kalepool.core.intents import Kind
from kalepool.core.records import PailState
from kalepool.errors import ConfigError, LockedError
from kalepool.services.events import Name
from kalepool.services.stopping import Phase
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("farmers", "neighbours"), [(20, 12), (3, 0)])
def test_all_farmers_are_planted_worked_and_harvested_in_five_blocks(
    tmp_path: Path, farmers: int, neighbours: int
) -> None:
    shift = Shift(tmp_path, farmers=farmers, neighbours=neighbours)
    outcome = shift.mine(5)
    everybody = sorted(farmer.name for farmer in shift.farmers)
    assert len(outcome.blocks) == 5
    assert (outcome.pending, outcome.expired, outcome.at_risk) == (0, 0, ())
    for block in outcome.blocks:
        assert shift.names(Name.PLANTED, block) == everybody
        assert sorted(set(shift.names(Name.WORKED, block))) == everybody
        assert shift.names(Name.HARVESTED, block) == everybody
    counts = shift.pool.pails.counts()
    assert counts[PailState.HARVESTED] == 5 * farmers
    assert sum(counts.values()) - counts[PailState.HARVESTED] <= 1  # whoever opened the sixth block
    shift.check_books()
    shift.pool.close()


def test_works_land_with_the_largest_gap_that_counts_and_before_the_block_may_close(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=5, neighbours=12)
    blocks = shift.mine(3).blocks
    for block in blocks[1:]:
        known = shift.pool.blocks.between(block, block)[0]
        for record in shift.pool.pails.in_blocks(block, block):
            assert record.gap is not None
            assert record.planted_ledger is not None
            seconds = 5 * (record.planted_ledger + record.gap - (known.opened_ledger or 0))
            assert record.gap >= known.block.max_gap or seconds >= 270
            assert seconds < 300
    shift.pool.close()


def test_plants_leave_so_that_they_open_the_block(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=5, neighbours=0)
    blocks = shift.mine(3).blocks
    for block in blocks[1:]:
        opened = shift.pool.blocks.between(block, block)[0].opened_ledger
        assert {record.planted_ledger for record in shift.pool.pails.in_blocks(block, block)} == {opened}
    shift.pool.close()


def test_each_event_of_a_pail_names_its_transaction(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2)
    shift.mine(1)
    for name in (Name.PLANTED, Name.WORKED, Name.HARVESTED):
        assert shift.told(name)
        for event in shift.told(name):
            assert event.transaction is not None
            assert bytes.fromhex(event.transaction) in shift.ledger.by_hash
    shift.pool.close()


def test_nobody_to_mine_for_is_told_with_a_hint(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=0)
    with pytest.raises(ConfigError, match="no active farmer") as caught:
        shift.mine(1)
    assert "farmer add" in caught.value.hint
    shift.pool.close()


def test_a_second_process_is_refused_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    shift = Shift(tmp_path)
    other = shift.stead.pool("mine", options=shift.options)
    with other.lock.hold(), pytest.raises(LockedError, match="kalepool mine holds the mining lock"):
        shift.mine(1)
    shift.again()
    assert shift.mine(1).blocks
    other.close()
    shift.pool.close()


def test_a_process_that_lost_the_lock_stops_at_once(tmp_path: Path) -> None:
    shift = Shift(tmp_path)
    other = shift.stead.pool("mine")

    def take_over() -> None:
        other.store.execute("UPDATE mining_lock SET owner = ?", (other.owner.number,))

    shift.at[20] = take_over
    with pytest.raises(LockedError):
        shift.mine()
    assert shift.ledger.latest.sequence < 40
    other.close()
    shift.pool.close()


def test_once_does_not_open_the_next_block_and_tells_what_is_pending(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=0)
    outcome = shift.mine(1, opens=False)
    assert outcome.pending == 2
    assert "nobody has opened" in outcome.why
    assert shift.ledger.farm.index == outcome.blocks[0]
    shift.pool.close()


def test_the_block_after_the_last_is_opened_with_a_plant_of_nothing(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=0)
    outcome = shift.mine(1)
    (opener,) = shift.pool.pails.in_blocks(outcome.blocks[0] + 1, outcome.blocks[0] + 1)
    assert opener.stake == 0
    shift.check_books()
    shift.pool.close()


def test_who_is_paused_and_who_is_added_meanwhile_is_seen_at_the_next_block(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3)
    other = shift.stead.pool("farmer")

    def change() -> None:
        other.farmers.move(shift.farmers[0].number, FarmerState.PAUSED, who="test")
        shift.stead.add_farmers(other, 1)

    shift.at[30] = change
    first, second, *_ = shift.mine(2).blocks
    assert shift.names(Name.PLANTED, first) == ["farmer-1", "farmer-2", "farmer-3", "farmer-4"]
    assert sorted(set(shift.names(Name.WORKED, first))) == ["farmer-1", "farmer-2", "farmer-3", "farmer-4"]
    assert shift.names(Name.PLANTED, second) == ["farmer-2", "farmer-3", "farmer-4"]
    other.close()
    shift.pool.close()


def test_the_picture_shows_the_block_and_everybody_in_it(tmp_path: Path) -> None:
    shift = Shift(tmp_path)
    pictures = []

    def take() -> None:
        assert shift.mining is not None
        pictures.append(shift.mining.picture())

    shift.at[30] = take
    shift.mine(1)
    (picture,) = pictures
    assert picture.ledger > 0
    assert picture.block is not None
    assert picture.phase is Phase.RUNNING
    assert picture.operator_xlm is not None
    assert {seat.name for seat in picture.seats.values() if seat.planted} == {
        "farmer-1",
        "farmer-2",
        "farmer-3",
    }
    assert all(seat.best is not None for seat in picture.seats.values())
    assert picture.waits_for
    shift.pool.close()


def test_status_finds_a_view_of_the_last_look(tmp_path: Path) -> None:
    shift = Shift(tmp_path)
    shift.mine(1)
    view = shift.pool.views.last()
    assert view is not None
    assert view.block == shift.ledger.farm.index
    assert view.ledger >= shift.ledger.latest.sequence - 1
    assert view.operator_xlm > 0
    # The block is worked and nothing is left to find: the engine rests, and what it can do is known.
    assert view.hashrate == 0
    assert shift.pool.learner.outlook(0.0).hashrate > 0
    shift.pool.close()


def test_nothing_is_open_in_the_journal_when_it_ends(tmp_path: Path) -> None:
    shift = Shift(tmp_path)
    shift.mine(2)
    left = [
        intent for intent in shift.pool.journal.open_intents(mine=False) if intent.kind is not Kind.HARVEST
    ]
    assert left == []
    shift.pool.close()
