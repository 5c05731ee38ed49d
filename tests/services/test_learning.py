"""What rounds teach: delays over a restart, blocks that are over, forfeits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.contract import scale, weigh
from kalepool.core.economics import Fees
from kalepool.core.farm import Block
from kalepool.core.intents import Kind
from kalepool.core.records import BlockRecord, PailRecord, PailState
from support.farmstead import Farmstead
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = Block(1_000_000, 0, 47, 0, 1_000, 5, 9, bytes(32), 0, 0)


def test_delays_are_kept_over_a_restart(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path)
    with farm.pool() as pool:
        for number, (sent, landed) in enumerate(((500, 501), (500, 502), (507, 507))):
            pool.learner.sent(Kind.PLANT, [f"{number}"], sent)
            pool.learner.landed(Kind.PLANT, [f"{number}"], landed, 0)
        pool.learner.landed(Kind.WORK, ["0"], 900, 0)  # never sent by this process
        pool.learner.sent(Kind.HARVEST, ["9"], 500)
        pool.learner.landed(Kind.HARVEST, ["9"], 505, 0)  # nobody waits for a harvest
        assert pool.learner.outlook(5.0).delays == (1, 2, 1)
        pool.learner.save()
    with farm.pool() as pool:
        learned = pool.learner.outlook(0.0)  # nothing is hashed yet
        assert (learned.delays, learned.hashrate) == ((1, 2, 1), 5.0)


def test_fees_are_what_the_latest_calls_cost_and_the_model_until_some_were_seen(tmp_path: Path) -> None:
    farm, model = Farmstead(tmp_path), Fees()
    with farm.pool() as pool:
        for charged in (20_000, 30_000):
            pool.learner.landed(Kind.PLANT, ["a"], 500, charged)
        assert pool.learner.outlook(0.0).fees == model
        pool.learner.landed(Kind.PLANT, ["a"], 500, 90_000)  # one dear one is not the rule
        for blocks in (1, 5, 20):
            dear = round(2 * blocks * model.harvest_each(blocks))
            pool.learner.landed(Kind.HARVEST, ["pail"] * blocks, 500, dear)
        pool.learner.landed(Kind.PAY, ["line"], 500, 1)
        learned = pool.learner.outlook(0.0).fees
        assert learned.plant == pytest.approx(30_000, rel=1e-3)
        assert learned.work == model.work
        assert learned.harvest_each(7) == pytest.approx(2 * model.harvest_each(7), rel=1e-3)
        pool.learner.save()
    with farm.pool() as pool:
        assert pool.learner.outlook(0.0).fees == learned


def test_a_pool_that_mines_knows_what_its_calls_cost(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2)
    shift.mine(2)
    rows = shift.pool.store.all(
        "SELECT kind, stroops FROM postings JOIN entries ON entries.number = entry JOIN intents ON intents.number = intent "
        "WHERE account = 'xlm:fees'"
    )
    fees = shift.pool.learner.outlook(0.0).fees
    for kind, learned in (("plant", fees.plant), ("work", fees.work)):
        paid = [stroops for one, stroops in rows if one == kind]
        assert min(paid) <= learned * 1.001
        assert learned * 0.999 <= max(paid)
    shift.pool.close()


def test_hashes_are_counted_by_the_networks_seconds_which_may_be_shorter_than_ours(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2)
    shift.ledger_s = 0.25
    shift.mine(2)
    hashes, milliseconds = shift.pool.store.all("SELECT sum(hashes), sum(milliseconds) FROM hashing")[0]
    shown = 1_000 * hashes / milliseconds
    assert 2 * shift.pool.learner.outlook(0.0).hashrate < shown
    shift.pool.close()


def test_blocks_that_are_over_tell_how_long_they_lasted_and_what_others_weighed(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path)
    ours = weigh(BLOCK, 47, 0, 9).total
    with farm.pool(options={"mining.kale_price_xlm": 0.25}) as pool:
        (ann,) = farm.add_farmers(pool, 1)
        for number, life in enumerate((0, 310, 630, 950, 1_260)):
            total = 30 * scale(BLOCK) + ours * (number < 4)
            block = replace(BLOCK, timestamp=BLOCK.timestamp + life, normalized_total=total)
            pool.blocks.record([BlockRecord(number, block, 20_000)])
            pool.pails.record(
                [PailRecord(ann.number, number, PailState.WORKED, 0, 501, gap=47, zeros=9, live_until=9)]
            )
            learned = pool.learner.outlook(0.0)
        assert learned.lives == (310, 320, 320, 310)
        assert learned.others_parts == pytest.approx(30, abs=0.1)
        assert learned.kale_price == 0.25
        assert learned.forfeit_risk == 0  # too few pails to tell


def test_the_share_of_forfeited_pails_is_the_risk(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path)
    with farm.pool() as pool:
        (ann,) = farm.add_farmers(pool, 1)
        pool.blocks.record([BlockRecord(200, BLOCK, 20_000)])
        pails = []
        for number in range(120):
            state = PailState.FORFEITED if number < 6 else PailState.HARVESTED
            worked = {} if number < 6 else {"gap": 4, "zeros": 5, "reward": 7}
            pails.append(PailRecord(ann.number, number, state, 1, 501, live_until=9, **worked))  # type: ignore[arg-type]
        pool.pails.record([replace(pail, state=PailState.PLANTED) for pail in pails if pail.gap is None])
        pool.pails.record(pails)
        assert pool.learner.outlook(0.0).forfeit_risk == pytest.approx(0.05)
