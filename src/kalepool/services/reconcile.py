"""Closing intents against the chain: what landed is settled, what can never land is given up.

Runs before anything else at a start, and after each ledger in which something is under way. What landed is
learned from events, all of it in one request, and from a snapshot at hand; only what these leave open is
asked for by its hash. That something did not land is never concluded from events. The rules by which an
answer counts are ``core.intents`` and ``core.evidence``; this asks, writes down, and sends again what may
still land.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.chain import Status
from kalepool.core.evidence import Evidence, weigh_evidence, widened
from kalepool.core.intents import (
    SHOWN_BY_PAILS,
    Kind,
    Settlement,
    State,
    Verdict,
    judge,
    judge_all,
    judge_by_sequence,
    judge_overtaken,
)
from kalepool.core.postings import postings_of
from kalepool.errors import RetryableError
from kalepool.services.witness import Witnessed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.chain import Found, Landed, Snapshot
    from kalepool.core.evidence import Window
    from kalepool.core.intents import Attempt, Intent
    from kalepool.ports import Books, Chain, Journal, Transactions
    from kalepool.services.foreign import ForeignHarvests
    from kalepool.services.submit import Submitter
    from kalepool.services.witness import Witness

_ABOUT_NOW: Final = 2
"""Ledgers by which the node that tells of events may be behind the one that gave a snapshot."""

_BAD_SEQUENCE: Final = "txBAD_SEQ"
_REPEATABLE: Final = frozenset({Kind.PLANT, Kind.WORK})
"""Made anew as soon as one is known to be dead: a pail takes one of them. Payments are left alone until they are too old."""

_ASKED_AT_ONCE: Final = 30
"""Transactions asked about for the sake of others in one look of ``mine``, three requests: the rest waits for the next."""

IDLE_LEDGERS: Final = 30
"""While nothing is under way, what others do is read so often: twice a block."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of an intent.

    Attributes:
        intent: as it was before.
        state: where it stands now.
        landed: the transaction in a ledger, or None.
        why: a note for people.
        is_overtaken: whether its account has used its sequence number for something else.
    """

    intent: Intent
    state: State
    landed: Landed | None = None
    why: str = ""
    is_overtaken: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What one look at the chain brought.

    Attributes:
        closed: what became of intents.
        witnessed: what others did, as it was booked.
    """

    closed: list[Closed]
    witnessed: Witnessed


@dataclass(slots=True)
class _Findings:
    settled: list[tuple[Intent, Attempt, Landed]] = field(default_factory=list)
    failed: list[tuple[Intent, Attempt, Found]] = field(default_factory=list)
    open: list[Intent] = field(default_factory=list)
    dead: list[Intent] = field(default_factory=list)
    hidden: list[Intent] = field(default_factory=list)
    forgotten: list[Intent] = field(default_factory=list)  # in a ledger that no node remembers
    unproven: list[Intent] = field(default_factory=list)
    ledger: int = 0  # the last one that anything here was true in
    oldest: int = 0  # the first one that a node still had


