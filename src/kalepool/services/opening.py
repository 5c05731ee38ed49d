"""What accounts held before the books began: booked once, with the ledger it was true in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.facts import opening
from kalepool.core.postings import EXTERNAL, KALE, XLM, account

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalepool.core.chain import AccountState
    from kalepool.ports import Books, Facts, Transactions


class Openings:
    """Takes accounts into the books.

    Args:
        books: where they are booked.
        facts: where the ledger is remembered.
        store: makes both one.
        operator: the one whose XLM is booked too: nobody else's pays for anything.
    """

    def __init__(self, books: Books, facts: Facts, store: Transactions, operator: str) -> None:
        self._books = books
        self._facts = facts
        self._store = store
        self._operator = operator

    def take(self, states: Iterable[AccountState], *, at: float) -> None:
        """Book what accounts hold, of those that are not in the books yet.

        To be called before anything of ours can move what they hold: an account's own transactions of
        before must be settled.

        Args:
            states: as read from the network, each with its ledger.
            at: network time of the read.
        """
        with self._store.atomic(synced=True):
            for state in states:
                fact = opening(state.address)
                if self._facts.get(fact) is None:
                    self._post(state, fact, at)

    def _post(self, state: AccountState, key: str, at: float) -> None:
        name = account(state.address)
        held = {KALE: state.kale or 0}
        if state.address == self._operator:
            held[XLM] = state.xlm
        # What our own transactions moved before is in the books already, and in what is held.
        found = {asset: amount - self._books.balance(name, asset) for asset, amount in held.items()}
        postings = [
            posting
            for asset, amount in found.items()
            for posting in ((name, asset, amount), (EXTERNAL, asset, -amount))
        ]
        self._books.post(key, postings, at=at, why=f"held in ledger {state.ledger}")
        self._facts.put(key, str(state.ledger))
