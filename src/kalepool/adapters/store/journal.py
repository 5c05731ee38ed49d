"""Intents and attempts: on disk before anything leaves the house."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.books import Entry, post_all
from kalepool.adapters.store.intent_rows import attempt_row, judged_attempts, load_intents
from kalepool.core.intents import Intent, Plan, Settlement, State, Verdict, check_move
from kalepool.core.shares import OWED, SENT, discharged
from kalepool.errors import InternalError, LockedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.owners import Owner
    from kalepool.core.intents import Attempt, Kind

_BY_OTHER_MEANS: Final = {State.PLANNED: "plan()", State.SIGNED: "sign()", State.SETTLED: "settle()"}

_BEGUN: Final = "SELECT purpose FROM intents WHERE purpose IN (SELECT value FROM json_each(?))"
_TAKEN: Final = "SELECT item FROM intent_items WHERE open = 1 AND item IN (SELECT value FROM json_each(?))"


class StoreJournal:
    """The journal, as one owner sees it. Fulfils ``ports.Journal``."""

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner

    def plan(
        self, kind: Kind, purpose: str, items: Iterable[str], reserves: Iterable[tuple[str, str, int]] = ()
    ) -> Intent | None:
        """Begin an intent; None where the purpose was begun before or an item is taken."""
        return self.plan_all([Plan(kind, purpose, tuple(items), tuple(reserves))])[0]

    def plan_all(self, plans: Sequence[Plan]) -> list[Intent | None]:
        """Begin many in one transaction, an answer each; of two that clash, the first is begun."""
        with self._store.atomic():
            begun = self._among(_BEGUN, [plan.purpose for plan in plans])
            taken = self._among(_TAKEN, [item for plan in plans for item in plan.items])
            number: int = self._store.value("SELECT coalesce(max(number), 0) FROM intents")
            answers: list[Intent | None] = []
            for plan in plans:
                if plan.purpose in begun or not taken.isdisjoint(plan.items):
                    answers.append(None)
                    continue
                number += 1
                begun.add(plan.purpose)
                taken.update(plan.items)
                items = tuple(sorted(set(plan.items)))
                answers.append(Intent(number, plan.kind, plan.purpose, items, State.PLANNED))
            self._insert([(intent, plan) for intent, plan in zip(answers, plans, strict=True) if intent])
        return answers

    def _insert(self, begun: Sequence[tuple[Intent, Plan]]) -> None:
        owner, now = self._owner.number, self._owner.now()
        self._store.execute_many(
            "INSERT INTO intents (number, kind, purpose, state, owner, at) VALUES (?, ?, ?, 'planned', ?, ?)",
            [(intent.number, intent.kind, intent.purpose, owner, now) for intent, _ in begun],
        )
        self._store.execute_many(
            "INSERT INTO intent_items VALUES (?, ?, 1)",
            [(intent.number, item) for intent, _ in begun for item in intent.items],
        )
        self._store.execute_many(
            "INSERT INTO reserves VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET stroops = stroops + excluded.stroops",
            [(intent.number, *reserve) for intent, plan in begun for reserve in plan.reserves],
        )

    def _among(self, query: str, values: Sequence[str]) -> set[str]:
        rows = self._store.all(query, (json.dumps(values),))
        return {value for (value,) in rows}

    def sign(self, intent: int, attempt: Attempt) -> None:
        """Store an attempt and move the intent to signed; on disk, synced, before this returns."""
        self.sign_all([(intent, attempt)])

    def sign_all(self, attempts: Sequence[tuple[int, Attempt]]) -> None:
        """Store many attempts with one synced commit.

        An attempt is new (the next number, every one before it dead), or the last one again with
        another fee bump around the same inner transaction: then its outer hashes grow.

        Raises:
            InternalError: when neither holds, a move is not legal, or a sequence number of a source is
                taken by another attempt that may live.
            LockedError: when an intent is another process's.
        """
        with self._store.atomic(synced=True):
            owned = self._owned([intent for intent, _ in attempts])
            known = judged_attempts(self._store, list(owned))
            fresh = []
            for intent, attempt in attempts:
                if self._is_again(attempt, known.get(intent, [])):
                    self._store.execute(
                        "UPDATE attempts SET outer_hashes = ?, envelope = ? WHERE intent = ? AND number = ?",
                        (json.dumps(attempt.outer_hashes), attempt.envelope, intent, attempt.number),
                    )
                else:
                    check_move(owned[intent], State.SIGNED)
                    fresh.append((intent, attempt))
            self._store.execute_many(
                "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
                [attempt_row(intent, attempt) for intent, attempt in fresh],
            )
            self._move([intent for intent, _ in fresh], State.SIGNED, "")

    @staticmethod
    def _is_again(attempt: Attempt, known: Sequence[tuple[Attempt, Verdict]]) -> bool:
        """Tell a renewed attempt from a new one, and insist that it is one of the two."""
        if attempt.number == len(known) + 1:
            if any(verdict is not Verdict.DEAD for _, verdict in known):
                raise InternalError("a new attempt while an earlier one may live would be a second payment")
            return False
        last, verdict = known[-1] if known else (None, Verdict.DEAD)
        if (
            last is None
            or verdict is not Verdict.OPEN
            or replace(attempt, outer_hashes=last.outer_hashes, envelope=last.envelope) != last
            or not set(last.outer_hashes) <= set(attempt.outer_hashes)
        ):
            raise InternalError(f"attempt {attempt.number} is neither the next nor the last one again")
        return True

    def judge(self, verdicts: Sequence[tuple[int, int, Verdict]]) -> None:
        """Write down what became of attempts: (intent, attempt's number, verdict).

        Landed and dead are final. An attempt judged dead gives its sequence number back.

        Raises:
            InternalError: when a final verdict would change.
            LockedError: when an intent is another process's.
        """
        with self._store.atomic():
            self._owned([intent for intent, _, _ in verdicts])
            self._store.execute_many(
                "UPDATE attempts SET verdict = ?3 WHERE intent = ?1 AND number = ?2 AND verdict <> ?3",
                verdicts,
            )

    def mark(self, intents: Sequence[int], state: State, *, why: str = "") -> None:
        """Move intents to sent, failed, expired or unresolved; being there already is no move.

        Once failed or expired, an attempt not judged landed is dead, and its sequence number free:
        judge first the one that failed in a ledger.

        Raises:
            InternalError: when a move is not legal, or has a method of its own.
            LockedError: when an intent is another process's.
        """
        if state in _BY_OTHER_MEANS:
            raise InternalError(f"an intent becomes {state} by {_BY_OTHER_MEANS[state]} alone")
        with self._store.atomic():
            moving = {
                number: current for number, current in self._owned(intents).items() if current is not state
            }
            for current in set(moving.values()):
                check_move(current, state)
            self._move(list(moving), state, why)

    def settle(
        self, intent: int, postings: Sequence[tuple[str, str, int]], *, at: float, why: str = ""
    ) -> None:
        """Move an intent to settled and post to the books, in one transaction."""
        self.settle_all([Settlement(intent, tuple(postings), at, why)])

    def settle_all(self, settlements: Sequence[Settlement]) -> None:
        """Settle many in one transaction, all or none. Claims that an intent reserved are paid by it.

        Raises:
            InternalError: when a move is not legal, or postings do not sum to zero.
            LockedError: when an intent is another process's.
        """
        with self._store.atomic():
            for current in set(self._owned([settlement.intent for settlement in settlements]).values()):
                check_move(current, State.SETTLED)
            promised = self._promised([settlement.intent for settlement in settlements])
            post_all(
                self._store,
                [
                    Entry(
                        f"intent:{done.intent}",
                        (*done.postings, *discharged(promised.get(done.intent, ()))),
                        done.at,
                        done.why,
                        done.intent,
                    )
                    for done in settlements
                ],
            )
            self._store.execute_many(
                "UPDATE intents SET state = 'settled', why = ?, at = ? WHERE number = ?",
                [(done.why, self._owner.now(), done.intent) for done in settlements],
            )

    def _promised(self, intents: Sequence[int]) -> dict[int, list[tuple[str, str, int]]]:
        rows = self._store.all(
            "SELECT intent, account, asset, stroops FROM reserves "
            "WHERE intent IN (SELECT value FROM json_each(?)) AND (account GLOB ? OR account GLOB ?)",
            (json.dumps(list(intents)), f"{OWED}*", f"{SENT}*"),
        )
        promised: dict[int, list[tuple[str, str, int]]] = {}
        for intent, account, asset, stroops in rows:
            promised.setdefault(intent, []).append((account, asset, stroops))
        return promised

    def open_intents(self, *, mine: bool = True) -> list[Intent]:
        """Give open intents, oldest first.

        Args:
            mine: this owner's and those of dead owners, which become this owner's; otherwise all, untouched.
        """
        if not mine:
            with self._store.reading():
                return load_intents(self._store, self._numbers("SELECT number FROM open_intents"))
        with self._store.atomic():
            owners = [row[0] for row in self._store.all("SELECT DISTINCT owner FROM open_intents")]
            self._store.execute(
                "UPDATE intents SET owner = ? "
                "WHERE state NOT IN ('settled', 'failed', 'expired') AND owner IN (SELECT value FROM json_each(?))",
                (self._owner.number, json.dumps(self._owner.dead(owners))),
            )
            return load_intents(
                self._store,
                self._numbers("SELECT number FROM open_intents WHERE owner = ?", self._owner.number),
            )

    def claimed(self, outer_hashes: Collection[str], since: float) -> set[str]:
        """Give those of the hashes that are an attempt's which is not dead, of whichever owner.

        Args:
            outer_hashes: hex.
            since: network time; attempts that could not land any more by then are not looked at.
        """
        rows = self._store.all(
            "SELECT hash.value FROM attempts, json_each(attempts.outer_hashes) AS hash "
            "WHERE attempts.max_time >= ? AND attempts.verdict <> 'dead'",
            (since,),
        )
        return {outer_hash for (outer_hash,) in rows} & set(outer_hashes)

    def states(self, purposes: Sequence[str]) -> dict[str, State]:
        """Give where the intents of these purposes stand; a purpose never begun is left out."""
        rows = self._store.all(
            "SELECT purpose, state FROM intents WHERE purpose IN (SELECT value FROM json_each(?))",
            (json.dumps(list(purposes)),),
        )
        return {purpose: State(state) for purpose, state in rows}

    def landed(self, purposes: Sequence[str]) -> dict[str, str]:
        """Give the hash, hex, of the transaction that settled each of these purposes; others are left out."""
        rows = self._store.all(
            "SELECT purpose, outer_hashes FROM intents JOIN attempts ON intent = intents.number "
            "WHERE state = 'settled' AND verdict = 'landed' "
            "AND purpose IN (SELECT value FROM json_each(?))",
            (json.dumps(list(purposes)),),
        )
        return {purpose: json.loads(hashes)[-1] for purpose, hashes in rows}

    def last_sequence(self, source: str, *, signed_before: int | None = None) -> int | None:
        """Give the highest sequence number signed for an account whose attempt is not dead.

        Args:
            source: G address.
            signed_before: only attempts that were signed before this ledger; None for all.
        """
        highest: int | None = self._store.value(
            "SELECT max(sequence) FROM ("
            "SELECT max(sequence) AS sequence FROM attempts WHERE source = ?1 AND verdict <> 'dead' "
            "AND (?2 IS NULL OR signed_ledger < ?2) "
            "UNION ALL SELECT sequence FROM brief_sequences WHERE source = ?1)",
            (source, signed_before),
        )
        return highest

    def count_sequences(self, source: str, first: int, last: int) -> int:
        """Count an account's sequence numbers, both ends counted in, that attempts took which are not dead."""
        count: int = self._store.value(
            "SELECT count(*) FROM attempts WHERE source = ? AND sequence BETWEEN ? AND ? AND verdict <> 'dead'",
            (source, first, last),
        )
        return count

    def reserved(self) -> dict[tuple[str, str], int]:
        """Give what open intents of all owners may still spend, by (account, asset)."""
        rows = self._store.all("SELECT account, asset, sum(stroops) FROM reserves GROUP BY account, asset")
        return {(account, asset): stroops for account, asset, stroops in rows}

    def _numbers(self, query: str, *parameters: int) -> list[int]:
        return [number for (number,) in self._store.all(query, parameters)]

    def _owned(self, intents: Sequence[int]) -> dict[int, State]:
        """Give the states of intents that are this owner's to move; an unresolved one is anybody's."""
        rows = self._store.all(
            "SELECT number, state, owner FROM intents WHERE number IN (SELECT value FROM json_each(?))",
            (json.dumps(list(intents)),),
        )
        if len(rows) != len(set(intents)):
            raise InternalError("an intent that was never planned")
        for number, state, owner in rows:
            if owner != self._owner.number and state != State.UNRESOLVED:
                raise LockedError(
                    f"another kalepool has taken over intent {number}", hint="it settles it; start this again"
                )
        return {number: State(state) for number, state, _ in rows}

    def _move(self, intents: Sequence[int], state: State, why: str) -> None:
        self._store.execute_many(
            "UPDATE intents SET state = ?, why = ?, at = ? WHERE number = ?",
            [(state, why, self._owner.now(), number) for number in intents],
        )
