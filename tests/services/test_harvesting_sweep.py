"""Sweeping: all there is, from the store or the chain, once, whoever else is at work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kalepool.core.intents import Kind, Plan, State, pail_item
from kalepool.core.records import PailState
from kalepool.errors import ConfigError, RetryableError
from kalepool.services.harvesting import Due
from kalepool.services.surveying import SCANNED, Wish
from support.farmstead import Farmstead
from support.field import sow
from support.sweeps import contents, harvest_of, sweep, sweep_once
from support.vault import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.core.chain import SendAnswer
    from kalepool.core.farmers import Farmer
    from kalepool.services.sweeping import Swept


@pytest.fixture
def stead(tmp_path: Path) -> Farmstead:
    """A pool with channel accounts, over a devnet on which nothing has happened yet."""
    stead = Farmstead(tmp_path)
    with stead.pool() as pool:
        stead.add_channels(pool)
    return stead


def with_farmers(stead: Farmstead, count: int) -> list[Farmer]:
    with stead.pool() as pool:
        return stead.add_farmers(pool, count)


def addresses(farmers: Sequence[Farmer]) -> list[str]:
    return [farmer.address for farmer in farmers]


def pairs(swept: Swept) -> list[tuple[int, int]]:
    return sorted((one.farmer, one.block) for one in swept.harvested)


def states(stead: Farmstead) -> dict[PailState, int]:
    with stead.pool() as pool:
        return {state: count for state, count in pool.pails.counts().items() if count}


def test_pails_that_the_store_knows_nothing_of_are_found_on_the_chain_and_harvested(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 3)
    sow(stead.bench, addresses(farmers), range(100, 130))
    swept = sweep_once(stead, passphrase=OPERATIONS)
    assert pairs(swept) == [(farmer.number, block) for farmer in farmers for block in range(100, 130)]
    assert (swept.pending, swept.expired) == ([], [])
    assert states(stead) == {PailState.HARVESTED: 90}
    for farmer in farmers:
        paid = sum(one.reward + one.stake for one in swept.harvested if one.farmer == farmer.number)
        assert stead.bench.kale_of(farmer.address) == 100 * 10_000_000 + paid
    with stead.pool() as pool:
        assert pool.books.total() == 0
        assert pool.journal.open_intents(mine=False) == []


def test_a_run_with_nothing_to_do_costs_few_requests(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 20)
    sow(stead.bench, addresses(farmers), [300])
    sweep_once(stead)
    # Since the last run two blocks have passed, of which the store knows nothing.
    stead.bench.ledger.change_farm(index=303)
    stead.transport.paths.clear()
    swept = sweep_once(stead)
    assert (swept.harvested, swept.pending) == ([], [])
    # The network's name; the contracts' code; what others did; what is alive; what the store cannot rule out.
    assert len(stead.transport.paths) == 5
    stead.transport.paths.clear()
    sweep_once(stead)
    assert len(stead.transport.paths) == 4


def test_what_was_searched_once_is_not_searched_again_but_on_demand(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 2)
    sow(stead.bench, addresses(farmers), [200], index=301)
    assert len(sweep_once(stead).harvested) == 2
    with stead.pool() as pool:
        assert pool.facts.get(SCANNED) == "301 2"
    # Something that the store should know of and does not, such as after a lost disk.
    sow(stead.bench, addresses(farmers), [250], index=301)
    assert sweep_once(stead).harvested == []
    assert pairs(sweep_once(stead, Wish(tuple(farmers), scan=True))) == [(1, 250), (2, 250)]
    # A farmer who is new here may have pails of before.
    newcomer = with_farmers(stead, 1)
    sow(stead.bench, addresses(newcomer), [260], index=301)
    assert pairs(sweep_once(stead)) == [(3, 260)]


def test_one_farmer_or_some_blocks_alone_are_swept_where_that_is_wished(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 2)
    sow(stead.bench, addresses(farmers), range(10))
    one = sweep_once(stead, Wish((farmers[0],), is_everyone=False, blocks=(3, 5)))
    assert pairs(one) == [(1, 3), (1, 4), (1, 5)]
    with stead.pool() as pool:
        assert pool.facts.get(SCANNED) is None
    assert len(sweep_once(stead).harvested) == 17


def test_many_farmers_and_few_channels_need_more_rounds_and_get_all_of_it(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 30)
    sow(stead.bench, addresses(farmers), range(50, 53))
    swept = sweep_once(stead)
    assert len(pairs(swept)) == len(set(pairs(swept))) == 90
    assert len({one.transaction for one in swept.harvested}) == 30


def test_a_pail_that_a_stranger_harvested_is_remembered_and_not_claimed(stead: Farmstead) -> None:
    (farmer,) = with_farmers(stead, 1)
    sow(stead.bench, [farmer.address], [7, 8], index=8)
    assert pairs(sweep_once(stead)) == [(1, 7)]
    stead.bench.ledger.change_farm(index=9)
    with stead.pool() as pool:
        stead.play(take_note(pool))
    stead.bench.land(harvest_of(stead, stead.bench.account("stranger"), farmer, 8))
    swept = sweep_once(stead)
    assert (swept.harvested, swept.pending) == ([], [])
    assert states(stead) == {PailState.HARVESTED: 2}


async def take_note(pool: Pool) -> None:
    """Let the store know what stands on the chain."""
    async with pool.online():
        await pool.survey().everything(Wish(tuple(pool.farmers.all())))


class PowerCutError(Exception):
    """The machine stops."""


@pytest.mark.parametrize("arrives", [True, False], ids=["after the send", "before the send"])
def test_a_crash_around_the_send_harvests_nothing_twice_and_loses_nothing(
    stead: Farmstead, arrives: bool
) -> None:
    farmers = with_farmers(stead, 3)
    sow(stead.bench, addresses(farmers), range(5))
    with stead.pool("harvest") as pool, pytest.raises(PowerCutError):

        async def play() -> None:
            async with pool.online():
                send = pool.broadcaster.send

                async def cut(envelopes: Sequence[bytes]) -> list[SendAnswer]:
                    if arrives:
                        await send(envelopes)
                    raise PowerCutError

                pool.broadcaster.send = cut  # type: ignore[method-assign]
                await pool.sweeper.sweep(Wish(tuple(farmers)))

        stead.play(play())
    with stead.pool() as pool:
        assert {intent.state for intent in pool.journal.open_intents(mine=False)} == {State.SIGNED}
    swept = sweep_once(stead)
    assert pairs(swept) == [(farmer.number, block) for farmer in farmers for block in range(5)]
    assert states(stead) == {PailState.HARVESTED: 15}
    for farmer in farmers:
        paid = sum(one.reward + one.stake for one in swept.harvested if one.farmer == farmer.number)
        assert stead.bench.kale_of(farmer.address) == 100 * 10_000_000 + paid


def test_of_two_at_once_the_second_leaves_it_to_the_first(stead: Farmstead) -> None:
    with stead.pool("harvest") as first:
        assert first.harvest_lock.take() == ""
        with stead.pool("harvest") as second:
            assert "kalepool harvest is running already: pid" in second.harvest_lock.take()
        assert first.harvest_lock.take() == ""
    with stead.pool("harvest") as third:
        assert third.harvest_lock.take() == ""


def test_even_two_that_both_go_ahead_harvest_nothing_twice(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 6)
    sow(stead.bench, addresses(farmers), range(4))
    with stead.pool("harvest") as first, stead.pool("harvest") as second:

        async def both() -> list[Swept]:
            return list(await asyncio.gather(sweep(first), sweep(second)))

        sweeps = stead.play(both())
    harvested = sorted(pair for swept in sweeps for pair in pairs(swept))
    assert harvested == [(farmer.number, block) for farmer in farmers for block in range(4)]
    assert not any(one.failed for swept in sweeps for one in swept.pending)
    # Nobody paid for a pail that was gone: every transaction succeeded.
    with stead.pool() as pool:
        assert pool.books.total() == 0
        assert states(stead) == {PailState.HARVESTED: 24}


def test_beside_a_miner_it_takes_the_channels_left_and_leaves_his_pails_and_plants_alone(
    stead: Farmstead,
) -> None:
    farmers = with_farmers(stead, 3)
    sow(stead.bench, addresses(farmers), [0, 1])
    with stead.pool("mine") as miner:

        async def play() -> Swept:
            async with miner.online():
                due = [Due(farmers[0], (0, 1), "every 1 blocks")]
                pairs = [(farmers[0].address, block) for block in (0, 1)]
                snapshot = await miner.chain.snapshot(pairs, [0, 1], current=False)
                await miner.harvester.send(due, snapshot)
                held = set(miner.channels.lease(0))
                assert len(held) == 3
                miner.journal.plan_all([Plan(Kind.PLANT, "plant:2:2", (pail_item(2, 2),))])
                with stead.pool("harvest", passphrase=OPERATIONS) as pool:
                    swept = await sweep(pool)
                    assert set(pool.channels.lease(8)).isdisjoint(held)
                miner.harvester.settle(await miner.reconciler.reconcile())
                return swept

        swept = stead.play(play())
    assert pairs(swept) == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert not any(one.failed for one in swept.pending)
    assert states(stead) == {PailState.HARVESTED: 6}


def test_a_dead_miners_harvest_is_taken_over_and_reported(stead: Farmstead) -> None:
    (farmer,) = with_farmers(stead, 1)
    sow(stead.bench, [farmer.address], [0, 1])
    with stead.pool("mine") as miner:

        async def play() -> None:
            async with miner.online():
                pairs = [(farmer.address, block) for block in (0, 1)]
                snapshot = await miner.chain.snapshot(pairs, [0, 1], current=False)
                await miner.harvester.send([Due(farmer, (0, 1), "every 1 blocks")], snapshot)

        stead.play(play())
    assert pairs(sweep_once(stead)) == [(1, 0), (1, 1)]


def test_when_the_network_fails_nothing_is_lost_and_the_next_run_goes_on(stead: Farmstead) -> None:
    farmers = with_farmers(stead, 6)
    sow(stead.bench, addresses(farmers), [0])
    with stead.pool("harvest", options={"network.timeout_s": 1.0}) as pool:

        async def play() -> Swept:
            async with pool.online():
                beat = pool.harvest_lock.beat
                rounds = []

                def fail_later() -> None:
                    beat()
                    rounds.append(1)
                    if len(rounds) == 2:
                        stead.bench.devnet.change_node("main", {"server_error": 1.0})

                pool.sweeper._beat = fail_later
                return await pool.sweeper.sweep(Wish(tuple(farmers)))

        swept = stead.play(play())
    assert isinstance(swept.stopped, RetryableError)
    assert 0 < len(swept.harvested) < 6
    assert len(swept.harvested) + len(swept.pending) == 6
    stead.bench.devnet.change_node("main", {"server_error": 0.0})
    again = sweep_once(stead)
    assert sorted(pairs(swept) + pairs(again)) == [(farmer.number, 0) for farmer in farmers]


def test_a_wrong_passphrase_or_a_missing_key_sends_nothing(stead: Farmstead) -> None:
    (farmer,) = with_farmers(stead, 1)
    sow(stead.bench, [farmer.address], [0])
    with pytest.raises(ConfigError):
        sweep_once(stead, passphrase="wrong")
    with stead.pool() as pool:
        assert pool.journal.open_intents(mine=False) == []


def test_a_dry_survey_tells_the_same_and_writes_nothing(stead: Farmstead) -> None:
    (farmer,) = with_farmers(stead, 1)
    sow(stead.bench, [farmer.address], range(3))
    before, ledger = contents(stead), len(stead.bench.ledger.by_hash)
    with stead.pool("harvest") as pool:

        async def play() -> list[int]:
            async with pool.online():
                seen = await pool.survey(dry=True).everything(Wish((farmer,)))
                return [record.block for record in seen.changed]

        assert stead.play(play()) == [0, 1, 2]
    assert contents(stead) == before
    assert len(stead.bench.ledger.by_hash) == ledger
