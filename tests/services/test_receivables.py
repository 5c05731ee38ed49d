"""Who keeps his own account owes fee and pool's part, and pays it by sending KALE to the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stellar_sdk import Asset

from kalepool.adapters.store.verify import verify
from kalepool.core.farmers import Custody, Farmer, FarmerState
from kalepool.core.postings import EXTERNAL, KALE, account
from kalepool.core.receivable import repaid
from kalepool.core.records import PailRecord, PailState
from kalepool.core.shares import receivable
from support.cashbox import HALF, Cashbox
from support.devnet import KALE as ONE_KALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stellar_sdk import Keypair


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path, channels=0)
    box.bench.ledger.give_kale(box.stead.operator, 0)
    yield box
    box.pool.close()


def watch(box: Cashbox) -> tuple[Farmer, Keypair]:
    """Add a farmer who keeps his own account, and has KALE."""
    keys = box.bench.account("self", kale=100)
    newcomer = Farmer(0, "self", keys.public_key, Custody.WATCHED, FarmerState.ACTIVE, None, HALF)
    (farmer,) = box.pool.farmers.add([newcomer], who="test", seal=box.pool.seal_terms)
    return farmer, keys


def pay(box: Cashbox, giver: Keypair, stroops: int) -> None:
    """Let somebody pay KALE to the operator in a classic payment."""
    asset = Asset(*box.bench.identity.kale)
    amount = f"{stroops // ONE_KALE}.{stroops % ONE_KALE:07d}"
    envelope = box.bench.builder(giver).append_payment_op(box.stead.operator, asset, amount).build()
    envelope.sign(giver)
    box.bench.land(envelope)


def test_a_payment_to_the_operator_counts_against_what_is_owed_once(box: Cashbox) -> None:
    farmer, keys = watch(box)
    box.look()
    reward = 10 * ONE_KALE
    box.pool.pails.record([PailRecord(farmer.number, 7, PailState.HARVESTED, 5, 1, 2, 3, reward, 99)])
    assert box.pool.receivables.receivables() == {farmer.number: 55 * ONE_KALE // 10}
    box.pool.settling.settle()
    pay(box, keys, 5 * ONE_KALE)
    for _ in range(2):
        box.look()
    books = box.pool.books
    assert books.balance(receivable(farmer.number), KALE) == ONE_KALE // 2
    assert books.balance(repaid(farmer.number), KALE) == 5 * ONE_KALE
    assert box.pool.receivables.receivables() == {farmer.number: ONE_KALE // 2}
    assert books.balance(account(box.stead.operator), KALE) == 5 * ONE_KALE
    assert verify(box.pool.store) == []


def test_who_pays_more_than_he_owes_has_it_to_his_credit(box: Cashbox) -> None:
    farmer, keys = watch(box)
    box.look()
    pay(box, keys, 1)
    box.look()
    assert box.pool.receivables.receivables() == {farmer.number: -1}
    assert box.pool.receivables.beyond_limit() == frozenset()
    assert verify(box.pool.store) == []


def test_what_a_stranger_pays_to_the_operator_settles_nobodys_debt(box: Cashbox) -> None:
    farmer, _ = watch(box)
    box.look()
    pay(box, box.bench.account("stranger", kale=10), ONE_KALE)
    box.look()
    assert box.pool.receivables.receivables() == {farmer.number: 0}
    assert box.pool.books.balance(EXTERNAL, KALE) == -ONE_KALE
