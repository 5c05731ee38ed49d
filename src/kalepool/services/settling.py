"""What is owed: pails that are over, each settled once under the terms that held for its block.

A harvested pail's reward is parted into the farmer's share, the pool's part and the fee; a stake lost by
the pool's fault is owed to the farmer, under a monthly ceiling. Nothing is moved here; ``paying`` pays.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.bookings import Booking
from kalepool.core.postings import KALE
from kalepool.core.records import PailState
from kalepool.core.sealing import terms_message
from kalepool.core.shares import (
    COMPENSATION,
    Loss,
    loss_key,
    loss_of,
    loss_postings,
    share_key,
    share_postings,
    split,
    split_postings,
)
from kalepool.errors import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.farmers import Farmer, SealedTerms
    from kalepool.core.records import PailRecord
    from kalepool.core.shares import Split
    from kalepool.ports import Blocks, Books, Farmers, Pails, Transactions, Vault

_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rules:
    """How far the pool answers for lost stakes.

    Attributes:
        pays: whether it does at all.
        month_most: stroops in a calendar month (UTC, network time); beyond it nothing is owed.
    """

    pays: bool = True
    month_most: int = 0


@dataclass(slots=True)
class Settled:
    """What one run settled. Amounts are stroops.

    Attributes:
        pails: how many are settled now that were not before.
        farmers: how many of these were whose.
        shares: what farmers got. ``pool`` and ``fees`` likewise.
        compensated: what is owed for lost stakes now. ``beyond``: what the ceiling or the switch left out.
        broken: names of farmers whose terms do not carry this vault's seal: nothing of theirs was settled.
    """

    pails: int = 0
    farmers: set[int] = field(default_factory=set)
    shares: int = 0
    pool: int = 0
    fees: int = 0
    compensated: int = 0
    beyond: int = 0
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explained:
    """How one pail was settled, worked out anew beside what the books say.

    Attributes:
        record: the pail.
        terms: that held for its block.
        split: of its reward; None where it was not harvested.
        loss: on whose account its stake was lost; None where it was not.
        booked: what the books have, or None where it is not settled yet.
        agrees: whether both say the same.
    """

    record: PailRecord
    terms: SealedTerms
    split: Split | None
    loss: Loss | None
    booked: Booking | None
    agrees: bool


class BrokenSealError(UnresolvedError):
    """Terms in the store are not those that were agreed: nobody is paid by them."""


class TermsBook:
    """Terms by block, with their seals held against the vault, each once in a process.

    Args:
        farmers: where they are.
        vault: made the seals.
    """

    def __init__(self, farmers: Farmers, vault: Vault) -> None:
        self._farmers = farmers
        self._vault = vault
        self._agreed: dict[int, list[SealedTerms]] = {}
        self._checked: set[tuple[Farmer, SealedTerms]] = set()
        self._last: dict[int, tuple[Farmer, SealedTerms]] = {}

    def look_again(self) -> None:
        """Read anew what was agreed: another process may have agreed something else since."""
        self._agreed.clear()

    def at(self, farmer: Farmer, block: int) -> SealedTerms:
        """Give the terms of a farmer's pail in a block.

        Raises:
            BrokenSealError: when they do not carry this vault's seal.
        """
        agreed = self._agreed.get(farmer.number)
        if agreed is None:
            agreed = self._agreed[farmer.number] = self._farmers.agreed(farmer.number)
        return self._check(farmer, next(one for one in reversed(agreed) if one.from_block <= block))

    def latest(self, farmer: Farmer) -> SealedTerms:
        """Give what was agreed last, his payout address among it, though it may begin with a block to come.

        Raises:
            BrokenSealError: when it does not carry this vault's seal.
        """
        return self._check(farmer, self._farmers.agreed(farmer.number)[-1])

    def payouts(self, farmer: Farmer) -> frozenset[str]:
        """Give every address that he ever agreed to be paid at, under a seal that holds."""
        found = set()
        for sealed in self._farmers.agreed(farmer.number):
            with suppress(BrokenSealError):
                found.add(self._check(farmer, sealed).terms.payout)
        return frozenset(address for address in found if address is not None)

    def _check(self, farmer: Farmer, sealed: SealedTerms) -> SealedTerms:
        known_farmer, known = self._last.get(farmer.number, (None, None))
        if known_farmer is farmer and known is sealed:
            # The very objects that were checked last: to hash all that is in them costs more than to settle a pail.
            return sealed
        key = farmer, sealed
        if key not in self._checked:
            message = terms_message(farmer, sealed.terms, sealed.from_block)
            if not self._vault.seal_holds(message, sealed.seal):
                raise BrokenSealError(
                    f"the terms of '{farmer.name}' do not carry this vault's seal",
                    hint="somebody changed them in the store: compare with your records, then agree them anew "
                    f"with: kalepool farmer set {farmer.name}",
                )
            self._checked.add(key)
        self._last[farmer.number] = key
        return sealed


class Settling:
    """Settles pails.

    Args:
        farmers: whose they are.
        pails: what waits.
        blocks: when it was.
        books: where it is booked.
        store: makes the booking and the end of the waiting one.
        terms: under which.
        rules: for lost stakes.
    """

    def __init__(
        self,
        farmers: Farmers,
        pails: Pails,
        blocks: Blocks,
        books: Books,
        store: Transactions,
        terms: TermsBook,
        rules: Rules,
    ) -> None:
        self._farmers = farmers
        self._pails = pails
        self._blocks = blocks
        self._books = books
        self._store = store
        self._terms = terms
        self._rules = rules

    def settle(self, most: int | None = None) -> Settled:
        """Settle what waits, of all farmers; doing it again does nothing.

        A farmer whose terms have lost their seal is left out, and told of; the others go on.

        Args:
            most: pails at most, for who has little time; None for all.
        """
        done = Settled()
        farmers = {farmer.number: farmer for farmer in self._farmers.all()}
        skipped: set[int] = set()
        while True:
            room = _AT_ONCE if most is None else min(most - done.pails, _AT_ONCE)
            if room <= 0:
                return done
            with self._store.atomic():
                self._terms.look_again()
                waiting = self._pails.unsettled(room, without=skipped)
                if not waiting:
                    return done
                self._settle(waiting, farmers, skipped, done)

    def _settle(
        self, waiting: Sequence[PailRecord], farmers: dict[int, Farmer], skipped: set[int], done: Settled
    ) -> None:
        times = self._times(waiting)
        bookings: list[Booking] = []
        over: list[PailRecord] = []
        spent: dict[tuple[float, float], int] = {}
        for record in waiting:
            farmer = farmers[record.farmer]
            if record.farmer in skipped:
                continue
            try:
                terms = self._terms.at(farmer, record.block).terms
            except BrokenSealError:
                skipped.add(record.farmer)
                done.broken.append(farmer.name)
                continue
            over.append(record)
            at = times[record.block]
            if record.state is PailState.HARVESTED:
                assert record.reward is not None
                parts = split(record.reward, share_bps=terms.share_bps, fee_bps=terms.fee_bps)
                postings = split_postings(parts, record.farmer, terms, farmer.custody)
                done.shares += parts.farmer
                done.pool += parts.pool
                done.fees += parts.fee
                bookings.append(Booking(share_key(record.farmer, record.block), postings, at))
                continue
            if loss_of(record, farmer.custody) is not Loss.POOL:
                continue
            amount = self._within_ceiling(record.stake, at, spent)
            done.compensated += amount
            done.beyond += record.stake - amount
            bookings.append(
                Booking(
                    loss_key(record.farmer, record.block),
                    loss_postings(record, amount),
                    at,
                    self._worded(record, amount),
                )
            )
        self._books.post_all(bookings)
        self._pails.mark_settled([(record.farmer, record.block) for record in over])
        done.pails += len(over)
        done.farmers |= {record.farmer for record in over}

    def explain(self, name: str, first: int = 0, last: int = 2**32 - 1) -> list[Explained]:
        """Tell how a farmer's pails that are over were settled, worked out anew.

        Args:
            name: whose.
            first: the first block.
            last: the last one, counted in.

        Raises:
            UsageError: when there is no such farmer.
            BrokenSealError: when his terms do not carry this vault's seal.
        """
        farmer = self._farmers.get(name)
        self._terms.look_again()
        over = (PailState.HARVESTED, PailState.FORFEITED, PailState.EXPIRED)
        records = [one for one in self._pails.of_farmer(farmer.number, first, last) if one.state in over]
        keys = [_key(record) for record in records]
        booked = self._books.find(keys)
        return [
            self._explained(farmer, record, booked.get(key))
            for record, key in zip(records, keys, strict=True)
        ]

    def _explained(self, farmer: Farmer, record: PailRecord, booked: Booking | None) -> Explained:
        sealed = self._terms.at(farmer, record.block)
        loss = loss_of(record, farmer.custody)
        if record.state is not PailState.HARVESTED:
            # The ceiling was as it was then; what is booked is a loss of this pail, and no more than its stake.
            amount = 0 if booked is None else -_sum_of(booked, COMPENSATION)
            agrees = booked is None or (
                loss is Loss.POOL
                and amount <= record.stake
                and sorted(booked.postings) == sorted(loss_postings(record, amount))
            )
            return Explained(record, sealed, None, loss, booked, agrees)
        assert record.reward is not None
        parts = split(record.reward, share_bps=sealed.terms.share_bps, fee_bps=sealed.terms.fee_bps)
        postings = share_postings(record, sealed.terms, farmer.custody)
        agrees = booked is None or sorted(booked.postings) == sorted(postings)
        return Explained(record, sealed, parts, loss, booked, agrees)

    def _times(self, records: Sequence[PailRecord]) -> dict[int, float]:
        """Give network times of blocks; of one that is not known, that of the nearest known before it."""
        wanted = sorted({record.block for record in records})
        known = {one.index: one.block.timestamp for one in self._blocks.between(wanted[0], wanted[-1])}
        times: dict[int, float] = {}
        last = float(min(known.values(), default=0))
        for index in wanted:
            last = float(known.get(index, last))
            times[index] = last
        return times

    def _within_ceiling(self, stake: int, at: float, spent: dict[tuple[float, float], int]) -> int:
        """Give how much of a lost stake is owed, stroops; counts it against the month of its block."""
        if not self._rules.pays:
            return 0
        month = _month(at)
        if month not in spent:
            back, out = self._books.turnover(COMPENSATION, KALE, *month)
            spent[month] = out - back
        amount = max(min(stake, self._rules.month_most - spent[month]), 0)
        spent[month] += amount
        return amount

    def _worded(self, record: PailRecord, amount: int) -> str:
        why = record.why or f"the stake was {record.state}"
        if amount == record.stake:
            return why
        return f"{why}; {format_amount(record.stake - amount)} KALE beyond the month's ceiling"


def _key(record: PailRecord) -> str:
    of = share_key if record.state is PailState.HARVESTED else loss_key
    return of(record.farmer, record.block)


def _sum_of(booking: Booking, name: str) -> int:
    return sum(amount for account, _, amount in booking.postings if account == name)


def _month(at: float) -> tuple[float, float]:
    """Give the calendar month around a time: its first second, and the next one's. UTC."""
    first = datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.timestamp(), after.timestamp()
