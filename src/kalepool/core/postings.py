"""What a landed transaction means for the books: double entry in stroops, by what the chain told.

Accounts are named by address: ``account:G...`` holds what the chain holds for it. Everything else is
the other side: what the KALE contract mints and burns, what the network takes as fees, strangers. Each
list sums to zero for each asset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kalepool.core.chain import AssetMove, Landed

Posting: TypeAlias = tuple[str, str, int]
"""(account, asset, stroops)."""

KALE: Final = "KALE"
XLM: Final = "XLM"

MINTED: Final = "kale:minted"
BURNED: Final = "kale:burned"
FEES: Final = "xlm:fees"
EXTERNAL: Final = "external"
"""Whoever is not of the pool, and gives KALE to one of its accounts or gets it."""


def account(address: str) -> str:
    """Name the account that holds what the chain holds for an address."""
    return f"account:{address}"


def postings_of(landed: Landed, payer: str) -> tuple[Posting, ...]:
    """Give the postings of a transaction of ours that is in a ledger, successful or failed.

    Args:
        landed: what was told of it.
        payer: who paid its fee.
    """
    postings = _of_fee(landed, payer)
    for move in landed.moves:
        postings += _of_move(move)
    return tuple(postings)


def external_postings(landed: Landed, payer: str, ours: Collection[str]) -> tuple[Posting, ...]:
    """Give the postings of a transaction that no intent of ours began, as far as it concerns our accounts.

    Args:
        landed: what was told of it.
        payer: who paid its fee, where there is one.
        ours: addresses whose accounts are kept.
    """
    postings = _of_fee(landed, payer)
    known = {account(address) for address in ours}
    for move in landed.moves:
        if not known.isdisjoint(map(account, move.parties)):
            postings += [
                (name if name in known or name in (MINTED, BURNED) else EXTERNAL, asset, stroops)
                for name, asset, stroops in _of_move(move)
            ]
    return tuple(postings)


def lumen_postings(moves: Iterable[tuple[str, str, int]], payer: str) -> tuple[Posting, ...]:
    """Give the postings of XLM that others sent to who pays fees, or that went from him, beside fees.

    Args:
        moves: (giver, taker, stroops).
        payer: whose XLM is kept in the books, G address.
    """
    postings: list[Posting] = []
    for giver, taker, stroops in moves:
        gained = stroops * ((taker == payer) - (giver == payer))
        if gained:
            postings += [(account(payer), XLM, gained), (EXTERNAL, XLM, -gained)]
    return tuple(postings)


def _of_fee(landed: Landed, payer: str) -> list[Posting]:
    if not landed.fee_charged:
        return []
    return [(account(payer), XLM, -landed.fee_charged), (FEES, XLM, landed.fee_charged)]


def _of_move(move: AssetMove) -> list[Posting]:
    if move.kind == "mint":
        return [(MINTED, KALE, -move.amount), (account(move.parties[0]), KALE, move.amount)]
    if move.kind == "burn":
        return [(account(move.parties[0]), KALE, -move.amount), (BURNED, KALE, move.amount)]
    giver, taker = move.parties
    return [(account(giver), KALE, -move.amount), (account(taker), KALE, move.amount)]
