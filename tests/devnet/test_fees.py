"""Fees: what calls cost, what comes back, what failing costs; and that no stroop is lost."""

from __future__ import annotations

import pytest
from stellar_sdk import scval

from kalepool.devnet.entries import Account
from kalepool.devnet.fees import non_refundable_fee
from kalepool.devnet.ledger import TOTAL_COINS
from kalepool.devnet.transactions import SorobanData
from support.devnet import KALE, Bench, operation_codes, sign


def test_rates_are_charged_for_what_was_declared() -> None:
    nothing = SorobanData((), (), 0, 0, 0, 0)
    base = non_refundable_fee(nothing, 0)
    assert base == 406 + -(-300 * 4_059 // 1024)
    assert non_refundable_fee(SorobanData((), (), 20_000, 0, 0, 0), 0) == base + 14
    assert non_refundable_fee(SorobanData((), (), 0, 1024, 0, 0), 0) == base + 447
    assert non_refundable_fee(SorobanData((), (), 0, 0, 2048, 0), 0) == base + 1750
    assert non_refundable_fee(nothing, 1024) == 406 + -(-1324 * 4_059 // 1024)
    account, contract = bytes(4) + b"account", (6).to_bytes(4, "big") + b"contract"
    assert non_refundable_fee(SorobanData((account, contract), (), 0, 0, 0, 0), 0) == base + 1_563
    assert non_refundable_fee(SorobanData((), (account, contract), 0, 0, 0, 0), 0) == base + 1_563 + 5_000


@pytest.fixture
def costs(bench: Bench) -> dict[str, float]:
    """What each call costs with a fee bump and without rent, in stroops; the tractor's for a block."""
    pool, farmer = bench.account("pool"), bench.account("farmer", kale=1_000)
    found: dict[str, float] = {}

    def pay(name: str, envelope: object, blocks: int = 1) -> None:
        applied = bench.land(bench.bump(envelope, pool))  # type: ignore[arg-type]
        assert applied.result.is_success
        assert applied.fees is not None
        found[name] = (applied.result.fee_charged - applied.fees.rent) / blocks

    pay("plant", bench.plant(farmer, 10 * KALE))
    bench.close()
    pay("work", bench.work(farmer, bench.proof(farmer, zeros=1)))
    indexes = []
    for _ in range(6):
        bench.close_until_due()
        bench.close()
        bench.land(bench.plant(farmer, 10 * KALE))
        bench.close()
        bench.land(bench.work(farmer, bench.proof(farmer, zeros=1)))
        indexes.append(bench.farm.index)
    pay("harvest", bench.harvest(farmer, 0))
    pails = scval.to_vec([scval.to_uint32(index) for index in indexes[:5]])
    arguments = [scval.to_address(farmer.public_key), pails]
    pay("tractor", bench.call(farmer, bench.tractor, "harvest", arguments), blocks=5)
    return found


@pytest.mark.parametrize(
    ("call", "stroops"), [("plant", 19_426), ("work", 14_339), ("harvest", 12_678), ("tractor", 6_017)]
)
def test_calls_cost_what_they_cost_on_the_public_network(
    costs: dict[str, float], call: str, stroops: int
) -> None:
    assert costs[call] == pytest.approx(stroops, rel=0.03)


def test_the_unused_refundable_fee_comes_back_after_the_ledger(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    envelope = bench.plant(farmer, KALE)
    assert envelope.transaction.soroban_data is not None
    offered = envelope.transaction.fee
    before = bench.xlm(farmer)
    applied = bench.land(envelope)
    assert applied.fees is not None
    assert applied.refund > 0
    assert applied.fee_taken == offered
    assert applied.result.fee_charged == 100 + applied.fees.non_refundable + applied.fees.refundable
    assert bench.xlm(farmer) == before - applied.result.fee_charged


def test_a_failed_call_pays_for_what_it_declared_and_for_nothing_it_did(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    first, second = bench.plant(farmer, KALE), bench.plant(farmer, KALE, ahead=1)
    bench.land(first)
    applied = bench.land(second)
    assert not applied.result.is_success
    assert applied.fees is not None
    assert applied.fees.refundable == 0
    assert applied.result.fee_charged == 100 + applied.fees.non_refundable


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ("instructions", "INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED"),
        ("write_bytes", "INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED"),
        ("disk_read_bytes", "INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED"),
        ("refundable", "INVOKE_HOST_FUNCTION_INSUFFICIENT_REFUNDABLE_FEE"),
    ],
)
def test_a_call_that_takes_more_than_it_declared_fails(bench: Bench, resource: str, code: str) -> None:
    farmer = bench.account("farmer", kale=10)
    envelope = bench.plant(farmer, KALE)
    envelope.signatures.clear()
    data = envelope.transaction.soroban_data
    assert data is not None
    if resource == "refundable":
        data.resource_fee.int64 -= 5_000
    else:
        declared = getattr(data.resources, resource)
        declared.uint32 -= declared.uint32 // 3
    applied = bench.land(sign(envelope, farmer))
    assert operation_codes(applied) == [code]
    assert applied.fees is not None
    assert applied.result.fee_charged == 100 + applied.fees.non_refundable
    assert bench.kale_of(farmer) == 10 * KALE
    assert bench.pail(farmer, 0) is None


def test_all_the_xlm_there_is_stays_all_the_xlm_there_is(bench: Bench) -> None:
    pool, farmer = bench.account("pool"), bench.account("farmer", kale=10)
    bench.land(bench.bump(bench.plant(farmer, KALE), pool))
    bench.close()
    bench.land(bench.work(farmer, bench.proof(farmer, zeros=1)))
    held = sum(entry.value.balance for entry in bench.ledger.state if isinstance(entry.value, Account))
    assert held + bench.ledger.latest.fee_pool == TOTAL_COINS


def test_fee_stats_tell_what_inclusion_cost_lately(bench: Bench) -> None:
    for number in range(3):
        bench.accept(bench.plant(bench.account(f"farmer {number}", kale=1), fee=100 * (number + 1)))
    bench.close()
    stats = bench.rpc("getFeeStats")
    assert stats["sorobanInclusionFee"]["transactionCount"] == "3"
    assert stats["sorobanInclusionFee"]["max"] == "100"  # no surge: the base fee
    assert stats["inclusionFee"]["transactionCount"] == "0"
    assert stats["sorobanInclusionFee"]["ledgerCount"] == 2
