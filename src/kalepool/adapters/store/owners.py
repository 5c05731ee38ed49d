"""Who does what: each process that moves money is an owner, with a heartbeat, and may inherit from the dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.processes import Process, is_alive, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.adapters.store.db import Store

SILENT_AFTER_S: Final = 600.0
"""An owner that cannot be looked up from here (another container or boot) is dead after this silence."""


@dataclass(frozen=True, slots=True)
class OwnerRow:
    """An owner as others see it: times are Unix seconds on the machine's clock."""

    number: int
    role: str
    process: Process
    since: float
    heartbeat: float
    gone: bool


class Owner:
    """This process in the store.

    Args:
        store: an open store.
        role: what it does, such as ``mine`` or ``harvest``: for people.
        now: the machine's clock, Unix seconds: heartbeats of processes are compared.
        process: who we are.
        probe: whether another process lives; None where that cannot be known.
    """

    def __init__(
        self,
        store: Store,
        role: str,
        now: Callable[[], float],
        *,
        process: Process | None = None,
        probe: Callable[[Process], bool | None] = is_alive,
    ) -> None:
        self._store = store
        self._now = now
        self._probe = probe
        self.role = role
        self.process = process or this_process()
        with store.atomic():
            self.number: int = store.value(
                "INSERT INTO owners (role, host, machine, pid, started, since, heartbeat) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING number",
                (
                    role,
                    self.process.host,
                    self.process.machine,
                    self.process.pid,
                    self.process.started,
                    now(),
                    now(),
                ),
            )

    def now(self) -> float:
        """Give the machine's time, Unix seconds."""
        return self._now()

    def beat(self) -> None:
        """Show that this process lives. Once a ledger is often enough."""
        self._store.execute("UPDATE owners SET heartbeat = ? WHERE number = ?", (self._now(), self.number))

    def retire(self) -> None:
        """Leave in order: what is still open here, others may take at once."""
        with self._store.atomic():
            self._store.execute("UPDATE owners SET gone = 1 WHERE number = ?", (self.number,))
            self._store.execute("UPDATE channels SET owner = NULL WHERE owner = ?", (self.number,))

    def look_up(self, number: int) -> OwnerRow:
        """Give an owner as recorded."""
        return look_up(self._store, number)

    def dead(self, numbers: Sequence[int]) -> list[int]:
        """Give those of some owners that will never do anything again; never this one."""
        return [number for number in numbers if number != self.number and self._is_dead(number)]

    def _is_dead(self, number: int) -> bool:
        return is_dead(self.look_up(number), self._now(), self._probe)


def look_up(store: Store, number: int) -> OwnerRow:
    """Give an owner as recorded."""
    row = store.one(
        "SELECT number, role, host, machine, pid, started, since, heartbeat, gone FROM owners WHERE number = ?",
        (number,),
    )
    assert row is not None, "every owner referred to is recorded"
    number, role, host, machine, pid, started, since, heartbeat, gone = row
    return OwnerRow(number, role, Process(host, machine, pid, started), since, heartbeat, bool(gone))


def is_dead(row: OwnerRow, now: float, probe: Callable[[Process], bool | None] = is_alive) -> bool:
    """Tell whether an owner will never do anything again.

    Args:
        row: the owner as recorded.
        now: the machine's clock, Unix seconds.
        probe: whether its process lives; None where that cannot be known.
    """
    if row.gone:
        return True
    alive = probe(row.process)
    if alive is None:
        # A sign of life that lies far ahead is no sign: the clock was set back, and who lives has given another since.
        return abs(now - row.heartbeat) > SILENT_AFTER_S
    return not alive
