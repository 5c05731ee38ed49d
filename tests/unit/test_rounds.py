"""Rounds: what is decided for a snapshot, as tables of situation and action."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import new_record
from kalepool.core.farm import Block, Farm, Pail, Proof
from kalepool.core.rounds import Action, Grind, Harvest, Lane, Plant, SubmitWork, Wait, decide
from kalepool.core.strategy import Pace, Policy

OPENED, FIRST_LEDGER, INDEX = 1_000_000, 500, 7
SECONDS = 5.0
BLOCK = Block(OPENED, 1, 47, 0, 100_0000000, 5, 9, bytes(32), 0, 50_000_000_000)
LANE = Lane(
    farmer=1,
    address="G1",
    plants=True,
    works=True,
    stake=10_0000000,
    available=40_0000000,
)
POLICY = Policy()


def at(second: float) -> Pace:
    """Give the pace at a second of the block; its ledger closed at the last multiple of five."""
    ledgers = int(second // SECONDS)
    return Pace(FIRST_LEDGER + ledgers, int(OPENED + ledgers * SECONDS), OPENED + second, SECONDS)


def snapshot(
    pace: Pace,
    pails: dict[tuple[str, int], Pail] | None = None,
    *,
    block: Block | None = BLOCK,
    index: int = INDEX,
    **farm: object,
) -> Snapshot:
    record = replace(new_record(OPENED), max_stake=90_0000000, min_stake=0)
    plain = Farm("G-owner", "C-asset", index, record, paused=False)
    blocks = {} if block is None else {index: DatedBlock(block, 20_000)}
    dated = {key: DatedPail(pail, 20_000) for key, pail in (pails or {}).items()}
    return Snapshot("node", pace.ledger, replace(plain, **farm), bytes(32), blocks, dated)  # type: ignore[arg-type]


def proof(zeros: int, index: int = INDEX) -> Proof:
    return Proof(index, 1, bytes(32), zeros)


def only(kind: type[Action], actions: list[Action]) -> list[Action]:
    return [action for action in actions if isinstance(action, kind)]


def planted(ledger: int = FIRST_LEDGER + 1, **more: int) -> dict[tuple[str, int], Pail]:
    return {("G1", INDEX): Pail(ledger, 10_0000000, **more)}


# Planting


def test_a_farmer_without_a_pail_is_planted_within_the_block() -> None:
    pace = at(10)
    (action,) = only(Plant, decide(snapshot(pace), [LANE], POLICY, pace))
    assert isinstance(action, Plant)
    assert (action.farmer, action.block, action.stake, action.opens) == (1, INDEX, 10_0000000, False)
    assert action.max_time == OPENED + 40


def test_a_plant_lands_while_there_is_time_to_work_it_or_not_at_all() -> None:
    pace = at(260)
    (action,) = only(Plant, decide(snapshot(pace), [LANE], POLICY, pace))
    assert isinstance(action, Plant)
    # Ledger 556 is the last that a work is aimed at; the plant lands in the one before, at 275 s.
    assert OPENED + 275 <= action.max_time < OPENED + 280


@pytest.mark.parametrize(("second", "plants"), [(270, True), (275, False), (280, False), (294.9, False)])
@pytest.mark.parametrize("policy", [POLICY, replace(POLICY, plant_ahead=False)])
def test_no_stake_goes_into_a_block_that_may_end_before_its_work(
    second: float, *, plants: bool, policy: Policy
) -> None:
    pace = at(second)
    assert bool(only(Plant, decide(snapshot(pace), [LANE], policy, pace))) is plants


@pytest.mark.parametrize(
    ("second", "block", "opens"), [(269.9, INDEX, False), (295, INDEX + 1, True), (400, INDEX + 1, True)]
)
def test_what_lands_in_a_due_ledger_is_planted_in_the_next_block(
    second: float, block: int, opens: bool
) -> None:
    pace = at(second)
    (action,) = only(Plant, decide(snapshot(pace), [LANE], POLICY, pace))
    assert isinstance(action, Plant)
    assert (action.block, action.opens) == (block, opens)


@pytest.mark.parametrize(
    ("lane", "pails"),
    [
        (replace(LANE, plants=False), {}),
        (replace(LANE, under_way=frozenset({INDEX})), {}),
        (LANE, planted()),
    ],
)
def test_nobody_is_planted_twice_or_against_his_terms(lane: Lane, pails: dict[tuple[str, int], Pail]) -> None:
    pace = at(10)
    assert not only(Plant, decide(snapshot(pace, pails), [lane], POLICY, pace))


@pytest.mark.parametrize("farm", [{"paused": True}, {"asset": None}, {"block": None}])
def test_a_farm_that_takes_no_plants_gets_none(farm: dict[str, object]) -> None:
    pace = at(10)
    assert not only(Plant, decide(snapshot(pace, **farm), [LANE], POLICY, pace))  # type: ignore[arg-type]


def test_a_missing_block_is_made_at_genesis_and_waited_for_later() -> None:
    pace = at(10)
    first = decide(snapshot(pace, block=None, index=0), [LANE], POLICY, pace)
    (action,) = only(Plant, first)
    assert isinstance(action, Plant)
    assert (action.block, action.opens, action.stake) == (0, True, 10_0000000)
    assert not only(Plant, decide(snapshot(pace, block=None), [LANE], POLICY, pace))


@pytest.mark.parametrize(
    ("stake", "available", "staked"),
    [
        (10_0000000, 40_0000000, 10_0000000),
        (60_0000000, 40_0000000, 40_0000000),
        (500_0000000, 900_0000000, 100_0000000),  # nothing is earned beyond the block's largest stake
        (10_0000000, None, 0),
        (None, 40_0000000, 0),
    ],
)
def test_a_stake_is_held_to_balance_and_range_and_is_zero_when_unknown(
    stake: int | None, available: int | None, staked: int
) -> None:
    pace = at(10)
    lane = replace(LANE, stake=stake, available=available)
    (action,) = only(Plant, decide(snapshot(pace), [lane], POLICY, pace))
    assert isinstance(action, Plant)
    assert action.stake == staked


# Grinding


def test_planted_farmers_are_ground_for_up_to_the_blocks_largest_zeros() -> None:
    pace = at(20)
    (action,) = only(Grind, decide(snapshot(pace, planted()), [LANE], POLICY, pace))
    assert isinstance(action, Grind)
    assert (action.block, action.cap) == (INDEX, 9)
    assert not only(Grind, decide(snapshot(pace), [replace(LANE, plants=False)], POLICY, pace))


def test_whoever_is_planted_now_is_ground_for_at_once() -> None:
    pace = at(5)
    kinds = [type(action) for action in decide(snapshot(pace), [LANE], POLICY, pace)]
    assert kinds == [Plant, Grind, Wait]


def test_a_block_without_ranges_is_ground_to_what_is_usual() -> None:
    pace = at(20)
    empty = replace(BLOCK, min_gap=0, max_gap=0, min_zeros=0, max_zeros=0, max_stake=0)
    (action,) = only(Grind, decide(snapshot(pace, planted(), block=empty), [LANE], POLICY, pace))
    assert isinstance(action, Grind)
    assert action.cap == 9


# Working


def test_a_work_waits_for_its_gap_and_goes_when_the_gap_is_full() -> None:
    lane = replace(LANE, proof=proof(7))
    sent_in = []
    for ledger in range(60):
        pace = at(ledger * SECONDS)
        if only(SubmitWork, decide(snapshot(pace, planted()), [lane], POLICY, pace)):
            sent_in.append(pace.ledger)
    # Planted in 501, so the gap is 47 in 548; what is sent after 547 closed lands there.
    assert sent_in[0] == FIRST_LEDGER + 47


def test_a_gap_that_the_block_is_too_short_for_is_cut_to_what_is_safe() -> None:
    lane = replace(LANE, proof=proof(7))
    late = planted(FIRST_LEDGER + 30)
    sent_in = [
        ledger
        for ledger in range(60)
        if only(
            SubmitWork, decide(snapshot(at(ledger * SECONDS), late), [lane], POLICY, at(ledger * SECONDS))
        )
    ]
    # Ledger 559 closes at 295 s, the last that cannot open a block; three less are the margin.
    assert FIRST_LEDGER + sent_in[0] + 1 == FIRST_LEDGER + 59 - POLICY.work_margin_ledgers


@pytest.mark.parametrize(
    "lane",
    [
        replace(LANE, proof=None),
        replace(LANE, proof=proof(7), working=True),
        replace(LANE, proof=proof(7), works=False),
        replace(LANE, proof=proof(7, index=INDEX - 1)),
    ],
)
def test_no_work_without_a_proof_of_this_block_or_beside_one_under_way(lane: Lane) -> None:
    pace = at(270)
    assert not only(SubmitWork, decide(snapshot(pace, planted()), [lane], POLICY, pace))


@pytest.mark.parametrize(
    ("landed", "better", "threshold", "sends"),
    [(5, 8, 1, True), (5, 8, 10**12, False), (8, 8, 1, False), (9, 12, 1, False)],
)
def test_a_better_proof_is_sent_when_it_gains_enough(
    landed: int, better: int, threshold: int, sends: bool
) -> None:
    pace = at(265)
    lane = replace(LANE, proof=proof(better))
    policy = replace(POLICY, improve_from_stroops=threshold)
    actions = decide(snapshot(pace, planted(gap=47, zeros=landed)), [lane], policy, pace)
    works = only(SubmitWork, actions)
    assert bool(works) is sends
    assert all(isinstance(work, SubmitWork) and work.improves for work in works)


def test_a_crowd_begins_early_enough_and_each_ledger_takes_its_share() -> None:
    lanes = [replace(LANE, farmer=n, address=f"G{n}", proof=proof(7)) for n in range(100)]
    policy = replace(POLICY, works_per_ledger=30)
    done: dict[int, int] = {}
    for ledger in range(60):
        pace = at(ledger * SECONDS)
        pails = {
            (lane.address, INDEX): Pail(FIRST_LEDGER + 15, 0, *((40, 7) if lane.farmer in done else ()))
            for lane in lanes
        }
        works = only(SubmitWork, decide(snapshot(pace, pails), lanes, policy, pace))
        assert len(works) <= 30
        done |= {work.farmer: pace.ledger + 1 for work in works if isinstance(work, SubmitWork)}
    assert len(done) == 100
    assert max(done.values()) <= FIRST_LEDGER + 59 - policy.work_margin_ledgers


# Harvesting


def test_worked_pails_of_closed_blocks_are_harvested_at_their_interval() -> None:
    pace = at(20)
    pails = {
        ("G1", 4): Pail(1, 0, 40, 7),
        ("G1", 5): Pail(1, 0),  # never worked: forfeited
        ("G1", 6): Pail(1, 0, 40, 0),
        ("G1", INDEX): Pail(501, 0, 9, 7),
    }
    (action,) = only(Harvest, decide(snapshot(pace, pails), [LANE], POLICY, pace))
    assert isinstance(action, Harvest)
    assert action.blocks == (4, 6)
    patient = replace(LANE, harvest_every=4)
    assert not only(Harvest, decide(snapshot(pace, pails), [patient], POLICY, pace))


def test_a_pail_near_its_end_is_harvested_whatever_the_interval() -> None:
    pace = at(20)
    seen = snapshot(pace, {("G1", 6): Pail(1, 0, 40, 7)})
    ending = replace(seen, pails={("G1", 6): DatedPail(Pail(1, 0, 40, 7), pace.ledger + 100)})
    patient = replace(LANE, harvest_every=20)
    assert not only(Harvest, decide(seen, [patient], POLICY, pace))
    (action,) = only(Harvest, decide(ending, [patient], POLICY, pace))
    assert isinstance(action, Harvest)
    assert "expires" in action.reason


# Waiting


@pytest.mark.parametrize(
    ("second", "pails", "lane", "until"),
    [
        (20, {}, replace(LANE, plants=False), 85),  # nothing to do: look now and then
        (20, planted(), LANE, 85),
        (20, planted(), replace(LANE, working=True), 25),  # something is under way: every ledger
        (250, planted(gap=40, zeros=9), LANE, 295),  # worked: the next block
        (230, planted(), LANE, 235),  # the work is to be sent once ledger 547 has closed
    ],
)
def test_the_next_look_is_when_something_matters(
    second: float, pails: dict[tuple[str, int], Pail], lane: Lane, until: float
) -> None:
    pace = at(second)
    (action,) = only(Wait, decide(snapshot(pace, pails), [lane], POLICY, pace))
    assert isinstance(action, Wait)
    assert action.until == pytest.approx(OPENED + until)


@given(
    st.floats(0, 400),
    st.integers(0, 60),
    st.one_of(st.none(), st.integers(0, 12)),
    st.one_of(st.none(), st.integers(0, 12)),
    st.integers(0, 2**62),
    st.one_of(st.none(), st.integers(0, 2**62)),
)
def test_whatever_is_seen_plans_stay_within_balance_range_and_block(
    second: float,
    planted_after: int,
    worked: int | None,
    found: int | None,
    stake: int,
    available: int | None,
) -> None:
    pace = at(second)
    pail = Pail(FIRST_LEDGER + planted_after, 0, None if worked is None else 3, worked)
    pails = {("G1", INDEX): pail} if pail.sequence <= pace.ledger else {}
    lane = replace(LANE, stake=stake, available=available, proof=None if found is None else proof(found))
    actions = decide(snapshot(pace, pails), [lane], POLICY, pace)
    for action in actions:
        if isinstance(action, Plant):
            assert 0 <= action.stake <= min(available or 0, BLOCK.max_stake)
            assert action.opens or action.max_time <= OPENED + 299
        if isinstance(action, SubmitWork):
            assert action.block == INDEX
            assert pails
            assert worked is None or action.proof.zeros > worked
        if isinstance(action, Grind):
            assert action.cap <= 64
    waits = only(Wait, actions)
    assert len(waits) == 1
    assert isinstance(waits[0], Wait)
    assert waits[0].until >= pace.now
    assert all(action.reason for action in actions)
