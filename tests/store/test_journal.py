"""The journal: what is begun once, signed once, and ends as the chain says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.intent_rows import judged_attempts
from kalepool.adapters.store.journal import StoreJournal
from kalepool.core.intents import LEGAL_MOVES, Intent, Kind, Plan, Settlement, State, Verdict
from kalepool.errors import InternalError, LockedError
from support.store import attempt, plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool import ports
    from kalepool.adapters.store.db import Store
    from support.store import Town

FEE = (("operator", "XLM", -300), ("network", "XLM", 300))


def begin(journal: StoreJournal, number: int = 1, *, reserve: int = 0) -> Intent:
    intent = journal.plan_all([plant(number, reserve=reserve)])[0]
    assert intent is not None
    return intent


def begin_signed(journal: StoreJournal, number: int = 1) -> Intent:
    intent = begin(journal, number)
    journal.sign(intent.number, attempt(source=f"G{number}"))
    return intent


def stored(journal: StoreJournal) -> list[Intent]:
    return journal.open_intents(mine=False)


def test_it_fulfils_the_port(journal: StoreJournal) -> None:
    port: ports.Journal = journal
    assert port.open_intents() == []


def test_a_planned_intent_is_remembered(journal: StoreJournal) -> None:
    intent = journal.plan(Kind.HARVEST, "harvest:1", ["pail:2:7", "pail:1:7", "pail:2:7"])
    assert intent == Intent(1, Kind.HARVEST, "harvest:1", ("pail:1:7", "pail:2:7"), State.PLANNED)
    assert stored(journal) == [intent]


@pytest.mark.parametrize(
    "second",
    [
        Plan(Kind.PLANT, "plant:1:7", ("pail:9:9",)),
        Plan(Kind.WORK, "work:1:7:0", ("pail:9:9", "pail:1:7")),
    ],
    ids=["same purpose", "same item"],
)
def test_a_purpose_begun_and_an_item_taken_are_refused(journal: StoreJournal, second: Plan) -> None:
    first = begin(journal)
    assert journal.plan_all([second]) == [None]
    assert stored(journal) == [first]


def test_of_two_that_clash_in_one_go_the_first_is_begun(journal: StoreJournal) -> None:
    answers = journal.plan_all([plant(1), Plan(Kind.WORK, "work:1:7:0", ("pail:1:7",)), plant(1), plant(2)])
    assert [answer is not None for answer in answers] == [True, False, False, True]


def test_an_item_is_free_again_when_its_intent_has_ended_but_the_purpose_is_not(
    journal: StoreJournal,
) -> None:
    first = begin(journal)
    journal.mark([first.number], State.EXPIRED)
    assert journal.plan_all([plant(1)]) == [None]
    assert journal.plan(Kind.WORK, "work:1:7:0", ["pail:1:7"]) is not None


def test_an_unresolved_intent_keeps_its_items(journal: StoreJournal) -> None:
    intent = begin_signed(journal)
    journal.mark([intent.number], State.UNRESOLVED)
    assert journal.plan(Kind.WORK, "work:1:7:0", ["pail:1:7"]) is None


def test_an_attempt_is_stored_whole(journal: StoreJournal) -> None:
    intent = begin(journal)
    journal.sign(intent.number, attempt())
    assert stored(journal) == [replace(intent, state=State.SIGNED, attempts=(attempt(),))]


def test_many_are_signed_together_or_not_at_all(journal: StoreJournal) -> None:
    one, two = begin(journal, 1), begin(journal, 2)
    same = attempt(source="GX")
    with pytest.raises(InternalError):
        journal.sign_all([(one.number, same), (two.number, replace(same, inner_hash="other"))])
    assert stored(journal) == [one, two]


@pytest.mark.parametrize(
    "second",
    [
        attempt(2),
        attempt(3),
        attempt(1, sequence=6),
        replace(attempt(1), outer_hashes=("another",)),
    ],
    ids=["the next while the first may live", "a gap", "another inner one", "an outer hash forgotten"],
)
def test_a_second_payment_cannot_be_signed(journal: StoreJournal, second: object) -> None:
    intent = begin(journal)
    journal.sign(intent.number, attempt())
    before = stored(journal)
    with pytest.raises(InternalError):
        journal.sign(intent.number, second)  # type: ignore[arg-type]
    assert stored(journal) == before


@pytest.mark.parametrize("sent", [False, True])
def test_a_dead_attempt_is_followed_by_one_with_its_sequence_number(
    journal: StoreJournal, sent: bool
) -> None:
    intent = begin(journal)
    journal.sign(intent.number, attempt(1))
    if sent:
        journal.mark([intent.number], State.SENT)
    journal.judge([(intent.number, 1, Verdict.DEAD)])
    journal.sign(intent.number, attempt(2))
    assert stored(journal) == [replace(intent, state=State.SIGNED, attempts=(attempt(1), attempt(2)))]


@pytest.mark.parametrize("state", [State.SIGNED, State.SENT])
def test_another_fee_bump_around_the_same_transaction_renews_the_attempt(
    journal: StoreJournal, state: State
) -> None:
    intent = begin_signed(journal)
    if state is State.SENT:
        journal.mark([intent.number], State.SENT)
    first = attempt(source="G1")
    second = replace(first, outer_hashes=(*first.outer_hashes, "bumped"), envelope=b"bumped")
    journal.sign(intent.number, second)
    assert stored(journal) == [replace(intent, state=state, attempts=(second,))]


def test_a_sequence_number_of_a_source_is_used_by_one_attempt_that_may_live(journal: StoreJournal) -> None:
    one, two = begin(journal, 1), begin(journal, 2)
    journal.sign(one.number, attempt(source="channel"))
    with pytest.raises(InternalError, match="UNIQUE"):
        journal.sign(two.number, attempt(source="channel", name="other"))
    journal.judge([(one.number, 1, Verdict.DEAD)])
    journal.sign(two.number, attempt(source="channel", name="other"))


def test_a_final_verdict_does_not_change(journal: StoreJournal) -> None:
    intent = begin_signed(journal)
    journal.judge([(intent.number, 1, Verdict.HIDDEN)])
    journal.judge([(intent.number, 1, Verdict.LANDED)])
    journal.judge([(intent.number, 1, Verdict.LANDED)])
    with pytest.raises(InternalError, match="not rewritten"):
        journal.judge([(intent.number, 1, Verdict.DEAD)])


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (lambda journal: journal.settle(1, FEE, at=9.0), Verdict.LANDED),
        (lambda journal: journal.mark([1], State.FAILED), Verdict.DEAD),
        (lambda journal: journal.mark([1], State.EXPIRED), Verdict.DEAD),
        (lambda journal: journal.mark([1], State.UNRESOLVED), Verdict.OPEN),
    ],
)
def test_the_end_of_an_intent_says_what_became_of_its_attempt(
    store: Store, journal: StoreJournal, end: Callable[[StoreJournal], None], verdict: Verdict
) -> None:
    begin_signed(journal)
    end(journal)
    assert [known for _, known in judged_attempts(store, [1])[1]] == [verdict]


def test_a_failure_in_a_ledger_keeps_the_sequence_number(journal: StoreJournal) -> None:
    intent = begin_signed(journal)
    journal.judge([(intent.number, 1, Verdict.LANDED)])
    journal.mark([intent.number], State.FAILED)
    assert journal.last_sequence("G1") == 5


def test_the_last_sequence_is_of_attempts_that_are_not_dead(journal: StoreJournal) -> None:
    one, two = begin(journal, 1), begin(journal, 2)
    assert journal.last_sequence("channel") is None
    journal.sign(one.number, attempt(source="channel", sequence=5))
    journal.sign(two.number, attempt(source="channel", sequence=6))
    assert journal.last_sequence("channel") == 6
    journal.mark([two.number], State.EXPIRED)
    assert journal.last_sequence("channel") == 5


def test_the_envelope_of_a_closed_intent_makes_room(store: Store, journal: StoreJournal) -> None:
    begin_signed(journal)
    journal.settle(1, FEE, at=9.0)
    assert store.value("SELECT envelope FROM attempts") == b""


def test_the_database_knows_the_same_moves_as_the_core(store: Store, journal: StoreJournal) -> None:
    number = begin(journal).number
    for current in State:
        for wanted in State:
            with store.atomic():
                # The move under test starts anywhere: the rule is lifted to get there, and put back by the rollback.
                rule = store.value("SELECT sql FROM sqlite_schema WHERE name = 'intents_move_legally'")
                store.execute("DROP TRIGGER intents_move_legally")
                store.execute("UPDATE intents SET state = ? WHERE number = ?", (current, number))
                store.execute(rule)
                allowed = True
                try:
                    store.execute("UPDATE intents SET state = ? WHERE number = ?", (wanted, number))
                except InternalError:
                    allowed = False
                assert allowed == (wanted in LEGAL_MOVES[current]), f"{current} > {wanted}"


@pytest.mark.parametrize("state", [State.SENT, State.FAILED, State.UNRESOLVED])
def test_an_illegal_mark_moves_nothing(journal: StoreJournal, state: State) -> None:
    signed, planned = begin_signed(journal, 1), begin(journal, 2)
    before = stored(journal)
    with pytest.raises(InternalError, match="planned cannot become"):
        journal.mark([signed.number, planned.number], state)
    assert stored(journal) == before


@pytest.mark.parametrize("state", [State.PLANNED, State.SIGNED, State.SETTLED])
def test_signing_and_settling_are_more_than_marks(journal: StoreJournal, state: State) -> None:
    intent = begin_signed(journal)
    with pytest.raises(InternalError, match="alone"):
        journal.mark([intent.number], state)


def test_marking_again_is_no_move(journal: StoreJournal) -> None:
    intent = begin_signed(journal)
    journal.mark([intent.number], State.SENT)
    journal.mark([intent.number], State.SENT)
    assert [one.state for one in stored(journal)] == [State.SENT]


def test_an_intent_that_was_never_planned_is_not_moved(journal: StoreJournal) -> None:
    with pytest.raises(InternalError, match="never planned"):
        journal.mark([77], State.SENT)


def test_settling_books_and_closes_together(store: Store, journal: StoreJournal) -> None:
    begin_signed(journal)
    journal.settle(1, FEE, at=9.0, why="landed")
    assert stored(journal) == []
    assert StoreBooks(store).balances() == {("operator", "XLM"): -300, ("network", "XLM"): 300}
    assert store.all("SELECT key, intent, why, at FROM entries") == [("intent:1", 1, "landed", 9.0)]


def test_settling_without_postings_closes(store: Store, journal: StoreJournal) -> None:
    begin_signed(journal)
    journal.settle(1, (), at=9.0)
    assert stored(journal) == []
    assert StoreBooks(store).balances() == {}


def test_settlements_that_do_not_sum_to_zero_settle_nothing(store: Store, journal: StoreJournal) -> None:
    begin_signed(journal, 1)
    begin_signed(journal, 2)
    before = stored(journal)
    with pytest.raises(InternalError, match="sum to zero"):
        journal.settle_all([Settlement(1, FEE, 9.0), Settlement(2, FEE[:1], 9.0)])
    assert stored(journal) == before
    assert StoreBooks(store).balances() == {}


def test_an_intent_is_settled_once(store: Store, journal: StoreJournal) -> None:
    begin_signed(journal)
    journal.settle(1, FEE, at=9.0)
    with pytest.raises(InternalError, match="settled cannot become settled"):
        journal.settle(1, FEE, at=9.0)
    assert StoreBooks(store).balance("network", "XLM") == 300


def test_open_intents_reserve_what_they_may_spend(journal: StoreJournal) -> None:
    one = begin(journal, 1, reserve=400)
    begin(journal, 2, reserve=500)
    assert journal.reserved() == {("operator", "XLM"): 900}
    journal.mark([one.number], State.EXPIRED)
    assert journal.reserved() == {("operator", "XLM"): 500}


def test_an_owner_sees_its_own_and_what_the_dead_left(store: Store, town: Town) -> None:
    living, dead, heir = (StoreJournal(store, town.owner(pid)) for pid in (1, 2, 3))
    begin(living, 1)
    left = begin(dead, 2)
    own = begin(heir, 3)
    town.dead.add(2)
    assert heir.open_intents() == [left, own]
    assert [one.purpose for one in living.open_intents()] == ["plant:1:7"]


def test_seeing_all_takes_nothing_over(store: Store, town: Town) -> None:
    dead, viewer = (StoreJournal(store, town.owner(pid)) for pid in (1, 2))
    left = begin(dead)
    town.dead.add(1)
    assert viewer.open_intents(mine=False) == [left]
    dead.mark([left.number], State.EXPIRED)


@pytest.mark.parametrize(
    "act",
    [
        lambda journal: journal.sign(1, replace(attempt(source="G1"), outer_hashes=("G1/5/1/outer", "more"))),
        lambda journal: journal.judge([(1, 1, Verdict.DEAD)]),
        lambda journal: journal.mark([1], State.SENT),
        lambda journal: journal.settle(1, FEE, at=9.0),
    ],
    ids=["sign", "judge", "mark", "settle"],
)
def test_an_intent_is_moved_by_its_owner_alone(
    store: Store, town: Town, act: Callable[[StoreJournal], None]
) -> None:
    owner, other = (StoreJournal(store, town.owner(pid)) for pid in (1, 2))
    begin_signed(owner)
    with pytest.raises(LockedError):
        act(other)
    act(owner)


def test_one_who_was_taken_for_dead_is_kept_from_its_old_intents(store: Store, town: Town) -> None:
    slow, heir = (StoreJournal(store, town.owner(pid)) for pid in (1, 2))
    intent = begin_signed(slow)
    town.dead.add(1)
    heir.open_intents()
    with pytest.raises(LockedError, match="taken over"):
        slow.mark([intent.number], State.SENT)


def test_an_unresolved_intent_is_anybodys_to_close(store: Store, town: Town) -> None:
    mine, operator = (StoreJournal(store, town.owner(pid)) for pid in (1, 2))
    intent = begin_signed(mine)
    mine.mark([intent.number], State.UNRESOLVED)
    operator.settle(intent.number, FEE, at=9.0, why="seen by hand")
    assert stored(mine) == []


def test_an_intent_is_never_deleted(store: Store, journal: StoreJournal) -> None:
    begin(journal)
    with pytest.raises(InternalError, match="never forgotten"):
        store.execute("DELETE FROM intents")


def test_what_landed_is_ours_by_any_of_its_hashes_unless_it_was_given_up(store: Store, town: Town) -> None:
    mine, other = (StoreJournal(store, town.owner(pid)) for pid in (1, 2))
    for journal, number in ((mine, 1), (other, 2), (mine, 3)):
        begin_signed(journal, number)
    mine.sign(1, replace(attempt(source="G1"), outer_hashes=("G1/5/1/outer", "bumped")))
    mine.settle(1, FEE, at=9.0)
    mine.mark([3], State.EXPIRED)
    asked = {"G1/5/1/outer", "bumped", "G2/5/1/outer", "G3/5/1/outer", "G1/5/1", "a stranger's"}
    assert mine.claimed(asked, 1_000) == {"G1/5/1/outer", "bumped", "G2/5/1/outer"}
    assert mine.claimed({"bumped"}, 1_000) == {"bumped"}
    assert mine.claimed(asked, 1_030) != set()
    assert mine.claimed(asked, 1_031) == set()


def test_looking_for_what_is_ours_does_not_read_all_years(store: Store, journal: StoreJournal) -> None:
    begin_signed(journal)
    plan = store.all(
        "EXPLAIN QUERY PLAN SELECT hash.value FROM attempts, json_each(attempts.outer_hashes) AS hash "
        "WHERE attempts.max_time >= 1000 AND attempts.verdict <> 'dead'"
    )
    assert any("attempts_by_last_moment" in row[-1] for row in plan)
