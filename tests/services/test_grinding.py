"""Grinding: the miner's jobs follow the round, and neither nonces nor proofs are lost by a restart."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.miner import Miner
from kalepool.adapters.store.grinds import StoreGrinds
from kalepool.adapters.store.opening import create_store, open_store
from kalepool.core.proof import verify
from kalepool.services.grinding import RESTART_SKIP, Grinder, Target
from support.store import HOME, add_farmers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.adapters.store.db import Store
    from kalepool.core.farm import Proof

ENTROPY, OTHER_ENTROPY = b"\x01" * 32, b"\x02" * 32
FIRST, SECOND = (Target(number, hashlib.sha256(bytes([number])).digest(), cap=3) for number in (1, 2))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "kalepool.db"
    create_store(path, HOME)
    with open_store(path, HOME) as store:
        add_farmers(store, 2)
        yield store


@pytest.fixture
def miner() -> Iterator[Miner]:
    with Miner(threads=2) as miner:
        yield miner


def ground(miner: Miner, grinder: Grinder, *farmers: int) -> dict[int, Proof]:
    """Wait until these farmers' jobs have reached their caps; give the proofs."""
    improvements = 0
    while not all(farmer in (proofs := grinder.proofs()) and proofs[farmer].zeros >= 3 for farmer in farmers):
        improvements = miner.wait(improvements, 10.0).improvements
    return proofs


def test_every_farmer_gets_a_proof_of_his_own_that_verifies(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST, SECOND], block=7, entropy=ENTROPY)
    proofs = ground(miner, grinder, 1, 2)
    assert all(
        verify(proofs[target.farmer], ENTROPY, target.key) and proofs[target.farmer].index == 7
        for target in (FIRST, SECOND)
    )


def test_a_new_block_begins_anew_and_the_old_proofs_are_not_offered(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST], block=7, entropy=ENTROPY)
    ground(miner, grinder, 1)
    grinder.aim([SECOND], block=8, entropy=OTHER_ENTROPY)
    proofs = ground(miner, grinder, 2)
    assert proofs.keys() == {2}
    assert verify(proofs[2], OTHER_ENTROPY, SECOND.key)


def test_who_is_no_longer_ground_for_keeps_his_proof_and_costs_no_hashes(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST, SECOND], block=7, entropy=ENTROPY)
    before = ground(miner, grinder, 1, 2)
    grinder.aim([SECOND], block=7, entropy=ENTROPY)
    assert grinder.proofs()[1] == before[1]
    assert miner.stats().jobs == 1


def test_nobody_to_grind_for_stops_the_hashing(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST], block=7, entropy=ENTROPY)
    grinder.aim([], block=7, entropy=ENTROPY)
    stats = miner.stats()
    assert (stats.running, stats.busy, stats.jobs) == (False, 0, 0)


def test_a_restart_within_the_block_keeps_the_proof_and_repeats_no_nonce(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST], block=7, entropy=ENTROPY)
    best = ground(miner, grinder, 1)[1]
    grinder.save()  # and then the machine stops, some hashes later
    (saved,) = StoreGrinds(store).load(7, ENTROPY)
    with Miner(threads=1) as another:
        again = Grinder(another, StoreGrinds(store))
        again.aim([FIRST], block=7, entropy=ENTROPY)
        assert again.proofs()[1] == best
        again.stop()
        (resumed,) = StoreGrinds(store).load(7, ENTROPY)
    assert resumed.cursor >= saved.cursor + RESTART_SKIP


def test_what_is_known_of_an_older_block_is_forgotten(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST], block=7, entropy=ENTROPY)
    grinder.save()
    grinder.aim([FIRST], block=8, entropy=OTHER_ENTROPY)  # perhaps ahead, and back again
    assert StoreGrinds(store).load(7, ENTROPY)
    grinder.aim([FIRST], block=9, entropy=ENTROPY)
    assert StoreGrinds(store).load(7, ENTROPY) == []


def test_what_was_found_ahead_is_kept_when_the_block_opens_with_that_entropy(
    store: Store, miner: Miner
) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST], block=8, entropy=OTHER_ENTROPY)  # ahead, in block 7
    best = ground(miner, grinder, 1)[1]
    grinder.aim([], block=7, entropy=ENTROPY)  # the round looks at block 7 again in between
    grinder.aim([FIRST], block=8, entropy=OTHER_ENTROPY)
    assert grinder.proofs()[1] == best


def test_a_proof_of_another_entropy_is_worth_nothing(store: Store, miner: Miner) -> None:
    grinder = Grinder(miner, StoreGrinds(store))
    grinder.aim([FIRST], block=7, entropy=ENTROPY)
    ground(miner, grinder, 1)
    grinder.aim([], block=7, entropy=OTHER_ENTROPY)
    assert grinder.proofs() == {}
