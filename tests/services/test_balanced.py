"""Books, store and network agree after everything that moves farmers' money, and what does not agree shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.verify import verify
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.postings import XLM
from support.cashbox import HALF_AT_ONCE, Cashbox, PowerCutError
from support.devnet import KALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path)
    yield box
    box.pool.close()


async def _leave_and_withdraw(box: Cashbox, name: str, bank: str) -> None:
    async with box.online() as pool:
        pool.exiting.begin(name)
        assert (await pool.exiting.advance(name)).done
        for asset in (KALE_NAME, XLM):
            await pool.withdrawing.withdraw(await pool.withdrawing.plan(asset, KALE, bank))


def test_books_and_network_agree_after_payouts_an_exit_a_crash_and_withdrawals(box: Cashbox) -> None:
    farmers = box.add(20, terms=HALF_AT_ONCE)
    box.open_books()
    for index in (7, 8):
        for farmer in farmers:
            box.harvest(farmer, index, 10 * KALE + farmer.number)
    box.lose(farmers[3], 9, KALE)
    box.crash()
    box.cut_wire(1, before=False)
    with pytest.raises(PowerCutError):
        box.payout()
    box.crash()
    box.payout()
    box.harvest(farmers[0], 10, 3)
    bank = box.bench.account("bank", kale=0).public_key
    box.play(_leave_and_withdraw(box, farmers[0].name, bank))
    box.harvest(farmers[1], 10, 5)
    compared = box.compare()
    assert (compared.compared, compared.differences, compared.unbooked) == (22, (), 0)
    assert verify(box.pool.store) == []
    box.payout()
    assert box.compare().differences == ()
    assert verify(box.pool.store) == []


@pytest.mark.parametrize(
    ("postings", "finding"),
    [
        (
            (("owed:farmer:1", KALE_NAME, 5), ("elsewhere", KALE_NAME, -5)),
            "claims differ from what was shared",
        ),
        ((("owed:compensation:1", KALE_NAME, 5), ("elsewhere", KALE_NAME, -5)), "compensation that differs"),
        ((("kept:1", KALE_NAME, 5), ("shared:farmer:1", KALE_NAME, -5)), "differ from their settled rewards"),
    ],
)
def test_what_somebody_booked_to_be_paid_more_is_found(
    box: Cashbox, postings: tuple[tuple[str, str, int], ...], finding: str
) -> None:
    (farmer,) = box.add(1)
    box.harvest(farmer, 7, 10 * KALE)
    box.pool.settling.settle()
    assert verify(box.pool.store) == []
    box.pool.books.post("forged", postings, at=1.0)
    assert [finding in line for line in verify(box.pool.store)] == [True]
