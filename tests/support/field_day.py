"""A made-up past of a pool: blocks, pails and fees that a test can count in its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.farm import Block
from kalepool.core.intents import Kind, Plan, Settlement, pail_item
from kalepool.core.postings import FEES, XLM, account
from kalepool.core.records import BlockRecord, PailRecord, PailState, View
from support.store import attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.bootstrap import Pool

MIDNIGHT = 1_760_054_400
"""2025-10-10, 00:00 UTC."""
BLOCK_S = 300
FIRST = 100
"""Opens two blocks before that midnight."""


def block(index: int, live_until: int = 90_000) -> BlockRecord:
    """Give a block whose number tells when it opened."""
    opened = MIDNIGHT + (index - FIRST - 2) * BLOCK_S
    return BlockRecord(index, Block(opened, 10, 40, 0, 50_000_000, 5, 9, bytes(32), 0, 1), live_until)


def pail(farmer: int, index: int, state: PailState, live_until: int = 90_000) -> PailRecord:
    """Give a pail of 0.5 KALE that earned 0.9 where it was harvested."""
    worked = state in {PailState.WORKED, PailState.HARVESTABLE, PailState.HARVESTED, PailState.EXPIRED}
    return PailRecord(
        farmer,
        index,
        state,
        5_000_000,
        None if state in {PailState.PLANNED, PailState.MISSED} else 60,
        20 if worked else None,
        6 if worked else None,
        9_000_000 if state is PailState.HARVESTED else None,
        live_until,
    )


def pay(pool: Pool, purpose: str, pails: Sequence[tuple[int, int]], fee: int, at: float) -> None:
    """Settle a money action that covers some pails and cost a fee."""
    plan = Plan(Kind.HARVEST, purpose, tuple(pail_item(*one) for one in pails))
    (intent,) = pool.journal.plan_all([plan])
    assert intent is not None
    pool.journal.sign(intent.number, attempt(name=purpose, source=purpose))
    postings = ((account("operator"), XLM, -fee), (FEES, XLM, fee))
    pool.journal.settle_all([Settlement(intent.number, postings, at)])


def live_through(pool: Pool) -> None:
    """Give farmers 1 and 2 four blocks: two before midnight, two after.

    Farmer 1 harvests three and has the last one planted; farmer 2 harvests one, forfeits one, has one
    expired and misses the last.
    """
    pool.blocks.record([block(index) for index in range(FIRST, FIRST + 4)])
    one = [PailState.HARVESTED, PailState.HARVESTED, PailState.HARVESTED, PailState.PLANTED]
    two = [PailState.HARVESTED, PailState.FORFEITED, PailState.EXPIRED, PailState.MISSED]
    for farmer, states in ((1, one), (2, two)):
        pool.pails.record([pail(farmer, FIRST + place, state) for place, state in enumerate(states)])
    pay(pool, "harvest", [(1, FIRST), (1, FIRST + 1), (1, FIRST + 2)], 100, MIDNIGHT)
    pay(pool, "plant", [(2, FIRST + 1)], 30, MIDNIGHT - 10)
    pay(pool, "fund", [], 7, MIDNIGHT + 10)
    pool.views.save(View(1_000, MIDNIGHT + 450, FIRST + 3, False, 10**9, 12_500_000, 5_000.0))
