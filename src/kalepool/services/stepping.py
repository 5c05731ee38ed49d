"""One step by hand: plant, or work, for some farmers in the current block; then it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.farmers import FarmerState
from kalepool.core.intents import Kind
from kalepool.core.records import PailState
from kalepool.errors import RejectedError, UsageError
from kalepool.services.events import Teller
from kalepool.services.look import Scope
from kalepool.services.stopping import Goal, Progress, Stop
from kalepool.services.tending import Tender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.farmers import Farmer
    from kalepool.core.records import PailRecord
    from kalepool.services.events import Listener
    from kalepool.services.means import Means

_SEEN_AFTER: Final = 0.1
_LATE_AGAIN: Final = 0.25
_PATIENCE_LEDGERS: Final = 20
_MOST_LOOKS: Final = 200


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step came to.

    Attributes:
        block: index of the block that was stepped in.
        done: names of farmers whose pail is planted, or worked, now or before.
        left: names of the others.
        why: what held them back, for people; may be empty.
    """

    block: int
    done: tuple[str, ...]
    left: tuple[str, ...]
    why: str


class Step:
    """Plants or works once.

    Args:
        means: of the pool.
        kind: plant or work.
        names: of farmers; all active ones when empty.
        listeners: are told what happens.
    """

    def __init__(
        self, means: Means, kind: Kind, names: Sequence[str] = (), listeners: Sequence[Listener] = ()
    ) -> None:
        self._means = means
        self._kind = kind
        self._farmers = [means.farmers.get(name) for name in names] or means.farmers.all(FarmerState.ACTIVE)
        for farmer in self._farmers:
            if farmer.state is not FarmerState.ACTIVE and kind is Kind.PLANT:
                raise UsageError(
                    f"{farmer.name} is {farmer.state}: only who is active is planted for",
                    hint=f"see: kalepool farmer show {farmer.name}",
                )
        self._teller = Teller(listeners)
        self._scope = Scope(frozenset({kind}), frozenset(farmer.number for farmer in self._farmers))
        self._tender = Tender(means, self._teller, Stop(), Progress(Goal(blocks=1, opens=False)), self._scope)

    async def run(self, hash_s: float = 0.0) -> Stepped:
        """Take the step, and wait until it has landed or cannot.

        Args:
            hash_s: network seconds to search for proofs before works are sent.

        Raises:
            LockedError: when another process mines.
            RejectedError: when there is nothing that could be planted or worked now.
            RetryableError: when the network does not answer.
        """
        clock = self._means.clock
        with self._means.lock.hold():
            try:
                await self._look()
                if self._kind is Kind.WORK and self._unworked():
                    await clock.sleep_until(clock.now() + hash_s)
                    self._scope.works_now = True
                    await self._look()
                await self._wait()
            finally:
                self._means.grinder.stop()
        return self._ended()

    async def _wait(self) -> None:
        """Look on until nothing moves any more, or too many ledgers have passed."""
        clock = self._means.clock
        last = self._ledger + _PATIENCE_LEDGERS
        for _ in range(_MOST_LOOKS):
            if not self._is_moving() or self._ledger > last:
                return
            look = self._tender.look
            assert look is not None
            seconds = clock.ledger_seconds
            until = max(look.pace.next_close() + _SEEN_AFTER * seconds, clock.now() + _LATE_AGAIN * seconds)
            await clock.sleep_until(until)
            await self._look()

    @property
    def _ledger(self) -> int:
        look = self._tender.look
        assert look is not None
        return look.pace.ledger

    async def _look(self) -> None:
        self._means.lock.beat()
        await self._tender.round(0.0, 0.0)
        self._teller.flush()

    def _is_moving(self) -> bool:
        look = self._tender.look
        assert look is not None
        if self._kind is Kind.WORK:
            return bool(self._unworked())
        return bool(look.under_way.plants)

    def _records(self) -> list[PailRecord]:
        look = self._tender.look
        assert look is not None
        index, pails = look.snapshot.farm.index, self._means.pails
        block = next(iter(self._tender.begun), index)
        return [
            record for record in pails.in_blocks(block, block) if self._scope.has(self._kind, record.farmer)
        ]

    def _unworked(self) -> list[PailRecord]:
        return [record for record in self._records() if record.state is PailState.PLANTED]

    def _ended(self) -> Stepped:
        look = self._tender.look
        assert look is not None
        wanted = {PailState.WORKED, PailState.HARVESTABLE, PailState.HARVESTED}
        if self._kind is Kind.PLANT:
            wanted = set(PailState) - {PailState.PLANNED, PailState.MISSED}
        done = {record.farmer for record in self._records() if record.state in wanted}
        block = next(iter(self._tender.begun), look.snapshot.farm.index)
        stepped = Stepped(
            block,
            _names(self._farmers, done, inside=True),
            _names(self._farmers, done, inside=False),
            look.held_back,
        )
        if not stepped.done:
            word = "planted" if self._kind is Kind.PLANT else "worked"
            raise RejectedError(
                f"no farmer is {word} in block {block}" + (f": {stepped.why}" if stepped.why else ""),
                hint="a block is planted while there is time to work it, and worked while it is open",
            )
        return stepped


def _names(farmers: Sequence[Farmer], numbers: set[int], *, inside: bool) -> tuple[str, ...]:
    return tuple(farmer.name for farmer in farmers if (farmer.number in numbers) is inside)
