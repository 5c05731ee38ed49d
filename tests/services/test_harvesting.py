"""Sending harvests: together where that is cheaper, from channel accounts, never for what is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.verify import verify
from kalepool.core.intents import Kind, State, pail_item
from kalepool.core.records import PailState
from kalepool.core.reports import By
from kalepool.devnet.state import Layer
from kalepool.errors import RejectedError
from kalepool.services.harvesting import Due, pails_of
from kalepool.xdr.keys import account_key, block_key, trustline_key
from support.devnet import KALE
from support.farmstead import Farmstead
from support.field import STAKE, block_with, sow
from support.sweeps import harvest_of
from support.vault import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.services.harvesting import Harvested
    from kalepool.services.submit import Submitted


@pytest.fixture
def stead(tmp_path: Path) -> Farmstead:
    """A pool over a devnet on which nothing has happened yet."""
    return Farmstead(tmp_path)


@pytest.fixture
def pool(stead: Farmstead) -> Iterator[Pool]:
    """The pool as the process sees it that harvests."""
    with stead.pool("harvest") as pool:
        yield pool


async def look(pool: Pool, due: Sequence[Due]) -> Snapshot:
    """Read what is due."""
    pairs = [(one.farmer.address, block) for one in due for block in one.blocks]
    return await pool.chain.snapshot(pairs, sorted({block for _, block in pairs}), current=False)


async def send(pool: Pool, due: Sequence[Due]) -> list[Submitted]:
    """Read what is due, and send."""
    return await pool.harvester.send(due, await look(pool, due))


async def harvest(pool: Pool, due: Sequence[Due]) -> list[Harvested]:
    """Send, let it land, settle."""
    await send(pool, due)
    await pool.clock.sleep_until(pool.clock.now() + 6)
    return pool.harvester.settle(await pool.reconciler.reconcile())


def due(farmer: Farmer, *blocks: int) -> Due:
    return Due(farmer, blocks, "because")


def fees(stead: Farmstead) -> int:
    """Tell what the operator has paid."""
    return 10_000 * 10_000_000 - stead.bench.xlm(stead.operator)


@pytest.mark.parametrize(
    ("blocks", "most_a_pail"), [(1, 13_200), (2, 9_200), (5, 6_500), (12, 5_500), (48, 5_000)]
)
def test_one_block_goes_alone_and_several_together_which_costs_less_a_pail(
    stead: Farmstead, pool: Pool, blocks: int, most_a_pail: int
) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], range(blocks))

    async def play() -> list[Harvested]:
        async with pool.online():
            return await harvest(pool, [due(farmer, *range(blocks))])

    harvested = stead.play(play())
    assert [one.block for one in harvested] == list(range(blocks))
    assert len({one.transaction for one in harvested}) == 1
    assert {one.stake for one in harvested} == {STAKE}
    assert stead.bench.kale_of(farmer.address) == 100 * STAKE // 10 + sum(
        one.reward + one.stake for one in harvested
    )
    assert fees(stead) / blocks < most_a_pail
    assert pool.pails.counts()[PailState.HARVESTED] == blocks


def test_nothing_is_sent_for_what_cannot_be_harvested(stead: Farmstead, pool: Pool) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], [0], worked=False)
    sow(stead.bench, [farmer.address], [1, 2], index=2)

    async def play() -> list[Submitted]:
        async with pool.online():
            return await send(pool, [due(farmer, 0, 1, 2, 7)])

    (sent,) = stead.play(play())
    assert sent.order.plan.items == (pail_item(farmer.number, 1),)
    states = {record.block: record.state for record in pool.pails.in_blocks(0, 9)}
    assert states == {0: PailState.FORFEITED, 1: PailState.HARVESTABLE, 2: PailState.WORKED}


def test_what_a_stranger_harvested_between_read_and_send_is_not_taken_for_ours(
    stead: Farmstead, pool: Pool
) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    stranger = stead.bench.account("stranger")
    sow(stead.bench, [farmer.address], range(3))

    async def play() -> list[Harvested]:
        async with pool.online():
            seen = await look(pool, [due(farmer, 0, 1, 2)])
            # Ours is put off, and his comes first.
            stead.bench.devnet.change_node("main", {"try_again_later": 1.0})
            await pool.harvester.send([due(farmer, 0, 1, 2)], seen)
            stead.bench.devnet.change_node("main", {"try_again_later": 0.0})
            stead.bench.land(harvest_of(stead, stranger, farmer, 1))
            assert await pool.reconciler.reconcile() == []
            await pool.clock.sleep_until(pool.clock.now() + 6)
            harvested = pool.harvester.settle(await pool.reconciler.reconcile())
            again = await look(pool, [due(farmer, 0, 1, 2)])
            assert await pool.harvester.send([due(farmer, 0, 1, 2)], again) == []
            return harvested

    harvested = stead.play(play())
    assert [one.block for one in harvested] == [0, 2]
    assert [record.state for record in pool.pails.in_blocks(0, 2)] == [PailState.HARVESTED] * 3
    rewards = [record.reward or 0 for record in pool.pails.in_blocks(0, 2)]
    assert stead.bench.kale_of(farmer.address) == 100 * 10_000_000 + 3 * STAKE + sum(rewards)


def test_a_pail_that_a_stranger_has_harvested_is_remembered_and_not_paid_for(
    stead: Farmstead, pool: Pool
) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    stranger = stead.bench.account("stranger")
    sow(stead.bench, [farmer.address], [0])

    async def play() -> list[Submitted]:
        async with pool.online():
            seen = await look(pool, [due(farmer, 0)])
            pool.memory.take(seen, [(farmer.number, 0)], {farmer.number: farmer})
            stead.bench.land(harvest_of(stead, stranger, farmer, 0))
            return await send(pool, [due(farmer, 0)])

    assert stead.play(play()) == []
    (record,) = pool.pails.in_blocks(0, 0)
    assert record.state is PailState.HARVESTED
    assert record.reward == stead.bench.kale_of(farmer.address) - 90 * 10_000_000 - 2 * STAKE


def test_a_pail_worked_and_harvested_between_two_looks_is_no_lost_stake(stead: Farmstead, pool: Pool) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    stranger = stead.bench.account("stranger")
    farmers = {farmer.number: farmer}

    async def play() -> None:
        async with pool.online():
            sow(stead.bench, [farmer.address], [0], worked=False, index=0)
            pool.memory.take(await look(pool, [due(farmer, 0)]), [(farmer.number, 0)], farmers)
            sow(stead.bench, [farmer.address], [0])
            stead.bench.land(harvest_of(stead, stranger, farmer, 0))
            pool.memory.take(await look(pool, [due(farmer, 0)]), [(farmer.number, 0)], farmers)
            pool.settling.settle()

    stead.play(play())
    (record,) = pool.pails.in_blocks(0, 0)
    assert (record.state, record.reward, record.zeros) == (PailState.HARVESTED, 0, None)
    assert pool.books.balances("compensation") == {}
    assert verify(pool.store) == []


def test_a_harvest_that_pays_back_less_than_the_stake_is_booked_as_it_was_paid(
    stead: Farmstead, pool: Pool
) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], [0])
    layer = Layer(stead.bench.ledger.state, stead.bench.ledger.latest.sequence)
    block = replace(block_with(1, 0), staked_total=-2_505 * KALE - 18 * KALE)
    layer.put(block_key(stead.bench.kale, 0), block, layer.sequence + 17_000, temporary=True)
    stead.bench.ledger.state.apply(layer.changes)
    before = stead.bench.kale_of(farmer.address)

    async def play() -> list[Harvested]:
        async with pool.online():
            harvested = await harvest(pool, [due(farmer, 0)])
            pool.settling.settle()
            return harvested

    (one,) = stead.play(play())
    came = stead.bench.kale_of(farmer.address) - before
    assert 0 < came < STAKE
    assert (one.reward, one.stake) == (0, came)
    assert one.why.startswith("network:")
    (record,) = pool.pails.in_blocks(0, 0)
    assert (record.state, record.reward, record.lost) == (PailState.HARVESTED, 0, STAKE - came)
    assert pool.books.balance("kale:minted", "KALE") == -came
    # It is the farm's doing: the pool does not make up for it, and the report shows it.
    assert pool.books.balances("compensation") == {}
    total = pool.reporting.report(By.FARMER, "all").total
    assert (total.returned, total.stake_unpaid) == (came, STAKE - came)
    statement = pool.stating.state(farmer.name, until=0.0)
    assert statement.crops[0].transaction
    assert statement.lost == STAKE - came
    assert verify(pool.store) == []


def test_a_harvest_is_remembered_though_the_process_dies_as_it_is_settled(
    stead: Farmstead, pool: Pool
) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], [0])

    async def play() -> None:
        async with pool.online():
            await send(pool, [due(farmer, 0)])
            await pool.clock.sleep_until(pool.clock.now() + 6)
            await pool.reconciler.reconcile()

    stead.play(play())
    # Nothing was told to anybody any more, and the next process looks when the pail would have died anyway.
    (record,) = pool.pails.in_blocks(0, 0)
    assert (record.state, bool(record.reward)) == (PailState.HARVESTED, True)


def test_many_farmers_share_few_channels_and_the_nearest_end_goes_first(stead: Farmstead, pool: Pool) -> None:
    farmers = stead.add_farmers(pool, 5)
    stead.add_channels(pool, 2)
    for left, farmer in enumerate(farmers):
        sow(stead.bench, [farmer.address], [left], ends_in=1_000 - left, index=5)
    wanted = [due(farmer, left) for left, farmer in enumerate(farmers)]
    order = []

    async def play() -> None:
        async with pool.online():
            while wanted:
                harvested = await harvest(pool, wanted)
                order.append(sorted(one.block for one in harvested))
                wanted[:] = [one for one in wanted if one.blocks[0] not in order[-1]]

    stead.play(play())
    assert order == [[3, 4], [1, 2], [0]]


def test_a_channel_with_something_under_way_and_a_pail_under_way_wait(stead: Farmstead, pool: Pool) -> None:
    farmers = stead.add_farmers(pool, 2)
    stead.add_channels(pool, 1)
    sow(stead.bench, [farmer.address for farmer in farmers], [0])

    async def play() -> list[list[Submitted]]:
        async with pool.online():
            both = [due(farmer, 0) for farmer in farmers]
            first = await send(pool, both)
            second = await send(pool, both)
            stead.add_channels(pool, 2)
            third = await send(pool, both)
            return [first, second, third]

    first, second, third = stead.play(play())
    assert (len(first), second, len(third)) == (1, [], 1)
    covered = {pails_of(result.intent)[0][0] for result in (*first, *third) if result.intent}
    assert covered == {farmer.number for farmer in farmers}


def test_what_was_refused_in_a_call_of_many_is_left_out_and_the_rest_goes(
    stead: Farmstead, pool: Pool
) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], range(2))

    async def play() -> list[Harvested]:
        async with pool.online():
            seen = await look(pool, [due(farmer, 0, 1)])
            # Gone after the read: the simulation meets a call that cannot be as it was meant.
            stead.bench.land(harvest_of(stead, stead.bench.account("stranger"), farmer, 0))
            await pool.harvester.send([due(farmer, 0, 1)], seen)
            await pool.clock.sleep_until(pool.clock.now() + 6)
            return pool.harvester.settle(await pool.reconciler.reconcile())

    assert [one.block for one in stead.play(play())] == [1]
    assert "#9" in pool.harvester.refusal(farmer.number, 0)
    assert pool.harvester.refusal(farmer.number, 1) == ""


def test_a_farmer_without_a_trustline_costs_nothing_and_holds_up_nobody(stead: Farmstead, pool: Pool) -> None:
    farmers = stead.add_farmers(pool, 2)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address for farmer in farmers], [0])
    stead.bench.ledger.delete_now(trustline_key(farmers[0].address, stead.bench.identity.kale))

    async def play() -> list[Harvested]:
        async with pool.online():
            return await harvest(pool, [due(farmer, 0) for farmer in farmers])

    assert [one.farmer for one in stead.play(play())] == [farmers[1].number]
    assert pool.harvester.refusal(farmers[0].number, 0) == "farmer-1 has no KALE trustline"
    assert fees(stead) < 14_000


def test_without_channel_accounts_the_operator_sends_one_at_a_time(stead: Farmstead, pool: Pool) -> None:
    farmers = stead.add_farmers(pool, 2)
    sow(stead.bench, [farmer.address for farmer in farmers], [0])

    async def play() -> list[list[Harvested]]:
        async with pool.online():
            both = [due(farmer, 0) for farmer in farmers]
            return [await harvest(pool, both), await harvest(pool, both)]

    assert [[one.farmer for one in round_] for round_ in stead.play(play())] == [[1], [2]]


def test_with_no_account_to_send_from_it_says_how_to_make_some(tmp_path: Path) -> None:
    stead = Farmstead(tmp_path)
    stead.bench.ledger.delete_now(account_key(stead.operator))
    with stead.pool("harvest") as pool:
        (farmer,) = stead.add_farmers(pool, 1)
        sow(stead.bench, [farmer.address], [0])

        async def play() -> None:
            async with pool.online():
                await send(pool, [due(farmer, 0)])

        with pytest.raises(RejectedError) as refusal:
            stead.play(play())
    assert "wallet fund" in refusal.value.hint


def test_the_operations_passphrase_is_enough(stead: Farmstead) -> None:
    with stead.pool("test") as main:
        (farmer,) = stead.add_farmers(main, 1)
        stead.add_channels(main)
    sow(stead.bench, [farmer.address], range(2))
    with stead.pool("harvest", passphrase=OPERATIONS) as pool:

        async def play() -> list[Harvested]:
            async with pool.online():
                return await harvest(pool, [due(farmer, 0, 1)])

        assert len(stead.play(play())) == 2


def test_where_there_is_no_tractor_each_pail_goes_alone(stead: Farmstead, pool: Pool) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool, 3)
    sow(stead.bench, [farmer.address], range(4))

    async def play() -> list[Harvested]:
        async with pool.online():
            pool.harvester._together = 1
            return await harvest(pool, [due(farmer, 0, 1, 2, 3)])

    harvested = stead.play(play())
    assert len({one.transaction for one in harvested}) == len(harvested) == 3


def test_what_never_landed_is_sent_again_under_another_purpose(stead: Farmstead, pool: Pool) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool, 1)
    sow(stead.bench, [farmer.address], [0])

    async def play() -> list[Harvested]:
        async with pool.online():
            stead.bench.devnet.change_node("main", {"try_again_later": 1.0})
            (lost,) = await send(pool, [due(farmer, 0)])
            await pool.clock.sleep_until(pool.clock.now() + 70)
            stead.bench.devnet.change_node("main", {"try_again_later": 0.0})
            (closed,) = await pool.reconciler.reconcile()
            assert closed.state is State.EXPIRED
            assert lost.intent is not None
            assert lost.intent.kind is Kind.HARVEST
            return await harvest(pool, [due(farmer, 0)])

    assert [one.block for one in stead.play(play())] == [0]


def test_a_node_that_lags_cannot_make_us_pay_twice_for_a_pail(stead: Farmstead, pool: Pool) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], range(2))

    async def play() -> list[Submitted]:
        async with pool.online():
            old = await look(pool, [due(farmer, 0, 1)])
            assert len(await harvest(pool, [due(farmer, 0, 1)])) == 2
            return await pool.harvester.send([due(farmer, 0, 1)], old)

    assert stead.play(play()) == []


def test_blocks_that_a_snapshot_lacks_are_read_before_anything_is_paid(stead: Farmstead, pool: Pool) -> None:
    (farmer,) = stead.add_farmers(pool, 1)
    stead.add_channels(pool)
    sow(stead.bench, [farmer.address], range(3))
    stead.bench.ledger.delete_now(block_key(stead.bench.kale, 1))

    async def play() -> list[Submitted]:
        async with pool.online():
            pairs = [(farmer.address, block) for block in range(3)]
            seen = await pool.chain.snapshot(pairs, current=False)
            return await pool.harvester.send([due(farmer, 0, 1, 2)], seen)

    (sent,) = stead.play(play())
    assert sent.order.plan.items == (pail_item(1, 0), pail_item(1, 2))
    assert pool.pails.in_blocks(1, 1)[0].state is PailState.EXPIRED


def test_what_costs_more_than_the_ceiling_together_goes_in_halves(stead: Farmstead) -> None:
    with stead.pool("harvest", options={"fees.transaction_most_xlm": "0.01"}) as pool:
        (farmer,) = stead.add_farmers(pool, 1)
        stead.add_channels(pool, 4)
        sow(stead.bench, [farmer.address], range(24))

        async def play() -> list[Harvested]:
            async with pool.online():
                return await harvest(pool, [due(farmer, *range(24))])

        harvested = stead.play(play())
    assert sorted(one.block for one in harvested) == list(range(24))
    assert len({one.transaction for one in harvested}) == 2
