"""What is read is what stands in the ledger, in as few requests as the protocol allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import xdr

from kalepool.adapters.stellar.chain import StellarChain
from kalepool.core.address import contract_address
from kalepool.core.prices import Reserves
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import RetryableError, UsageError
from support.devnet import KALE, XLM, keypair
from support.stellar import Pool
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_snapshot_is_the_farm_as_it_stands(pool: Pool) -> None:
    farmer, stranger = pool.member("farmer", kale=10), pool.member("stranger")
    pool.land(pool.plant(farmer, KALE))
    pool.open_block(pool.account("opener", kale=0))
    seen = run(
        pool.chain.snapshot([(farmer.public_key, 0), (stranger.public_key, 0), (farmer.public_key, 1)])
    )
    assert (seen.ledger, seen.farm, seen.wasm_hash) == (
        pool.ledger.latest.sequence,
        pool.farm,
        pool.code_of(pool.kale),
    )
    assert {index: dated.block for index, dated in seen.blocks.items()} == {
        0: pool.block(0),
        1: pool.block(1),
    }
    assert {key: dated.pail for key, dated in seen.pails.items()} == {
        (farmer.public_key, 0): pool.pail(farmer, 0)
    }
    assert seen.blocks[0].live_until == seen.pails[farmer.public_key, 0].live_until
    assert seen.tip is not None
    assert (seen.tip.ledger, seen.tip.close_time) == (seen.ledger, pool.ledger.latest.close_time)


def planted(pool: Pool, count: int) -> list[tuple[str, int]]:
    """Put so many pails into block 0; give their keys."""
    first = pool.member("first", kale=10)
    pool.land(pool.plant(first, KALE))
    pail = pool.pail(first, 0)
    assert pail is not None
    farmers = [contract_address(number.to_bytes(32, "big")) for number in range(count)]
    for farmer in farmers:
        pool.put_pail(farmer, 0, pail)
    pool.close()
    return [(farmer, 0) for farmer in farmers]


@pytest.mark.parametrize(
    ("pails", "calls", "requests"), [(1, 1, 1), (197, 1, 1), (198, 2, 1), (1_000, 6, 1), (2_000, 11, 2)]
)
def test_one_request_serves_all_farmers(pool: Pool, pails: int, calls: int, requests: int) -> None:
    keys = planted(pool, pails)
    run(pool.chain.snapshot([]))
    counts = pool.rpc_client.counts
    before, entries = counts.http_requests, counts.calls["getLedgerEntries"]
    seen = run(pool.chain.snapshot(keys))
    assert len(seen.pails) == pails
    assert counts.calls["getLedgerEntries"] - entries == calls
    assert counts.http_requests - before == requests


def test_a_roll_over_between_two_reads_costs_no_further_request(pool: Pool) -> None:
    opener = pool.account("opener", kale=0)
    pool.open_block(opener)
    run(pool.chain.snapshot([]))
    pool.open_block(opener)
    before = pool.rpc_client.counts.http_requests
    seen = run(pool.chain.snapshot([]))
    assert pool.rpc_client.counts.http_requests == before + 1
    assert {pool.farm.index, pool.farm.index - 1} <= seen.blocks.keys()


def test_blocks_that_are_asked_for_are_read_beside_the_current_ones(pool: Pool) -> None:
    opener = pool.account("opener", kale=0)
    for _ in range(4):
        pool.open_block(opener)
    assert run(pool.chain.snapshot([], [1, 99])).blocks.keys() >= {1, pool.farm.index}
    assert run(pool.chain.snapshot([], [1], current=False)).blocks.keys() == {1}


def test_a_read_that_a_ledger_falls_into_is_read_again(pool: Pool) -> None:
    keys = planted(pool, 400)
    run(pool.chain.snapshot([]))
    torn: list[int] = []

    def change(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "getLedgerEntries" and len(torn) < 2:
            torn.append(result["latestLedger"])
            return result | {"latestLedger": result["latestLedger"] + len(torn)}
        return result

    pool.transport.change = change
    before = pool.rpc_client.counts.http_requests
    assert run(pool.chain.snapshot(keys)).ledger == pool.ledger.latest.sequence
    assert pool.rpc_client.counts.http_requests == before + 2


def test_an_entry_that_has_lived_out_is_gone() -> None:
    pool = Pool(LedgerSettings(temporary_ttl=20))
    farmer = pool.member("farmer", kale=10)
    pool.land(pool.plant(farmer, KALE))
    pool.close(18)
    key = (farmer.public_key, 0)
    alive = run(pool.chain.snapshot([key]))
    assert alive.pails[key].live_until == alive.blocks[0].live_until
    while pool.ledger.latest.sequence < alive.pails[key].live_until:
        pool.close()
        assert key in run(pool.chain.snapshot([key])).pails

    # Some nodes show what has lived out until it is evicted.
    def change(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        return result | {"latestLedger": result["latestLedger"] + 1} if "latestLedger" in result else result

    pool.transport.change = change
    shown = run(pool.chain.snapshot([key]))
    assert (shown.pails, shown.blocks) == ({}, {})


def test_accounts_are_read_with_their_trustlines(pool: Pool) -> None:
    rich, plain = pool.member("rich", xlm=7, kale=3), pool.member("plain", xlm=2)
    states = run(
        pool.chain.accounts(
            [rich.public_key, plain.public_key, rich.public_key, keypair("absent").public_key]
        )
    )
    assert states.keys() == {rich.public_key, plain.public_key}
    one = states[rich.public_key]
    assert (one.xlm, one.spendable, one.kale, one.sponsor) == (
        7 * XLM,
        7 * XLM - 3 * XLM // 2,
        3 * KALE,
        None,
    )
    assert one.kale_limit == 2**63 - 1
    entry = pool.entry(rich)
    assert entry is not None
    assert one.sequence == entry.sequence
    assert (states[plain.public_key].kale, states[plain.public_key].kale_limit) == (None, None)


def test_a_thousand_accounts_take_one_request(pool: Pool) -> None:
    names = [pool.account(f"account {number}", kale=1).public_key for number in range(1_000)]
    run(pool.chain.tip())
    before = pool.rpc_client.counts.http_requests
    assert run(pool.chain.accounts(names)).keys() == set(names)
    assert pool.rpc_client.counts.http_requests == before + 1


def test_nothing_asked_is_nothing_sent(pool: Pool) -> None:
    assert run(pool.chain.accounts([])) == {}
    assert run(pool.chain.find_all([])) == []
    assert run(pool.broadcaster.send([])) == []
    assert pool.rpc_client.counts.http_requests == 0


def test_inclusion_fees_are_those_paid_lately(pool: Pool) -> None:
    assert run(pool.chain.inclusion_fee(90)) == 100
    farmer = pool.member("farmer", kale=10)
    pool.land(pool.plant(farmer, KALE))
    assert run(pool.chain.inclusion_fee(50)) == 100
    with pytest.raises(UsageError, match="percentile 42"):
        run(pool.chain.inclusion_fee(42))


def test_the_code_of_a_contract_is_told(pool: Pool) -> None:
    tip, codes = run(pool.chain.deployed([pool.kale, pool.tractor]))
    assert codes == [pool.code_of(pool.kale), pool.code_of(pool.tractor)]
    assert tip.ledger == pool.ledger.latest.sequence
    with pytest.raises(RetryableError, match="does not know the contract"):
        run(pool.chain.deployed([contract_address(bytes(32))]))
    with pytest.raises(RetryableError, match="not a wasm contract"):
        run(pool.chain.deployed([pool.sac]))


def test_a_changed_code_shows_in_the_next_snapshot(pool: Pool) -> None:
    before = run(pool.chain.snapshot([])).wasm_hash
    pool.devnet.change_wasm()
    assert run(pool.chain.snapshot([])).wasm_hash == pool.code_of(pool.kale) != before


# The liquidity pool


def test_a_snapshot_of_the_current_block_brings_the_liquidity_pool_along_when_asked(pool: Pool) -> None:
    pool.devnet.fill_pool(xlm=3, kale=70)
    assert run(pool.chain.snapshot([])).reserves is None  # not asked for
    priced = StellarChain(pool.rpc_client, pool.network, prices=True)
    before = len(pool.transport.paths)
    assert run(priced.snapshot([])).reserves == Reserves(kale=70, xlm=3)
    requests = len(pool.transport.paths) - before
    assert run(priced.snapshot([], current=False)).reserves is None
    assert requests == 2  # the first time FarmIndex is not known; with or without the pool
    pool.devnet.fill_pool(xlm=9, kale=70)
    assert run(priced.snapshot([])).reserves == Reserves(kale=70, xlm=9)
    assert len(pool.transport.paths) - before == requests + 2


def test_a_pool_that_does_not_exist_is_none(pool: Pool) -> None:
    assert run(StellarChain(pool.rpc_client, pool.network, prices=True).snapshot([])).reserves is None


def another_pair(product: xdr.LiquidityPoolEntryConstantProduct) -> None:
    product.params.fee = xdr.Int32(5)


def negative(product: xdr.LiquidityPoolEntryConstantProduct) -> None:
    product.reserve_a = xdr.Int64(-1)


@pytest.mark.parametrize(
    ("change", "says"), [(another_pair, "not the pool that its key"), (negative, "a negative amount")]
)
def test_a_node_that_makes_up_a_pool_is_not_believed(
    pool: Pool, change: Callable[[xdr.LiquidityPoolEntryConstantProduct], None], says: str
) -> None:
    pool.devnet.fill_pool(xlm=3, kale=70)

    def lie(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        for entry in result["entries"] if method == "getLedgerEntries" else []:
            data = xdr.LedgerEntryData.from_xdr(entry["xdr"])
            if data.liquidity_pool is not None:
                assert data.liquidity_pool.body.constant_product is not None
                change(data.liquidity_pool.body.constant_product)
                entry["xdr"] = data.to_xdr()
        return result

    pool.transport.change = lie
    with pytest.raises(RetryableError, match=says):
        run(StellarChain(pool.rpc_client, pool.network, prices=True).snapshot([]))


# Answers that cannot be true


def another_entry(result: dict[str, Any]) -> None:
    first, second = result["entries"][:2]
    first["xdr"], second["xdr"] = second["xdr"], first["xdr"]


def another_key(result: dict[str, Any]) -> None:
    result["entries"][0]["key"] = "AAAA"


def twice(result: dict[str, Any]) -> None:
    result["entries"].append(result["entries"][0])


def future(result: dict[str, Any]) -> None:
    result["entries"][0]["lastModifiedLedgerSeq"] = result["latestLedger"] + 1


def no_farm(result: dict[str, Any]) -> None:
    del result["entries"][0]


@pytest.mark.parametrize("lie", [another_entry, another_key, twice, future, no_farm])
def test_entries_that_were_not_asked_for_are_not_believed(
    pool: Pool, lie: Callable[[dict[str, Any]], None]
) -> None:
    pool.land(pool.plant(pool.member("farmer", kale=1), 0))

    def change(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "getLedgerEntries":
            lie(result)
        return result

    pool.transport.change = change
    with pytest.raises(RetryableError, match="answers getLedgerEntries with nonsense"):
        run(pool.chain.snapshot([], [0]))


def test_another_transaction_than_was_asked_for_is_not_believed(pool: Pool) -> None:
    first, second = pool.member("first", kale=1), pool.member("second", kale=1)
    wanted, other = pool.land(pool.plant(first)), pool.land(pool.plant(second))
    details = pool.rpc("getTransaction", hash=other.transaction.hash.hex())
    pool.transport.change = lambda _path, method, result: details if method == "getTransaction" else result
    with pytest.raises(RetryableError, match="another transaction"):
        run(pool.chain.find(wanted.transaction.hash.hex()))


def test_a_status_that_the_result_contradicts_is_not_believed(pool: Pool) -> None:
    applied = pool.land(pool.plant(pool.member("farmer", kale=1)))

    def change(_path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        return result | {"status": "FAILED"} if method == "getTransaction" else result

    pool.transport.change = change
    with pytest.raises(RetryableError, match="status and result differ"):
        run(pool.chain.find(applied.transaction.hash.hex()))
