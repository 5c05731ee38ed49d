"""What happened in ledgers that nobody saw is taken from the chain, by a person's word, and touches no claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stellar_sdk import Asset

from kalepool.core.facts import UNSEEN, opening
from kalepool.core.postings import EXTERNAL, account
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.shares import Claim
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import RejectedError
from support.cashbox import Cashbox
from support.devnet import KALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.core.farmers import Farmer
    from kalepool.services.adopting import Adoption


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path, channels=0, settings=LedgerSettings(history_ledgers=30))
    yield box
    box.pool.close()


async def adopt(box: Cashbox) -> Adoption:
    async with box.online() as pool:
        wanted = await pool.adopting.plan()
        pool.adopting.adopt(wanted)
        return wanted


def opened(box: Cashbox) -> Farmer:
    """Give a farmer whose balance is in the books, and who is owed something."""
    (farmer,) = box.add(1)
    box.look()
    box.open_books()
    assert box.pool.facts.get(opening(farmer.address)) is not None
    box.harvest(farmer, 7, KALE)
    box.pool.settling.settle()
    return farmer


def deposit(box: Cashbox, address: str, stroops: int) -> None:
    giver = box.bench.account("giver", kale=100)
    builder = box.bench.builder(giver)
    asset = Asset(*box.bench.identity.kale)
    envelope = builder.append_payment_op(address, asset, f"{stroops // KALE}").build()
    envelope.sign(giver)
    assert box.bench.land(envelope).result.is_success


def test_unseen_ledgers_are_accounted_for_once_and_no_claim_moves(box: Cashbox) -> None:
    farmer = opened(box)
    assert box.compare().differences == ()
    deposit(box, farmer.address, 3 * KALE)
    box.bench.close(60)
    box.look()
    unseen = box.pool.facts.get(UNSEEN)
    assert unseen is not None
    assert len(box.compare().differences) == 1
    claims = box.owed(Claim.FARMER, farmer), box.owed(Claim.POOL, farmer)
    wanted = box.play(adopt(box))
    assert [(one.who, (one.chain or 0) - one.books) for one in wanted.differences] == [
        (farmer.name, 3 * KALE)
    ]
    assert box.compare().differences == ()
    books = box.pool.books
    assert books.balance(account(farmer.address), KALE_NAME) == box.wallet(farmer)
    assert books.balance(EXTERNAL, KALE_NAME) <= -3 * KALE
    assert (box.owed(Claim.FARMER, farmer), box.owed(Claim.POOL, farmer)) == claims
    assert books.total() == 0
    assert f"unseen ledgers {unseen}" in box.pool.audit.rows()[-1].what
    with pytest.raises(RejectedError, match="no ledger went by unseen"):
        box.play(adopt(box))


def test_the_operators_own_kale_is_compared_and_adopted_too(box: Cashbox) -> None:
    box.bench.ledger.give_kale(box.stead.operator, KALE)
    opened(box)
    assert box.compare().differences == ()
    deposit(box, box.stead.operator, 5 * KALE)
    box.bench.close(60)
    wanted = box.play(adopt(box))
    assert [(one.who, one.asset, (one.chain or 0) - one.books) for one in wanted.differences] == [
        ("operator", KALE_NAME, 5 * KALE)
    ]
    assert box.compare().differences == ()


@pytest.mark.parametrize("noted_later", ["", " 1-2"], ids=["one-span", "an-earlier-span-noted-last"])
def test_ledgers_that_a_node_still_has_are_not_made_up(box: Cashbox, noted_later: str) -> None:
    farmer = opened(box)
    deposit(box, farmer.address, KALE)
    box.bench.close(60)
    box.look()
    box.pool.facts.put(UNSEEN, f"1-{box.bench.ledger.latest.sequence}{noted_later}")
    with pytest.raises(RejectedError, match="can still be read"):
        box.play(adopt(box))
    assert len(box.compare().differences) == 1


def test_a_difference_without_unseen_ledgers_has_another_cause(box: Cashbox) -> None:
    farmer = opened(box)
    box.bench.ledger.give_kale(farmer.address, 7 * KALE)
    with pytest.raises(RejectedError, match="another cause"):
        box.play(adopt(box))
