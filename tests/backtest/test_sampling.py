"""Proofs as sampled: their distribution, and who finds what in a stream."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from kalepool.backtest.machine import Machine, Search, Wanted
from kalepool.backtest.sampling import DELAYS, draw, stream
from kalepool.core.economics import chance


@pytest.mark.parametrize(("hashes", "zeros"), [(1, 0), (1, 1), (20, 1), (1_000, 2), (100_000, 4), (10**9, 8)])
def test_the_best_of_so_many_hashes_is_distributed_as_it_must_be(hashes: int, zeros: int) -> None:
    dice, tries = random.Random(f"{hashes} {zeros}"), 3_000
    reached = 0
    for _ in range(tries):
        best = max(found for at, found in stream(dice) if at <= hashes)
        reached += best >= zeros
    expected = chance(hashes, zeros)
    spread = (expected * (1 - expected) / tries) ** 0.5
    assert reached / tries == pytest.approx(expected, abs=4 * spread + 1e-9)


def test_a_stream_gets_better_with_every_record() -> None:
    records = stream(random.Random(1))
    assert records[0][0] == 1  # the first hash is a record
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(records))


def test_delays_are_a_distribution() -> None:
    assert sum(one for _, one in DELAYS) == pytest.approx(1)
    drawn = draw(random.Random(2), 500)
    assert {1, 2} <= set(drawn.plants) <= {delay for delay, _ in DELAYS}


def test_a_search_stops_at_its_record_or_its_budget() -> None:
    search = Search(((1, 0), (10, 2), (1_000, 5)))
    assert search.walk(50) == 1
    assert (search.walk(50), search.zeros) == (9, 2)
    assert (search.walk(50), search.zeros, search.hashes) == (50, 2, 60)


def test_the_machine_takes_the_fewest_zeros_first_and_rests_at_the_cap() -> None:
    machine = Machine(rate=100)
    machine.begin([((1, 3), (9_000, 9)), ((1, 0), (40, 1), (90, 2)), ((1, 9), (5, 11))])
    machine.run(1, [Wanted(0, 9), Wanted(1, 9), Wanted(2, 9)])
    assert [search.hashes for search in machine.searches] == [1, 98, 1]
    machine.run(1_000, [Wanted(2, 9)])
    assert machine.searches[2].zeros == 9


def test_a_farmer_of_no_weight_gets_nothing() -> None:
    machine = Machine(rate=100)
    machine.begin([((1, 0),), ((1, 0),)])
    machine.run(1, [Wanted(0, 9, 0.0), Wanted(1, 9)])
    assert [search.hashes for search in machine.searches] == [0, 100]
