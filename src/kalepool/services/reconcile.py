"""Closing intents against the chain: what landed is settled, what can never land is given up.

Runs before anything else at a start, and after each ledger in which something is under way. The rules
by which an answer counts are ``core.intents``; this asks, writes down, and sends again what may still land.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kalepool.core.chain import Status
from kalepool.core.intents import Settlement, State, Verdict, judge, judge_all
from kalepool.core.postings import postings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Found
    from kalepool.core.intents import Attempt, Intent
    from kalepool.ports import Books, Chain, Journal, Transactions
    from kalepool.services.submit import Submitter


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of an intent.

    Attributes:
        intent: as it was before.
        state: where it stands now.
        found: the transaction in a ledger, or None.
        why: a note for people.
    """

    intent: Intent
    state: State
    found: Found | None = None
    why: str = ""


@dataclass(slots=True)
class _Findings:
    settled: list[tuple[Intent, Attempt, Found]] = field(default_factory=list)
    failed: list[tuple[Intent, Attempt, Found]] = field(default_factory=list)
    open: list[Intent] = field(default_factory=list)
    dead: list[Intent] = field(default_factory=list)
    hidden: list[Intent] = field(default_factory=list)


class Reconciler:
    """Closes open intents.

    Args:
        journal: where they are.
        books: where fees of failed transactions are booked.
        store: makes several changes one.
        chain: the truth.
        submitter: sends again.
        payer: who pays fees, G address.
    """

    def __init__(
        self,
        journal: Journal,
        books: Books,
        store: Transactions,
        chain: Chain,
        submitter: Submitter,
        payer: str,
    ) -> None:
        self._journal = journal
        self._books = books
        self._store = store
        self._chain = chain
        self._submitter = submitter
        self._payer = payer

    async def reconcile(self) -> list[Closed]:
        """Ask about every open intent of ours and of dead owners; settle, give up or send again.

        Raises:
            RetryableError: when the network cannot tell now; nothing is decided then.
        """
        intents = self._journal.open_intents()
        unsigned = [intent for intent in intents if not intent.attempts]
        closed = self._drop(unsigned)
        signed = [intent for intent in intents if intent.attempts]
        if not signed:
            return closed
        findings = await self._ask(signed)
        closed += self._settle(findings.settled)
        closed += self._book_failed(findings.failed)
        closed += self._give_up(findings.dead)
        closed += self._set_aside(findings.hidden)
        await self._submitter.send_again(findings.open)
        return closed

    async def _ask(self, intents: Sequence[Intent]) -> _Findings:
        asked = [(intent, attempt) for intent in intents for attempt in intent.attempts]
        answers = await self._chain.find_all([attempt.inner_hash for _, attempt in asked])
        by_intent: dict[int, list[tuple[Attempt, Found]]] = {}
        for (intent, attempt), found in zip(asked, answers, strict=True):
            by_intent.setdefault(intent.number, []).append((attempt, found))
        findings = _Findings()
        for intent in intents:
            self._sort(intent, by_intent[intent.number], findings)
        return findings

    def _sort(self, intent: Intent, answered: Sequence[tuple[Attempt, Found]], findings: _Findings) -> None:
        attempts, answers = zip(*answered, strict=True)
        verdict = judge_all(attempts, answers)
        if verdict is Verdict.LANDED:
            attempt, found = next(pair for pair in answered if judge(*pair) is Verdict.LANDED)
            landed = findings.settled if found.status is Status.SUCCESS else findings.failed
            landed.append((intent, attempt, found))
        elif verdict is Verdict.HIDDEN:
            findings.hidden.append(intent)
        elif verdict is Verdict.OPEN:
            findings.open.append(intent)
        else:
            findings.dead.append(intent)

    def _drop(self, intents: Sequence[Intent]) -> list[Closed]:
        """Give up what was planned and never signed: nothing of it can be anywhere."""
        why = "never signed"
        if intents:
            self._journal.mark([intent.number for intent in intents], State.EXPIRED, why=why)
        return [Closed(intent, State.EXPIRED, why=why) for intent in intents]

    def _settle(self, landed: Sequence[tuple[Intent, Attempt, Found]]) -> list[Closed]:
        with self._store.atomic(synced=True):
            self._journal.judge(
                [(intent.number, attempt.number, Verdict.LANDED) for intent, attempt, _ in landed]
            )
            self._journal.settle_all(
                [
                    Settlement(intent.number, postings_of(found, self._payer), at=found.closed_at)
                    for intent, _, found in landed
                ]
            )
        return [Closed(intent, State.SETTLED, found) for intent, _, found in landed]

    def _book_failed(self, landed: Sequence[tuple[Intent, Attempt, Found]]) -> list[Closed]:
        """A failed transaction is in a ledger too: its fee is paid and its sequence number used."""
        closed = []
        for intent, attempt, found in landed:
            why = _worded(found)
            with self._store.atomic(synced=True):
                self._journal.judge([(intent.number, attempt.number, Verdict.LANDED)])
                self._journal.mark([intent.number], State.FAILED, why=why)
                postings = postings_of(found, self._payer)
                self._books.post(f"failed:{attempt.inner_hash}", postings, at=found.closed_at, why=why)
            closed.append(Closed(intent, State.FAILED, found, why))
        return closed

    def _give_up(self, intents: Sequence[Intent]) -> list[Closed]:
        why = "did not land in time, and can never land"
        if intents:
            dead = [
                (intent.number, attempt.number, Verdict.DEAD)
                for intent in intents
                for attempt in intent.attempts
            ]
            with self._store.atomic(synced=True):
                self._journal.judge(dead)
                self._journal.mark([intent.number for intent in intents], State.EXPIRED, why=why)
        return [Closed(intent, State.EXPIRED, why=why) for intent in intents]

    def _set_aside(self, intents: Sequence[Intent]) -> list[Closed]:
        why = "nodes no longer have the history that could tell"
        fresh = [intent for intent in intents if intent.state is not State.UNRESOLVED]
        if fresh:
            self._journal.mark([intent.number for intent in fresh], State.UNRESOLVED, why=why)
        return [Closed(intent, State.UNRESOLVED, why=why) for intent in fresh]


def _worded(found: Found) -> str:
    parts = [found.code, *found.operation_codes]
    if found.contract_error is not None:
        parts.append(f"KALE contract error {found.contract_error}")
    return ", ".join(part for part in parts if part)
