"""Stopping in two steps, and what holds planting back: code, fees, balance, pause, dry runs."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from kalepool.core.facts import CONTRACT_CODE
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.intents import Kind
from kalepool.core.records import PailState
from kalepool.devnet.faults import Event as Fault
from kalepool.devnet.faults import FaultPlan
from kalepool.services.events import Name
from kalepool.services.rehearsing import Rehearsed, rehearse
from support.devnet import KALE, XLM
from support.mining import Shift
from support.virtual import loop_time, run

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from kalepool.core.chain import Happenings
    from kalepool.devnet.queue import Answer
    from kalepool.devnet.transactions import Transaction


def test_the_first_stop_plants_nothing_more_and_works_what_is_open(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=4, neighbours=12)
    shift.at[62 + 10] = shift.stop
    outcome = shift.mine()
    block = shift.ledger.farm.index
    assert outcome.at_risk == ()
    assert {record.state for record in shift.pool.pails.in_blocks(block, block)} == {PailState.WORKED}
    assert shift.ledger.latest.sequence <= 62 + 10 + 4
    assert shift.told(Name.STOPPED)[0].reason.startswith("stopped as asked")
    shift.check_books()
    shift.pool.close()


def test_a_stop_while_plants_are_under_way_works_them_too(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=4, neighbours=12)
    sent = shift.stead.bench.ledger.submit

    def stop_at_the_first(tx: Transaction) -> Answer:
        shift.stead.bench.ledger.submit = sent  # type: ignore[method-assign]
        shift.stop()
        return sent(tx)

    shift.stead.bench.ledger.submit = stop_at_the_first  # type: ignore[method-assign]
    outcome = shift.mine()
    assert len(outcome.blocks) == 1
    assert {record.state for record in shift.pool.pails.in_blocks(0, 0)} == {PailState.WORKED}
    shift.pool.close()


def test_a_stop_between_the_landing_of_plants_and_the_look_that_shows_it_works_them_too(
    tmp_path: Path,
) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    chain, bench = shift.pool.chain, shift.stead.bench
    read, close = chain.happenings, bench.close
    held: list[int] = []
    landed: list[int] = []

    def close_late(ledgers: int = 1) -> None:
        open_kinds = {intent.kind for intent in shift.pool.journal.open_intents(mine=False)}
        if not held and Kind.PLANT in open_kinds and shift.ledger.farm.index > 0:
            held.append(shift.ledger.latest.sequence)
        else:
            close(ledgers)

    async def land_first(since: int, payer: str, holders: Collection[str]) -> Happenings:
        if held and not landed:
            # The look has seen the ledger before; the plants, their stakes burnt, land just now.
            assert shift.ledger.latest.sequence == held[0]
            close()
            landed.append(shift.ledger.farm.index)
            shift.stop()
        return await read(since, payer, holders)

    bench.close = close_late  # type: ignore[method-assign]
    chain.happenings = land_first  # type: ignore[method-assign]
    shift.mine(seconds=1_500)
    block = landed[0]
    records = shift.pool.pails.in_blocks(block, block)
    assert [record.state for record in records] == [PailState.WORKED] * 3
    assert all(record.stake > 0 for record in records)
    shift.pool.close()


def test_the_second_stop_ends_at_once_and_names_the_stakes_at_risk(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    ended: list[float] = []

    def stop_twice() -> None:
        ended.append(loop_time())
        shift.stop()
        shift.stop()

    shift.at[75] = stop_twice
    outcome = shift.mine()

    async def now() -> float:
        return loop_time()

    assert run(now()) - ended[0] < 5
    assert [one.farmer for one in outcome.at_risk] == ["farmer-1", "farmer-2", "farmer-3"]
    assert all(one.stake > 0 and one.block == shift.ledger.farm.index for one in outcome.at_risk)
    assert shift.told(Name.STOPPED)[0].at_risk == outcome.at_risk
    # The next process finishes what was left.
    shift.again()
    shift.mine(2)
    assert shift.pool.pails.counts()[PailState.FORFEITED] == 0
    shift.pool.close()


def test_nothing_is_planted_on_a_paused_farm_and_open_pails_are_worked(tmp_path: Path) -> None:
    plan = FaultPlan(events=(Fault(70, "pause"), Fault(130, "unpause")))
    shift = Shift(tmp_path, farmers=2, neighbours=12, plan=plan)
    shift.mine(3)
    assert any("paused" in event.reason for event in shift.told(Name.RETRY))
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 6
    failed = [event for event in shift.told(Name.RETRY) if "txFAILED" in event.reason]
    assert failed == []
    shift.pool.close()


def test_an_upgrade_of_the_contract_stops_planting_until_the_operator_agrees(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12, plan=FaultPlan(events=(Fault(75, "change_wasm"),)))

    def agree() -> None:
        planted = shift.told(Name.PLANTED)
        assert {event.block for event in planted} == {0, 1}
        code = next(event.reason for event in shift.told(Name.RETRY) if "other code" in event.reason)
        shift.pool.facts.put(CONTRACT_CODE, code.rsplit(" ", 1)[1])

    shift.at[170] = agree
    shift.mine(3)
    assert len([event for event in shift.told(Name.RETRY) if "other code" in event.reason]) <= 3
    # What was planted under the old code was worked and harvested under the new.
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 6
    assert shift.pool.pails.counts()[PailState.FORFEITED] == 0
    shift.check_books()
    shift.pool.close()


def test_the_first_code_seen_is_agreed_and_remembered(tmp_path: Path) -> None:
    shift = Shift(tmp_path)
    shift.mine(1)
    first = shift.pool.facts.get(CONTRACT_CODE)
    assert first is not None
    shift.stead.bench.devnet.change_wasm()
    shift.again()
    with pytest.raises(TimeoutError):
        shift.mine(1, seconds=700)
    assert shift.pool.facts.get(CONTRACT_CODE) == first
    assert any("other code" in event.reason for event in shift.told(Name.RETRY))
    shift.pool.close()


def test_an_operator_without_xlm_plants_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, operator_xlm=1)
    with pytest.raises(TimeoutError):
        shift.mine(1, seconds=400)
    assert shift.told(Name.PLANTED) == []
    assert any("send XLM to" in event.reason for event in shift.told(Name.RETRY))
    shift.pool.close()


def test_an_operator_with_little_xlm_plants_for_as_many_as_he_can_see_through(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=6, neighbours=12)
    shift.set_xlm(shift.stead.operator, XLM + XLM // 40)  # the reserve, and 0.025 XLM to spend
    with pytest.raises(TimeoutError):
        shift.mine(seconds=620)
    planted = shift.names(Name.PLANTED, 0)
    assert 0 < len(planted) < 6
    assert sorted(set(shift.names(Name.WORKED, 0))) == planted
    assert shift.names(Name.HARVESTED, 0) == planted
    assert any("farmers are not planted for" in event.reason for event in shift.told(Name.RETRY))
    shift.check_books()
    shift.pool.close()


def test_the_fee_ceiling_of_the_day_stops_plants_and_nothing_else(tmp_path: Path) -> None:
    shift = Shift(
        tmp_path,
        farmers=4,
        neighbours=12,
        options={"fees.day_most_xlm": "0.08", "mining.improve_from_kale": "100000"},
    )
    with pytest.raises(TimeoutError):
        shift.mine(seconds=3_000)
    counts = shift.pool.pails.counts()
    assert any("fees of this day" in event.reason for event in shift.told(Name.RETRY))
    assert 0 < counts[PailState.HARVESTED] < 40
    assert counts[PailState.FORFEITED] == 0
    spent = shift.before[shift.stead.operator][1] - shift.balances(shift.stead.operator)[1]
    assert spent <= 0.08 * XLM
    shift.check_books()
    shift.pool.close()


def test_stakes_never_exceed_what_is_there(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12, kale=0)
    shift.mine(3)
    stakes = {record.stake for record in shift.pool.pails.in_blocks(0, 2)}
    assert 0 in stakes
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 9
    shift.check_books()
    shift.pool.close()


def test_a_farmer_who_plants_himself_is_worked_and_harvested_for(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=1, neighbours=12)
    himself = shift.stead.bench.account("self-custody", kale=100)
    watched = Farmer(0, "himself", himself.public_key, Custody.WATCHED, FarmerState.ACTIVE, None, Terms())
    shift.pool.farmers.add([watched], who="test", seal=shift.pool.seal_terms)

    def plant() -> None:
        shift.stead.bench.accept(shift.stead.bench.plant(himself, KALE))

    shift.at[66] = plant
    shift.mine(2)
    number = shift.pool.farmers.get("himself").number
    records = shift.pool.pails.of_farmer(number, 0, 3)
    assert [record.state for record in records] == [PailState.HARVESTED]
    assert shift.stead.bench.kale_of(himself) > 100 * KALE
    shift.pool.close()


def test_who_owes_the_pool_more_than_he_may_is_no_longer_worked_for(tmp_path: Path) -> None:
    limit = {"terms.receivable_most_kale": "0"}
    shift = Shift(tmp_path, farmers=1, neighbours=12, options=limit)
    himself = shift.stead.bench.account("self-custody", kale=100)
    terms = Terms(fee_bps=1_000)
    watched = Farmer(0, "himself", himself.public_key, Custody.WATCHED, FarmerState.ACTIVE, None, terms)
    shift.pool.farmers.add([watched], who="test", seal=shift.pool.seal_terms)

    def plant() -> None:
        shift.stead.bench.accept(shift.stead.bench.plant(himself, KALE))

    # Once in each of two blocks: the first reward makes him a debtor.
    shift.at[66] = plant
    shift.at[130] = plant
    shift.mine(3)
    number = shift.pool.farmers.get("himself").number
    states = [record.state for record in shift.pool.pails.of_farmer(number, 0, 9)]
    assert states == [PailState.HARVESTED, PailState.FORFEITED]
    shift.pool.close()


def test_a_dry_run_decides_and_leaves_store_and_chain_as_they_were(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)

    async def go() -> list[Rehearsed]:
        async with shift.pool.online():
            return await rehearse(shift.pool.means)

    shift.pool.journal.open_intents()
    before = _dump(tmp_path)
    applied = len(shift.ledger.by_hash)
    found = shift.play(go())
    plants = [one for one in found if one.what == "plant"]
    assert [one.farmer for one in plants] == ["farmer-1", "farmer-2"]
    assert [one.refused for one in plants] == ["", ""]
    assert _dump(tmp_path) == before
    assert len(shift.ledger.by_hash) == applied
    shift.pool.close()


def _dump(folder: Path) -> list[str]:
    store = sqlite3.connect(folder / "kalepool.db")
    try:
        return list(store.iterdump())
    finally:
        store.close()
