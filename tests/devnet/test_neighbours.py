"""Neighbours: repeatable, within the contract's rules, hard to put off; and memory that stays flat."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter

import pytest
from stellar_sdk import Asset

from kalepool.devnet.entries import Trustline
from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.neighbours import Neighbours
from support.devnet import KALE, Bench, sign

LEDGERS_A_BLOCK = 66
"""Of 5 s, so many that a block certainly opens in them."""


def neighbourhood(
    count: int = 5, seed: int = 1, settings: LedgerSettings | None = None
) -> tuple[Bench, Neighbours]:
    bench = Bench(settings)
    return bench, Neighbours(bench.ledger, count, seed)


def encoded(bench: Bench) -> dict[bytes, tuple[bytes, int, int | None]]:
    """Give every entry as it would go over the wire."""
    return {entry.key: (entry.data, entry.modified, entry.live_until) for entry in bench.ledger.state}


def events(bench: Bench) -> list[tuple[int, str, tuple[str, ...], int]]:
    """Give what the asset contract has told."""
    return [
        (closed.sequence, told.event.kind, told.event.parties, told.event.amount)
        for closed in bench.ledger.history
        for told in closed.events
    ]


# Repeatable


def test_the_same_seed_does_the_same_to_the_last_byte() -> None:
    first, second = neighbourhood(seed=7)[0], neighbourhood(seed=7)[0]
    for _ in range(3):
        first.close(LEDGERS_A_BLOCK)
        second.close(LEDGERS_A_BLOCK)
        assert encoded(first) == encoded(second)
    assert events(first) == events(second)
    assert first.ledger.latest.hash == second.ledger.latest.hash


def test_another_seed_does_otherwise_with_the_same_farmers() -> None:
    (first, these), (second, those) = neighbourhood(seed=1), neighbourhood(seed=2)
    assert [one.address for one in these.members] == [one.address for one in those.members]
    first.close(LEDGERS_A_BLOCK)
    second.close(LEDGERS_A_BLOCK)
    assert encoded(first) != encoded(second)
    assert events(first) != events(second)


def test_who_looks_on_changes_nothing() -> None:
    (watched, _), (alone, _) = neighbourhood(), neighbourhood()
    for _ in range(2 * LEDGERS_A_BLOCK):
        watched.close()
        watched.rpc("getEvents", startLedger=watched.ledger.oldest.sequence)
        watched.simulate(watched.unsigned_call(watched.identity.friendbot, watched.kale, "pause", []))
    alone.close(2 * LEDGERS_A_BLOCK)
    assert encoded(watched) == encoded(alone)


def test_no_neighbours_leave_a_network_alone() -> None:
    bench, _ = neighbourhood(count=0)
    bench.close(3 * LEDGERS_A_BLOCK)
    assert bench.farm.index == 0
    assert events(bench) == []


# By the contract's rules


@pytest.mark.parametrize("count", [1, 5, 20])
def test_what_they_mint_and_burn_is_what_their_balances_change_by(count: int) -> None:
    bench, neighbours = neighbourhood(count=count, seed=3)

    def balances() -> dict[str, int]:
        lines = [entry.value for entry in bench.ledger.state if isinstance(entry.value, Trustline)]
        return {line.address: line.balance for line in lines}

    before = balances()
    assert before.keys() == {one.address for one in neighbours.members}
    bench.close(10 * LEDGERS_A_BLOCK)
    change: Counter[str] = Counter()
    for _, kind, parties, amount in events(bench):
        assert kind in {"mint", "burn"}
        assert amount > 0
        change[parties[-1]] += amount if kind == "mint" else -amount
    assert balances() == {address: before[address] + change[address] for address in before}
    kinds = Counter(kind for _, kind, _, _ in events(bench))
    assert kinds["mint"] > count
    assert kinds["burn"] > 0


def test_they_plant_work_and_harvest_and_leave_nothing_behind() -> None:
    bench, neighbours = neighbourhood(seed=3)
    bench.close(10 * LEDGERS_A_BLOCK)
    assert bench.farm.index >= 9
    for one in neighbours.members:
        left = [index for index in range(bench.farm.index - 5) if bench.pail(one.address, index) is not None]
        forfeited = [index for index in left if _is_unworked(bench, one.address, index)]
        assert left == forfeited


def _is_unworked(bench: Bench, address: str, index: int) -> bool:
    pail = bench.pail(address, index)
    return pail is not None and pail.zeros is None


def test_they_send_no_transactions_and_pay_no_fees() -> None:
    bench, neighbours = neighbourhood()
    xlm = {one.address: bench.entry(one.address) for one in neighbours.members}
    bench.close(3 * LEDGERS_A_BLOCK)
    assert not any(closed.transactions for closed in bench.ledger.history)
    assert {one.address: bench.entry(one.address) for one in neighbours.members} == xlm
    assert bench.ledger.latest.fee_pool == 0


def test_a_farmer_shares_a_block_with_them_and_is_paid_by_the_same_rules() -> None:
    bench, _ = neighbourhood(seed=4)
    farmer = bench.account("farmer", kale=100)
    bench.close(LEDGERS_A_BLOCK)
    index = bench.farm.index
    assert bench.land(bench.plant(farmer, KALE)).result.is_success
    bench.close(5)
    assert bench.land(bench.work(farmer, bench.proof(farmer, zeros=1))).result.is_success
    while bench.farm.index == index:
        bench.close()
    applied = bench.land(bench.harvest(farmer, index))
    assert applied.result.is_success
    minted = applied.operation_events[0][0].amount
    assert bench.kale_of(farmer) == 99 * KALE + minted
    assert KALE < minted < KALE + 2505 * KALE


# Hard to put off


def test_they_wait_out_a_pause_and_go_on() -> None:
    bench, _ = neighbourhood(seed=5)
    bench.close(2 * LEDGERS_A_BLOCK + 20)
    bench.devnet.pause()
    index = bench.farm.index
    bench.close(5 * LEDGERS_A_BLOCK)
    assert bench.farm.index == index
    bench.devnet.unpause()
    bench.close(5)
    assert bench.farm.index == index + 1
    bench.close(4 * LEDGERS_A_BLOCK)
    assert bench.farm.index >= index + 4
    block = bench.block(bench.farm.index - 1)
    assert block is not None
    assert block.normalized_total > 0


@pytest.mark.parametrize("ledgers_later", [1, 10, 30, 50, 60])
def test_they_go_on_after_the_current_block_is_removed(ledgers_later: int) -> None:
    bench, _ = neighbourhood(seed=6)
    bench.close(2 * LEDGERS_A_BLOCK)
    while bench.farm.index < 3:
        bench.close()
    bench.close(ledgers_later)
    bench.devnet.remove_block()
    index = bench.farm.index
    bench.close(5 * LEDGERS_A_BLOCK)
    assert bench.farm.index >= index + 4
    block = bench.block(bench.farm.index)
    assert block is not None
    assert block.max_gap > 0


def test_they_follow_when_somebody_else_opens_every_block() -> None:
    bench, neighbours = neighbourhood(seed=8)
    opener = bench.account("opener", kale=0)
    bench.close(LEDGERS_A_BLOCK)
    opened = []
    for _ in range(6):
        opened.append(bench.open_block(opener))
        bench.close(10)
        assert any(bench.pail(one.address, opened[-1]) is not None for one in neighbours.members)
    assert opened == list(range(opened[0], opened[0] + 6))


def test_they_live_through_a_day_in_which_every_ledger_is_late() -> None:
    bench, _ = neighbourhood(seed=9)
    for _ in range(100):
        bench.devnet.close_ledger(595.0)
    assert bench.farm.index > 90


def test_pails_that_died_meanwhile_are_given_up() -> None:
    bench, neighbours = neighbourhood(seed=10, settings=LedgerSettings(temporary_ttl=20))
    bench.close(10 * LEDGERS_A_BLOCK)
    assert bench.farm.index >= 5
    assert sum(len(one.pails) for one in neighbours.members) <= 5 * len(neighbours.members)


# Memory


def test_an_end_is_noted_once_however_often_its_entry_changes() -> None:
    bench, _ = neighbourhood(count=20)
    bench.close(2 * LEDGERS_A_BLOCK)
    ends = bench.ledger.state._ends
    assert len(ends) > 40
    assert len(set(ends)) == len(ends)


def test_memory_stays_flat_over_20000_ledgers() -> None:
    bench, _ = neighbourhood(settings=LedgerSettings(history_ledgers=120, temporary_ttl=400))
    farmer = bench.account("farmer", kale=100)

    def size() -> tuple[int, int, int, int, int, int]:
        gc.collect()
        ledger = bench.ledger
        return (
            len(ledger.state),
            len(ledger.state._ends),
            len(ledger.history),
            sum(len(closed.undo) + len(closed.events) for closed in ledger.history),
            len(ledger.by_hash),
            len(ledger.queue._banned),
        )

    def move_on(ledgers: int) -> None:
        for number in range(ledgers):
            if number % 100 == 0:
                payment = (
                    bench.builder(farmer).append_payment_op(farmer.public_key, Asset.native(), "1").build()
                )
                bench.accept(sign(payment, farmer))
            bench.close()

    tracemalloc.start(1)
    try:
        move_on(8_000)
        early, early_bytes = size(), tracemalloc.get_traced_memory()[0]
        move_on(12_000)
        late, late_bytes = size(), tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert bench.ledger.latest.sequence == 20_001
    assert late[2] == early[2] == 120
    # The two moments are at different points of a block, hence the play.
    for before, after in zip(early, late, strict=True):
        assert after <= 1.5 * before + 20
    # Keys are remembered up to a bound of their own that 20,000 ledgers do not reach.
    assert late_bytes < early_bytes + 3_000_000
