"""Operations without contracts, as they are wanted: who is to be sponsored, what is to be paid, what it locks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalepool.core.chain import AccountState

BASE_RESERVE: Final = 5_000_000
"""What each subentry, and each account twice, must keep: half an XLM, in stroops."""

MAX_NEWCOMERS: Final = 19
"""A transaction carries 20 signatures: each newcomer signs, and the sponsor too."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An account to be sponsored.

    Attributes:
        address: G address; it signs.
        creates: whether the account is created, with no XLM of its own.
        trusts: whether it gets a KALE trustline.
    """

    address: str
    creates: bool = True
    trusts: bool = True

    @property
    def operations(self) -> int:
        """How many operations sponsor it: what is created, between a beginning and an end."""
        return 2 + self.creates + self.trusts

    @property
    def reserve(self) -> int:
        """What the sponsor carries for it, in stroops: two reserves for an account, one for a trustline."""
        return BASE_RESERVE * (2 * self.creates + self.trusts)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment.

    Attributes:
        destination: G address.
        amount: stroops, more than 0.
        is_xlm: XLM, or KALE.
        source: who pays, G address, and signs; None for the transaction's source.
    """

    destination: str
    amount: int
    is_xlm: bool = False
    source: str | None = None


def newcomer(address: str, state: AccountState | None, *, trusts: bool = True) -> Newcomer | None:
    """Tell what an account still needs; None where it has all.

    Args:
        address: whose.
        state: as read from the network; None where it does not exist.
        trusts: whether it is to have a KALE trustline.
    """
    wanted = Newcomer(address, creates=state is None, trusts=trusts and (state is None or state.kale is None))
    return wanted if wanted.creates or wanted.trusts else None


def locked_by(newcomers: Iterable[Newcomer]) -> int:
    """Give the reserves in stroops that a sponsor carries for all of them."""
    return sum(one.reserve for one in newcomers)
