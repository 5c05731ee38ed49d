"""What the mistakes are, and the seed that finds each."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from kalepool.adapters.store.books import Entry, post_all
from kalepool.adapters.store.db import Store
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.locks import MiningLock
from kalepool.adapters.store.reports import StoreReports
from kalepool.core import intents, pails
from kalepool.core.chain import Sent, Status
from kalepool.core.facts import BOOKED
from kalepool.core.intents import State, Verdict
from kalepool.core.readback import Matched, match
from kalepool.core.records import PailState
from kalepool.core.shares import OWED, discharged
from kalepool.errors import ConfigError, RejectedError
from kalepool.services import observing, reconcile, remembering, rereading, submit
from kalepool.services.exiting import Exiting
from kalepool.services.extending import Extender
from kalepool.services.foreign import ForeignHarvests
from kalepool.services.lanes import Accounts
from kalepool.services.paying import Paying
from kalepool.services.reconcile import Closed, Reconciler
from kalepool.services.remembering import Memory
from kalepool.services.restoring import Restoring
from kalepool.services.submit import Submitted, Submitter
from kalepool.services.witness import Witness, Witnessed

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake.

    Attributes:
        what: in words.
        seed: found it last; whatever changes the runs, changes which seeds do.
        changes: (whose, which attribute, its new value).
    """

    what: str
    seed: int
    changes: tuple[tuple[Any, str, Any], ...]


async def _send_before_signing(self: Any, orders: Any, *, ledger: int) -> list[Submitted]:
    planned = self._journal.plan_all([order.plan for order in orders])
    results = [Submitted(order, intent) for order, intent in zip(orders, planned, strict=True)]
    signed = []
    for position, result in enumerate(results):
        if result.intent is None:
            continue
        try:
            signed.append((position, result, self._attempt(result.order, result.intent, ledger)))
        except (RejectedError, ConfigError) as error:
            self._journal.mark([result.intent.number], State.EXPIRED, why=error.message)
            results[position] = Submitted(result.order, result.intent, refused=error)
    answers = await self._broadcaster.send([attempt.envelope for _, _, attempt in signed]) if signed else []
    if signed:
        self._journal.sign_all([(submit._number(result), attempt) for _, result, attempt in signed])
        self._journal.mark([submit._number(result) for _, result, _ in signed], State.SENT)
    for (position, result, _), answer in zip(signed, answers, strict=True):
        results[position] = Submitted(result.order, result.intent, answer)
    return results


_atomic = Store.atomic


@contextmanager
def _never_synced(self: Store, *, synced: bool = False) -> Iterator[None]:
    with _atomic(self):
        yield


_send = Submitter._send


async def _give_up_what_was_refused(self: Any, envelopes: Any, ledger: int) -> Any:
    answers = await _send(self, envelopes, ledger)
    refused = [
        number for (number, _), answer in zip(envelopes, answers, strict=True) if answer.status is Sent.ERROR
    ]
    if refused:
        self._journal.mark(refused, State.EXPIRED, why="refused")
    return answers


def _believe_whoever_does_not_find(attempt: Any, found: Any) -> Verdict:
    return Verdict.LANDED if found.status is not Status.NOT_FOUND else Verdict.DEAD


_gone = pails._gone


def _trust_that_a_pail_is_missing(record: Any, block: Any, snapshot: Any, plant: Any) -> Any:
    if record.state in {PailState.PLANTED, PailState.WORKED, PailState.HARVESTABLE}:
        return replace(record, state=PailState.EXPIRED, why="it is missing")
    return _gone(record, block, snapshot, plant)


def _ask_nobody_whether_it_was_harvested(journal: Any, facts: Any, record: Any) -> bool:
    return True


def _match_nothing(*arguments: Any, **named: Any) -> Matched:
    return replace(match(*arguments, **named), returned=[], doubts=[])


def _adopt_nothing(_self: Memory, _ended: Any, *, unknown: bool) -> None:
    return None


