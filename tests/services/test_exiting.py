"""Leaving: everything that is the farmer's reaches him, in one transaction or not at all, whatever stops the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.farmers import Custody, Farmer, FarmerState
from kalepool.core.records import PailRecord, PailState
from kalepool.core.shares import Claim
from kalepool.errors import UnresolvedError, UsageError
from support.cashbox import HALF_AT_ONCE, POOLS, REWARD, SHARE, Cashbox, PowerCutError
from support.devnet import KALE, XLM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.services.exiting import ExitQuote


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path)
    yield box
    box.pool.close()


def check_left(box: Cashbox, farmer: Farmer, his: int = 100 * KALE + SHARE, pools: int = POOLS) -> None:
    assert box.pool.farmers.get(farmer.name).state is FarmerState.EXITED
    assert box.bench.entry(farmer.address) is None
    assert box.kale(farmer.terms.payout) == his
    assert box.kale(box.stead.operator) == pools
    assert box.owed(Claim.FARMER, farmer) == box.owed(Claim.POOL, farmer) == 0
    assert box.pool.books.total() == 0


def test_who_leaves_gets_principal_and_share_and_the_pool_its_part(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    box.harvest(farmer, 7, REWARD)
    before = box.once(lambda pool: pool.exiting.quote(farmer.name))
    assert (before.principal, before.share, before.pool, before.waits) == (100 * KALE, SHARE, POOLS, ())
    assert farmer.terms.payout is not None
    payout = box.bench.entry(farmer.terms.payout)
    done = box.leave(farmer)
    assert done.done
    assert bytes.fromhex(done.transaction)
    check_left(box, farmer)
    after = box.bench.entry(farmer.terms.payout)
    assert payout is not None and after is not None
    assert after.balance == payout.balance + 2 * XLM
    assert [move.became for move in box.pool.farmers.moves(farmer.number)][-2:] == [
        FarmerState.EXITING,
        FarmerState.EXITED,
    ]
    assert box.pool.pails.of_farmer(farmer.number, 0, 100) != []


def test_the_delay_is_waited_out_in_network_time(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    waiting = box.leave(farmer)
    assert not waiting.done
    assert [why.startswith("the agreed delay ends in 24.0 h") for why in waiting.waits] == [True]
    box.bench.close_until(box.bench.ledger.latest.close_time + 24 * 3_600)
    box.bench.close()
    assert box.leave(farmer).done
    check_left(box, farmer, 100 * KALE, 0)


def test_open_pails_are_waited_for(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    planted = PailRecord(farmer.number, 9, PailState.PLANTED, KALE, 100)
    box.pool.pails.record([planted])
    assert "1 pails are open, the last of block 9" in box.leave(farmer).waits[0]
    box.pool.pails.record([replace(planted, state=PailState.FORFEITED)])
    assert box.leave(farmer).done


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("left", [0, 1])
def test_a_crash_at_any_send_ends_it_once(box: Cashbox, left: int, before: bool) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    box.harvest(farmer, 7, REWARD)
    box.cut_wire(left, before=before)
    with pytest.raises(PowerCutError):
        box.leave(farmer)
    box.crash()
    assert box.leave(farmer).done
    check_left(box, farmer)
    assert box.leave(farmer).done


def test_a_dead_payout_address_holds_and_burns_nothing(box: Cashbox) -> None:
    dead = replace(HALF_AT_ONCE, payout=box.pool.vault.channel(19))
    (farmer,) = box.add(1, payout=False, terms=dead)
    box.harvest(farmer, 7, REWARD)
    assert box.leave(farmer).waits == ("the payout address does not exist on the network",)
    assert box.wallet(farmer) == 100 * KALE + REWARD
    assert box.pool.farmers.get(farmer.name).state is FarmerState.EXITING
    alive = box.bench.account("alive", kale=0).public_key
    box.agree(farmer, replace(dead, payout=alive), 20)
    assert box.leave(farmer).done
    assert box.kale(alive) == 100 * KALE + SHARE


def test_without_a_payout_address_it_waits_for_one(box: Cashbox) -> None:
    (farmer,) = box.add(1, payout=False, terms=HALF_AT_ONCE)
    assert "no payout address" in box.leave(farmer).waits[0]


def test_a_deposit_in_the_last_moment_stops_it_and_it_ends_the_next_time(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)

    async def deposit() -> ExitQuote:
        async with box.online():
            exiting = box.pool.exiting
            exiting.begin(farmer.name)
            real = exiting._look

            async def look_and_deposit(one: Farmer) -> object:
                found = await real(one)
                box.bench.ledger.give_kale(farmer.address, 101 * KALE)
                return found

            object.__setattr__(exiting, "_look", look_and_deposit)
            return await exiting.advance(farmer.name)

    stopped = box.play(deposit())
    assert not stopped.done
    assert "did not land" in stopped.waits[0]
    assert box.leave(farmer).done
    check_left(box, farmer, 101 * KALE, 0)


def test_he_may_stay_until_it_has_completed(box: Cashbox) -> None:
    one, two = box.add(2, terms=HALF_AT_ONCE)
    box.pool.farmers.move(two.number, FarmerState.PAUSED, who="test")
    box.add(1)
    late = box.farmers[-1]
    box.leave(late)
    assert box.stay(late).state is FarmerState.ACTIVE
    with pytest.raises(UsageError, match="not leaving"):
        box.stay(late)
    box.pool.facts.put("exit:2", "1")
    box.leave(one)
    with pytest.raises(UsageError):
        box.stay(one)


def test_who_leaves_is_compensated_with_the_rest(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    box.bench.ledger.give_kale(box.stead.operator, 6 * KALE)
    box.lose(farmer, 7, 5 * KALE)
    assert box.leave(farmer).done
    check_left(box, farmer, 105 * KALE, KALE)
    assert box.owed(Claim.COMPENSATION, farmer) == 0


def test_a_compensation_that_the_operator_has_not_got_comes_after_the_exit(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    box.lose(farmer, 7, 5 * KALE)
    assert box.leave(farmer).done
    assert box.owed(Claim.COMPENSATION, farmer) == 5 * KALE
    box.bench.ledger.give_kale(box.stead.operator, 6 * KALE)
    box.payout()
    assert box.kale(farmer.terms.payout) == 105 * KALE
    assert box.owed(Claim.COMPENSATION, farmer) == 0


def test_who_was_never_funded_and_who_keeps_his_own_account_leave_at_once(box: Cashbox) -> None:
    stranger = Farmer(
        0, "eve", box.bench.account("eve").public_key, Custody.WATCHED, FarmerState.ACTIVE, None, HALF_AT_ONCE
    )
    unfunded = replace(
        stranger,
        name="new",
        address=box.pool.vault.wallet(5),
        custody=Custody.CUSTODIAL,
        state=FarmerState.CREATED,
        wallet_index=5,
    )
    box.pool.farmers.add([stranger, unfunded], who="test", seal=box.pool.seal_terms)
    for farmer in (stranger, unfunded):
        assert box.leave(farmer).done
        assert box.pool.farmers.get(farmer.name).state is FarmerState.EXITED
    assert box.bench.entry(stranger.address) is not None


def test_payouts_leave_those_alone_who_leave(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    box.harvest(farmer, 7, REWARD)
    box.leave(farmer)
    assert box.payout()[0].lines == []


def test_forged_terms_and_an_old_store_stop_an_exit(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    thief = box.bench.account("thief", kale=0).public_key
    box.pool.store.execute("UPDATE terms SET payout = ?", (thief,))
    with pytest.raises(UnresolvedError, match="seal"):
        box.leave(farmer)
    box.pool.store.execute("UPDATE terms SET payout = ?", (farmer.terms.payout,))
    box.pool.facts.put("restored-from-backup", "1")
    with pytest.raises(UnresolvedError, match="backup"):
        box.leave(farmer)
    assert box.wallet(farmer) == 100 * KALE
