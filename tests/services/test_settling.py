"""Settling: each pail once, under the terms of its block, and nothing under terms that somebody forged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.farm import Block
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.pails import paid
from kalepool.core.postings import KALE
from kalepool.core.records import BlockRecord, PailRecord, PailState
from kalepool.core.shares import COMPENSATION, Loss
from kalepool.errors import UnresolvedError
from kalepool.services.settling import Rules, Settling, TermsBook
from support.farmstead import Farmstead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.bootstrap import Pool

PAYOUT = "GDRXE2BQUC3AZNPVFSCEZ76NJ3WWL25FYFK6RGZGIEKWE4SOOHSUJUJ6"
HALF = Terms(share_bps=5_000, fee_bps=1_000, payout=PAYOUT)
MONTH_S = 31 * 86_400


class Desk:
    """A pool's store and vault, and somebody who writes down pails; no network."""

    def __init__(self, folder: Path) -> None:
        self.pool: Pool = Farmstead(folder).pool()

    def settling(self, rules: Rules | None = None) -> Settling:
        pool = self.pool
        return Settling(
            pool.farmers,
            pool.pails,
            pool.blocks,
            pool.books,
            pool.store,
            TermsBook(pool.farmers, pool.vault),
            rules or Rules(pays=True, month_most=10**9),
        )

    def add(self, name: str = "ada", terms: Terms = HALF, custody: Custody = Custody.CUSTODIAL) -> Farmer:
        index = self.pool.farmers.next_wallet_index() if custody is Custody.CUSTODIAL else None
        address = self.pool.vault.wallet(index) if index is not None else PAYOUT
        newcomer = Farmer(0, name, address, custody, FarmerState.ACTIVE, index, terms)
        return self.pool.farmers.add([newcomer], who="test", seal=self.pool.seal_terms)[0]

    def agree(self, farmer: Farmer, terms: Terms, from_block: int) -> None:
        seal = self.pool.seal_terms(replace(farmer, terms=terms), from_block)
        self.pool.farmers.set_terms(farmer.number, terms, from_block=from_block, seal=seal, who="test")

    def harvested(self, farmer: Farmer, index: int, reward: int, stake: int = 50) -> None:
        planted = PailRecord(farmer.number, index, PailState.PLANTED, stake, 100)
        worked = replace(planted, state=PailState.WORKED, gap=2, zeros=3)
        over = replace(worked, state=PailState.HARVESTED, reward=reward)
        self.pool.pails.record([planted, worked, over])

    def unseen(self, farmer: Farmer, index: int, came: int, stake: int = 50) -> None:
        planted = PailRecord(farmer.number, index, PailState.PLANTED, stake, 100)
        worked = replace(planted, state=PailState.WORKED, gap=2, zeros=3)
        self.pool.pails.record([planted, worked, paid(worked, came)])

    def lost(self, farmer: Farmer, index: int, stake: int = 50, why: str = "") -> None:
        planted = PailRecord(farmer.number, index, PailState.PLANTED, stake, 100)
        self.pool.pails.record([planted, replace(planted, state=PailState.FORFEITED, why=why)])

    def at(self, index: int, time: int) -> None:
        self.pool.blocks.record([BlockRecord(index, Block(time, 1, 9, 0, 9, 0, 9, bytes(32), 9, 9), 10**6)])

    def balance(self, name: str) -> int:
        return self.pool.books.balance(name, KALE)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.pool.close()


def test_a_harvest_is_shared_once_however_often_it_is_settled(desk: Desk) -> None:
    ada = desk.add()
    desk.harvested(ada, 7, 1_001)
    first, again = desk.settling().settle(), desk.settling().settle()
    assert (first.pails, first.fees, first.shares, first.pool) == (1, 100, 450, 451)
    assert (again.pails, again.shares) == (0, 0)
    assert desk.balance("owed:farmer:1") == 450
    assert desk.balance("owed:pool:1") == 551
    assert desk.pool.books.total() == 0


def test_old_pails_settle_under_old_terms(desk: Desk) -> None:
    ada = desk.add()
    desk.agree(ada, replace(HALF, share_bps=10_000, fee_bps=0), 8)
    desk.harvested(ada, 7, 1_000)
    desk.harvested(ada, 8, 1_000)
    desk.settling().settle()
    before, after = desk.settling().explain("ada")
    assert before.split is not None and after.split is not None
    assert (before.split.farmer, after.split.farmer) == (450, 1_000)
    assert before.agrees and after.agrees
    assert desk.balance("owed:farmer:1") == 1_450


