"""Bad input gets the JSON-RPC error that a node would give: no HTTP 500, no exception, no hang."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from typing import Any

import pytest
from stellar_sdk import Address, ExtendFootprintTTL, SorobanDataBuilder, TransactionEnvelope, scval, xdr
from stellar_sdk.fee_bump_transaction import FeeBumpTransaction
from stellar_sdk.fee_bump_transaction_envelope import FeeBumpTransactionEnvelope

from kalepool.devnet.jsonrpc import MAX_BODY_BYTES
from kalepool.devnet.rpc import _remembered_key
from kalepool.xdr.keys import account_key, instance_key
from support.devnet import Bench, plant_arguments, refusal, signed_envelope
from support.web import Web, call

PARSE, REQUEST, METHOD, PARAMS = -32700, -32600, -32601, -32602
HEALTH = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
NOTIFICATION = {"jsonrpc": "2.0", "method": "getHealth"}


def code_of(answer: Any) -> int:
    """Give the error code of a failure that has all its parts and no others."""
    assert answer.keys() == {"jsonrpc", "id", "error"}
    assert answer["jsonrpc"] == "2.0"
    assert answer["error"].keys() == {"code", "message"}
    assert isinstance(answer["error"]["message"], str)
    code = answer["error"]["code"]
    assert isinstance(code, int)
    return code


# Bodies


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", PARSE, id="empty"),
        pytest.param(b"   ", PARSE, id="blank"),
        pytest.param(b"getHealth", PARSE, id="no JSON"),
        pytest.param(b'{"jsonrpc":"2.0"', PARSE, id="cut short"),
        pytest.param(json.dumps(HEALTH).encode() + b"{}", PARSE, id="something behind it"),
        pytest.param(b"{'jsonrpc': '2.0'}", PARSE, id="single quotes"),
        pytest.param(b'{"jsonrpc":"2.0","id":NaN,"method":"getHealth"}', PARSE, id="NaN"),
        pytest.param(b'{"jsonrpc":"2.0","id":Infinity,"method":"getHealth"}', PARSE, id="Infinity"),
        pytest.param(b'{"jsonrpc":"2.0","id":1e400,"method":"getHealth"}', PARSE, id="beyond a double"),
        pytest.param(
            b'{"jsonrpc":"2.0","id":' + b"9" * 100_000 + b',"method":"getHealth"}', PARSE, id="huge id"
        ),
        pytest.param(b"\xff\xfe\x00", PARSE, id="no UTF-8"),
        pytest.param(json.dumps(HEALTH).encode("utf-16"), PARSE, id="UTF-16"),
        pytest.param(b"[" * 200_000, PARSE, id="200,000 arrays opened"),
        pytest.param(b'{"a":' * 90_000, PARSE, id="90,000 objects opened"),
        pytest.param(b"[" * 200_000 + b"]" * 200_000, PARSE, id="200,000 arrays in each other"),
        pytest.param(b" " * (MAX_BODY_BYTES + 1), REQUEST, id="too large"),
        pytest.param(b"null", REQUEST, id="null"),
        pytest.param(b"1", REQUEST, id="a number"),
        pytest.param(b'"getHealth"', REQUEST, id="a string"),
        pytest.param(b"{}", REQUEST, id="an empty object"),
        pytest.param(b"[]", REQUEST, id="an empty batch"),
    ],
)
def test_a_body_that_is_no_request_gets_one_error_without_an_id(bench: Bench, body: bytes, code: int) -> None:
    answer = bench.post(body)
    assert code_of(answer) == code
    assert answer["id"] is None
    over_http = Web(bench.devnet).post(body)
    assert over_http.status_code == (413 if len(body) > MAX_BODY_BYTES else 200)
    assert over_http.headers["content-type"] == "application/json"
    assert code_of(over_http.json()) == code


def test_a_body_of_10_mb_is_refused_without_being_parsed(bench: Bench) -> None:
    answer = Web(bench.devnet).post(b"[" + b"1," * 5_000_000 + b"1]")
    assert answer.status_code == 413
    assert code_of(answer.json()) == REQUEST


def test_the_largest_body_is_still_read(bench: Bench) -> None:
    body = json.dumps(HEALTH).encode().ljust(MAX_BODY_BYTES)
    assert Web(bench.devnet).post(body).json()["result"]["status"] == "healthy"


# Requests


@pytest.mark.parametrize(
    ("changed", "code", "identity"),
    [
        pytest.param({"jsonrpc": "1.0"}, REQUEST, 1, id="JSON-RPC 1.0"),
        pytest.param({"jsonrpc": 2.0}, REQUEST, 1, id="a number for a version"),
        pytest.param({"jsonrpc": None}, REQUEST, 1, id="no version"),
        pytest.param({"method": None}, REQUEST, 1, id="no method"),
        pytest.param({"method": 7}, REQUEST, 1, id="a number for a method"),
        pytest.param({"method": ["getHealth"]}, REQUEST, 1, id="an array for a method"),
        pytest.param({"method": ""}, METHOD, 1, id="an empty method"),
        pytest.param({"method": "gethealth"}, METHOD, 1, id="a method in other letters"),
        pytest.param({"method": "__class__"}, METHOD, 1, id="a method of the language"),
        pytest.param({"method": "getLedgers"}, METHOD, 1, id="a method not on this network"),
        pytest.param({"params": "x"}, REQUEST, 1, id="a string for parameters"),
        pytest.param({"params": 0}, REQUEST, 1, id="a number for parameters"),
        pytest.param({"params": False}, REQUEST, 1, id="a boolean for parameters"),
        pytest.param({"params": []}, PARAMS, 1, id="parameters by position"),
        pytest.param({"param": {}}, REQUEST, 1, id="a field too many"),
        pytest.param({"id": True}, REQUEST, None, id="a boolean for an id"),
        pytest.param({"id": [1]}, REQUEST, None, id="an array for an id"),
        pytest.param({"id": {"a": 1}}, REQUEST, None, id="an object for an id"),
    ],
)
def test_an_invalid_request_is_refused_under_its_own_id(
    bench: Bench, changed: dict[str, Any], code: int, identity: int | None
) -> None:
    answer = bench.post(json.dumps(HEALTH | changed).encode())
    assert code_of(answer) == code
    assert answer["id"] == identity


@pytest.mark.parametrize(
    "identity",
    [0, -1, 1.5, 1e300, 2**53 + 1, 2**80, "", "1", "ä\U0001f33f", "\ud800", "x" * 10_000],
    ids=lambda identity: repr(identity)[:20],
)
def test_an_id_comes_back_as_it_was_given(bench: Bench, identity: Any) -> None:
    answer = bench.post(json.dumps(HEALTH | {"id": identity}).encode())
    assert answer["id"] == identity
    assert type(answer["id"]) is type(identity)
    assert answer["result"]["status"] == "healthy"


def test_parameters_of_null_are_none(bench: Bench) -> None:
    assert bench.post(json.dumps(HEALTH | {"params": None}).encode())["result"]["status"] == "healthy"


# Notifications


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(NOTIFICATION, id="one"),
        pytest.param(NOTIFICATION | {"id": None}, id="one with an id of null"),
        pytest.param(NOTIFICATION | {"method": "unknown"}, id="one of an unknown method"),
        pytest.param({"jsonrpc": "2.0", "method": "getTransaction", "params": {}}, id="one that fails"),
        pytest.param([NOTIFICATION] * 10, id="ten"),
    ],
)
def test_a_notification_is_not_answered_not_even_with_an_error(bench: Bench, body: Any) -> None:
    raw = json.dumps(body).encode()
    assert bench.post(raw) is None
    answer = Web(bench.devnet).post(raw)
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_notification_is_carried_out(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=1)
    envelope = bench.plant(farmer)
    request = call("sendTransaction", {"transaction": envelope.to_xdr()})
    del request["id"]
    assert bench.post(json.dumps(request).encode()) is None
    assert bench.send(envelope)["status"] == "DUPLICATE"


def test_an_invalid_request_without_an_id_is_no_notification(bench: Bench) -> None:
    assert code_of(bench.post(json.dumps(NOTIFICATION | {"jsonrpc": "1.0"}).encode())) == REQUEST


# Batches


def test_a_batch_of_10_is_answered_in_its_order(bench: Bench) -> None:
    batch = [HEALTH | {"id": number} for number in range(10)]
    assert [answer["id"] for answer in bench.post(json.dumps(batch).encode())] == list(range(10))


def test_a_batch_of_11_is_refused_whole(bench: Bench) -> None:
    answer = bench.post(json.dumps([HEALTH] * 11).encode())
    assert code_of(answer) == REQUEST


def test_bad_calls_do_not_spoil_the_others_of_a_batch(bench: Bench) -> None:
    batch = [HEALTH, 1, None, [HEALTH], NOTIFICATION, {}, HEALTH | {"id": 2, "method": "x"}]
    answers = bench.post(json.dumps(batch).encode())
    assert answers[0]["result"]["status"] == "healthy"
    assert [code_of(answer) for answer in answers[1:]] == [REQUEST, REQUEST, REQUEST, REQUEST, METHOD]
    assert [answer["id"] for answer in answers[1:]] == [None, None, None, None, 2]


# Parameters

HASH = "ab" * 32
WRONG_PARAMETERS: list[tuple[str, dict[str, Any]]] = [
    ("getLedgerEntries", {}),
    ("getLedgerEntries", {"keys": None}),
    ("getLedgerEntries", {"keys": "AAAA"}),
    ("getLedgerEntries", {"keys": {}}),
    ("getLedgerEntries", {"keys": [1]}),
    ("getLedgerEntries", {"keys": [None]}),
    ("getLedgerEntries", {"keys": [["AAAA"]]}),
    ("getLedgerEntries", {"keys": [""]}),
    ("getLedgerEntries", {"keys": ["AAAA"]}),
    ("getLedgerEntries", {"keys": ["not base64"]}),
    ("getLedgerEntries", {"keys": ["ä"]}),
    ("getLedgerEntries", {"keys": ["A" * 100_000]}),
    ("getLedgerEntries", {"keys": ["AAAA"] * 201}),
    ("getLedgerEntries", {"keys": [], "xdrFormat": "json"}),
    ("getLedgerEntries", {"keys": [], "xdrFormat": 1}),
    ("getTransaction", {}),
    ("getTransaction", {"hash": 5}),
    ("getTransaction", {"hash": ""}),
    ("getTransaction", {"hash": "ab"}),
    ("getTransaction", {"hash": "x" * 64}),
    ("getTransaction", {"hash": "ä" * 64}),
    ("getTransaction", {"hash": HASH[:-1] + " "}),
    ("getTransaction", {"hash": " " + HASH[:62] + " "}),
    ("sendTransaction", {}),
    ("sendTransaction", {"transaction": None}),
    ("sendTransaction", {"transaction": 1}),
    ("sendTransaction", {"transaction": ""}),
    ("sendTransaction", {"transaction": "AAAA"}),
    ("sendTransaction", {"transaction": "****"}),
    ("sendTransaction", {"transaction": "A" * 400_000}),
    ("simulateTransaction", {}),
    ("simulateTransaction", {"transaction": []}),
    ("simulateTransaction", {"transaction": "AAAA", "resourceConfig": 5}),
    ("simulateTransaction", {"transaction": "AAAA", "resourceConfig": {"instructionLeeway": -1}}),
    ("simulateTransaction", {"transaction": "AAAA", "resourceConfig": {"instructionLeeway": 2**32}}),
    ("simulateTransaction", {"transaction": "AAAA", "resourceConfig": {"instructionLeeway": 1.5}}),
    ("simulateTransaction", {"transaction": "AAAA", "resourceConfig": {"instructionLeeway": "1"}}),
    ("simulateTransaction", {"transaction": "AAAA", "useUpgradedAuth": 1}),
    ("getTransactions", {"startLedger": "1"}),
    ("getTransactions", {"startLedger": -1}),
    ("getTransactions", {"startLedger": 2**32}),
    ("getTransactions", {"startLedger": True}),
    ("getTransactions", {"startLedger": 1.0}),
    ("getTransactions", {"startLedger": 1, "pagination": 5}),
    ("getTransactions", {"startLedger": 1, "pagination": {"limit": -1}}),
    ("getTransactions", {"startLedger": 1, "pagination": {"limit": "5"}}),
    ("getTransactions", {"pagination": {"cursor": 5}}),
    ("getTransactions", {"pagination": {"cursor": "x"}}),
    ("getTransactions", {"pagination": {"cursor": "-1"}}),
    ("getTransactions", {"pagination": {"cursor": "9" * 30}}),
    ("getTransactions", {"pagination": {"cursor": "\u0661"}}),
    ("getEvents", {}),
    ("getEvents", {"startLedger": 0}),
    ("getEvents", {"startLedger": -5}),
    ("getEvents", {"startLedger": "1"}),
    ("getEvents", {"startLedger": 1, "pagination": {"cursor": "0000000000000000001-0000000000"}}),
    ("getEvents", {"pagination": {"cursor": "x"}}),
    ("getEvents", {"pagination": {"cursor": 1}}),
    ("getEvents", {"pagination": {"cursor": "1-" + "9" * 40}}),
    ("getEvents", {"startLedger": 1, "pagination": {"limit": 10_001}}),
    ("getEvents", {"startLedger": 1, "filters": {}}),
    ("getEvents", {"startLedger": 1, "filters": [1]}),
    ("getEvents", {"startLedger": 1, "filters": [{}] * 6}),
    ("getEvents", {"startLedger": 1, "filters": [{"type": "diagnostic"}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"type": 1}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"contractIds": "C"}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"contractIds": ["C"]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"contractIds": [1]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"contractIds": [""] * 6}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": "x"}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": ["x"]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": [[]]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": [["*"] * 5]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": [["**", "*"]]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": [["AAAA"]]}]}),
    ("getEvents", {"startLedger": 1, "filters": [{"topics": [["*"]] * 6}]}),
]


@pytest.mark.parametrize(
    ("method", "params"), WRONG_PARAMETERS, ids=[f"{name} {params}"[:70] for name, params in WRONG_PARAMETERS]
)
def test_wrong_parameters_are_refused_as_such(bench: Bench, method: str, params: dict[str, Any]) -> None:
    request = call(method, params)
    answer = bench.post(json.dumps(request).encode())
    assert code_of(answer) == PARAMS
    assert answer["id"] == 1


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("getTransactions", {}),
        ("getTransactions", {"startLedger": 2**32 - 1}),
        ("getTransactions", {"startLedger": 1, "pagination": {"limit": 201}}),
        ("getTransactions", {"startLedger": 1, "pagination": {"cursor": "1"}}),
        ("getEvents", {"startLedger": 2**32 - 1}),
    ],
)
def test_a_range_that_the_node_does_not_have_is_an_invalid_request(
    bench: Bench, method: str, params: dict[str, Any]
) -> None:
    assert bench.rpc_error(method, **params)[0] == REQUEST


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("getLedgerEntries", {"keys": [], "xdrFormat": None}),
        ("getTransactions", {"startLedger": 1, "pagination": None}),
        ("getTransactions", {"startLedger": 1, "pagination": {"cursor": None, "limit": None}}),
        ("getTransactions", {"startLedger": 1, "pagination": {"cursor": ""}}),
        ("getEvents", {"startLedger": 1, "endLedger": None, "filters": None, "pagination": None}),
        ("getEvents", {"startLedger": 1, "filters": [{"type": None, "contractIds": None, "topics": None}]}),
        ("getHealth", {"whatever": 1}),
    ],
)
def test_null_is_the_same_as_nothing_and_unknown_parameters_are_passed_over(
    bench: Bench, method: str, params: dict[str, Any]
) -> None:
    assert isinstance(bench.rpc(method, **params), dict)


def test_ttl_keys_are_refused(bench: Bench) -> None:
    key = xdr.LedgerKey(xdr.LedgerEntryType.TTL, ttl=xdr.LedgerKeyTtl(xdr.Hash(bytes(32))))
    code, message = bench.rpc_error("getLedgerEntries", keys=[key.to_xdr()])
    assert code == PARAMS
    assert "ttl entries cannot be queried" in message


def test_keys_with_something_behind_them_are_refused(bench: Bench) -> None:
    raw = xdr.LedgerKey.from_xdr_bytes(account_key(bench.identity.friendbot.public_key))
    longer = raw.to_xdr_bytes() + bytes(3)
    key64 = base64.b64encode(longer).decode()
    assert bench.rpc_error("getLedgerEntries", keys=[key64])[0] == PARAMS


# Values in transactions


def nested(depth: int) -> xdr.SCVal:
    """Give vectors in each other."""
    value = scval.to_void()
    for _ in range(depth):
        value = scval.to_vec([value])
    return value


@pytest.mark.parametrize("depth", [1, 10, 100, 200, 240, 250, 251, 252, 253, 254, 255, 256, 300, 320])
def test_deeply_nested_values_are_either_simulated_or_undecodable(bench: Bench, depth: int) -> None:
    farmer = bench.account("farmer")
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", [nested(depth)]).to_xdr()
    assert bench.rpc("simulateTransaction", transaction=envelope)["error"]
    request = call("sendTransaction", {"transaction": envelope})
    answer = bench.post(json.dumps(request).encode())
    assert answer["result"]["status"] == "ERROR" if "result" in answer else code_of(answer) == PARAMS


ODD_VALUES = {
    "a vector without its items": xdr.SCVal(xdr.SCValType.SCV_VEC, vec=None),
    "a map without its entries": xdr.SCVal(xdr.SCValType.SCV_MAP, map=None),
    "a map with a vector for a key": xdr.SCVal(
        xdr.SCValType.SCV_MAP, map=xdr.SCMap([xdr.SCMapEntry(scval.to_vec([]), scval.to_void())])
    ),
    "the key of an instance": xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE),
    "the key of a nonce": xdr.SCVal(
        xdr.SCValType.SCV_LEDGER_KEY_NONCE, nonce_key=xdr.SCNonceKey(xdr.Int64(-1))
    ),
    "a string that is no UTF-8": scval.to_string(b"\xff\xfe"),
    "an error": xdr.SCVal(
        xdr.SCValType.SCV_ERROR, error=xdr.SCError(xdr.SCErrorType.SCE_CONTRACT, contract_code=xdr.Uint32(7))
    ),
    "256 bits": scval.to_uint256(2**256 - 1),
}


@pytest.mark.parametrize("odd", ODD_VALUES)
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("function", ["plant", "work", "harvest", "nothing of the kind"])
def test_odd_arguments_trap_and_are_worded_in_the_log(
    bench: Bench, odd: str, inside: bool, function: str
) -> None:
    value = scval.to_vec([ODD_VALUES[odd]]) if inside else ODD_VALUES[odd]
    envelope = bench.unsigned_call(bench.account("farmer"), bench.kale, function, [value])
    result = bench.simulate(envelope)
    assert result["error"].startswith("HostError: Error(WasmVm, ")
    assert "fn_call" in result["error"]


def test_the_largest_leeway_stays_within_32_bits(bench: Bench) -> None:
    farmer = bench.account("farmer")
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", plant_arguments(farmer, 0))
    result = bench.simulate(envelope, resourceConfig={"instructionLeeway": 2**32 - 1})
    data = xdr.SorobanTransactionData.from_xdr(result["transactionData"])
    assert data.resources.instructions.uint32 == 2**32 - 1


def test_extending_by_the_largest_number_of_ledgers_is_simulated(bench: Bench) -> None:
    farmer = bench.account("farmer")
    key = xdr.LedgerKey.from_xdr_bytes(instance_key(bench.kale))
    data = SorobanDataBuilder().set_read_only([key]).build()
    operation = ExtendFootprintTTL(2**32 - 1)
    envelope = bench.builder(farmer).append_operation(operation).set_soroban_data(data).build()
    assert int(bench.simulate(envelope)["minResourceFee"]) > 0


def plant_with_resource_fee(bench: Bench, fee: int) -> TransactionEnvelope:
    """Give a signed plant that declares this resource fee."""
    farmer = bench.account("farmer")
    envelope = bench.unsigned_call(farmer, bench.kale, "plant", plant_arguments(farmer, 0))
    envelope.transaction.soroban_data = SorobanDataBuilder().set_resource_fee(fee).build()
    envelope.sign(farmer)
    return envelope


@pytest.mark.parametrize("fee", [-(2**63), -1, 2**50 + 1, 2**63 - 1])
def test_a_resource_fee_out_of_range_is_malformed(bench: Bench, fee: int) -> None:
    assert refusal(bench.send(plant_with_resource_fee(bench, fee))) == "txMALFORMED"


@pytest.mark.parametrize("fee", [-(2**63), -1, 2**50 + 1, 2**63 - 1])
def test_a_fee_bump_over_such_a_resource_fee_is_malformed_too(bench: Bench, fee: int) -> None:
    payer = bench.account("payer")
    bump = FeeBumpTransaction(payer, 10_000, plant_with_resource_fee(bench, 0))
    assert bump.inner_transaction_envelope.transaction.soroban_data is not None
    bump.inner_transaction_envelope.transaction.soroban_data.resource_fee = xdr.Int64(fee)
    envelope = FeeBumpTransactionEnvelope(bump, bench.passphrase)
    envelope.sign(payer)
    assert refusal(bench.send(envelope)) == "inner txMALFORMED"


def test_a_negative_fee_of_a_fee_bump_is_malformed(bench: Bench) -> None:
    payer = bench.account("payer")
    bump = FeeBumpTransaction(payer, 10_000, plant_with_resource_fee(bench, 100))
    bump.fee = -(2**63)
    envelope = FeeBumpTransactionEnvelope(bump, bench.passphrase)
    envelope.sign(payer)
    assert "txMALFORMED" in refusal(bench.send(envelope))


@pytest.mark.parametrize(
    "code",
    [
        b"\xff\xff\xff\xff",
        bytes(4),
        b"A\0B\0",
        b"A B\0",
        b"\xff" * 12,
        b"KALE" + bytes(8),
        b"KALE,KALE" + bytes(3),
    ],
)
@pytest.mark.parametrize("operation", ["PAYMENT", "CHANGE_TRUST"])
def test_an_asset_code_that_cannot_be_is_malformed(bench: Bench, code: bytes, operation: str) -> None:
    farmer = bench.account("farmer")
    issuer = bench.identity.issuer.xdr_account_id()
    asset: dict[str, Any] = (
        {"alpha_num4": xdr.AlphaNum4(xdr.AssetCode4(code), issuer)}
        if len(code) == 4
        else {"alpha_num12": xdr.AlphaNum12(xdr.AssetCode12(code), issuer)}
    )
    kind = (
        xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4
        if len(code) == 4
        else xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12
    )
    receiver, amount = bench.identity.issuer.xdr_muxed_account(), xdr.Int64(1)
    if operation == "PAYMENT":
        body = xdr.OperationBody(
            xdr.OperationType.PAYMENT, payment_op=xdr.PaymentOp(receiver, xdr.Asset(kind, **asset), amount)
        )
    else:
        line = xdr.ChangeTrustAsset(kind, **asset)
        body = xdr.OperationBody(
            xdr.OperationType.CHANGE_TRUST, change_trust_op=xdr.ChangeTrustOp(line, amount)
        )
    tx = bench.builder(farmer).append_bump_sequence_op(0).build().transaction.to_xdr_object()
    tx.operations = [xdr.Operation(None, body)]
    answer = bench.rpc("sendTransaction", transaction=signed_envelope(bench, tx.to_xdr_bytes(), farmer))
    assert refusal(answer) == "txFAILED"
    (result,) = xdr.TransactionResult.from_xdr(answer["errorResultXdr"]).result.results or []
    assert result.tr is not None
    code_of_it = result.tr.payment_result or result.tr.change_trust_result
    assert code_of_it is not None
    assert code_of_it.code.name == f"{operation}_MALFORMED"


# What may cost a lot


def test_a_call_that_would_run_for_ever_ends_with_its_budget(bench: Bench) -> None:
    farmer = bench.account("farmer")
    pails = scval.to_vec([scval.to_uint32(index) for index in range(10_000)])
    envelope = bench.unsigned_call(
        farmer, bench.tractor, "harvest", [scval.to_address(farmer.public_key), pails]
    )
    result = bench.simulate(envelope)
    assert result["error"].startswith("HostError: Error(Budget, ExceededLimit)")
    # 400 million instructions are some hundred calls, each with two lines in the log.
    assert len(result["events"]) < 3_000


def test_more_instructions_than_declared_fail_as_a_resource_limit(bench: Bench) -> None:
    bench.open_block(bench.account("opener", kale=0))
    farmer = bench.account("farmer", kale=1)
    envelope = bench.plant(farmer)
    data = envelope.transaction.soroban_data
    assert data is not None
    data.resources.instructions = xdr.Uint32(1_000)
    envelope.signatures.clear()
    envelope.sign(farmer)
    applied = bench.land(envelope)
    assert applied.result.operations[0].code.name == "INVOKE_HOST_FUNCTION_RESOURCE_LIMIT_EXCEEDED"


def length_bombs() -> dict[str, tuple[type[Any], bytes]]:
    """Give XDR whose lengths promise far more than follows."""
    most = b"\xff\xff\xff\xff"
    vector = xdr.SCValType.SCV_VEC.value.to_bytes(4, "big") + b"\0\0\0\1" + most
    text = xdr.SCValType.SCV_BYTES.value.to_bytes(4, "big") + most
    contract = xdr.LedgerEntryType.CONTRACT_DATA.value.to_bytes(4, "big") + b"\0\0\0\1" + bytes(32)
    return {"a vector": (xdr.LedgerKey, contract + vector), "bytes": (xdr.LedgerKey, contract + text)}


@pytest.mark.parametrize("bomb", length_bombs())
@pytest.mark.parametrize("padding", [0, 1_000, 300_000])
def test_a_length_that_promises_gigabytes_is_undecodable(bench: Bench, bomb: str, padding: int) -> None:
    key64 = base64.b64encode(length_bombs()[bomb][1] + bytes(padding)).decode()
    tracemalloc.start()
    try:
        began = time.perf_counter()
        code, _ = bench.rpc_error("getLedgerEntries", keys=[key64])
        took, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert code == PARAMS
    assert took < 20
    assert peak < 200_000_000


def test_long_keys_are_not_remembered(bench: Bench) -> None:
    value = scval.to_bytes(bytes(100_000))
    data = xdr.LedgerKeyContractData(
        scval.to_address(bench.kale).address,  # type: ignore[arg-type]
        value,
        xdr.ContractDataDurability.TEMPORARY,
    )
    key64 = xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=data).to_xdr()
    before = _remembered_key.cache_info().currsize
    assert bench.rpc("getLedgerEntries", keys=[key64])["entries"] == []
    assert _remembered_key.cache_info().currsize == before


# Entries


def test_every_entry_of_a_new_network_can_be_read(bench: Bench) -> None:
    """Instances of all contracts, their code and the network's own accounts."""
    keys = [base64.b64encode(entry.key).decode() for entry in bench.ledger.state]
    found = bench.rpc("getLedgerEntries", keys=keys)["entries"]
    assert [entry["key"] for entry in found] == keys
    for entry in found:
        assert xdr.LedgerEntryData.from_xdr(entry["xdr"]).to_xdr() == entry["xdr"]


def test_the_asset_contract_says_what_it_stands_for(bench: Bench) -> None:
    key64 = base64.b64encode(instance_key(bench.sac)).decode()
    (entry,) = bench.rpc("getLedgerEntries", keys=[key64])["entries"]
    data = xdr.LedgerEntryData.from_xdr(entry["xdr"]).contract_data
    assert data is not None
    assert data.val.instance is not None
    assert data.val.instance.storage is not None
    storage = data.val.instance.storage.sc_map
    assert [scval.to_native(item.key) for item in storage] == ["METADATA", ["Admin"], ["AssetInfo"]]
    metadata, admin, info = (scval.to_native(item.val) for item in storage)
    assert metadata == {"decimal": 7, "name": bench.identity.kale_name, "symbol": "KALE"}
    assert admin == Address(bench.kale)
    issuer = bench.identity.issuer.raw_public_key()
    assert info == ["AlphaNum4", {"asset_code": "KALE", "issuer": issuer}]
