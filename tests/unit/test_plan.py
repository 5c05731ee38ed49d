"""The planner with an outlook: policies, early works, hashing ahead, who is left out, and blocks gone strange."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import new_record, roll_over
from kalepool.core.economics import is_valid
from kalepool.core.farm import Block, Farm, Pail, Proof
from kalepool.core.records import BlockRecord
from kalepool.core.rounds import Action, Grind, Harvest, Lane, Plan, Plant, SubmitWork, Wait, plan
from kalepool.core.strategy import POLICIES, Early, Fixed, Outlook, Pace, Policy, lives_of
from kalepool.core.working import why_then

OPENED, FIRST, INDEX, SECONDS, KALE = 1_000_000, 500, 7, 5.0, 10_000_000
BLOCK = Block(OPENED, 0, 47, 0, 1_000 * KALE, 5, 9, b"\5" * 32, 0, 0)
LANE = Lane(farmer=1, address="G1", plants=True, works=True, stake=10 * KALE, available=40 * KALE)
STEADY, GREEDY, THRIFT, MANUAL = (POLICIES[name] for name in ("steady", "max-kale", "thrift", "manual"))
OUTLOOK = Outlook(
    delays=(1,) * 180 + (2,) * 20,
    lives=tuple(range(303, 328)),
    others_parts=34.0,
    hashrate=4e6,
)


def at(second: float) -> Pace:
    ledgers = int(second // SECONDS)
    return Pace(FIRST + ledgers, int(OPENED + ledgers * SECONDS), OPENED + second, SECONDS)


def snapshot(
    pace: Pace,
    pails: dict[tuple[str, int], Pail] | None = None,
    block: Block | None = BLOCK,
    record: Block | None = None,
) -> Snapshot:
    running = record or replace(new_record(OPENED), entropy=b"\6" * 32, max_zeros=8, min_zeros=5)
    blocks = {} if block is None else {INDEX: DatedBlock(block, 20_000)}
    dated = {key: DatedPail(pail, 20_000) for key, pail in (pails or {}).items()}
    farm = Farm("G-owner", "C-asset", INDEX, running, paused=False)
    return Snapshot("node", pace.ledger, farm, bytes(32), blocks, dated)


def proof(zeros: int) -> Proof:
    return Proof(INDEX, 1, bytes(32), zeros)


def only(kind: type[Action], made: Plan) -> list[Action]:
    return [action for action in made.actions if isinstance(action, kind)]


def planted(stake: int = 0, ledger: int = FIRST + 1, **more: int) -> dict[tuple[str, int], Pail]:
    return {("G1", INDEX): Pail(ledger, stake, **more)}


def sent_at(policy: Policy, pail: Pail, zeros: int, outlook: Outlook = OUTLOOK) -> tuple[int, SubmitWork]:
    """Give the first ledger after which a work is sent, and the work."""
    for ledger in range(1, 70):
        pace = at(ledger * SECONDS)
        seen = snapshot(pace, {("G1", INDEX): pail})
        works = only(SubmitWork, plan(seen, [replace(LANE, proof=proof(zeros))], policy, pace, outlook))
        if works:
            (work,) = works
            assert isinstance(work, SubmitWork)
            return pace.ledger, work
    raise AssertionError("never sent")


# Policies

ONCE = replace(STEADY, early=Early.NEVER)


def test_steady_waits_for_the_full_gap_and_for_zeros_while_that_is_safe() -> None:
    full = FIRST + 1 + 47
    with_nothing_to_find, _ = sent_at(ONCE, Pail(FIRST + 1, 0), 9)
    with_more_to_find, _ = sent_at(ONCE, Pail(FIRST + 1, 0), 6)
    assert with_nothing_to_find + 1 == full
    # Ledger 559 closes at 295 s, the last that cannot be too late.
    assert full < with_more_to_find + 1 <= FIRST + 59


def test_a_late_plant_goes_on_for_its_gap_as_far_as_recent_blocks_stayed_open() -> None:
    bold, _ = sent_at(ONCE, Pail(FIRST + 30, 0), 9, replace(OUTLOOK, lives=(325,) * 400))
    careful, _ = sent_at(ONCE, Pail(FIRST + 30, 0), 9, replace(OUTLOOK, lives=()))
    assert careful + 1 <= FIRST + 59 < bold + 1


def test_manual_sends_at_its_second_and_stops_at_its_zeros_and_stakes_its_amount() -> None:
    policy = replace(MANUAL, fixed=Fixed(stake=3 * KALE, zeros=6, work_at_s=240))
    ledger, _ = sent_at(policy, Pail(FIRST + 1, 0), 9)
    assert ledger == FIRST + 48
    pace = at(10)
    made = plan(snapshot(pace), [LANE], policy, pace, OUTLOOK)
    (plant,), (grind,) = only(Plant, made), only(Grind, made)
    assert isinstance(plant, Plant)
    assert isinstance(grind, Grind)
    assert (plant.stake, grind.cap) == (3 * KALE, 6)


def test_manual_sends_no_later_than_is_safe_however_late_its_second() -> None:
    late = replace(MANUAL, fixed=Fixed(zeros=9, work_at_s=299))
    for outlook in (OUTLOOK, Outlook()):
        ledger, _ = sent_at(late, Pail(FIRST + 1, 900 * KALE), 9, outlook)
        assert ledger + 1 == FIRST + 59 - late.work_margin_ledgers


def test_thrift_works_once_and_gathers_harvests() -> None:
    pace = at(285)
    lane = replace(LANE, proof=proof(8), harvest_every=2)
    done = planted(gap=30, zeros=6) | {("G1", 4): Pail(1, 0, 40, 7)}
    thrifty, steady = (plan(snapshot(pace, done), [lane], one, pace, OUTLOOK) for one in (THRIFT, STEADY))
    assert not only(SubmitWork, thrifty)
    assert only(SubmitWork, steady)
    assert not only(Harvest, thrifty)
    assert only(Harvest, steady)


def test_a_harvest_is_not_put_off_while_the_next_stake_needs_it() -> None:
    pace = at(20)
    done = {("G1", 6): Pail(1, 0, 40, 7)}
    short = replace(LANE, harvest_every=5, available=2 * KALE)
    (harvest,) = only(Harvest, plan(snapshot(pace, done), [short], THRIFT, pace, OUTLOOK))
    assert "stake" in harvest.reason


def test_when_the_pool_stops_every_work_is_due_at_once_whatever_was_learned() -> None:
    for policy in POLICIES.values():
        ledger, _ = sent_at(replace(policy, at_once=True, improve_from_stroops=2**62), Pail(FIRST + 1, 0), 6)
        assert ledger == FIRST + 1


def test_a_better_proof_that_would_hardly_land_in_time_is_not_sent() -> None:
    lane, done = replace(LANE, proof=proof(9)), planted(gap=30, zeros=5)
    by_hand = replace(MANUAL, fixed=Fixed(zeros=9))
    for policy, outlook in ((STEADY, OUTLOOK), (STEADY, Outlook()), (by_hand, OUTLOOK)):
        sent = [
            bool(only(SubmitWork, plan(snapshot(at(second), done), [lane], policy, at(second), outlook)))
            for second in (270, 325)
        ]
        assert sent == [True, False]


def test_a_work_that_is_still_to_be_sent_says_why_then() -> None:
    pace, lane = at(100), replace(LANE, proof=proof(6))

    def why(policy: Policy, outlook: Outlook = OUTLOOK, **worked: int) -> str:
        made = plan(snapshot(pace, planted(**worked)), [lane], policy, pace, outlook)
        assert made.situation is not None
        (aim,) = made.aims
        return why_then(aim, made.situation)

    assert "up to 47 counts; in time with 100%" in why(STEADY)
    assert "3 ledgers before the block may close" in why(STEADY, Outlook())
    assert why(MANUAL).startswith("240 s after the opening, as configured, or as late as is safe; gap 48")
    assert why(replace(STEADY, at_once=True)).startswith("all that is open is sent at once; gap 20")
    assert why(STEADY, gap=10, zeros=7).startswith("only if a proof of more than 7 zeros is found; gap")


# Early works


def early(policy: Policy, stake: int, zeros: int = 5, outlook: Outlook = OUTLOOK) -> list[Action]:
    pace = at(20)
    seen = snapshot(pace, planted(stake))
    return only(SubmitWork, plan(seen, [replace(LANE, proof=proof(zeros))], policy, pace, outlook))


def test_a_large_stake_is_insured_by_an_early_work_and_a_small_one_is_not() -> None:
    (work,) = early(STEADY, 900 * KALE)
    assert isinstance(work, SubmitWork)
    assert not work.improves
    assert "insures" in work.reason
    assert not early(STEADY, KALE)
    assert not early(THRIFT, 900 * KALE)


def test_an_early_work_needs_hope_for_a_better_one_and_leaves_the_next_range_alone() -> None:
    slow = replace(OUTLOOK, hashrate=1e4)
    assert not early(STEADY, 900 * KALE, outlook=slow)
    assert not early(STEADY, 900 * KALE, zeros=4)  # below the block's least zeros
    assert not early(STEADY, 900 * KALE, zeros=9)  # nothing better counts


def test_a_hash_rate_that_proofs_belie_insures_nothing() -> None:
    boast = replace(OUTLOOK, hashrate=1e12)
    assert not early(STEADY, 900 * KALE, outlook=boast)


def test_a_risk_that_is_only_ignorance_is_not_insured() -> None:
    assert not early(STEADY, 900 * KALE, outlook=replace(OUTLOOK, delays=(1,) * 20))


def test_max_kale_works_twice_for_what_the_contract_books() -> None:
    (work,) = early(GREEDY, 0)
    assert "total lower" in work.reason
    assert not early(STEADY, 0)


def test_the_second_work_is_sent_late_for_its_gap_and_its_zeros() -> None:
    ledger, work = sent_at(GREEDY, Pail(FIRST + 1, 0, 3, 5), 7)
    assert work.improves
    assert ledger + 1 >= FIRST + 1 + 47


# Hashing


def test_when_nothing_is_left_to_find_the_next_block_is_hashed_for() -> None:
    pace = at(285)
    lane = replace(LANE, proof=proof(9))
    (grind,) = only(Grind, plan(snapshot(pace, planted(gap=47, zeros=9)), [lane], STEADY, pace, OUTLOOK))
    assert isinstance(grind, Grind)
    assert (grind.block, grind.entropy, grind.cap) == (INDEX + 1, b"\6" * 32, 8)
    nobody = new_record(OPENED)  # no work yet: no entropy that could last
    made = plan(snapshot(pace, planted(gap=47, zeros=9), record=nobody), [lane], STEADY, pace, OUTLOOK)
    assert not only(Grind, made)


def test_everybody_at_the_cap_rests_or_pushes_on_when_asked() -> None:
    pace = at(100)
    lane = replace(LANE, proof=proof(9))
    (resting,) = only(Grind, plan(snapshot(pace, planted()), [lane], STEADY, pace, OUTLOOK))
    (pushing,) = only(
        Grind, plan(snapshot(pace, planted()), [lane], replace(STEADY, push=True), pace, OUTLOOK)
    )
    assert isinstance(resting, Grind)
    assert isinstance(pushing, Grind)
    assert (resting.cap, pushing.cap) == (9, 10)
    assert "rest" in resting.reason
    assert "next block's range" in pushing.reason


def test_a_farmer_in_whom_there_is_more_interest_weighs_more() -> None:
    pace = at(100)
    lanes = [replace(LANE, farmer=n, address=f"G{n}", interest=part) for n, part in ((1, 0.1), (2, 1.0))]
    pails = {(lane.address, INDEX): Pail(FIRST + 1, 0) for lane in lanes}
    low, high = only(Grind, plan(snapshot(pace, pails), lanes, STEADY, pace, OUTLOOK))
    assert isinstance(low, Grind)
    assert isinstance(high, Grind)
    assert 0 < low.weight < high.weight <= 1


# Whether to take part


def test_who_would_lose_money_is_left_out_when_asked_and_told_why() -> None:
    pace = at(10)
    dear, cheap = (replace(OUTLOOK, kale_price=price) for price in (1e-6, 1e-2))
    made = plan(snapshot(pace), [LANE], THRIFT, pace, dear)
    assert not only(Plant, made)
    assert any("less than its fees" in skip.reason for skip in made.skips)
    assert only(Plant, plan(snapshot(pace), [LANE], THRIFT, pace, cheap))
    assert only(Plant, plan(snapshot(pace), [LANE], STEADY, pace, dear))
    assert only(Plant, plan(snapshot(pace), [LANE], THRIFT, pace, OUTLOOK))  # no price known


def test_a_stake_that_is_lost_too_often_is_not_made() -> None:
    pace = at(10)
    stakes = []
    for risk in (0.0, 0.01, 0.5):
        (plant,) = only(
            Plant, plan(snapshot(pace), [LANE], STEADY, pace, replace(OUTLOOK, forfeit_risk=risk))
        )
        assert isinstance(plant, Plant)
        stakes.append(plant.stake)
    assert stakes == [10 * KALE, 10 * KALE, 0]


# Strange blocks


def test_a_block_whose_ranges_are_inverted_is_left_alone() -> None:
    """The contract would take the stake and refuse every work."""
    pace = at(10)
    broken = replace(BLOCK, min_gap=48)
    made = plan(
        snapshot(pace, planted(stake=5 * KALE) | {("G2", 6): Pail(1, 0)}, broken), [LANE], STEADY, pace
    )
    assert not only(Plant, made)
    assert not only(Grind, made)
    assert not only(SubmitWork, made)
    other = replace(LANE, farmer=2, address="G2")
    made = plan(snapshot(pace, {}, broken), [other], STEADY, pace, OUTLOOK)
    assert not only(Plant, made)
    assert any("inverted" in skip.reason for skip in made.skips)


def test_the_first_block_after_an_idle_farm_is_planted_and_worked() -> None:
    idle = new_record(OPENED - 5_000)
    opening = roll_over(Farm("", "C", INDEX - 1, idle, paused=False), None, OPENED)
    assert (opening.block.max_gap, opening.block.max_zeros, opening.block.max_stake) == (0, 0, 0)
    pace = at(10)
    (plant,) = only(Plant, plan(snapshot(pace, {}, opening.block), [LANE], STEADY, pace, OUTLOOK))
    assert isinstance(plant, Plant)
    assert plant.stake == 0  # there is no range: a stake earns nothing
    pace = at(290)
    lane = replace(LANE, proof=proof(6))
    assert only(SubmitWork, plan(snapshot(pace, planted(), opening.block), [lane], STEADY, pace, OUTLOOK))


# Whatever is seen

RANGES = st.builds(
    Block,
    timestamp=st.just(OPENED),
    min_gap=st.integers(0, 60),
    max_gap=st.integers(0, 60),
    min_stake=st.integers(0, 2**40),
    max_stake=st.integers(0, 2**40),
    min_zeros=st.integers(0, 12),
    max_zeros=st.integers(0, 12),
    entropy=st.just(bytes(32)),
    staked_total=st.integers(0, 2**40),
    normalized_total=st.integers(0, 2**50),
)
LANES = st.builds(
    Lane,
    farmer=st.integers(1, 3),
    address=st.sampled_from(["G1", "G2", "G3"]),
    plants=st.booleans(),
    works=st.booleans(),
    stake=st.one_of(st.none(), st.integers(0, 2**45)),
    available=st.one_of(st.none(), st.integers(0, 2**45)),
    proof=st.one_of(st.none(), st.builds(proof, st.integers(0, 14))),
    under_way=st.sampled_from([frozenset(), frozenset({INDEX}), frozenset({INDEX + 1})]),
    working=st.booleans(),
    interest=st.sampled_from([1.0, 0.5, 0.0]),
)
PAILS = st.dictionaries(
    st.tuples(st.sampled_from(["G1", "G2", "G3"]), st.integers(INDEX - 1, INDEX)),
    st.one_of(
        st.builds(Pail, st.integers(FIRST, FIRST + 20), st.integers(0, 2**40)),
        st.builds(
            Pail,
            st.integers(FIRST, FIRST + 20),
            st.integers(0, 2**40),
            st.integers(1, 50),
            st.integers(0, 12),
        ),
    ),
)
OUTLOOKS = st.builds(
    Outlook,
    delays=st.sampled_from([(), (1,) * 20, (1, 2, 5) * 10]),
    lives=st.sampled_from([(), tuple(range(303, 328))]),
    others_parts=st.sampled_from([None, 0.0, 34.0]),
    hashrate=st.sampled_from([0.0, 1e3, 4e8]),
    kale_price=st.sampled_from([None, 1e-6, 1.0]),
    forfeit_risk=st.sampled_from([0.0, 0.3, 1.0]),
)


@given(
    st.floats(20 * SECONDS, 400), RANGES, st.lists(LANES, unique_by=lambda lane: lane.farmer), PAILS, OUTLOOKS,
    st.sampled_from([*POLICIES.values(), replace(GREEDY, push=True), replace(STEADY, early=Early.CREDIT)]),
)  # fmt: skip
def test_whatever_is_seen_plans_keep_to_balance_range_and_block_and_leave_nobody_out_unsaid(
    second: float,
    block: Block,
    lanes: list[Lane],
    pails: dict[tuple[str, int], Pail],
    outlook: Outlook,
    policy: Policy,
) -> None:
    # One farmer has one address.
    lanes = [replace(lane, address=f"G{lane.farmer}") for lane in lanes]
    pace = at(second)
    seen = snapshot(pace, pails, block)
    made = plan(seen, lanes, policy, pace, outlook)
    by_number = {lane.farmer: lane for lane in lanes}
    cap = 9 if block.max_zeros == block.min_zeros == 0 else block.max_zeros
    told = {skip.farmer for skip in made.skips}
    for action in made.actions:
        assert action.reason
        if isinstance(action, Plant):
            most = block.max_stake if action.block == INDEX else seen.farm.block.max_stake  # type: ignore[union-attr]
            assert 0 <= action.stake <= max(min(by_number[action.farmer].available or 0, most), 0)
            assert action.block == INDEX + 1 or action.max_time <= OPENED + 299
        elif isinstance(action, SubmitWork):
            pail = pails[f"G{action.farmer}", INDEX]
            assert pace.ledger + 1 > pail.sequence
            assert action.block == action.proof.index == INDEX
            assert pail.zeros is None or action.proof.zeros > pail.zeros
            assert not by_number[action.farmer].working
        elif isinstance(action, Grind) and action.block == INDEX:
            assert action.cap <= cap + policy.push
            assert 0 <= action.weight <= 1
        if not isinstance(action, Wait):
            told.add(action.farmer)
    told |= {aim.lane.farmer for aim in made.aims}
    assert isinstance(made.actions[-1], Wait)
    assert made.actions[-1].until >= pace.now
    # Whoever is not told of by an action or the ledger of his work is told why.
    assert told >= by_number.keys()
    assert all(skip.reason for skip in made.skips)


@settings(max_examples=25)
@given(
    RANGES.filter(is_valid), OUTLOOKS, st.integers(0, 2**40), st.integers(0, 20), st.integers(0, 12),
    st.sampled_from([*POLICIES.values()]),
)  # fmt: skip
def test_whatever_was_learned_a_work_is_sent_once_and_while_blocks_are_known_to_stay_open(
    block: Block, outlook: Outlook, stake: int, planted_after: int, zeros: int, policy: Policy
) -> None:
    pail, lane = Pail(FIRST + planted_after, stake), replace(LANE, proof=proof(zeros))
    sent_at = []
    for ledger in range(planted_after, 80):
        pace = at(ledger * SECONDS)
        works = only(
            SubmitWork, plan(snapshot(pace, {("G1", INDEX): pail}, block), [lane], policy, pace, outlook)
        )
        if works:
            sent_at.append(ledger * SECONDS)
            assert len(works) == 1
            # Landed, and no better proof found since.
            pail = replace(pail, gap=pace.ledger + 1 - pail.sequence, zeros=zeros)
    assert len(sent_at) == 1
    assert sent_at[0] + SECONDS <= max(300.0, *outlook.lives, 0.0)


def test_stakes_change_nothing_about_who_is_hashed_for() -> None:
    """Stake and zeros add up in a weight; they do not multiply."""
    pace = at(20)
    lanes = [replace(LANE, farmer=n, address=f"G{n}") for n in (1, 2, 3)]
    stakes = dict(zip(lanes, (0, 5 * KALE, 1_000 * KALE), strict=True))
    pails = {(lane.address, INDEX): Pail(FIRST + 1, stake) for lane, stake in stakes.items()}
    made = plan(snapshot(pace, pails), lanes, STEADY, pace, OUTLOOK)
    assert [(grind.weight, grind.cap) for grind in only(Grind, made) if isinstance(grind, Grind)] == [
        (1, 9)
    ] * 3


def test_one_farmer_alone_gets_all_there_is() -> None:
    pace, quiet = at(260), replace(OUTLOOK, others_parts=0.0)
    lane = replace(LANE, proof=proof(9))
    (work,) = only(SubmitWork, plan(snapshot(pace, planted()), [lane], STEADY, pace, quiet))
    assert isinstance(work, SubmitWork)
    assert work.block == INDEX
    assert only(Plant, plan(snapshot(at(10)), [LANE], STEADY, at(10), quiet))


def test_lives_are_counted_between_neighbouring_blocks_alone() -> None:
    def record(index: int, opened: int) -> BlockRecord:
        return BlockRecord(index, replace(BLOCK, timestamp=opened), 9)

    assert lives_of([record(1, 0), record(2, 310), record(4, 900), record(5, 1_220)]) == (310, 320)
