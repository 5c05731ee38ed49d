"""The life of intents and attempts: legal moves, and what an answer proves."""

from __future__ import annotations

import pytest

from kalepool.core.chain import AccountState, Found, Status, Tip
from kalepool.core.intents import (
    LEGAL_MOVES,
    Attempt,
    State,
    Verdict,
    check_move,
    judge,
    judge_all,
    judge_overtaken,
    pail_item,
    pail_of,
)
from kalepool.errors import InternalError

ATTEMPT = Attempt(1, "aa", ("bb",), "G", 7, b"", max_time=1_000, signed_ledger=50)


def answer(status: Status, close_time: int = 2_000, oldest: int = 1) -> Found:
    return Found(status, Tip("node", 60, close_time, oldest))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (answer(Status.SUCCESS), Verdict.LANDED),
        (answer(Status.FAILED), Verdict.LANDED),
        (answer(Status.NOT_FOUND, close_time=999), Verdict.OPEN),
        (answer(Status.NOT_FOUND, close_time=1_000), Verdict.OPEN),  # bounds are inclusive
        (answer(Status.NOT_FOUND, close_time=1_001), Verdict.DEAD),
        (answer(Status.NOT_FOUND, close_time=1_001, oldest=50), Verdict.DEAD),
        (answer(Status.NOT_FOUND, close_time=1_001, oldest=51), Verdict.HIDDEN),
    ],
)
def test_an_attempt_is_dead_only_past_its_time_with_history_to_prove_it(
    found: Found, verdict: Verdict
) -> None:
    assert judge(ATTEMPT, found) is verdict


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([answer(Status.NOT_FOUND), answer(Status.SUCCESS)], Verdict.LANDED),
        ([answer(Status.NOT_FOUND), answer(Status.NOT_FOUND, oldest=99)], Verdict.HIDDEN),
        ([answer(Status.NOT_FOUND), answer(Status.NOT_FOUND, close_time=1)], Verdict.OPEN),
        ([answer(Status.NOT_FOUND), answer(Status.NOT_FOUND)], Verdict.DEAD),
    ],
)
def test_one_attempt_that_may_live_keeps_the_intent_from_being_dead(
    answers: list[Found], verdict: Verdict
) -> None:
    assert judge_all([ATTEMPT, ATTEMPT], answers) is verdict


def account(sequence: int, ledger: int = 60) -> AccountState:
    return AccountState("G", 0, 0, sequence, None, None, None, ledger)


@pytest.mark.parametrize(
    ("state", "found", "verdict"),
    [
        (account(7), answer(Status.NOT_FOUND, close_time=1), Verdict.DEAD),
        (account(9, ledger=50), answer(Status.NOT_FOUND, close_time=1, oldest=50), Verdict.DEAD),
        (account(6), answer(Status.NOT_FOUND, close_time=1), Verdict.OPEN),  # who refuses it lags
        (None, answer(Status.NOT_FOUND, close_time=1), Verdict.OPEN),
        (account(7, ledger=61), answer(Status.NOT_FOUND), Verdict.OPEN),  # who does not find it lags
        (account(7, ledger=49), answer(Status.NOT_FOUND), Verdict.OPEN),
        (account(7), answer(Status.NOT_FOUND, oldest=51), Verdict.OPEN),  # who does not find it has forgotten
        (account(7), answer(Status.SUCCESS), Verdict.LANDED),
        (account(7), answer(Status.FAILED), Verdict.LANDED),
    ],
)
def test_an_attempt_whose_number_is_used_is_dead_once_a_node_that_would_have_it_has_not(
    state: AccountState | None, found: Found, verdict: Verdict
) -> None:
    assert judge_overtaken(ATTEMPT, state, found) is verdict


def test_every_state_has_its_moves_and_ends_do_not_move() -> None:
    assert set(LEGAL_MOVES) == set(State)
    for state in (State.SETTLED, State.FAILED, State.EXPIRED):
        assert not LEGAL_MOVES[state]


@pytest.mark.parametrize(("current", "wanted"), [(State.PLANNED, State.SENT), (State.SETTLED, State.SENT)])
def test_a_move_that_skips_the_journal_is_a_bug(current: State, wanted: State) -> None:
    with pytest.raises(InternalError):
        check_move(current, wanted)


def test_an_item_tells_its_pail() -> None:
    assert pail_of(pail_item(12, 183_487)) == (12, 183_487)
    assert pail_of("payout:12:3") is None
