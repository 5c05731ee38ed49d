"""What KALE is worth steers who is planted for; a price pushed for a while does not."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from kalepool.core.amounts import parse_amount
from kalepool.core.prices import Reserves
from kalepool.services.events import Name
from support.farmstead import Farmstead
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.config import Value

POOL: dict[str, Value] = {"mining.kale_price_from_pool": True}
BLOCK_LEDGERS = 61
DEEP = parse_amount("5000")


def test_what_the_pool_told_is_known_after_a_restart(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path)
    with farm.pool(options=POOL) as pool:
        assert pool.learner.outlook(0.0).kale_price is None
        pool.pricer.note(0, Reserves(kale=4 * DEEP, xlm=DEEP))
        assert pool.learner.outlook(0.0).kale_price == 0.25
        pool.learner.save()
    with farm.pool(options=POOL) as pool:
        assert pool.pricer.price(3).xlm == Fraction(1, 4)
    with farm.pool() as pool:  # not asked any more
        pool.pricer.note(0, Reserves(kale=4 * DEEP, xlm=DEEP))
        assert pool.pricer.price(3).xlm is None


def test_a_thin_pool_leaves_the_configured_price(tmp_path: Path) -> None:
    options = {**POOL, "mining.kale_price_xlm": 0.1, "mining.kale_pool_least_xlm": "5000.0000001"}
    with Farmstead(tmp_path).pool(options=options) as pool:
        pool.pricer.note(0, Reserves(kale=4 * DEEP, xlm=DEEP))
        price = pool.pricer.price(0)
        assert (price.xlm, price.source) == (Fraction(1, 10), "configured")
        assert "thin" in price.note


def test_farmers_are_left_out_once_the_pools_price_has_stayed_too_low_for_four_blocks(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, options={**POOL, "mining.policy": "thrift"})
    devnet, first = shift.stead.bench.devnet, shift.ledger.latest.sequence
    devnet.fill_pool(xlm=DEEP, kale=DEEP)
    shift.at[first + BLOCK_LEDGERS + 30] = lambda: devnet.fill_pool(xlm=DEEP, kale=DEEP * 10**7)
    shift.at[first + 8 * BLOCK_LEDGERS] = shift.stop
    shift.mine()
    told = [event.reason for event in shift.told(Name.RETRY)]
    assert [reason for reason in told if "jumped from 1 to 1e-07" in reason]
    seen = shift.pool.blocks.latest()
    assert seen is not None
    planted = sorted({event.block for event in shift.told(Name.PLANTED) if event.block is not None})
    assert planted == list(range(planted[0], planted[0] + len(planted)))
    assert 4 <= len(planted) <= 6  # those before the fall, and those in which it was not believed yet
    assert seen.index >= planted[-1] + 2  # blocks went on without us
    shift.check_books()
    shift.pool.close()


def test_a_pool_that_is_missing_is_told_once_and_nobody_is_left_out(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, options={**POOL, "mining.policy": "thrift"})
    assert len(shift.mine(2).blocks) == 2
    told = [event for event in shift.told(Name.RETRY) if "no liquidity pool" in event.reason]
    assert len(told) == 1
    shift.pool.close()
