"""Plant, work, roll over, harvest: the whole cycle of one farmer by transactions."""

from __future__ import annotations

from kalepool.core.contract import block_reward
from kalepool.devnet.ledger import LedgerSettings
from support.devnet import KALE, Bench


def test_a_farmer_alone_earns_the_whole_block(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=100)
    assert bench.land(bench.plant(farmer, 40 * KALE)).result.is_success
    assert bench.kale_of(farmer) == 60 * KALE
    bench.close(3)
    assert bench.land(bench.work(farmer, bench.proof(farmer, zeros=2))).result.is_success
    assert bench.pail(farmer, 0) is not None
    opener = bench.account("opener", kale=0)
    assert bench.open_block(opener) == 1
    applied = bench.land(bench.harvest(farmer, 0, source=opener))
    assert applied.result.is_success
    # Nobody else worked: all of R(0), and the stake back.
    assert bench.kale_of(farmer) == 100 * KALE + block_reward(0)
    assert bench.pail(farmer, 0) is None


def test_the_ledger_tells_what_farmers_did_in_it(bench: Bench) -> None:
    first, second = bench.account("first", kale=0), bench.account("second", kale=0)
    bench.accept(bench.plant(first))
    bench.accept(bench.plant(second))
    bench.close()
    assert bench.ledger.deeds(bench.ledger.latest) == {"planted": 2}
    bench.close()
    bench.land(bench.work(first, bench.proof(first, zeros=1)))
    assert bench.ledger.deeds(bench.ledger.latest) == {"worked": 1}
    bench.open_block(bench.account("opener", kale=0))
    bench.land(bench.harvest(first, 0))
    assert bench.ledger.deeds(bench.ledger.latest) == {"harvested": 1}


def test_a_pail_that_nobody_harvested_expires_for_all_to_see() -> None:
    bench = Bench(LedgerSettings(temporary_ttl=16))
    bench.land(bench.plant(bench.account("farmer", kale=0)))
    told = []
    for _ in range(20):
        bench.close()
        told.append(bench.ledger.deeds(bench.ledger.latest))
    assert [deeds for deeds in told if deeds] == [{"expired": 1}]
