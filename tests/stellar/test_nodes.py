"""Nodes fail in every way the devnet knows; reads find another one, and nothing is sent twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kalepool.adapters.stellar.broadcast import StellarBroadcaster
from kalepool.adapters.stellar.rpc import RpcClient, RpcSettings
from kalepool.adapters.stellar.transport import Limits
from kalepool.core.chain import Sent, Status
from kalepool.devnet.faults import NodeFaults
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import ConfigError, RetryableError
from support.devnet import KALE
from support.stellar import FAST, NODE, SECOND_NODE, SECOND_URL, URL, Pool
from support.virtual import loop_time, run

ALWAYS: dict[str, dict[str, Any]] = {
    "429": {"too_many_requests": 1.0, "retry_after_s": 2},
    "5xx": {"server_error": 1.0},
    "reset before": {"reset_before": 1.0},
    "reset after": {"reset_after": 1.0},
    "no answer": {"no_answer": 1.0},
}


def two_nodes(settings: RpcSettings = FAST, **faults: Any) -> Pool:
    """Give a pool whose first node has these faults, and its second none."""
    pool = Pool(LedgerSettings(), faults=NodeFaults(**faults))
    pool.connect(URL, SECOND_URL, settings=settings)
    return pool


@pytest.mark.parametrize("faults", ALWAYS.values(), ids=ALWAYS)
def test_a_read_finds_the_node_that_answers(faults: dict[str, Any]) -> None:
    pool = two_nodes(**faults)
    assert run(pool.chain.tip()).node == SECOND_NODE


@pytest.mark.parametrize("faults", ALWAYS.values(), ids=ALWAYS)
def test_where_none_answers_a_read_ends_with_the_node_named(faults: dict[str, Any]) -> None:
    pool = Pool(faults=NodeFaults(**faults))
    with pytest.raises(RetryableError, match=NODE) as caught:
        run(pool.chain.tip())
    assert caught.value.hint
    assert pool.rpc_client.counts.http_requests == FAST.attempts


@pytest.mark.parametrize("faults", ALWAYS.values(), ids=ALWAYS)
def test_a_transaction_is_posted_once_and_its_fate_unknown(faults: dict[str, Any]) -> None:
    pool = Pool()
    farmer = pool.member("farmer", kale=10)
    run(pool.chain.tip())  # so that the node is known to be on our network
    pool.devnet.change_node("main", faults)
    envelopes = [pool.bump(pool.plant(farmer, KALE), pool.operator).to_xdr_object().to_xdr_bytes()]
    before = pool.rpc_client.counts.http_requests
    (answer,) = run(pool.broadcaster.send(envelopes))
    assert (answer.status, answer.node) == (Sent.UNKNOWN, NODE)
    assert pool.rpc_client.counts.http_requests == before + 1
    assert len(pool.ledger.queue) == (1 if "reset_after" in faults else 0)


def test_an_envelope_whose_answer_was_lost_is_a_duplicate_when_it_is_sent_again() -> None:
    pool = Pool()
    farmer = pool.member("farmer", kale=10)
    run(pool.chain.tip())
    envelopes = [pool.bump(pool.plant(farmer, KALE), pool.operator).to_xdr_object().to_xdr_bytes()]
    pool.devnet.change_node("main", {"reset_after": 1.0})
    assert run(pool.broadcaster.send(envelopes))[0].status == Sent.UNKNOWN
    pool.devnet.change_node("main", {"reset_after": 0.0})
    assert run(pool.broadcaster.send(envelopes))[0].status == Sent.DUPLICATE


def test_what_a_node_puts_off_is_told() -> None:
    pool = Pool(faults=NodeFaults(try_again_later=1.0))
    farmer = pool.member("farmer", kale=10)
    envelopes = [pool.bump(pool.plant(farmer, KALE), pool.operator).to_xdr_object().to_xdr_bytes()]
    assert run(pool.broadcaster.send(envelopes))[0].status == Sent.TRY_AGAIN_LATER


def test_a_refused_transaction_tells_its_inner_code() -> None:
    pool = Pool()
    farmer = pool.member("farmer", kale=10)
    ahead = pool.bump(pool.plant(farmer, KALE, ahead=3), pool.operator).to_xdr_object().to_xdr_bytes()
    (answer,) = run(pool.broadcaster.send([ahead]))
    assert (answer.status, answer.code) == (Sent.ERROR, "txBAD_SEQ")


def test_where_no_node_may_be_asked_nothing_is_known_to_be_sent() -> None:
    pool = Pool(faults=NodeFaults(too_many_requests=1.0, retry_after_s=100))
    answers = run(pool.broadcaster.send([b"never read"] * 11))
    assert {(answer.status, answer.node) for answer in answers} == {(Sent.UNKNOWN, "")}
    assert len(answers) == 11


def test_a_node_that_asks_for_a_rest_gets_it_and_the_other_one_works() -> None:
    pool = two_nodes(too_many_requests=1.0, retry_after_s=120)
    for _ in range(5):
        run(pool.chain.tip())
    assert pool.transport.paths.count("/") == 1


async def times_of_reads(pool: Pool, count: int) -> list[float]:
    started, times = loop_time(), []
    for _ in range(count):
        await pool.chain.tip()
        times.append(loop_time() - started)
    return times


def test_each_node_is_asked_no_oftener_than_configured() -> None:
    pool = Pool()
    pool.connect(URL, settings=replace(FAST, requests_per_second=2.0, burst=1))
    # The first asks for the network's name too.
    times = run(times_of_reads(pool, 5))
    assert times == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5], abs=0.01)


def test_a_second_node_takes_what_the_first_has_no_room_for() -> None:
    pool = Pool()
    pool.connect(URL, SECOND_URL, settings=replace(FAST, requests_per_second=1.0, burst=2))
    times = run(times_of_reads(pool, 2))
    assert times == pytest.approx([0.0, 0.0], abs=0.01)
    assert set(pool.transport.paths) == {"/", "/nodes/second"}


def test_a_node_that_never_answers_costs_no_more_than_the_time_for_a_request() -> None:
    settings = replace(FAST, limits=Limits(total_s=7.0))
    pool = two_nodes(settings, no_answer=1.0)
    assert run(times_of_reads(pool, 1)) == pytest.approx([7.0], abs=0.1)


def test_a_node_that_recovers_is_asked_again() -> None:
    pool = two_nodes(server_error=1.0)

    async def later() -> str:
        await pool.chain.tip()
        pool.devnet.change_node("main", {"server_error": 0.0})
        await pool.rpc_client._sleep(1.0)
        return (await pool.chain.tip()).node

    assert run(later()) == NODE


# Nodes that see something else


def test_a_node_far_behind_the_others_is_not_listened_to() -> None:
    pool = two_nodes(lag_ledgers=5)
    pool.close(20)
    latest = pool.ledger.latest.sequence
    assert run(pool.chain.tip()).ledger == latest - 5  # nobody else was asked yet
    run(pool.rpc_client.check_network())
    pool.devnet.change_node("main", {"server_error": 1.0})
    assert run(pool.chain.tip()).ledger == latest
    pool.devnet.change_node("main", {"server_error": 0.0})

    async def later() -> list[int]:
        await pool.rpc_client._sleep(60.0)
        return [(await pool.chain.tip()).ledger for _ in range(3)]

    assert run(later()) == [latest] * 3


def test_a_stalled_node_is_left_for_the_one_that_goes_on() -> None:
    pool = two_nodes(stalled=True)
    pool.close(10)
    run(pool.chain.tip())
    pool.devnet.change_node("main", {"no_answer": 1.0})
    run(pool.chain.tip())
    pool.devnet.change_node("main", {"no_answer": 0.0})

    async def later() -> str:
        await pool.rpc_client._sleep(60.0)
        return (await pool.chain.tip()).node

    assert run(later()) == SECOND_NODE


def test_one_node_of_three_that_runs_ahead_does_not_make_the_others_old() -> None:
    pool = Pool()
    pool.connect(URL, SECOND_URL, URL)
    ahead = {"/nodes/second": 4_000_000_000}

    def change(path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "getHealth" and path in ahead:
            return result | {"latestLedger": ahead[path]}
        return result

    pool.transport.change = change
    pool.close(5)
    names = pool.rpc_client.node_names
    for name, ledger in zip(names, (6, 4_000_000_000, 6), strict=True):
        node = next(node for node in pool.rpc_client._nodes if node.name == name)
        node.ledger = ledger
    seen = [run(pool.chain.tip()).ledger for _ in range(4)]
    assert seen == [pool.ledger.latest.sequence] * 4


def test_a_node_on_another_network_is_named_at_the_start() -> None:
    pool = Pool()
    client = RpcClient(
        [URL], "Public Global Stellar Network ; September 2015", FAST, transport=pool.transport
    )
    with pytest.raises(ConfigError, match=f"{NODE} is not on the network"):
        run(client.check_network())
    with pytest.raises(ConfigError, match="no node is on the network"):
        run(StellarBroadcaster(client).send([b"never sent"]))
    assert client.counts.calls == {"getNetwork": 1}


def test_a_node_on_another_network_that_was_down_at_the_start_is_never_used() -> None:
    pool = two_nodes(server_error=1.0)
    run(pool.rpc_client.check_network())
    pool.devnet.change_node("main", {"server_error": 0.0})

    def change(path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        return result | {"passphrase": "another"} if path == "/" and method == "getNetwork" else result

    pool.transport.change = change

    async def later() -> list[str]:
        await pool.rpc_client._sleep(60.0)
        return [(await pool.chain.tip()).node for _ in range(3)]

    assert run(later()) == [SECOND_NODE] * 3


def test_nodes_that_are_all_silent_at_the_start_can_be_asked_later() -> None:
    pool = Pool(faults=NodeFaults(reset_before=1.0))
    with pytest.raises(RetryableError, match="did not answer"):
        run(pool.chain.check_network())


def test_no_node_at_all_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="no node"):
        RpcClient([], "a network")


def test_one_nodes_history_is_not_mixed_with_anothers_tip() -> None:
    pool = two_nodes(lag_ledgers=2)
    farmer = pool.member("farmer", kale=10)
    applied = pool.land(pool.bump(pool.plant(farmer, KALE), pool.operator))
    wanted = applied.transaction.hash.hex()
    lagging = run(pool.chain.find(wanted))
    assert (lagging.status, lagging.tip.node) == (Status.NOT_FOUND, NODE)
    assert lagging.tip.ledger == max(pool.ledger.latest.sequence - 2, pool.ledger.oldest.sequence)
    pool.devnet.change_node("main", {"server_error": 1.0})
    found = run(pool.chain.find(wanted))
    assert (found.status, found.tip.node, found.tip.ledger) == (
        Status.SUCCESS,
        SECOND_NODE,
        pool.ledger.latest.sequence,
    )


def test_many_transactions_are_asked_for_ten_a_request_of_one_node() -> None:
    pool = two_nodes()
    run(pool.chain.find_all(["00" * 32] * 25))
    assert pool.transport.paths == ["/"] * (1 + 3)
    assert pool.rpc_client.counts.calls["getTransaction"] == 25


BOUNDED = replace(FAST, ledgers_per_second=1.0)


def leaping(pool: Pool, *paths: str) -> None:
    """Let nodes say from now on that the network is a hundred thousand ledgers further."""

    def change(path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "getHealth" and path in paths:
            return result | {"latestLedger": result["latestLedger"] + 100_000}
        return result

    pool.transport.change = change


def test_a_node_that_leaps_ahead_is_left_for_one_that_does_not() -> None:
    pool = two_nodes(BOUNDED)
    pool.close(5)
    run(pool.chain.tip())
    leaping(pool, "/")
    tip = run(pool.chain.tip())
    assert (tip.node, tip.ledger) == (SECOND_NODE, pool.ledger.latest.sequence)


def test_where_every_node_leaps_the_machine_slept() -> None:
    pool = two_nodes(BOUNDED)
    pool.close(5)
    run(pool.chain.tip())
    leaping(pool, "/", "/nodes/second")
    assert run(pool.chain.tip()).ledger == pool.ledger.latest.sequence + 100_000


def test_the_only_node_that_serves_is_believed() -> None:
    pool = two_nodes(BOUNDED)
    pool.close(5)
    run(pool.chain.tip())
    pool.devnet.change_node("second", {"no_answer": 1.0})
    leaping(pool, "/")
    assert run(pool.chain.tip()).ledger == pool.ledger.latest.sequence + 100_000
