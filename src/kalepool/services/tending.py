"""One round: observe, close what landed, decide, apply."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.farmers import Custody
from kalepool.core.intents import Kind
from kalepool.core.records import PailState, View
from kalepool.core.rounds import Lane, Wait, plan
from kalepool.core.shares import OWED, spoken_for
from kalepool.services.applying import OPENING_WINDOW_S, Applier
from kalepool.services.chronicle import Chronicle
from kalepool.services.dispatch import Dispatcher
from kalepool.services.events import Event, Name
from kalepool.services.foretelling import Foreteller
from kalepool.services.guards import Guards
from kalepool.services.lanes import Accounts, Landings, UnderWay, make_lanes
from kalepool.services.look import Look, Scope
from kalepool.services.observing import Observer, pace_of
from kalepool.services.stopping import OPENING_GRACE_S, Phase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.core.rounds import Action
    from kalepool.core.strategy import Pace, Policy
    from kalepool.services.events import Teller
    from kalepool.services.means import Means
    from kalepool.services.stopping import Progress, Stop

_NEVER: Final = 2**62
_WORKS_WAIT: Final = 2
"""Ledgers that plants for the next block wait, at most, for works that are late."""

_PAST: Final = "time has passed since the look"
_SETTLED_AT_ONCE: Final = 200
"""Pails settled in one round, some 20 ms: the rest waits for the next ledger, and no plant for them."""

_OVER: Final = frozenset({PailState.HARVESTED, PailState.FORFEITED, PailState.EXPIRED})


class Tender:
    """Makes rounds.

    Args:
        means: of the pool.
        teller: is told what happens.
        stop: whether to go on planting.
        progress: which blocks may be planted.
        scope: what else holds it back.
    """

    def __init__(
        self, means: Means, teller: Teller, stop: Stop, progress: Progress, scope: Scope | None = None
    ) -> None:
        self._means = means
        self.scope = scope or Scope()
        self._teller = teller
        self._stop = stop
        self._progress = progress
        self.observer = Observer(means)
        self.accounts = Accounts(means)
        self._guards = Guards(means)
        self._dispatcher = Dispatcher(means, self.accounts)
        self._landings = Landings()
        self._foreteller = Foreteller(means.pails)
        self._chronicle = Chronicle(
            means, teller, self.observer, self.accounts, self._dispatcher, self._landings, progress
        )
        self._applier = Applier(means, self._dispatcher, teller, stop, progress, self.scope)
        self._terms_for: int | None = None
        self._terms: dict[int, Farmer] = {}
        self._bid_for: int | None = None
        self._speed = 0.0
        self._price_note = ""
        self._may_settle = True
        self.look: Look | None = None

    async def round(self, rate: float, speed: float) -> Wait:
        """Look once, and do what is to be done now; give when to look again.

        Args:
            rate: hashes a second of the machine's time, to be shown.
            speed: hashes a second of network time, to plan with.

        Raises:
            RetryableError: when the network does not answer.
            LockedError: when another process has taken over.
        """
        means, self._speed = self._means, speed
        farmers = means.farmers.all()
        snapshot = await self._read(farmers)
        assert snapshot.tip is not None
        before = self.look
        if before is not None and snapshot.ledger < before.pace.ledger:
            before.is_stale = self._is_stale(before, before.pace)
            return Wait(means.clock.now() + means.clock.ledger_seconds / 2, "the node lags")
        means.clock.observe(snapshot.tip.ledger, snapshot.tip.close_time)
        pace = pace_of(snapshot, means.clock.now(), means.clock.ledger_seconds)
        look = Look(snapshot, pace, {farmer.number: farmer for farmer in farmers})
        look.is_stale = self._is_stale(before, pace)
        observed = await means.reconciler.observe(snapshot)
        closed = observed.closed
        for one in closed:
            if one.landed is not None:
                means.learner.landed(
                    one.intent.kind, one.intent.items, one.landed.ledger, one.landed.fee_charged
                )
        with means.store.atomic():
            changes = self.observer.record(snapshot, pace)
            self._save_view(look, rate)
        self._chronicle.note_closed(closed, look)
        self._chronicle.tell_changes(changes, look, before)
        harvested = means.harvester.settle(closed)
        self._chronicle.tell_harvested(harvested, look)
        self._may_settle |= bool(harvested) or any(change.now.state in _OVER for change in changes)
        self._chronicle.tell_outcomes(self._foreteller.outcome)
        self._chronicle.note_others(observed.witnessed, look)
        self._note_price(look)
        look.under_way = UnderWay.of(means.journal.open_intents(mine=False))
        self._landings.add_to(look.under_way, snapshot.ledger)
        self.look = look
        if look.is_stale:
            look.wait = Wait(pace.next_close() + pace.ledger_seconds, "the network stands still")
        else:
            look.wait = await self._decide_and_apply(look)
        self._settle(look)
        return look.wait

    def _note_price(self, look: Look) -> None:
        """Take what the liquidity pool shows; tell once why it does not count."""
        index, pricer = look.snapshot.farm.index, self._means.pricer
        pricer.note(index, look.snapshot.reserves)
        note = pricer.price(index).note
        if note and note != self._price_note:
            self._chronicle.tell(Name.RETRY, look.pace, reason=f"price of KALE: {note}")
        self._price_note = note

    def _settle(self, look: Look) -> None:
        """Say what is owed for pails that are over, once all that is urgent has left."""
        if not self._may_settle:
            return
        done = self._means.settling.settle(_SETTLED_AT_ONCE)
        self._may_settle = done.pails >= _SETTLED_AT_ONCE
        for name in done.broken:
            reason = f"the terms of {name} do not carry this vault's seal: nothing of his is settled"
            event = Event(Name.RETRY, look.pace.close_time, name, ledger=look.pace.ledger, reason=reason)
            self._teller.tell_once(f"seal {name}", event)

    @property
    def expired(self) -> int:
        """Pails that were found expired."""
        return self._chronicle.expired

    @property
    def begun(self) -> tuple[int, ...]:
        """Blocks for which plants have left."""
        return self._progress.blocks

    @property
    def _every(self) -> int | None:
        return 1 if self._progress.is_full else None

    async def _read(self, farmers: Sequence[Farmer]) -> Snapshot:
        busy: frozenset[int] = frozenset()
        if self.look is not None:
            busy = frozenset(farmer for farmer, _ in self.look.under_way.harvests)
            if self.look.pace.ledger < self._applier.harvests_from or self._stop.phase is not Phase.RUNNING:
                busy = frozenset(self.observer.ripe)
        return await self.observer.read(farmers, every=self._every, busy=busy)

    def _is_stale(self, before: Look | None, pace: Pace) -> bool:
        stale = self._means.clock.is_stale()
        was = before is not None and before.is_stale
        if stale and not was:
            self._chronicle.tell(Name.NETWORK_LOST, pace, reason=f"no ledger has closed since {pace.ledger}")
        elif was and not stale:
            self._chronicle.tell(Name.NETWORK_BACK, pace, reason=f"ledger {pace.ledger} has closed")
        return stale

    def _save_view(self, look: Look, rate: float) -> None:
        operator = self.accounts[self._means.operator]
        last = self._means.views.last()
        known = operator.xlm if operator is not None else (0 if last is None else last.operator_xlm)
        self._means.views.save(
            View(
                look.pace.ledger,
                look.pace.close_time,
                look.snapshot.farm.index,
                look.snapshot.farm.paused,
                known,
                int(rate),
                self._means.machine_now(),
            )
        )

    # What is to be done

    async def _decide_and_apply(self, look: Look) -> Wait:
        snapshot, pace = look.snapshot, look.pace
        wrong_code = self._guards.code(snapshot)
        target = self._target(look)
        may_plant = (
            self._stop.phase is Phase.RUNNING
            and Kind.PLANT in self.scope.kinds
            and not wrong_code
            and not snapshot.farm.paused
            and self._progress.may_plant(target)
        )
        await self._prepare(look, target, may_plant=may_plant)
        lanes = self._lanes(look)
        if may_plant:
            await self._learn(lanes, look, target)
        lanes = self._allowed(lanes, look, target, wrong_code, may_plant=may_plant)
        made = plan(snapshot, lanes, self._policy(), pace, self._means.learner.outlook(self._speed))
        actions = made.actions
        self._foreteller.note(made, lanes)
        self._applier.aim(actions, look)
        if look.is_past(self._means.clock.now()):
            return Wait(self._means.clock.now(), _PAST)
        await self._applier.work(actions, look)
        if not self._ends_works(look, target):
            await self._applier.plant(actions, look)
        await self._applier.open_next(look)
        await self._applier.harvest(actions, look)
        if self._bid_for != snapshot.farm.index:
            await self._means.composer.refresh_bid()
            self._bid_for = snapshot.farm.index
            self._means.learner.save()
        if look.is_past(self._means.clock.now()):
            return Wait(self._means.clock.now(), _PAST)
        return self._until(actions, look)

    def _target(self, look: Look) -> int:
        """Give the block that plants would go to now."""
        record, index = look.snapshot.farm.block, look.snapshot.farm.index
        ahead = record is not None and self._means.policy.plant_ahead
        return (
            index + 1
            if ahead and record is not None and strategy.is_next_ledger_due(record, look.pace)
            else index
        )

    @staticmethod
    def _ends_works(look: Look, target: int) -> bool:
        """Tell whether plants for the next block could end this one before works of ours have landed in it.

        Others may open it all the same, so they are waited for two ledgers and no more.
        """
        record, index = look.snapshot.farm.block, look.snapshot.farm.index
        if record is None or target == index or not any(block == index for _, block in look.under_way.works):
            return False
        return look.pace.next_close() < strategy.due_at(record) + _WORKS_WAIT * look.pace.ledger_seconds

    def _policy(self) -> Policy:
        policy = self._means.policy
        if self._stop.phase is Phase.RUNNING and not self.scope.works_now:
            return policy
        return replace(policy, at_once=True, improve_from_stroops=_NEVER)

    async def _prepare(self, look: Look, target: int, *, may_plant: bool) -> None:
        """Read accounts before the first plants of a block, or before works that have none."""
        farmers = list(look.farmers.values())
        block = target if may_plant or self._terms_for is None else self._terms_for
        await self.accounts.ready_for(block, farmers, look.pace.ledger)
        if self._terms_for != block or look.farmers.keys() - self._terms.keys():
            self._terms_for = block
            self._terms = {
                farmer.number: replace(farmer, terms=self._means.farmers.terms_at(farmer.number, block).terms)
                for farmer in farmers
            }
        if self._bid_for is None:
            await self._means.composer.refresh_bid()
            self._bid_for = look.snapshot.farm.index

    def _lanes(self, look: Look) -> list[Lane]:
        farmers = [self._with_terms(farmer) for farmer in look.farmers.values()]
        debtors: frozenset[int] = frozenset()
        if any(farmer.custody is Custody.WATCHED for farmer in farmers):
            debtors = self._means.receivables.beyond_limit()
        return make_lanes(
            farmers,
            self.accounts,
            spoken_for(
                self._means.journal.reserved(),
                self._means.books.balances(OWED),
                {number: farmer.address for number, farmer in look.farmers.items()},
            ),
            look.under_way,
            self._means.grinder.proofs(),
            index=look.snapshot.farm.index,
            every=self._every,
            for_pool=self._means.policy.for_pool,
            debtors=debtors,
        )

    def _with_terms(self, farmer: Farmer) -> Farmer:
        """Give a farmer with the terms of the block that may be planted, which he mostly has already."""
        terms = self._terms[farmer.number].terms
        return farmer if farmer.terms == terms else replace(farmer, terms=terms)

    async def _learn(self, lanes: Sequence[Lane], look: Look, target: int) -> None:
        """Let a node try one plant, so that the guards know what plants cost; nothing is asked when they do."""
        for lane in lanes:
            if lane.plants and self._waits(lane, look, target):
                await self._dispatcher.learn(
                    lane.address,
                    block=target,
                    stake=min(lane.available or 0, 1),
                    opens=target not in look.snapshot.blocks,
                    max_time=int(look.pace.now) + OPENING_WINDOW_S,
                )
                return

    def _waits(self, lane: Lane, look: Look, target: int) -> bool:
        return (
            self.scope.has(Kind.PLANT, lane.farmer)
            and not _has(lane, look, target)
            and not self._dispatcher.is_given_up(Kind.PLANT, lane.farmer, target)
        )

    def _allowed(
        self, lanes: list[Lane], look: Look, target: int, wrong_code: str, *, may_plant: bool
    ) -> list[Lane]:
        """Let only those lanes plant that the guards leave."""
        waiting = [lane.farmer for lane in lanes if lane.plants and self._waits(lane, look, target)]
        allowed: set[int] = set()
        if may_plant and waiting:
            leave = self._guards.leave(self.accounts[self._means.operator], look.pace.now)
            allowed = set(waiting[: leave.farmers])
            if len(allowed) < len(waiting):
                look.held_back = f"{len(waiting) - len(allowed)} farmers are not planted for: {leave.reason}"
        elif wrong_code:
            look.held_back = wrong_code
        elif look.snapshot.farm.paused:
            look.held_back = "the farm is paused: nobody can plant"
        if look.held_back:
            key = look.held_back if wrong_code else f"held {target}"
            self._teller.tell_once(
                key, Event(Name.RETRY, look.pace.close_time, ledger=look.pace.ledger, reason=look.held_back)
            )
        # Who has planted already would not be planted for again, so his lane may stay as it is.
        return [
            lane
            if not lane.plants or lane.farmer in allowed or (may_plant and _has(lane, look, target))
            else replace(lane, plants=False)
            for lane in lanes
        ]

    def _until(self, actions: Sequence[Action], look: Look) -> Wait:
        wait = next(action for action in actions if isinstance(action, Wait))
        record, now = look.snapshot.farm.block, self._means.clock.now()
        if look.under_way.count:
            return Wait(min(wait.until, look.pace.next_close()), "transactions are under way")
        if (
            record is not None
            and self._progress.is_full
            and look.snapshot.farm.index in self._progress.blocks
        ):
            opening = strategy.due_at(record) + OPENING_GRACE_S
            if now < opening < wait.until:
                return Wait(opening, "somebody to open the next block")
        return wait


def _has(lane: Lane, look: Look, target: int) -> bool:
    """Tell whether a farmer has a pail in a block, or a plant for it under way."""
    return target in lane.under_way or (lane.address, target) in look.snapshot.pails
