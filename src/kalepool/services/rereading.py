"""Reading back from the chain what this pool paid and its store does not know of.

Every transaction of the pool's is paid for by the operator, so events tell of each. Whether they told of
all is held against sequence numbers: as many must be unknown to the journal as transactions were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.core.bookings import Booking
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.postings import KALE
from kalepool.core.readback import Party, match, return_key
from kalepool.core.shares import OWED, Claim, claim_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from kalepool.core.chain import AccountState, Landed
    from kalepool.core.readback import Returned
    from kalepool.ports import Books, Chain, Channels, Farmers, Journal
    from kalepool.services.foreign import ForeignHarvests
    from kalepool.services.settling import Settling, TermsBook

_CREATED_BITS = 32
"""An account begins at the number of the ledger that created it, moved up by so many bits."""


def begun(state: AccountState) -> int:
    """Give the sequence number with which an account was created."""
    return state.sequence >> _CREATED_BITS << _CREATED_BITS


def known_fact(address: str) -> str:
    """Name the fact that holds up to which sequence number an account's past was confirmed."""
    return f"sequence-confirmed:{address}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read back.

    Attributes:
        first: the first ledger wanted.
        last: the last one read.
        close_time: network time that had passed by then, Unix seconds.
        missing: the first and the last ledger that no node has any more, or None.
        unknown: how many transactions of ours were read that the journal does not know.
        returned: payments among them that have paid claims, now or at an earlier reading.
        booked: those of them that were booked now.
        doubts: what a person must compare, a line each; nothing where all is explained.
        sequences: how far each account had come, by address.
    """

    first: int
    last: int
    close_time: int
    missing: tuple[int, int] | None
    unknown: int
    returned: int
    booked: tuple[Returned, ...]
    doubts: tuple[str, ...]
    sequences: Mapping[str, int]


class Rereader:
    """Reads back.

    Args:
        farmers: on whose account.
        terms: where they agreed to be paid.
        settling: says first what is owed.
        foreign: takes harvests that were unknown here.
        books: what is owed, and where what was paid is booked.
        journal: knows which transactions are known.
        channels: that send.
        chain: tells what landed.
        confirmed: gives the sequence number up to which a person has confirmed an account, or None.
        operator: G address.
        ours: gives the addresses whose KALE is kept in the books.
    """

    def __init__(
        self,
        *,
        farmers: Farmers,
        terms: TermsBook,
        settling: Settling,
        foreign: ForeignHarvests,
        books: Books,
        journal: Journal,
        channels: Channels,
        chain: Chain,
        confirmed: Callable[[str], str | None],
        operator: str,
        ours: Callable[[], Collection[str]],
    ) -> None:
        self._farmers = farmers
        self._terms = terms
        self._settling = settling
        self._foreign = foreign
        self._books = books
        self._journal = journal
        self._channels = channels
        self._chain = chain
        self._confirmed = confirmed
        self._operator = operator
        self._ours = ours

    async def read(self, first: int) -> Reading:
        """Read back from a ledger on; what has paid a claim is booked, each payment once.

        Raises:
            RetryableError: when no node can tell; then nothing was booked.
        """
        tip = await self._chain.tip()
        paid, missing, last = await self._read_events(first, tip.ledger)
        # Read after the events: what has landed between is in the journal, or is missed below.
        states = await self._chain.accounts([self._operator, *self._names()])
        since = min((one.closed_at for one in paid.values()), default=0)
        claimed = self._journal.claimed(paid, since) if paid else set()
        unknown = {tx_hash: one for tx_hash, one in paid.items() if tx_hash not in claimed}
        await self._foreign.take(unknown, ours=True)
        self._settling.settle()
        keys = [
            return_key(tx_hash, place) for tx_hash, one in unknown.items() for place in range(len(one.moves))
        ]
        done = self._books.find(keys)
        matched = match(unknown, self._parties(), self._free(), operator=self._operator, done=done)
        self._books.post_all(
            [
                Booking(
                    one.key,
                    one.postings,
                    one.at,
                    "read back from the chain: paid before this store was restored",
                )
                for one in matched.returned
            ]
        )
        is_whole = missing is None
        doubts = (*matched.doubts, *self._uncounted(states, len(unknown), first, is_whole=is_whole))
        return Reading(
            first,
            last,
            tip.close_time,
            missing,
            len(unknown),
            len(done) + len(matched.returned),
            tuple(matched.returned),
            doubts,
            {address: state.sequence for address, state in states.items()},
        )

    async def _read_events(
        self, first: int, tip: int
    ) -> tuple[dict[str, Landed], tuple[int, int] | None, int]:
        """Give what the operator paid for from a ledger on, which ledgers are missing, and the last one read."""
        paid: dict[str, Landed] = {}
        missing: tuple[int, int] | None = None
        wanted = first
        while wanted <= tip:
            read = await self._chain.happenings(wanted, self._operator, self._ours())
            if read.first > wanted:
                missing = (wanted if missing is None else missing[0], read.first - 1)
            if read.last < read.first:
                break
            paid |= read.paid
            wanted = read.last + 1
        return paid, missing, wanted - 1

    def _names(self) -> dict[str, str]:
        """Give the accounts that send, by address; those of imported seeds too."""
        names = {address: f"channel {number}" for number, address in self._channels.known()}
        return names | {
            one.address: one.name for one in self._farmers.all() if one.custody is Custody.CUSTODIAL
        }

    def _parties(self) -> list[Party]:
        return [
            Party(
                one.number,
                one.name,
                one.address if one.custody is Custody.CUSTODIAL else None,
                self._terms.payouts(one) | {one.address},
            )
            for one in self._farmers.all()
        ]

    def _free(self) -> dict[tuple[Claim, int], int]:
        reserved = self._journal.reserved()
        free = {}
        for (name, asset), stroops in self._books.balances(OWED).items():
            claim = claim_of(name)
            if claim is not None and asset == KALE:
                free[claim] = stroops - reserved.get((name, asset), 0)
        return free

    def _uncounted(
        self, states: Mapping[str, AccountState], read: int, first: int, *, is_whole: bool
    ) -> list[str]:
        """Tell where transactions that were sent and those that were read differ in number."""
        farmers = self._farmers.all()
        names = {self._operator: "operator", **self._names()}
        imported = {one.address for one in farmers if one.wallet_index is None}
        counts = {address: self._unknown_numbers(state, first) for address, state in states.items()}
        # The seed of an imported wallet somebody else holds too, and may have sent what was none of ours.
        least = sum(count or 0 for address, count in counts.items() if address not in imported)
        most = sum(read if count is None else count for count in counts.values())
        doubts = []
        if not least <= read <= most:
            ahead = ", ".join(
                f"{names[address]} {address} ({count})" for address, count in counts.items() if count
            )
            doubts.append(
                f"of {least} transactions that this store does not know {read} can be read; they were sent from "
                f"{ahead or 'accounts that it does not know'}"
            )
        home = (FarmerState.CREATED, FarmerState.EXITED)
        gone = [
            one.name
            for one in farmers
            if one.address in names.keys() - states.keys() and one.state not in home
        ]
        if gone and (read or not is_whole):
            doubts.append(
                f"who may have left and been paid, since their accounts are gone: {', '.join(gone)}"
            )
        return doubts

    def _unknown_numbers(self, state: AccountState, first: int) -> int | None:
        """Count the sequence numbers that an account used and the journal does not know; None where nobody can."""
        base = max(
            self._journal.last_sequence(state.address, signed_before=first) or 0,
            int(self._confirmed(known_fact(state.address)) or 0),
        )
        if not base:
            if state.address == self._operator:
                # He may have a past from before the pool; where the pool began to send is not known.
                return None
            base = begun(state)
        used = max(state.sequence - base, 0)
        return used - self._journal.count_sequences(state.address, base + 1, state.sequence)
