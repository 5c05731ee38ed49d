"""After a restore: what was paid since the backup is read back, and nobody is paid twice; in doubt nobody is paid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kalepool.core.facts import RESTORED, UNREAD
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.records import PailRecord, PailState
from kalepool.core.shares import Claim, paid
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import UnresolvedError
from kalepool.keeping import back_up
from kalepool.services.harvesting import Due
from support.cashbox import HALF, POOLS, REWARD, SHARE, Cashbox, PowerCutError
from support.devnet import KALE
from support.field import GAP, STAKE, ZEROS, sow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kalepool.core.farmers import Farmer


class Yard:
    """A cashbox that has paid once, and whose store can be brought back as it was.

    Args:
        folder: where its files are.
        farmers: how many.
        settings: of the devnet.
    """

    def __init__(self, folder: Path, farmers: int = 3, settings: LedgerSettings | None = None) -> None:
        self.box = Cashbox(folder, settings=settings)
        self.farmers = self.box.add(farmers)
        self.copy = folder / "copy.db"
        self.earn(7)
        self.box.payout()

    def earn(self, index: int) -> None:
        for farmer in self.farmers:
            self.box.harvest(farmer, index, REWARD)

    def back_up(self) -> None:
        """Make a backup, of what is settled and of what waits."""
        back_up(self.box.pool, self.copy)

    def save_file(self) -> None:
        """Copy the store's file by other means: nothing in it says that it is a copy."""
        self.box.crash()
        assert self.box.pool.store.value("PRAGMA wal_checkpoint(TRUNCATE)") == 0
        self.copy.write_bytes((self.box.stead.folder / "kalepool.db").read_bytes())

    def restore(self) -> None:
        """Lose the store, and put the copy in its place."""
        self.box.pool.close()
        for leftover in self.box.stead.folder.glob("kalepool.db*"):
            leftover.unlink()
        path = self.box.stead.folder / "kalepool.db"
        path.write_bytes(self.copy.read_bytes())
        path.chmod(0o600)
        self.box.start()

    def audit(self) -> list[str]:
        return [row.what for row in self.box.pool.audit.rows()]

    def check_paid(self, times: int) -> None:
        """Insist that each was paid so often by the network, and that the books say so."""
        box = self.box
        for farmer in self.farmers:
            assert box.kale(farmer.terms.payout) == times * SHARE
            assert box.pool.books.balance(paid(Claim.FARMER, farmer.number), KALE_NAME) == times * SHARE
            assert box.owed(Claim.FARMER, farmer) == box.owed(Claim.POOL, farmer) == 0
            assert box.wallet(farmer) == 100 * KALE
        assert box.kale(box.stead.operator) == times * POOLS * len(self.farmers)
        assert box.pool.books.total() == 0


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    yield yard
    yard.box.pool.close()


@pytest.mark.parametrize("how", [Yard.back_up, Yard.save_file])
def test_payments_since_the_backup_are_read_back_and_nobody_is_paid_twice(
    yard: Yard, how: Callable[[Yard], None]
) -> None:
    yard.earn(8)
    how(yard)
    _, done = yard.box.payout()
    yard.restore()
    plan, again = yard.box.payout()
    assert (plan.lines, again.transactions) == ([], 0)
    yard.check_paid(2)
    (news,) = yard.box.pool.restoring.news
    assert "1 transactions that this store did not know, 6 payments of claims among them" in news
    assert yard.audit()[-1] in news
    payments = yard.box.pool.histories.payments(1)
    assert {one.transaction for one in payments} >= {tx_hash for _, tx_hash in done.lines}
    yard.earn(9)
    yard.box.payout()
    yard.check_paid(3)
    assert yard.box.pool.facts.get(RESTORED) is yard.box.pool.facts.get(UNREAD) is None


