"""The replay: who earns more than whom, that the bound is one, and that it can be repeated."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import cache

import pytest

from kalepool.backtest.allotment import Allotment, Outcome
from kalepool.backtest.compare import BOUND, BOUND_TWICE, Comparison, compare
from kalepool.backtest.picture import picture
from kalepool.backtest.recording import mainnet
from kalepool.core.contract import share_of_block, weigh
from kalepool.core.economics import Fees
from kalepool.core.strategy import POLICIES

FEW = mainnet()[:25]


@cache
def played(policy: str = "steady", farmers: int = 10, rate: float = 40.0, stake: float = 0.0) -> Comparison:
    return compare(
        FEW, [POLICIES[policy]], farmers=farmers, hashrate=rate * 1e6, stake=stake, seed=1, price=None
    )


def test_steady_comes_near_the_clairvoyant_and_leaves_the_bots_behind() -> None:
    result = played()
    steady = result.row("steady")
    assert 0.97 < result.of_bound(steady) <= 1.001
    assert result.over_bots(steady) > 1.2


def test_max_kale_is_bounded_by_the_clairvoyant_who_works_twice() -> None:
    result = played("max-kale")
    greedy = result.row("max-kale")
    assert 0.9 < result.of_twice(greedy) <= 1
    assert greedy.kale > result.row(BOUND.name).kale
    assert greedy.outcome.works > 1.8 * greedy.outcome.worked


def test_thrift_pays_the_least_fees() -> None:
    thrift, steady = played("thrift").row("thrift"), played().row("steady")
    assert thrift.xlm < steady.xlm
    assert thrift.outcome.works <= 10 * len(FEW)


def test_the_order_holds_with_stakes() -> None:
    result = played(stake=1.0)
    assert result.over_bots(result.row("steady")) > 1.1
    assert result.of_twice(result.row("steady")) <= 1
    assert result.row("steady").kale > played().row("steady").kale


def test_more_hash_rate_earns_more() -> None:
    kale = [played(rate=rate).row("steady").kale for rate in (4, 40, 400)]
    assert kale == sorted(kale)


def test_a_replay_can_be_repeated_and_its_parts_agree_with_the_whole() -> None:
    again = compare(FEW, [POLICIES["steady"]], farmers=10, hashrate=40e6, stake=0, seed=1)
    assert again == played()
    part = compare(FEW[:5], [POLICIES["steady"]], farmers=10, hashrate=40e6, stake=0, seed=1)
    assert part.row(BOUND.name).course == again.row(BOUND.name).course[:5]
    other = compare(FEW[:5], [POLICIES["steady"]], farmers=10, hashrate=40e6, stake=0, seed=2)
    assert other.row(BOUND.name).course != part.row(BOUND.name).course


def test_no_farmer_of_ours_is_lost_and_late_works_are_paid_for() -> None:
    outcome = played().row("steady").outcome
    assert outcome.worked + outcome.missed == 10 * len(FEW)
    assert outcome.missed <= 2
    recorded = FEW[0]
    allotment = Allotment(recorded, 100, Fees())
    allotment.plant(1, 101, 5)
    assert not allotment.work(1, 100 + recorded.ledgers, 7)
    lost = allotment.settle(1)
    assert (lost.kale, lost.missed, lost.xlm) == (-5, 1, Fees().plant + Fees().work)


def test_a_pail_is_paid_by_the_contracts_arithmetic_beside_the_recorded_works() -> None:
    recorded = FEW[0]
    allotment = Allotment(recorded, 100, Fees())
    allotment.plant(1, 101, 1_000)
    assert allotment.work(1, 140, 7)
    outcome = allotment.settle(1)
    weight = weigh(recorded.block, 39, 1_000, 7).total
    assert allotment.total == weight
    total = recorded.block.normalized_total + weight
    with_ours = type(recorded.block)(
        **{name: getattr(recorded.block, name) for name in recorded.block.__slots__}
        | {"normalized_total": total}
    )
    assert outcome.kale == share_of_block(recorded.index, with_ours, weight)
    assert outcome + Outcome() == outcome


def test_the_picture_is_svg_with_a_line_for_each() -> None:
    drawn = ET.fromstring(picture(played()))
    lines = [element for element in drawn if element.tag.endswith("polyline")]
    labels = [element.text or "" for element in drawn if element.tag.endswith("text")]
    assert len(lines) == len(played().rows)
    assert any(label.startswith(f"{BOUND_TWICE.name}: ") for label in labels)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_one_farmer_alone_is_played_by_every_policy(policy: str) -> None:
    result = compare(FEW[:3], [POLICIES[policy]], farmers=1, hashrate=4e6, stake=0.1, seed=3)
    row = result.row(policy)
    assert row.outcome.worked == 3
    assert row.kale > 0
