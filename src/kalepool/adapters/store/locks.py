"""Locks between processes: one a store mines, plants and works; one sweeps up harvests."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kalepool.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.owners import Owner


class MiningLock:
    """The lock, as one owner sees it. Fulfils ``ports.Lock``."""

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold it, taking it over from an owner that is dead.

        Raises:
            LockedError: when another holds it: who, for how long, and how long ago it last gave a sign.
        """
        with self._store.atomic():
            self.check()
            self._store.execute(
                "INSERT INTO mining_lock VALUES (1, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, since = excluded.since",
                (self._owner.number, self._owner.now()),
            )
        try:
            yield
        finally:
            self._store.execute("DELETE FROM mining_lock WHERE owner = ?", (self._owner.number,))

    def check(self) -> None:
        """Insist that it could be held, before anybody is asked for a passphrase.

        Raises:
            LockedError: as ``hold`` does.
        """
        holder = self._holder()
        if holder is not None and not self._owner.dead([holder]):
            raise self._refusal(holder)

    def beat(self) -> None:
        """Give a sign of life, and make sure that the lock is still ours.

        Raises:
            LockedError: when another process took us for dead and took it over: stop at once.
        """
        self._owner.beat()
        holder = self._holder()
        if holder == self._owner.number:
            return
        if holder is None:
            raise LockedError("the mining lock is not held", hint="start this command again")
        raise self._refusal(holder)

    def _holder(self) -> int | None:
        row = self._store.one("SELECT owner FROM mining_lock")
        return None if row is None else row[0]

    def _refusal(self, holder: int) -> LockedError:
        row = self._owner.look_up(holder)
        now = self._owner.now()
        since = self._store.value("SELECT since FROM mining_lock")
        return LockedError(
            f"kalepool {row.role} holds the mining lock: pid {row.process.pid} on {row.process.host}, "
            f"for {now - since:.0f} s, last sign of life {now - row.heartbeat:.0f} s ago",
            hint="stop it first, or let it do the work",
        )


class HarvestLock:
    """One sweeping harvest a store. Of those that live, the one that came first has it, until it leaves.

    Args:
        store: an open store.
        owner: this process; its role tells others what it does.
    """

    def __init__(self, store: Store, owner: Owner) -> None:
        self._store = store
        self._owner = owner

    def take(self) -> str:
        """Have it from now until this owner retires; empty, or who came before and lives: then it is theirs."""
        rows = self._store.all(
            "SELECT number FROM owners WHERE role = ? AND gone = 0 AND number < ? ORDER BY number",
            (self._owner.role, self._owner.number),
        )
        before = [number for (number,) in rows]
        dead = self._owner.dead(before)
        for number in before:
            if number not in dead:
                row = self._owner.look_up(number)
                seconds = self._owner.now() - row.since
                return (
                    f"kalepool {row.role} is running already: pid {row.process.pid} on {row.process.host}, "
                    f"for {seconds:.0f} s"
                )
        return ""

    def beat(self) -> None:
        """Give a sign of life."""
        self._owner.beat()
