"""What a landed transaction means for the books: double entry in stroops, by what the chain told.

Accounts are named by address: ``account:G...`` holds what the chain holds for it. Everything else is
the other side: what the KALE contract mints and burns, what the network takes as fees. Each list sums
to zero for each asset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from kalepool.core.chain import AssetMove, Found

Posting: TypeAlias = tuple[str, str, int]
"""(account, asset, stroops)."""

KALE: Final = "KALE"
XLM: Final = "XLM"

MINTED: Final = "kale:minted"
BURNED: Final = "kale:burned"
FEES: Final = "xlm:fees"


def account(address: str) -> str:
    """Name the account that holds what the chain holds for an address."""
    return f"account:{address}"


def postings_of(found: Found, payer: str) -> tuple[Posting, ...]:
    """Give the postings of a transaction that is in a ledger, successful or failed.

    Args:
        found: what a node told of it.
        payer: who paid its fee.
    """
    postings = []
    if found.fee_charged:
        postings += [(account(payer), XLM, -found.fee_charged), (FEES, XLM, found.fee_charged)]
    for move in found.moves:
        postings += _of_move(move)
    return tuple(postings)


def _of_move(move: AssetMove) -> list[Posting]:
    if move.kind == "mint":
        return [(MINTED, KALE, -move.amount), (account(move.parties[0]), KALE, move.amount)]
    if move.kind == "burn":
        return [(account(move.parties[0]), KALE, -move.amount), (BURNED, KALE, move.amount)]
    giver, taker = move.parties
    return [(account(giver), KALE, -move.amount), (account(taker), KALE, move.amount)]