def _book_no_fee_of_failures(self: Any, failed: Any) -> list[Closed]:
    closed = []
    for intent, attempt, found in failed:
        with self._store.atomic(synced=True):
            self._journal.judge([(intent.number, attempt.number, Verdict.LANDED)])
            self._journal.mark([intent.number], State.FAILED)
        closed.append(Closed(intent, State.FAILED, found.landed))
    return closed


def _take_nothing_for_ours(self: Any, outer_hashes: Any, since: float) -> set[str]:
    return set()


_open_intents = StoreJournal.open_intents


def _leave_the_dead_alone(self: Any, *, mine: bool = True) -> Any:
    found = _open_intents(self, mine=False)
    if not mine:
        return found
    own = {
        number
        for (number,) in self._store.all("SELECT number FROM intents WHERE owner = ?", (self._owner.number,))
    }
    return [intent for intent in found if intent.number in own]


def _think_signed_was_never_sent(self: Any, *, mine: bool = True) -> Any:
    found = _open_intents(self, mine=mine)
    return [replace(one, attempts=()) if one.state is State.SIGNED else one for one in found]


def _know_no_sequence(self: Any, source: str) -> None:
    return None


@contextmanager
def _hold_what_another_holds(self: Any) -> Iterator[None]:
    with self._store.atomic():
        self._store.execute(
            "INSERT INTO mining_lock VALUES (1, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, since = excluded.since",
            (self._owner.number, self._owner.now()),
        )
    yield


_book = Witness.book


def _move_on_before_booking(self: Any, happenings: Any) -> Witnessed:
    first = self.next_ledger()
    if first is None or happenings.last < first:
        return Witnessed()
    self._facts.put(BOOKED, str(happenings.last))
    self._facts.put(BOOKED, str(first - 1))
    return _book(self, happenings)


async def _never_again(self: Any, intents: Any, *, ledger: int) -> list[Any]:
    return []


def _think_a_used_number_was_used_by_others(attempt: Any, state: Any, found: Any) -> Verdict:
    return Verdict.DEAD if state is not None and state.sequence >= attempt.sequence else Verdict.OPEN


def _read_no_account_again(self: Any) -> None:
    return


async def _learn_no_harvests(self: Any, landed: Any, *, most: int | None = None) -> bool:
    return True


async def _extend_nothing(self: Any, keys: Any, farmers: Any, snapshot: Any) -> list[Submitted]:
    return []


def _think_gone_is_harvested(record: Any, block: Any, snapshot: Any, plant: Any) -> Any:
    return _gone(replace(record, live_until=None), block, snapshot, plant)


_order = Paying._order


def _promise_nothing(self: Any, source: Any, batch: Any) -> Any:
    order = _order(self, source, batch)
    reserves = tuple(one for one in order.plan.reserves if not one[0].startswith(OWED))
    return replace(order, plan=replace(order.plan, reserves=reserves))


_settle_all = StoreJournal.settle_all
_promised = StoreJournal._promised


def _discharge_at_the_next_chance(self: Any, settlements: Any) -> None:
    for intent, reserves in getattr(self, "undischarged", {}).items():
        post_all(self._store, [Entry(f"discharge:{intent}", discharged(reserves), 0.0)])
    self.undischarged = _promised(self, [one.intent for one in settlements])
    _settle_all(self, settlements)


def _discharge_nothing_with_it(self: Any, intents: Any) -> dict[int, Any]:
    return {}


_waits = Exiting._waits


def _wait_for_no_pail(self: Any, quote: Any, states: Any) -> list[str]:
    return [one for one in _waits(self, quote, states) if "pails are open" not in one]


_overview = StoreReports.overview


def _count_nothing_unresolved(self: Any) -> Any:
    return replace(_overview(self), unresolved=0)


async def _believe_every_store(self: Any) -> None:
    return


