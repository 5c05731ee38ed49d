"""What may befall a pool while it mines: each method is one kind of happening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faults.outages import Outages
from faults.strangers import Strangers
from kalepool import keeping
from kalepool.core.roster import Applicant
from kalepool.services.gathering import SWEEP_FACT
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal

if TYPE_CHECKING:
    from faults.process import Process
    from faults.scenario import Happening
    from faults.world import World
    from kalepool.bootstrap import Pool


class Events(Outages, Strangers):
    """Makes things happen."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._backups: list[tuple[bytes, int, int]] = []
        self._memos: list[str] = []
        self._swept_since = 0

    # The machine

    async def suspend(self, one: Happening) -> None:
        """The machine sleeps: ledgers close, and nothing here runs."""
        with self._trouble("suspended"):
            self._world.slept += 5.0 * one.lasts
            self._world.bench.close(one.lasts)
            await self._world.ledgers(12)

    async def skew(self, one: Happening) -> None:
        """Somebody sets the machine's clock, forwards or back."""
        self._world.skew += (-1) ** one.number * (one.number % 100_000)

    async def power_loss(self, one: Happening) -> None:
        """The power fails."""
        self._world.down += 1
        self._world.lose_power()
        await self._world.ledgers(one.lasts)
        self._world.down -= 1

    async def stop_mine(self, one: Happening) -> None:
        """The operator kills mine, and starts it again later."""
        self._world.down += 1
        if self._world.mine is not None:
            self._world.mine.die()
        await self._world.ledgers(one.lasts)
        self._world.down -= 1

    # The operator

    async def second_mine(self, _: Happening) -> None:
        """Mine is started a second time."""

        async def body(process: Process) -> None:
            async with process.pool.online():
                await Mining(process.pool.means, Goal(1), []).run()

        await self._world.live("mine", body)

    async def add_farmer(self, one: Happening) -> None:
        """A farmer joins."""
        world = self._world

        async def body(process: Process) -> str:
            pool = process.pool
            async with pool.online():
                waiting = [farmer for farmer in pool.farmers.all() if farmer.state == "created"]
                taken = {farmer.name for farmer in pool.farmers.all()}
                number = next(number for number in range(1, 99) if f"farmer-{number}" not in taken)
                if len(taken) >= len(world.wallets):
                    return ""
                added = waiting or pool.onboarding.add([Applicant(f"farmer-{number}")])
                await pool.funding.fund(await pool.funding.survey(added))
                return added[0].address

        fuse = one.number % 60 if one.number % 2 else None
        address = await world.live("farmer", body, fuse=fuse)
        for _ in range(3):
            if isinstance(address, str):
                break
            await world.ledgers(3)
            address = await world.live("farmer", body)
        if isinstance(address, str) and address:
            self._touch(address)
            world.set_active({*world.active, address})

    async def pause_farmer(self, one: Happening) -> None:
        """A farmer takes a rest."""
        world = self._world
        if not world.active:
            return
        address = sorted(world.active)[one.number % len(world.active)]
        names: list[str] = []

        async def body(process: Process) -> None:
            for farmer in process.pool.farmers.all():
                if farmer.address == address and farmer.state == "active":
                    names.append(farmer.name)
                    process.pool.onboarding.pause([farmer.name])

        self._touch(address)
        world.active.discard(address)
        await world.live("farmer", body, fuse=one.number % 7 if one.number % 3 == 0 else None)
        await world.ledgers(one.lasts)

        async def resume(process: Process) -> None:
            for farmer in process.pool.farmers.all():
                if farmer.address == address and farmer.state == "paused":
                    process.pool.onboarding.resume([farmer.name])

        result = await world.live("farmer", resume)
        if result is None:
            self._touch(address)
            world.set_active({*world.active, address})

    async def sweep(self, one: Happening) -> None:
        """The store is backed up, and half of what the farmers have paid out; who was interrupted, begins again."""
        await self.back_up(one)
        self._memos.append(f"sweep {one.ledger}")
        self._swept_since = one.ledger
        await self._pay(one.number % 40 if one.number % 2 else None)
        await self._world.ledgers(3)
        await self._pay(None, begun=True)

    async def _pay(self, fuse: int | None, *, begun: bool = False) -> None:
        """Sweep, or go on with the sweep that was begun, where there is one."""
        world = self._world
        if not self._memos:
            return
        memo = self._memos[-1]

        async def body(process: Process) -> Any:
            async with process.pool.online():
                is_under_way = process.pool.facts.get(SWEEP_FACT) is not None
                if not is_under_way and (begun or self._knows_sweep(process.pool)):
                    return None
                gathering = process.pool.gathering
                return await gathering.sweep(await gathering.quote(5_000, world.cold.public_key, memo))

        for address in list(world.active):
            self._touch(address)
        await world.live("wallet", body, fuse=fuse)

    def _knows_sweep(self, pool: Pool) -> bool:
        """Tell whether a store knows of the last sweep: who asks it for another one gets another one."""
        purposes = pool.store.all("SELECT purpose FROM intents WHERE kind = 'sweep'")
        return any(int(purpose.split(":")[1]) >= self._swept_since for (purpose,) in purposes)

    async def back_up(self, _: Happening) -> None:
        """The store is backed up."""
        world = self._world
        target = world.folder / f"backup-{len(self._backups)}.db"

        async def body(process: Process) -> None:
            keeping.back_up(process.pool, target)

        await world.live("db", body)
        if target.exists():
            self._backups.append((target.read_bytes(), world.truth.payments, world.ledger.latest.sequence))

    async def restore(self, one: Happening) -> None:
        """Everything is stopped, and an older backup takes the store's place."""
        world = self._world
        if not self._backups:
            return
        world.counts["restored"] += 1
        world.restored = True
        world.may_confirm = False
        with self._trouble("restored"):
            world.down += 1
            world.kill_all()
            backup, payments, made = self._backups[one.number % len(self._backups)]
            world.replace_store(backup)
            world.restored_at = world.ledger.latest.sequence
            world.lost.append((made, world.restored_at))
            world.check_store("after a restore")
            await world.ledgers(one.lasts)
            world.down -= 1
            # He does not remember whether it went out.
            await self._pay(None)
            await self.pay_out(None, now_due=True)
            await world.ledgers(70)
            # Only where he finds on the network that nothing was paid since.
            world.may_confirm = payments == world.truth.payments
