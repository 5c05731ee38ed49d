"""Sponsored accounts, payments and exits land, and cost who they should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.stellar.envelopes import Lane
from kalepool.core.chain import Sent
from kalepool.core.classic import Newcomer, Payment
from kalepool.errors import RejectedError, UsageError
from support.devnet import KALE, XLM, keypair
from support.virtual import run

if TYPE_CHECKING:
    from support.stellar import Pool


def newcomers(pool: Pool, count: int) -> list[Newcomer]:
    keys = [keypair(f"newcomer {number}") for number in range(count)]
    pool.keys |= {one.public_key: one for one in keys}
    return [Newcomer(one.public_key) for one in keys]


def test_nineteen_farmers_are_created_in_one_transaction_and_hold_no_xlm(pool: Pool) -> None:
    wanted = newcomers(pool, 19)
    sealed = pool.transactions.sponsor(wanted, pool.lane(pool.operator), pool.bounds(), 100)
    assert run(pool.broadcaster.send([sealed.envelope]))[0].status == Sent.PENDING
    pool.close()
    states = run(pool.chain.accounts([one.address for one in wanted]))
    assert len(states) == 19
    for state in states.values():
        assert (state.xlm, state.spendable, state.kale, state.sponsor) == (0, 0, 0, pool.operator.public_key)
    # The operator's own reserve is two entries, and each farmer's account and trustline are three more.
    mine = run(pool.chain.accounts([pool.operator.public_key]))[pool.operator.public_key]
    assert mine.xlm - mine.spendable == (2 + 19 * 3) * XLM // 2
    assert sealed.fee == 19 * 4 * 100


def test_a_half_done_run_is_finished(pool: Pool) -> None:
    (first,) = newcomers(pool, 1)
    for one in (Newcomer(first.address, trusts=False), Newcomer(first.address, creates=False)):
        sealed = pool.transactions.sponsor([one], pool.lane(pool.operator), pool.bounds(), 100)
        run(pool.broadcaster.send([sealed.envelope]))
        pool.close()
        assert pool.applied(sealed.inner_hash).result.is_success
    assert run(pool.chain.accounts([first.address]))[first.address].kale == 0


@pytest.mark.parametrize("count", [0, 20])
def test_more_than_can_sign_are_refused(pool: Pool, count: int) -> None:
    with pytest.raises(UsageError, match="1 to 19"):
        pool.transactions.sponsor(newcomers(pool, count), pool.lane(pool.operator), pool.bounds(), 100)


def test_one_who_needs_nothing_is_refused(pool: Pool) -> None:
    (one,) = newcomers(pool, 1)
    with pytest.raises(UsageError, match="needs nothing"):
        pool.transactions.sponsor(
            [Newcomer(one.address, False, False)], pool.lane(pool.operator), pool.bounds(), 100
        )


def test_a_farmer_pays_kale_with_a_memo_at_the_operators_cost(pool: Pool) -> None:
    farmer, target = pool.member("farmer", xlm=2, kale=50), pool.member("target", kale=0)
    payments = [Payment(target.public_key, 20 * KALE), Payment(target.public_key, KALE)]
    sealed = pool.transactions.pay(payments, pool.lane(farmer), pool.bounds(), 100, memo="sweep 7")
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    found = run(pool.chain.find(sealed.inner_hash))
    assert [(move.kind, move.parties, move.amount) for move in found.moves] == [
        ("transfer", (farmer.public_key, target.public_key), 20 * KALE),
        ("transfer", (farmer.public_key, target.public_key), KALE),
    ]
    assert (pool.kale_of(target), pool.xlm(farmer)) == (21 * KALE, 2 * XLM)
    # Two operations, and the bump counts as one more.
    assert found.fee_charged == sealed.fee == 300


def test_the_operator_pays_xlm_himself(pool: Pool) -> None:
    target = pool.member("target", xlm=1)
    payments = [Payment(target.public_key, 5 * XLM, is_xlm=True)]
    sealed = pool.transactions.pay(payments, pool.lane(pool.operator), pool.bounds(), 100)
    assert sealed.inner_hash == sealed.outer_hash
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert pool.xlm(target) == 6 * XLM
    with pytest.raises(UsageError, match="pay for themselves"):
        pool.transactions.bump_again(sealed, 2_000)


@pytest.mark.parametrize("amount", [0, -1, 2**63])
def test_a_payment_of_nothing_or_too_much_is_refused(pool: Pool, amount: int) -> None:
    with pytest.raises(UsageError, match="more than nothing"):
        pool.transactions.pay(
            [Payment(pool.operator.public_key, amount)], pool.lane(pool.operator), pool.bounds(), 100
        )


def test_who_leaves_takes_his_kale_and_gives_the_reserves_back(pool: Pool) -> None:
    (one,) = newcomers(pool, 1)
    sealed = pool.transactions.sponsor([one], pool.lane(pool.operator), pool.bounds(), 100)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    payout, friend = pool.member("payout", kale=0), pool.member("friend", kale=3)
    gift = [Payment(one.address, 3 * KALE)]
    run(pool.broadcaster.send([pool.transactions.pay(gift, pool.lane(friend), pool.bounds(), 100).envelope]))
    pool.close()
    last = Payment(payout.public_key, 3 * KALE)
    lane = pool.lane(pool.keys[one.address])
    sealed = pool.transactions.leave(lane, pool.bounds(), 100, [last])
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert pool.applied(sealed.inner_hash).result.is_success
    assert run(pool.chain.accounts([one.address])) == {}
    assert pool.kale_of(payout) == 3 * KALE
    mine = run(pool.chain.accounts([pool.operator.public_key]))[pool.operator.public_key]
    assert mine.xlm - mine.spendable == XLM


def test_many_pay_in_one_transaction_and_all_of_them_or_none(pool: Pool) -> None:
    payers = [pool.member(f"payer {number}", kale=10) for number in range(19)]
    taker, channel = pool.member("taker", kale=0), pool.member("channel")
    stranger = pool.member("stranger")
    good = [Payment(taker.public_key, KALE, source=one.public_key) for one in payers]
    bad = [*good[:-1], Payment(stranger.public_key, KALE, source=payers[-1].public_key)]
    for payments, arrived in ((bad, 0), (good, 19 * KALE)):
        sealed = pool.transactions.pay(payments, pool.lane(channel), pool.bounds(), 100, "a memo")
        run(pool.broadcaster.send([sealed.envelope]))
        pool.close()
        assert pool.applied(sealed.inner_hash).result.is_success == bool(arrived)
        assert pool.kale_of(taker) == arrived


def test_the_operator_gets_a_trustline_whose_reserve_he_carries_himself(pool: Pool) -> None:
    before = pool.xlm(pool.operator)
    sealed = pool.transactions.trust(pool.lane(pool.operator), pool.bounds(), 100)
    run(pool.broadcaster.send([sealed.envelope]))
    pool.close()
    assert pool.kale_of(pool.operator) == 0
    mine = run(pool.chain.accounts([pool.operator.public_key]))[pool.operator.public_key]
    assert (before - mine.xlm, mine.xlm - mine.spendable) == (100, 3 * XLM // 2)


def test_the_operator_does_not_leave(pool: Pool) -> None:
    with pytest.raises(UsageError, match="itself"):
        pool.transactions.leave(pool.lane(pool.operator), pool.bounds(), 100)


def test_the_ceiling_holds_for_classic_transactions_too(pool: Pool) -> None:
    wanted = newcomers(pool, 19)
    with pytest.raises(RejectedError, match="ceiling"):
        pool.transactions.sponsor(wanted, pool.lane(pool.operator), pool.bounds(), 1_000_000)
    with pytest.raises(RejectedError, match="ceiling"):
        pool.transactions.pay(
            [Payment(pool.operator.public_key, 1)], Lane(wanted[0].address, 1), pool.bounds(), 1_000_000
        )
