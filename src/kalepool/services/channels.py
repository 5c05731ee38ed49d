"""Whose sequence numbers serve for what needs no farmer's key: channel accounts, else the operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.errors import RejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import AccountState
    from kalepool.ports import Chain, Channels, Journal

_ONE_SPARED_IN: Final = 8


class Sources:
    """Accounts that may send one transaction each now.

    Args:
        channels: the channel accounts, leased to this process.
        journal: knows which of them wait for an outcome.
        chain: tells their sequence numbers.
        operator: who sends, one transaction at a time, where there are no channel accounts.
        spares: whether one channel account in eight, and one at least, is left to other processes where there are several.
    """

    def __init__(
        self, channels: Channels, journal: Journal, chain: Chain, operator: str, *, spares: bool
    ) -> None:
        self._channels = channels
        self._journal = journal
        self._chain = chain
        self._operator = operator
        self._spares = spares
        self._known: dict[str, AccountState] = {}

    async def free(self) -> dict[str, int]:
        """Give addresses that nothing under way is sent from, with their sequence numbers as last read.

        Where the pool has no channel accounts at all, harvests must not wait for them: the operator's
        own account serves then, as long as nothing else of his is under way.

        Raises:
            RejectedError: when there is no account to send from.
            RetryableError: when no node answers.
        """
        known = len(self._channels.known())
        leased = self._channels.lease(self._share(known))
        accounts = await self.accounts(leased)
        if known and not leased:
            return {}  # others hold them all
        candidates = [address for address in leased if address in accounts]
        if not candidates:
            accounts = await self.accounts([self._operator])
            candidates = [address for address in (self._operator,) if address in accounts]
        if not candidates:
            raise RejectedError(
                "there is no account on the network to send from",
                hint="create the channel accounts with: kalepool wallet fund",
            )
        waiting = {
            attempt.source for intent in self._journal.open_intents(mine=False) for attempt in intent.attempts
        }
        return {address: accounts[address].sequence for address in candidates if address not in waiting}

    def _share(self, known: int) -> int:
        spare = max(known // _ONE_SPARED_IN, 1) if self._spares else 0
        return max(known - spare, 1)

    async def accounts(self, addresses: Sequence[str]) -> dict[str, AccountState]:
        """Give accounts as they were when this process first read them; those that do not exist are left out.

        Once is enough for a sequence number: whoever takes numbers of a channel writes them to the journal.
        """
        missing = [address for address in addresses if address not in self._known]
        if missing:
            self._known |= await self._chain.accounts(missing)
        return {address: self._known[address] for address in addresses if address in self._known}

    def forget(self, address: str) -> None:
        """Read an account again when it is next wanted: what was known of it did not hold."""
        self._known.pop(address, None)