def test_pails_harvested_since_the_backup_came_home_and_are_no_loss(tmp_path: Path) -> None:
    """One was only planted in the backup, one worked, one was lost for good; the store comes back days later."""
    yard = Yard(tmp_path, farmers=1)
    box, (farmer,) = yard.box, yard.farmers
    sow(box.bench, [farmer.address], (10, 11), ends_in=60)
    ledger = box.bench.ledger.latest.sequence
    planted = [
        PailRecord(1, block, PailState.PLANTED, STAKE, ledger, live_until=ledger + 60)
        for block in (10, 11, 12)
    ]
    worked = replace(planted[1], state=PailState.WORKED, gap=GAP, zeros=ZEROS)
    box.pool.pails.record([*planted, worked])
    yard.back_up()
    before = box.wallet(farmer)
    box.play(harvest(box, farmer, 10, 11))
    minted = box.wallet(farmer) - before
    box.payout()
    shared = box.kale(farmer.terms.payout)
    for _ in range(80):
        box.bench.close()
    yard.restore()
    assert box.play(look_at(box, farmer, 10, 11, 12)) == []  # it is not said yet what became of them
    box.payout()
    ends = {one.block: one for one in box.pool.pails.of_farmer(1, 10, 12)}
    assert [ends[block].state for block in (10, 11)] == [PailState.HARVESTED] * 2
    assert sum(ends[block].reward or 0 for block in (10, 11)) == minted - 2 * STAKE
    assert box.kale(farmer.terms.payout) == shared
    assert box.owed(Claim.FARMER, farmer) == box.owed(Claim.POOL, farmer) == 0
    (lost,) = box.play(look_at(box, farmer, 10, 11, 12))
    assert (lost.block, lost.state) == (12, PailState.EXPIRED)
    box.pool.settling.settle()
    assert box.owed(Claim.COMPENSATION, farmer) == STAKE
    box.pool.close()


def test_pails_planted_and_harvested_since_the_backup_are_shared_as_any_other(tmp_path: Path) -> None:
    yard = Yard(tmp_path, farmers=2)
    box, (farmer, other) = yard.box, yard.farmers
    # Of the first two a plant was planned when the backup was made; the second was given up before it was seen.
    planned = [PailRecord(1, block, PailState.PLANNED, STAKE) for block in (10, 11)]
    box.pool.pails.record([*planned, replace(planned[1], state=PailState.MISSED)])
    yard.back_up()
    sow(box.bench, [farmer.address], (10, 11, 12))
    before = box.wallet(farmer)
    box.play(harvest(box, farmer, 10, 11, 12))
    minted = box.wallet(farmer) - before
    box.payout()
    shared = box.kale(farmer.terms.payout)
    assert shared > SHARE
    yard.restore()
    assert len(box.pool.pails.of_farmer(1, 10, 12)) == 2
    plan, _ = box.payout()
    assert not plan.lines
    records = box.pool.pails.of_farmer(1, 10, 12)
    assert [(one.state, one.stake, one.gap, one.zeros) for one in records] == [
        (PailState.HARVESTED, STAKE, GAP, ZEROS)
    ] * 3
    assert sum(one.reward or 0 for one in records) == minted - 3 * STAKE
    assert box.kale(farmer.terms.payout) == shared
    assert box.owed(Claim.FARMER, farmer) == box.owed(Claim.POOL, farmer) == 0
    assert box.pool.pails.of_farmer(other.number, 10, 12) == []
    assert box.pool.facts.get(RESTORED) is box.pool.facts.get(UNREAD) is None
    assert box.pool.books.total() == 0
    box.pool.close()


async def harvest(box: Cashbox, farmer: Farmer, *blocks: int) -> None:
    async with box.online() as pool:
        pairs = [(farmer.address, block) for block in blocks]
        await pool.harvester.send(
            [Due(farmer, blocks, "now")], await pool.chain.snapshot(pairs, blocks, current=False)
        )
        await pool.clock.sleep_until(pool.clock.now() + 6)
        pool.harvester.settle(await pool.reconciler.reconcile())


async def look_at(box: Cashbox, farmer: Farmer, *blocks: int) -> list[PailRecord]:
    async with box.online() as pool:
        snapshot = await pool.chain.snapshot([(farmer.address, block) for block in blocks], blocks)
        return pool.memory.take(
            snapshot, [(farmer.number, block) for block in blocks], {farmer.number: farmer}
        )


def test_a_backup_after_which_nothing_was_paid_pays_at_once_what_it_owes(yard: Yard) -> None:
    yard.earn(8)
    yard.back_up()
    yard.restore()
    yard.box.payout()
    yard.check_paid(2)
    assert "0 transactions that this store did not know" in yard.audit()[-1]


def test_a_payment_that_a_crash_left_open_is_read_back_too(yard: Yard) -> None:
    yard.earn(8)
    yard.back_up()
    yard.box.pool.settling.settle()
    yard.box.crash()
    yard.box.cut_wire(0, before=False)
    with pytest.raises(PowerCutError):
        yard.box.payout()
    yard.restore()
    yard.box.payout()
    yard.check_paid(2)


