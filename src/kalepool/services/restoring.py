"""Whether this store may lack payments that were made: then nothing is paid until a person has looked.

A copy made by ``db backup`` says of itself that it is one. A store brought back in another way, as a file
or with its whole machine, is noticed by sequence numbers: each of our transactions took the next number
of its source and is in the journal before it leaves. An account that has come further on the network than
in the journal has sent something that this store knows nothing of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.facts import RESTORED
from kalepool.errors import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.core.chain import AccountState
    from kalepool.ports import Chain, Channels, Facts, Farmers, Journal

_SHOWN: Final = 3
_CREATED_BITS: Final = 32
"""An account begins at the number of the ledger that created it, moved up by so many bits."""


def known_fact(address: str) -> str:
    """Name the fact that holds up to which sequence number an account's past was confirmed by a person."""
    return f"sequence-confirmed:{address}"


@dataclass(frozen=True, slots=True)
class Ahead:
    """An account that has sent more than the journal knows.

    Attributes:
        name: ``operator``, ``channel 0`` or a farmer's.
        address: G address.
        chain: its sequence number on the network.
        journal: the last one that the journal knows.
    """

    name: str
    address: str
    chain: int
    journal: int


class Restoring:
    """Looks for signs of a restored store, and lets a person confirm.

    Args:
        facts: where a backup says so, and where confirmations are kept.
        journal: the last sequence numbers that were signed here.
        farmers: whose wallets send.
        channels: that send.
        chain: how far they have come.
        operator: G address.
        record: writes to the audit log.
    """

    def __init__(
        self,
        *,
        facts: Facts,
        journal: Journal,
        farmers: Farmers,
        channels: Channels,
        chain: Chain,
        operator: str,
        record: Callable[[str], None],
    ) -> None:
        self._facts = facts
        self._journal = journal
        self._farmers = farmers
        self._channels = channels
        self._chain = chain
        self._operator = operator
        self._record = record

    async def insist(self) -> None:
        """Insist that this store knows every payment.

        Raises:
            UnresolvedError: when it may not.
            RetryableError: when no node can tell.
        """
        if self._facts.get(RESTORED) is not None:
            raise UnresolvedError(
                "this store comes from a backup: payments made since may be unknown to it",
                hint="compare with the network, then say so with: kalepool payout --confirm-restored",
            )
        ahead = await self.ahead()
        if ahead:
            names = ", ".join(one.name for one in ahead[:_SHOWN])
            more = f" and {len(ahead) - _SHOWN} more" if len(ahead) > _SHOWN else ""
            raise UnresolvedError(
                f"transactions that this store does not know of were sent from {names}{more}: nothing is paid",
                hint="is this an old store? Look at these accounts, then: kalepool payout --confirm-restored",
            )

    async def ahead(self) -> list[Ahead]:
        """Give the accounts that have sent what the journal does not know.

        A seed that somebody else holds too, an imported one, proves nothing and is not looked at. Of the
        operator's account, which may have a past, only what came after his first transaction here counts.
        """
        names = {address: f"channel {number}" for number, address in self._channels.known()}
        names |= {one.address: one.name for one in self._farmers.all() if one.wallet_index is not None}
        states = await self._chain.accounts([self._operator, *names])
        found = []
        for address, state in states.items():
            signed = self._journal.last_sequence(address)
            if signed is None and address == self._operator:
                continue
            known = max(signed or 0, _begun(state), int(self._facts.get(known_fact(address)) or 0))
            if state.sequence > known:
                found.append(Ahead(names.get(address, "operator"), address, state.sequence, known))
        return found

    async def confirm(self) -> list[Ahead]:
        """Take a person's word that every payment up to now is known here, or was allowed for.

        Raises:
            RetryableError: when no node can tell; then nothing is confirmed.
        """
        ahead = await self.ahead()
        names = ", ".join(f"{one.name} up to {one.chain}" for one in ahead) or "no account was ahead"
        self._record(f"confirmed that outgoing payments are known: {names}")
        for one in ahead:
            self._facts.put(known_fact(one.address), str(one.chain))
        self._facts.drop(RESTORED)
        return ahead


def _begun(state: AccountState) -> int:
    return state.sequence >> _CREATED_BITS << _CREATED_BITS
