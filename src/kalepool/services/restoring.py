"""Whether this store may lack payments that were made: then nothing is paid until they were read back.

A copy made by ``db backup`` says of itself that it is one. A store brought back in another way, as a file
or with its whole machine, is noticed by what the chain shows: fees that we paid for transactions which are
not in the journal, though each is in it before it leaves; or an account that has come further than there.

What was sent since is read back from the chain (``rereading``) and booked as paid. Where all of it is
explained, payouts go on by themselves; else a person compares what is named, and confirms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.facts import READ_BACK, RESTORED, UNREAD
from kalepool.errors import UnresolvedError
from kalepool.services.errands import PATIENCE_S
from kalepool.services.rereading import begun, known_fact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kalepool.ports import Chain, Channels, Clock, Facts, Farmers, Journal, Transactions
    from kalepool.services.rereading import Reading, Rereader

_SHOWN: Final = 3
_HINT: Final = "compare these with the network; all of them: kalepool payout --confirm-restored"


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
    """Looks for signs of a restored store, reads back what it lacks, and lets a person confirm the rest.

    Args:
        facts: where a backup says so, and where confirmations are kept.
        journal: the last sequence numbers that were signed here.
        farmers: whose wallets send.
        channels: that send.
        chain: how far they have come.
        clock: network time.
        store: makes several changes one.
        rereader: reads back.
        operator: G address.
        record: writes to the audit log.

    Attributes:
        news: lines for people about stops that have lifted themselves in this process.
    """

    def __init__(
        self,
        *,
        facts: Facts,
        journal: Journal,
        farmers: Farmers,
        channels: Channels,
        chain: Chain,
        clock: Clock,
        store: Transactions,
        rereader: Rereader,
        operator: str,
        record: Callable[[str], None],
    ) -> None:
        self._facts = facts
        self._journal = journal
        self._farmers = farmers
        self._channels = channels
        self._chain = chain
        self._clock = clock
        self._store = store
        self._rereader = rereader
        self._operator = operator
        self._record = record
        self.news: list[str] = []

    async def insist(self) -> None:
        """Insist that this store knows every payment, having read back what can be read.

        Raises:
            UnresolvedError: when it may not.
            RetryableError: when no node can tell.
        """
        reading = await self._read_and_insist()
        if reading is None:
            return
        if self._facts.get(RESTORED) is not None or reading.unknown:
            # What left just before the store was lost may still land: nothing that pays can after so long.
            settled_at = self._clock.now() + PATIENCE_S
            while reading is not None and reading.close_time <= settled_at:
                await self._clock.sleep_until(self._clock.now() + self._clock.ledger_seconds)
                reading = await self._read_and_insist()
        if reading is not None:
            self._lift(reading)

    async def _read_and_insist(self) -> Reading | None:
        reading = await self.read()
        doubts = await self.doubts(reading)
        if doubts:
            more = f"; and {len(doubts) - _SHOWN} more" if len(doubts) > _SHOWN else ""
            raise UnresolvedError(
                f"payments may be unknown to this store, nothing is paid: {'; '.join(doubts[:_SHOWN])}{more}",
                hint=_HINT,
            )
        return reading

    async def read(self) -> Reading | None:
        """Read back what may be unknown here, and book what has paid a claim; None where nothing need be.

        Raises:
            RetryableError: when no node can tell.
        """
        unread = self._facts.get(UNREAD)
        return None if unread is None else await self._rereader.read(int(unread))

    async def doubts(self, reading: Reading | None) -> list[str]:
        """Give what a person must compare before anything is paid, a line each; nothing where all is known.

        Args:
            reading: what ``read`` gave, just now.
        """
        restored = self._facts.get(RESTORED) is not None
        if reading is None:
            found = ["this store comes from a backup that does not say when it was made"] if restored else []
            return found + [
                f"{one.name} {one.address} has sent {one.chain - one.journal} transactions that are not known here"
                for one in await self.ahead()
            ]
        found = list(reading.doubts)
        # Where every sequence number is known, nothing was sent in ledgers that nobody can read any more.
        if reading.missing is not None and (restored or reading.unknown or found):
            first, last = reading.missing
            found.insert(0, f"no node has ledgers {first} to {last} any more, nor what was paid in them")
        return found

    def _lift(self, reading: Reading) -> None:
        """Let payouts go on: everything since is known."""
        restored = self._facts.get(RESTORED) is not None
        with self._store.atomic(synced=True):
            if restored or reading.unknown:
                text = (
                    f"ledgers {reading.first} to {reading.last} were read back: {reading.unknown} transactions "
                    f"that this store did not know, {reading.returned} payments of claims among them, now "
                    f"booked as paid"
                )
                self._record(text)
                self.news.append(f"{text}: payouts go on")
            self._forget(reading.sequences, reading.last)

    def _forget(self, sequences: Mapping[str, int], ledger: int) -> None:
        """Take all that these accounts have sent, up to a ledger, for known."""
        for address, sequence in sequences.items():
            if sequence > (self._journal.last_sequence(address) or 0):
                self._facts.put(known_fact(address), str(sequence))
        self._facts.put(READ_BACK, str(ledger))
        self._facts.drop(RESTORED)
        self._facts.drop(UNREAD)

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
            known = max(signed or 0, begun(state), int(self._facts.get(known_fact(address)) or 0))
            if state.sequence > known:
                found.append(Ahead(names.get(address, "operator"), address, state.sequence, known))
        return found

    async def confirm(self) -> list[Ahead]:
        """Take a person's word that every payment up to now is known here, or was allowed for.

        Raises:
            RetryableError: when no node can tell; then nothing is confirmed.
        """
        ledger = (await self._chain.tip()).ledger
        ahead = await self.ahead()
        names = ", ".join(f"{one.name} up to {one.chain}" for one in ahead) or "no account was ahead"
        with self._store.atomic(synced=True):
            self._record(f"confirmed that outgoing payments are known: {names}")
            self._forget({one.address: one.chain for one in ahead}, ledger)
        return ahead
