"""Payments that this store does not know of, held against what it owes: which claim each of them has paid.

A payment counts for a claim only where its giver, its taker and what is owed leave no choice. Everything
else is a doubt, worded for the person who then compares; a doubt never pays, and never lifts a stop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kalepool.core.amounts import format_amount
from kalepool.core.postings import KALE
from kalepool.core.shares import Claim, owed, paid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from kalepool.core.chain import AssetMove, Landed
    from kalepool.core.postings import Posting


@dataclass(frozen=True, slots=True)
class Party:
    """A farmer as payments concern him.

    Attributes:
        number: his.
        name: his.
        wallet: G address that his share and the pool's part are paid from; None where it is not the pool's.
        payouts: every address that he ever agreed to be paid at, under a seal that holds, and his own.
    """

    number: int
    name: str
    wallet: str | None
    payouts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Returned:
    """A payment read back that has paid a claim.

    Attributes:
        claim: whose.
        farmer: number of the farmer on whose account it was owed.
        amount: stroops of KALE.
        tx_hash: of its transaction, hex.
        place: among the moves of that transaction, from 0.
        at: network time of its ledger, Unix seconds.
    """

    claim: Claim
    farmer: int
    amount: int
    tx_hash: str
    place: int
    at: int

    @property
    def key(self) -> str:
        """Key under which it is booked, once."""
        return return_key(self.tx_hash, self.place)

    @property
    def postings(self) -> tuple[Posting, ...]:
        """The claim is paid; that KALE moved is booked from the events, as every move is."""
        claim = owed(self.claim, self.farmer)
        return (claim, KALE, -self.amount), (paid(self.claim, self.farmer), KALE, self.amount)


@dataclass(slots=True)
class Matched:
    """What payments turned out to be.

    Attributes:
        returned: those that have paid claims, in the order of the chain.
        doubts: what a person must compare, a line each.
    """

    returned: list[Returned] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def return_key(tx_hash: str, place: int) -> str:
    """Name the entry of a payment read back: it ends with the hash of its transaction."""
    return f"returned:{place}:{tx_hash}"


def match(
    unknown: Mapping[str, Landed],
    parties: Iterable[Party],
    free: Mapping[tuple[Claim, int], int],
    *,
    operator: str,
    done: Collection[str] = (),
) -> Matched:
    """Say which claims were paid by transactions of ours that the journal does not know.

    Args:
        unknown: the transactions, by hash.
        parties: all farmers.
        free: stroops owed and not promised to a payment under way, by claim and farmer's number.
        operator: G address.
        done: keys of payments that were read back before; they are passed over.
    """
    matcher = _Matcher(tuple(parties), dict(free), operator)
    matched = Matched()
    for tx_hash, landed in sorted(unknown.items(), key=lambda item: (item[1].ledger, item[0])):
        for place, move in enumerate(landed.moves):
            if move.kind != "transfer" or not move.amount or return_key(tx_hash, place) in done:
                continue
            found = matcher.match(move)
            if isinstance(found, str):
                what = f"{format_amount(move.amount)} KALE from {move.parties[0]} to {move.parties[1]}"
                matched.doubts.append(f"ledger {landed.ledger}, transaction {tx_hash}: {what}: {found}")
            elif found is not None:
                claim, number = found
                matched.returned.append(
                    Returned(claim, number, move.amount, tx_hash, place, landed.closed_at)
                )
    return matched


class _Matcher:
    """Takes payments from what is owed, one after another."""

    def __init__(self, parties: tuple[Party, ...], free: dict[tuple[Claim, int], int], operator: str) -> None:
        self._parties = parties
        self._wallets = {party.wallet: party for party in parties if party.wallet is not None}
        self._free = free
        self._operator = operator

    def match(self, move: AssetMove) -> tuple[Claim, int] | str | None:
        """Give the claim that a transfer has paid, None where it paid none, or why that is not known."""
        giver, taker = move.parties
        if giver == self._operator:
            return self._by_operator(taker, move.amount)
        farmer = self._wallets.get(giver)
        if farmer is None:
            return "this store does not know who paid it"
        if taker == self._operator:
            return self._take(Claim.POOL, farmer, move.amount)
        if taker in farmer.payouts:
            return self._take(Claim.FARMER, farmer, move.amount)
        return f"{farmer.name} never agreed to be paid there"

    def _by_operator(self, taker: str, amount: int) -> tuple[Claim, int] | str | None:
        """Tell a compensation from what the operator took out for himself."""
        named = [party for party in self._parties if taker in party.payouts]
        able = [one for one in named if self._free.get((Claim.COMPENSATION, one.number), 0) >= amount]
        if len(able) == 1:
            return self._take(Claim.COMPENSATION, able[0], amount)
        if able:
            return f"it may be owed to {' or to '.join(party.name for party in able)}"
        if named:
            return f"so much is not owed to {named[0].name} for lost stakes here"
        if any(left for (claim, _), left in self._free.items() if claim is Claim.COMPENSATION):
            return "it may be the operator's own, or have paid somebody for a lost stake"
        return None

    def _take(self, claim: Claim, farmer: Party, amount: int) -> tuple[Claim, int] | str:
        left = self._free.get((claim, farmer.number), 0)
        if left < amount:
            return f"only {format_amount(left)} KALE are known here to be owed for {farmer.name} ({claim})"
        self._free[claim, farmer.number] = left - amount
        return claim, farmer.number
