"""Farmers: added all or none, moved by the rules, under the terms of their time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.pails import StorePails
from kalepool.core.farmers import Farmer, FarmerState, Moved, SealedTerms, Stake, Terms
from kalepool.core.records import PailRecord, PailState
from kalepool.errors import InternalError, UsageError
from support.store import SEAL, HandClock, farmer

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store

RICH = Terms(Stake(stroops=25_000_000), harvest_every=20, share_bps=8_000, fee_bps=500, payout="G-bank")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def farmers(store: Store, clock: HandClock) -> StoreFarmers:
    return StoreFarmers(store, clock)


def add(farmers: StoreFarmers, *new: Farmer) -> list[Farmer]:
    return farmers.add(new, who="test", seal=lambda _: SEAL)


def test_it_fulfils_the_port(farmers: StoreFarmers) -> None:
    port: ports.Farmers = farmers
    assert port.all() == []


def test_farmers_are_numbered_from_one_and_read_back_whole(farmers: StoreFarmers) -> None:
    ann = farmer("ann", wallet_index=0, terms=RICH, email="ann@example.org")
    bob = farmer("bob", state=FarmerState.ACTIVE)
    added = add(farmers, ann, bob)
    assert added == [replace(ann, number=1), replace(bob, number=2)]
    assert farmers.all() == added
    assert farmers.get("ann") == added[0]
    assert farmers.all(FarmerState.ACTIVE, FarmerState.PAUSED) == [added[1]]


def test_an_unknown_farmer_is_a_usage_error(farmers: StoreFarmers) -> None:
    for asked in (
        lambda: farmers.get("nobody"),
        lambda: farmers.move(7, FarmerState.FUNDED, who="test"),
        lambda: farmers.set_terms(7, RICH, from_block=1, seal=SEAL, who="test"),
        lambda: farmers.terms_at(7, 1),
    ):
        with pytest.raises(UsageError, match="there is no farmer"):
            asked()


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (farmer("ann"), "a farmer 'ann' already"),
        (replace(farmer("bob"), address="G-ann"), "G-ann is a farmer's already"),
        (farmer("bob", wallet_index=3), "wallet 3 is a farmer's already"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
def test_names_addresses_and_wallets_are_had_once_and_a_refusal_adds_nobody(
    farmers: StoreFarmers, second: Farmer, says: str, at_once: bool
) -> None:
    first = farmer("ann", wallet_index=3)
    if not at_once:
        add(farmers, first)
    with pytest.raises(UsageError, match=says):
        add(farmers, *([first] if at_once else []), farmer("carl"), second)
    assert [one.name for one in farmers.all()] == ([] if at_once else ["ann"])


def test_the_next_wallet_is_one_nobody_had(farmers: StoreFarmers) -> None:
    assert farmers.next_wallet_index() == 0
    add(farmers, farmer("ann", wallet_index=4), farmer("imported"))
    assert farmers.next_wallet_index() == 5


def test_moves_follow_the_rules_and_are_recorded(farmers: StoreFarmers, clock: HandClock) -> None:
    add(farmers, farmer("ann"))
    clock.time = 1_060.0
    farmers.move(1, FarmerState.FUNDED, who="operator", why="sponsored")
    with pytest.raises(UsageError, match="cannot become paused"):
        farmers.move(1, FarmerState.PAUSED, who="operator")
    assert farmers.get("ann").state is FarmerState.FUNDED
    assert farmers.moves(1) == [
        Moved(None, FarmerState.CREATED, "test", "added", 1_000.0),
        Moved(FarmerState.CREATED, FarmerState.FUNDED, "operator", "sponsored", 1_060.0),
    ]


def test_terms_hold_from_their_block_and_old_blocks_stay_under_the_old(farmers: StoreFarmers) -> None:
    add(farmers, farmer("ann"))
    seal = bytes(32)
    farmers.set_terms(1, RICH, from_block=100, seal=seal, who="operator")
    assert farmers.terms_at(1, 99) == SealedTerms(Terms(), 0, SEAL)
    assert farmers.terms_at(1, 100) == SealedTerms(RICH, 100, seal)
    assert farmers.get("ann").terms == RICH


def test_of_terms_from_the_same_block_the_last_agreed_hold(farmers: StoreFarmers) -> None:
    add(farmers, farmer("ann"))
    farmers.set_terms(1, RICH, from_block=100, seal=SEAL, who="operator")
    farmers.set_terms(1, Terms(harvest_every=3), from_block=100, seal=SEAL, who="operator")
    assert farmers.terms_at(1, 100).terms.harvest_every == 3


def test_terms_do_not_begin_before_what_is_planted_or_agreed(store: Store, farmers: StoreFarmers) -> None:
    add(farmers, farmer("ann"))
    StorePails(store).record([PailRecord(1, 100, PailState.PLANNED, 5)])
    with pytest.raises(UsageError, match="from block 100") as refusal:
        farmers.set_terms(1, RICH, from_block=100, seal=SEAL, who="operator")
    assert "101" in refusal.value.hint
    farmers.set_terms(1, RICH, from_block=120, seal=SEAL, who="operator")
    with pytest.raises(UsageError, match="from block 119"):
        farmers.set_terms(1, Terms(), from_block=119, seal=SEAL, who="operator")


def test_the_seal_is_made_over_the_numbered_farmer(farmers: StoreFarmers) -> None:
    add(farmers, farmer("ann"))
    farmers.add([farmer("bob")], who="test", seal=lambda one: one.number.to_bytes(32, "big"))
    assert farmers.terms_at(2, 0).seal == (2).to_bytes(32, "big")


def test_terms_without_a_whole_seal_are_refused(farmers: StoreFarmers) -> None:
    with pytest.raises(InternalError, match="CHECK"):
        farmers.add([farmer("ann")], who="test", seal=lambda _: b"short")
    assert farmers.all() == []


def test_a_farmer_is_never_deleted(store: Store, farmers: StoreFarmers) -> None:
    add(farmers, farmer("ann"))
    with pytest.raises(InternalError, match="never forgotten"):
        store.execute("DELETE FROM farmers")
