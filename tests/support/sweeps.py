"""Sweeps as ``kalepool harvest`` makes them, in the processes of a farmstead."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from stellar_sdk import scval

from kalepool.services.surveying import Wish

if TYPE_CHECKING:
    from stellar_sdk import Keypair, TransactionEnvelope

    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer
    from kalepool.services.sweeping import Swept
    from support.farmstead import Farmstead


async def sweep(pool: Pool, wish: Wish | None = None) -> Swept:
    """Sweep up everything, or what is wished."""
    async with pool.online():
        return await pool.sweeper.sweep(wish or Wish(tuple(pool.farmers.all())))


def sweep_once(stead: Farmstead, wish: Wish | None = None, **more: Any) -> Swept:
    """Sweep in a process of its own, from its start to its end."""
    with stead.pool("harvest", **more) as pool:
        return stead.play(sweep(pool, wish))


def harvest_of(stead: Farmstead, source: Keypair, farmer: Farmer, block: int) -> TransactionEnvelope:
    """Build somebody else's harvest of a pail."""
    arguments = [scval.to_address(farmer.address), scval.to_uint32(block)]
    return stead.bench.call(source, stead.bench.kale, "harvest", arguments)


def contents(stead: Farmstead) -> str:
    """Give everything that stands in the store, but nothing of its file's bookkeeping."""
    connection = sqlite3.connect(stead.folder / "kalepool.db")
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()
