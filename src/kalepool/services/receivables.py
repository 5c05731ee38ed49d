"""What self-custody farmers owe, and for whom the pool stops working because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.farmers import Custody
from kalepool.core.receivable import accrued
from kalepool.core.records import PailState

if TYPE_CHECKING:
    from kalepool.ports import Farmers, Pails

_LAST_BLOCK = 2**32 - 1


class Receivables:
    """Adds up fees; asked every block, it counts a farmer anew only when he has harvested since.

    Args:
        farmers: who is watched, and what was agreed.
        pails: what was harvested.
        most: what one may owe, stroops of KALE; beyond it he is left out.
    """

    def __init__(self, farmers: Farmers, pails: Pails, *, most: int) -> None:
        self._farmers = farmers
        self._pails = pails
        self._most = most
        self._counted: dict[int, tuple[int, int]] = {}  # harvested pails and fees, by farmer

    def receivables(self) -> dict[int, int]:
        """Give what each watched farmer owes in stroops of KALE, by number."""
        harvested = {
            total.farmer: total.count for total in self._pails.totals() if total.state is PailState.HARVESTED
        }
        owed = {}
        for farmer in self._farmers.all():
            if farmer.custody is Custody.WATCHED:
                owed[farmer.number] = self._of(farmer.number, harvested.get(farmer.number, 0))
        return owed

    def beyond_limit(self) -> frozenset[int]:
        """Give the numbers of those who owe more than they may: nothing is worked for them."""
        return frozenset(number for number, owed in self.receivables().items() if owed > self._most)

    def _of(self, number: int, harvested: int) -> int:
        count, fees = self._counted.get(number, (0, 0))
        if count != harvested:
            pails = self._pails.of_farmer(number, 0, _LAST_BLOCK)
            fees = accrued(pails, self._farmers.agreed(number))
            self._counted[number] = (harvested, fees)
        return fees
