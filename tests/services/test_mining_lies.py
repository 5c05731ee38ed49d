"""A node that lies, asked first, beside one that does not: it is noticed, the other is used, no stake is lost."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import xdr

from kalepool.core.records import PailState
from kalepool.devnet.faults import FaultPlan, NodeFaults
from kalepool.errors import ConfigError
from kalepool.services.events import Name
from kalepool.xdr.keys import account_key, instance_key, pail_key
from support.devnet import keypair
from support.mining import Shift
from support.stellar import SECOND_URL, URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kalepool.config import Value

    Lie = Callable[[Shift, str, dict[str, Any]], dict[str, Any]]

BLOCKS = 2
FARMERS = 3


def mining_beside_a_liar(folder: Path, lie: Lie) -> Shift:
    """Give a pool whose first node lies, to it alone."""
    plan = FaultPlan(nodes={"main": NodeFaults(), "second": NodeFaults()})
    options: dict[str, Value] = {"network.rpc": (URL, SECOND_URL), "network.requests_per_second": 20.0}
    shift = Shift(folder, farmers=FARMERS, neighbours=12, plan=plan, options=options)

    def change(path: str, method: str, result: dict[str, Any]) -> dict[str, Any]:
        return lie(shift, method, result) if path == "/" else result

    shift.stead.transport.change = change
    return shift


def resources(change: Callable[[Shift, xdr.SorobanTransactionData], None]) -> Lie:
    """Lie about what a transaction needs."""

    def lie(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
        if method == "simulateTransaction" and "transactionData" in result:
            data = xdr.SorobanTransactionData.from_xdr(result["transactionData"])
            change(shift, data)
            result |= {"transactionData": data.to_xdr(), "minResourceFee": str(data.resource_fee.int64)}
        return result

    return lie


def inflate(shift: Shift, data: xdr.SorobanTransactionData) -> None:
    data.resource_fee = xdr.Int64(50_000_000)


def widen(shift: Shift, data: xdr.SorobanTransactionData) -> None:
    data.resources.footprint.read_write.append(
        xdr.LedgerKey.from_xdr_bytes(account_key(shift.stead.operator))
    )


def fails(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Say that no call would succeed."""
    if method == "simulateTransaction":
        return {"error": "it fails", "latestLedger": result["latestLedger"], "events": []}
    return result


def of_another_contract(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Give entries of the tractor and of strangers under keys that nobody asked for."""
    if method == "getLedgerEntries":
        bench = shift.stead.bench
        keys = [instance_key(bench.tractor), pail_key(bench.kale, keypair("stranger").public_key, 1)]
        for entry, key in zip(result["entries"], keys * len(result["entries"]), strict=False):
            entry["key"] = base64.b64encode(key).decode()
    return result


def of_another_block(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Give each entry's value under another's key."""
    if method == "getLedgerEntries":
        values = [entry["xdr"] for entry in result["entries"]]
        for entry, value in zip(result["entries"], values[1:] + values[:1], strict=True):
            entry["xdr"] = value
    return result


def behind(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Say that the network stands a hundred ledgers before where it stands."""
    if "latestLedger" in result:
        result["latestLedger"] = max(1, result["latestLedger"] - 100)
    return result


def ahead(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
    """Say, once mining is under way, that the network stands far beyond where it stands."""
    if "latestLedger" in result and shift.told(Name.PLANTED):
        result["latestLedger"] += 10_000_000
    return result


LIES: dict[str, Lie] = {
    "fees": resources(inflate),
    "footprint": resources(widen),
    "refusal": fails,
    "entries of another contract": of_another_contract,
    "entries of another block": of_another_block,
    "behind": behind,
    "ahead": ahead,
}


@pytest.mark.parametrize("name", LIES)
def test_a_lying_node_is_left_for_one_that_does_not_and_no_stake_is_lost(tmp_path: Path, name: str) -> None:
    shift = mining_beside_a_liar(tmp_path, LIES[name])
    outcome = shift.mine(BLOCKS, seconds=1_500)
    assert len(outcome.blocks) == BLOCKS
    for block in outcome.blocks:
        assert len(set(shift.names(Name.PLANTED, block))) == FARMERS
        assert len(set(shift.names(Name.WORKED, block))) == FARMERS
    assert shift.pool.pails.counts()[PailState.HARVESTED] == BLOCKS * FARMERS
    shift.check_books()
    shift.pool.close()


def test_a_node_of_another_network_is_named_and_nothing_is_sent(tmp_path: Path) -> None:
    def lie(_shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
        return result | {"passphrase": "Another Network ; May 2026"} if method == "getNetwork" else result

    shift = mining_beside_a_liar(tmp_path, lie)
    with pytest.raises(ConfigError, match="is not on the network"):
        shift.mine(1, seconds=1_500)
    assert shift.pool.journal.open_intents(mine=False) == []
    assert shift.told(Name.PLANTED) == []
    shift.pool.close()


def test_where_all_nodes_lie_nothing_is_planted(tmp_path: Path) -> None:
    shift = mining_beside_a_liar(tmp_path, LIES["footprint"])
    shift.stead.transport.change = lambda _path, method, result: LIES["footprint"](shift, method, result)
    with pytest.raises(TimeoutError):
        shift.mine(1, seconds=100)
    assert shift.told(Name.PLANTED) == []
    shift.check_books()
    shift.pool.close()


def test_where_balances_cannot_be_read_nothing_is_staked_by_older_ones(tmp_path: Path) -> None:
    """Balances are read once a block; those of the block before are not used where that fails."""
    lost: list[int] = []

    def lie(shift: Shift, method: str, result: dict[str, Any]) -> dict[str, Any]:
        entries = result.get("entries", ()) if method == "getLedgerEntries" else ()
        kinds = [xdr.LedgerEntryData.from_xdr(entry["xdr"]).type for entry in entries]
        if xdr.LedgerEntryType.TRUSTLINE not in kinds or not shift.told(Name.PLANTED):
            return result
        lost.append(result["latestLedger"])
        return {"error": "balances are gone", "latestLedger": result["latestLedger"]}

    shift = mining_beside_a_liar(tmp_path, lie)
    shift.stead.transport.change = lambda _path, method, result: lie(shift, method, result)
    with pytest.raises(TimeoutError):
        shift.mine(BLOCKS, seconds=650)
    assert lost
    (only,) = {pail.block for pail in shift.pool.pails.in_blocks(0, 10**6)}
    assert len(shift.names(Name.PLANTED, only)) == FARMERS
    assert len(set(shift.names(Name.WORKED, only))) == FARMERS
    shift.check_books()
    shift.pool.close()