def test_what_landed_after_the_restore_is_read_back_once_and_stops_nothing_later(yard: Yard) -> None:
    """It was under way when the store was lost; the books see its ledger after it was read back."""
    yard.earn(8)
    yard.back_up()
    yard.box.pool.settling.settle()
    yard.box.crash()
    yard.box.cut_wire(0, before=False)
    with pytest.raises(PowerCutError):
        yard.box.payout()
    yard.restore()
    for times in (2, 3, 4):
        yard.box.payout()
        yard.check_paid(times)
        yard.earn(7 + times)


@pytest.mark.parametrize("before", [True, False])
def test_a_payment_that_was_open_in_the_backup_is_settled_by_the_journal(yard: Yard, before: bool) -> None:
    yard.earn(8)
    yard.box.crash()
    yard.box.cut_wire(0, before=before)
    with pytest.raises(PowerCutError):
        yard.box.payout()
    yard.box.crash()
    yard.back_up()
    yard.box.payout()
    yard.restore()
    yard.box.payout()
    yard.check_paid(2)


def test_history_that_is_too_short_leaves_it_to_a_person_and_names_the_ledgers(tmp_path: Path) -> None:
    yard = Yard(tmp_path, settings=LedgerSettings(history_ledgers=30))
    yard.earn(8)
    yard.back_up()
    yard.box.payout()
    for _ in range(60):
        yard.box.bench.close()
    yard.restore()
    for _ in range(2):
        with pytest.raises(UnresolvedError, match=r"no node has ledgers \d+ to \d+ any more") as caught:
            yard.box.payout()
        assert "can be read; they were sent from" in caught.value.message
        assert "--confirm-restored" in caught.value.hint
    for farmer in yard.farmers:
        assert yard.box.kale(farmer.terms.payout) == 2 * SHARE
    yard.box.pool.close()


def test_mining_on_does_not_hide_an_old_store(tmp_path: Path) -> None:
    """Whoever sends after the restore takes the next numbers: accounts are no longer ahead of the journal."""
    yard = Yard(tmp_path, settings=LedgerSettings(history_ledgers=30))
    yard.earn(8)
    yard.save_file()
    yard.box.payout()
    for _ in range(60):
        yard.box.bench.close()
    yard.restore()

    async def send() -> None:
        async with yard.box.online() as pool:
            await pool.errands.clear()
            await pool.composer.refresh_bid()
            await pool.paying.trust()
            sources = [yard.box.stead.operator, *(address for _, address in pool.channels.known())]
            states = await pool.chain.accounts(sources)
            from kalepool.core.intents import Kind, Plan  # noqa: PLC0415
            from kalepool.services.submit import Order  # noqa: PLC0415

            max_time = int(pool.clock.now()) + 60
            orders = [
                Order(
                    Plan(Kind.FUND, f"test:{address}"),
                    address,
                    state.sequence,
                    pool.composer.pay(address, payments=[_stroop(address)], max_time=max_time),
                )
                for address, state in states.items()
            ]
            await pool.errands.run(orders)

    yard.box.play(send())
    assert yard.box.play(ahead(yard)) == []
    with pytest.raises(UnresolvedError, match="no node has ledgers"):
        yard.box.payout()
    yard.box.pool.close()


def _stroop(address: str) -> Any:
    from kalepool.core.classic import Payment  # noqa: PLC0415

    return Payment(address, 1, is_xlm=True)


async def ahead(yard: Yard) -> list[object]:
    async with yard.box.online() as pool:
        return list(await pool.restoring.ahead())


def test_a_long_pause_that_is_no_restore_stops_nothing(tmp_path: Path) -> None:
    yard = Yard(tmp_path, settings=LedgerSettings(history_ledgers=30))
    yard.earn(8)
    for _ in range(60):
        yard.box.bench.close()
    yard.box.payout()
    yard.check_paid(2)
    assert yard.box.pool.restoring.news == []
    yard.box.pool.close()


def test_a_payment_beyond_what_is_known_to_be_owed_is_named_until_the_harvest_is_known(yard: Yard) -> None:
    yard.back_up()
    yard.earn(8)
    yard.box.payout()
    yard.restore()
    for farmer in yard.farmers:  # the chain has it; the old store does not know of the harvest
        yard.box.bench.ledger.give_kale(farmer.address, 100 * KALE)
    with pytest.raises(
        UnresolvedError, match=r"4\.5 KALE from G.*only 0 KALE are known here to be owed for farmer-1"
    ):
        yard.box.payout()
    yard.earn(8)
    for farmer in yard.farmers:
        yard.box.bench.ledger.give_kale(farmer.address, 100 * KALE)
    yard.box.payout()
    yard.check_paid(2)


