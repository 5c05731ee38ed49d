"""What may befall a pool while it mines: each method is one kind of happening."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stellar_sdk import Asset, Keypair

from faults.dealings import Dealings
from faults.scenario import LEDGER_S
from kalepool import keeping
from kalepool.core.farm import Pail
from kalepool.core.roster import Applicant
from kalepool.devnet.transactions import InvokeContract
from kalepool.services.gathering import SWEEP_FACT
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal
from kalepool.xdr.keys import block_key, pail_key
from support.devnet import KALE, harvest_arguments, plant_arguments, work_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.process import Process
    from faults.scenario import Happening
    from faults.world import World
    from kalepool.devnet.entries import Trustline


class Events(Dealings):
    """Makes things happen."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._backups: list[tuple[bytes, int]] = []
        self._memos: list[str] = []
        self._is_forgotten = False
        self._faults: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self._own = {name: node.faults for name, node in world.bench.devnet.nodes.items()}

    # The network

    async def outage(self, one: Happening) -> None:
        """No node answers."""
        await self._fault(one, "outage", {"server_error": 1.0}, ("main", "second"))

    async def stall(self, one: Happening) -> None:
        """The first node sees no new ledger."""
        await self._fault(one, "stall", {"stalled": True}, ("main",))

    async def stall_second(self, one: Happening) -> None:
        """The second node sees no new ledger, and the first answers rarely."""
        await self._fault(one, "stall of the second", {"stalled": True}, ("second",))

    async def _fault(self, one: Happening, why: str, faults: dict[str, Any], nodes: tuple[str, ...]) -> None:
        with self._trouble(why):
            fault = nodes, faults
            self._faults.append(fault)
            self._put_faults()
            await self._world.ledgers(one.lasts)
            self._faults.remove(fault)
            self._put_faults()
            await self._world.ledgers(6)

    def _put_faults(self) -> None:
        """Give each node the faults of its own with those of all that befalls it now: one may end in another's midst."""
        devnet = self._world.bench.devnet
        for name, own in self._own.items():
            devnet.nodes[name].faults = own
        for nodes, faults in self._faults:
            for name in nodes:
                devnet.change_node(name, faults)

    async def pause_farm(self, one: Happening) -> None:
        """The farm is paused by its owner."""
        with self._trouble("farm paused"):
            self._world.bench.devnet.pause()
            await self._world.ledgers(one.lasts)
            self._world.bench.devnet.unpause()
            await self._world.ledgers(2)

    async def change_wasm(self, one: Happening) -> None:
        """The contract gets other code, and the operator agrees to it after a while."""
        with self._trouble("other code"):
            self._world.bench.devnet.change_wasm()
            await self._world.ledgers(one.lasts)
            await self._world.agree()
            await self._world.ledgers(12)

    async def lose_queue(self, _: Happening) -> None:
        """What was sent and waits is lost by the network."""
        with self._trouble("queue lost"):
            ledger = self._world.ledger
            ledger.queue = type(ledger.queue)(ledger.settings.limits)
            await self._world.ledgers(12)

    async def remove_block(self, _: Happening) -> None:
        """The farm's owner removes the current Block."""
        with self._trouble("block removed"):
            self._world.truth.removed.add(self._world.ledger.farm.index)
            self._world.bench.devnet.remove_block()
            await self._world.ledgers(70)

    async def forget(self, one: Happening) -> None:
        """The nodes have lost their history, and get it back."""
        with self._history_lost(one.number % 12):
            await self._world.ledgers(one.lasts)
        with self._trouble("history lost"):
            await self._world.ledgers(12)

    async def forgotten_payout(self, one: Happening) -> None:
        """A payout dies, everything stands still until its transactions are too old, and nodes forget them for a while."""
        world = self._world
        world.down += 1
        world.kill_all()
        await self.pay_out(15 + one.number % 45, now_due=True)
        await world.ledgers(15)
        with self._history_lost(1 + one.number % 3):
            await self.pay_out(None, now_due=True)
            world.check_store("while nobody can tell")
            world.down -= 1
            await world.ledgers(one.lasts)
        with self._trouble("history lost"):
            await world.ledgers(12)

    @contextmanager
    def _history_lost(self, kept: int) -> Iterator[None]:
        ledger = self._world.ledger
        if self._is_forgotten:
            # One at a time: what the second gave back would be out of order.
            yield
            return
        self._is_forgotten = True
        lost = [ledger.history.popleft() for _ in range(max(len(ledger.history) - 1 - kept, 0))]
        known = dict(ledger.by_hash)
        for closed in lost:
            for applied in closed.transactions:
                ledger.by_hash.pop(applied.transaction.hash, None)
                ledger.by_hash.pop(applied.transaction.outer_hash, None)
        with self._trouble("history lost"):
            try:
                yield
            finally:
                ledger.history.extendleft(reversed(lost))
                ledger.by_hash = {**known, **ledger.by_hash}
                self._is_forgotten = False

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
                if begun and process.pool.facts.get(SWEEP_FACT) is None:
                    return None
                gathering = process.pool.gathering
                return await gathering.sweep(await gathering.quote(5_000, world.cold.public_key, memo))

        for address in list(world.active):
            self._touch(address)
        await world.live("wallet", body, fuse=fuse)

    async def back_up(self, _: Happening) -> None:
        """The store is backed up."""
        world = self._world
        target = world.folder / f"backup-{len(self._backups)}.db"

        async def body(process: Process) -> None:
            keeping.back_up(process.pool, target)

        await world.live("db", body)
        if target.exists():
            self._backups.append((target.read_bytes(), world.truth.payments))

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
            backup, payments = self._backups[one.number % len(self._backups)]
            world.replace_store(backup)
            world.restored_at = world.ledger.latest.sequence
            world.check_store("after a restore")
            await world.ledgers(one.lasts)
            world.down -= 1
            # He does not remember whether it went out.
            await self._pay(None)
            await self.pay_out(None, now_due=True)
            await world.ledgers(70)
            # Only where he finds on the network that nothing was paid since.
            world.may_confirm = payments == world.truth.payments

    # Strangers

    async def stranger_harvests(self, one: Happening) -> None:
        """Somebody harvests for our farmers: what is ripe, or at every other time what we are about to harvest."""
        is_rival = one.number % 2 == 1
        for _attempt in range(40):
            if is_rival:
                # Once the pool has sent what it has to send in this ledger.
                await asyncio.sleep(LEDGER_S - 0.5)
            for address, index in list(self._world.truth.pails):
                if self._is_ripe(address, index) and (not is_rival or self._is_sent_for(address, index)):
                    self._call("harvest", harvest_arguments(_named(address), index))
                    return
            await self._world.ledgers(1)

    def _is_sent_for(self, address: str, index: int) -> bool:
        """Tell whether a harvest of a pail waits to land."""
        wanted = tuple(harvest_arguments(_named(address), index))
        return any(
            operation.function == "harvest" and tuple(operation.arguments) == wanted
            for waiting in self._world.ledger.queue._waiting.values()
            for operation in waiting.transaction.operations
            if isinstance(operation, InvokeContract)
        )

    def _is_ripe(self, address: str, index: int) -> bool:
        ledger = self._world.ledger
        kale = ledger.identity.kale_contract
        entry = ledger.state.get(pail_key(kale, address, index))
        return (
            index < ledger.farm.index
            and ledger.state.get(block_key(kale, index)) is not None
            and entry is not None
            and isinstance(entry.value, Pail)
            and entry.value.zeros is not None
        )

    async def stranger_works(self, _: Happening) -> None:
        """Somebody works for our farmers."""
        ledger = self._world.ledger
        for _attempt in range(70):
            index = ledger.farm.index
            for address in self._world.wallets:
                known = self._world.truth.pails.get((address, index))
                if known is not None and known.ended is None and known.worked is None:
                    self._world.truth.touched.add((address, index))
                    proof = self._world.bench.proof(address)
                    self._call("work", work_arguments(_named(address), proof))
                    return
            await self._world.ledgers(1)

    def stranger_plants(self) -> None:
        """Somebody opens the next block."""
        record = self._world.ledger.farm.block
        if record is not None and self._world.ledger.latest.close_time >= record.timestamp + 300:
            self._call("plant", plant_arguments(self._world.stranger, 0))

    def _call(self, function: str, arguments: Any) -> None:
        bench, stranger = self._world.bench, self._world.stranger
        envelope = bench.unsigned_call(stranger, bench.kale, function, arguments)
        result = bench.simulate(envelope)
        if "error" not in result:
            self._world.note(
                "stranger", function, bench.send(bench.assemble(envelope, result, stranger))["status"]
            )

    async def deposit(self, one: Happening) -> None:
        """Somebody pays KALE to a farmer."""
        world = self._world
        address = world.wallets[one.number % world.scenario.farmers]
        builder = world.bench.builder(world.stranger, fee=1_000)
        builder.append_payment_op(address, self._asset(), str(1 + one.number % 50))
        envelope = builder.build()
        envelope.sign(world.stranger)
        world.note("deposit", world.bench.send(envelope)["status"])

    async def withdrawal(self, one: Happening) -> None:
        """A farmer who has his seed pays from his own wallet."""
        world = self._world
        address = world.wallets[one.number % world.scenario.farmers]
        line: Trustline | None = world.bench.line(address)
        amount = (line.balance // KALE if line is not None else 0) * (1 + one.number % 3) // 4
        if not amount:
            return
        self._touch(address)
        keys = world.keys[address]
        builder = world.bench.builder(keys, fee=1_000)
        builder.append_payment_op(world.stranger.public_key, self._asset(), str(amount))
        envelope = builder.build()
        envelope.sign(keys)
        bumped = world.bench.bump(envelope, world.stranger, bid=4_000)
        world.note("withdrawal", world.bench.send(bumped)["status"])

    def _asset(self) -> Asset:
        return Asset(*self._world.ledger.identity.kale)


def _named(address: str) -> Keypair:
    return Keypair.from_public_key(address)
