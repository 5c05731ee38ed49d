"""Pails and blocks: what was known last, counted as it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.pails import StoreBlocks, StorePails
from kalepool.core.farm import Block
from kalepool.core.forecasts import Forecast
from kalepool.core.records import ALIVE, PAIL_MOVES, BlockRecord, PailRecord, PailState, PailTotal
from kalepool.errors import InternalError
from support.store import add_farmers

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store

PLANNED = PailRecord(1, 7, PailState.PLANNED, 500)
PLANTED = replace(PLANNED, state=PailState.PLANTED, planted_ledger=60, live_until=9_000)
WORKED = replace(PLANTED, state=PailState.WORKED, gap=15, zeros=7)
HARVESTABLE = replace(WORKED, state=PailState.HARVESTABLE)
HARVESTED = replace(WORKED, state=PailState.HARVESTED, reward=900, why="by a stranger")
LIFE = (PLANNED, PLANTED, WORKED, HARVESTABLE, HARVESTED)


@pytest.fixture
def pails(store: Store) -> StorePails:
    add_farmers(store, 3)
    return StorePails(store)


def test_it_fulfils_the_port(pails: StorePails) -> None:
    port: ports.Pails = pails
    assert port.alive() == []


def test_a_pail_lives_from_plan_to_harvest(pails: StorePails) -> None:
    for pail in LIFE:
        pails.record([pail])
        assert pails.in_blocks(7, 7) == [pail]


def test_a_pail_found_on_the_chain_begins_where_it_stands(pails: StorePails) -> None:
    pails.record([HARVESTABLE])
    assert pails.alive(PailState.HARVESTABLE) == [HARVESTABLE]


def test_a_forecast_stays_as_it_was_first_made_whatever_becomes_of_the_pail(pails: StorePails) -> None:
    pails.record([PLANTED, replace(PLANTED, farmer=2)])
    first = Forecast(1, 7, 47, 7_812, 12_0000000)
    pails.foretell([first])
    pails.foretell([replace(first, gap=1), Forecast(3, 7, 1, 1, 1)])  # who has no pail has no forecast
    for pail in LIFE[2:]:
        pails.record([pail])
    assert pails.foretold(7) == [first]
    assert pails.in_blocks(7, 7)[0] == HARVESTED


def test_better_knowledge_within_a_state_is_kept(pails: StorePails) -> None:
    pails.record([WORKED])
    better = replace(WORKED, zeros=8, gap=20, live_until=10_000)
    pails.record([better])
    assert pails.in_blocks(7, 7) == [better]


@pytest.mark.parametrize("by_database", [False, True])
def test_core_and_database_know_the_same_moves(store: Store, pails: StorePails, by_database: bool) -> None:
    whole = replace(HARVESTED, why="")
    for block, (current, wanted) in enumerate((a, b) for a in PailState for b in PailState):
        pails.record([replace(whole, block=block, state=current)])
        allowed = True
        try:
            if by_database:
                store.execute("UPDATE pails SET state = ? WHERE block = ?", (wanted, block))
            else:
                pails.record([replace(whole, block=block, state=wanted)])
        except InternalError:
            allowed = False
        assert allowed == (wanted is current or wanted in PAIL_MOVES[current]), f"{current} > {wanted}"


@pytest.mark.parametrize(
    "lacking",
    [
        replace(PLANTED, planted_ledger=None),
        replace(WORKED, gap=None),
        replace(WORKED, zeros=None),
        replace(HARVESTED, reward=None),
        replace(WORKED, zeros=65),
        replace(PLANNED, stake=-1),
        replace(PLANNED, farmer=99),
    ],
)
def test_a_state_without_what_belongs_to_it_is_refused_with_all_beside_it(
    pails: StorePails, lacking: PailRecord
) -> None:
    with pytest.raises(InternalError):
        pails.record([replace(PLANNED, farmer=2), lacking])
    assert pails.in_blocks(0, 99) == []


def test_pails_are_read_by_block_and_by_farmer(pails: StorePails) -> None:
    some = [replace(PLANTED, farmer=farmer, block=block) for block in (7, 8, 9) for farmer in (1, 2, 3)]
    pails.record(some)
    assert pails.in_blocks(8, 9) == some[3:]
    assert pails.of_farmer(2, 7, 8) == [some[1], some[4]]


def test_the_living_are_those_that_something_must_be_done_about(pails: StorePails) -> None:
    every = [replace(HARVESTED, block=block, state=state) for block, state in enumerate(PailState)]
    pails.record(every)
    assert pails.alive() == [pail for pail in every if pail.state in ALIVE]
    assert pails.alive(PailState.PLANTED, PailState.WORKED) == [
        pail for pail in every if pail.state in {PailState.PLANTED, PailState.WORKED}
    ]


def test_counts_and_sums_follow_every_change(pails: StorePails) -> None:
    pails.record([PLANNED, replace(PLANNED, farmer=2), replace(PLANNED, block=8)])
    pails.record([replace(PLANTED, stake=600)])
    pails.record([WORKED])
    pails.record([HARVESTED])
    counts = {state: count for state, count in pails.counts().items() if count}
    assert counts == {PailState.PLANNED: 2, PailState.HARVESTED: 1}
    assert pails.totals() == [
        PailTotal(1, PailState.HARVESTED, 1, 500, 900),
        PailTotal(1, PailState.PLANNED, 1, 500, 0),
        PailTotal(2, PailState.PLANNED, 1, 500, 0),
    ]


def test_a_pail_is_never_deleted(store: Store, pails: StorePails) -> None:
    pails.record([PLANNED])
    with pytest.raises(InternalError, match="never forgotten"):
        store.execute("DELETE FROM pails")


BLOCK = BlockRecord(7, Block(1_000, 1, 2, 3, 4, 5, 6, bytes(32), 7, 10**30), 9_000, 60)


def test_a_block_is_read_back_whole_however_large_its_total(store: Store) -> None:
    blocks: ports.Blocks = StoreBlocks(store)
    assert blocks.latest() is None
    blocks.record([BLOCK, replace(BLOCK, index=9, opened_ledger=None)])
    assert blocks.between(7, 8) == [BLOCK]
    assert blocks.latest() == replace(BLOCK, index=9, opened_ledger=None)


def test_a_blocks_totals_change_and_its_opening_stays(store: Store) -> None:
    blocks = StoreBlocks(store)
    blocks.record([BLOCK])
    later = replace(BLOCK.block, staked_total=0, normalized_total=11)
    blocks.record([BlockRecord(7, later, 9_500)])
    assert blocks.latest() == BlockRecord(7, later, 9_500, 60)
