"""What others do to our accounts is booked once, whatever stops in between; and said where it cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import Asset, scval

from kalepool.adapters.store.facts import StoreFacts
from kalepool.core.farmers import Custody
from kalepool.core.postings import BURNED, EXTERNAL, FEES, KALE, MINTED, XLM, account
from kalepool.devnet.ledger import LedgerSettings
from kalepool.services.opening import Openings
from kalepool.services.reconcile import IDLE_LEDGERS
from kalepool.services.witness import Witnessed
from support.devnet import KALE as ONE_KALE
from support.farming import Season
from support.farmstead import Farmstead
from support.house import House
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stellar_sdk import Keypair

STAKE = 3 * ONE_KALE


class Village:
    """A house with two farmers of its own and a stranger, watched from the start."""

    def __init__(self, folder: Path, settings: LedgerSettings | None = None) -> None:
        self.ours: set[str] = set()
        self.house = House(folder, settings, ours=self.ours)
        self.pool = self.house.pool
        self.farmers = self.house.farmers(2)
        self.ours.update(farmer.public_key for farmer in self.farmers)
        self.held = {farmer.public_key: self.pool.kale_of(farmer) for farmer in self.farmers}
        self.stranger = self.pool.account("stranger", kale=100)
        assert self.house.observe().witnessed == Witnessed()

    def pay(self, giver: Keypair, taker: Keypair, stroops: int) -> str:
        """Let somebody pay KALE to somebody in a classic payment; give its hash."""
        asset = Asset(*self.pool.identity.kale)
        builder = self.pool.builder(giver)
        envelope = builder.append_payment_op(taker.public_key, asset, str(stroops / ONE_KALE)).build()
        envelope.sign(giver)
        return self.pool.land(envelope).transaction.hash.hex()

    def xlm(self, who: Keypair) -> int:
        """Give what the chain holds for somebody, stroops of XLM."""
        entry = self.pool.entry(who.public_key)
        assert entry is not None
        return entry.balance

    def look(self) -> Witnessed:
        return self.house.observe().witnessed

    def check(self) -> None:
        """Insist that the books hold of every account of ours what the chain does."""
        for farmer in self.farmers:
            moved = self.pool.kale_of(farmer) - self.held[farmer.public_key]
            assert self.house.books.balance(account(farmer.public_key), KALE) == moved
        assert self.house.books.total() == 0


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    village = Village(tmp_path)
    yield village
    village.house.store.close()


def test_deposits_and_withdrawals_are_booked_against_the_outside(village: Village) -> None:
    first, second = village.farmers
    deposit = village.pay(village.stranger, first, 7 * ONE_KALE)
    withdrawal = village.pay(second, village.stranger, 2 * ONE_KALE)
    seen = village.look()
    assert [one.tx_hash for one in seen.booked] == [deposit, withdrawal]
    assert village.house.books.balance(EXTERNAL, KALE) == -5 * ONE_KALE
    village.check()


def test_what_moved_until_an_account_was_opened_is_in_its_opening_and_counts_no_second_time(
    village: Village,
) -> None:
    """The witness comes after the opening here, and reads ledgers from before it."""
    house, (first, second) = village.house, village.farmers
    openings = Openings(house.books, StoreFacts(house.store, lambda: 1.0), house.store, "GOPERATOR")
    village.pay(village.stranger, first, 7 * ONE_KALE)
    openings.take(run(village.pool.chain.accounts([first.public_key])).values(), at=1.0)
    openings.take(run(village.pool.chain.accounts([first.public_key])).values(), at=2.0)
    village.pay(village.stranger, first, 2 * ONE_KALE)
    village.pay(first, second, ONE_KALE)
    village.look()
    assert house.books.balance(account(first.public_key), KALE) == village.pool.kale_of(first)
    assert house.books.balance(account(second.public_key), KALE) == ONE_KALE
    assert house.books.total() == 0


def test_a_strangers_harvest_is_booked_as_minted(village: Village) -> None:
    first = village.farmers[0]
    village.pool.land(village.pool.plant(first, STAKE))
    village.pool.close()
    village.pool.land(village.pool.work(first, village.pool.proof(first)))
    village.pool.open_block(village.stranger)
    village.pool.land(village.pool.harvest(first, 0, source=village.stranger))
    seen = village.look()
    # The plant with his own key, outside of the pool, is a stranger's doing as well.
    kinds = [move.kind for one in seen.booked for move in one.landed.moves]
    assert kinds == ["burn", "mint"]
    assert village.house.books.balance(BURNED, KALE) == STAKE
    assert village.house.books.balance(MINTED, KALE) < -STAKE
    village.check()


def test_a_payment_between_two_of_ours_leaves_the_outside_alone(village: Village) -> None:
    first, second = village.farmers
    village.pay(first, second, 4 * ONE_KALE)
    assert len(village.look().booked) == 1
    assert village.house.books.balance(EXTERNAL, KALE) == 0
    village.check()


def test_what_strangers_do_among_themselves_is_nobodys_business(village: Village) -> None:
    village.pay(village.stranger, village.pool.account("other", kale=0), ONE_KALE)
    village.pool.land(village.pool.plant(village.stranger, STAKE))
    assert village.look() == Witnessed()


def test_what_our_intents_do_is_settled_by_them_alone(village: Village) -> None:
    season = Season(village.house, village.farmers)
    season.send(season.plants([STAKE, STAKE]))
    village.pool.close()
    seen = village.house.observe()
    assert (len(seen.closed), seen.witnessed) == (2, Witnessed())
    village.check()


def test_what_another_process_of_ours_has_sent_is_left_to_it(village: Village) -> None:
    season = Season(village.house, village.farmers)
    season.send(season.plants([STAKE, STAKE]))
    village.house.store.close()
    village.house.start()  # beside the first one, which lives on
    village.pool.close()
    seen = village.house.observe()
    assert (seen.closed, seen.witnessed) == ([], Witnessed())


def test_one_reading_serves_outcomes_and_what_others_did(village: Village) -> None:
    season = Season(village.house, village.farmers)
    season.send(season.plants([STAKE]))
    village.pay(village.stranger, village.farmers[1], ONE_KALE)
    before = village.pool.rpc_client.counts.http_requests
    seen = village.house.observe()
    assert village.pool.rpc_client.counts.http_requests == before + 1
    assert (len(seen.closed), len(seen.witnessed.booked)) == (1, 1)
    village.check()


def test_a_restart_books_what_happened_meanwhile_and_nothing_twice(village: Village) -> None:
    village.pay(village.stranger, village.farmers[0], ONE_KALE)
    village.look()
    village.house.crash()
    assert village.look() == Witnessed()
    village.house.store.close()
    missed = village.pay(village.stranger, village.farmers[1], 2 * ONE_KALE)
    village.pool.close(40)
    village.house.start()
    assert [one.tx_hash for one in village.look().booked] == [missed]
    assert village.look() == Witnessed()
    village.check()


def test_a_crash_before_the_commit_books_it_after_the_restart(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    village.pay(village.stranger, village.farmers[0], ONE_KALE)

    def cut(*_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(village.house.facts, "put", cut)
    with pytest.raises(KeyboardInterrupt):
        village.look()
    assert village.house.books.balances() == {}
    village.house.crash()
    assert len(village.look().booked) == 1
    village.check()


def test_the_same_ledgers_told_again_are_booked_once(village: Village) -> None:
    village.pay(village.stranger, village.farmers[0], ONE_KALE)
    village.look()
    assert village.house.witness is not None
    village.house.witness.begin(1)  # as a backup would have it
    assert village.look() == Witnessed(elsewhere=True)
    village.check()


def test_ledgers_that_no_history_holds_are_named(tmp_path: Path) -> None:
    village = Village(tmp_path, LedgerSettings(history_ledgers=10))
    begun = village.pool.ledger.latest.sequence
    village.pay(village.stranger, village.farmers[0], ONE_KALE)
    village.pool.close(30)
    oldest = village.pool.ledger.oldest.sequence
    assert village.look() == Witnessed(missed=(begun + 1, oldest - 1))
    assert village.look() == Witnessed()
    village.house.store.close()


def test_a_fee_of_ours_that_no_intent_knows_is_booked_too(village: Village) -> None:
    operator = village.pool.operator
    before = village.pool.xlm(operator)
    village.pool.land(village.pool.bump(village.pool.plant(village.stranger, STAKE), operator))
    (one,) = village.look().booked
    spent = before - village.pool.xlm(operator)
    assert one.postings == ((account(operator.public_key), XLM, -spent), (FEES, XLM, spent))


def test_a_contract_call_that_moves_kale_counts_as_a_payment_does(village: Village) -> None:
    parties = [scval.to_address(keys.public_key) for keys in (village.stranger, village.farmers[0])]
    arguments = [*parties, scval.to_int128(ONE_KALE)]
    village.pool.land(village.pool.call(village.stranger, village.pool.sac, "transfer", arguments))
    assert len(village.look().booked) == 1
    village.check()


def test_while_nothing_is_under_way_it_is_looked_at_twice_a_block(village: Village) -> None:
    counts = village.pool.rpc_client.counts
    village.pay(village.stranger, village.farmers[0], ONE_KALE)
    booked: list[Any] = []
    village.house.snapshot(village.farmers, 0)
    counts.http_requests = 0
    for _ in range(2 * IDLE_LEDGERS):
        village.pool.close()
        booked += village.house.observe(village.house.snapshot(village.farmers, 0)).witnessed.booked
    assert len(booked) == 1
    assert counts.http_requests == 2 * IDLE_LEDGERS + 2  # a snapshot each, and two readings of events
    village.check()


def test_a_pool_watches_the_accounts_whose_keys_it_has(tmp_path: Path) -> None:
    farmstead = Farmstead(tmp_path)
    bench, stranger = farmstead.bench, farmstead.bench.account("stranger", kale=100)
    with farmstead.pool() as pool:
        (farmer,) = farmstead.add_farmers(pool, 1)
        farmstead.add_channels(pool, 2)
        watched = replace(farmer, name="watched", address=stranger.public_key, custody=Custody.WATCHED)
        pool.farmers.add([replace(watched, wallet_index=None)], who="test", seal=pool.seal_terms)
        assert pool.own_addresses() == {
            farmstead.operator,
            farmer.address,
            pool.vault.channel(0),
            pool.vault.channel(1),
        }

        async def look_at_a_deposit() -> Witnessed:
            async with pool.online():
                await pool.reconciler.observe()
                parties = [scval.to_address(one) for one in (stranger.public_key, farmer.address)]
                transfer = [*parties, scval.to_int128(ONE_KALE)]
                bench.land(bench.call(stranger, bench.sac, "transfer", transfer))
                return (await pool.reconciler.observe()).witnessed

        (deposit,) = run(look_at_a_deposit()).booked
        assert pool.books.balance(account(farmer.address), KALE) == ONE_KALE
        assert deposit.landed.ledger == bench.ledger.latest.sequence


@pytest.mark.parametrize("to_operator", [True, False])
def test_lumens_that_others_send_or_that_went_out_elsewhere_are_booked_once(
    village: Village, to_operator: bool
) -> None:
    operator, other = village.pool.operator, village.stranger
    giver, taker = (other, operator) if to_operator else (operator, other)
    held = village.xlm(operator)
    builder = village.pool.builder(giver)
    envelope = builder.append_payment_op(taker.public_key, Asset.native(), "3").build()
    envelope.sign(giver)
    village.pool.land(envelope)
    for _ in range(2):
        village.look()
    books = village.house.books
    assert books.balance(account(operator.public_key), XLM) == village.xlm(operator) - held
    assert books.balance(EXTERNAL, XLM) == (-3 if to_operator else 3) * 10_000_000
    assert books.total() == 0
