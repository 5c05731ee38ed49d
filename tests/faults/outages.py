"""What may befall the network: nodes that fail, a farm that stands still, a history that is lost."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from faults.dealings import Dealings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.scenario import Happening
    from faults.world import World


class Outages(Dealings):
    """Makes the network fail for a while."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._is_forgotten = False
        self._faults: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self._own = {name: node.faults for name, node in world.bench.devnet.nodes.items()}

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