MUTANTS: Final = {
    "send-before-journal": Mutant(
        "an envelope leaves before it is in the journal", 75, ((Submitter, "submit", _send_before_signing),)
    ),
    "unsynced": Mutant("nothing waits for the disk", 6, ((Store, "atomic", _never_synced),)),
    "refused-is-dead": Mutant(
        "what a node refuses (txBAD_SEQ) is given up and built anew",
        17,
        ((Submitter, "_send", _give_up_what_was_refused),),
    ),
    "not-found-is-dead": Mutant(
        "what a node does not find is dead, however far behind it is",
        13,
        (
            (intents, "judge", _believe_whoever_does_not_find),
            (reconcile, "judge", _believe_whoever_does_not_find),
        ),
    ),
    "pail-missing": Mutant(
        "a pail that a node does not show is gone for good",
        1,
        (
            (pails, "_gone", _trust_that_a_pail_is_missing),
            (remembering, "is_told", _ask_nobody_whether_it_was_harvested),
            (observing, "is_told", _ask_nobody_whether_it_was_harvested),
        ),
    ),
    "read-and-forget": Mutant(
        "what was paid since a backup is read and not booked",
        39,
        ((rereading, "match", _match_nothing),),
    ),
    "adopt-nothing": Mutant(
        "what was planted and harvested since a backup stays unknown",
        39,
        ((Memory, "adopt", _adopt_nothing),),
    ),
    "failures-are-free": Mutant(
        "the fee of a failed transaction is not booked",
        9,
        ((Reconciler, "_book_failed", _book_no_fee_of_failures),),
    ),
    "ours-is-external": Mutant(
        "what others did is booked without looking whose it was",
        0,
        ((StoreJournal, "claimed", _take_nothing_for_ours),),
    ),
    "no-heirs": Mutant(
        "what the dead left open is nobody's", 2, ((StoreJournal, "open_intents", _leave_the_dead_alone),)
    ),
    "signed-is-unsent": Mutant(
        "what was signed and not marked as sent never left",
        13,
        ((StoreJournal, "open_intents", _think_signed_was_never_sent),),
    ),
    "no-sequence": Mutant(
        "sequence numbers under way are not looked at",
        0,
        ((StoreJournal, "last_sequence", _know_no_sequence),),
    ),
    "never-again": Mutant(
        "nothing is ever sent a second time", 173, ((Submitter, "send_again", _never_again),)
    ),
    "used-by-others": Mutant(
        "a sequence number that is used was used by others, and nobody is asked",
        13,
        ((reconcile, "judge_overtaken", _think_a_used_number_was_used_by_others),),
    ),
    "accounts-stay": Mutant(
        "accounts are not read again when something shows that they have changed",
        17,
        ((Accounts, "outdate", _read_no_account_again),),
    ),
    "harvests-of-others": Mutant(
        "what others harvested is booked, and the pail not remembered",
        141,
        ((ForeignHarvests, "take", _learn_no_harvests),),
    ),
    "forget-ttl": Mutant(
        "what cannot be harvested in time is not extended", 16, ((Extender, "send", _extend_nothing),)
    ),
    "gone-is-harvested": Mutant(
        "a pail that is gone was harvested, whenever it died",
        24,
        ((pails, "_gone", _think_gone_is_harvested),),
    ),
    "promise-nothing": Mutant(
        "a claim is paid without being reserved", 4, ((Paying, "_order", _promise_nothing),)
    ),
    "discharge-later": Mutant(
        "a claim is discharged after its payment is settled, not with it",
        4,
        (
            (StoreJournal, "settle_all", _discharge_at_the_next_chance),
            (StoreJournal, "_promised", _discharge_nothing_with_it),
        ),
    ),
    "exit-early": Mutant(
        "who leaves is paid without waiting for open pails", 16, ((Exiting, "_waits", _wait_for_no_pail),)
    ),
    "unresolved-hidden": Mutant(
        "outcomes that nobody knows are not shown",
        48,
        ((StoreReports, "overview", _count_nothing_unresolved),),
    ),
    "payout-after-restore": Mutant(
        "a payout asks nobody about payments that this store may not know",
        163,
        ((Restoring, "insist", _believe_every_store),),
    ),
    "no-lock": Mutant("two may mine", 14, ((MiningLock, "hold", _hold_what_another_holds),)),
}
"""By name."""
