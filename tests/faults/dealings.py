"""What the operator does with money while the pool mines: terms, payouts, exits, withdrawals."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from kalepool.core.farmers import FarmerState
from kalepool.services.onboarding import Change
from support.devnet import KALE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from faults.process import Process
    from faults.scenario import Agreement, Happening
    from faults.world import World
    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer

_LOOKS: Final = 8
_LOOK_LEDGERS: Final = 12


class Dealings:
    """Pays, changes terms and lets farmers leave; who was interrupted begins again."""

    def __init__(self, world: World) -> None:
        self._world = world

    @contextmanager
    def _trouble(self, why: str) -> Iterator[None]:
        self._world.trouble[why] += 1
        try:
            yield
        finally:
            self._world.trouble[why] -= 1

    def _touch(self, address: str) -> None:
        index = self._world.ledger.farm.index
        self._world.truth.touched |= {(address, index), (address, index + 1)}

    # Terms

    async def agree_terms(self, one: Happening) -> None:
        """A farmer gets other terms, and perhaps another payout address."""
        world = self._world
        if not world.scenario.agreements:
            return
        agreement = world.scenario.agreements[one.number % len(world.scenario.agreements)]

        async def body(process: Process) -> None:
            farmers = _staying(process.pool)
            if farmers:
                await self.put_terms(process.pool, farmers[one.number % len(farmers)], agreement)

        await world.live("farmer", body, fuse=one.number % 5 if one.number % 3 == 0 else None)

    async def put_terms(self, pool: Pool, farmer: Farmer, agreement: Agreement) -> None:
        """Agree terms with a farmer."""
        change = Change(
            share_bps=agreement.share_bps,
            fee_bps=agreement.fee_bps,
            payout=self._world.home(farmer.address, agreement.payout),
            payout_from=agreement.payout_from,
            payout_every_h=agreement.payout_every_h,
            exit_delay_h=agreement.exit_delay_h,
            memo=agreement.memo if agreement.payout else "",
        )
        pool.onboarding.change(farmer.name, change)

    # Payouts

    async def payout(self, one: Happening) -> None:
        """Pay what is owed; who was interrupted, pays again."""
        await self.pay_out(one.number % 150 if one.number % 2 else None, now_due=one.number % 3 == 0)
        await self._world.ledgers(2)
        await self.pay_out(None, now_due=one.number % 3 == 0)

    async def harvest_and_pay(self, _: Happening) -> None:
        """Harvest whatever there is, and pay whatever is due."""
        await self._world.harvest()
        await self.pay_out(None, now_due=True)

    async def pay_twice(self, one: Happening) -> None:
        """Pay at two terminals at once."""
        world = self._world
        tasks = [self.pay_out(fuse, now_due=True) for fuse in (None, one.number % 150)]
        for task in [world.begin(task) for task in tasks]:
            await task

    async def pay_out(self, fuse: int | None, *, now_due: bool) -> Any:
        """Run ``kalepool payout``; give the plan."""
        world = self._world
        world.counts["payouts"] += 1

        async def body(process: Process) -> Any:
            pool = process.pool
            pool.settling.settle()
            async with pool.online():
                plan = await pool.paying.plan(now_due=now_due)
                if plan.batches:
                    paid = await pool.paying.pay(plan)
                    world.counts["payments"] += len(paid.lines)
                return plan

        return await world.live("payout", body, fuse=fuse)

    async def pay_by_itself(self, fuse: int | None) -> Any:
        """Do what ``mine --auto`` does at its intervals."""

        async def body(process: Process) -> None:
            async with process.pool.online():
                await process.pool.paymaster(self._world.note).once()

        return await self._world.live("auto", body, fuse=fuse)

    async def withdraw(self, one: Happening) -> None:
        """The operator takes some KALE or XLM out for himself."""
        world = self._world
        asset, amount = ("KALE", (1 + one.number % 40) * KALE) if one.number % 2 else ("XLM", 5 * KALE)

        async def body(process: Process) -> None:
            async with process.pool.online():
                plan = await process.pool.withdrawing.plan(asset, amount, world.cold.public_key)
                await process.pool.withdrawing.withdraw(plan)
                world.counts["withdrawn"] += 1

        await world.live("wallet", body, fuse=one.number % 60 if one.number % 3 == 0 else None)

    # Leaving

    async def exit_farmer(self, one: Happening) -> None:
        """A farmer leaves, or changes his mind; the last one stays."""
        world = self._world
        if len(world.active) < 2:
            return
        address = sorted(world.active)[one.number % len(world.active)]
        world.active.discard(address)
        self._touch(address)
        for fuse in (one.number % 16 if one.number % 3 == 0 else None, None):
            await world.live("farmer", lambda process: self._begin_exit(process, address), fuse=fuse)
        for look in range(_LOOKS):
            await world.ledgers(_LOOK_LEDGERS)
            if look == 1 and one.number % 4 == 0:
                await self._stay(address)
                return
            fuse = (one.number >> look) % 80 if (one.number >> look) % 2 else None
            if await world.live("farmer", lambda process: self._advance(process, address), fuse=fuse) is True:
                world.counts["exits"] += 1
                return

    @staticmethod
    async def _begin_exit(process: Process, address: str) -> None:
        async with process.pool.online():
            for farmer in _staying(process.pool):
                if farmer.address == address:
                    process.pool.exiting.begin(farmer.name)

    @staticmethod
    async def _advance(process: Process, address: str) -> bool:
        async with process.pool.online():
            for farmer in process.pool.farmers.all(FarmerState.EXITING):
                if farmer.address == address:
                    return (await process.pool.exiting.advance(farmer.name)).done
        return False

    async def _stay(self, address: str) -> None:
        world = self._world

        async def body(process: Process) -> bool:
            async with process.pool.online():
                for farmer in process.pool.farmers.all(FarmerState.EXITING):
                    if farmer.address == address:
                        stays = await process.pool.exiting.cancel(farmer.name)
                        return stays.state is FarmerState.ACTIVE
            return False

        if await world.live("farmer", body) is True:
            world.counts["exits called off"] += 1
            self._touch(address)
            world.set_active({*world.active, address})

    async def advance_exits(self) -> Any:
        """End what exits can end; give what the others wait for, by farmer's number."""

        async def body(process: Process) -> dict[int, Sequence[str]]:
            async with process.pool.online():
                quotes = await process.pool.exiting.advance_all()
            return {quote.farmer.number: quote.waits for quote in quotes if not quote.done}

        return await self._world.live("farmer", body)

    # After a restore

    async def confirm(self) -> Any:
        """Say that every payment made since the backup is known."""

        async def body(process: Process) -> None:
            async with process.pool.online():
                await process.pool.restoring.confirm()

        return await self._world.live("payout", body)


def _staying(pool: Pool) -> list[Farmer]:
    states = (FarmerState.ACTIVE, FarmerState.PAUSED)
    return [farmer for farmer in pool.farmers.all() if farmer.state in states]
