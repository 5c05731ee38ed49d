"""Booking what others do to our accounts: a stranger's harvest, a deposit, a withdrawal.

Every ledger is booked once, in order, across restarts: how far the books have come stands in the store,
written in one transaction with the postings. What intents of ours did is theirs to settle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kalepool.core.bookings import Booking
from kalepool.core.facts import BOOKED, READ_BACK, UNREAD, UNSEEN, opening
from kalepool.core.postings import external_postings, lumen_postings
from kalepool.core.receivable import repayment_postings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from kalepool.core.chain import Happenings, Landed, LumenMoves
    from kalepool.core.postings import Posting
    from kalepool.ports import Books, Facts, Journal, Transactions


@dataclass(frozen=True, slots=True)
class External:
    """A transaction that no intent of ours began, as it was booked.

    Attributes:
        tx_hash: of it, hex.
        landed: where it is, and what it did.
        postings: what that means for us.
    """

    tx_hash: str
    landed: Landed
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What was booked now.

    Attributes:
        booked: what others did to our accounts.
        missed: the first and the last ledger that the node could tell nothing of any more, or None. What
            others did there is in no books: chain and books may differ, and a person must know.
        elsewhere: whether another process has booked since this one last did, and knows what that was.
    """

    booked: tuple[External, ...] = ()
    missed: tuple[int, int] | None = None
    elsewhere: bool = False

    def and_then(self, later: Witnessed) -> Witnessed:
        """Give both, what was booked first before what was booked after it."""
        missed = self.missed or later.missed
        return Witnessed(self.booked + later.booked, missed, self.elsewhere or later.elsewhere)


class Witness:
    """Books what others do.

    Args:
        books: where it is booked.
        facts: where it is remembered how far.
        journal: knows which transactions are ours.
        store: makes several changes one.
        payer: who pays fees, G address.
        ours: gives the addresses whose KALE is kept in the books: custodial farmers, operator, channels.
        debtors: gives numbers of self-custody farmers by address: what they pay to the payer, they owed him.
    """

    def __init__(
        self,
        books: Books,
        facts: Facts,
        journal: Journal,
        store: Transactions,
        payer: str,
        ours: Callable[[], Collection[str]],
        debtors: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._books = books
        self._facts = facts
        self._journal = journal
        self._store = store
        self._payer = payer
        self.ours = ours
        self._debtors = debtors
        self._left_at: int | None = None  # the ledger that this process would go on with

    def next_ledger(self) -> int | None:
        """Give the first ledger that is not booked yet; None before ``begin``."""
        booked = self._facts.get(BOOKED)
        return None if booked is None else int(booked) + 1

    def begin(self, ledger: int) -> None:
        """Begin with the ledger after this one; what came before it is not booked."""
        self._facts.put(BOOKED, str(ledger))

    def fresh(self, happenings: Happenings) -> dict[str, Landed]:
        """Give what others did, of the ledgers read now, that is not booked yet."""
        first = self.next_ledger() or 0
        return {tx_hash: one for tx_hash, one in happenings.others.items() if one.ledger >= first}

    def book(self, happenings: Happenings) -> Witnessed:
        """Book what is not yet: of the ledgers read now, those after the last one booked."""
        ours = self.ours()
        with self._store.atomic(synced=True):
            # Read here, since another process may have booked meanwhile.
            first = self.next_ledger()
            elsewhere = self._left_at not in {None, first}
            self._left_at = first
            if first is None or happenings.last < first:
                return Witnessed(elsewhere=elsewhere)
            landed = {
                tx_hash: one
                for tx_hash, one in (*happenings.paid.items(), *happenings.others.items())
                if one.ledger >= first
            }
            claimed = self._claimed(landed)
            others = {tx_hash: one for tx_hash, one in landed.items() if tx_hash not in claimed}
            externals = [External(tx_hash, one, self._postings(one, ours)) for tx_hash, one in others.items()]
            booked = tuple(one for one in externals if one.postings and self._post(one))
            self._book_repayments(booked)
            self._book_lumens(happenings.lumens, first)
            missed = (first, happenings.first - 1) if happenings.first > first else None
            self._mark_unread(
                [one.ledger for tx_hash, one in others.items() if tx_hash in happenings.paid], missed
            )
            if missed is not None:
                self.note_unseen(*missed)
            self._facts.put(BOOKED, str(happenings.last))
            self._left_at = happenings.last + 1
        return Witnessed(booked, missed, elsewhere)

    def _book_repayments(self, booked: Sequence[External]) -> None:
        debtors = self._debtors()
        self._books.post_all(
            [
                Booking(
                    f"repaid:{one.tx_hash}",
                    repayment_postings(one.landed, debtors, self._payer),
                    one.landed.closed_at,
                    "paid by who keeps his own account",
                )
                for one in booked
            ]
        )

    def note_unseen(self, first: int, last: int) -> None:
        """Note ledgers that nobody can tell of any more: books and chain may differ by what happened there."""
        known = self._facts.get(UNSEEN)
        self._facts.put(UNSEEN, f"{known} {first}-{last}" if known else f"{first}-{last}")

    def _book_lumens(self, lumens: Mapping[str, LumenMoves], first: int) -> None:
        """Book XLM that others sent to the payer; what an intent of ours sends out is its own to book."""
        opened = self._opened(self._payer)
        fresh = {key: one for key, one in lumens.items() if one.ledger >= first and one.ledger > opened}
        claimed = self._claimed(fresh)
        self._books.post_all(
            [
                Booking(
                    f"lumens:{tx_hash}",
                    lumen_postings(one.moves, self._payer),
                    one.closed_at,
                    "not begun by this pool",
                )
                for tx_hash, one in fresh.items()
                if tx_hash not in claimed
            ]
        )

    def _mark_unread(self, unknown: Collection[int], missed: tuple[int, int] | None) -> None:
        """Note that payments of ours may be unknown here: this may be an old store that somebody brought back.

        A fee that we paid for a transaction that is not in the journal says so, and ledgers that nobody can read
        any more may hide one. ``Restoring`` looks into it before anything is paid.

        Args:
            unknown: ledgers of transactions that we paid for and did not begin here.
            missed: the first and the last ledger that could not be read, or None.
        """
        known = int(self._facts.get(READ_BACK) or 0)
        first = min([one for one in (*unknown, *(missed or ())) if one > known], default=None)
        if first is not None and self._facts.get(UNREAD) is None:
            self._facts.put(UNREAD, str(first))

    def _claimed(self, landed: Mapping[str, Landed | LumenMoves]) -> set[str]:
        """Give those of these transactions that intents of ours began."""
        if not landed:
            return set()
        return self._journal.claimed(landed, min(one.closed_at for one in landed.values()))

    def _postings(self, landed: Landed, ours: Collection[str]) -> tuple[Posting, ...]:
        """Give what a transaction means for accounts whose opening balance does not hold it already."""
        met = {party for move in landed.moves for party in move.parties}.intersection(ours)
        counted = {address for address in met if self._opened(address) < landed.ledger}
        if self._opened(self._payer) >= landed.ledger:
            landed = replace(landed, fee_charged=0)
        return external_postings(landed, self._payer, counted)

    def _opened(self, address: str) -> int:
        """Give the ledger from whose end on an account's movements count; 0 where it was never opened."""
        return int(self._facts.get(opening(address)) or 0)

    def _post(self, external: External) -> bool:
        key, at = f"witnessed:{external.tx_hash}", external.landed.closed_at
        return self._books.post(key, external.postings, at=at, why="not begun by this pool")
