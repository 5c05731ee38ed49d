"""The life of what was agreed: which way it goes, and what states of an account mean for it."""

from __future__ import annotations

from itertools import product

import pytest

from kalepool.core.agreements import LIFE_MOVES, Life, life_after
from kalepool.core.farmers import LEGAL_MOVES, FarmerState


@pytest.mark.parametrize(
    ("states", "lived"),
    [
        ("created funded active", "pending active"),
        ("created exited", "pending cancelled"),
        ("created funded exiting exited", "pending exiting completed"),
        ("active paused active exiting active exiting exited", "active exiting active exiting completed"),
        ("paused exiting paused", "active exiting active"),
    ],
)
def test_states_of_an_account_lead_through_the_life_of_the_agreement(states: str, lived: str) -> None:
    steps: list[Life] = []
    for state in map(FarmerState, states.split()):
        became = life_after(steps[-1] if steps else None, state)
        if not steps or became is not steps[-1]:
            steps.append(became)
    assert steps == [Life(step) for step in lived.split()]


def test_every_legal_move_of_an_account_is_a_legal_one_of_the_agreement_or_none() -> None:
    reached = {(state, life_after(None, state)) for state in FarmerState}
    for _, was in product(FarmerState, FarmerState):
        for state, life in list(reached):
            if state is was:
                for became in LEGAL_MOVES[state]:
                    after = life_after(life, became)
                    assert after is life or after in LIFE_MOVES[life]
                    reached.add((became, after))
