"""`harvest` by cron beside a `mine` that runs: everything once, nothing twice, and no error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kalepool.core.records import PailState
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal
from kalepool.services.surveying import Wish
from support.mining import Shift
from support.vault import OPERATIONS
from support.virtual import run

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.services.mining import Outcome
    from kalepool.services.sweeping import Swept

FARMERS = 6
BLOCKS = 5


async def cron(shift: Shift, every_s: float, runs: list[Swept]) -> None:
    """Run `harvest` again and again, each time as a new process with the operations passphrase."""
    while True:
        await asyncio.sleep(every_s)
        with shift.stead.pool("harvest", passphrase=OPERATIONS) as pool:
            if pool.harvest_lock.take():
                continue
            async with pool.online():
                runs.append(await pool.sweeper.sweep(Wish(tuple(pool.farmers.all()), is_everyone=True)))


async def both(shift: Shift, every_s: float, runs: list[Swept]) -> Outcome:
    """Mine, with cron beside it until that ends."""
    async with shift.pool.online():
        mining = Mining(shift.pool.means, Goal(BLOCKS), [shift.events.extend])
        beside = asyncio.create_task(cron(shift, every_s, runs))
        outcome = await mining.run()
        await asyncio.wait({beside}, timeout=every_s)
        beside.cancel()
        # What cron came to grief of is told here.
        await asyncio.gather(beside, return_exceptions=True)
        if beside.done() and not beside.cancelled() and (error := beside.exception()):
            raise error
        return outcome


@pytest.mark.parametrize("every_s", [7.0, 40.0, 170.0])
def test_harvests_by_cron_and_by_the_miner_share_the_work(tmp_path: Path, every_s: float) -> None:
    shift = Shift(tmp_path, farmers=FARMERS, neighbours=12)
    runs: list[Swept] = []
    outcome = shift.play(both(shift, every_s, runs))
    assert (outcome.at_risk, outcome.pending, outcome.expired) == ((), 0, 0)
    assert shift.pool.pails.counts()[PailState.HARVESTED] == FARMERS * BLOCKS
    assert len(runs) > BLOCKS if every_s < 100 else runs
    assert not any(one.failed for swept in runs for one in swept.pending)
    assert not any(swept.stopped for swept in runs)
    # No pail in two transactions, and none of ours that the network refused.
    told = [(one.farmer, one.block) for swept in runs for one in swept.harvested]
    assert len(told) == len(set(told))
    ours = {shift.stead.operator, *(shift.pool.vault.channel(number) for number in range(8))}
    landed = [one for one in shift.ledger.by_hash.values() if one.transaction.source in ours]
    assert landed
    assert all(one.result.is_success for one in landed)
    shift.pool.close()
    with shift.stead.pool("harvest", passphrase=OPERATIONS) as pool:

        async def settle() -> None:
            async with pool.online():
                await pool.reconciler.reconcile()

        run(settle())
        shift.pool = pool
        shift.check_books()
