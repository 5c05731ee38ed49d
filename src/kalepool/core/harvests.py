"""What a harvest would pay now, and which pails a landed one has paid: by the contract's rules and mints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.core import contract
from kalepool.core.farm import ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Snapshot


@dataclass(frozen=True, slots=True)
class Ripe:
    """A pail that can be harvested now.

    Attributes:
        block: index.
        reward: stroops that the harvest pays beside the stake; final, for its block is over.
        stake: stroops.
        ends: last ledger in which it can be harvested: that of the pail or of its Block, whichever is sooner.
    """

    block: int
    reward: int
    stake: int
    ends: int


def ripe(snapshot: Snapshot, address: str, index: int) -> Ripe:
    """Give what a harvest in the next ledger would pay.

    Args:
        snapshot: a read that asked for the pail and for its Block.
        address: the farmer's.
        index: of the block.

    Raises:
        ContractError: what the contract would say to it.
    """
    block, pail = snapshot.blocks.get(index), snapshot.pails.get((address, index))
    paid = contract.harvest(
        snapshot.farm,
        index,
        None if block is None else block.block,
        None if pail is None else pail.pail,
    )
    assert block is not None
    assert pail is not None
    return Ripe(index, paid.reward, pail.pail.stake, min(block.live_until, pail.live_until))


def worth(snapshot: Snapshot, address: str, index: int) -> int:
    """Give stake and reward in stroops of a worked pail, as its block's totals stand; 0 for any other.

    Of a block that is still open this is what it would pay if nobody worked any more.
    """
    block, pail = snapshot.blocks.get(index), snapshot.pails.get((address, index))
    if block is None or pail is None or pail.pail.gap is None or pail.pail.zeros is None:
        return 0
    try:
        weight = contract.weigh(block.block, pail.pail.gap, pail.pail.stake, pail.pail.zeros).total
    except ContractError:
        return 0
    return pail.pail.stake + contract.share_of_block(index, block.block, weight)


def paid_by(mints: Sequence[int], expected: Sequence[tuple[int, int | None]]) -> dict[int, int]:
    """Tell which pails of a call were paid, and how much: stroops minted by block.

    A tractor goes on over pails that fail, so there may be fewer mints than pails.

    Args:
        mints: stroops, in the order of the call.
        expected: (block, stroops) of each pail of the call, in its order; None where the sum is not known.
    """
    if len(mints) == len(expected):
        return {block: mint for (block, _), mint in zip(expected, mints, strict=True)}
    paid: dict[int, int] = {}
    left = list(mints)
    for block, amount in expected:
        if left and left[0] == amount:
            paid[block] = left.pop(0)
    return paid


def life_item(farmer: int, block: int) -> str:
    """Key of a pail's time to live as an item: a pail may be harvested while it is extended."""
    return f"life:{farmer}:{block}"
