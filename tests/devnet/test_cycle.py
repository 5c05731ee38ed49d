"""Plant, work, roll over, harvest: the whole cycle of one farmer by transactions."""

from __future__ import annotations

from kalepool.core.contract import block_reward
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
