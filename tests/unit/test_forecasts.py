"""Forecasts: by the contract's own rules where nothing is left to chance, and held against what came."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import block_reward, new_record, scale, weigh
from kalepool.core.farm import Block, Farm, Pail, Proof
from kalepool.core.forecasts import MILLI, Forecast, forecasts, outcome_of
from kalepool.core.records import PailRecord, PailState
from kalepool.core.rounds import Lane
from kalepool.core.situation import Aim, Situation, situation_of
from kalepool.core.strategy import POLICIES, Outlook, Pace

FIRST, OPENED, INDEX = 500, 1_000_000, 7
BLOCK = Block(OPENED, 0, 47, 0, 1_000, 5, 9, bytes(32), 0, 0)
OUTLOOK = Outlook(delays=(1,) * 20, others_parts=30.0, hashrate=0.0)
PACE = Pace(FIRST + 10, OPENED + 50, OPENED + 50.0, 5.0)
STEADY = POLICIES["steady"]


def aims_and_situation(
    pails: list[Pail], proofs: list[int | None], outlook: Outlook = OUTLOOK, ledger: int = FIRST + 48
) -> tuple[list[Aim], Situation]:
    lanes = [
        Lane(
            number,
            f"G{number}",
            plants=True,
            works=True,
            stake=0,
            available=0,
            proof=None if zeros is None else Proof(INDEX, 1, bytes(32), zeros),
        )
        for number, zeros in enumerate(proofs, 1)
    ]
    dated = {(lane.address, INDEX): DatedPail(pail, 20_000) for lane, pail in zip(lanes, pails, strict=True)}
    farm = Farm("G-owner", "C-asset", INDEX, new_record(OPENED), paused=False)
    seen = Snapshot("node", FIRST + 10, farm, bytes(32), {INDEX: DatedBlock(BLOCK, 20_000)}, dated)
    situation = situation_of(seen, lanes, STEADY, PACE, outlook)
    assert situation is not None
    return [Aim(lane, pail, ledger, 1.0) for lane, pail in zip(lanes, pails, strict=True)], situation


def test_with_nothing_left_to_chance_it_is_what_the_contract_will_pay() -> None:
    pails = [Pail(FIRST + 1, 0), Pail(FIRST + 2, 1_000)]
    made = forecasts(*aims_and_situation(pails, [9, 9]))
    weights = [weigh(BLOCK, gap, pail.stake, 9).total for gap, pail in zip((47, 46), pails, strict=True)]
    total = 30 * scale(BLOCK) + sum(weights)
    assert [(one.gap, one.millizeros) for one in made] == [(47, 9 * MILLI), (46, 9 * MILLI)]
    for one, weight in zip(made, weights, strict=True):
        assert one.reward == pytest.approx(block_reward(INDEX) * weight / total, rel=1e-9)


@given(rate=st.floats(0, 1e9), more=st.floats(1, 10), best=st.sampled_from([None, 0, 3, 6, 9]))
def test_more_hashes_never_promise_less(rate: float, more: float, best: int | None) -> None:
    def made(speed: float) -> Forecast:
        return forecasts(*aims_and_situation([Pail(FIRST + 1, 0)], [best], replace(OUTLOOK, hashrate=speed)))[
            0
        ]

    slow, fast = made(rate), made(rate * more)
    assert slow.reward <= fast.reward
    assert (best or 0) * MILLI <= slow.millizeros <= fast.millizeros <= 9 * MILLI


def test_learned_delays_are_gap_too() -> None:
    aims, situation = aims_and_situation([Pail(FIRST + 1, 0)], [9], replace(OUTLOOK, delays=(3, 2, 3)))
    assert forecasts(aims, situation)[0].gap == 49


def ended(
    farmer: int, state: PailState, gap: int | None = None, zeros: int | None = None, reward: int | None = None
) -> PailRecord:
    return PailRecord(farmer, INDEX, state, 5, 501, gap, zeros, reward)


def test_an_outcome_waits_for_the_last_pail_and_counts_a_lost_one_as_nothing() -> None:
    planned = [Forecast(1, INDEX, 47, 7_500, 1_000), Forecast(2, INDEX, 47, 7_500, 1_000)]
    first = ended(1, PailState.HARVESTED, gap=45, zeros=8, reward=900)
    stranger = ended(3, PailState.PLANTED)  # without a forecast
    assert outcome_of(INDEX, planned, [first, ended(2, PailState.PLANTED), stranger]) is None
    found = outcome_of(INDEX, planned, [first, ended(2, PailState.FORFEITED), stranger])
    assert found is not None
    assert (found.pails, found.planned_reward, found.reward, found.share) == (2, 2_000, 900, 0.45)
    assert (found.mean(found.gaps), found.mean(found.planned_gaps), found.mean(found.zeros)) == (22.5, 47, 4)
    assert outcome_of(INDEX, [], [first]) is None
