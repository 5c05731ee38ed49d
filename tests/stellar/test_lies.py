"""What a node says about money is held against what is known: lies are refused, nonsense is its fault."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stellar_sdk import xdr

from kalepool.adapters.stellar import batches
from kalepool.adapters.stellar.calls import Harvest, Plant
from kalepool.adapters.stellar.templates import SimulationError
from kalepool.core.chain import Sent
from kalepool.errors import RejectedError, RetryableError
from kalepool.xdr.keys import account_key, instance_key, pail_key, trustline_key
from support.devnet import KALE, keypair
from support.stellar import SECOND_URL, URL, Pool
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from stellar_sdk import Keypair


SECOND_PATH = "/nodes/second"


def lie_about(pool: Pool, change: Callable[[dict[str, Any]], None]) -> None:
    """Let every simulation's answer be changed."""

    def patch(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "simulateTransaction":
            change(result)
        return result

    pool.transport.change = patch


def edit(result: dict[str, Any], change: Callable[[xdr.SorobanTransactionData], None]) -> None:
    """Change the resources in a simulation's answer."""
    data = xdr.SorobanTransactionData.from_xdr(result["transactionData"])
    change(data)
    result["transactionData"] = data.to_xdr()
    result["minResourceFee"] = str(data.resource_fee.int64)


@pytest.fixture
def farmer(pool: Pool) -> Keypair:
    return pool.member("farmer", kale=100)


def learn(pool: Pool, farmer: Keypair, stake: int = KALE) -> None:
    run(pool.transactions.learn(Plant(farmer.public_key, stake, 0), farmer.public_key))


def refusal(pool: Pool, farmer: Keypair) -> str:
    with pytest.raises(RejectedError) as caught:
        learn(pool, farmer)
    assert not pool.transactions.knows(Plant(farmer.public_key, KALE, 0))
    return caught.value.message


def test_an_inflated_fee_is_refused(pool: Pool, farmer: Keypair) -> None:
    def inflate(data: xdr.SorobanTransactionData) -> None:
        data.resource_fee = xdr.Int64(50_000_000)

    lie_about(pool, lambda result: edit(result, inflate))
    assert "ceiling" in refusal(pool, farmer)


def test_a_fee_that_two_fields_tell_differently_is_nonsense(pool: Pool, farmer: Keypair) -> None:
    lie_about(pool, lambda result: result.update(minResourceFee="1"))
    with pytest.raises(RetryableError, match="minResourceFee"):
        learn(pool, farmer)


@pytest.mark.parametrize("writes", [False, True], ids=["read", "written"])
def test_a_widened_footprint_is_refused(pool: Pool, farmer: Keypair, *, writes: bool) -> None:
    others = [
        account_key(pool.operator.public_key),
        trustline_key(keypair("victim").public_key, pool.identity.kale),
        pail_key(pool.kale, pool.operator.public_key, 0),
        instance_key(pool.tractor),
    ]
    for key in others:

        def widen(data: xdr.SorobanTransactionData, key: bytes = key) -> None:
            footprint = data.resources.footprint
            keys = footprint.read_write if writes else footprint.read_only
            keys.append(xdr.LedgerKey.from_xdr_bytes(key))

        lie_about(pool, lambda result, widen=widen: edit(result, widen))  # type: ignore[misc]
        assert "an entry that such a call does not need" in refusal(pool, farmer)


def test_a_narrowed_footprint_is_refused(pool: Pool, farmer: Keypair) -> None:
    def narrow(data: xdr.SorobanTransactionData) -> None:
        data.resources.footprint.read_write.pop()

    lie_about(pool, lambda result: edit(result, narrow))
    assert "leaves out the" in refusal(pool, farmer)


def test_an_entry_written_that_is_only_read_is_refused(pool: Pool, farmer: Keypair) -> None:
    def promote(data: xdr.SorobanTransactionData) -> None:
        footprint = data.resources.footprint
        footprint.read_write.append(footprint.read_only.pop())

    lie_about(pool, lambda result: edit(result, promote))
    assert "writes the" in refusal(pool, farmer)


def test_consent_to_a_larger_burn_is_refused(pool: Pool, farmer: Keypair) -> None:
    def enlarge(result: dict[str, Any]) -> None:
        entry = xdr.SorobanAuthorizationEntry.from_xdr(result["results"][0]["auth"][0])
        burn = entry.root_invocation.sub_invocations[0].function.contract_fn
        assert burn is not None and burn.args[1].i128 is not None
        burn.args[1].i128.lo = xdr.Uint64(100 * KALE)
        result["results"][0]["auth"] = [entry.to_xdr()]

    lie_about(pool, enlarge)
    assert "other consent" in refusal(pool, farmer)


def test_consent_where_none_is_needed_is_refused(pool: Pool, farmer: Keypair) -> None:
    consents: list[str] = []
    lie_about(pool, lambda result: consents.extend(result["results"][0]["auth"]))
    learn(pool, farmer)
    pool.land(pool.plant(farmer, KALE))
    pool.close()
    pool.land(pool.work(farmer, pool.proof(farmer)))
    pool.open_block(pool.account("opener", kale=0))
    lie_about(pool, lambda result: result["results"][0].update(auth=consents))
    with pytest.raises(SimulationError, match="other consent"):
        run(pool.transactions.learn(Harvest(farmer.public_key, 0), pool.operator.public_key))


def test_an_archived_entry_in_the_way_is_refused(pool: Pool, farmer: Keypair) -> None:
    lie_about(
        pool, lambda result: result.update(restorePreamble={"minResourceFee": "1", "transactionData": ""})
    )
    assert "archived" in refusal(pool, farmer)


def test_impossible_resources_are_refused(pool: Pool, farmer: Keypair) -> None:
    def grow(data: xdr.SorobanTransactionData) -> None:
        data.resources.instructions = xdr.Uint32(2**32 - 1)

    lie_about(pool, lambda result: edit(result, grow))
    assert "no transaction may have" in refusal(pool, farmer)


def test_an_error_text_cannot_play_with_the_terminal(pool: Pool, farmer: Keypair) -> None:
    lie_about(pool, lambda result: result.update(error="\x1b[2Jall is well\x07" + "x" * 10_000))
    message = refusal(pool, farmer)
    assert message.isprintable()
    assert len(message) < 300


def lie_at(pool: Pool, *paths: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the answers to simulations be changed at some nodes alone."""

    def patch(path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if path in paths and method == "simulateTransaction":
            change(result)
        return result

    pool.transport.change = patch


def test_a_node_that_lies_of_a_call_is_left_for_another_and_not_asked_again(
    pool: Pool, farmer: Keypair
) -> None:
    pool.connect(SECOND_URL, URL)
    lie_at(
        pool,
        SECOND_PATH,
        change=lambda result: edit(
            result, lambda data: data.resources.footprint.read_only.append(_any_key(pool))
        ),
    )
    learn(pool, farmer)
    pool.transport.paths.clear()
    run(pool.chain.tip())
    assert pool.transport.paths == ["/"]


def test_a_node_that_refuses_a_call_which_another_would_carry_out_is_no_liar(
    pool: Pool, farmer: Keypair
) -> None:
    pool.connect(SECOND_URL, URL)
    lie_at(pool, SECOND_PATH, change=lambda result: result.update(error="not in this ledger"))
    learn(pool, farmer)
    pool.transport.paths.clear()
    run(pool.chain.tip())
    assert pool.transport.paths == [SECOND_PATH]


def test_where_every_node_says_no_the_first_one_is_told(pool: Pool, farmer: Keypair) -> None:
    pool.connect(SECOND_URL, URL)
    lie_at(pool, SECOND_PATH, "/", change=lambda result: result.update(error="no"))
    assert refusal(pool, farmer).endswith(": no")


def test_where_the_other_node_is_down_a_lie_is_refused(pool: Pool, farmer: Keypair) -> None:
    pool.connect(URL, "http://127.0.0.1/nodes/none")
    lie_at(
        pool,
        "/",
        change=lambda result: edit(
            result, lambda data: data.resources.footprint.read_only.append(_any_key(pool))
        ),
    )
    assert "an entry that such a call does not need" in refusal(pool, farmer)


def _any_key(pool: Pool) -> xdr.LedgerKey:
    return xdr.LedgerKey.from_xdr_bytes(account_key(pool.operator.public_key))


# Answers with one thing wrong: real ones, mutated


def mutations(value: Any) -> st.SearchStrategy[Any]:
    """Change one thing in a JSON value: remove it, or give it another type, or a huge number."""
    paths = list(_paths(value))
    junk = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from(
            [10**400, -1, 2**32, 2**63, 2**64, "9" * 400, "-1", "", "AAAA", "ä", 1.5, [], {}, [[]]]
        ),
        st.text(max_size=20),
        st.binary(max_size=60).map(lambda raw: base64.b64encode(raw).decode()),
    )

    @st.composite
    def mutate(draw: st.DrawFn) -> Any:
        mutated = copy.deepcopy(value)
        path = draw(st.sampled_from(paths))
        parent = mutated
        for step in path[:-1]:
            parent = parent[step]
        old = parent[path[-1]]
        action = draw(st.sampled_from(["remove", "replace", "damage"]))
        if action == "remove":
            del parent[path[-1]]
        elif action == "damage" and isinstance(old, str) and old:
            at = draw(st.integers(0, len(old) - 1))
            parent[path[-1]] = old[:at] + draw(st.sampled_from("ABCZaz09+/=")) + old[at + 1 :]
        else:
            parent[path[-1]] = draw(junk)
        return mutated

    return mutate()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


class Recorded:
    """A pool with something on its chain, what it can be asked, and the real answers."""

    def __init__(self) -> None:
        self.pool = pool = Pool()
        farmer = pool.member("farmer", kale=100)
        other = pool.member("other", kale=100)
        applied = pool.land(pool.bump(pool.plant(farmer, KALE), pool.operator))
        pool.land(pool.plant(other, KALE))
        pool.open_block(pool.account("opener", kale=0))
        wanted = applied.transaction.hash.hex()
        plant = Plant(farmer.public_key, KALE, 1)
        envelope = pool.bump(pool.plant(farmer, KALE), pool.operator, 100).to_xdr_object().to_xdr_bytes()
        self.questions: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "tip": pool.chain.tip,
            "snapshot": lambda: pool.chain.snapshot([(farmer.public_key, 0)]),
            "accounts": lambda: pool.chain.accounts([farmer.public_key]),
            "find": lambda: pool.chain.find(wanted),
            "happenings": lambda: pool.chain.happenings(1, pool.operator.public_key, [farmer.public_key]),
            "fees": lambda: pool.chain.inclusion_fee(50),
            "code": lambda: pool.chain.deployed([pool.kale]),
            "learn": lambda: pool.transactions.learn(plant, farmer.public_key),
            "send": lambda: pool.broadcaster.send([envelope]),
        }
        self.bodies: dict[str, Any] = {}
        for name, ask in self.questions.items():
            self.bodies[name] = self._record(ask)

    def _record(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        answers: list[tuple[str, Any]] = []

        def note(_path: str, method: str, result: Any) -> Any:
            answers.append((method, copy.deepcopy(result)))
            return result

        run(ask())  # what is asked first alone, such as the network's name, is asked now
        self.pool.transport.change = note
        run(ask())
        self.pool.transport.change = None
        assert len(dict(answers)) == len(answers), "one answer a method"
        return answers

    def ask(self, name: str, answers: list[tuple[str, Any]]) -> Any:
        """Ask again, with these answers; the node is fresh, and asked once."""
        pool, left = self.pool, dict(answers)
        for node in pool.rpc_client._nodes:
            node.ledger, node.pace.failures, node.pace._rests_until = None, 0, 0.0
        pool.transport.change = lambda _path, method, result: left.get(method, result)
        return run(self._once(name))

    async def _once(self, name: str) -> Any:
        async with asyncio.timeout(600):
            return await self.questions[name]()


RECORDED = Recorded()


# What is not read, or may be missing on some nodes. Everything else must be there, and be what it is.
UNREAD = {
    "status of getHealth",  # an unhealthy node answers with an error
    "oldestLedgerCloseTime", "latestLedgerCloseTime of getFeeStats", "ledgerRetentionWindow",
    "extXdr", "createdAt", "applicationOrder", "feeBump", "txHash", "hash",
    "events of getTransaction", "oldestLedger of getEvents", "diagnosticEventsXdr", "stateChanges", "inclusionFee",
    "events of simulateTransaction",
}  # fmt: skip


@pytest.mark.parametrize("junk", [None, {}, True, -1, 10**400, 1.5, "\x00"], ids=lambda junk: repr(junk)[:9])
@pytest.mark.parametrize("name", ["tip", "snapshot", "accounts", "find", "code", "happenings", "learn"])
def test_every_field_that_is_read_must_be_there_and_be_of_its_kind(name: str, junk: Any) -> None:
    believed = []
    for position, (method, result) in enumerate(RECORDED.bodies[name]):
        for field in result:
            if field in UNREAD or f"{field} of {method}" in UNREAD:
                continue
            answers = copy.deepcopy(RECORDED.bodies[name])
            if junk is None:
                del answers[position][1][field]
            else:
                answers[position][1][field] = junk
            try:
                RECORDED.ask(name, answers)
            except (RetryableError, RejectedError):
                continue
            believed.append(f"{field} of {method}")
    assert believed == []


@pytest.mark.parametrize("name", RECORDED.questions)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_mutated_answer_is_an_error_of_ours_or_does_no_harm(name: str, data: st.DataObject) -> None:
    mutated = data.draw(mutations([list(answer) for answer in RECORDED.bodies[name]]).filter(_still_pairs))
    try:
        answer = RECORDED.ask(name, [(method, result) for method, result in mutated])
    except (RetryableError, RejectedError):
        return
    if name == "send":
        assert {one.status for one in answer} <= set(Sent)


def _still_pairs(value: Any) -> bool:
    return all(
        len(pair) == 2 and isinstance(pair[0], str) for pair in value if isinstance(pair, list)
    ) and all(isinstance(pair, list) for pair in value)


MOST_WORDS = 25
"""Of a piece of XDR, evenly: decoding it all for each of its words takes half a minute."""

NEWER = (99).to_bytes(4)
"""No union of XDR has this arm today: a newer protocol may give it one."""


@pytest.mark.parametrize("name", ["snapshot", "accounts", "find", "happenings", "learn"])
def test_what_a_newer_protocol_writes_is_an_error_of_ours_wherever_it_stands(name: str) -> None:
    recorded = [list(answer) for answer in RECORDED.bodies[name]]
    refused = 0
    for path, raw in _binaries(recorded):
        words = len(raw) // 4
        for at in range(0, len(raw), 4 * (1 + words // MOST_WORDS)):
            answers = copy.deepcopy(recorded)
            parent: Any = answers
            for step in path[:-1]:
                parent = parent[step]
            parent[path[-1]] = base64.b64encode(raw[:at] + NEWER + raw[at + 4 :]).decode()
            try:
                RECORDED.ask(name, [(method, result) for method, result in answers])
            except (RetryableError, RejectedError):
                refused += 1
    assert refused


def _binaries(value: Any) -> Iterator[tuple[tuple[Any, ...], bytes]]:
    """Give where each piece of XDR stands in answers, and its bytes: whole words in base64."""
    for path in _paths(value):
        found = value
        for step in path:
            found = found[step]
        if isinstance(found, str) and len(found) >= 8 and path[-1] not in ("id", "hash", "status"):
            try:
                raw = base64.b64decode(found, validate=True)
            except ValueError:
                continue
            if len(raw) % 4 == 0:
                yield path, raw


names = st.sampled_from(["id", "result", "error", "jsonrpc"])
responses = st.recursive(
    st.one_of(st.none(), st.integers(0, 4), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=9,
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), responses.map(lambda value: json.dumps(value).encode())))
def test_any_body_at_all_is_an_error_of_ours(body: bytes) -> None:
    calls = [batches.Call("getHealth", {}), batches.Call("getFeeStats", {})]
    try:
        answers = batches.take_apart(body, calls, 1, "a node")
    except RetryableError:
        return
    assert len(answers) == 2


def test_a_body_nested_beyond_reason_is_nonsense() -> None:
    with pytest.raises(RetryableError):
        batches.take_apart(b"[" * 1_000_000, [batches.Call("getHealth", {})], 1, "a node")
