"""XDR of what happened: transaction meta, events, ledger headers. Built when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.devnet.events import AssetEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kalepool.devnet.entries import Entry
    from kalepool.devnet.execution import Applied, Change
    from kalepool.devnet.ledger import ClosedLedger
    from kalepool.devnet.network import Identity

_ChangeType = xdr.LedgerEntryChangeType
_Stage = xdr.TransactionEventStage


def transaction_meta(applied: Applied, identity: Identity) -> xdr.TransactionMeta:
    """Build the TransactionMeta, version 4."""
    pairs = zip(applied.operation_changes, applied.operation_events, strict=True)
    meta = xdr.TransactionMetaV4(
        ext=xdr.ExtensionPoint(0),
        tx_changes_before=_changes(applied.sequence_changes),
        operations=[
            xdr.OperationMetaV2(
                xdr.ExtensionPoint(0), _changes(changes), [event.to_xdr() for event in events]
            )
            for changes, events in pairs
        ],
        tx_changes_after=xdr.LedgerEntryChanges([]),
        soroban_meta=_soroban_meta(applied),
        events=transaction_events(applied, identity),
        diagnostic_events=diagnostic_events(applied),
    )
    return xdr.TransactionMeta(4, v4=meta)


def transaction_events(applied: Applied, identity: Identity) -> list[xdr.TransactionEvent]:
    """Build the events of the transaction itself: the fee taken, and what came back of it."""
    return [
        xdr.TransactionEvent(stage, event.to_xdr())
        for stage, event in (
            (_Stage.TRANSACTION_EVENT_STAGE_BEFORE_ALL_TXS, fee_taken(applied, identity)),
            (_Stage.TRANSACTION_EVENT_STAGE_AFTER_ALL_TXS, fee_returned(applied, identity)),
        )
        if event is not None
    ]


def fee_taken(applied: Applied, identity: Identity) -> AssetEvent:
    """Give the event of the fee, told before any transaction of the ledger is applied."""
    return _fee(applied, identity, applied.fee_taken)


def fee_returned(applied: Applied, identity: Identity) -> AssetEvent | None:
    """Give the event of the refund, told after all transactions of the ledger; None without one."""
    return _fee(applied, identity, -applied.refund) if applied.refund else None


def diagnostic_events(applied: Applied) -> list[xdr.DiagnosticEvent]:
    """Build the host's log, with the asset events among it."""
    successful = applied.result.is_success
    return [diagnostic.to_xdr(successful=successful) for diagnostic in applied.diagnostics]


def _fee(applied: Applied, identity: Identity, amount: int) -> AssetEvent:
    return AssetEvent(identity.native_contract, "fee", (applied.transaction.fee_source,), "", amount)


def _soroban_meta(applied: Applied) -> xdr.SorobanTransactionMetaV2 | None:
    if applied.fees is None:
        return None
    ext = xdr.SorobanTransactionMetaExtV1(
        xdr.ExtensionPoint(0),
        xdr.Int64(applied.fees.non_refundable),
        xdr.Int64(applied.fees.refundable),
        xdr.Int64(applied.fees.rent),
    )
    return xdr.SorobanTransactionMetaV2(xdr.SorobanTransactionMetaExt(1, v1=ext), applied.return_value)


def _changes(changes: Iterable[Change]) -> xdr.LedgerEntryChanges:
    listed: list[xdr.LedgerEntryChange] = []
    for before, after in changes:
        if before is None or after is None or before.value is not after.value:
            listed += _entry_changes(before, after)
        listed += _ttl_changes(before, after)
    return xdr.LedgerEntryChanges(listed)


def _entry_changes(before: Entry | None, after: Entry | None) -> list[xdr.LedgerEntryChange]:
    changes = []
    if before is not None:
        changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_STATE, state=before.to_xdr()))
    if after is None:
        if before is not None:
            key = xdr.LedgerKey.from_xdr_bytes(before.key)
            changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_REMOVED, removed=key))
    elif before is None:
        changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_CREATED, created=after.to_xdr()))
    else:
        changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_UPDATED, updated=after.to_xdr()))
    return changes


def _ttl_changes(before: Entry | None, after: Entry | None) -> list[xdr.LedgerEntryChange]:
    old = before if before is not None and before.live_until is not None else None
    new = after if after is not None and after.live_until is not None else None
    if old is not None and new is not None and old.live_until == new.live_until:
        return []
    changes = []
    if old is not None:
        entry = old.ttl_to_xdr()
        changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_STATE, state=entry))
        if new is None:
            assert entry.data.ttl is not None
            key = xdr.LedgerKey(xdr.LedgerEntryType.TTL, ttl=xdr.LedgerKeyTtl(entry.data.ttl.key_hash))
            changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_REMOVED, removed=key))
    if new is not None:
        entry = new.ttl_to_xdr()
        if old is None:
            changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_CREATED, created=entry))
        else:
            changes.append(xdr.LedgerEntryChange(_ChangeType.LEDGER_ENTRY_UPDATED, updated=entry))
    return changes


def ledger_header(closed: ClosedLedger, protocol: int) -> xdr.LedgerHeader:
    """Build the header of a closed ledger. Hashes of things this network does not keep are zero."""
    zero = xdr.Hash(bytes(32))
    value = xdr.StellarValue(
        zero,
        xdr.TimePoint(xdr.Uint64(closed.close_time)),
        [],
        xdr.StellarValueExt(xdr.StellarValueType.STELLAR_VALUE_BASIC),
    )
    return xdr.LedgerHeader(
        ledger_version=xdr.Uint32(protocol),
        previous_ledger_hash=xdr.Hash(closed.previous_hash),
        scp_value=value,
        tx_set_result_hash=zero,
        bucket_list_hash=zero,
        ledger_seq=xdr.Uint32(closed.sequence),
        total_coins=xdr.Int64(closed.total_coins),
        fee_pool=xdr.Int64(closed.fee_pool),
        inflation_seq=xdr.Uint32(0),
        id_pool=xdr.Uint64(0),
        base_fee=xdr.Uint32(100),
        base_reserve=xdr.Uint32(5_000_000),
        max_tx_set_size=xdr.Uint32(1_000),
        skip_list=[zero] * 4,
        ext=xdr.LedgerHeaderExt(0),
    )


def ledger_close_meta(closed: ClosedLedger, protocol: int) -> xdr.LedgerCloseMeta:
    """Build the close meta of a ledger: its header. Transactions are to be had by getTransactions."""
    history = xdr.LedgerHeaderHistoryEntry(
        xdr.Hash(closed.hash), ledger_header(closed, protocol), xdr.LedgerHeaderHistoryEntryExt(0)
    )
    empty = xdr.GeneralizedTransactionSet(
        1, v1_tx_set=xdr.TransactionSetV1(xdr.Hash(closed.previous_hash), [])
    )
    meta = xdr.LedgerCloseMetaV2(
        ext=xdr.LedgerCloseMetaExt(0),
        ledger_header=history,
        tx_set=empty,
        tx_processing=[],
        upgrades_processing=[],
        scp_info=[],
        total_byte_size_of_live_soroban_state=xdr.Uint64(0),
        evicted_keys=[],
    )
    return xdr.LedgerCloseMeta(2, v2=meta)
