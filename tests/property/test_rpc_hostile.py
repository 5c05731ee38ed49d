"""Whatever is sent, a node answers JSON-RPC: no exception, no HTTP 500, in bounded time."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stellar_sdk import Asset, FeeBumpTransactionEnvelope, Keypair, TransactionEnvelope, scval, xdr

from kalepool.devnet.entries import Account
from kalepool.xdr.keys import account_key, block_key, instance_key, pail_key, trustline_key
from support.devnet import KALE, Bench, keypair, plant_arguments, sign, signed_envelope
from support.web import Web, call

METHODS = (
    "getHealth",
    "getNetwork",
    "getLatestLedger",
    "getLedgerEntries",
    "simulateTransaction",
    "sendTransaction",
    "getTransaction",
    "getTransactions",
    "getFeeStats",
    "getEvents",
    "getVersionInfo",
)
CODES = {-32700, -32600, -32601, -32602}
STATUSES = {"PENDING", "DUPLICATE", "TRY_AGAIN_LATER", "ERROR"}
FARMER = keypair("farmer")

hostile = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def network() -> Bench:
    """A network on which something has happened: plants, works, a block opened, a harvest."""
    bench = Bench()
    farmer = bench.account("farmer", kale=100)
    bench.land(bench.plant(farmer, KALE))
    bench.close(3)
    bench.land(bench.work(farmer, bench.proof(farmer)))
    bench.open_block(bench.account("opener", kale=1))
    bench.land(bench.harvest(farmer, 0))
    return bench


def check(bench: Bench, body: bytes) -> Any:
    """Insist on a JSON-RPC answer, the same from the node and over HTTP; give it."""
    raw = bench.devnet.rpcs["main"].handle(body)
    answer = None if raw is None else json.loads(raw, parse_constant=pytest.fail)
    for one in answer if isinstance(answer, list) else [] if answer is None else [answer]:
        assert one["jsonrpc"] == "2.0"
        assert one.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
        if "error" in one:
            assert one["error"]["code"] in CODES
    over_http = Web(bench.devnet).post(body)
    assert over_http.status_code == (204 if answer is None else 200)
    if isinstance(answer, dict):
        assert over_http.json().keys() == answer.keys()
    return answer


def ask(bench: Bench, method: str, /, **params: Any) -> Any:
    return check(bench, json.dumps(call(method, params)).encode())


# Random bodies

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["2.0", *METHODS, "base64", "record", "*", "**", "contract", "AAAA"])
    | st.sampled_from([-1, 0, 1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**400])
)
names = st.sampled_from(
    [
        "jsonrpc",
        "id",
        "method",
        "params",
        "keys",
        "transaction",
        "hash",
        "startLedger",
        "endLedger",
        "pagination",
        "cursor",
        "limit",
        "filters",
        "type",
        "topics",
        "contractIds",
        "xdrFormat",
        "authMode",
        "resourceConfig",
        "instructionLeeway",
        "useUpgradedAuth",
    ]
) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(names, inner, max_size=6),
    max_leaves=15,
)


@hostile
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(network: Bench, body: bytes) -> None:
    check(network, body)


@hostile
@given(values)
def test_any_json_is_answered(network: Bench, value: Any) -> None:
    check(network, json.dumps(value).encode())


@hostile
@given(st.sampled_from(METHODS), st.dictionaries(names, values, max_size=5))
def test_any_parameters_of_any_method_are_answered(network: Bench, method: str, params: Any) -> None:
    answer = ask(network, method, **params)
    assert answer["id"] == 1 or answer["error"]["code"] == -32700  # NaN is no JSON


# Real requests, mutated


def real_requests(bench: Bench) -> list[dict[str, Any]]:
    """Give requests as clients send them, all of which succeed."""
    farmer = FARMER.public_key
    keys = [
        instance_key(bench.kale),
        block_key(bench.kale, 1),
        pail_key(bench.kale, farmer, 1),
        account_key(farmer),
        trustline_key(farmer, bench.identity.kale),
    ]
    applied = next(iter(bench.ledger.by_hash))
    plant = bench.unsigned_call(FARMER, bench.kale, "plant", plant_arguments(FARMER, KALE)).to_xdr()
    symbol = scval.to_symbol("mint").to_xdr()
    return [
        call(
            "getLedgerEntries",
            {"keys": [base64.b64encode(key).decode() for key in keys], "xdrFormat": "base64"},
        ),
        call("getTransaction", {"hash": applied.hex()}),
        call("getTransactions", {"startLedger": 1, "pagination": {"limit": 3}}),
        call("getTransactions", {"pagination": {"cursor": "8589938689"}}),
        call("getEvents", {"startLedger": 1, "endLedger": 90, "filters": [], "pagination": {"limit": 3}}),
        call(
            "getEvents",
            {
                "startLedger": 1,
                "filters": [
                    {"type": "contract", "contractIds": [bench.sac], "topics": [[symbol, "*", "*"], ["**"]]}
                ],
            },
        ),
        call("getEvents", {"pagination": {"cursor": "0000000008589938688-0000000000"}}),
        call(
            "simulateTransaction",
            {"transaction": plant, "authMode": "record", "resourceConfig": {"instructionLeeway": 1}},
        ),
        call("sendTransaction", {"transaction": plant}),
    ]


@st.composite
def mutated(draw: st.DrawFn, value: Any) -> Any:
    """Change something somewhere in a JSON value."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 9)):
            return {key: item for key, item in value.items() if key != name}
        return value | {name: draw(mutated(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(mutated(value[place])), *value[place + 1 :]]
    if isinstance(value, str) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return value[:place] + draw(st.text(max_size=3)) + value[place + draw(st.integers(0, 3)) :]
    return draw(values)


@settings(hostile, max_examples=300)
@given(st.data())
def test_mutated_requests_are_answered(network: Bench, data: st.DataObject) -> None:
    request = data.draw(st.sampled_from(real_requests(network)))
    for _ in range(data.draw(st.integers(1, 3))):
        request = data.draw(mutated(request))
    check(network, json.dumps(request).encode())


def test_the_requests_to_mutate_succeed_as_they_are(network: Bench) -> None:
    for request in real_requests(network):
        answer = check(network, json.dumps(request).encode())
        assert "error" not in answer
        assert "error" not in answer["result"]


# XDR, mutated


def real_values(bench: Bench) -> list[bytes]:
    """Give the XDR of envelopes and keys as clients send them."""
    opener = keypair("opener")
    plant = bench.plant(FARMER, KALE)
    envelopes: list[TransactionEnvelope | FeeBumpTransactionEnvelope] = [
        plant,
        bench.bump(plant, opener),
        sign(
            bench.builder(FARMER)
            .append_payment_op(opener.public_key, Asset(*bench.identity.kale), "1")
            .build(),
            FARMER,
        ),
        sign(
            bench.builder(FARMER)
            .append_begin_sponsoring_future_reserves_op(opener.public_key)
            .append_create_account_op(keypair("new").public_key, "0")
            .append_change_trust_op(Asset(*bench.identity.kale), source=opener.public_key)
            .append_end_sponsoring_future_reserves_op(opener.public_key)
            .append_bump_sequence_op(5)
            .append_account_merge_op(opener.public_key)
            .add_text_memo("memo")
            .build(),
            FARMER,
            opener,
        ),
        bench.unsigned_call(FARMER, bench.kale, "work", [*plant_arguments(FARMER, 1), scval.to_uint64(1)]),
    ]
    keys = [
        pail_key(bench.kale, FARMER.public_key, 1),
        instance_key(bench.sac),
        account_key(FARMER.public_key),
    ]
    return [base64.b64decode(envelope.to_xdr()) for envelope in envelopes] + keys


@st.composite
def mutated_bytes(draw: st.DrawFn, raw: bytes) -> bytes:
    """Flip bits, cut, double, or put a length where none belongs."""
    changed = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(changed) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "grow", "length", "small", "double"]))
        word = place // 4 * 4
        if kind == "flip" and changed:
            changed[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del changed[word:]
        elif kind == "grow":
            changed[word:word] = draw(st.binary(max_size=12))
        elif kind == "length":
            changed[word : word + 4] = draw(
                st.sampled_from([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\1\0\0"])
            )
        elif kind == "small":
            changed[word : word + 4] = draw(st.integers(0, 30)).to_bytes(4, "big")
        else:
            changed += changed[word:]
    return bytes(changed)


@settings(hostile, max_examples=200)
@given(st.data())
def test_mutated_xdr_is_answered(network: Bench, data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(real_values(network)).flatmap(mutated_bytes))
    text = base64.b64encode(raw).decode()
    assert "id" in ask(network, "getLedgerEntries", keys=[text])
    assert "id" in ask(network, "simulateTransaction", transaction=text)
    assert "id" in ask(network, "getEvents", startLedger=1, filters=[{"topics": [[text]]}])
    sent = ask(network, "sendTransaction", transaction=text)
    assert "error" in sent or sent["result"]["status"] in STATUSES


@hostile
@given(st.binary(max_size=120))
def test_random_xdr_is_answered(network: Bench, raw: bytes) -> None:
    text = base64.b64encode(raw).decode()
    assert ask(network, "getLedgerEntries", keys=[text])["error"]["code"] == -32602
    assert ask(network, "sendTransaction", transaction=text)["error"]["code"] == -32602
    assert "error" in ask(network, "simulateTransaction", transaction=text)["result"]


# Well-formed and signed, but absurd: what passes the decoder and the signatures

i64 = st.sampled_from([-(2**63), -1, 0, 1, 10**7, 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
u32 = st.sampled_from([0, 1, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
addresses = st.sampled_from([FARMER.public_key, keypair("opener").public_key, keypair("nobody").public_key])
codes = (
    st.just(b"KALE" + bytes(8))
    | st.binary(min_size=4, max_size=4)
    | st.binary(min_size=12, max_size=12)
    | st.just(b"KALE")
)
sources = st.none() | addresses


def muxed(address: str) -> xdr.MuxedAccount:
    return keypair_of(address).xdr_muxed_account()


def keypair_of(address: str) -> Keypair:
    return next(keys for keys in map(keypair, ("farmer", "opener", "nobody")) if keys.public_key == address)


def asset_of(code: bytes, issuer: str) -> xdr.Asset:
    account = keypair_of(issuer).xdr_account_id()
    if len(code) == 4:
        return xdr.Asset(
            xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4, alpha_num4=xdr.AlphaNum4(xdr.AssetCode4(code), account)
        )
    return xdr.Asset(
        xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12, alpha_num12=xdr.AlphaNum12(xdr.AssetCode12(code), account)
    )


@st.composite
def operations(draw: st.DrawFn) -> xdr.Operation:
    """Give an operation that nobody would send."""
    kind = xdr.OperationType
    which = draw(
        st.sampled_from(
            [
                kind.CREATE_ACCOUNT,
                kind.PAYMENT,
                kind.CHANGE_TRUST,
                kind.ACCOUNT_MERGE,
                kind.BUMP_SEQUENCE,
                kind.BEGIN_SPONSORING_FUTURE_RESERVES,
                kind.END_SPONSORING_FUTURE_RESERVES,
                kind.INFLATION,
            ]
        )
    )
    target, amount = draw(addresses), xdr.Int64(draw(i64))
    account = keypair_of(target).xdr_account_id()
    asset = asset_of(draw(codes), draw(addresses))
    line = xdr.ChangeTrustAsset(asset.type, alpha_num4=asset.alpha_num4, alpha_num12=asset.alpha_num12)
    arms: dict[xdr.OperationType, dict[str, Any]] = {
        kind.CREATE_ACCOUNT: {"create_account_op": xdr.CreateAccountOp(account, amount)},
        kind.PAYMENT: {"payment_op": xdr.PaymentOp(muxed(target), asset, amount)},
        kind.CHANGE_TRUST: {"change_trust_op": xdr.ChangeTrustOp(line, amount)},
        kind.ACCOUNT_MERGE: {"destination": muxed(target)},
        kind.BUMP_SEQUENCE: {"bump_sequence_op": xdr.BumpSequenceOp(xdr.SequenceNumber(amount))},
        kind.BEGIN_SPONSORING_FUTURE_RESERVES: {
            "begin_sponsoring_future_reserves_op": xdr.BeginSponsoringFutureReservesOp(account)
        },
    }
    source = draw(sources)
    return xdr.Operation(
        None if source is None else muxed(source), xdr.OperationBody(which, **arms.get(which, {}))
    )


@settings(hostile, max_examples=150)
@given(
    st.lists(operations(), min_size=1, max_size=6),
    st.sampled_from([0, 99, 10_000, 2**32 - 1]),
    st.none() | st.binary(max_size=28),
)
def test_absurd_operations_are_judged_and_ledgers_go_on_closing(
    body: list[xdr.Operation], fee: int, memo: bytes | None
) -> None:
    bench = Bench()
    farmer, opener = bench.account("farmer", kale=10), bench.account("opener", kale=10)
    tx = bench.builder(farmer).append_bump_sequence_op(0).build().transaction.to_xdr_object()
    assert isinstance(tx, xdr.Transaction)
    tx.operations, tx.fee = body, xdr.Uint32(fee)
    if memo is not None:
        tx.memo = xdr.Memo(xdr.MemoType.MEMO_TEXT, text=memo)
    needed = {operation.source_account for operation in body}
    signers = [keys for keys in (farmer, opener) if keys is farmer or keys.xdr_muxed_account() in needed]
    answer = ask(bench, "sendTransaction", transaction=signed_envelope(bench, tx.to_xdr_bytes(), *signers))
    assert answer["result"]["status"] in {"PENDING", "ERROR"}
    bench.close(2)
    accounts = [entry.value for entry in bench.ledger.state if isinstance(entry.value, Account)]
    coins = sum(account.balance for account in accounts)
    assert coins + bench.ledger.latest.fee_pool == bench.ledger.latest.total_coins
    found = ask(bench, "getTransaction", hash=answer["result"]["hash"])["result"]
    assert found["status"] in {"SUCCESS", "FAILED", "NOT_FOUND"}
    assert "result" in ask(bench, "getTransactions", startLedger=1)
    assert "result" in ask(bench, "getEvents", startLedger=1, filters=[])


@settings(hostile, max_examples=120)
@given(st.data())
def test_mutated_and_signed_transactions_are_judged_and_ledgers_go_on_closing(data: st.DataObject) -> None:
    bench = Bench()
    farmer = bench.account("farmer", kale=10)
    bench.account("opener", kale=10)
    plant = bench.plant(farmer, KALE).transaction.to_xdr_object()
    raw = data.draw(mutated_bytes(plant.to_xdr_bytes()))
    answer = ask(bench, "sendTransaction", transaction=signed_envelope(bench, raw, farmer))
    bench.close(2)
    if "result" in answer:
        assert answer["result"]["status"] in {"PENDING", "ERROR"}
        found = ask(bench, "getTransaction", hash=answer["result"]["hash"])["result"]
        assert found["status"] in {"SUCCESS", "FAILED", "NOT_FOUND"}


# Any value as an argument

sc_values: st.SearchStrategy[xdr.SCVal] = st.recursive(
    st.just(scval.to_void())
    | st.booleans().map(scval.to_bool)
    | u32.map(scval.to_uint32)
    | i64.map(scval.to_int64)
    | st.integers(0, 2**64 - 1).map(scval.to_uint64)
    | st.integers(-(2**127), 2**127 - 1).map(scval.to_int128)
    | st.integers(0, 2**256 - 1).map(scval.to_uint256)
    | st.binary(max_size=40).map(scval.to_bytes)
    | st.binary(min_size=32, max_size=32).map(scval.to_bytes)
    | st.binary(max_size=20).map(scval.to_string)
    | addresses.map(scval.to_address)
    | st.just(xdr.SCVal(xdr.SCValType.SCV_VEC, vec=None))
    | st.just(xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE)),
    lambda inner: (
        st.lists(inner, max_size=4).map(scval.to_vec)
        | st.lists(st.tuples(inner, inner), max_size=3).map(
            lambda pairs: xdr.SCVal(
                xdr.SCValType.SCV_MAP, map=xdr.SCMap([xdr.SCMapEntry(key, value) for key, value in pairs])
            )
        )
    ),
    max_leaves=6,
)
FUNCTIONS = (
    "plant",
    "work",
    "harvest",
    "pause",
    "unpause",
    "remove_block",
    "transfer",
    "burn",
    "mint",
    "balance",
)


@settings(hostile, max_examples=300)
@given(
    st.sampled_from(FUNCTIONS), st.lists(sc_values, max_size=4), st.sampled_from(["kale", "sac", "tractor"])
)
def test_any_arguments_are_simulated(
    network: Bench, function: str, arguments: list[xdr.SCVal], contract: str
) -> None:
    address = getattr(network, contract)
    envelope = network.unsigned_call(FARMER, address, function, arguments).to_xdr()
    result = ask(network, "simulateTransaction", transaction=envelope)["result"]
    assert "error" in result or int(result["minResourceFee"]) > 0
