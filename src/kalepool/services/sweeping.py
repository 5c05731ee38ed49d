"""Sweeping: everything harvestable is harvested, round by round, until nothing is left that can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kalepool.core.intents import Kind, State, pail_item
from kalepool.core.records import PailState
from kalepool.errors import ConfigError, RetryableError
from kalepool.services.extending import in_danger
from kalepool.services.harvesting import Due
from kalepool.services.surveying import ripe_pails

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kalepool.core.farmers import Farmer
    from kalepool.core.harvests import Ripe
    from kalepool.core.intents import Intent
    from kalepool.core.records import PailRecord
    from kalepool.ports import Clock, Facts, Journal, Pails
    from kalepool.services.extending import Extender
    from kalepool.services.harvesting import Harvested, Harvester
    from kalepool.services.reconcile import Closed, Reconciler
    from kalepool.services.remembering import Key
    from kalepool.services.surveying import Seen, Survey, Wish

TOLD: Final = "harvest.expired-told"
"""Fact: how many expired pails the operator has been told of."""

_PATIENCE_S: Final = 150.0
"""Network time without any progress after which a sweep leaves the rest to the next one: two attempts' lives."""

_SINCE_BLOCKS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Pending:
    """A pail that was not harvested.

    Attributes:
        farmer: his number.
        block: index.
        reason: why not yet.
        failed: whether something went wrong, or it only has to wait.
    """

    farmer: int
    block: int
    reason: str
    failed: bool


@dataclass(slots=True)
class Swept:
    """What a sweep came to.

    Attributes:
        harvested: by our transactions.
        pending: worked pails that are left.
        expired: pails found lost, of which nobody was told before.
        ripe: what can be harvested and what it pays, by pail, as first seen.
        extended: blocks whose pails and Block were given a longer life.
        stopped: the network's failure that ended it early, or None.
        index: FarmIndex when it began.
    """

    harvested: list[Harvested] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    expired: list[PailRecord] = field(default_factory=list)
    ripe: dict[Key, Ripe] = field(default_factory=dict)
    extended: set[int] = field(default_factory=set)
    stopped: RetryableError | None = None
    index: int = 0


