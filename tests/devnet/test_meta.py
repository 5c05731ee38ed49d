"""What a node tells of a transaction: result, meta version 4, events, state changes; all of it XDR."""

from __future__ import annotations

import hashlib
from typing import Any

from stellar_sdk import scval, xdr

from kalepool.core.contract import block_reward
from kalepool.xdr.farm import pail_from_scval
from kalepool.xdr.keys import pail_key
from support.devnet import KALE, Bench


def meta_of(bench: Bench, tx_hash: bytes) -> xdr.TransactionMetaV4:
    told = bench.rpc("getTransaction", hash=tx_hash.hex())
    meta = xdr.TransactionMeta.from_xdr(told["resultMetaXdr"])
    assert meta.v4 is not None
    return meta.v4


def test_a_harvest_tells_its_reward_its_mint_and_its_fees(bench: Bench) -> None:
    pool, farmer = bench.account("pool"), bench.account("farmer", kale=10)
    bench.land(bench.plant(farmer, 2 * KALE))
    bench.close()
    bench.land(bench.work(farmer, bench.proof(farmer, zeros=1)))
    bench.open_block(bench.account("opener", kale=0))
    applied = bench.land(bench.bump(bench.harvest(farmer, 0), pool))
    told = bench.rpc("getTransaction", hash=applied.transaction.hash.hex())
    assert told["status"] == "SUCCESS"
    meta = meta_of(bench, applied.transaction.hash)

    assert meta.soroban_meta is not None
    assert meta.soroban_meta.return_value is not None
    assert scval.from_int128(meta.soroban_meta.return_value) == block_reward(0)

    (mint,) = meta.operations[0].events
    assert mint.body.v0 is not None
    kind, holder, asset = mint.body.v0.topics
    assert scval.from_symbol(kind) == "mint"
    assert scval.from_address(holder).address == farmer.public_key
    assert scval.from_string(asset) == bench.identity.kale_name.encode()
    assert scval.from_int128(mint.body.v0.data) == block_reward(0) + 2 * KALE

    charged = [scval.from_int128(event.event.body.v0.data) for event in meta.events if event.event.body.v0]
    result = xdr.TransactionResult.from_xdr(told["resultXdr"])
    assert len(charged) == 2
    assert charged[0] > 0 > charged[1]
    assert sum(charged) == result.fee_charged.int64

    ext = meta.soroban_meta.ext.v1
    assert ext is not None
    parts = (
        ext.total_non_refundable_resource_fee_charged.int64,
        ext.total_refundable_resource_fee_charged.int64,
    )
    assert result.fee_charged.int64 == sum(parts) + 200