class Reconciler:
    """Closes open intents.

    Args:
        journal: where they are.
        books: where fees of failed transactions are booked.
        store: makes several changes one.
        chain: the truth.
        submitter: sends again.
        payer: who pays fees, G address.
        witness: books what others do, from the same events; None where that is not wanted.
        harvested: remembers what a harvest that landed has paid, in the transaction that settles it: nobody
            else would tell after a crash. None where that is not wanted.
        foreign: remembers harvests of others, before what they moved is booked. None where that is not wanted.
    """

    def __init__(
        self,
        journal: Journal,
        books: Books,
        store: Transactions,
        chain: Chain,
        submitter: Submitter,
        payer: str,
        witness: Witness | None = None,
        *,
        harvested: Callable[[Intent, Landed], None] | None = None,
        foreign: ForeignHarvests | None = None,
    ) -> None:
        self._journal = journal
        self._books = books
        self._store = store
        self._chain = chain
        self._submitter = submitter
        self._payer = payer
        self._witness = witness
        self._harvested = harvested
        self._foreign = foreign
        self._window: Window | None = None

    async def reconcile(self, snapshot: Snapshot | None = None) -> list[Closed]:
        """Close what can be closed of every open intent of ours and of dead owners; see ``observe``."""
        return (await self.observe(snapshot)).closed

    async def observe(self, snapshot: Snapshot | None = None) -> Observed:
        """Settle, give up or send again every open intent of ours and of dead owners; book what others did.

        Args:
            snapshot: with the pails of what is open, where one is at hand: it saves requests.

        Raises:
            RetryableError: when the network cannot tell now, and nothing was decided.
        """
        intents = self._journal.open_intents()
        closed = self._drop([intent for intent in intents if not intent.attempts])
        signed = [intent for intent in intents if intent.attempts]
        witnessed, is_read = Witnessed(), False
        try:
            witnessed, is_read = await self._read_events(signed, snapshot)
        except RetryableError:
            # A node may answer questions and have no events. Asking is dearer, and tells as much.
            if not signed and not closed:
                raise
        if not signed:
            return Observed(closed, witnessed)
        findings = self._weigh(signed, snapshot) if is_read else _Findings(unproven=signed)
        if snapshot is not None:
            findings.ledger = max(findings.ledger, snapshot.ledger)
        closed += self._settle(findings.settled)
        try:
            findings = await self._ask(findings)
        except RetryableError:
            # What was closed must reach the caller; the rest is asked for the next time.
            if not closed and witnessed == Witnessed():
                raise
        else:
            closed += self._close(findings)
        sent = await self._submitter.send_again(findings.open, ledger=findings.ledger)
        refused = [intent for intent, answer in sent if answer.code == _BAD_SEQUENCE]
        with suppress(RetryableError):
            closed += await self._close_overtaken([one for one in refused if one.kind in _REPEATABLE])
        return Observed(closed, witnessed)

    async def _close_overtaken(self, refused: Sequence[Intent]) -> list[Closed]:
        """Close what is refused since its number is used: by itself, unseen, or by its account's owner.

        Of the latter nothing lands any more, and there may be time for another.
        """
        states = await self._chain.accounts([intent.attempts[-1].source for intent in refused])
        used = [
            (intent, intent.attempts[-1])
            for intent in refused
            if (state := states.get(intent.attempts[-1].source)) is not None
            and state.sequence >= intent.attempts[-1].sequence
        ][:_ASKED_AT_ONCE]
        answers = await self._chain.find_all([attempt.inner_hash for _, attempt in used])
        findings = _Findings()
        for (intent, attempt), found in zip(used, answers, strict=True):
            verdict = judge_overtaken(attempt, states.get(attempt.source), found)
            if verdict is Verdict.DEAD:
                findings.dead.append(intent)
            elif verdict is Verdict.LANDED:
                self._sort(intent, [(attempt, found)], findings)
        closed = self._settle(findings.settled) + self._book_failed(findings.failed)
        why = "its account has sent something else with its sequence number"
        return closed + [replace(one, is_overtaken=True) for one in self._give_up(findings.dead, why)]

    def _close(self, findings: _Findings) -> list[Closed]:
        closed = self._settle(findings.settled)
        closed += self._book_failed(findings.failed)
        closed += self._give_up(findings.dead)
        closed += self._let_go(findings.forgotten, findings.oldest)
        return closed + self._set_aside(findings.hidden)

    async def _read_events(
        self, signed: Sequence[Intent], snapshot: Snapshot | None
    ) -> tuple[Witnessed, bool]:
        """Read the ledgers that nothing was read of yet, once for outcomes and for what others did.

        Returns:
            What was booked, and whether outcomes can be judged by events: else they are asked for.
        """
        since = await self._unread(signed, snapshot)
        if since is None:
            return Witnessed(), False
        holders = self._witness.ours() if self._witness is not None else ()
        until = 0 if snapshot is None else snapshot.ledger
        witnessed = Witnessed()
        while True:
            happenings = await self._chain.happenings(since, self._payer, holders)
            self._window = widened(self._window, happenings)
            if self._witness is not None:
                most = None if snapshot is None else _ASKED_AT_ONCE
                fresh = self._witness.fresh(happenings)
                if self._foreign is not None and not await self._foreign.take(fresh, most=most):
                    # Booked once all of it is taken: till then no pail of those ledgers counts as dead.
                    return witnessed, True
                witnessed = witnessed.and_then(self._witness.book(happenings))
            # After long silence events fill more than is read at once. What they tell comes before what a
            # snapshot shows: a pail that is not there has died, unless they say that somebody harvested it.
            if happenings.last >= until - _ABOUT_NOW or happenings.last < since:
                return witnessed, True
            since = happenings.last + 1

    async def _unread(self, signed: Sequence[Intent], snapshot: Snapshot | None) -> int | None:
        """Give the first ledger to be read; None where none need be."""
        firsts = []
        open_since = _open_since(signed)
        if open_since is not None:
            if self._window is not None and self._window.reaches(open_since):
                self._window = self._window.since(open_since)
                firsts.append(self._window.last + 1)
            else:
                firsts.append(open_since)
        if self._witness is not None:
            first = self._witness.next_ledger()
            if first is None:
                tip = await self._chain.tip()
                self._witness.begin(tip.ledger)
                first = tip.ledger + 1
            if signed or snapshot is None or snapshot.ledger >= first + IDLE_LEDGERS - 1:
                firsts.append(first)
        return min(firsts, default=None)

    def _weigh(self, signed: Sequence[Intent], snapshot: Snapshot | None) -> _Findings:
        """Sort what events and the snapshot prove from what is to be asked for."""
        assert self._window is not None
        findings = _Findings(ledger=self._window.last)
        for intent in signed:
            evidence = weigh_evidence(intent, self._window, snapshot)
            if evidence is Evidence.SUCCEEDED:
                landed = self._window.landed(intent)
                assert landed is not None
                findings.settled.append((intent, *landed))
            elif evidence is Evidence.UNPROVEN:
                findings.unproven.append(intent)
            elif evidence is Evidence.ABSENT:
                findings.open.append(intent)
        return findings

    async def _ask(self, weighed: _Findings) -> _Findings:
        """Ask for the outcome of what is unproven, and sort it; what is settled already is left out."""
        findings = _Findings(open=list(weighed.open), ledger=weighed.ledger)
        asked = [(intent, attempt) for intent in weighed.unproven for attempt in intent.attempts]
        answers = await self._chain.find_all([attempt.inner_hash for _, attempt in asked])
        by_intent: dict[int, list[tuple[Attempt, Found]]] = {}
        for (intent, attempt), found in zip(asked, answers, strict=True):
            by_intent.setdefault(intent.number, []).append((attempt, found))
            findings.ledger = max(findings.ledger, found.tip.ledger)
            findings.oldest = max(findings.oldest, found.tip.oldest_ledger)
        for intent in weighed.unproven:
            self._sort(intent, by_intent[intent.number], findings)
        await self._weigh_sequences(findings)
        return findings

    async def _weigh_sequences(self, findings: _Findings) -> None:
        """Decide by account sequence what no history tells of, as far as that is beyond doubt."""
        hidden, findings.hidden = findings.hidden, []
        states = await self._chain.accounts([intent.attempts[-1].source for intent in hidden])
        for intent in hidden:
            last = intent.attempts[-1]
            verdict = judge_by_sequence(last, states.get(last.source), findings.ledger)
            if verdict is Verdict.DEAD:
                findings.dead.append(intent)
            elif verdict is Verdict.LANDED and intent.kind in SHOWN_BY_PAILS:
                findings.forgotten.append(intent)
            else:
                findings.hidden.append(intent)

    def _sort(self, intent: Intent, answered: Sequence[tuple[Attempt, Found]], findings: _Findings) -> None:
        attempts, answers = zip(*answered, strict=True)
        verdict = judge_all(attempts, answers)
        if verdict is Verdict.LANDED:
            attempt, found = next(pair for pair in answered if judge(*pair) is Verdict.LANDED)
            if found.status is Status.SUCCESS:
                findings.settled.append((intent, attempt, found.landed))
            else:
                findings.failed.append((intent, attempt, found))
        elif self._window is not None and self._window.landed(intent) is not None:
            # Events told that it landed: a node that does not find it is behind, or lies. Asked again.
            return
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

    def _settle(self, settled: Sequence[tuple[Intent, Attempt, Landed]]) -> list[Closed]:
        if not settled:
            return []
        with self._store.atomic(synced=True):
            self._journal.judge(
                [(intent.number, attempt.number, Verdict.LANDED) for intent, attempt, _ in settled]
            )
            self._journal.settle_all(
                [
                    Settlement(intent.number, postings_of(landed, self._payer), at=landed.closed_at)
                    for intent, _, landed in settled
                ]
            )
            for intent, _, landed in settled:
                if self._harvested is not None and intent.kind is Kind.HARVEST:
                    self._harvested(intent, landed)
        return [Closed(intent, State.SETTLED, landed) for intent, _, landed in settled]

    def _book_failed(self, failed: Sequence[tuple[Intent, Attempt, Found]]) -> list[Closed]:
        """A failed transaction is in a ledger too: its fee is paid and its sequence number used."""
        closed = []
        for intent, attempt, found in failed:
            why = _worded(found)
            with self._store.atomic(synced=True):
                self._journal.judge([(intent.number, attempt.number, Verdict.LANDED)])
                self._journal.mark([intent.number], State.FAILED, why=why)
                postings = postings_of(found.landed, self._payer)
                self._books.post(f"failed:{attempt.inner_hash}", postings, at=found.closed_at, why=why)
            closed.append(Closed(intent, State.FAILED, found.landed, why))
        return closed

    def _give_up(
        self, intents: Sequence[Intent], why: str = "did not land in time, and can never land"
    ) -> list[Closed]:
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

    def _let_go(self, intents: Sequence[Intent], oldest: int) -> list[Closed]:
        why = "it is in a ledger that no node remembers; the pails show what it did, no books its fee"
        if not intents:
            return []
        with self._store.atomic(synced=True):
            self._journal.judge(
                [(intent.number, intent.attempts[-1].number, Verdict.LANDED) for intent in intents]
            )
            self._journal.mark([intent.number for intent in intents], State.FAILED, why=why)
            if self._witness is not None:
                signed = [intent.attempts[-1].signed_ledger for intent in intents]
                self._witness.note_unseen(min(signed) + 1, max(max(signed) + 1, oldest - 1))
        return [Closed(intent, State.FAILED, why=why) for intent in intents]

    def _set_aside(self, intents: Sequence[Intent]) -> list[Closed]:
        why = "nodes no longer have the history that could tell"
        fresh = [intent for intent in intents if intent.state is not State.UNRESOLVED]
        if fresh:
            self._journal.mark([intent.number for intent in fresh], State.UNRESOLVED, why=why)
        return [Closed(intent, State.UNRESOLVED, why=why) for intent in fresh]


def _open_since(signed: Sequence[Intent]) -> int | None:
    """Give the first ledger in which something still under way could have landed."""
    return min(
        (intent.attempts[-1].signed_ledger + 1 for intent in signed if intent.state is not State.UNRESOLVED),
        default=None,
    )


def _worded(found: Found) -> str:
    parts = [found.code, *found.operation_codes]
    if found.contract_error is not None:
        parts.append(f"KALE contract error {found.contract_error}")
    return ", ".join(part for part in parts if part)
