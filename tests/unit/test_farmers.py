"""Farmers: states and terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalepool.core.farmers import LEGAL_MOVES, FarmerState, Stake, Terms, check_move
from kalepool.errors import UsageError


@pytest.mark.parametrize("state", FarmerState)
def test_every_move_is_either_legal_or_refused_with_what_is(state: FarmerState) -> None:
    for wanted in FarmerState:
        if wanted in LEGAL_MOVES[state]:
            check_move(state, wanted)
        else:
            with pytest.raises(UsageError) as caught:
                check_move(state, wanted)
            assert state in caught.value.hint


def test_from_anywhere_a_farmer_can_come_to_the_end() -> None:
    reached = {FarmerState.EXITED}
    for _ in FarmerState:
        reached |= {state for state, moves in LEGAL_MOVES.items() if moves & reached}
    assert reached == set(FarmerState)


@given(st.integers(0, 2**63 - 1), st.integers(0, 10_000))
def test_a_percentage_never_stakes_more_than_there_is(balance: int, bps: int) -> None:
    assert 0 <= Stake(bps=bps).of(balance) <= balance


def test_a_fixed_stake_is_held_to_the_balance() -> None:
    assert Stake(stroops=50).of(30) == 30
    assert Stake(stroops=50).of(80) == 50


@pytest.mark.parametrize(
    "make",
    [
        Stake,
        lambda: Stake(bps=1, stroops=1),
        lambda: Stake(bps=10_001),
        lambda: Stake(stroops=-1),
        lambda: Terms(harvest_every=0),
        lambda: Terms(harvest_every=21),
        lambda: Terms(share_bps=10_001),
        lambda: Terms(fee_bps=-1),
        lambda: Terms(fee_bps=0.5),  # type: ignore[arg-type]
    ],
)
def test_terms_that_cannot_be_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(UsageError):
        make()
