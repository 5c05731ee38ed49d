"""Calls built from one simulation land for everybody, and in no other block than they are meant for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.stellar.calls import Extend, Harvest, Plant, TractorHarvest, Work
from kalepool.adapters.stellar.templates import SimulationError
from kalepool.core.address import contract_address
from kalepool.core.chain import Sent, Status
from kalepool.core.contract import block_reward
from kalepool.core.farm import Pail
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import RejectedError, UsageError
from support.devnet import KALE, operation_codes
from support.stellar import Pool
from support.virtual import run

if TYPE_CHECKING:
    from kalepool.adapters.stellar.envelopes import Sealed


async def plant_all(pool: Pool, stake: int, count: int) -> list[str]:
    """Plant for so many farmers from one simulation; give their addresses."""
    farmers = [pool.member(f"farmer {number}", kale=100) for number in range(count)]
    plants = [Plant(farmer.public_key, stake, pool.farm.index) for farmer in farmers]
    await pool.transactions.learn(plants[0], farmers[0].public_key)
    sealed = [
        pool.transactions.build(plant, pool.lane(farmer), pool.bounds(), 200)
        for plant, farmer in zip(plants, farmers, strict=True)
    ]
    answers = await pool.broadcaster.send([one.envelope for one in sealed])
    assert [answer.status for answer in answers] == [Sent.PENDING] * count
    return [farmer.public_key for farmer in farmers]


def _sealed(pool: Pool, call: Plant, bid: int = 200) -> Sealed:
    return pool.transactions.build(call, pool.lane(pool.keys[call.farmer]), pool.bounds(400), bid)


def test_fifty_plants_from_one_simulation_land_in_one_ledger(pool: Pool) -> None:
    farmers = run(plant_all(pool, 30 * KALE, 50))
    pool.close()
    planted = pool.ledger.latest.sequence
    assert {pool.pail(farmer, 0) for farmer in farmers} == {Pail(planted, 30 * KALE)}
    assert pool.rpc_client.counts.calls == {
        "getNetwork": 1,
        "simulateTransaction": 1,
        "sendTransaction": 50,
    }
    # The network's name, the simulation, and sends ten by ten.
    assert pool.rpc_client.counts.http_requests == 1 + 1 + 5


def test_the_operator_pays_for_a_plant_and_no_more_than_was_said(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=100)
    plant = Plant(farmer.public_key, KALE, 0)
    run(pool.transactions.learn(plant, farmer.public_key))
    sealed = pool.transactions.build(plant, pool.lane(farmer), pool.bounds(), 200)
    assert pool.transactions.whole_fee(plant, 200) == sealed.fee
    before, own = pool.xlm(pool.operator), pool.xlm(farmer)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert pool.xlm(farmer) == own
    assert 0 < before - pool.xlm(pool.operator) <= sealed.fee


def test_a_bump_is_found_by_its_inner_hash_and_tells_its_outer_one(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=100)
    plant = Plant(farmer.public_key, KALE, 0)
    run(pool.transactions.learn(plant, farmer.public_key))
    first = pool.transactions.build(plant, pool.lane(farmer), pool.bounds(), 200)
    second = pool.transactions.bump_again(first, 2_000)
    assert second.inner_hash == first.inner_hash
    assert second.outer_hash != first.outer_hash
    answers = run(pool.broadcaster.send([first.envelope, second.envelope]))
    assert [answer.status for answer in answers] == [Sent.PENDING, Sent.PENDING]
    pool.close()
    found = run(pool.chain.find(first.inner_hash))
    assert (found.status, found.code, found.outer_hash) == (
        Status.SUCCESS,
        "txSUCCESS",
        second.outer_hash,
    )
    assert found.operation_codes == ("INVOKE_HOST_FUNCTION_SUCCESS",)
    assert [(move.kind, move.parties, move.amount) for move in found.moves] == [
        ("burn", (farmer.public_key,), KALE)
    ]


@pytest.mark.parametrize("reads_previous", [False, True])
def test_an_opener_built_before_the_block_is_due_opens_it(*, reads_previous: bool) -> None:
    pool = Pool(LedgerSettings(opener_reads_previous=reads_previous))
    opener, early = pool.member("opener", kale=10), pool.member("early", kale=10)
    run(pool.transactions.learn(Plant(early.public_key, KALE, 0), early.public_key))
    run(pool.broadcaster.send([_sealed(pool, Plant(early.public_key, KALE, 0)).envelope]))
    pool.close_until_due()
    opens = Plant(opener.public_key, KALE, 1, opens=True)
    assert pool.transactions.knows(opens)
    sealed = _sealed(pool, opens)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert pool.applied(sealed.inner_hash).result.is_success
    assert pool.farm.index == 1
    assert pool.pail(opener, 1) is not None


@pytest.mark.parametrize("reads_previous", [False, True])
def test_an_opener_simulated_once_due_opens_too(*, reads_previous: bool) -> None:
    pool = Pool(LedgerSettings(opener_reads_previous=reads_previous))
    opener = pool.member("opener", kale=10)
    pool.land(pool.plant(pool.member("first", kale=10)))
    pool.close_until_due()
    pool.close()
    opens = Plant(opener.public_key, KALE, 1, opens=True)
    run(pool.transactions.learn(opens, opener.public_key))
    run(pool.broadcaster.send([_sealed(pool, opens).envelope]))
    pool.close()
    assert pool.farm.index == 1
    assert pool.pail(opener, 1) is not None


@pytest.mark.parametrize("reads_previous", [False, True])
def test_an_opener_too_early_fails_and_burns_nothing(*, reads_previous: bool) -> None:
    pool = Pool(LedgerSettings(opener_reads_previous=reads_previous))
    first, opener = pool.member("first", kale=10), pool.member("opener", kale=10)
    run(pool.transactions.learn(Plant(first.public_key, KALE, 0), first.public_key))
    run(pool.broadcaster.send([_sealed(pool, Plant(first.public_key, KALE, 0)).envelope]))
    pool.close()
    sealed = _sealed(pool, Plant(opener.public_key, KALE, 1, opens=True))
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert operation_codes(pool.applied(sealed.inner_hash)) == ["INVOKE_HOST_FUNCTION_TRAPPED"]
    assert pool.kale_of(opener) == 10 * KALE
    found = run(pool.chain.find(sealed.inner_hash))
    # It left the footprint: no error of the contract's.
    assert (found.status, found.contract_error) == (Status.FAILED, None)
    assert found.fee_charged > 0


def test_a_plant_simulated_in_another_block_than_it_is_meant_for_is_refused(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=10)
    with pytest.raises(SimulationError, match="an entry that such a call does not need"):
        run(pool.transactions.learn(Plant(farmer.public_key, KALE, 7), farmer.public_key))
    assert not pool.transactions.knows(Plant(farmer.public_key, KALE, 0))


def test_works_first_and_again_land_from_one_simulation_each(pool: Pool) -> None:
    farmers = run(plant_all(pool, KALE, 3))
    pool.close(2)
    for zeros, improves in ((1, False), (2, True)):
        proofs = [pool.proof(farmer, zeros) for farmer in farmers]
        works = [
            Work(farmer, 0, proof.hash, proof.nonce, improves)
            for farmer, proof in zip(farmers, proofs, strict=True)
        ]
        run(pool.transactions.learn(works[0], farmers[0]))
        sealed = [
            pool.transactions.build(work, pool.lane(pool.keys[work.farmer]), pool.bounds(), 200)
            for work in works
        ]
        run(pool.broadcaster.send([one.envelope for one in sealed]))
        pool.close()
        pails = [pool.pail(farmer, 0) for farmer in farmers]
        assert [pail.zeros for pail in pails if pail] == [zeros] * 3
    found = run(pool.chain.find_all([one.inner_hash for one in sealed]))
    gaps = {pail.gap for pail in pails if pail}
    # u32 as XDR: discriminant 3, and the gap.
    assert {one.return_value for one in found} == {bytes([0, 0, 0, 3, 0, 0, 0, gap or 0]) for gap in gaps}


def worked(pool: Pool, blocks: int) -> str:
    """Let a farmer plant and work so many blocks, and close the last; give his address."""
    farmer = pool.member("farmer", kale=100)
    opener = pool.account("opener", kale=0)
    for _ in range(blocks):
        pool.land(pool.plant(farmer, KALE))
        pool.close()
        pool.land(pool.work(farmer, pool.proof(farmer)))
        pool.open_block(opener)
    return farmer.public_key


def test_a_channel_harvests_for_a_farmer_who_signs_nothing(pool: Pool) -> None:
    farmer = worked(pool, 1)
    del pool.keys[farmer]
    channel = pool.member("channel")
    harvest = Harvest(farmer, 0)
    run(pool.transactions.learn(harvest, channel.public_key))
    before = pool.pail(farmer, 0)
    assert before is not None
    sealed = pool.transactions.build(harvest, pool.lane(channel), pool.bounds(), 200)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    found = run(pool.chain.find(sealed.inner_hash))
    assert [(move.kind, move.amount) for move in found.moves] == [("mint", block_reward(0) + KALE)]
    assert found.harvests == ((farmer, 0),)
    assert found.ended == {(farmer, 0): before}
    assert pool.pail(farmer, 0) is None


def test_a_tractor_harvests_many_blocks_in_a_call(pool: Pool) -> None:
    farmer = worked(pool, 3)
    channel = pool.member("channel")
    harvest = TractorHarvest(farmer, (0, 1, 2))
    run(pool.transactions.learn(harvest, channel.public_key))
    sealed = pool.transactions.build(harvest, pool.lane(channel), pool.bounds(), 200)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    found = run(pool.chain.find(sealed.inner_hash))
    assert [move.kind for move in found.moves] == ["mint"] * 3
    assert found.harvests == tuple((farmer, index) for index in range(3))
    assert list(found.ended) == list(found.harvests)
    assert all(pool.pail(farmer, index) is None for index in range(3))


def test_a_contract_farmer_is_harvested_into_his_balance(pool: Pool) -> None:
    vault = contract_address(bytes(range(32)))
    farmer = worked(pool, 1)
    # A C address cannot plant on the devnet, so its pail is put where it would be.
    pail = pool.pail(farmer, 0)
    assert pail is not None
    pool.put_pail(vault, 0, pail)
    channel = pool.member("channel")
    harvest = Harvest(vault, 0)
    run(pool.transactions.learn(harvest, channel.public_key))
    sealed = pool.transactions.build(harvest, pool.lane(channel), pool.bounds(), 200)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    found = run(pool.chain.find(sealed.inner_hash))
    assert [(move.kind, move.parties) for move in found.moves] == [("mint", (vault,))]


def test_block_and_pail_are_kept_alive(pool: Pool) -> None:
    farmer = worked(pool, 1)
    channel = pool.member("channel")
    extend = Extend(0, (farmer,), 20_000)
    run(pool.transactions.learn(extend, channel.public_key))
    sealed = pool.transactions.build(extend, pool.lane(channel), pool.bounds(), 200)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    snapshot = run(pool.chain.snapshot([(farmer, 0)], [0]))
    end = pool.ledger.latest.sequence + 20_000
    assert snapshot.blocks[0].live_until == end
    assert snapshot.pails[farmer, 0].live_until == end


def test_an_early_work_is_held_back_by_its_ledger_bounds(pool: Pool) -> None:
    (farmer,) = run(plant_all(pool, KALE, 1))
    pool.close(2)
    pail, proof = pool.pail(farmer, 0), pool.proof(farmer)
    assert pail is not None
    run(pool.transactions.learn(Work(farmer, 0, proof.hash, proof.nonce), farmer))
    bounds = pool.bounds()
    later = type(bounds)(bounds.max_time, min_ledger=pail.sequence + 4, max_ledger=pail.sequence + 9)
    sealed = pool.transactions.build(
        Work(farmer, 0, proof.hash, proof.nonce), pool.lane(pool.keys[farmer]), later, 200
    )
    (answer,) = run(pool.broadcaster.send([sealed.envelope]))
    assert (answer.status, answer.code) == (Sent.ERROR, "txTOO_EARLY")
    pool.close(2)
    (answer,) = run(pool.broadcaster.send([sealed.envelope]))
    assert answer.status == Sent.PENDING


@pytest.mark.parametrize(
    ("stake", "number"), [(101 * KALE, None), (10 * KALE, 8)], ids=["asset's error 10", "KALE's error 8"]
)
def test_an_error_is_the_contracts_only_when_it_began_there(
    pool: Pool, stake: int, number: int | None
) -> None:
    farmer = pool.member("farmer", kale=100)
    if number is not None:
        pool.land(pool.plant(farmer, KALE))
    with pytest.raises(SimulationError, match="Error\\(Contract") as caught:
        run(pool.transactions.learn(Plant(farmer.public_key, stake, 0), farmer.public_key))
    assert caught.value.contract_error == number


def test_a_failed_transaction_tells_the_contracts_error(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=100)
    plant = Plant(farmer.public_key, KALE, 0)
    run(pool.transactions.learn(plant, farmer.public_key))
    pool.land(pool.plant(farmer, KALE))
    sealed = _sealed(pool, plant)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    found = run(pool.chain.find(sealed.inner_hash))
    assert (found.status, found.code, found.contract_error) == (Status.FAILED, "txFAILED", 8)
    assert found.operation_codes == ("INVOKE_HOST_FUNCTION_TRAPPED",)
    assert found.moves == ()


def test_after_an_upgrade_nothing_built_for_the_old_code_is_learned_or_lands(pool: Pool) -> None:
    farmer, other = pool.member("farmer", kale=100), pool.member("other", kale=100)
    plant = Plant(farmer.public_key, KALE, 0)
    run(pool.transactions.learn(plant, farmer.public_key))
    sealed = _sealed(pool, plant)
    pool.devnet.change_wasm()
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert not pool.applied(sealed.inner_hash).result.is_success
    with pytest.raises(SimulationError, match="an entry that such a call does not need"):
        run(pool.transactions.learn(Plant(other.public_key, KALE, 0), other.public_key))


def test_a_plant_is_sent_by_the_farmer_alone(pool: Pool) -> None:
    farmer, channel = pool.member("farmer", kale=100), pool.member("channel")
    plant = Plant(farmer.public_key, KALE, 0)
    run(pool.transactions.learn(plant, farmer.public_key))
    with pytest.raises(UsageError, match="farmer's own account"):
        pool.transactions.build(plant, pool.lane(channel), pool.bounds(), 200)


def test_a_fee_above_the_ceiling_is_refused_before_anything_is_signed(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=100)
    plant = Plant(farmer.public_key, KALE, 0)
    run(pool.transactions.learn(plant, farmer.public_key))
    sealed = _sealed(pool, plant)
    pool.keys.clear()
    with pytest.raises(RejectedError, match="ceiling"):
        pool.transactions.build(plant, sealed.lane, pool.bounds(), 1_000_000)
    with pytest.raises(RejectedError, match="ceiling"):
        pool.transactions.bump_again(sealed, 1_000_000)


def test_a_shape_that_was_never_simulated_is_not_built(pool: Pool) -> None:
    farmer = pool.member("farmer", kale=100)
    with pytest.raises(RejectedError, match="not known"):
        _sealed(pool, Plant(farmer.public_key, KALE, 0))