def test_a_successful_result_carries_the_hash_of_its_value_and_events(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    applied = bench.land(bench.plant(farmer, KALE))
    told = bench.rpc("getTransaction", hash=applied.transaction.hash.hex())
    (result,) = xdr.TransactionResult.from_xdr(told["resultXdr"]).result.results or []
    assert result.tr is not None
    inner = result.tr.invoke_host_function_result
    assert inner is not None
    assert inner.success is not None
    (events,) = told["events"]["contractEventsXdr"]
    preimage = xdr.InvokeHostFunctionSuccessPreImage(
        scval.to_void(), [xdr.ContractEvent.from_xdr(event) for event in events]
    )
    assert inner.success.hash == hashlib.sha256(preimage.to_xdr_bytes()).digest()


def test_changes_tell_each_entry_before_and_after(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    bench.land(bench.plant(farmer))
    bench.close()
    applied = bench.land(bench.work(farmer, bench.proof(farmer, zeros=1)))
    meta = meta_of(bench, applied.transaction.hash)
    before = [change.state for change in meta.tx_changes_before.ledger_entry_changes if change.state]
    after = [change.updated for change in meta.tx_changes_before.ledger_entry_changes if change.updated]
    numbers = [
        entry.data.account.seq_num.sequence_number.int64 for entry in before + after if entry.data.account
    ]
    assert numbers == [applied.transaction.sequence - 1, applied.transaction.sequence]
    pails = [
        pail_from_scval(entry.data.contract_data.val)
        for change in meta.operations[0].changes.ledger_entry_changes
        for entry in (change.state, change.updated)
        if entry is not None
        and entry.data.contract_data is not None
        and b"Pail" in entry.data.contract_data.key.to_xdr_bytes()
    ]
    assert [pail.zeros for pail in pails] == [None, 1]


def test_a_failed_transaction_tells_its_log_and_no_changes_but_the_number(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    first, second = bench.plant(farmer), bench.plant(farmer, ahead=1)
    bench.land(first)
    applied = bench.land(second)
    told = bench.rpc("getTransaction", hash=applied.transaction.hash.hex())
    assert told["status"] == "FAILED"
    meta = meta_of(bench, applied.transaction.hash)
    assert meta.operations == []
    assert meta.soroban_meta is not None
    assert meta.soroban_meta.return_value is None
    log = [xdr.DiagnosticEvent.from_xdr(event) for event in told["diagnosticEventsXdr"]]
    assert not any(event.in_successful_contract_call for event in log)
    errors = [event for event in log if event.event.body.v0 and event.event.body.v0.topics[0].sym]
    assert errors


def test_a_simulation_tells_how_entries_would_change(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    envelope = bench.plant(farmer, KALE)
    changes = bench.simulate(envelope)["stateChanges"]
    kinds = sorted(change["type"] for change in changes)
    # Block and Pail come to be; instance and trustline change.
    assert kinds == ["created", "created", "updated", "updated"]
    key = xdr.LedgerKey.from_xdr_bytes(pail_key(bench.kale, farmer.public_key, 0)).to_xdr()
    (pail,) = [change for change in changes if change["key"] == key]
    assert pail["before"] is None
    bench.land(envelope)
    (found,) = bench.rpc("getLedgerEntries", keys=[key])["entries"]
    simulated = xdr.LedgerEntry.from_xdr(pail["after"])
    landed = xdr.LedgerEntryData.from_xdr(found["xdr"])
    assert simulated.data.contract_data is not None
    assert landed.contract_data is not None
    stakes = [
        pail_from_scval(data.val).stake for data in (simulated.data.contract_data, landed.contract_data)
    ]
    assert stakes == [KALE, KALE]


def test_entries_tell_when_they_changed_and_how_long_they_live(bench: Bench) -> None:
    farmer = bench.account("farmer", kale=10)
    applied = bench.land(bench.plant(farmer))
    pail = xdr.LedgerKey.from_xdr_bytes(pail_key(bench.kale, farmer.public_key, 0)).to_xdr()
    account = xdr.LedgerKey(
        xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(farmer.xdr_account_id())
    ).to_xdr()
    told = bench.rpc("getLedgerEntries", keys=[account, pail])
    assert [entry["key"] for entry in told["entries"]] == [account, pail]
    assert "liveUntilLedgerSeq" not in told["entries"][0]
    assert told["entries"][1]["lastModifiedLedgerSeq"] == applied.ledger
    assert told["entries"][1]["liveUntilLedgerSeq"] == applied.ledger + 17_280 - 1


def test_transactions_are_listed_in_order_page_by_page(bench: Bench) -> None:
    hashes = []
    for number in range(5):
        hashes.append(bench.accept(bench.plant(bench.account(f"farmer {number}", kale=0))).hex())
        if number % 2:
            bench.close()
    bench.close()
    first = bench.rpc("getTransactions", startLedger=2, pagination={"limit": 3})
    rest = bench.rpc("getTransactions", pagination={"cursor": first["cursor"], "limit": 3})
    listed = [one["txHash"] for one in first["transactions"] + rest["transactions"]]
    assert sorted(listed) == sorted(hashes)
    assert len(first["transactions"]) == 3
    ledgers = [one["ledger"] for one in first["transactions"] + rest["transactions"]]
    assert ledgers == sorted(ledgers)


def test_events_are_found_by_contract_and_topic(bench: Bench) -> None:
    first, second = bench.account("first", kale=9), bench.account("second", kale=9)
    bench.accept(bench.plant(first, KALE))
    bench.accept(bench.plant(second, 2 * KALE))
    bench.close()
    burn, who = scval.to_symbol("burn").to_xdr(), scval.to_address(second.public_key).to_xdr()
    wanted = {"type": "contract", "contractIds": [bench.sac], "topics": [[burn, who, "**"]]}
    found = bench.rpc("getEvents", startLedger=1, filters=[wanted])
    (event,) = found["events"]
    assert scval.from_int128(xdr.SCVal.from_xdr(event["value"])) == 2 * KALE
    assert event["contractId"] == bench.sac
    filters = [{"contractIds": [bench.sac]}]
    paged = bench.rpc("getEvents", startLedger=1, filters=filters, pagination={"limit": 1})
    more = bench.rpc("getEvents", filters=filters, pagination={"cursor": paged["cursor"]})
    assert [len(paged["events"]), len(more["events"])] == [1, 1]
    assert paged["events"][0]["id"] < more["events"][0]["id"]


def fee_filter(bench: Bench, payer: str) -> dict[str, Any]:
    topics = [scval.to_symbol("fee").to_xdr(), scval.to_address(payer).to_xdr()]
    return {"type": "contract", "contractIds": [bench.identity.native_contract], "topics": [topics]}


def test_fees_are_told_before_and_behind_all_transactions_of_failed_ones_too(bench: Bench) -> None:
    pool, good, bad = bench.account("pool"), bench.account("good", kale=9), bench.account("bad", kale=9)
    first, again = bench.plant(bad, KALE), bench.plant(bad, KALE, ahead=1)
    before = bench.land(bench.bump(first, pool))
    planted, failed = (
        bench.accept(bench.bump(envelope, pool)) for envelope in (bench.plant(good, KALE), again)
    )
    bench.close()
    ledger = bench.ledger.latest
    found = bench.rpc("getEvents", startLedger=before.ledger, filters=[fee_filter(bench, pool.public_key)])
    events = [event for event in found["events"] if event["ledger"] == ledger.sequence]
    assert len(events) < len(found["events"])
    assert {event["contractId"] for event in events} == {bench.identity.native_contract}
    places = [(event["transactionIndex"], event["operationIndex"]) for event in events]
    refunds = [applied for applied in ledger.transactions if applied.refund]
    assert places == [(0, 0)] * 2 + [((1 << 20) - 1, 0)] * len(refunds)
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    net = dict.fromkeys((planted, failed), 0)
    for event in events:
        tx_hash = bytes.fromhex(event["txHash"])
        net[tx_hash] += scval.from_int128(xdr.SCVal.from_xdr(event["value"]))
        assert event["inSuccessfulContractCall"] is (tx_hash == planted)
    assert net == {one: bench.ledger.by_hash[one].result.fee_charged for one in (planted, failed)}
    assert refunds
    assert bench.ledger.by_hash[failed].result.is_success is False


def test_events_come_page_by_page_without_one_lost_or_told_twice(bench: Bench) -> None:
    pool, farmers = bench.account("pool"), [bench.account(f"farmer {n}", kale=9) for n in range(3)]
    for farmer in farmers:
        bench.accept(bench.bump(bench.plant(farmer, KALE), pool))
    bench.close(2)
    whole = bench.rpc("getEvents", startLedger=1, filters=[])
    told: list[Any] = []
    page = bench.rpc("getEvents", startLedger=1, filters=[], pagination={"limit": 2})
    while page["events"]:
        told += page["events"]
        page = bench.rpc("getEvents", filters=[], pagination={"cursor": page["cursor"], "limit": 2})
    assert told == whole["events"]
    # Taken, burned, given back.
    assert len(told) == 3 * 3
    assert page["cursor"] == whole["cursor"]


def test_a_filter_tells_fees_of_one_payer_alone(bench: Bench) -> None:
    pool, other = bench.account("pool"), bench.account("other", kale=9)
    bench.land(bench.plant(other, KALE))
    assert bench.rpc("getEvents", startLedger=1, filters=[fee_filter(bench, pool.public_key)])["events"] == []
    assert (
        len(bench.rpc("getEvents", startLedger=1, filters=[fee_filter(bench, other.public_key)])["events"])
        == 2
    )
