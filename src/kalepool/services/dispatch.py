"""Sending what a round decided: plants and works, each one purpose, paced to what ledgers take."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.farmers import Custody
from kalepool.core.intents import Kind, Plan, pail_item, plant_purpose, work_purpose
from kalepool.core.postings import KALE, XLM, account
from kalepool.errors import RejectedError
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.core.rounds import Plant, SubmitWork
    from kalepool.services.lanes import Accounts, UnderWay
    from kalepool.services.look import Look
    from kalepool.services.means import Means
    from kalepool.services.submit import Submitted

PER_LEDGER: Final = 100
"""Plants sent for one ledger, at most: so many find room beside everybody else's."""

QUEUED: Final = 2 * PER_LEDGER
"""Transactions of ours that may wait: the network's queue holds two ledgers' worth."""

TRIES: Final = 4
"""A pail's plant or work that can never land, or failed, is begun anew so often."""

_LESSONS: Final = 3
"""Farmers whose call is tried in one round to learn a shape; after that the shape waits for the next."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that could not be prepared, or was not built."""

    farmer: int
    block: int
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What was sent, and what was refused."""

    sent: list[Submitted]
    refused: list[Refused]


class Dispatcher:
    """Builds orders and submits them.

    Args:
        means: of the pool.
        accounts: balances and sequence numbers.
    """

    def __init__(self, means: Means, accounts: Accounts) -> None:
        self._means = means
        self._accounts = accounts
        self._numbers: Counter[tuple[Kind, int, int]] = Counter()
        self._failures: Counter[tuple[Kind, int, int]] = Counter()

    def is_given_up(self, kind: Kind, farmer: int, block: int) -> bool:
        """Tell whether a pail's plant or work has failed too often to be tried again."""
        return self._failures[kind, farmer, block] >= TRIES

    def fail(self, kind: Kind, farmer: int, block: int) -> None:
        """Take note that what was begun came to nothing: the next try has a purpose of its own, and tries are few."""
        self.renew(kind, farmer, block)
        self._failures[kind, farmer, block] += 1

    def renew(self, kind: Kind, farmer: int, block: int) -> None:
        """Give the next plant or work a purpose of its own: the last has landed, or its owner was quicker."""
        self._numbers[kind, farmer, block] += 1

    def forget(self, before: int) -> None:
        """Drop what is known of blocks before one."""
        for counter in (self._numbers, self._failures):
            for key in [key for key in counter if key[2] < before]:
                del counter[key]

    async def plants(self, plants: Sequence[Plant], look: Look) -> Dispatched:
        """Send plants, as many as find room in the network's queue; none when asking nodes took too long for that.

        Whose account has something under way waits: one signed behind it would carry the next sequence number,
        and be dead with it. Two kinds that take turns so, each one number ahead, would never land again.
        """
        room = max(min(PER_LEDGER, QUEUED - look.under_way.count), 0)
        orders: list[Order] = []
        refused: list[Refused] = []
        lessons: Counter[bool] = Counter()
        for plant in plants[:room]:
            farmer = look.farmers[plant.farmer]
            state = self._accounts[farmer.address]
            staked = plant.stake > 0
            if state is None or lessons[staked] >= _LESSONS or state.address in look.under_way.sources:
                continue
            try:
                build = await self._means.composer.plant(
                    farmer.address,
                    block=plant.block,
                    stake=plant.stake,
                    opens=plant.opens,
                    max_time=plant.max_time,
                )
            except RejectedError as error:
                lessons[staked] += 1
                refused.append(Refused(plant.farmer, plant.block, Kind.PLANT, error.message))
                continue
            reserves = [self._fee(Kind.PLANT)]
            if staked:
                reserves.append((account(farmer.address), KALE, plant.stake))
            plan = Plan(
                Kind.PLANT,
                plant_purpose(
                    plant.farmer, plant.block, self._numbers[Kind.PLANT, plant.farmer, plant.block]
                ),
                (pail_item(plant.farmer, plant.block),),
                tuple(reserves),
            )
            orders.append(Order(plan, farmer.address, state.sequence, build))
        if look.is_past(self._means.clock.now()):
            # Signed now, they would have little time to land in. What was learned makes the next round quick.
            return Dispatched([], refused)
        done = await self._submit(orders, refused, look.pace.ledger)
        await self._learn_for_later(plants, look.farmers)
        return done

    async def learn(self, farmer: str, *, block: int, stake: int, opens: bool, max_time: int) -> None:
        """Learn what such a plant needs, where that is not known and can be shown now."""
        with suppress(RejectedError):
            await self._means.composer.plant(farmer, block=block, stake=stake, opens=opens, max_time=max_time)

    async def _learn_for_later(self, plants: Sequence[Plant], farmers: Mapping[int, Farmer]) -> None:
        """Learn what the other kind of plant needs, with or without a stake, while some farmer has no pail.

        In the moment when the next block is due everybody has one in this block, and no simulation
        could show it.
        """
        for stake in {0, 1} - {min(plant.stake, 1) for plant in plants}:
            for plant in plants[:PER_LEDGER]:
                state = self._accounts[farmers[plant.farmer].address]
                if state is not None and (state.kale or 0) >= stake:
                    await self.learn(
                        state.address,
                        block=plant.block,
                        stake=stake,
                        opens=plant.opens,
                        max_time=plant.max_time,
                    )
                    break

    async def works(
        self,
        works: Sequence[SubmitWork],
        farmers: Mapping[int, Farmer],
        snapshot: Snapshot,
        under_way: UnderWay,
    ) -> Dispatched:
        """Send works: from the farmer's own account, or from a channel for who holds his own keys.

        Whose account has something under way waits, as with ``plants``.
        """
        orders: list[Order] = []
        refused: list[Refused] = []
        lessons: Counter[tuple[bool, bool]] = Counter()
        sources = await self._sources(works, farmers)
        for work in works:
            farmer = farmers[work.farmer]
            shape = (work.improves, farmer.custody is Custody.WATCHED)
            source = sources.get(work.farmer)
            if source is None or lessons[shape] >= _LESSONS or source[0] in under_way.sources:
                continue
            try:
                build = await self._means.composer.work(
                    farmer.address,
                    source=source[0],
                    block=work.block,
                    proof=work.proof,
                    improves=work.improves,
                    first_ledger=snapshot.pails[farmer.address, work.block].pail.sequence + 1,
                    max_time=work.max_time,
                )
            except RejectedError as error:
                lessons[shape] += 1
                refused.append(Refused(work.farmer, work.block, Kind.WORK, error.message))
                continue
            key = (work.farmer, work.block)
            number = self._numbers[Kind.WORK, *key]
            plan = Plan(Kind.WORK, work_purpose(*key, number), (pail_item(*key),), (self._fee(Kind.WORK),))
            orders.append(Order(plan, source[0], source[1], build))
        return await self._submit(orders, refused, snapshot.ledger)

    async def _sources(
        self, works: Sequence[SubmitWork], farmers: Mapping[int, Farmer]
    ) -> dict[int, tuple[str, int]]:
        found = {}
        watched = []
        for work in works:
            farmer = farmers[work.farmer]
            state = self._accounts[farmer.address]
            if farmer.custody is Custody.WATCHED:
                watched.append(work.farmer)
            elif state is not None:
                found[work.farmer] = (state.address, state.sequence)
        if watched:
            free = await self._means.sources.free()
            found |= dict(zip(watched, free.items(), strict=False))
        return found

    async def _submit(self, orders: list[Order], refused: list[Refused], ledger: int) -> Dispatched:
        if not orders:
            return Dispatched([], refused)
        sent = []
        for result in await self._means.submitter.submit(orders, ledger=ledger):
            kind, farmer, block = _meant(result.order.plan)
            if result.intent is None:
                # Begun in a former life, and it came to nothing, or this would not have been decided.
                self._numbers[kind, farmer, block] += 1
            elif result.refused is not None:
                self.fail(kind, farmer, block)
                refused.append(Refused(farmer, block, kind, result.refused.message))
            else:
                sent.append(result)
        return Dispatched(sent, refused)

    def _fee(self, kind: Kind) -> tuple[str, str, int]:
        return account(self._means.operator), XLM, self._means.composer.most_fee(kind)


def _meant(plan: Plan) -> tuple[Kind, int, int]:
    _, farmer, block, *_ = plan.purpose.split(":")
    return plan.kind, int(farmer), int(block)
