"""Harvests that no intent of ours began: a stranger's, or our own of before a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.chain import Status
from kalepool.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.chain import AssetMove, Landed
    from kalepool.ports import Chain, Farmers
    from kalepool.services.remembering import Memory


class ForeignHarvests:
    """Remembers which of our pails they have paid, and what: a pail that is gone, and could have died since, does not tell.

    Args:
        farmers: whose pails are remembered.
        chain: tells what a transaction called.
        memory: of pails.
    """

    def __init__(self, farmers: Farmers, chain: Chain, memory: Memory) -> None:
        self._farmers = farmers
        self._chain = chain
        self._memory = memory
        self._taken: set[str] = set()  # of what was not all taken at once

    async def take(
        self, landed: Mapping[str, Landed], *, ours: bool = False, most: int | None = None
    ) -> bool:
        """Remember the harvests among transactions that the journal does not know; once or again, all the same.

        Args:
            landed: by outer hash, hex; of those that minted nothing for our farmers nothing is asked.
            ours: whether they are our own of before a restore: then pails that this store never knew are ours too.
            most: how many are asked about now; None for all.

        Returns:
            Whether that was all. If not, the same is to be given again, and the rest is asked about.

        Raises:
            RetryableError: when no node can tell. One that does not find what events told of is behind, or has
                forgotten it: another may know, and what it paid is lost to us once it is booked.
        """
        numbers = {one.address: one.number for one in self._farmers.all()}
        minted = [
            tx_hash
            for tx_hash, one in landed.items()
            if tx_hash not in self._taken and any(_is_mint(move, numbers) for move in one.moves)
        ]
        asked = minted[:most]
        for tx_hash, found in zip(asked, await self._chain.find_all(asked), strict=True):
            if found.status is not Status.SUCCESS:
                raise RetryableError(
                    f"the node {found.tip.node} does not find a harvest that events told of",
                    hint="try again, or configure another node",
                )
            # Of a call that goes on over pails that fail, those alone that it ended: so each has its mint.
            ended = {
                (numbers[one], block): found.ended[one, block]
                for one, block in found.harvests
                if one in numbers and (one, block) in found.ended
            }
            if ended:
                self._memory.adopt(ended, unknown=ours)
                mints = [move.amount for move in found.moves if _is_mint(move, numbers)]
                self._memory.settle(list(ended), mints)
            self._taken.add(tx_hash)
        if len(asked) < len(minted):
            return False
        self._taken.clear()
        return True


def _is_mint(move: AssetMove, numbers: Mapping[str, int]) -> bool:
    """Tell whether it paid one of ours: in one call somebody may harvest for others too."""
    return move.kind == "mint" and not numbers.keys().isdisjoint(move.parties)
