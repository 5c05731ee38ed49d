"""What a harvest would pay, and which pails of a call were paid: tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import block_reward
from kalepool.core.farm import Block, ContractError, ContractErrorCode, Farm, Pail
from kalepool.core.harvests import paid_by, ripe, worth

BLOCK = Block(0, 0, 10, 0, 100, 0, 10, bytes(32), staked_total=7, normalized_total=300)
PAIL = Pail(sequence=5, stake=100, gap=10, zeros=10)
FARM = Farm("G", "C", 4, BLOCK, paused=False)
SEEN = Snapshot("node", 50, FARM, bytes(32), {3: DatedBlock(BLOCK, 90)}, {("farmer", 3): DatedPail(PAIL, 95)})


def test_a_ripe_pail_pays_its_share_and_ends_with_its_block() -> None:
    found = ripe(SEEN, "farmer", 3)
    assert (found.block, found.stake, found.ends) == (3, 100, 90)
    assert found.reward == block_reward(3) + 7
    assert worth(SEEN, "farmer", 3) == found.reward + found.stake


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (replace(SEEN, pails={}), ContractErrorCode.PAIL_MISSING),
        (replace(SEEN, blocks={}), ContractErrorCode.BLOCK_MISSING),
        (replace(SEEN, farm=replace(FARM, index=3)), ContractErrorCode.HARVEST_NOT_READY),
        (replace(SEEN, farm=replace(FARM, asset=None)), ContractErrorCode.HOMESTEAD_MISSING),
        (replace(SEEN, pails={("farmer", 3): DatedPail(Pail(5, 100), 95)}), ContractErrorCode.WORK_MISSING),
        (
            replace(SEEN, blocks={3: DatedBlock(replace(BLOCK, min_gap=11), 90)}),
            ContractErrorCode.BLOCK_INVALID,
        ),
    ],
)
def test_what_the_contract_would_refuse_is_not_ripe(seen: Snapshot, code: ContractErrorCode) -> None:
    with pytest.raises(ContractError) as refusal:
        ripe(seen, "farmer", 3)
    assert refusal.value.code is code


def test_a_worked_pail_of_an_open_block_is_worth_something_and_others_nothing() -> None:
    still_open = replace(SEEN, farm=replace(FARM, index=3))
    assert worth(still_open, "farmer", 3) == worth(SEEN, "farmer", 3) > 0
    assert worth(SEEN, "nobody", 3) == 0
    assert worth(replace(SEEN, blocks={3: DatedBlock(replace(BLOCK, min_gap=11), 90)}), "farmer", 3) == 0
    assert worth(replace(SEEN, pails={("farmer", 3): DatedPail(Pail(5, 100), 95)}), "farmer", 3) == 0


@pytest.mark.parametrize(
    ("mints", "expected", "paid"),
    [
        ([5], [(1, None)], {1: 5}),
        ([5, 6], [(1, None), (2, None)], {1: 5, 2: 6}),
        # The first, the second, the last was gone.
        ([6, 7], [(1, 5), (2, 6), (3, 7)], {2: 6, 3: 7}),
        ([5, 7], [(1, 5), (2, 6), (3, 7)], {1: 5, 3: 7}),
        ([5, 6], [(1, 5), (2, 6), (3, 7)], {1: 5, 2: 6}),
        ([7], [(1, 5), (2, None), (3, 7)], {3: 7}),
        ([], [(1, 5)], {}),
    ],
)
def test_mints_are_told_apart_by_order_and_amount(
    mints: list[int], expected: list[tuple[int, int | None]], paid: dict[int, int]
) -> None:
    assert paid_by(mints, expected) == paid
