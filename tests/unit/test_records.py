"""The life of a pail: which moves are legal, and which states want something done."""

from __future__ import annotations

import pytest

from kalepool.core.records import ALIVE, PAIL_MOVES, PailState, check_pail_move
from kalepool.errors import InternalError


def test_every_state_has_its_moves_and_the_living_are_those_that_must_move() -> None:
    assert set(PAIL_MOVES) == set(PailState)
    # A missed plant may still be seen after all, but nothing waits for it.
    assert {state for state in PailState if PAIL_MOVES[state]} == ALIVE | {PailState.MISSED}


@pytest.mark.parametrize(
    ("current", "wanted"),
    [
        (PailState.PLANNED, PailState.WORKED),
        (PailState.FORFEITED, PailState.WORKED),
        (PailState.PLANTED, PailState.HARVESTABLE),
        (PailState.MISSED, PailState.HARVESTED),
        (PailState.HARVESTED, PailState.HARVESTABLE),
    ],
)
def test_a_pail_skips_no_part_of_its_life_and_does_not_rise(current: PailState, wanted: PailState) -> None:
    with pytest.raises(InternalError, match=f"that is {current} cannot become {wanted}"):
        check_pail_move(current, wanted)


def test_staying_is_always_legal() -> None:
    for state in PailState:
        check_pail_move(state, state)
