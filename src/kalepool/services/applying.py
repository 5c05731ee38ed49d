"""Doing what a round decided: the engine is aimed, plants, works and harvests are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.address import raw_key
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.intents import Kind, pail_of
from kalepool.core.records import PailRecord, PailState
from kalepool.core.rounds import Grind, Harvest, Plant, SubmitWork
from kalepool.errors import RejectedError
from kalepool.services.events import Event, Name
from kalepool.services.grinding import Target
from kalepool.services.harvesting import Due
from kalepool.services.stopping import Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.rounds import Action
    from kalepool.services.dispatch import Dispatched, Dispatcher
    from kalepool.services.events import Teller
    from kalepool.services.look import Look, Scope
    from kalepool.services.means import Means
    from kalepool.services.stopping import Progress, Stop

_HARVEST_PAUSE_LEDGERS: Final = 12
OPENING_WINDOW_S: Final = 30
"""How long a plant that opens a block may take to land."""


class Applier:
    """Carries out actions.

    Args:
        means: of the pool.
        dispatcher: sends plants and works.
        teller: is told what was refused.
        stop: whether to go on planting and harvesting.
        progress: which blocks were planted.
        scope: what is done, and for whom.
    """

    def __init__(
        self,
        means: Means,
        dispatcher: Dispatcher,
        teller: Teller,
        stop: Stop,
        progress: Progress,
        scope: Scope,
    ) -> None:
        self._means = means
        self._dispatcher = dispatcher
        self._teller = teller
        self._stop = stop
        self._progress = progress
        self._scope = scope
        self.harvests_from = 0

    def aim(self, actions: Sequence[Action], look: Look) -> None:
        """Let the engine search for whom a round says, and for nobody else."""
        current = look.snapshot.blocks.get(look.snapshot.farm.index)
        if current is None:
            return
        grinds = [
            action
            for action in actions
            if isinstance(action, Grind) and self._scope.has(Kind.WORK, action.farmer)
        ]
        targets = [
            Target(grind.farmer, raw_key(look.farmers[grind.farmer].address), grind.cap, grind.weight)
            for grind in grinds
        ]
        block, entropy = look.snapshot.farm.index, current.block.entropy
        if grinds and grinds[0].entropy is not None:
            # The next block, ahead: what is found counts if its entropy comes true.
            block, entropy = grinds[0].block, grinds[0].entropy
        self._means.grinder.aim(targets, block=block, entropy=entropy)

    async def work(self, actions: Sequence[Action], look: Look) -> None:
        """Send works."""
        works = [
            action
            for action in actions
            if isinstance(action, SubmitWork)
            and self._scope.has(Kind.WORK, action.farmer)
            and not self._dispatcher.is_given_up(Kind.WORK, action.farmer, action.block)
        ]
        if works:
            done = await self._dispatcher.works(works, look.farmers, look.snapshot, look.under_way)
            self._note_sent(done, look)

    async def plant(self, actions: Sequence[Action], look: Look) -> None:
        """Send plants."""
        plants = [action for action in actions if isinstance(action, Plant)]
        if plants:
            await self._send_plants(plants, look)
            if look.under_way.opens(plants[0].block):
                self._progress.begin(plants[0].block)

    async def _send_plants(self, plants: Sequence[Plant], look: Look) -> None:
        done = await self._dispatcher.plants(plants, look)
        self._note_sent(done, look)
        by_farmer = {plant.farmer: plant for plant in plants}
        planned = []
        for result in done.sent:
            pail = pail_of(result.order.plan.items[0])
            assert pail is not None
            stake = by_farmer[pail[0]].stake
            known = self._means.pails.of_farmer(pail[0], pail[1], pail[1])
            if not known or known[0].state is PailState.PLANNED:
                planned.append(PailRecord(*pail, PailState.PLANNED, stake))
        if planned:
            self._means.pails.record(planned)

    async def open_next(self, look: Look) -> None:
        """Open the block after the last with a plant of nothing, when nobody else does."""
        farm, pace = look.snapshot.farm, look.pace
        if farm.block is None or look.held_back or self._stop.phase is not Phase.RUNNING:
            return
        due = strategy.due_at(farm.block)
        if not self._progress.opens_next(farm.index, due, pace.now) or look.under_way.opens(farm.index + 1):
            return
        for farmer in look.farmers.values():
            if (
                farmer.custody is Custody.CUSTODIAL
                and farmer.state is FarmerState.ACTIVE
                and not self._dispatcher.is_given_up(Kind.PLANT, farmer.number, farm.index + 1)
            ):
                max_time = int(pace.now) + OPENING_WINDOW_S
                reason = "nobody else opens the next block"
                await self._send_plants(
                    [Plant(farmer.number, farm.index + 1, 0, True, max_time, reason)], look
                )
                return

    async def harvest(self, actions: Sequence[Action], look: Look) -> None:
        """Send harvests."""
        if self._stop.phase is not Phase.RUNNING or look.pace.ledger < self.harvests_from:
            return
        busy = {farmer for farmer, _ in look.under_way.harvests}
        due = [
            Due(look.farmers[action.farmer], action.blocks, action.reason)
            for action in actions
            if isinstance(action, Harvest)
            and action.farmer not in busy
            and self._scope.has(Kind.HARVEST, action.farmer)
        ]
        if due:
            try:
                sent = await self._means.harvester.send(due, look.snapshot)
            except RejectedError as error:
                sent = []
                reason = f"harvest: {error.message}" + (f"; {error.hint}" if error.hint else "")
                self._teller.tell_once(
                    reason, Event(Name.RETRY, look.pace.close_time, ledger=look.pace.ledger, reason=reason)
                )
            self._tell_unpayable(due, look)
            for result in sent:
                if result.intent is not None and result.refused is None:
                    look.under_way.add(Kind.HARVEST, result.order.plan.items, result.order.source)
            if not sent and not busy:
                self.harvests_from = look.pace.ledger + _HARVEST_PAUSE_LEDGERS

    def _tell_unpayable(self, due: Sequence[Due], look: Look) -> None:
        for one in due:
            why = self._means.harvester.refusal(one.farmer.number, one.blocks[0])
            if why:
                reason = f"harvest: {why}"
                event = Event(
                    Name.RETRY,
                    look.pace.close_time,
                    one.farmer.name,
                    one.blocks[0],
                    look.pace.ledger,
                    reason=reason,
                )
                self._teller.tell_once(f"{reason} {one.farmer.number}", event)

    def _note_sent(self, done: Dispatched, look: Look) -> None:
        for result in done.sent:
            plan = result.order.plan
            look.under_way.add(plan.kind, plan.items, result.order.source)
            self._means.learner.sent(plan.kind, plan.items, look.pace.ledger)
        for refused in done.refused:
            key = f"{refused.kind} {refused.reason}"
            self._teller.tell_once(
                key,
                Event(
                    Name.RETRY,
                    look.pace.close_time,
                    look.farmers[refused.farmer].name,
                    refused.block,
                    look.pace.ledger,
                    None,
                    f"{refused.kind}: {refused.reason}",
                ),
            )
