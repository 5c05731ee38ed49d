"""Farmers, their recorded moves, and the terms that were agreed with them, version by version."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kalepool.core.agreements import Life, Lived, life_after
from kalepool.core.farmers import (
    Custody,
    Farmer,
    FarmerState,
    Moved,
    SealedTerms,
    Stake,
    Terms,
    check_move,
)
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kalepool.adapters.store.db import Store

_TABLE: Final = "farmers"
_TERMS: Final = "stake_bps, stake_stroops, harvest_every, share_bps, fee_bps, payout, payout_from, payout_every_h, exit_delay_h, memo"


class StoreFarmers:
    """The farmers of a store. Fulfils ``ports.Farmers``. Every change is synced to disk.

    Args:
        store: an open store.
        now: the machine's clock, Unix seconds: moves and terms say when people made them.
    """

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._stamp: object = None
        self._all: list[Farmer] = []

    def all(self, *states: FarmerState) -> list[Farmer]:
        """Give farmers, those in given states, or all, by number."""
        stamp = self._store.stamp(_TABLE)
        if stamp != self._stamp:
            # They change a few times a day, and are wanted every ledger.
            self._all = [_farmer(row) for row in self._store.all(f"{_LATEST} ORDER BY number")]
            self._stamp = stamp
        return [farmer for farmer in self._all if not states or farmer.state in states]

    def get(self, name: str) -> Farmer:
        """Give one by name.

        Raises:
            UsageError: when there is none.
        """
        row = self._store.one(f"{_LATEST} WHERE name = ?", (name,))
        if row is None:
            raise UsageError(f"there is no farmer '{name}'", hint="see them with: kalepool farmer list")
        return _farmer(row)

    def next_wallet_index(self) -> int:
        """Give the first derivation index no farmer ever had."""
        index: int = self._store.value("SELECT coalesce(max(wallet_index) + 1, 0) FROM farmers")
        return index

    def add(self, farmers: Sequence[Farmer], *, who: str, seal: Callable[[Farmer], bytes]) -> list[Farmer]:
        """Add farmers, all or none; numbers are given here, and terms hold from block 0.

        Args:
            farmers: their numbers are not looked at.
            who: the person or command that adds them.
            seal: gives the MAC of a numbered farmer's terms, 32 bytes.

        Raises:
            UsageError: when a name, an address or a wallet index is taken.
        """
        with self._changing():
            self._refuse_taken(farmers)
            first: int = self._store.value("SELECT coalesce(max(number), 0) + 1 FROM farmers")
            added = [replace(farmer, number=first + place) for place, farmer in enumerate(farmers)]
            self._store.execute_many(
                "INSERT INTO farmers VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (one.number, one.name, one.address, one.custody, one.state, one.wallet_index, one.email)
                    for one in added
                ],
            )
            self._store.execute_many(
                _ADD_TERMS, [self._terms_row(one.number, 1, 0, one.terms, seal(one), who) for one in added]
            )
            self._store.execute_many(
                _ADD_MOVE, [(one.number, None, one.state, who, "added", self._now()) for one in added]
            )
            for one in added:
                self._live(one.number, one.state, who=who, why="added")
        return added

    def _refuse_taken(self, farmers: Sequence[Farmer]) -> None:
        names, addresses, indexes = (
            {value for (value,) in self._store.all(f"SELECT {column} FROM farmers")}  # noqa: S608 - fixed words
            for column in ("name", "address", "wallet_index")
        )
        for farmer in farmers:
            if farmer.name in names:
                raise UsageError(f"there is a farmer '{farmer.name}' already", hint="choose another name")
            if farmer.address in addresses:
                raise UsageError(
                    f"{farmer.address} is a farmer's already", hint="each farmer has an own address"
                )
            if farmer.wallet_index is not None and farmer.wallet_index in indexes:
                raise UsageError(
                    f"wallet {farmer.wallet_index} is a farmer's already",
                    hint="another kalepool is adding farmers: run this again",
                )
            names.add(farmer.name)
            addresses.add(farmer.address)
            indexes.add(farmer.wallet_index)

    def move(
        self,
        number: int,
        state: FarmerState,
        *,
        who: str,
        why: str = "",
        asked_at: int | None = None,
        seal: Callable[[int], bytes] | None = None,
    ) -> None:
        """Move one to another state, and record it, and what it means for what was agreed.

        Args:
            number: whose.
            state: the new one.
            who: the person or command that does it.
            why: a note.
            asked_at: for a wish to leave: network time of it.
            seal: for a wish to leave: gives its MAC by its place in the life of the agreement.

        Raises:
            UsageError: when there is no such farmer, or the move is not legal.
        """
        with self._changing():
            was = self._state(number)
            check_move(was, state)
            self._store.execute("UPDATE farmers SET state = ? WHERE number = ?", (state, number))
            self._store.execute(_ADD_MOVE, (number, was, state, who, why, self._now()))
            self._live(number, state, who=who, why=why, asked_at=asked_at, seal=seal)

    def _live(
        self,
        number: int,
        state: FarmerState,
        *,
        who: str,
        why: str,
        asked_at: int | None = None,
        seal: Callable[[int], bytes] | None = None,
    ) -> None:
        lived = self.life(number)
        current = lived[-1].became if lived else None
        became = life_after(current, state)
        if became is not current:
            place = len(lived) + 1
            sealed = None if seal is None else seal(place)
            row = (number, place, became, who, why, self._now(), asked_at, sealed)
            self._store.execute("INSERT INTO agreement_life VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def life(self, number: int) -> list[Lived]:
        """Give the life of what was agreed with one, oldest step first."""
        rows = self._store.all(
            "SELECT place, became, who, why, at, asked_at, seal FROM agreement_life WHERE farmer = ? ORDER BY place",
            (number,),
        )
        return [Lived(place, Life(became), *rest) for place, became, *rest in rows]

    def lives(self) -> dict[int, Life]:
        """Give where what was agreed with each stands, by number."""
        rows = self._store.all("SELECT farmer, became FROM agreement_life ORDER BY place")
        return {number: Life(became) for number, became in rows}

    def moves(self, number: int) -> list[Moved]:
        """Give the recorded moves of one, oldest first."""
        rows = self._store.all(
            "SELECT was, became, who, why, at FROM farmer_moves WHERE farmer = ? ORDER BY id", (number,)
        )
        return [
            Moved(None if was is None else FarmerState(was), FarmerState(became), who, why, at)
            for was, became, who, why, at in rows
        ]

    def set_terms(self, number: int, terms: Terms, *, from_block: int, seal: bytes, who: str) -> None:
        """Give one new terms, from a block on; old pails stay under the old.

        Raises:
            UsageError: when there is no such farmer, he has a pail in that block or a later one, or terms
                agreed before begin later.
        """
        with self._changing():
            self._state(number)
            version, begun = self._store.all(
                "SELECT max(version), max(from_block) FROM terms WHERE farmer = ?", (number,)
            )[0]
            pail: int | None = self._store.value("SELECT max(block) FROM pails WHERE farmer = ?", (number,))
            first = max(begun, -1 if pail is None else pail + 1)
            if from_block < first:
                raise UsageError(
                    f"new terms cannot hold from block {from_block}: something is agreed or planted after it",
                    hint=f"let them begin with block {first} or later",
                )
            self._store.execute(
                _ADD_TERMS, self._terms_row(number, version + 1, from_block, terms, seal, who)
            )

    def terms_at(self, number: int, block: int) -> SealedTerms:
        """Give the terms under which a block's pail settles, with the seal to check them by.

        Raises:
            UsageError: when there is no such farmer.
        """
        row = self._store.one(
            f"SELECT from_block, seal, {_TERMS} FROM terms "  # noqa: S608 - fixed words
            "WHERE farmer = ? AND from_block <= ? ORDER BY version DESC LIMIT 1",
            (number, block),
        )
        if row is None:
            raise UsageError(f"there is no farmer number {number}")
        from_block, seal, *columns = row
        return SealedTerms(_terms(columns), from_block, seal)

    def agreed(self, number: int) -> list[SealedTerms]:
        """Give all terms ever agreed with one, oldest first; of those from the same block the last counts."""
        rows = self._store.all(
            f"SELECT from_block, seal, {_TERMS} FROM terms WHERE farmer = ? ORDER BY version",  # noqa: S608
            (number,),
        )
        return [SealedTerms(_terms(columns), from_block, seal) for from_block, seal, *columns in rows]

    def set_email(self, number: int, email: str | None) -> None:
        """Write down where one is written to.

        Raises:
            UsageError: when there is no such farmer.
        """
        with self._changing():
            self._state(number)
            self._store.execute("UPDATE farmers SET email = ? WHERE number = ?", (email, number))

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._store.atomic(synced=True):
            self._store.note_write(_TABLE)
            yield

    def _state(self, number: int) -> FarmerState:
        row = self._store.one("SELECT state FROM farmers WHERE number = ?", (number,))
        if row is None:
            raise UsageError(f"there is no farmer number {number}")
        return FarmerState(row[0])

    def _terms_row(
        self, number: int, version: int, from_block: int, terms: Terms, seal: bytes, who: str
    ) -> tuple[object, ...]:
        stake = terms.stake
        columns = (
            stake.bps,
            stake.stroops,
            terms.harvest_every,
            terms.share_bps,
            terms.fee_bps,
            terms.payout,
            terms.payout_from,
            terms.payout_every_h,
            terms.exit_delay_h,
            terms.memo,
        )
        return (number, version, from_block, *columns, seal, who, self._now())


_LATEST: Final = f"""
    SELECT number, name, address, custody, state, wallet_index, email, {_TERMS}
    FROM farmers JOIN terms ON farmer = number
        AND version = (SELECT max(version) FROM terms AS last WHERE last.farmer = number)
"""  # noqa: S608 - fixed words

_ADD_TERMS: Final = (
    f"INSERT INTO terms (farmer, version, from_block, {_TERMS}, seal, who, at) "  # noqa: S608 - fixed words
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ADD_MOVE: Final = "INSERT INTO farmer_moves (farmer, was, became, who, why, at) VALUES (?, ?, ?, ?, ?, ?)"


def _terms(columns: Sequence[Any]) -> Terms:
    stake_bps, stake_stroops, *rest = columns
    return Terms(Stake(stake_bps, stake_stroops), *rest)


def _farmer(row: tuple[Any, ...]) -> Farmer:
    number, name, address, custody, state, wallet_index, email, *terms = row
    return Farmer(
        number, name, address, Custody(custody), FarmerState(state), wallet_index, _terms(terms), email
    )
