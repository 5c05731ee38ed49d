"""An entry of the books, as it is wanted and as it is read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalepool.core.postings import Posting


@dataclass(frozen=True, slots=True)
class Booking:
    """One thing that happened to the books.

    Attributes:
        key: unique: the same thing is never booked twice.
        postings: (account, asset, stroops), summing to zero for each asset.
        at: network time of it, Unix seconds.
        why: a note for people.
    """

    key: str
    postings: tuple[Posting, ...]
    at: float
    why: str = ""
