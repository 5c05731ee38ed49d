"""A plan from a look at the network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kalepool.core.actions import Grind, Plant
from kalepool.core.farmers import Terms
from kalepool.services.planning import look, planned
from support.farmstead import Farmstead

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.services.planning import Shown


def test_what_the_network_shows_is_planned_with(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path)
    with farm.pool() as pool:
        farm.add_farmers(pool, 3, kale=100)

        async def shown(pool: Pool) -> Shown:
            await asyncio.sleep(12)
            async with pool.online():
                seen = await look(pool.chain, pool.clock, pool.farmers)
            outlook = pool.learner.outlook(0.0)
            return planned(seen, pool.farmers, pool.grinds, pool.journal.reserved(), pool.policy, outlook)

        made = farm.play(shown(pool))
        plants = [action for action in made.plan.actions if isinstance(action, Plant)]
        assert {made.farmers[plant.farmer] for plant in plants} == {"farmer-1", "farmer-2", "farmer-3"}
        assert all(plant.reason for plant in plants)
        assert len(made.seen.balances) == 3


@pytest.mark.parametrize("whom", ["everybody", "pool"])
def test_hashes_go_to_whom_the_operator_says(tmp_path: Path, whom: str) -> None:
    farm = Farmstead(tmp_path)
    with farm.pool(options={"mining.for_whom": whom}) as pool:
        farm.add_farmers(pool, 1, terms=Terms(share_bps=5_000))
        farm.add_farmers(pool, 1, terms=Terms(share_bps=10_000))

        async def shown(pool: Pool) -> Shown:
            await asyncio.sleep(12)
            async with pool.online():
                seen = await look(pool.chain, pool.clock, pool.farmers)
            outlook = pool.learner.outlook(0.0)
            return planned(seen, pool.farmers, pool.grinds, pool.journal.reserved(), pool.policy, outlook)

        farm.bench.open_block(farm.bench.account("opener", kale=1))
        farm.bench.close(2)
        made = farm.play(shown(pool))
        half, none = (action.weight for action in made.plan.actions if isinstance(action, Grind))
        assert (half, none) == (1, 1) if whom == "everybody" else none == 0 < half
