"""When to send: learned chances, the best ledger against trying each, spreading, early works."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.contract import new_record, scale, weigh, work
from kalepool.core.economics import Scales, expected_part
from kalepool.core.farm import Block, Farm, Pail
from kalepool.core.strategy import Pace
from kalepool.core.timing import Delays, Stay, best_send, chance_open, credit, early_gain, spread

OPENED, FIRST, SECONDS = 1_000_000, 500, 5.0
BLOCK = Block(OPENED, 0, 47, 0, 1_000, 5, 9, bytes(32), 0, 0)
RECORD = new_record(OPENED)
LIVES = tuple(range(303, 328))
DELAYS = Delays((0.8, 0.15, 0.04))


def at(second: float) -> Pace:
    ledgers = int(second // SECONDS)
    return Pace(FIRST + ledgers, int(OPENED + ledgers * SECONDS), OPENED + second, SECONDS)


def test_delays_are_believed_once_there_are_enough_and_leave_room_for_worse() -> None:
    assert Delays.learned([1] * 11) is None
    learned = Delays.learned([1] * 18 + [2])
    assert learned is not None
    assert learned.chances == (0.9, 0.05)
    assert sum(learned.chances) < 1
    assert (learned.quantile(0.5), learned.quantile(0.92), learned.quantile(0.999)) == (1, 2, 2)


def test_a_block_is_open_for_300_seconds_and_then_as_long_as_recent_ones() -> None:
    assert chance_open(299.9, ()) == 1
    assert chance_open(300, ()) == 0  # nothing known, nothing risked
    assert chance_open(310, LIVES) == pytest.approx(17 / 26)
    assert chance_open(400, LIVES) == 0


@pytest.mark.parametrize("second", [150.0, 240.0, 285.0, 296.0])
@pytest.mark.parametrize("planted", [1, 9, 30])
@pytest.mark.parametrize("stake", [0, 1_000])
@pytest.mark.parametrize("best", [-1, 6, 9])
def test_the_best_ledger_is_the_one_that_trying_each_gives(
    second: float, planted: int, stake: int, best: int
) -> None:
    pace, pail, speed = at(second), Pail(FIRST + planted, stake), 4e6
    stay = Stay.of(RECORD, pace, DELAYS, LIVES)
    stake_parts = 20 * stake / 1_000
    found = best_send(
        stay,
        stay.gaps(pail.sequence, BLOCK),
        Scales(BLOCK),
        pail,
        best,
        speed=speed,
        stake_parts=stake_parts,
        fee_parts=0.01,
    )

    def value(after: int) -> float:
        """Expected full parts, chance by chance."""
        total = 0.0
        zeros = expected_part((5, 9), round(speed * max(pace.close_of(after) - pace.now, 0)), best)
        if after == pace.ledger:
            zeros = expected_part((5, 9), 0, best)
        lands = 0.0
        for delay, one in enumerate(DELAYS.chances, 1):
            open_ = one * chance_open(pace.close_of(after + delay) - OPENED + 1, LIVES)
            gap = min(max(after + delay - pail.sequence, 0), 47) / 47
            total += open_ * (gap + zeros + stake / 1_000)
            lands += open_
        return total - (1 - lands) * (stake_parts + 0.01)

    tried = {after: value(after) for after in range(pace.ledger, pace.ledger + 70)}
    assert value(found.after) == pytest.approx(max(tried.values()), abs=1e-4)
    assert 0 <= found.lands <= 1


def test_the_more_there_is_at_stake_the_earlier_it_is_sent() -> None:
    pace = at(250)
    stay = Stay.of(RECORD, pace, DELAYS, LIVES)
    pail = Pail(FIRST + 20, 0)
    gaps, scales = stay.gaps(pail.sequence, BLOCK), Scales(BLOCK)
    sent = [
        best_send(stay, gaps, scales, pail, 7, speed=0, stake_parts=parts, fee_parts=0).after
        for parts in (0, 1, 20, 1_000)
    ]
    assert sent == sorted(sent, reverse=True)
    assert sent[0] > sent[-1]


@given(st.lists(st.integers(0, 12), max_size=60), st.integers(0, 12), st.integers(1, 9))
def test_spreading_makes_nobody_late_and_no_ledger_full(aims: list[int], first: int, room: int) -> None:
    placed = spread(list(enumerate(aims)), first, room)
    assert placed.keys() == set(range(len(aims)))
    taken = Counter(placed.values())
    for farmer, aim in enumerate(aims):
        assert first <= placed[farmer] <= max(aim, first)
    assert all(count <= room for ledger, count in taken.items() if ledger > first)
    # Nobody is moved while his ledger has room.
    moved = [farmer for farmer, aim in enumerate(aims) if placed[farmer] < aim]
    assert all(taken[max(aims[farmer], first)] == room for farmer in moved)


@pytest.mark.parametrize(
    ("fails", "improves", "stake", "pays"),
    [
        (0.0, 1.0, 1_000.0, False),  # no risk: the fee is lost
        (0.01, 1.0, 1_000.0, True),
        (0.01, 1.0, 10.0, False),  # too little at stake
        (0.01, 0.5, 1_000.0, False),  # without a better proof the gap is lost
    ],
)
def test_insurance_is_the_risk_times_the_stake_against_the_fee(
    fails: float, improves: float, stake: float, pays: bool
) -> None:
    gain = early_gain(
        part=50, stake=int(stake), gap_parts=0.9, zero_parts=0.3, fails=fails, improves=improves, fee=1
    )
    assert (gain > 0) is pays


def test_the_credit_of_a_second_work_is_what_the_contract_books() -> None:
    """Once at gap 47, against at gap 2 and again at 47: the same weights, a lower total."""
    farm = Farm("", "", 7, new_record(OPENED), paused=False)
    before = replace(BLOCK, normalized_total=34 * scale(BLOCK))

    def done(*works: tuple[int, int]) -> tuple[Block, Pail]:
        block, pail = before, Pail(FIRST, 0)
        for gap, zeros in works:
            worked = work(farm, block, pail, claimed=b"", actual=b"", zeros=zeros, sequence=FIRST + gap)
            block, pail = worked.block, worked.pail
        return block, pail

    once, twice = done((47, 8)), done((2, 5), (47, 8))
    assert once[1] == twice[1]
    weights = weigh(BLOCK, 47, 0, 8)
    lower = weights.gap - weigh(BLOCK, 2, 0, 5).gap
    assert once[0].normalized_total - twice[0].normalized_total == lower
    pot = 1_000_000_000
    shares = [pot * weights.total / block.normalized_total for block, _ in (once, twice)]
    counted = credit(
        pot=pot,
        total=once[0].normalized_total,
        ours=weights.total,
        gap_parts=lower / scale(BLOCK),
        full=scale(BLOCK),
    )
    assert counted == pytest.approx(shares[1] - shares[0])