def test_whose_terms_were_forged_is_left_out_and_the_others_are_settled(desk: Desk) -> None:
    ada, bob = desk.add("ada"), desk.add("bob")
    for farmer in (ada, bob):
        desk.harvested(farmer, 7, 1_000)
    desk.pool.store.execute("UPDATE terms SET share_bps = 10000 WHERE farmer = 1")
    done = desk.settling().settle()
    assert (done.broken, done.pails) == (["ada"], 1)
    assert desk.balance("owed:farmer:1") == 0
    assert desk.balance("owed:farmer:2") == 450
    with pytest.raises(UnresolvedError, match="seal"):
        desk.settling().explain("ada")
    desk.pool.store.execute("UPDATE terms SET share_bps = 5000 WHERE farmer = 1")
    assert desk.settling().settle().pails == 1


def test_a_lost_stake_is_owed_by_the_pool_with_its_reason(desk: Desk) -> None:
    ada = desk.add()
    desk.lost(ada, 7, 50, "its block ended without a work: the stake is lost")
    done = desk.settling().settle()
    assert (done.compensated, done.beyond) == (50, 0)
    assert desk.balance("owed:compensation:1") == 50
    (line,) = desk.settling().explain("ada")
    assert line.loss is Loss.POOL
    assert line.booked is not None
    assert line.booked.why == "its block ended without a work: the stake is lost"


@pytest.mark.parametrize(
    ("rules", "why", "owed"),
    [
        (Rules(pays=False, month_most=10**9), "", 0),
        (Rules(pays=True, month_most=0), "", 0),
        (Rules(pays=True, month_most=10**9), "network: no ledger closed for ten minutes", 0),
        (Rules(pays=True, month_most=30), "", 30),
    ],
)
def test_what_is_not_the_pools_to_pay_is_settled_all_the_same(
    desk: Desk, rules: Rules, why: str, owed: int
) -> None:
    ada = desk.add()
    desk.lost(ada, 7, 50, why)
    assert desk.settling(rules).settle().compensated == owed
    assert desk.settling(Rules(pays=True, month_most=10**9)).settle().pails == 0
    assert desk.balance("owed:compensation:1") == owed
    assert desk.balance(COMPENSATION) == -owed
    assert all(line.agrees for line in desk.settling().explain("ada"))


def test_each_month_has_its_own_ceiling_across_runs(desk: Desk) -> None:
    ada = desk.add()
    rules = Rules(pays=True, month_most=80)
    for index, time in ((7, 1_000_000), (8, 1_000_300), (9, 1_000_000 + MONTH_S)):
        desk.at(index, time)
    desk.lost(ada, 7)
    assert desk.settling(rules).settle().compensated == 50
    desk.lost(ada, 8)
    assert desk.settling(rules).settle().compensated == 30
    desk.lost(ada, 9)
    assert desk.settling(rules).settle().compensated == 50


def test_a_self_custody_farmers_loss_is_not_the_pools(desk: Desk) -> None:
    eve = desk.add("eve", custody=Custody.WATCHED)
    desk.lost(eve, 7)
    desk.harvested(eve, 8, 1_000)
    assert desk.settling().settle().compensated == 0
    assert desk.balance("receivable:1") == 550
    assert desk.balance("owed:pool:1") == 0


def test_what_the_books_say_otherwise_is_told(desk: Desk) -> None:
    ada = desk.add()
    desk.harvested(ada, 7, 1_000)
    desk.pool.books.post(
        "share:1:7", [("owed:farmer:1", KALE, 1_000), ("shared:farmer:1", KALE, -1_000)], at=1.0
    )
    assert desk.settling().settle().pails == 1
    (line,) = desk.settling().explain("ada")
    assert not line.agrees


def test_a_pail_alive_or_never_planted_is_not_settled(desk: Desk) -> None:
    ada = desk.add()
    desk.pool.pails.record(
        [
            PailRecord(ada.number, 7, PailState.PLANTED, 50, 100),
            PailRecord(ada.number, 8, PailState.PLANNED, 50),
            PailRecord(ada.number, 8, PailState.MISSED, 50),
        ]
    )
    assert desk.settling().settle().pails == 0
    assert desk.settling().explain("ada") == []


def test_a_statement_counts_what_of_each_stake_did_not_come_back(desk: Desk) -> None:
    """A stranger's harvest has no transaction of ours, and a reason says nothing of a loss."""
    ada = desk.add()
    desk.lost(ada, 7, 50, "its block ended without a work")
    desk.unseen(ada, 8, 1_000, stake=50)
    desk.unseen(ada, 9, 20, stake=50)
    planted = PailRecord(ada.number, 10, PailState.PLANTED, 50, 100)
    why = "worked and harvested between two looks"
    desk.pool.pails.record([planted, replace(planted, state=PailState.HARVESTED, reward=0, why=why)])
    statement = desk.pool.stating.state("ada", until=0.0)
    assert [crop.stake_lost for crop in statement.crops] == [50, 0, 30, 0]
    assert statement.lost == 80
