"""Settling by events: the books are those that asking for each transaction gives, at a request a look."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalepool.core.chain import SendAnswer, Sent
from kalepool.core.farm import Pail
from kalepool.core.intents import State
from kalepool.core.postings import FEES, XLM, account, postings_of
from kalepool.devnet.faults import NodeFaults
from kalepool.devnet.queue import Chosen
from kalepool.services import reconcile
from kalepool.services.submit import HELD_LEDGERS
from kalepool.xdr.keys import pail_key
from support.devnet import KALE as ONE_KALE
from support.farming import Season
from support.house import House
from support.stellar import SECOND_URL, URL
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kalepool.core.chain import Snapshot
    from kalepool.core.intents import Intent
    from kalepool.services.reconcile import Closed

STAKE = 3 * ONE_KALE


def season(house: House, count: int) -> Season:
    return Season(house, house.farmers(count))


def look(season: Season) -> Snapshot:
    return season.house.snapshot(season.farmers, season.pool.farm.index)


def asked(house: House) -> int:
    return house.pool.rpc_client.counts.calls["getTransaction"]


def check_against_asking(house: House, intents: Sequence[Intent], closed: Sequence[Closed]) -> None:
    """Insist that states, fees, moves and books are what getTransaction tells of each."""
    told = run(house.pool.chain.find_all([intent.attempts[0].inner_hash for intent in intents]))
    found = {intent.number: one for intent, one in zip(intents, told, strict=True)}
    assert {one.intent.number for one in closed} == found.keys()
    booked = house.postings()
    operator = house.pool.operator.public_key
    for one in closed:
        real = found[one.intent.number]
        assert (one.state is State.SETTLED) == (real.status == "success")
        assert one.landed == real.landed
        if one.state is State.SETTLED:
            wanted: Counter[tuple[str, str]] = Counter()
            for name, asset, stroops in postings_of(real.landed, operator):
                wanted[name, asset] += stroops
            assert booked[one.intent.number] == {key: stroops for key, stroops in wanted.items() if stroops}
    assert house.books.total() == 0


def change(
    house: House, method: str, patch: Callable[[dict[str, Any]], None], path: str | None = None
) -> None:
    """Let answers to a method be changed, of one node or of all."""

    def apply(where: str, called: str, result: dict[str, Any]) -> dict[str, Any]:
        if called == method and path in (None, where):
            patch(result)
        return result

    house.pool.transport.change = apply


def blind(result: dict[str, Any]) -> None:
    """Leave every event out."""
    result["events"] = []


def test_staked_plants_are_settled_by_one_request_and_nothing_is_asked(house: House) -> None:
    them = season(house, 20)
    them.send(them.plants([STAKE] * 20))
    intents = house.open_intents()
    house.pool.close()
    before = house.pool.rpc_client.counts.http_requests
    closed = house.reconcile()
    assert house.pool.rpc_client.counts.http_requests == before + 1
    assert asked(house) == 0
    check_against_asking(house, intents, closed)


def test_plants_of_0_and_works_are_settled_by_a_snapshot_at_hand(house: House) -> None:
    them = season(house, 12)
    for orders in ([*them.plants([0] * 12)], None):
        them.send(orders or them.works(range(1, 13)))
        intents = house.open_intents()
        house.pool.close()
        closed = house.reconcile(look(them))
        assert asked(house) == 0
        check_against_asking(house, intents, closed)
        house.pool.rpc_client.counts.calls["getTransaction"] = 0
        house.pool.close()


def test_without_a_snapshot_they_are_asked_for(house: House) -> None:
    them = season(house, 3)
    them.send(them.plants([0, STAKE, 0]))
    intents = house.open_intents()
    house.pool.close()
    closed = house.reconcile()
    assert asked(house) == 2
    check_against_asking(house, intents, closed)


def test_a_work_that_was_improved_since_is_asked_for(house: House) -> None:
    them = season(house, 1)
    them.send(them.plants([STAKE]))
    house.pool.close()
    house.reconcile()
    house.pool.close()
    them.send(them.works([1], zeros=1))
    (intent,) = house.open_intents()
    house.pool.close()
    house.pool.land(house.pool.work(them.farmers[0], house.pool.proof(them.farmers[0], 2)))
    closed = house.reconcile(look(them))
    assert asked(house) == 1
    check_against_asking(house, [intent], closed)


def test_harvests_are_settled_by_their_mints_of_one_block_and_of_many(house: House) -> None:
    them = season(house, 3)
    opener = house.pool.account("opener", kale=0)
    channels = [house.pool.member(f"channel {number}") for number in range(3)]
    for _ in range(2):
        for farmer in them.farmers:
            house.pool.land(house.pool.plant(farmer, STAKE))
        house.pool.close()
        for farmer in them.farmers[:2]:
            house.pool.land(house.pool.work(farmer, house.pool.proof(farmer)))
        house.pool.open_block(opener)
    orders = [them.harvest(1, [0], channels[0]), them.harvest(2, [0, 1], channels[1])]
    them.send(orders)
    intents = house.open_intents()
    house.pool.close()
    closed = house.reconcile(look(them))
    assert asked(house) == 0
    check_against_asking(house, intents, closed)
    minted = {one.intent.number: len(one.landed.moves) for one in closed if one.landed}
    assert sorted(minted.values()) == [1, 2]


def test_a_failure_is_asked_for_and_booked_with_its_reason(house: House) -> None:
    them = season(house, 4)
    them.send(them.plants([STAKE, 0, STAKE, 0]))
    intents = house.open_intents()
    before = house.pool.xlm(house.pool.operator)
    for number in (3, 4):
        them.put(number, Pail(house.pool.ledger.latest.sequence, 0))
    house.pool.close()
    closed = house.reconcile(look(them))
    assert asked(house) == 2
    assert Counter(one.state for one in closed) == {State.SETTLED: 2, State.FAILED: 2}
    assert all("KALE contract error 8" in one.why for one in closed if one.state is State.FAILED)
    check_against_asking(house, intents, closed)
    assert house.books.balance(FEES, XLM) == before - house.pool.xlm(house.pool.operator)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, STAKE]), st.sampled_from(["works", "fails", "idles"]), st.booleans()
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_farmers_do_the_books_are_those_of_asking(
    tmp_path_factory: pytest.TempPathFactory, farmers: list[tuple[int, str, bool]]
) -> None:
    house = House(tmp_path_factory.mktemp("house"))
    them = season(house, len(farmers))
    house.pool.land(house.pool.plant(house.pool.account("opener", kale=0)))
    before = house.pool.xlm(house.pool.operator)

    def settle(*, with_snapshot: bool) -> None:
        intents = house.open_intents()
        house.pool.close()
        snapshot = look(them) if with_snapshot else None
        check_against_asking(house, intents, house.reconcile(snapshot))

    with house.store:
        them.send(them.plants([stake for stake, _, _ in farmers]))
        blocked = [number for number, (*_, blocked) in enumerate(farmers, start=1) if blocked]
        for number in blocked:
            them.put(number, Pail(house.pool.ledger.latest.sequence, 7))
        settle(with_snapshot=True)
        house.pool.close()
        busy = [number for number, (_, deed, _) in enumerate(farmers, start=1) if deed != "idles"]
        them.send(them.works(busy))
        for number in busy:
            if farmers[number - 1][1] == "fails":
                address = them.farmers[number - 1].public_key
                house.pool.ledger.delete_now(pail_key(house.pool.kale, address, house.pool.farm.index))
        settle(with_snapshot=farmers[0][2])
        assert house.books.balance(FEES, XLM) == before - house.pool.xlm(house.pool.operator)
        for farmer in them.farmers:
            held = house.books.balance(account(farmer.public_key), "KALE")
            assert house.pool.kale_of(farmer) == 100 * ONE_KALE + held


def test_what_has_not_landed_is_neither_asked_for_nor_sent_again_while_a_node_holds_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    them = season(house, 1)
    monkeypatch.setattr(house.pool.ledger.queue, "choose", lambda *_: Chosen((), (100, 100)))
    them.send(them.plants([STAKE], seconds=100))
    for _ in range(HELD_LEDGERS - 1):
        house.pool.close()
        assert house.reconcile(look(them)) == []
    assert (asked(house), len(house.wire.sent)) == (0, 1)
    house.pool.close()
    assert house.reconcile(look(them)) == []
    assert len(house.wire.sent) == 2


@pytest.mark.parametrize("answer", [Sent.UNKNOWN, Sent.TRY_AGAIN_LATER, Sent.ERROR])
def test_what_no_node_has_taken_is_sent_at_every_chance(house: House, answer: Sent) -> None:
    them = season(house, 1)
    tries: list[bytes] = []

    def refuse(envelopes: Sequence[bytes]) -> list[SendAnswer]:
        tries.extend(envelopes)
        return [SendAnswer(answer)] * len(envelopes)

    house.wire.instead = refuse
    them.send(them.plants([STAKE], seconds=100))
    for _ in range(3):
        house.pool.close()
        assert house.reconcile() == []
    assert len(tries) == 4
    assert len(set(tries)) == 1


def test_events_that_leave_us_out_only_delay_what_asking_settles(house: House) -> None:
    them = season(house, 3)
    them.send(them.plants([STAKE] * 3, seconds=30))
    intents = house.open_intents()
    change(house, "getEvents", blind)
    for _ in range(HELD_LEDGERS - 1):
        house.pool.close()
        assert house.reconcile(look(them)) == []
    assert asked(house) == 0
    # Sent again, they are refused: their numbers are used, and by whom is asked.
    house.pool.close()
    closed = house.reconcile(look(them))
    assert asked(house) == 3
    check_against_asking(house, intents, closed)


def test_of_many_that_are_refused_at_once_a_few_are_asked_about_in_each_look(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_ASKED_AT_ONCE", 2)
    them = season(house, 3)
    them.send(them.plants([STAKE] * 3, seconds=40))
    change(house, "getEvents", blind)
    house.pool.close(HELD_LEDGERS)
    assert [len(house.reconcile(look(them))) for _ in range(3)] == [2, 1, 0]
    assert asked(house) == 3


def test_a_node_without_events_costs_requests_and_nothing_else(house: House) -> None:
    them = season(house, 3)
    them.send(them.plants([STAKE, 0, STAKE]))
    intents = house.open_intents()
    house.pool.close()
    change(house, "getEvents", lambda result: result.pop("cursor"))
    check_against_asking(house, intents, house.reconcile())


def test_a_snapshot_of_a_node_that_is_behind_is_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path, second=NodeFaults(lag_ledgers=2))
    them = season(house, 3)
    house.pool.close(3)
    them.send(them.plants([0] * 3))
    intents = house.open_intents()
    house.pool.close()
    house.pool.connect(SECOND_URL)
    late = look(them)
    house.pool.connect()
    house.start_services()
    assert house.reconcile(late) == []
    assert (asked(house), len(house.wire.sent)) == (0, 0)
    check_against_asking(house, intents, house.reconcile(look(them)))
    house.store.close()


def test_a_node_that_does_not_find_what_events_told_of_is_not_believed(tmp_path: Path) -> None:
    house = House(tmp_path, second=NodeFaults())
    them = season(house, 2)
    them.send(them.plants([0, 0]))
    intents = house.open_intents()
    house.pool.close()

    def lose(result: dict[str, Any]) -> None:
        kept = {name: result[name] for name in ("latestLedger", "latestLedgerCloseTime", "oldestLedger")}
        result.clear()
        result.update(kept, status="NOT_FOUND")

    change(house, "getTransaction", lose)
    assert house.reconcile() == []
    house.pool.close(20)
    # Past the last moment, on a node with all its history: by its word alone they would be given up.
    assert house.reconcile() == []
    assert [intent.state for intent in house.open_intents()] == [State.SENT] * 2
    house.pool.transport.change = None
    check_against_asking(house, intents, house.reconcile())
    house.store.close()


def test_two_nodes_that_take_turns_settle_each_intent_once(tmp_path: Path) -> None:
    house = House(tmp_path, second=NodeFaults(lag_ledgers=1))
    house.pool.connect(URL, SECOND_URL)
    house.start_services()
    them = season(house, 6)
    house.pool.close(2)
    orders = them.plants([STAKE] * 6, seconds=200)
    intents: list[Intent] = []
    closed: list[Closed] = []
    for turn in range(3):
        them.send(orders[2 * turn : 2 * turn + 2])
        intents += [one for one in house.open_intents() if one.number > len(intents)]
        house.pool.close()
        change(house, "getEvents", lambda result: result.pop("cursor"), "/" if turn % 2 else "/nodes/second")
        closed += house.reconcile()
    house.pool.close(2)
    closed += house.reconcile()
    assert len(closed) == 6
    check_against_asking(house, intents, closed)
    assert house.pool.transport.paths.count("/nodes/second") >= 2
    house.store.close()


def test_a_restart_reads_from_where_the_oldest_open_intent_was_signed(house: House) -> None:
    them = season(house, 2)
    orders = them.plants([STAKE] * 2, seconds=200)
    them.send(orders[:1])
    house.pool.close(3)
    them.send(orders[1:])
    intents = house.open_intents()
    house.pool.close(5)
    house.crash()
    closed = house.reconcile()
    assert asked(house) == 0
    check_against_asking(house, intents, closed)


def test_what_is_signed_while_others_are_read_is_found_by_the_next_look(house: House) -> None:
    them = season(house, 2)
    first, second = them.plants([STAKE] * 2)
    them.send([first])
    house.pool.close()
    assert len(house.reconcile()) == 1
    # Signed on the word of a node that is behind: its ledger is one that was read before.
    run(house.submitter.submit([second], ledger=house.pool.ledger.latest.sequence - 1))
    house.pool.close()
    assert [one.state for one in house.reconcile()] == [State.SETTLED]
    assert asked(house) == 0


def test_what_events_settled_reaches_the_caller_though_asking_fails(house: House) -> None:
    them = season(house, 2)
    them.send(them.plants([STAKE, 0]))
    house.pool.close()
    change(house, "getTransaction", lambda result: result.clear())
    (closed,) = house.reconcile()
    assert closed.landed is not None
    assert closed.landed.moves
    house.pool.transport.change = None
    assert [one.state for one in house.reconcile()] == [State.SETTLED]
