"""Finding what there is to harvest: what the store remembers, and what it cannot rule out on the chain."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.farm import ContractError
from kalepool.core.farmers import FarmerState
from kalepool.core.harvests import ripe
from kalepool.core.records import PailState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.core.harvests import Ripe
    from kalepool.core.records import PailRecord
    from kalepool.ports import Chain, Clock, Facts, Pails
    from kalepool.services.remembering import Key, Memory

SCANNED: Final = "harvest.scanned"
"""Fact: ``INDEX FARMER``. Every pail of farmers up to this number, in blocks before this index, is known here."""

SPAN: Final = 400
"""Blocks that may still be alive: 17,280 ledgers of 5.6 s, and some more, at 300 s a block."""

_AT_ONCE: Final = 1_700
"""Pails read in one request, with the Blocks they are in: at most 2,000 keys."""

_FEW_BLOCKS: Final = 16


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be harvested.

    Attributes:
        farmers: of whom.
        is_everyone: whether these are all farmers.
        blocks: first and last index, or None for all that may be alive.
        scan: whether the chain is searched for pails that the store should know of.
    """

    farmers: tuple[Farmer, ...]
    is_everyone: bool = True
    blocks: tuple[int, int] | None = None
    scan: bool = False

    def covers(self, block: int) -> bool:
        """Tell whether a block is wanted."""
        return self.blocks is None or self.blocks[0] <= block <= self.blocks[1]


@dataclass(slots=True)
class Seen:
    """What was read of pails.

    Attributes:
        snapshot: all of it; where it took several reads, of ledgers a few seconds apart, as of the first.
        keys: the pails that were asked for.
        changed: what was learned of them.
    """

    snapshot: Snapshot
    keys: list[Key] = field(default_factory=list)
    changed: list[PailRecord] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Take in a later read."""
        self.snapshot = replace(
            self.snapshot,
            blocks=self.snapshot.blocks | other.snapshot.blocks,
            pails=self.snapshot.pails | other.snapshot.pails,
        )
        self.keys += other.keys
        self.changed += other.changed


class Survey:
    """Reads, and remembers what it read.

    Args:
        chain: the network.
        clock: is told of every ledger seen.
        pails: what is known of pails.
        facts: keeps how far the chain was searched.
        memory: keeps what is known in step.
        dry: whether nothing is written.
    """

    def __init__(
        self, chain: Chain, clock: Clock, pails: Pails, facts: Facts, memory: Memory, *, dry: bool = False
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._pails = pails
        self._facts = facts
        self._memory = memory
        self._dry = dry

    async def everything(self, wish: Wish) -> Seen:
        """Read every pail that may be wanted: those alive in the store, and those that it does not rule out.

        With nothing new this takes one request, and one more for each 1,700 pails.

        Raises:
            RetryableError: when no node answers.
        """
        farmers = {farmer.number: farmer for farmer in wish.farmers}
        known = [
            (record.farmer, record.block)
            for record in self._pails.alive()
            if record.farmer in farmers and wish.covers(record.block)
        ]
        seen = await self.read(known, farmers)
        index = seen.snapshot.farm.index
        unknown = await self._unknown(wish, index, set(known))
        if unknown:
            seen.add(await self.read(unknown, farmers))
        if wish.is_everyone and wish.blocks is None and not self._dry and wish.farmers:
            reached = f"{index} {max(farmers)}"
            if self._facts.get(SCANNED) != reached:
                self._facts.put(SCANNED, reached)
        return seen

    async def read(self, keys: Iterable[Key], farmers: Mapping[int, Farmer]) -> Seen:
        """Read pails with their Blocks, in as few requests as it takes; at least the farm itself.

        Raises:
            RetryableError: when no node answers.
        """
        ordered = sorted(set(keys), key=lambda key: (key[1], key[0]))
        parts = [ordered[first : first + _AT_ONCE] for first in range(0, len(ordered), _AT_ONCE)]
        seen: Seen | None = None
        for part in parts or [[]]:
            snapshot = await self._snapshot(part, farmers)
            one = Seen(snapshot, part, self._memory.take(snapshot, part, farmers, dry=self._dry))
            if seen is None:
                seen = one
            else:
                seen.add(one)
        assert seen is not None
        return seen

    async def _snapshot(self, keys: Sequence[Key], farmers: Mapping[int, Farmer]) -> Snapshot:
        pairs = [(farmers[farmer].address, block) for farmer, block in keys]
        blocks = sorted({block for _, block in keys})
        snapshot = await self._chain.snapshot(pairs, blocks, current=False)
        if snapshot.tip is not None:
            self._clock.observe(snapshot.tip.ledger, snapshot.tip.close_time)
        return snapshot

    async def _unknown(self, wish: Wish, index: int, known: set[Key]) -> list[Key]:
        """Give pails of blocks that are over, of which the store cannot say that they do not exist."""
        oldest = max(index - SPAN, 0)
        reached, newest_farmer = self._reached()
        wanted: list[Key] = []
        for farmer in wish.farmers:
            if farmer.state is FarmerState.EXITED:
                continue
            first, last = oldest, index - 1
            if wish.blocks is not None:
                first, last = max(wish.blocks[0], oldest), min(wish.blocks[1], last)
            elif not wish.scan and farmer.number <= newest_farmer:
                first = max(reached, oldest)
            wanted += [(farmer.number, block) for block in range(first, last + 1)]
        if not wanted:
            return []
        blocks = [block for _, block in wanted]
        first, last = min(blocks), max(blocks)
        stored = {
            (record.farmer, record.block)
            for record in self._pails.in_blocks(first, last)
            if record.state is not PailState.MISSED
        }
        wanted = [key for key in wanted if key not in known and key not in stored]
        if last - first < _FEW_BLOCKS:
            return wanted
        # Most of a long range is usually gone: its Blocks tell in one request.
        alive = (await self._chain.snapshot([], range(first, last + 1), current=False)).blocks
        return [key for key in wanted if key[1] in alive]

    def _reached(self) -> tuple[int, int]:
        """Tell before which block, and up to which farmer, everything is known."""
        fact = self._facts.get(SCANNED)
        if fact is None:
            return 0, 0
        block, farmer = fact.split(" ")
        return int(block), int(farmer)


def ripe_pails(seen: Seen, farmers: Mapping[int, Farmer]) -> dict[Key, Ripe]:
    """Give what was seen and can be harvested now."""
    found = {}
    for farmer, block in seen.keys:
        try:
            found[farmer, block] = ripe(seen.snapshot, farmers[farmer].address, block)
        except ContractError:
            continue
    return found
