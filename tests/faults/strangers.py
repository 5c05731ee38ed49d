"""What others do to the pool's farmers, and farmers by themselves: harvest, work, plant, pay."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stellar_sdk import Asset, Keypair

from faults.dealings import Dealings
from faults.scenario import LEDGER_S
from kalepool.core.farm import Pail
from kalepool.devnet.transactions import InvokeContract
from kalepool.xdr.keys import block_key, pail_key
from support.devnet import KALE, harvest_arguments, plant_arguments, work_arguments

if TYPE_CHECKING:
    from faults.scenario import Happening
    from kalepool.devnet.entries import Trustline


class Strangers(Dealings):
    """Acts for people whom the pool does not know of."""

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

    async def stranger_tends(self, one: Happening) -> None:
        """Somebody opens blocks where nobody else does, and harvests the first of our pails that is ripe."""
        for _ledger in range(one.lasts):
            ripe = [pail for pail in self._world.truth.pails if self._is_ripe(*pail)]
            if ripe:
                address, index = ripe[0]
                self._call("harvest", harvest_arguments(_named(address), index))
                return
            self.stranger_plants()
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
