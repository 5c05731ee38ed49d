"""Submitting and reconciling: on disk before it leaves, settled by what the chain says, once."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.chain import SendAnswer, Sent
from kalepool.core.farm import Pail
from kalepool.core.intents import Kind, State
from kalepool.core.postings import FEES, KALE, XLM, account
from kalepool.devnet.faults import NodeFaults
from kalepool.devnet.ledger import LedgerSettings
from support.devnet import KALE as ONE_KALE
from support.house import House
from support.stellar import SECOND_URL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STAKE = 30 * ONE_KALE


class PowerCutError(Exception):
    """The machine stops."""


def cut(_envelopes: Sequence[bytes]) -> list[SendAnswer]:
    raise PowerCutError


def states(house: House) -> list[State]:
    return [intent.state for intent in house.open_intents()]


def test_twenty_plants_go_out_together_and_the_books_say_what_the_chain_says(house: House) -> None:
    farmers = house.farmers(20)
    house.learn(farmers[0], STAKE)
    before = house.pool.xlm(house.pool.operator)
    orders = [house.order(number, farmer, STAKE) for number, farmer in enumerate(farmers, start=1)]
    house.submit(*orders)
    assert states(house) == [State.SENT] * 20
    reserved = house.journal.reserved()
    assert reserved[account(farmers[0].public_key), KALE] == STAKE
    house.pool.close()
    closed = house.reconcile()
    assert [one.state for one in closed] == [State.SETTLED] * 20
    assert house.open_intents() == []
    assert house.journal.reserved() == {}
    assert house.books.total() == 0
    for farmer in farmers:
        assert house.pool.kale_of(farmer) == 100 * ONE_KALE + house.books.balance(
            account(farmer.public_key), KALE
        )
    spent = before - house.pool.xlm(house.pool.operator)
    assert house.books.balance(FEES, XLM) == spent
    assert house.books.balance(account(house.pool.operator.public_key), XLM) == -spent


def test_a_purpose_is_begun_once(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    first, second = (house.submit(house.order(1, farmer, STAKE))[0] for _ in range(2))
    assert first.intent is not None
    assert second.intent is None
    assert len(house.wire.sent) == 1


def test_what_was_signed_and_never_sent_is_sent_after_the_crash(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    house.wire.instead = cut
    with pytest.raises(PowerCutError):
        house.submit(house.order(1, farmer, STAKE))
    house.crash()
    assert states(house) == [State.SIGNED]
    assert house.reconcile() == []
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]
    assert house.pool.kale_of(farmer) == 70 * ONE_KALE


def test_what_was_sent_and_never_marked_is_found_after_the_crash_and_not_paid_twice(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)

    def send_and_die(envelopes: Sequence[bytes]) -> list[SendAnswer]:
        house.pool.rpc("sendTransaction", transaction=base64.b64encode(envelopes[0]).decode())
        raise PowerCutError

    house.wire.instead = send_and_die
    with pytest.raises(PowerCutError):
        house.submit(house.order(1, farmer, STAKE))
    house.crash()
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]
    house.pool.close()
    assert house.reconcile() == []
    assert house.pool.kale_of(farmer) == 70 * ONE_KALE
    assert house.books.balance(account(farmer.public_key), KALE) == -STAKE


def test_a_send_without_an_answer_is_neither_believed_nor_repeated_as_another(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    house.wire.instead = lambda envelopes: [SendAnswer(Sent.UNKNOWN)] * len(envelopes)
    house.submit(house.order(1, farmer, STAKE))
    assert states(house) == [State.SENT]
    house.wire.instead = None
    (intent,) = house.open_intents()
    assert house.reconcile() == []
    assert house.wire.sent == [intent.attempts[0].envelope]
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]


def test_what_a_node_puts_off_waits_signed_and_goes_out_again_as_it_is(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    house.pool.devnet.change_node("main", {"try_again_later": 1.0})
    house.submit(house.order(1, farmer, STAKE))
    assert states(house) == [State.SIGNED]
    house.pool.devnet.change_node("main", {"try_again_later": 0.0})
    house.reconcile()
    assert len(set(house.wire.sent)) == 1
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]


def test_what_can_never_land_is_given_up_and_its_number_is_used_again(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    house.wire.instead = lambda envelopes: [SendAnswer(Sent.UNKNOWN)] * len(envelopes)
    house.submit(house.order(1, farmer, STAKE, seconds=10))
    (lost,) = house.open_intents()
    house.pool.close(3)
    (closed,) = house.reconcile()
    assert closed.state is State.EXPIRED
    house.wire.instead = None
    (again,) = house.submit(house.order(2, farmer, STAKE))
    assert again.intent is not None
    (intent,) = house.open_intents()
    assert intent.attempts[0].sequence == lost.attempts[0].sequence
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]


def test_an_intent_that_was_never_signed_is_dropped(house: House) -> None:
    (farmer,) = house.farmers(1)
    order = house.order(1, farmer, STAKE)
    assert house.journal.plan_all([order.plan])[0] is not None
    house.crash()
    (closed,) = house.reconcile()
    assert (closed.state, closed.why) == (State.EXPIRED, "never signed")


def test_what_fails_in_a_ledger_is_closed_with_its_reason_and_its_fee_is_booked(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    order = house.order(1, farmer, STAKE)
    before = house.pool.xlm(house.pool.operator)
    house.submit(order)
    # Somebody with the same key was faster: the pail is there when our plant is applied.
    house.pool.put_pail(farmer.public_key, 0, Pail(house.pool.ledger.latest.sequence, 0))
    house.pool.close()
    (closed,) = house.reconcile()
    assert closed.state is State.FAILED
    assert "KALE contract error 8" in closed.why
    assert house.books.balance(FEES, XLM) == before - house.pool.xlm(house.pool.operator)
    assert house.books.balance(account(farmer.public_key), KALE) == 0
    assert house.pool.kale_of(farmer) == 100 * ONE_KALE


def test_a_node_that_lags_proves_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, second=NodeFaults(lag_ledgers=10))
    (farmer,) = house.farmers(1)
    house.pool.close(12)
    house.learn(farmer, STAKE)
    house.submit(house.order(1, farmer, STAKE))
    house.pool.close(8)
    house.pool.connect(SECOND_URL)
    house.crash()
    # It landed eight ledgers ago and cannot land any more; the lagging node has seen neither.
    assert house.reconcile() == []
    assert states(house) == [State.SENT]
    house.pool.connect()
    house.crash()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]
    house.store.close()


def test_without_history_an_unused_sequence_number_tells_that_it_never_landed(tmp_path: Path) -> None:
    house = House(tmp_path, LedgerSettings(history_ledgers=5))
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    house.wire.instead = lambda envelopes: [SendAnswer(Sent.UNKNOWN)] * len(envelopes)
    house.submit(house.order(1, farmer, STAKE))
    house.pool.close(20)
    (closed,) = house.reconcile()
    assert closed.state is State.EXPIRED
    assert house.journal.reserved() == {}
    # The number is free again: the farmer can be planted for.
    house.wire.instead = None
    again = house.order(1, farmer, STAKE)
    house.submit(replace(again, plan=replace(again.plan, purpose="plant:1:0:1")))
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]
    house.store.close()


def test_without_history_a_plant_whose_number_is_used_is_let_go_and_its_pail_tells(tmp_path: Path) -> None:
    house = House(tmp_path, LedgerSettings(history_ledgers=5))
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    order = house.order(1, farmer, STAKE)
    house.submit(order)
    house.pool.close(20)
    (closed,) = house.reconcile()
    assert closed.state is State.FAILED
    assert "no node remembers" in closed.why
    assert house.journal.reserved() == {}
    assert house.journal.last_sequence(order.source) == order.sequence + 1
    assert house.reconcile() == []
    house.store.close()


def test_without_history_a_payment_whose_number_is_used_is_for_a_person_who_is_asked_once(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, LedgerSettings(history_ledgers=5))
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    order = house.order(1, farmer, STAKE)
    house.submit(replace(order, plan=replace(order.plan, kind=Kind.PAY)))
    house.pool.close(20)
    (closed,) = house.reconcile()
    assert closed.state is State.UNRESOLVED
    assert house.reconcile() == []
    assert states(house) == [State.UNRESOLVED]
    house.store.close()


def test_an_order_above_the_fee_ceiling_never_leaves_and_is_given_up(house: House) -> None:
    (farmer,) = house.farmers(1)
    house.learn(farmer, STAKE)
    house.pool.transactions.max_fee = 100
    (result,) = house.submit(house.order(1, farmer, STAKE))
    assert result.refused is not None
    assert house.wire.sent == []
    assert house.open_intents() == []
