"""The mining lock: one holder, who is named, and whom only death replaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.locks import HarvestLock, MiningLock
from kalepool.errors import LockedError

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store
    from support.store import Town


@pytest.fixture
def locks(store: Store, town: Town) -> list[MiningLock]:
    return [MiningLock(store, town.owner(1)), MiningLock(store, town.owner(2, "plant"))]


def test_it_is_held_by_one_and_then_by_the_next(locks: list[MiningLock]) -> None:
    first: ports.Lock = locks[0]
    with first.hold():
        first.beat()
        with pytest.raises(LockedError), locks[1].hold():
            pass
        first.beat()
    with locks[1].hold():
        locks[1].beat()


def test_a_refusal_tells_who_for_how_long_and_since_when_silent(locks: list[MiningLock], town: Town) -> None:
    with locks[0].hold():
        town.clock.time += 60
        locks[0].beat()
        town.clock.time += 7
        with pytest.raises(LockedError) as refusal, locks[1].hold():
            pass
    assert refusal.value.message == (
        "kalepool mine holds the mining lock: pid 1 on farmhouse, for 67 s, last sign of life 7 s ago"
    )


def test_it_is_not_held_twice_by_the_same(locks: list[MiningLock]) -> None:
    with locks[0].hold(), pytest.raises(LockedError), locks[0].hold():
        pass


def test_it_is_let_go_when_an_error_ends_the_work(locks: list[MiningLock]) -> None:
    with pytest.raises(RuntimeError), locks[0].hold():
        raise RuntimeError
    with locks[1].hold():
        locks[1].beat()


def test_a_dead_holder_is_replaced_and_told_so_if_it_was_not_dead(
    locks: list[MiningLock], town: Town
) -> None:
    with locks[0].hold():
        town.dead.add(1)
        with locks[1].hold():
            with pytest.raises(LockedError, match="pid 2"):
                locks[0].beat()
            locks[1].beat()
        with pytest.raises(LockedError, match="not held"):
            locks[0].beat()


def test_one_who_lost_it_does_not_let_go_of_the_heirs(locks: list[MiningLock], town: Town) -> None:
    lost = locks[0].hold()
    lost.__enter__()
    town.dead.add(1)
    with locks[1].hold():
        lost.__exit__(None, None, None)
        locks[1].beat()


def sweeper(store: Store, town: Town, process: int) -> HarvestLock:
    return HarvestLock(store, town.owner(process, "harvest"))


def test_of_two_sweeps_the_one_that_came_first_goes_on_and_the_other_is_told_who_it_is(
    store: Store, town: Town
) -> None:
    MiningLock(store, town.owner(7))
    first = sweeper(store, town, 1)
    town.clock.time += 12
    second = sweeper(store, town, 2)
    # Whichever looks first.
    assert second.take() == "kalepool harvest is running already: pid 1 on farmhouse, for 12 s"
    assert first.take() == ""


def test_a_dead_sweep_or_one_that_has_left_is_in_nobodys_way(store: Store, town: Town) -> None:
    sweeper(store, town, 1)
    left = town.owner(2, "harvest")
    third = sweeper(store, town, 3)
    assert third.take()
    town.dead.add(1)
    left.retire()
    assert third.take() == ""


def test_a_sweep_gives_signs_of_life(store: Store, town: Town) -> None:
    owner = town.owner(1, "harvest")
    town.clock.time += 60
    HarvestLock(store, owner).beat()
    assert owner.look_up(owner.number).heartbeat == town.clock.time
