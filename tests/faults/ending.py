"""How a run ends: nothing goes wrong any more, and whatever can be done is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faults.scenario import BLOCK
from kalepool.devnet.faults import NetworkFaults, NodeFaults
from kalepool.errors import UnresolvedError
from kalepool.services.paying import PayoutPlan
from kalepool.services.sweeping import Swept

if TYPE_CHECKING:
    from faults.world import World

_CALM_LEDGERS: Final = BLOCK + 30
_STOP_LEDGERS: Final = 2 * BLOCK
_LONGEST_WAITS: Final = 130
_PAYOUTS: Final = 4


async def calm(world: World) -> None:
    """Let nothing go wrong any more, mine on, and stop as people do."""
    world.is_over = True
    world.calm_from = world.ledger.farm.index + 1
    world.note("calm")
    for task in world.tasks:
        await task
    devnet = world.bench.devnet
    for node in devnet.nodes.values():
        node.faults = NodeFaults()
    devnet.network_faults = NetworkFaults()
    devnet.unpause()
    world.down = 0
    for process in world.processes.values():
        process.fuse = None
    await world.ledgers(2)
    await world.agree()
    await world.ledgers(_CALM_LEDGERS)
    world.stopping = True
    if world.mining is not None and world.mine is not None:
        world.mining.request_stop()
    for _ in range(_STOP_LEDGERS):
        if world.mine is None or not world.mine.is_alive:
            return
        await world.ledgers(1)
    world.violate("mine does not stop")
    world.kill_all()


async def sweep_up(world: World) -> None:
    """Let somebody open the next block, and harvest whatever there is."""
    index = world.ledger.farm.index
    for _ in range(2 * BLOCK):
        if world.ledger.farm.index > index:
            break
        await world.ledgers(1)
        if not world.scenario.neighbours:
            world.events.stranger_plants()
    # Who was killed where nobody sees his pid is believed to live for ten minutes; where the clock was set back to
    # before his last sign of life, for ten minutes around that.
    for _ in range(_LONGEST_WAITS):
        await world.ledgers(2)
        if isinstance(await world.harvest(), Swept):
            break
    for _ in range(2):
        await world.ledgers(2)
        await world.harvest()


async def pay_up(world: World) -> None:
    """Let the operator pay everything that he owes, and end every exit that can end."""
    first = await world.events.pay_out(None, now_due=True)
    if isinstance(first, UnresolvedError):
        # A person is asked only after a restore, or where a farmer who has his seed sent for himworld.
        if not world.restored and not world.truth.own_sends:
            world.violate(f"payouts are stopped, though nothing can be unknown: {first.message}")
        if world.restored and not world.may_confirm:
            world.counts["payouts still stopped at the end"] += 1
            return
        world.counts["payouts confirmed at the end"] += 1
        await world.events.confirm()
    for _ in range(_PAYOUTS):
        world.plan = await world.events.pay_out(None, now_due=True)
        world.waits = await world.events.advance_exits()
        if isinstance(world.plan, PayoutPlan) and not world.plan.lines:
            break
