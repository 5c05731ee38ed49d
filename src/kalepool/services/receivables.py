"""What self-custody farmers owe, and for whom the pool stops working because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.farmers import Custody
from kalepool.core.postings import KALE
from kalepool.core.receivable import accrued
from kalepool.core.shares import receivable

if TYPE_CHECKING:
    from kalepool.ports import Books, Farmers, Pails

_AT_ONCE = 10_000


class Receivables:
    """Adds up what the books say and what waits to be settled.

    Args:
        farmers: who is watched, and what was agreed.
        pails: what waits to be settled.
        books: what is settled, less what was paid.
        most: what one may owe, stroops of KALE; beyond it he is left out.
    """

    def __init__(self, farmers: Farmers, pails: Pails, books: Books, *, most: int) -> None:
        self._farmers = farmers
        self._pails = pails
        self._books = books
        self._most = most

    def receivables(self) -> dict[int, int]:
        """Give what each watched farmer owes in stroops of KALE, by number; below zero where he paid ahead."""
        farmers = self._farmers.all()
        custodial = {one.number for one in farmers if one.custody is not Custody.WATCHED}
        owed = {
            one.number: self._books.balance(receivable(one.number), KALE)
            for one in farmers
            if one.number not in custodial
        }
        waiting = self._pails.unsettled(_AT_ONCE, without=custodial) if owed else []
        for number in {pail.farmer for pail in waiting}:
            his = [pail for pail in waiting if pail.farmer == number]
            owed[number] += accrued(his, self._farmers.agreed(number))
        return owed

    def beyond_limit(self) -> frozenset[int]:
        """Give the numbers of those who owe more than they may: nothing is worked for them."""
        return frozenset(number for number, owed in self.receivables().items() if owed > self._most)
