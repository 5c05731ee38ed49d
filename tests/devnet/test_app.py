"""The devnet over HTTP: what it says of itself, friendbot, the admin endpoint, who may come in."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import Asset, LiquidityPoolAsset, xdr

from kalepool.core.address import is_account, raw_key
from kalepool.devnet.app import Application
from kalepool.devnet.network import PASSPHRASE, PROTOCOL_VERSION
from kalepool.devnet.server import Server
from kalepool.xdr.keys import account_key, block_key, pool_key
from support import clock
from support.devnet import XLM, Bench, keypair
from support.web import TOKEN, URL, Web, call

if TYPE_CHECKING:
    import httpx

HEALTH = json.dumps(call("getHealth")).encode()


@pytest.fixture
def web(bench: Bench) -> Web:
    return Web(bench.devnet)


# GET /


def test_the_front_page_has_the_fields_that_scripts_read(bench: Bench) -> None:
    with socket.socket() as listener:
        server = Server(bench.devnet, listener, speed=20.0)
        web = Web(bench.devnet)
        web.application = server.application
        answer = web.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    described = answer.json()
    kale = bench.identity.kale_name
    assert described == {
        "network": "local",
        "passphrase": PASSPHRASE,
        "protocol_version": PROTOCOL_VERSION,
        "rpc_url": f"{URL}/",
        "friendbot_url": f"{URL}/friendbot",
        "speed": 20.0,
        "kale_asset": kale,
        "sac_contract": bench.sac,
        "kale_contract": bench.kale,
        "tractor_contract": bench.tractor,
        "nodes": {"main": f"{URL}/"},
    }
    code, _, issuer = kale.partition(":")
    assert code == "KALE"
    assert is_account(issuer)
    for contract in ("sac_contract", "kale_contract", "tractor_contract"):
        assert described[contract].startswith("C")
        assert len(raw_key(described[contract])) == 32


def test_the_urls_that_it_names_are_served(bench: Bench, web: Web) -> None:
    described = web.get("/").json()
    assert web.request("POST", described["rpc_url"], content=HEALTH).json()["result"]["status"] == "healthy"
    assert web.get(described["friendbot_url"]).status_code == 400
    assert bench.rpc("getNetwork")["friendbotUrl"] == described["friendbot_url"]


# Friendbot


async def fund(client: httpx.AsyncClient, bench: Bench, *names: str) -> list[httpx.Response]:
    """Ask for accounts all at once, and close ledgers until all have been answered."""
    asked = asyncio.gather(
        *(client.get("/friendbot", params={"addr": keypair(name).public_key}) for name in names)
    )
    for _ in range(10):
        await asyncio.sleep(1)
        if asked.done():
            break
        bench.close()
    return list(await asyncio.wait_for(asked, 1))


def test_friendbot_gives_a_new_account_10000_xlm_in_the_next_ledger(bench: Bench, web: Web) -> None:
    (answer,) = web.run(lambda client: fund(client, bench, "new"))
    assert answer.status_code == 200
    body = answer.json()
    assert body["successful"] is True
    assert body["ledger"] == bench.ledger.latest.sequence == 2
    assert bench.xlm(keypair("new")) == 10_000 * XLM
    found = bench.rpc("getTransaction", hash=body["hash"])
    assert found["status"] == "SUCCESS"
    assert [found[name] for name in ("envelopeXdr", "resultXdr", "resultMetaXdr")] == [
        body[name] for name in ("envelope_xdr", "result_xdr", "result_meta_xdr")
    ]


def test_friendbot_takes_the_address_by_post_too(bench: Bench, web: Web) -> None:
    async def session(client: httpx.AsyncClient) -> httpx.Response:
        asked = asyncio.ensure_future(client.post(f"/friendbot?addr={keypair('new').public_key}"))
        await asyncio.sleep(1)
        bench.close()
        return await asked

    assert web.run(session).json()["successful"] is True


def test_friendbot_creates_many_accounts_in_one_ledger(bench: Bench, web: Web) -> None:
    names = [f"new {number}" for number in range(60)]
    answers = web.run(lambda client: fund(client, bench, *names))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["ledger"] for answer in answers} == {2}
    assert len(bench.ledger.latest.transactions) == 1


def test_more_than_a_transaction_holds_go_into_the_next_ledgers(bench: Bench, web: Web) -> None:
    names = [f"new {number}" for number in range(150)]
    answers = web.run(lambda client: fund(client, bench, *names))
    assert sorted({answer.json()["ledger"] for answer in answers}) == [2, 3]


def test_the_same_address_twice_at_once_is_funded_once(bench: Bench, web: Web) -> None:
    answers = web.run(lambda client: fund(client, bench, "new", "new"))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert bench.xlm(keypair("new")) == 10_000 * XLM


def test_an_account_that_somebody_else_creates_first_does_not_keep_the_others_waiting(
    bench: Bench, web: Web
) -> None:
    giver = bench.account("giver")
    created = keypair("created by the giver").public_key
    envelope = bench.builder(giver, fee=10_000_000).append_create_account_op(created, "5").build()
    envelope.sign(giver)
    bench.accept(envelope)
    names = ["first", "created by the giver", "last"]
    answers = web.run(lambda client: fund(client, bench, *names))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all(bench.entry(keypair(name)) is not None for name in names)


def test_friendbot_answers_though_the_main_node_lags_behind(bench: Bench, web: Web) -> None:
    bench.devnet.change_node("main", {"stalled": True})
    (answer,) = web.run(lambda client: fund(client, bench, "new"))
    assert answer.json()["successful"] is True
    assert len(answer.json()["hash"]) == 64


def test_friendbot_refuses_an_account_that_exists(bench: Bench, web: Web) -> None:
    answer = web.get("/friendbot", params={"addr": bench.account("known").public_key})
    assert answer.status_code == 400
    assert answer.json()["detail"] == "createAccountAlreadyExist"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, "is not a G or C address"),
        ("", "is not a G or C address"),
        ("hello", "is not a G or C address"),
        ("G", "is not an address"),
        ("GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "the checksum of"),
        ("Gé" + "A" * 54, "is not an address"),
        ("G" * 50_000, "is not an address"),
        ("\0\n\t", "is not a G or C address"),
        (keypair("x").secret, "looks like a secret seed"),
        (Bench().kale, "friendbot funds accounts, not contracts"),
    ],
    ids=["none", "empty", "word", "short", "checksum", "not ASCII", "long", "control", "seed", "contract"],
)
def test_friendbot_says_what_is_wrong_with_an_address(web: Web, address: str | None, says: str) -> None:
    answer = web.get("/friendbot", params={} if address is None else {"addr": address})
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert answer.json()["hint"] is not None
    assert keypair("x").secret not in answer.text
    assert len(answer.content) < 300


# Admin


def test_the_admin_endpoint_pauses_and_unpauses_the_farm(bench: Bench, web: Web) -> None:
    assert web.admin({"action": "pause"}).json() == {"done": True}
    assert bench.farm.paused
    assert web.admin({"action": "unpause"}).json() == {"done": True}
    assert not bench.farm.paused


def test_the_admin_endpoint_removes_a_block(bench: Bench, web: Web) -> None:
    bench.land(bench.plant(bench.account("farmer", kale=1)))
    assert web.admin({"action": "remove_block", "index": 7}).json() == {"done": False}
    assert bench.block(0) is not None
    assert web.admin({"action": "remove_block", "index": 0}).json() == {"done": True}
    assert bench.block(0) is None


def test_the_admin_endpoint_removes_the_current_block_where_none_is_named(bench: Bench, web: Web) -> None:
    bench.open_block(bench.account("opener", kale=1))
    assert web.admin({"action": "remove_block"}).json() == {"done": True}
    assert bench.ledger.state.get(block_key(bench.kale, 1)) is None


def test_the_admin_endpoint_fills_the_liquidity_pool_which_any_sdk_can_read(bench: Bench, web: Web) -> None:
    filled = {"action": "fill_pool", "xlm_stroops": "500", "kale_stroops": "20000"}
    assert web.admin(filled).json() == {"done": True}
    pair = LiquidityPoolAsset(Asset.native(), Asset(*bench.identity.kale))
    pool = xdr.PoolID.from_xdr_bytes(bytes.fromhex(pair.liquidity_pool_id))
    key = xdr.LedgerKey(xdr.LedgerEntryType.LIQUIDITY_POOL, liquidity_pool=xdr.LedgerKeyLiquidityPool(pool))
    (entry,) = bench.rpc("getLedgerEntries", keys=[key.to_xdr()])["entries"]
    held = xdr.LedgerEntryData.from_xdr(entry["xdr"]).liquidity_pool
    assert held is not None
    assert held.body.constant_product is not None
    product = held.body.constant_product
    assert (product.reserve_a.int64, product.reserve_b.int64) == (500, 20_000)
    assert held.liquidity_pool_id == pool


@pytest.mark.parametrize("amount", [None, 5, "-5", "5.0", "9" * 19, "9" * 5_000])
def test_a_pool_that_cannot_be_is_refused(bench: Bench, web: Web, amount: object) -> None:
    refused = web.admin({"action": "fill_pool", "xlm_stroops": "500", "kale_stroops": amount})
    assert refused.status_code == 400
    assert bench.ledger.state.get(pool_key(bench.identity.kale)) is None


def test_the_admin_endpoint_changes_the_contracts_code(bench: Bench, web: Web) -> None:
    before = bench.ledger._kale_instance().wasm_hash
    done = web.admin({"action": "change_wasm"}).json()["done"]
    assert done == bench.ledger._kale_instance().wasm_hash.hex()
    assert done != before.hex()


def test_the_admin_endpoint_changes_faults_of_a_node_and_of_the_network(bench: Bench, web: Web) -> None:
    assert web.admin({"action": "node", "faults": {"latency_ms": 30}}).json() == {"done": True}
    assert bench.devnet.nodes["main"].faults.latency_ms == 30
    assert web.admin({"action": "node", "node": "main", "faults": {"stalled": True}}).status_code == 200
    assert bench.devnet.nodes["main"].faults.latency_ms == 30
    assert web.admin({"action": "network", "faults": {"late": 1.0, "late_by_s": 2}}).status_code == 200
    assert bench.devnet.draw_lateness() == 2


def test_the_token_is_needed(bench: Bench, web: Web) -> None:
    for token in (None, "", "another", TOKEN + "x", TOKEN[:-1], "é"):
        headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
        answer = web.request("POST", "/admin", json={"action": "pause"}, headers=headers)
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
    assert (
        web.request("POST", "/admin", json={"action": "pause"}, headers={"Authorization": TOKEN}).status_code
        == 401
    )
    assert not bench.farm.paused


def test_a_token_is_drawn_where_none_is_given(bench: Bench) -> None:
    tokens = {Application(bench.devnet).admin_token for _ in range(3)}
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 16


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ([], "send a JSON object"),
        ("pause", "send a JSON object"),
        (None, "send a JSON object"),
        ({"action": "pause", "x": 1}, "send a JSON object"),
        ({}, "the action is one of"),
        ({"action": None}, "the action is one of"),
        ({"action": ["pause"]}, "the action is one of"),
        ({"action": "explode"}, "the action is one of"),
        ({"action": "remove_block", "index": -1}, "index must be"),
        ({"action": "remove_block", "index": 2**32}, "index must be"),
        ({"action": "remove_block", "index": 10**30}, "index must be"),
        ({"action": "remove_block", "index": True}, "index must be"),
        ({"action": "remove_block", "index": "1"}, "index must be"),
        ({"action": "remove_block", "index": 1.5}, "index must be"),
        ({"action": "node"}, "faults must be an object"),
        ({"action": "node", "faults": []}, "faults must be an object"),
        ({"action": "node", "faults": {"latency": 1}}, "there is no fault 'latency'"),
        ({"action": "node", "faults": {"\ud800": 1}}, "there is no fault"),
        ({"action": "node", "faults": {"latency_ms": -1}}, "latency_ms must be between"),
        ({"action": "node", "faults": {"latency_ms": "1"}}, "latency_ms must be a number"),
        ({"action": "node", "faults": {"latency_ms": float("nan")}}, "latency_ms must be between"),
        ({"action": "node", "faults": {"latency_ms": 10**400}}, "latency_ms must be between"),
        ({"action": "node", "faults": {"stalled": 1}}, "stalled must be true or false"),
        ({"action": "node", "faults": {"lag_ledgers": 1.5}}, "lag_ledgers must be a whole number"),
        ({"action": "node", "node": "x", "faults": {}}, "there is no node 'x'"),
        ({"action": "node", "node": [], "faults": {}}, "there is no node"),
        ({"action": "network", "faults": {"late": 2}}, "late must be between"),
        ({"action": "network"}, "faults must be an object"),
    ],
)
def test_a_command_that_is_none_is_refused_with_a_reason(web: Web, command: Any, says: str) -> None:
    body = json.dumps(command).encode()
    answer = web.request("POST", "/admin", content=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"{}" * 400_000])
def test_an_admin_body_that_is_no_json_is_refused(web: Web, body: bytes) -> None:
    answer = web.request("POST", "/admin", content=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 400
    assert "send a JSON object" in answer.json()["error"]


# Who may come in


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8000", "localhost", "localhost:1", "LocalHost:8000", "[::1]", "[::1]:8000"],
)
def test_this_machine_may_come_in(web: Web, host: str) -> None:
    assert web.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":8000",
        "example.com",
        "example.com:8000",
        "127.0.0.1.example.com",
        "localhost.example.com:8000",
        "127.0.0.1:8000:8000",
        "127.0.0.1@example.com",
        "::1",
        "[::2]:8000",
        "[::1].example.com",
        "0.0.0.0:8000",
        "10.0.0.1:8000",
        "\xff",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("POST", "/"), ("GET", "/friendbot"), ("POST", "/admin")]
)
def test_a_name_that_was_made_to_point_here_does_not_come_in(
    web: Web, host: str, method: str, path: str
) -> None:
    answer = web.request(method, path, headers={"Host": host.encode("latin-1")})
    assert answer.status_code == 403
    assert "Host header" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "http://example.com:8000"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "http://127.0.0.1:8000.example.com"},
        {"Origin": "http://example.com/127.0.0.1:8000"},
        {"Origin": "http://["},
        {"Origin": "127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "anything"},
        {"Origin": f"{URL}", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_web_page_does_not_come_in(bench: Bench, web: Web, headers: dict[str, str]) -> None:
    address = keypair("new").public_key
    asked = web.get("/friendbot", params={"addr": address}, headers=headers)
    called = web.request("POST", "/", content=HEALTH, headers=headers)
    ordered = web.request(
        "POST", "/admin", json={"action": "pause"}, headers=headers | {"Authorization": f"Bearer {TOKEN}"}
    )
    for answer in (asked, called, ordered):
        assert answer.status_code == 403
        assert "web pages" in answer.json()["error"]
        assert "access-control-allow-origin" not in answer.headers
    bench.close()
    assert bench.ledger.state.get(account_key(address)) is None
    assert not bench.farm.paused


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": URL},
        {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_the_networks_own_pages_and_typed_addresses_come_in(web: Web, headers: dict[str, str]) -> None:
    assert web.get("/", headers=headers).status_code == 200


def test_a_preflight_of_a_web_page_is_not_granted(web: Web) -> None:
    answer = web.request(
        "OPTIONS", "/", headers={"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    )
    assert answer.status_code == 403


# What is not there


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/nothing", 404),
        ("GET", "/nodes", 404),
        ("POST", "/nodes/other", 404),
        ("POST", "/nodes/a/b", 404),
        ("POST", "/nodes/%00", 404),
        ("GET", "/../etc/passwd", 404),
        ("PUT", "/", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "/", 405),
        ("GET", "/admin", 405),
        ("GET", "/nodes/main", 405),
        ("PUT", "/friendbot", 405),
    ],
)
def test_what_is_not_there_is_said_in_json(web: Web, method: str, path: str, status: int) -> None:
    answer = web.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json()["error"], str)
    assert ("allow" in answer.headers) == (status == 405)


def test_the_main_node_is_served_under_its_name_too(web: Web) -> None:
    assert web.post(HEALTH, "/nodes/main").json() == web.post(HEALTH).json()


def test_a_websocket_is_left_alone(web: Web) -> None:
    sent: list[Any] = []

    async def talk() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await web.application({"type": "websocket", "headers": []}, receive, send)

    clock.run(talk())
    assert sent == []
