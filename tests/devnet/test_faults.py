"""Faults: what a file may say, that a seed repeats them, and how each looks to a client."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from kalepool.devnet.devnet import Devnet
from kalepool.devnet.faults import (
    Dice,
    Event,
    FaultPlan,
    NetworkFaults,
    NodeFaults,
    load_plan,
    parse_plan,
)
from kalepool.devnet.ledger import LedgerSettings
from kalepool.devnet.server import Server, listen
from kalepool.errors import ConfigError, UsageError
from kalepool.xdr.keys import account_key, block_key, instance_key, pail_key
from support import clock
from support.devnet import KALE, Bench, harvest_arguments, plant_arguments
from support.web import Web, call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

HEALTH = json.dumps(call("getHealth")).encode()

# The file


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text("""
seed = 7
[node]
latency_ms = 40
jitter_ms = 60.5
reset_before = 0.01
too_many_requests = 1
[nodes.second]
lag_ledgers = 3
latency_ms = 0
[nodes.third-1]
stalled = true
[network]
late = 0.05
late_by_s = 8
[[at]]
ledger = 100
action = "pause"
[[at]]
ledger = 120
action = "remove_block"
index = 4
[[at]]
ledger = 130
action = "node"
node = "second"
stalled = true
lag_ledgers = 0
""")
    every = NodeFaults(latency_ms=40, jitter_ms=60.5, reset_before=0.01, too_many_requests=1)
    assert load_plan(file) == FaultPlan(
        seed=7,
        nodes={
            "main": every,
            "second": NodeFaults(jitter_ms=60.5, reset_before=0.01, too_many_requests=1, lag_ledgers=3),
            "third-1": NodeFaults(
                latency_ms=40, jitter_ms=60.5, reset_before=0.01, too_many_requests=1, stalled=True
            ),
        },
        network=NetworkFaults(late=0.05, late_by_s=8),
        events=(
            Event(100, "pause"),
            Event(120, "remove_block", index=4),
            Event(130, "node", node="second", faults=(("stalled", True), ("lag_ledgers", 0))),
        ),
    )


def test_an_empty_file_makes_nothing_go_wrong() -> None:
    assert parse_plan({}) == FaultPlan()
    assert Dice(0).fate(NodeFaults()) == Dice(1).fate(NodeFaults())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sed = 1", "has no 'sed'"),
        ("seed = 'x'", "seed must be a whole number"),
        ("seed = 1.5", "seed must be a whole number"),
        ("seed = true", "seed must be a whole number"),
        ("node = 1", "node must be a table"),
        ("[[node]]", "node must be a table"),
        ("nodes = []", "nodes must be a table"),
        ("nodes.a = 1", "nodes.a must be a table"),
        ("[nodes.'a b']", "a node's name has"),
        ("[nodes.'']", "a node's name has"),
        ("[nodes.'../x']", "a node's name has"),
        ("[nodes.'é']", "a node's name has"),
        ("node.latency = 1", "there is no fault 'latency'"),
        ("nodes.a.late = 1", "there is no fault 'late'"),
        ("node.latency_ms = 'x'", "latency_ms must be a number"),
        ("node.latency_ms = true", "latency_ms must be a number"),
        ("node.latency_ms = -1", "latency_ms must be between 0 and 600000"),
        ("node.latency_ms = 600001", "latency_ms must be between 0 and 600000"),
        ("node.latency_ms = nan", "latency_ms must be between"),
        ("node.jitter_ms = inf", "jitter_ms must be between"),
        ("node.reset_before = 1.01", "reset_before must be between 0 and 1"),
        ("node.reset_after = -0.1", "reset_after must be between 0 and 1"),
        ("node.no_answer = 2", "no_answer must be between 0 and 1"),
        ("node.too_many_requests = 5", "too_many_requests must be between 0 and 1"),
        ("node.server_error = 500", "server_error must be between 0 and 1"),
        ("node.try_again_later = '1'", "try_again_later must be a number"),
        ("node.retry_after_s = 1.5", "retry_after_s must be a whole number"),
        ("node.retry_after_s = 601", "retry_after_s must be between 0 and 600"),
        ("node.lag_ledgers = 1.0", "lag_ledgers must be a whole number"),
        ("node.lag_ledgers = 1001", "lag_ledgers must be between 0 and 1000"),
        ("node.stalled = 1", "stalled must be true or false"),
        ("network = 1", "network must be a table"),
        ("network.latency_ms = 1", "there is no fault 'latency_ms'"),
        ("network.late = 1.5", "late must be between 0 and 1"),
        ("network.late_by_s = 601", "late_by_s must be between 0 and 600"),
        ("at = 1", "at must be an array of tables"),
        ("at = [1]", "at must be a table"),
        ("[[at]]", "needs a ledger"),
        ("[[at]]\nledger = 0\naction = 'pause'", "needs a ledger"),
        ("[[at]]\nledger = true\naction = 'pause'", "needs a ledger"),
        ("[[at]]\nledger = '5'\naction = 'pause'", "needs a ledger"),
        ("[[at]]\nledger = 5", "needs an action"),
        ("[[at]]\nledger = 5\naction = 'explode'", "needs an action"),
        ("[[at]]\nledger = 5\naction = ['pause']", "needs an action"),
        ("[[at]]\nledger = 5\naction = 'remove_block'\nindex = -1", "index must be"),
        ("[[at]]\nledger = 5\naction = 'remove_block'\nindex = 4294967296", "index must be"),
        ("[[at]]\nledger = 5\naction = 'remove_block'\nindex = 1.0", "index must be"),
        ("[[at]]\nledger = 5\naction = 'node'\nnode = 'x'", "there is no node 'x'"),
        ("[[at]]\nledger = 5\naction = 'node'\nnode = []", "there is no node []"),
        ("[[at]]\nledger = 5\naction = 'node'\nlatency = 1", "there is no fault 'latency'"),
        ("[[at]]\nledger = 5\naction = 'node'\nstalled = 1", "stalled must be true or false"),
        ("[[at]]\nledger = 5\naction = 'pause'\nstalled = true", "stalled belongs to the action node"),
        ("[[at]]\nledger = 5\naction = 'pause'\nwhen = 1", "when belongs to the action node"),
    ],
)
def test_what_a_file_may_not_say_is_named_with_a_hint(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_plan(tomllib.loads(text))
    assert says in caught.value.message
    assert caught.value.hint == "docs/DEVNET.md lists the faults"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"seed = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"x = " + b"[" * 100_000, "is not TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "faults.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load_plan(file)
    assert str(file) in caught.value.message
    assert caught.value.hint


# The dice

ALL = NodeFaults(
    latency_ms=10,
    jitter_ms=20,
    reset_before=0.2,
    reset_after=0.2,
    no_answer=0.2,
    too_many_requests=0.2,
    server_error=0.3,
)


def test_the_same_seed_gives_the_same_fates() -> None:
    first, second, other = Dice(7), Dice(7), Dice(8)
    fates = [first.fate(ALL) for _ in range(100)]
    assert [second.fate(ALL) for _ in range(100)] == fates
    assert [other.fate(ALL) for _ in range(100)] != fates


def test_every_fate_comes_about_as_often_as_it_should() -> None:
    dice = Dice(1)
    fates = [dice.fate(ALL) for _ in range(2_000)]
    assert all(0.010 <= fate.delay_s <= 0.030 for fate in fates)
    for name in ("reset_before", "reset_after", "no_answer"):
        assert 320 < sum(getattr(fate, name) for fate in fates) < 480
    statuses = [fate.status for fate in fates]
    assert 320 < statuses.count(429) < 480
    # A 429 comes first, so a server error has what is left.
    assert 390 < sum(status >= 500 for status in statuses) < 570
    assert set(statuses) == {0, 429, 500, 502, 503, 504}


def test_what_cannot_happen_draws_nothing() -> None:
    quiet, mixed = Dice(3), Dice(3)
    for _ in range(10):
        mixed.fate(NodeFaults())
        mixed.late_by(NetworkFaults())
    assert mixed.fate(ALL) == quiet.fate(ALL)


# As a client sees them


def faulty(**faults: Any) -> tuple[Bench, Web]:
    bench = Bench(plan=parse_plan({"seed": 5, "node": faults}))
    return bench, Web(bench.devnet)


def timed(web: Web, times: int = 1) -> list[float]:
    """Tell how long each of some requests takes, in virtual seconds."""

    async def session(client: httpx.AsyncClient) -> list[float]:
        loop, took = asyncio.get_running_loop(), []
        for _ in range(times):
            began = loop.time()
            assert (await client.post("/", content=HEALTH)).status_code == 200
            took.append(loop.time() - began)
        return took

    taken = web.run(session)
    assert isinstance(taken, list)
    return taken


def test_latency_and_jitter_delay_every_answer() -> None:
    assert timed(faulty()[1]) == [0.0]
    assert timed(faulty(latency_ms=250)[1], 2) == [pytest.approx(0.25)] * 2
    delays = timed(faulty(latency_ms=100, jitter_ms=400)[1], 50)
    assert all(0.1 <= delay <= 0.5 for delay in delays)
    assert max(delays) - min(delays) > 0.3


def test_requests_at_the_same_time_do_not_wait_for_each_other() -> None:
    _, web = faulty(latency_ms=1_000)

    async def session(client: httpx.AsyncClient) -> float:
        await asyncio.gather(*(client.post("/", content=HEALTH) for _ in range(20)))
        return asyncio.get_running_loop().time()

    assert web.run(session) == pytest.approx(1.0)


def test_too_many_requests_says_when_to_come_again() -> None:
    _, web = faulty(too_many_requests=1, retry_after_s=17)
    answer = web.post(HEALTH)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "17"


def test_server_errors_are_of_four_kinds_and_no_json_rpc() -> None:
    _, web = faulty(server_error=1)
    answers = [web.post(HEALTH) for _ in range(40)]
    assert {answer.status_code for answer in answers} == {500, 502, 503, 504}
    assert all(b"jsonrpc" not in answer.content for answer in answers)


def planted(bench: Bench, web: Web) -> tuple[bytes, Callable[[], bool]]:
    """Give the body that sends a plant, and whether it has been taken."""
    envelope = bench.plant(bench.account("farmer", kale=10), KALE)
    body = json.dumps(call("sendTransaction", {"transaction": envelope.to_xdr()})).encode()
    assert web.devnet is bench.devnet
    return body, lambda: len(bench.ledger.queue) == 1


@pytest.mark.parametrize("fault", ["too_many_requests", "server_error"])
def test_a_request_that_is_refused_is_not_carried_out(fault: str) -> None:
    bench, web = faulty(**{fault: 1})
    body, is_taken = planted(bench, web)
    assert web.post(body).status_code >= 400
    assert not is_taken()


def test_a_reset_before_leaves_the_request_undone() -> None:
    bench, web = faulty(reset_before=1)
    body, is_taken = planted(bench, web)
    with pytest.raises(ConnectionResetError, match="before the request was read"):
        web.post(body)
    assert not is_taken()


def test_a_reset_after_leaves_the_request_done() -> None:
    bench, web = faulty(reset_after=1)
    body, is_taken = planted(bench, web)
    with pytest.raises(ConnectionResetError, match="after the request was carried out"):
        web.post(body)
    assert is_taken()


def test_an_answer_that_never_comes_is_waited_for_as_long_as_one_likes() -> None:
    bench, web = faulty(no_answer=1)
    body, is_taken = planted(bench, web)

    async def session(client: httpx.AsyncClient) -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.post("/", content=body), 86_400)
        return asyncio.get_running_loop().time()

    assert web.run(session) == pytest.approx(86_400)
    assert not is_taken()


def test_try_again_later_puts_a_transaction_off_and_keeps_it_out() -> None:
    bench, web = faulty(try_again_later=1)
    body, is_taken = planted(bench, web)
    result = web.post(body).json()["result"]
    assert result["status"] == "TRY_AGAIN_LATER"
    assert len(result["hash"]) == 64
    assert "errorResultXdr" not in result
    assert not is_taken()
    bench.devnet.change_node("main", {"try_again_later": 0})
    assert web.post(body).json()["result"]["status"] == "PENDING"
    assert is_taken()


def test_faults_belong_to_their_node_alone() -> None:
    bench = Bench(plan=parse_plan({"nodes": {"bad": {"server_error": 1}, "good": {}}}))
    web = Web(bench.devnet)
    assert web.post(HEALTH, "/nodes/bad").status_code >= 500
    assert web.post(HEALTH, "/nodes/good").status_code == 200
    assert web.post(HEALTH).status_code == 200
    assert web.get("/").json()["nodes"].keys() == {"main", "bad", "good"}


def test_the_same_seed_and_requests_give_the_same_answers() -> None:
    def statuses(seed: int) -> list[int]:
        plan = parse_plan({"seed": seed, "node": {"server_error": 0.3, "too_many_requests": 0.3}})
        web = Web(Devnet(plan=plan))
        return [web.post(HEALTH).status_code for _ in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)


# Nodes that are behind


def test_a_node_that_lags_sees_every_ledger_later() -> None:
    bench = Bench(plan=parse_plan({"nodes": {"slow": {"lag_ledgers": 3}}}))
    for _ in range(6):
        bench.close()
        health, main = bench.rpc("getHealth", "slow"), bench.rpc("getHealth")
        assert main["latestLedger"] == bench.ledger.latest.sequence
        assert health["latestLedger"] == max(main["latestLedger"] - 3, 1)
        closed = bench.ledger.closed(health["latestLedger"])
        assert closed is not None
        assert health["latestLedgerCloseTime"] == closed.close_time
    latest = Web(bench.devnet).post(json.dumps(call("getLatestLedger")).encode(), "/nodes/slow").json()
    assert latest["result"]["sequence"] == bench.ledger.latest.sequence - 3


def test_a_node_more_than_30_seconds_behind_says_that_it_is_unhealthy(bench: Bench) -> None:
    bench.devnet.change_node("main", {"stalled": True})
    bench.close(6)
    assert bench.rpc("getHealth")["status"] == "healthy"
    bench.close()
    code, message = bench.rpc_error("getHealth")
    assert code == -32603
    assert message == "latency (35s) since last known ledger closed is too high (>30s)"
    assert bench.rpc("getLatestLedger")["sequence"] == bench.ledger.latest.sequence - 7
    bench.devnet.change_node("main", {"stalled": False})
    assert bench.rpc("getHealth")["status"] == "healthy"


def test_the_main_node_can_lag_too(bench: Bench) -> None:
    bench.close(5)
    bench.devnet.change_node("main", {"lag_ledgers": 2})
    assert bench.rpc("getHealth")["latestLedger"] == 4
    bench.devnet.change_node("main", {"lag_ledgers": 0})
    assert bench.rpc("getHealth")["latestLedger"] == 6


def test_no_node_is_further_behind_than_the_history() -> None:
    bench = Bench(LedgerSettings(history_ledgers=5), parse_plan({"nodes": {"slow": {"lag_ledgers": 1_000}}}))
    bench.devnet.change_node("main", {"stalled": True})
    bench.close(20)
    for node in ("slow", "main"):
        health = bench.rpc("getHealth", node)
        assert health["latestLedger"] == health["oldestLedger"] == bench.ledger.oldest.sequence


def key64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


class Behind:
    """A network whose second node stalled; since then much has changed."""

    def __init__(self) -> None:
        self.bench = bench = Bench(LedgerSettings(temporary_ttl=100), parse_plan({"nodes": {"old": {}}}))
        self.farmer, self.late = bench.account("farmer", kale=100), bench.account("late", kale=100)
        self.opener = bench.account("opener", kale=0)
        bench.land(bench.plant(self.farmer, KALE))
        bench.close(3)
        bench.land(bench.work(self.farmer, bench.proof(self.farmer)))
        bench.open_block(self.opener)
        self.keys = [
            instance_key(bench.kale),
            block_key(bench.kale, 0),
            block_key(bench.kale, 1),
            block_key(bench.kale, 2),
            pail_key(bench.kale, self.farmer.public_key, 0),
            pail_key(bench.kale, self.late.public_key, 1),
            account_key(self.farmer.public_key),
            account_key("GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ"),
        ]
        self.before = self.read("old")
        self.sequence, self.time = bench.ledger.latest.sequence, bench.ledger.latest.close_time
        bench.devnet.change_node("old", {"stalled": True})

    def read(self, node: str) -> Any:
        return self.bench.rpc("getLedgerEntries", node, keys=[key64(key) for key in self.keys])

    def move_on(self) -> bytes:
        """Delete, create, change and expire entries; give the hash of a transaction since."""
        bench = self.bench
        bench.close()
        bench.ledger.create_account("GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ", 50_000_000)
        bench.land(bench.harvest(self.farmer, 0))
        envelope = bench.plant(self.late, KALE)
        tx_hash = bench.accept(envelope)
        bench.open_block(self.opener)
        bench.close(100)
        assert bench.block(0) is None
        assert bench.block(1) is None
        return tx_hash


def test_a_stalled_node_reads_entries_as_they_were_deleted_created_and_expired_since() -> None:
    behind = Behind()
    behind.move_on()
    assert behind.read("old") == behind.before
    assert behind.read("old")["latestLedger"] == behind.sequence
    now = behind.read("main")["entries"]
    gone = {entry["key"] for entry in behind.before["entries"]} - {entry["key"] for entry in now}
    assert gone == {
        key64(block_key(behind.bench.kale, 0)),
        key64(block_key(behind.bench.kale, 1)),
        key64(pail_key(behind.bench.kale, behind.farmer.public_key, 0)),
    }


def test_every_ledger_that_passes_leaves_a_stalled_node_where_it_was() -> None:
    behind = Behind()
    for _ in range(150):
        behind.bench.close()
        assert behind.read("old") == behind.before


def test_a_stalled_node_tells_its_own_time_and_finds_nothing_newer() -> None:
    behind = Behind()
    tx_hash = behind.move_on()
    latest = behind.bench.rpc("getLatestLedger", "old")
    assert (latest["sequence"], latest["closeTime"]) == (behind.sequence, str(behind.time))
    found = behind.bench.rpc("getTransaction", "old", hash=tx_hash.hex())
    assert found["status"] == "NOT_FOUND"
    assert found["latestLedgerCloseTime"] == str(behind.time)
    assert behind.bench.rpc("getTransaction", hash=tx_hash.hex())["status"] == "SUCCESS"
    listed = behind.bench.rpc("getTransactions", "old", startLedger=1, pagination={"limit": 200})
    assert max(one["ledger"] for one in listed["transactions"]) <= behind.sequence
    events = behind.bench.rpc("getEvents", "old", startLedger=1)
    assert max(one["ledger"] for one in events["events"]) <= behind.sequence
    assert behind.bench.rpc("getFeeStats", "old")["latestLedger"] == behind.sequence


def test_a_stalled_node_simulates_on_what_it_has() -> None:
    behind = Behind()
    behind.move_on()
    bench = behind.bench

    def simulate(node: str, function: str, arguments: list[Any]) -> Any:
        envelope = bench.unsigned_call(behind.farmer, bench.kale, function, arguments)
        return bench.rpc("simulateTransaction", node, transaction=envelope.to_xdr())

    harvest = harvest_arguments(behind.farmer, 0)
    assert "Error(Contract, #11)" in simulate("main", "harvest", harvest)["error"]
    assert "error" not in simulate("old", "harvest", harvest)
    # The late farmer's plant in block 1 has not happened there.
    envelope = bench.unsigned_call(behind.late, bench.kale, "plant", plant_arguments(behind.late, 0))
    old = bench.rpc("simulateTransaction", "old", transaction=envelope.to_xdr())
    assert old["latestLedger"] == behind.sequence
    written = {change["key"] for change in old["stateChanges"] if change["type"] == "created"}
    assert key64(pail_key(bench.kale, behind.late.public_key, 1)) in written


def test_a_stalled_node_catches_up_when_it_is_mended() -> None:
    behind = Behind()
    behind.move_on()
    behind.bench.devnet.change_node("old", {"stalled": False})
    assert behind.read("old") == behind.read("main")


def test_what_reaches_a_node_that_is_behind_reaches_the_network() -> None:
    behind = Behind()
    envelope = behind.bench.harvest(behind.farmer, 0)
    sent = behind.bench.rpc("sendTransaction", "old", transaction=envelope.to_xdr())
    assert (sent["status"], sent["latestLedger"]) == ("PENDING", behind.sequence)
    behind.bench.close()
    assert behind.bench.rpc("getTransaction", hash=sent["hash"])["status"] == "SUCCESS"
    assert behind.bench.rpc("getTransaction", "old", hash=sent["hash"])["status"] == "NOT_FOUND"


# Ledgers that are late


def test_a_late_ledger_carries_its_lateness_in_its_close_time(bench: Bench) -> None:
    before = bench.ledger.latest.close_time
    assert bench.devnet.close_ledger(8.0).close_time == before + 13
    assert bench.devnet.close_ledger().close_time == before + 18


def test_ledgers_are_late_as_often_as_the_file_says() -> None:
    plan = parse_plan({"seed": 2, "network": {"late": 0.25, "late_by_s": 8.0}})
    devnet = Devnet(plan=plan)
    drawn = [devnet.draw_lateness() for _ in range(400)]
    assert set(drawn) == {0.0, 8.0}
    assert 70 < drawn.count(8.0) < 130


# What happens at a ledger


def scheduled(*events: dict[str, Any], **more: Any) -> Bench:
    return Bench(plan=parse_plan({"at": list(events)} | more))


def test_the_farm_is_paused_and_resumed_after_its_ledgers() -> None:
    bench = scheduled({"ledger": 5, "action": "unpause"}, {"ledger": 3, "action": "pause"})
    paused = []
    for _ in range(5):
        bench.close()
        paused.append((bench.ledger.latest.sequence, bench.farm.paused))
    assert paused == [(2, False), (3, True), (4, True), (5, False), (6, False)]


def test_a_plant_fails_while_the_farm_is_paused() -> None:
    bench = scheduled({"ledger": 2, "action": "pause"})
    farmer = bench.account("farmer", kale=1)
    envelope = bench.plant(farmer)
    bench.close()
    assert not bench.land(envelope).result.is_success


def test_the_current_block_or_a_named_one_is_removed() -> None:
    bench = scheduled(
        {"ledger": 75, "action": "remove_block", "index": 0}, {"ledger": 77, "action": "remove_block"}
    )
    bench.land(bench.plant(bench.account("farmer", kale=1)))
    bench.open_block(bench.account("opener", kale=0))
    assert bench.ledger.latest.sequence < 75
    bench.close_until(bench.ledger.latest.close_time + 5 * (75 - bench.ledger.latest.sequence))
    seen = []
    while bench.ledger.latest.sequence < 77:
        bench.close()
        seen.append((bench.ledger.latest.sequence, bench.block(0) is None, bench.block(1) is None))
    assert seen[-3:] == [(75, True, False), (76, True, False), (77, True, True)]


def test_the_contracts_code_changes_and_the_contract_goes_on() -> None:
    bench = scheduled({"ledger": 3, "action": "change_wasm"})
    before = bench.ledger._kale_instance().wasm_hash
    bench.close(2)
    after = bench.ledger._kale_instance().wasm_hash
    assert before != after
    assert bench.land(bench.plant(bench.account("farmer", kale=1))).result.is_success


def test_a_nodes_faults_change_at_a_ledger() -> None:
    bench = scheduled(
        {"ledger": 3, "action": "node", "node": "old", "stalled": True},
        {"ledger": 6, "action": "node", "node": "old", "stalled": False, "latency_ms": 5},
        nodes={"old": {"jitter_ms": 7}},
    )
    seen = []
    for _ in range(6):
        bench.close()
        seen.append(bench.rpc("getHealth", "old")["latestLedger"])
    assert seen == [2, 3, 3, 3, 6, 7]
    assert bench.devnet.nodes["old"].faults == NodeFaults(jitter_ms=7, latency_ms=5)


def test_several_things_happen_at_one_ledger_in_the_order_of_the_file() -> None:
    bench = scheduled({"ledger": 2, "action": "pause"}, {"ledger": 2, "action": "unpause"})
    bench.close()
    assert not bench.farm.paused


def test_changing_a_node_that_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(UsageError, match="there is no node 'x'"):
        bench.devnet.change_node("x", {})


# On a real socket


def over_a_socket(bench: Bench, raw: bytes) -> bytes:
    """Send bytes to a devnet on loopback; give all that comes back until the connection ends."""

    async def session() -> bytes:
        listener = listen(0)
        port = listener.getsockname()[1]
        server = Server(bench.devnet, listener)
        running = asyncio.create_task(server._serve())
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw.replace(b"PORT", str(port).encode()))
            try:
                return await asyncio.wait_for(reader.read(), 20)
            except ConnectionResetError:
                return b""
            finally:
                writer.close()
        finally:
            server.stop()
            await running

    return asyncio.run(session())


def http(body: bytes) -> bytes:
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nConnection: close\r\nContent-Length: "
    return head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body


def test_a_node_without_faults_answers_on_the_socket(bench: Bench) -> None:
    answer = over_a_socket(bench, http(HEALTH))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'"status":"healthy"' in answer


@pytest.mark.parametrize(("fault", "is_done"), [("reset_before", False), ("reset_after", True)])
def test_a_reset_breaks_the_connection_without_any_answer(fault: str, is_done: bool) -> None:
    bench, web = faulty(**{fault: 1})
    body, is_taken = planted(bench, web)
    assert over_a_socket(bench, http(body)) == b""
    assert is_taken() == is_done


def test_a_body_longer_than_allowed_is_answered_on_the_socket(bench: Bench) -> None:
    answer = over_a_socket(bench, http(b" " * 10_000_000))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":-32600' in answer


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be used") as caught:
            listen(taken.getsockname()[1])
    assert "--port" in caught.value.hint


def test_virtual_time_notices_what_would_hang() -> None:
    with pytest.raises(RuntimeError, match="this would hang"):
        clock.run(asyncio.Event().wait())