def test_what_could_be_matched_is_booked_though_the_rest_waits_for_a_person(yard: Yard) -> None:
    first = yard.farmers[0]
    yard.earn(8)
    yard.back_up()
    other = yard.box.bench.account("other", kale=0).public_key
    yard.box.agree(first, replace(first.terms, payout=other), 9)
    yard.box.payout()
    yard.restore()
    with pytest.raises(UnresolvedError, match="farmer-1 never agreed to be paid there"):
        yard.box.payout()
    assert yard.box.owed(Claim.FARMER, first) == SHARE
    assert yard.box.owed(Claim.POOL, first) == 0
    assert yard.box.owed(Claim.FARMER, yard.farmers[1]) == 0


@pytest.mark.parametrize("how", [Yard.back_up, Yard.save_file])
def test_a_sweep_goes_through_the_same_door(yard: Yard, how: Callable[[Yard], None]) -> None:
    box, first = yard.box, yard.farmers[0]
    yard.earn(8)
    how(yard)
    other = box.bench.account("other", kale=0).public_key
    box.agree(first, replace(first.terms, payout=other), 9)
    box.payout()
    yard.restore()
    with pytest.raises(UnresolvedError, match="farmer-1 never agreed to be paid there"):
        box.play(sweep(box, other))
    assert box.kale(other) == SHARE


def test_a_sweep_after_everything_was_read_back_goes_on(yard: Yard) -> None:
    yard.earn(8)
    yard.save_file()
    yard.box.payout()
    yard.restore()
    gatherer = yard.box.bench.account("gatherer", kale=0).public_key
    yard.box.play(sweep(yard.box, gatherer))
    assert yard.box.kale(gatherer) == 3 * 50 * KALE
    assert yard.box.owed(Claim.FARMER, yard.farmers[0]) == 0


async def sweep(box: Cashbox, to: str) -> None:
    async with box.online() as pool:
        await pool.gathering.sweep(await pool.gathering.quote(5_000, to))


def test_compensation_and_what_the_operator_took_out_are_told_apart(yard: Yard) -> None:
    box, first = yard.box, yard.farmers[0]
    box.bench.ledger.give_kale(box.stead.operator, 100 * KALE)
    box.lose(first, 8, 5 * KALE)
    box.pool.settling.settle()
    yard.back_up()
    box.payout()
    outside = box.bench.account("outside", kale=0).public_key
    box.play(withdraw(box, outside))
    yard.restore()
    box.payout()
    assert box.owed(Claim.COMPENSATION, first) == 0
    assert box.kale(first.terms.payout) == SHARE + 5 * KALE
    assert box.kale(outside) == 3 * KALE


async def withdraw(box: Cashbox, to: str) -> None:
    async with box.online() as pool:
        await pool.withdrawing.withdraw(await pool.withdrawing.plan("KALE", 3 * KALE, to))


def test_a_compensation_that_two_could_have_got_is_a_doubt(tmp_path: Path) -> None:
    yard = Yard(tmp_path, farmers=1)
    box, first = yard.box, yard.farmers[0]
    (second,) = box.add(1, payout=False, terms=replace(HALF, payout=first.terms.payout))
    box.bench.ledger.give_kale(box.stead.operator, 100 * KALE)
    yard.back_up()
    box.lose(first, 8, 5 * KALE)
    box.payout()
    yard.restore()
    lose_both(box, first, second)
    with pytest.raises(UnresolvedError, match="it may be owed to farmer-1 or to farmer-2"):
        box.payout()
    box.pool.close()


def lose_both(box: Cashbox, *farmers: Farmer) -> None:
    for farmer in farmers:
        box.lose(farmer, 8, 5 * KALE)


def test_somebody_who_left_since_is_named(yard: Yard) -> None:
    box, first = yard.box, yard.farmers[0]
    yard.back_up()
    box.agree(first, replace(first.terms, exit_delay_h=0), 9)
    assert box.leave(first).done
    yard.restore()
    with pytest.raises(UnresolvedError, match=r"who may have left and been paid.*farmer-1"):
        box.payout()
