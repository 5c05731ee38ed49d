"""Withdrawing: what is the operator's, and nothing else, with the same journal as every payment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.core.postings import EXTERNAL, KALE, XLM, account
from kalepool.errors import RejectedError, UsageError
from support.cashbox import Cashbox, PowerCutError
from support.devnet import KALE as ONE_KALE
from support.devnet import XLM as ONE_XLM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path)
    yield box
    box.pool.close()


async def _withdraw(box: Cashbox, asset: str, amount: int, to: str) -> str:
    async with box.online():
        return await box.pool.withdrawing.withdraw(await box.pool.withdrawing.plan(asset, amount, to))


def withdraw(box: Cashbox, asset: str, amount: int, to: str) -> str:
    return box.play(_withdraw(box, asset, amount, to))


def test_xlm_goes_out_once_and_the_books_know(box: Cashbox) -> None:
    bank = box.bench.account("bank", xlm=5)
    box.cut_wire(before=False)
    with pytest.raises(PowerCutError):
        withdraw(box, XLM, 7 * ONE_XLM, bank.public_key)
    box.crash()
    box.play(box.plan())  # closes what is open
    assert box.bench.xlm(bank) == 12 * ONE_XLM
    assert box.pool.books.balance(EXTERNAL, XLM) == 7 * ONE_XLM
    held = box.bench.entry(box.stead.operator)
    assert held is not None
    booked = box.pool.books.balance(account(box.stead.operator), XLM)
    assert 10_000 * ONE_XLM + booked == held.balance
    assert withdraw(box, XLM, ONE_XLM, bank.public_key)
    assert box.bench.xlm(bank) == 13 * ONE_XLM


def test_kale_goes_out_but_not_what_is_owed_to_farmers(box: Cashbox) -> None:
    bank = box.bench.account("bank", kale=0)
    box.bench.ledger.give_kale(box.stead.operator, 20 * ONE_KALE)
    (farmer,) = box.add(1)
    box.lose(farmer, 7, 5 * ONE_KALE)
    box.pool.settling.settle()
    with pytest.raises(RejectedError, match="has 15 KALE"):
        withdraw(box, KALE, 16 * ONE_KALE, bank.public_key)
    withdraw(box, KALE, 15 * ONE_KALE, bank.public_key)
    assert box.bench.kale_of(bank) == 15 * ONE_KALE


def test_what_cannot_or_must_not_be_paid_is_refused_before_anything_is_sent(box: Cashbox) -> None:
    nowhere, bare = box.pool.vault.channel(19), box.bench.account("bare").public_key
    box.bench.ledger.give_kale(box.stead.operator, ONE_KALE)
    for asset, amount, to, error in (
        (KALE, 1, nowhere, RejectedError),
        (XLM, 1, nowhere, RejectedError),
        (KALE, 1, bare, RejectedError),
        (XLM, 10_000 * ONE_XLM, bare, RejectedError),
        (XLM, 0, bare, UsageError),
        ("AQUA", 1, bare, UsageError),
        (KALE, 1, box.stead.operator, UsageError),
        (KALE, 1, box.bench.identity.kale[1], UsageError),
    ):
        with pytest.raises(error):
            withdraw(box, asset, amount, to)
    assert box.pool.journal.open_intents(mine=False) == []
    assert box.pool.audit.rows() == []
