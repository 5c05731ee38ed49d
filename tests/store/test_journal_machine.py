"""Whatever is done to the journal in whatever order, its promises hold."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.opening import create_store, open_store
from kalepool.adapters.store.verify import verify
from kalepool.core.intents import LEGAL_MOVES, OPEN, Kind, Plan, State, Verdict
from kalepool.errors import InternalError
from support.store import HOME, Town, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEMS = st.lists(st.sampled_from([f"pail:{number}:7" for number in range(4)]), max_size=3).map(tuple)
POSTINGS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["XLM", "KALE"]), st.integers(-3, 3)), max_size=4
)
SOURCES = st.sampled_from(["GA", "GB"])


class JournalMachine(RuleBasedStateMachine):
    """The journal beside a model of it: the state of each intent, and the books as a plain sum."""

    intents: Bundle[int] = Bundle("intents")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "kalepool.db"
        create_store(path, HOME)
        self.store = open_store(path, HOME)
        self.journal = StoreJournal(self.store, Town(self.store).owner(1))
        self.states: dict[int, State] = {}
        self.items: dict[int, tuple[str, ...]] = {}
        self.attempts: dict[int, list[tuple[str, int, Verdict]]] = {}
        self.balances: Counter[tuple[str, str]] = Counter()
        self.begun: set[str] = set()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @contextmanager
    def refused_unless(self, legal: bool) -> Iterator[None]:
        """Insist that the body is refused exactly when it is not legal."""
        try:
            yield
        except InternalError:
            assert not legal
        else:
            assert legal

    @rule(target=intents, purpose=st.integers(0, 9).map(str), items=ITEMS)
    def plan(self, purpose: str, items: tuple[str, ...]) -> int | MultipleResults[int]:
        held = {item for number, has in self.items.items() if self.states[number] in OPEN for item in has}
        intent = self.journal.plan_all([Plan(Kind.PLANT, purpose, items)])[0]
        assert (intent is None) == (purpose in self.begun or not held.isdisjoint(items))
        if intent is None:
            return multiple()
        self.begun.add(purpose)
        self.states[intent.number] = State.PLANNED
        self.items[intent.number] = items
        self.attempts[intent.number] = []
        return intent.number

    def may_live(self) -> set[tuple[str, int]]:
        return {
            (source, sequence)
            for known in self.attempts.values()
            for source, sequence, verdict in known
            if verdict is not Verdict.DEAD
        }

    @rule(intent=intents, source=SOURCES, sequence=st.integers(1, 3))
    def sign(self, intent: int, source: str, sequence: int) -> None:
        known = self.attempts[intent]
        legal = (
            State.SIGNED in LEGAL_MOVES[self.states[intent]]
            and all(verdict is Verdict.DEAD for _, _, verdict in known)
            and (source, sequence) not in self.may_live()
        )
        number = len(known) + 1
        with self.refused_unless(legal):
            name = f"{intent}/{number}"
            self.journal.sign(intent, attempt(number, source=source, sequence=sequence, name=name))
        if legal:
            known.append((source, sequence, Verdict.OPEN))
            self.states[intent] = State.SIGNED

    @rule(intent=intents, verdict=st.sampled_from(Verdict))
    def judge(self, intent: int, verdict: Verdict) -> None:
        known = self.attempts[intent]
        if not known:
            return
        source, sequence, current = known[-1]
        legal = current in {Verdict.OPEN, Verdict.HIDDEN, verdict}
        with self.refused_unless(legal):
            self.journal.judge([(intent, len(known), verdict)])
        if legal:
            known[-1] = (source, sequence, verdict)

    @rule(intent=intents, state=st.sampled_from([State.SENT, State.FAILED, State.EXPIRED, State.UNRESOLVED]))
    def mark(self, intent: int, state: State) -> None:
        current = self.states[intent]
        legal = state is current or state in LEGAL_MOVES[current]
        with self.refused_unless(legal):
            self.journal.mark([intent], state)
        if legal:
            self.close(intent, state, Verdict.DEAD)

    @rule(intent=intents, postings=POSTINGS, balanced=st.booleans())
    def settle(self, intent: int, postings: list[tuple[str, str, int]], balanced: bool) -> None:
        if balanced:
            postings = [*postings, *(("d", asset, -stroops) for _, asset, stroops in postings)]
        sums = Counter[str]()
        for _, asset, stroops in postings:
            sums[asset] += stroops
        legal = State.SETTLED in LEGAL_MOVES[self.states[intent]] and not any(sums.values())
        with self.refused_unless(legal):
            self.journal.settle(intent, postings, at=1.0)
        if legal:
            self.close(intent, State.SETTLED, Verdict.LANDED)
            for account, asset, stroops in postings:
                self.balances[account, asset] += stroops

    @rule(intent=consumes(intents))
    def rest(self, intent: int) -> None:
        """Leave an intent as it stands for the rest of the run, so that others get their turn."""

    def close(self, intent: int, state: State, end: Verdict) -> None:
        self.states[intent] = state
        if state not in OPEN:
            self.attempts[intent] = [
                (source, sequence, end if verdict in {Verdict.OPEN, Verdict.HIDDEN} else verdict)
                for source, sequence, verdict in self.attempts[intent]
            ]

    @invariant()
    def an_item_is_in_one_open_intent(self) -> None:
        held = Counter(item for one in self.journal.open_intents(mine=False) for item in one.items)
        assert set(held.values()) <= {1}

    @invariant()
    def open_intents_are_those_of_the_model(self) -> None:
        found = {one.number: one.state for one in self.journal.open_intents(mine=False)}
        assert found == {number: state for number, state in self.states.items() if state in OPEN}

    @invariant()
    def the_books_are_those_of_the_model_and_sum_to_zero(self) -> None:
        books = StoreBooks(self.store)
        assert books.total() == 0
        found = {line: stroops for line, stroops in books.balances().items() if stroops}
        assert found == {line: stroops for line, stroops in self.balances.items() if stroops}

    @invariant()
    def sequence_numbers_are_those_of_attempts_that_may_live(self) -> None:
        for source in ("GA", "GB"):
            living = [sequence for of, sequence in self.may_live() if of == source]
            assert self.journal.last_sequence(source) == max(living, default=None)

    @invariant()
    def the_store_is_sound(self) -> None:
        assert verify(self.store) == []


JournalMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestJournal = JournalMachine.TestCase
