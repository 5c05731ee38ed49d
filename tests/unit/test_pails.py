"""Pails in the pool's memory: what a snapshot makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import harvest, new_record
from kalepool.core.farm import Block, Farm, Pail
from kalepool.core.farmers import Custody
from kalepool.core.intents import State
from kalepool.core.pails import observe
from kalepool.core.records import PailRecord, PailState, check_pail_move
from kalepool.core.shares import Loss, loss_of

BLOCK = Block(1_000, 1, 47, 0, 100_0000000, 5, 9, bytes(32), 3_0000000, 5_000_000_000)
LEDGER, END = 900, 1_000
PLANNED = PailRecord(1, 7, PailState.PLANNED, 10_0000000)
PLANTED = replace(PLANNED, state=PailState.PLANTED, planted_ledger=600, live_until=END)
WORKED = replace(PLANTED, state=PailState.WORKED, gap=40, zeros=7)
HARVESTABLE = replace(WORKED, state=PailState.HARVESTABLE)

FRESH, DONE = Pail(600, 10_0000000), Pail(600, 10_0000000, 40, 7)


def last(record: PailRecord, block: Block | None, snapshot: Snapshot) -> PailRecord:
    """Give a pail as it is known at last."""
    return [record, *observe(record, "G1", block, snapshot)][-1]


def seen(pail: Pail | None, *, index: int = 7, ledger: int = LEDGER) -> Snapshot:
    farm = Farm("G-owner", "C-asset", index, new_record(1_000), paused=False)
    pails = {} if pail is None else {("G1", 7): DatedPail(pail, END)}
    return Snapshot("node", ledger, farm, bytes(32), {}, pails)


@pytest.mark.parametrize(
    ("record", "pail", "index", "state"),
    [
        (PLANNED, FRESH, 7, PailState.PLANTED),
        (PLANNED, None, 7, PailState.PLANNED),
        (PLANNED, None, 8, PailState.MISSED),
        (PLANTED, FRESH, 7, PailState.PLANTED),
        (PLANTED, DONE, 7, PailState.WORKED),
        (PLANTED, FRESH, 8, PailState.FORFEITED),
        (WORKED, DONE, 7, PailState.WORKED),
        (WORKED, DONE, 8, PailState.HARVESTABLE),
        (WORKED, None, 8, PailState.HARVESTED),
        (HARVESTABLE, DONE, 9, PailState.HARVESTABLE),
        (HARVESTABLE, None, 9, PailState.HARVESTED),
        # A plant that was given up and then seen after all: the chain is the truth.
        (replace(PLANNED, state=PailState.MISSED), FRESH, 7, PailState.PLANTED),
        (replace(PLANNED, state=PailState.MISSED), None, 9, PailState.MISSED),
    ],
)
def test_a_snapshot_moves_a_pail_on(
    record: PailRecord, pail: Pail | None, index: int, state: PailState
) -> None:
    assert last(record, BLOCK, seen(pail, index=index)).state is state


def test_what_was_seen_of_it_is_remembered() -> None:
    after = last(PLANNED, BLOCK, seen(DONE))
    assert (after.planted_ledger, after.gap, after.zeros, after.live_until) == (600, 40, 7, END)


def test_what_a_harvest_paid_is_what_the_contract_pays() -> None:
    after = last(HARVESTABLE, BLOCK, seen(None, index=9))
    paid = harvest(seen(None, index=9).farm, 7, BLOCK, DONE)
    assert after.reward == paid.reward > 0


@pytest.mark.parametrize(
    ("record", "ledger", "state"),
    [
        (HARVESTABLE, END, PailState.HARVESTED),
        (HARVESTABLE, END + 1, PailState.EXPIRED),
        (PLANTED, END + 1, PailState.EXPIRED),
        (PLANTED, END, PailState.HARVESTED),  # nothing but a harvest ends it sooner
    ],
)
def test_past_its_end_a_pail_that_is_gone_has_expired(
    record: PailRecord, ledger: int, state: PailState
) -> None:
    after = last(record, BLOCK, seen(None, index=9, ledger=ledger))
    assert after.state is state
    assert after.reward is None or state is PailState.HARVESTED


def test_what_others_worked_and_harvested_unseen_is_no_loss_and_earned_nobody_knows_what() -> None:
    after = last(PLANTED, BLOCK, seen(None, index=9))
    assert (after.state, after.reward, after.gap, after.zeros) == (PailState.HARVESTED, 0, None, None)
    assert after.why
    assert last(PLANTED, None, seen(None, index=9)) == after


@pytest.mark.parametrize(
    ("record", "ledger", "unread", "is_said"),
    [
        (PLANTED, END, 601, False),
        (PLANTED, END + 1, 600, False),
        (HARVESTABLE, END + 1, 601, False),
        (HARVESTABLE, END, 601, True),  # what it paid follows from its Block
        (PLANTED, END + 1, 599, True),  # planted by this very store, since
        (PLANTED, END + 1, None, True),
    ],
)
def test_what_became_of_a_pail_is_not_said_while_its_harvest_may_be_unread(
    record: PailRecord, ledger: int, unread: int | None, is_said: bool
) -> None:
    snapshot = seen(None, index=9, ledger=ledger)
    assert bool(observe(record, "G1", BLOCK, snapshot, unread=unread)) is is_said


def test_only_death_waits_until_every_harvest_is_told_of() -> None:
    dead, gone = seen(None, index=9, ledger=END + 1), seen(None, index=9, ledger=END)
    assert observe(HARVESTABLE, "G1", BLOCK, dead, told=lambda record: record is not HARVESTABLE) == []
    (after,) = observe(HARVESTABLE, "G1", BLOCK, dead, told=lambda record: record is HARVESTABLE)
    assert after.state is PailState.EXPIRED
    (after,) = observe(HARVESTABLE, "G1", BLOCK, gone, told=lambda _record: False)
    assert after.state is PailState.HARVESTED


def test_a_pail_that_stands_there_is_lost_whatever_is_unread() -> None:
    (after,) = observe(PLANTED, "G1", BLOCK, seen(FRESH, index=9), unread=601)
    assert after.state is PailState.FORFEITED


@pytest.mark.parametrize(
    ("plant", "lives", "state"),
    [
        (State.SETTLED, True, PailState.HARVESTED),
        # Without its Block it may have died: then it is not said to have been paid.
        (State.SETTLED, False, PailState.MISSED),
        (State.FAILED, True, PailState.MISSED),
        (None, True, PailState.MISSED),
        (State.SENT, True, PailState.PLANNED),
        (State.UNRESOLVED, True, PailState.PLANNED),
    ],
)
def test_a_pail_that_never_was_seen_is_what_became_of_its_plant(
    plant: State | None, lives: bool, state: PailState
) -> None:
    snapshot = seen(None, index=9)
    if lives:
        snapshot = replace(snapshot, blocks={7: DatedBlock(BLOCK, END)})
    records = [PLANNED, *observe(PLANNED, "G1", BLOCK, snapshot, lambda _farmer, _block: plant)]
    assert records[-1].state is state


def test_a_farm_that_pays_back_less_than_the_stake_is_to_blame_for_the_rest() -> None:
    # Its owner removed the Block, and what was taken out of the new one's stakes had never been put in.
    fallen = replace(BLOCK, staked_total=-2_508 * 10_000_000, normalized_total=10**9)
    after = last(HARVESTABLE, fallen, seen(None, index=9))
    paid = harvest(seen(None, index=9).farm, 7, fallen, DONE).minted
    assert 0 < paid < after.stake
    assert (after.state, after.reward, after.stake - after.lost) == (PailState.HARVESTED, 0, paid)
    assert after.why.startswith("network:")


def test_without_its_block_a_harvest_is_not_guessed() -> None:
    assert last(HARVESTABLE, None, seen(None, index=9)) == HARVESTABLE


def test_every_loss_has_its_reason() -> None:
    forfeited = last(PLANTED, BLOCK, seen(FRESH, index=8))
    expired = last(HARVESTABLE, BLOCK, seen(None, index=9, ledger=END + 1))
    missed = last(PLANNED, BLOCK, seen(None, index=8))
    assert all(record.why for record in (forfeited, expired, missed))


def test_after_an_outage_a_pail_passes_through_every_state_it_had() -> None:
    states = [record.state for record in observe(PLANNED, "G1", BLOCK, seen(DONE, index=9))]
    assert states == [PailState.PLANTED, PailState.WORKED, PailState.HARVESTABLE]


def test_an_older_view_takes_nothing_back() -> None:
    assert observe(WORKED, "G1", BLOCK, seen(FRESH)) == []
    assert observe(WORKED, "G1", BLOCK, seen(None)) == []
    assert observe(HARVESTABLE, "G1", BLOCK, seen(DONE, index=7)) == []


def test_what_is_known_already_is_not_written_again() -> None:
    assert observe(WORKED, "G1", BLOCK, seen(DONE)) == []
    forfeited = replace(PLANTED, state=PailState.FORFEITED, why="lost")
    assert observe(forfeited, "G1", BLOCK, seen(FRESH, index=8)) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, FRESH, DONE]), st.integers(0, 2), st.integers(0, 3).map(lambda n: 50 * n)
        ),
        max_size=8,
    )
)
def test_whatever_is_seen_in_whatever_order_only_legal_moves_follow(
    looks: list[tuple[Pail | None, int, int]],
) -> None:
    record, index, ledger = PLANNED, 7, LEDGER
    for pail, later, ledgers in looks:
        index, ledger = index + later, ledger + ledgers
        for after in observe(record, "G1", BLOCK, seen(pail, index=index, ledger=ledger)):
            check_pail_move(record.state, after.state)
            record = after


@pytest.mark.parametrize(
    ("record", "index", "paused", "is_networks"),
    [
        (WORKED, 7, True, True),
        (WORKED, 7, False, False),  # nobody opened the next block, and the pool could have
        (PLANTED, 7, True, False),  # a work needs no plant of anybody's
        (HARVESTABLE, 8, True, False),  # its block had ended: a harvest was all it took
        (PLANTED, 8, True, False),
    ],
)
def test_a_pail_that_died_while_the_farm_was_paused_is_the_networks_only_where_its_block_could_not_end(
    record: PailRecord, index: int, paused: bool, is_networks: bool
) -> None:
    snapshot = seen(None, index=index, ledger=END + 1)
    now = last(record, BLOCK, replace(snapshot, farm=replace(snapshot.farm, paused=paused)))
    assert now.state is PailState.EXPIRED
    assert now.why.startswith("network:") is is_networks
    expected = Loss.NETWORK if is_networks else Loss.POOL
    assert loss_of(now, Custody.CUSTODIAL) is expected
    assert f"not harvested by ledger {END}" in now.why
