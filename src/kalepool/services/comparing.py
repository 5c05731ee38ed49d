"""Whether the books give the balances that the chain gives, account by account, to the stroop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.core.facts import opening
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.postings import KALE, XLM, account

if TYPE_CHECKING:
    from kalepool.ports import Books, Chain, Facts, Farmers


@dataclass(frozen=True, slots=True)
class Difference:
    """One balance on which books and chain differ.

    Attributes:
        who: farmer's name, or ``operator``.
        address: G address.
        asset: KALE or XLM.
        books: stroops by the books.
        chain: stroops on the chain; None where the account or its trustline does not exist.
    """

    who: str
    address: str
    asset: str
    books: int
    chain: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared.

    Attributes:
        compared: how many balances.
        differences: those that differ.
        unbooked: how many accounts were left out, because nothing was ever booked to them.
    """

    compared: int
    differences: tuple[Difference, ...]
    unbooked: int


async def compare(books: Books, farmers: Farmers, facts: Facts, chain: Chain, operator: str) -> Comparison:
    """Compare the KALE of every custodial farmer, and the operator's KALE and XLM.

    Costs one request for some 1,000 accounts. What is under way meanwhile shows as a difference.
    An account counts from when its balance was taken into the books, or anything else was booked to it.

    Raises:
        RetryableError: when no node answers.
    """
    wallets = [
        farmer
        for farmer in farmers.all()
        if farmer.custody is Custody.CUSTODIAL and farmer.state is not FarmerState.CREATED
    ]
    states = await chain.accounts([operator, *(farmer.address for farmer in wallets)])
    booked = books.balances()
    rows, left_out = [], set()
    own = [("operator", operator, asset) for asset in (XLM, KALE)]
    wanted = [*own, *((farmer.name, farmer.address, KALE) for farmer in wallets)]
    for who, address, asset in wanted:
        balance = booked.get((account(address), asset))
        if balance is None and facts.get(opening(address)) is None:
            left_out.add(address)
            continue
        state = states.get(address)
        held = None if state is None else state.xlm if asset == XLM else state.kale
        rows.append(Difference(who, address, asset, balance or 0, held))
    differing = tuple(row for row in rows if row.books != (row.chain or 0))
    return Comparison(len(rows), differing, len(left_out - {row.address for row in rows}))
