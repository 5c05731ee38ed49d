"""``mine`` says by itself what is owed, and ``--auto`` pays it beside: neither holds up a plant or a work."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.records import PailState
from kalepool.core.shares import Claim, owed, paid, shared
from kalepool.services.events import Name
from kalepool.services.mining import Mining, Outcome
from kalepool.services.onboarding import Change
from kalepool.services.paymaster import Paymaster
from kalepool.services.stopping import Goal
from support.cashbox import HALF, Cashbox
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, Any] = {"payout.pool_from_kale": "0"}


def agree(shift: Shift) -> dict[int, str]:
    """Give everybody a payout address, half of the rewards and a fee; give the addresses."""
    homes = {}
    for one in shift.farmers:
        homes[one.number] = shift.stead.bench.account(f"home {one.number}", kale=0).public_key
        shift.pool.onboarding.change(
            one.name, Change(share_bps=5_000, fee_bps=1_000, payout=homes[one.number])
        )
    return homes


def rewards(shift: Shift, number: int) -> int:
    return sum(one.reward or 0 for one in shift.pool.pails.of_farmer(number, 0, 2**32 - 1))


def test_mining_settles_what_it_has_harvested(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=4, options=OPTIONS)
    agree(shift)
    shift.mine(2)
    books = shift.pool.books
    for one in shift.farmers:
        parts = sum(books.balance(shared(part, one.number), KALE_NAME) for part in ("farmer", "pool", "fee"))
        assert -parts == rewards(shift, one.number) > 0
        assert books.balance(owed(Claim.FARMER, one.number), KALE_NAME) > 0
    assert shift.pool.pails.unsettled(10) == []
    shift.pool.close()


def test_terms_without_their_seal_are_told_of_and_the_others_are_settled(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=4, options=OPTIONS)
    agree(shift)
    first, second = shift.farmers
    shift.pool.store.execute("UPDATE terms SET share_bps = 1 WHERE farmer = ?", (first.number,))
    shift.mine(2)
    told = [event.farmer for event in shift.told(Name.RETRY) if "seal" in event.reason]
    assert set(told) == {first.name}
    assert len(told) <= 3  # once a block
    assert shift.pool.books.balance(owed(Claim.FARMER, first.number), KALE_NAME) == 0
    assert shift.pool.books.balance(owed(Claim.FARMER, second.number), KALE_NAME) > 0
    shift.pool.close()


def test_one_round_settles_no_more_than_there_is_time_for(tmp_path: Path) -> None:
    box = Cashbox(tmp_path, channels=0)
    (farmer,) = box.add(1, terms=HALF)
    for index in range(1, 8):
        box.lose(farmer, index, 10)
    assert [box.pool.settling.settle(3).pails for _ in range(4)] == [3, 3, 1, 0]
    box.pool.close()


def test_paying_beside_the_mining_holds_up_no_plant_and_no_work(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=6, neighbours=4, options=OPTIONS)
    homes = agree(shift)
    told: list[str] = []

    async def go() -> Outcome:
        async with shift.pool.online():
            other = shift.pool.beside("payout")
            async with other.online():
                often = Paymaster(
                    other.settling,
                    other.paying,
                    other.exiting,
                    other.clock,
                    every_s=20,
                    told=told.append,
                    news=[],
                )
                paying = asyncio.create_task(often.run())
                try:
                    shift.mining = Mining(shift.pool.means, Goal(4, opens=True), [shift.events.extend])
                    return await shift.mining.run()
                finally:
                    paying.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await paying
                    other.close()

    outcome = shift.play(go())
    everybody = sorted(one.name for one in shift.farmers)
    for block in outcome.blocks:
        assert shift.names(Name.PLANTED, block) == everybody
        assert sorted(set(shift.names(Name.WORKED, block))) == everybody
    for block in outcome.blocks[1:]:
        opened = shift.pool.blocks.between(block, block)[0].opened_ledger
        records = shift.pool.pails.in_blocks(block, block)
        assert max(one.planted_ledger or 0 for one in records) <= (opened or 0) + 1
        assert {one.state for one in records} <= {PailState.HARVESTED, PailState.HARVESTABLE}
    assert any("payments" in line for line in told)
    for number, home in homes.items():
        held = shift.balances(home)[0]
        assert held == shift.pool.books.balance(paid(Claim.FARMER, number), KALE_NAME) > 0
    shift.pool.close()
