"""Channel accounts: leased to one process, and never under a transaction that may still land."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.channels import ChannelLeases
from kalepool.adapters.store.journal import StoreJournal
from kalepool.core.intents import State, Verdict
from support.store import attempt, plant

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store
    from support.store import Town

ALL = [(number, f"CH{number}") for number in range(4)]


def test_known_channels_are_leased_by_number(store: Store, town: Town) -> None:
    channels: ports.Channels = ChannelLeases(store, town.owner(1))
    channels.add(ALL[:2])
    channels.add(ALL)
    assert channels.known() == ALL
    assert channels.lease(2) == ["CH0", "CH1"]


def test_a_channel_is_leased_to_one(store: Store, town: Town) -> None:
    one, two = (ChannelLeases(store, town.owner(pid)) for pid in (1, 2))
    one.add(ALL)
    assert one.lease(3) == ["CH0", "CH1", "CH2"]
    assert two.lease(3) == ["CH3"]
    one.release()
    assert two.lease(3) == ["CH0", "CH1", "CH3"]


def test_a_lease_counts_what_is_held_and_never_drops_it(store: Store, town: Town) -> None:
    channels = ChannelLeases(store, town.owner(1))
    channels.add(ALL)
    assert channels.lease(2) == channels.lease(2) == ["CH0", "CH1"]
    assert channels.lease(1) == ["CH0", "CH1"]


@pytest.mark.parametrize("in_order", [False, True])
def test_the_channels_of_one_who_left_are_free(store: Store, town: Town, in_order: bool) -> None:
    left, heir = town.owner(1), town.owner(2)
    ChannelLeases(store, left).add(ALL[:1])
    ChannelLeases(store, left).lease(1)
    if in_order:
        left.retire()
    else:
        town.dead.add(1)
    assert ChannelLeases(store, heir).lease(1) == ["CH0"]


def test_a_dead_owners_channel_waits_until_its_transaction_is_settled_or_inherited(
    store: Store, town: Town
) -> None:
    left, heir, other = (town.owner(pid) for pid in (1, 2, 3))
    ChannelLeases(store, left).add(ALL[:1])
    ChannelLeases(store, left).lease(1)
    journal = StoreJournal(store, left)
    journal.plan_all([plant(1)])
    journal.sign(1, attempt(source="CH0"))
    town.dead.add(1)
    assert ChannelLeases(store, heir).lease(1) == []
    inherited = StoreJournal(store, heir)
    inherited.open_intents()
    assert ChannelLeases(store, other).lease(1) == []
    assert ChannelLeases(store, heir).lease(1) == ["CH0"]
    ChannelLeases(store, heir).release()
    inherited.judge([(1, 1, Verdict.LANDED)])
    inherited.mark([1], State.FAILED)
    assert ChannelLeases(store, other).lease(1) == ["CH0"]