class Sweeper:
    """Harvests what there is.

    Args:
        survey: finds it.
        clock: network time.
        journal: knows what is under way.
        reconciler: closes it.
        harvester: sends.
        extender: keeps alive what cannot be harvested in time.
        losses: tells of expired pails.
        beat: gives a sign of life, once a round.
    """

    def __init__(
        self,
        survey: Survey,
        clock: Clock,
        journal: Journal,
        reconciler: Reconciler,
        harvester: Harvester,
        extender: Extender,
        losses: Losses,
        beat: Callable[[], None],
    ) -> None:
        self._survey = survey
        self._clock = clock
        self._journal = journal
        self._reconciler = reconciler
        self._harvester = harvester
        self._extender = extender
        self._losses = losses
        self._beat = beat

    async def sweep(self, wish: Wish, tell: Callable[[str], None] = lambda _: None) -> Swept:
        """Harvest everything that is wanted and can be harvested; give up when nothing has moved for a while.

        Args:
            wish: what is wanted.
            tell: is given lines about what goes on, for people.

        Raises:
            RejectedError: when there is no account to send from.
            RetryableError: when the network failed before anything was sent.
        """
        swept = Swept()
        try:
            await self._rounds(wish, swept, tell)
        except RetryableError as error:
            if not swept.harvested:
                raise
            swept.stopped = error
            done = {(one.farmer, one.block) for one in swept.harvested}
            swept.pending = [Pending(*key, error.message, True) for key in swept.ripe if key not in done]
        swept.expired = self._losses.tell(swept.index)
        return swept

    async def _rounds(self, wish: Wish, swept: Swept, tell: Callable[[str], None]) -> None:
        farmers = {farmer.number: farmer for farmer in wish.farmers}
        # Before anything is read: what a transaction of ours has harvested must not be sent for again.
        await self._settle(swept)
        seen = await self._survey.everything(wish)
        swept.ripe, swept.index = ripe_pails(seen, farmers), seen.snapshot.farm.index
        moved = self._clock.now()
        while True:
            self._beat()
            if await self._send(seen, farmers, swept, tell):
                moved = self._clock.now()
            if not self._waits(seen, farmers) or self._clock.now() - moved > _PATIENCE_S:
                break
            await self._clock.sleep_until(self._clock.now() + self._clock.ledger_seconds)
            if await self._settle(swept):
                moved = self._clock.now()
            left = {*ripe_pails(seen, farmers), *_endangered(seen, farmers)}
            seen = await self._survey.read(left, farmers)
        swept.pending = self._pending(seen, farmers)

    async def _settle(self, swept: Swept) -> list[Closed]:
        closed = await self._reconciler.reconcile()
        swept.harvested += self._harvester.settle(closed)
        for one in closed:
            if one.intent.kind is Kind.EXTEND and one.state is State.SETTLED:
                swept.extended |= {int(item.split(":")[2]) for item in one.intent.items}
        return closed

    async def _send(
        self, seen: Seen, farmers: Mapping[int, Farmer], swept: Swept, tell: Callable[[str], None]
    ) -> bool:
        """Send what can be sent now; tell whether anything left."""
        by_farmer: dict[int, list[int]] = {}
        for farmer, block in ripe_pails(seen, farmers):
            by_farmer.setdefault(farmer, []).append(block)
        due = [Due(farmers[farmer], tuple(blocks), "swept up") for farmer, blocks in by_farmer.items()]
        results = await self._harvester.send(due, seen.snapshot)
        left = [result for result in results if result.answer is not None]
        if left:
            count = sum(len(result.order.plan.items) for result in left)
            tell(f"harvests sent: {len(left)}, of pails: {count}; pails done before: {len(swept.harvested)}")
        stuck = [key for key in _endangered(seen, farmers) if self._is_stuck(seen, key)]
        if stuck:
            tell(f"pails that end soon and cannot be harvested now: {len(stuck)}")
            results += await self._extender.send(stuck, farmers, seen.snapshot)
        for result in results:
            if isinstance(result.refused, ConfigError):
                raise result.refused  # a key is missing: it would be missing in every round
        return any(result.answer is not None for result in results)

    def _is_stuck(self, seen: Seen, key: Key) -> bool:
        return key[1] >= seen.snapshot.farm.index or bool(self._harvester.refusal(*key))

    def _waits(self, seen: Seen, farmers: Mapping[int, Farmer]) -> bool:
        """Tell whether another round can do something: ours is under way, or a pail has not had its turn."""
        taken = self._taken()
        if any(intent.kind in {Kind.HARVEST, Kind.EXTEND} for intent in self._journal.open_intents()):
            return True
        return any(
            pail_item(*key) not in taken and not self._harvester.refusal(*key)
            for key in ripe_pails(seen, farmers)
        )

    def _taken(self) -> dict[str, Intent]:
        return {item: intent for intent in self._journal.open_intents(mine=False) for item in intent.items}

    def _pending(self, seen: Seen, farmers: Mapping[int, Farmer]) -> list[Pending]:
        taken, mine = self._taken(), {intent.number for intent in self._journal.open_intents()}
        pending = []
        for farmer, block in ripe_pails(seen, farmers):
            intent, why = taken.get(pail_item(farmer, block)), self._harvester.refusal(farmer, block)
            if intent is None:
                reason, failed = why or "no channel account was free", bool(why)
            elif intent.number in mine:
                reason, failed = "sent, and not landed yet: the next harvest looks again", True
            else:
                reason, failed = "another kalepool is harvesting it", False
            pending.append(Pending(farmer, block, reason, failed))
        for farmer, block in _endangered(seen, farmers):
            if block >= seen.snapshot.farm.index:
                pending.append(self._unclosed(seen, farmers, (farmer, block)))
        return pending

    def _unclosed(self, seen: Seen, farmers: Mapping[int, Farmer], key: Key) -> Pending:
        farmer, block = key
        why = "the farm is paused" if seen.snapshot.farm.paused else "nobody has closed its block"
        refusal = self._extender.refusals.get(block, "")
        is_dear = self._extender.is_worth_it(seen.snapshot, [farmers[farmer].address], block)
        return Pending(farmer, block, f"it ends soon, and {why}{refusal and ': ' + refusal}", is_dear)


def _endangered(seen: Seen, farmers: Mapping[int, Farmer]) -> list[Key]:
    return [
        (farmer, block)
        for farmer, block in seen.keys
        if in_danger(seen.snapshot, farmers[farmer].address, block)
    ]


class Losses:
    """Pails that expired: each is told once, whichever process found it.

    Args:
        pails: what is known of them.
        facts: remembers how many were told.
    """

    def __init__(self, pails: Pails, facts: Facts) -> None:
        self._pails = pails
        self._facts = facts

    def tell(self, index: int) -> list[PailRecord]:
        """Give the expired pails of which nobody was told, by block and farmer: now they are.

        Args:
            index: FarmIndex.
        """
        count, told = self._pails.counts()[PailState.EXPIRED], int(self._facts.get(TOLD) or 0)
        if count <= told:
            return []
        records = self._pails.in_blocks(max(index - _SINCE_BLOCKS, 0), index)
        lost = [record for record in records if record.state is PailState.EXPIRED]
        self._facts.put(TOLD, str(count))
        return lost[told - count :]
