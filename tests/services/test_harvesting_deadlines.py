"""Pails near their end: kept alive where that pays, warned of before, told of once when lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.core.intents import Kind
from kalepool.core.records import PailState
from kalepool.services.extending import EXTENDED_LEDGERS, NEAR_LEDGERS
from kalepool.services.surveying import Wish
from kalepool.xdr.keys import block_key, pail_key, trustline_key
from support.farmstead import Farmstead
from support.field import STAKE, sow
from support.sweeps import sweep, sweep_once
from support.vault import OPERATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.core.farmers import Farmer
    from kalepool.services.sweeping import Swept


@pytest.fixture
def stead(tmp_path: Path) -> Farmstead:
    """A pool with channel accounts and two farmers, over a devnet."""
    stead = Farmstead(tmp_path)
    with stead.pool() as pool:
        stead.add_channels(pool)
        stead.add_farmers(pool, 2)
    return stead


@pytest.fixture
def farmers(stead: Farmstead) -> list[Farmer]:
    with stead.pool() as pool:
        return pool.farmers.all()


def lives(stead: Farmstead, farmer: Farmer, block: int) -> list[int]:
    """Tell how many ledgers a Block and a pail in it live from now."""
    bench = stead.bench
    found = [
        bench.ledger.state.get(key)
        for key in (block_key(bench.kale, block), pail_key(bench.kale, farmer.address, block))
    ]
    return [(entry.live_until or 0) - bench.ledger.latest.sequence for entry in found if entry is not None]


def test_with_the_farm_paused_the_open_blocks_pails_are_kept_alive(
    stead: Farmstead, farmers: list[Farmer]
) -> None:
    sow(stead.bench, [farmer.address for farmer in farmers], [5], ends_in=NEAR_LEDGERS - 10, index=5)
    stead.bench.devnet.pause()
    # Not over, so nobody searches for it: the miner has it in the store.
    known(stead, farmers, 5)
    told: list[str] = []
    with stead.pool("harvest", passphrase=OPERATIONS) as pool:

        async def play() -> Swept:
            async with pool.online():
                return await pool.sweeper.sweep(Wish(tuple(farmers)), told.append)

        swept = stead.play(play())
    assert swept.extended == {5}
    assert told == ["pails that end soon and cannot be harvested now: 2"]
    for farmer in farmers:
        assert min(lives(stead, farmer, 5)) > EXTENDED_LEDGERS - 10
    assert swept.pending == []
    # One is enough for all of it, and for a day.
    assert sweep_once(stead).extended == set()
    with stead.pool() as pool:
        assert {record.live_until for record in pool.pails.alive()} != {None}
    stead.bench.devnet.unpause()
    stead.bench.ledger.change_farm(index=6)
    assert len(sweep_once(stead).harvested) == 2


def known(stead: Farmstead, farmers: list[Farmer], block: int) -> None:
    """Let the store know of pails in a block, as the miner does."""
    with stead.pool() as pool:

        async def play() -> None:
            async with pool.online():
                keys = [(farmer.number, block) for farmer in farmers]
                await pool.survey().read(keys, {farmer.number: farmer for farmer in farmers})

        stead.play(play())


def test_what_is_worth_less_than_the_operator_says_is_left_to_its_end(
    stead: Farmstead, farmers: list[Farmer]
) -> None:
    sow(stead.bench, [farmer.address for farmer in farmers], [5], ends_in=100, index=5)
    stead.bench.devnet.pause()
    known(stead, farmers, 5)
    swept = sweep_once(stead, options={"harvest.extend_from_kale": "100000"})
    assert swept.extended == set()
    assert [(one.reason, one.failed) for one in swept.pending] == [
        ("it ends soon, and the farm is paused", False)
    ] * 2


def test_what_lives_long_enough_is_not_extended(stead: Farmstead, farmers: list[Farmer]) -> None:
    sow(stead.bench, [farmer.address for farmer in farmers], [5], ends_in=NEAR_LEDGERS + 50, index=5)
    stead.bench.devnet.pause()
    known(stead, farmers, 5)
    swept = sweep_once(stead)
    assert (swept.extended, swept.pending) == (set(), [])


def test_a_pail_whose_harvest_is_refused_is_kept_alive_until_it_can_be_paid(
    stead: Farmstead, farmers: list[Farmer]
) -> None:
    sow(stead.bench, [farmers[0].address], [3], ends_in=200)
    line = trustline_key(farmers[0].address, stead.bench.identity.kale)
    entry = stead.bench.ledger.state.get(line)
    assert entry is not None
    stead.bench.ledger.delete_now(line)
    swept = sweep_once(stead)
    assert swept.extended == {3}
    (pending,) = swept.pending
    assert (pending.reason, pending.failed) == ("farmer-1 has no KALE trustline", True)
    stead.bench.ledger.state.apply({line: entry})
    assert len(sweep_once(stead).harvested) == 1


def test_an_extension_under_way_does_not_hold_up_the_harvest(stead: Farmstead, farmers: list[Farmer]) -> None:
    sow(stead.bench, [farmers[0].address], [5], ends_in=200, index=5)
    known(stead, farmers[:1], 5)
    with stead.pool("harvest") as pool:

        async def play() -> Swept:
            async with pool.online():
                stead.bench.devnet.change_node("main", {"try_again_later": 1.0})
                seen = await pool.survey().everything(Wish(tuple(farmers)))
                sent = await pool.sweeper._extender.send(
                    [(1, 5)], {farmer.number: farmer for farmer in farmers}, seen.snapshot
                )
                assert [result.order.plan.kind for result in sent] == [Kind.EXTEND]
                # The same once more is under way already.
                numbered = {farmer.number: farmer for farmer in farmers}
                assert await pool.sweeper._extender.send([(1, 5)], numbered, seen.snapshot) == []
                stead.bench.devnet.change_node("main", {"try_again_later": 0.0})
                stead.bench.ledger.change_farm(index=6)
                return await pool.sweeper.sweep(Wish(tuple(farmers)))

        swept = stead.play(play())
    assert [(one.farmer, one.block) for one in swept.harvested] == [(1, 5)]


@pytest.mark.parametrize("pail_lives_on", [False, True], ids=["both died", "the Block was removed"])
def test_what_expired_is_told_once_with_its_reason(
    stead: Farmstead, farmers: list[Farmer], pail_lives_on: bool
) -> None:
    sow(stead.bench, [farmers[0].address], [3], ends_in=3)
    known(stead, farmers[:1], 3)
    if pail_lives_on:
        stead.bench.ledger.delete_now(block_key(stead.bench.kale, 3))
    else:
        stead.bench.close(4)
    swept = sweep_once(stead)
    (lost,) = swept.expired
    assert (lost.farmer, lost.block, lost.state, lost.stake) == (1, 3, PailState.EXPIRED, STAKE)
    removed = "network: its Block was removed though it lived until ledger 4"
    assert lost.why == (removed if pail_lives_on else "not harvested by ledger 4")
    assert (swept.harvested, swept.pending) == ([], [])
    assert sweep_once(stead).expired == []


def test_what_another_process_found_expired_is_told_too(stead: Farmstead, farmers: list[Farmer]) -> None:
    sow(stead.bench, [farmer.address for farmer in farmers], [3], ends_in=3)
    known(stead, farmers, 3)
    stead.bench.close(4)
    known(stead, farmers, 3)
    assert [one.farmer for one in sweep_once(stead).expired] == [1, 2]
    assert sweep_once(stead).expired == []


def test_a_pail_without_work_is_forfeited_and_nothing_is_paid_for_it(
    stead: Farmstead, farmers: list[Farmer]
) -> None:
    sow(stead.bench, [farmers[0].address], [3], ends_in=100, worked=False)
    with stead.pool("harvest") as pool:
        swept = stead.play(sweep(pool))
        assert pool.pails.counts()[PailState.FORFEITED] == 1
    assert (swept.harvested, swept.pending, swept.expired, swept.extended) == ([], [], [], set())
