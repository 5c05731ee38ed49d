"""Correcting entries for what happened in ledgers that nobody can read any more, once a person agrees.

Such ledgers are noted when they are missed. What the chain holds then differs from the books for ever, and
no claim has anything to do with it: what is owed to whom stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.bookings import Booking
from kalepool.core.facts import UNSEEN, spans
from kalepool.core.postings import EXTERNAL, FEES, XLM, account
from kalepool.errors import RejectedError, RetryableError, UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kalepool.ports import Books, Chain, Clock, Facts, Journal, Transactions
    from kalepool.services.comparing import Comparison, Difference
    from kalepool.services.errands import Errands
    from kalepool.services.restoring import Restoring

_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Adoption:
    """What would be booked.

    Attributes:
        differences: between books and chain.
        unseen: which ledgers went by unseen, such as ``100-250 300-310``.
        ledger: the last one that the node has closed.
        at: network time when the last unseen ledger closed, Unix seconds, as far as that is known.
    """

    differences: tuple[Difference, ...]
    unseen: str
    ledger: int
    at: float


class Adopting:
    """Books what the chain holds.

    Args:
        books: where it is booked.
        facts: know which ledgers went by unseen.
        journal: what is under way.
        store: makes several changes one.
        chain: tells how far back it can be read.
        clock: network time.
        errands: ends what is open.
        restoring: knows whether payments may be unknown to this store.
        compare: compares books and chain.
        record: writes to the audit log.
    """

    def __init__(
        self,
        *,
        books: Books,
        facts: Facts,
        journal: Journal,
        store: Transactions,
        chain: Chain,
        clock: Clock,
        errands: Errands,
        restoring: Restoring,
        compare: Callable[[], Awaitable[Comparison]],
        record: Callable[[str], None],
    ) -> None:
        self._books = books
        self._facts = facts
        self._journal = journal
        self._store = store
        self._chain = chain
        self._clock = clock
        self._errands = errands
        self._restoring = restoring
        self._compare = compare
        self._record = record

    async def plan(self) -> Adoption:
        """Give the differences that ledgers which nobody saw must have made.

        Raises:
            RejectedError: when there are none such, or they can still be read.
            UnresolvedError: when payments may be unknown here, or the outcome of one is.
            RetryableError: when no node can tell, or the differences change while they are looked at.
        """
        await self._errands.clear()
        await self._restoring.insist()
        if self._journal.open_intents(mine=False):
            raise UnresolvedError(
                "transactions are under way or their outcome is unknown: what differs may be theirs",
                hint="stop `mine` and run this again; see what is open with: kalepool status",
            )
        unseen = self._facts.get(UNSEEN)
        if unseen is None:
            raise RejectedError(
                "no ledger went by unseen: what differs has another cause",
                hint="look at each account on the network; see `kalepool db verify --chain`",
            )
        # What was let go is noted after what went by before it: the last span need not be the latest.
        tip, last = await self._chain.tip(), max(last for _, last in spans(unseen))
        if tip.oldest_ledger <= last:
            raise RejectedError(
                f"ledgers {unseen} can still be read from {tip.node}, which has them from {tip.oldest_ledger} on",
                hint="look up there what happened, or wait until no node has them",
            )
        differences = await self._steady()
        at = tip.close_time - (tip.ledger - last) * self._clock.ledger_seconds
        return Adoption(differences, unseen, tip.ledger, at)

    async def _steady(self) -> tuple[Difference, ...]:
        """Give differences that stay the same once everything that can be read is booked."""
        before = (await self._compare()).differences
        for _ in range(_TRIES):
            await self._errands.clear()
            now = (await self._compare()).differences
            if now == before:
                return now
            before = now
        raise RetryableError("the accounts move on faster than they can be compared", hint="run this again")

    def adopt(self, wanted: Adoption) -> None:
        """Book it, and write it to the audit log. Claims are not touched."""
        why = f"unseen ledgers {wanted.unseen}"
        bookings = []
        for one in wanted.differences:
            gained = (one.chain or 0) - one.books
            # XLM that is missing went into fees of transactions that were let go; else it is somebody else's doing.
            other = FEES if one.asset == XLM and gained < 0 else EXTERNAL
            postings = ((account(one.address), one.asset, gained), (other, one.asset, -gained))
            key = f"adopted:{wanted.ledger}:{one.address}:{one.asset}"
            bookings.append(Booking(key, postings, wanted.at, why))
        told = ", ".join(
            f"{one.who} {format_amount((one.chain or 0) - one.books)} {one.asset}"
            for one in wanted.differences
        )
        with self._store.atomic(synced=True):
            self._books.post_all(bookings)
            self._facts.drop(UNSEEN)
            self._record(f"took balances from the chain, {why}: {told or 'nothing differed'}")
