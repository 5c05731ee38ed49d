"""Farmers are added all or none, sealed and recorded; new terms begin where nothing is planted yet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.farmers import Custody, FarmerState, Stake, Terms
from kalepool.core.records import PailRecord, PailState, View
from kalepool.core.roster import Applicant, RosterError
from kalepool.core.sealing import audit_entry
from kalepool.core.shares import receivable
from kalepool.errors import ConfigError, RejectedError, RetryableError, UsageError
from kalepool.services.onboarding import Change, check_receivers
from support.devnet import keypair
from support.farmstead import Farmstead
from support.vault import OPERATIONS, SEED, SEED_ADDRESS, opened, secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer
    from kalepool.services.onboarding import Onboarding

PAYOUT = keypair("payout").public_key
CONTRACT = "CAYKHFRQH6N5XNSX3UAY4OOIJ27YFUSIPUJNPAXZJCQTVICZDXFT5JAL"


@pytest.fixture
def farm(tmp_path: Path) -> Farmstead:
    return Farmstead(tmp_path)


@pytest.fixture
def pool(farm: Farmstead) -> Iterator[Pool]:
    with farm.pool("farmer add", options={"terms.stake": "5%", "terms.fee_bps": 300}) as pool:
        yield pool


def add(pool: Pool, *names: str) -> list[Farmer]:
    return pool.onboarding.add([Applicant(name) for name in names])


def test_wallets_are_derived_at_the_next_indexes(pool: Pool) -> None:
    add(pool, "anna", "bert")
    (cleo,) = add(pool, "cleo")
    assert [farmer.address for farmer in pool.farmers.all()] == [
        pool.vault.wallet(index) for index in range(3)
    ]
    assert (cleo.wallet_index, cleo.custody, cleo.state) == (2, Custody.CUSTODIAL, FarmerState.CREATED)


def test_who_brings_no_terms_gets_the_configured_ones(pool: Pool) -> None:
    (plain,) = add(pool, "plain")
    assert plain.terms == Terms(Stake(bps=500), harvest_every=5, share_bps=10_000, fee_bps=300)
    own = Applicant("own", "o@example.org", PAYOUT, Stake(stroops=0), 0)
    (farmer,) = pool.onboarding.add([own])
    assert farmer.terms == Terms(Stake(stroops=0), 5, 0, 300, PAYOUT)
    assert farmer.email == "o@example.org"


def test_terms_are_sealed_and_every_change_is_in_the_audit_log(pool: Pool) -> None:
    (anna,) = add(pool, "anna")
    pool.onboarding.change("anna", Change(payout=PAYOUT))
    pool.onboarding.change("anna", Change(stake=Stake(bps=1)))
    agreed = pool.farmers.agreed(anna.number)
    assert [pool.onboarding.seal_holds(anna, terms) for terms in agreed] == [True, True, True]
    forged = replace(anna, name="mallory")
    assert [pool.onboarding.seal_holds(forged, terms) for terms in agreed] == [False, False, False]
    rows = pool.audit.rows()
    assert len(rows) == 3
    assert rows[0].what.startswith(f"added custodial farmer 'anna', {anna.address}")
    assert PAYOUT in rows[1].what
    link = bytes(32)
    for row in rows:
        link = pool.vault.audit_link(link, audit_entry(row))
        assert row.chain == link


def test_of_several_with_one_name_taken_none_is_added(pool: Pool) -> None:
    add(pool, "anna")
    with pytest.raises(UsageError, match="farmer 'anna' already"):
        add(pool, "bert", "anna")
    assert [farmer.name for farmer in pool.farmers.all()] == ["anna"]
    assert len(pool.audit.rows()) == 1


def test_a_file_is_refused_with_every_name_that_is_taken(pool: Pool) -> None:
    add(pool, "anna", "bert")
    listed = [(2, Applicant("cleo")), (3, Applicant("bert")), (5, Applicant("anna"))]
    with pytest.raises(RosterError) as caught:
        pool.onboarding.add_listed(listed)
    assert [fault.line for fault in caught.value.faults] == [3, 5]
    assert len(pool.farmers.all()) == 2


def test_two_processes_that_add_at_once_never_share_a_wallet(farm: Farmstead, pool: Pool) -> None:
    with farm.pool("farmer add") as other:
        first = pool.farmers.next_wallet_index()
        other.onboarding.add([Applicant("theirs")])
        assert pool.farmers.next_wallet_index() == first + 1
        assert add(pool, "ours")[0].wallet_index == first + 1


def test_an_imported_seed_is_kept_in_the_vault_and_signs(farm: Farmstead, pool: Pool) -> None:
    farmer = pool.onboarding.add_seed(Applicant("old"), secret(SEED))
    assert (farmer.address, farmer.wallet_index, farmer.custody) == (SEED_ADDRESS, None, Custody.CUSTODIAL)
    assert len(opened(farm.folder / "kalepool.vault").sign(SEED_ADDRESS, bytes(32))) == 64


@pytest.mark.parametrize(
    ("name", "seed", "message"),
    [
        ("anna", SEED, "farmer 'anna' already"),
        ("new", "SABC", "not a secret seed"),
        ("new", SEED[:-1] + "A", "checksum"),
    ],
)
def test_a_seed_that_cannot_be_taken_changes_neither_store_nor_vault(
    farm: Farmstead, pool: Pool, name: str, seed: str, message: str
) -> None:
    add(pool, "anna")
    before = (farm.folder / "kalepool.vault").read_bytes()
    with pytest.raises(UsageError, match=message) as caught:
        pool.onboarding.add_seed(Applicant(name), secret(seed))
    assert seed not in caught.value.message + caught.value.hint
    assert (farm.folder / "kalepool.vault").read_bytes() == before
    assert len(pool.farmers.all()) == 1


def test_a_seed_whose_import_was_cut_off_is_taken_by_the_next_run(pool: Pool) -> None:
    pool.vault.add_imported([secret(SEED)])  # the process died before the farmer was in the store
    assert pool.onboarding.add_seed(Applicant("old"), secret(SEED)).address == SEED_ADDRESS
    with pytest.raises(UsageError, match="is 'old' already"):
        pool.onboarding.add_seed(Applicant("again"), secret(SEED))


def test_a_derived_wallet_that_came_back_as_a_seed_is_passed_over(pool: Pool) -> None:
    seed = pool.vault.export_seed(pool.vault.wallet(0))
    pool.vault._wallets.clear()  # as in a new process
    pool.onboarding.add_seed(Applicant("exported"), seed)
    assert add(pool, "next")[0].wallet_index == 1


@pytest.mark.parametrize("address", [keypair("self").public_key, CONTRACT])
def test_who_keeps_his_own_account_is_watched_and_active_at_once(pool: Pool, address: str) -> None:
    farmer = pool.onboarding.watch(Applicant("self"), address)
    assert (farmer.custody, farmer.state, farmer.address) == (Custody.WATCHED, FarmerState.ACTIVE, address)
    with pytest.raises(UsageError, match="farmer's already"):
        pool.onboarding.watch(Applicant("twin"), address)
    with pytest.raises(UsageError, match="needs no payout"):
        pool.onboarding.watch(Applicant("rich", payout=PAYOUT), keypair("rich").public_key)


def test_the_operations_passphrase_adds_nobody(farm: Farmstead) -> None:
    with farm.pool(passphrase=OPERATIONS) as pool:
        with pytest.raises(ConfigError, match="takes the main passphrase"):
            add(pool, "anna")
        assert pool.farmers.all() == []


def test_pausing_and_resuming_are_recorded_moves(pool: Pool) -> None:
    pool.onboarding.watch(Applicant("self"), CONTRACT)
    assert pool.onboarding.pause(["self"], why="holiday")[0].state is FarmerState.PAUSED
    assert pool.onboarding.resume(["self"])[0].state is FarmerState.ACTIVE
    (self,) = pool.farmers.all()
    assert [(move.became, move.why) for move in pool.farmers.moves(self.number)][1:] == [
        ("paused", "holiday"),
        ("active", ""),
    ]
    assert [row.what for row in pool.audit.rows()][1:] == ["paused 'self': holiday", "resumed 'self'"]


def pause(onboarding: Onboarding, *names: str) -> list[Farmer]:
    return onboarding.pause(names)


def resume(onboarding: Onboarding, *names: str) -> list[Farmer]:
    return onboarding.resume(names)


@pytest.mark.parametrize(
    ("move", "names", "message"),
    [
        (pause, ["self", "new"], "'new' is created"),
        (resume, ["self"], "'self' is active"),
        (pause, ["self", "nobody"], "no farmer 'nobody'"),
    ],
)
def test_who_cannot_be_moved_stops_all_of_it(
    pool: Pool, move: Callable[..., list[Farmer]], names: list[str], message: str
) -> None:
    pool.onboarding.watch(Applicant("self"), CONTRACT)
    add(pool, "new")
    with pytest.raises(UsageError, match=message):
        move(pool.onboarding, *names)
    assert pool.farmers.get("self").state is FarmerState.ACTIVE


def test_an_exit_is_not_called_off_by_resuming(pool: Pool) -> None:
    farmer = pool.onboarding.watch(Applicant("self"), CONTRACT)
    pool.farmers.move(farmer.number, FarmerState.EXITING, who="test")
    with pytest.raises(UsageError, match="'self' is exiting"):
        pool.onboarding.resume(["self"])


def see_block(pool: Pool, index: int) -> None:
    pool.views.save(View(10, 1, index, False, 0, 0, 1.0))


def test_new_terms_begin_after_what_was_seen_and_planted(pool: Pool) -> None:
    (anna,) = add(pool, "anna")
    see_block(pool, 41)
    assert pool.onboarding.change("anna", Change(harvest_every=3))[1] == 42
    pool.pails.record([PailRecord(anna.number, 42, PailState.PLANNED, 5)])
    farmer, block = pool.onboarding.change("anna", Change(harvest_every=4))
    assert (farmer.terms.harvest_every, block) == (4, 43)
    assert [pool.farmers.terms_at(anna.number, at).terms.harvest_every for at in (41, 42, 43)] == [5, 3, 4]


def test_what_is_as_agreed_already_is_no_change(pool: Pool) -> None:
    add(pool, "anna")
    assert pool.onboarding.change("anna", Change(fee_bps=300))[1] is None
    assert len(pool.audit.rows()) == 1


def test_a_payout_address_is_taken_away_by_an_empty_one(pool: Pool) -> None:
    pool.onboarding.add([Applicant("anna", payout=PAYOUT)])
    assert pool.onboarding.change("anna", Change(payout=""))[0].terms.payout is None


def test_an_e_mail_address_changes_without_new_terms(pool: Pool) -> None:
    add(pool, "anna")
    farmer, block = pool.onboarding.change("anna", Change(), email="a@example.org")
    assert (farmer.email, block) == ("a@example.org", None)
    assert pool.onboarding.change("anna", Change(), email="")[0].email is None
    # The address itself is his own business; that it changed is not.
    assert [row.what for row in pool.audit.rows()][1:] == ["changed the e-mail address of 'anna'"] * 2


@pytest.mark.parametrize("change", [Change(harvest_every=21), Change(share_bps=10_001), Change(fee_bps=-1)])
def test_terms_out_of_range_are_refused(pool: Pool, change: Change) -> None:
    (anna,) = add(pool, "anna")
    with pytest.raises(UsageError):
        pool.onboarding.change("anna", change, email="x@example.org")
    assert pool.farmers.all() == [anna]


def test_who_shall_be_paid_must_exist_and_trust_kale(farm: Farmstead) -> None:
    trusting = farm.bench.account("trusting", kale=0).public_key
    plain = farm.bench.account("plain").public_key

    async def check(*addresses: str) -> None:
        with farm.pool() as pool:
            async with pool.online():
                await check_receivers(pool.chain, addresses)

    farm.play(check(trusting, CONTRACT))
    with pytest.raises(RejectedError, match="no KALE trustline"):
        farm.play(check(trusting, plain))
    with pytest.raises(RejectedError, match="no account"):
        farm.play(check(PAYOUT))


def test_what_who_keeps_his_account_owes_accrues_pail_by_pail_and_is_the_same_once_settled(
    pool: Pool,
) -> None:
    farmer = pool.onboarding.watch(Applicant("self"), CONTRACT)
    add(pool, "custodial")
    see_block(pool, 9)
    pool.onboarding.change("self", Change(fee_bps=1_000, share_bps=9_999))  # from block 10; 300 before

    def harvested(block: int, reward: int) -> PailRecord:
        return PailRecord(farmer.number, block, PailState.HARVESTED, 5, 1, 2, 3, reward, 99)

    assert pool.receivables.receivables() == {farmer.number: 0}
    pool.pails.record([harvested(9, 10_001), PailRecord(farmer.number, 11, PailState.PLANTED, 7, 1)])
    assert pool.receivables.receivables() == {farmer.number: 300}
    pool.pails.record([harvested(10, 10_009)])
    assert pool.receivables.receivables() == {farmer.number: 300 + 1_000 + 1}
    assert pool.receivables.beyond_limit() == frozenset()
    pool.pails.record([harvested(12, 10_000_000_000)])
    owed = 1_301 + 1_000_000_000 + 900_000
    assert pool.receivables.receivables() == {farmer.number: owed}
    assert pool.receivables.beyond_limit() == frozenset({farmer.number})
    pool.settling.settle()
    assert pool.receivables.receivables() == {farmer.number: owed}
    assert pool.books.balance(receivable(farmer.number), "KALE") == owed


def test_a_network_that_cannot_be_asked_is_told_as_such(farm: Farmstead) -> None:
    async def check() -> None:
        with farm.pool(options={"network.rpc": ("http://127.0.0.1/nodes/none",)}) as pool:
            async with pool.online():
                await check_receivers(pool.chain, [PAYOUT])

    with pytest.raises(RetryableError):
        farm.play(check())
