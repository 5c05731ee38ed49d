"""The composer: what a round decides becomes transactions that land, from one simulation a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.stellar.composer import StellarComposer
from kalepool.core.contract import block_reward
from kalepool.devnet.faults import NodeFaults
from kalepool.errors import RejectedError, RetryableError, UsageError
from support.devnet import KALE
from support.stellar import Pool
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stellar_sdk import Keypair

    from kalepool.devnet.execution import Applied
    from kalepool.ports import Composer, Sealed


def composer_of(pool: Pool, *, percentile: int = 50, most: int = 10_000) -> Composer:
    return StellarComposer(pool.transactions, pool.chain, percentile=percentile, most=most)


def land(pool: Pool, source: Keypair, prepared: Awaitable[Callable[[int], Sealed]]) -> Applied:
    """Build what was prepared with the source's next number, send it, close a ledger."""

    async def build() -> Sealed:
        return (await prepared)(pool.lane(source).sequence)

    sealed = run(build())
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    return pool.applied(sealed.inner_hash)


def soon(pool: Pool) -> int:
    return pool.ledger.latest.close_time + 60


def test_a_block_is_planted_worked_and_harvested(pool: Pool) -> None:
    composer, farmer = composer_of(pool), pool.member("farmer", kale=100)
    address = farmer.public_key
    planted = land(
        pool,
        farmer,
        composer.plant(address, block=0, stake=10 * KALE, opens=False, max_time=soon(pool)),
    )
    assert planted.result.is_success
    pool.close()
    worked = land(
        pool,
        farmer,
        composer.work(
            address,
            source=address,
            block=0,
            proof=pool.proof(farmer, zeros=1),
            improves=False,
            first_ledger=planted.ledger + 1,
            max_time=soon(pool),
        ),
    )
    assert worked.result.is_success
    pool.open_block(pool.member("opener", kale=0))
    harvested = land(
        pool,
        pool.operator,
        composer.harvest(address, source=pool.operator.public_key, blocks=[0], max_time=soon(pool)),
    )
    assert harvested.result.is_success
    assert pool.kale_of(farmer) == 100 * KALE + block_reward(0)


def test_several_blocks_go_to_the_tractor(pool: Pool) -> None:
    composer, farmer = composer_of(pool), pool.member("farmer", kale=0)
    for _ in range(2):
        pool.land(pool.plant(farmer))
        pool.close()
        pool.land(pool.work(farmer, pool.proof(farmer, zeros=1)))
        pool.close_until_due()
        pool.close()
    pool.land(pool.plant(farmer))
    source = pool.operator.public_key
    applied = land(
        pool,
        pool.operator,
        composer.harvest(farmer.public_key, source=source, blocks=[0, 1], max_time=soon(pool)),
    )
    assert applied.result.is_success
    assert pool.kale_of(farmer) == 2 * block_reward(0)


def test_fifty_farmers_cost_one_simulation(pool: Pool) -> None:
    composer = composer_of(pool)
    farmers = [pool.member(f"farmer {number}", kale=9) for number in range(50)]

    async def prepare_all() -> None:
        for farmer in farmers:
            await composer.plant(farmer.public_key, block=0, stake=KALE, opens=False, max_time=soon(pool))

    run(prepare_all())
    assert pool.rpc_client.counts.calls["simulateTransaction"] == 1


@pytest.mark.parametrize(("paid", "most", "bid"), [(100, 10_000, 100), (700, 10_000, 700), (700, 300, 300)])
def test_the_bid_follows_what_is_paid_up_to_its_ceiling(pool: Pool, paid: int, most: int, bid: int) -> None:
    composer = composer_of(pool, most=most)
    pool.transport.change = lambda _path, method, result: (
        result | {"sorobanInclusionFee": dict.fromkeys(result["sorobanInclusionFee"], str(paid))}
        if method == "getFeeStats"
        else result
    )
    assert run(composer.refresh_bid()) == bid
    farmer = pool.member("farmer", kale=9)
    prepared = composer.plant(farmer.public_key, block=0, stake=0, opens=False, max_time=soon(pool))

    async def build() -> Sealed:
        return (await prepared)(pool.lane(farmer).sequence)

    sealed = run(build())
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert pool.applied(sealed.inner_hash).transaction.inclusion_bid == 2 * bid


def test_what_would_fail_is_refused_before_anything_is_signed(pool: Pool) -> None:
    composer, farmer = composer_of(pool), pool.member("farmer", kale=0)
    with pytest.raises(RejectedError):
        run(composer.plant(farmer.public_key, block=0, stake=KALE, opens=False, max_time=soon(pool)))


def test_without_a_node_that_answers_it_is_tried_again_later() -> None:
    pool = Pool(faults=NodeFaults(server_error=1.0))
    farmer = pool.member("farmer", kale=0)
    with pytest.raises(RetryableError):
        run(composer_of(pool).plant(farmer.public_key, block=0, stake=0, opens=False, max_time=soon(pool)))


def test_a_ceiling_below_the_least_bid_is_refused(pool: Pool) -> None:
    with pytest.raises(UsageError):
        composer_of(pool, most=99)


def test_a_block_and_its_pails_are_given_a_longer_life(pool: Pool) -> None:
    composer, farmer = composer_of(pool), pool.member("farmer", kale=100)
    pool.land(pool.plant(farmer, KALE))
    pool.close()
    extended = land(
        pool,
        pool.operator,
        composer.extend(
            0,
            [farmer.public_key],
            source=pool.operator.public_key,
            ledgers=20_000,
            max_time=soon(pool),
        ),
    )
    assert extended.result.is_success
    seen = run(pool.chain.snapshot([(farmer.public_key, 0)], [0]))
    assert (
        seen.blocks[0].live_until == seen.pails[farmer.public_key, 0].live_until == extended.ledger + 20_000
    )
