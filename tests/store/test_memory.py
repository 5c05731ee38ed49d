"""Views, accounts, facts and the audit log."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.audit import START, StoreAudit
from kalepool.adapters.store.facts import StoreFacts
from kalepool.adapters.store.views import StoreViews
from kalepool.core.chain import AccountState
from kalepool.core.records import AuditRow, View
from kalepool.errors import InternalError
from support.store import HandClock

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store

VIEW = View(60, 5_000, 7, paused=True, operator_xlm=100, hashrate=9, seen_at=1_000.5)


def test_the_last_view_is_the_one_saved_last(store: Store) -> None:
    views: ports.Views = StoreViews(store)
    assert views.last() is None
    views.save(VIEW)
    views.save(replace(VIEW, ledger=61, paused=False))
    assert views.last() == replace(VIEW, ledger=61, paused=False)


def test_accounts_are_remembered_as_last_read(store: Store) -> None:
    views = StoreViews(store)
    bare = AccountState("GA", 5, 4, 2**40, None, None, None)
    full = AccountState("GB", 5, 4, 2**40, 7, 2**63 - 1, "GS")
    views.save_accounts([bare, full], 60)
    views.save_accounts([replace(bare, xlm=6)], 61)
    assert views.accounts() == {"GA": replace(bare, xlm=6), "GB": full}


def test_a_fact_is_set_replaced_and_dropped(store: Store) -> None:
    facts: ports.Facts = StoreFacts(store, HandClock())
    assert facts.get("wasm") is None
    facts.put("wasm", "aa")
    facts.put("wasm", "bb")
    assert facts.get("wasm") == "bb"
    facts.drop("wasm")
    facts.drop("wasm")
    assert facts.get("wasm") is None


def seal(before: bytes, row: AuditRow) -> bytes:
    assert row.chain == b""
    return hashlib.sha256(before + f"{row.number}{row.at}{row.who}{row.what}".encode()).digest()


def test_each_row_of_the_audit_log_is_sealed_with_the_one_before(store: Store) -> None:
    clock = HandClock()
    audit: ports.Audit = StoreAudit(store, clock)
    first = audit.append("operator", "init", seal)
    clock.time = 1_060.0
    second = audit.append("cron", "harvest", seal)
    assert audit.rows() == [first, second]
    assert (second.number, second.at, second.who, second.what) == (2, 1_060.0, "cron", "harvest")
    assert first.chain == seal(START, replace(first, chain=b""))
    assert second.chain == seal(first.chain, replace(second, chain=b""))


@pytest.mark.parametrize("statement", ["DELETE FROM audit", "UPDATE audit SET who = 'nobody'"])
def test_the_audit_log_is_not_rewritten(store: Store, statement: str) -> None:
    StoreAudit(store, HandClock()).append("operator", "init", seal)
    with pytest.raises(InternalError, match="not rewritten"):
        store.execute(statement)
