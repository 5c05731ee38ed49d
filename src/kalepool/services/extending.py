"""Keeping alive what ends before it can be harvested: a longer life for Blocks and pails, where that pays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.harvests import life_item, worth
from kalepool.core.intents import Kind, Plan
from kalepool.errors import RejectedError
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.ports import Clock, Composer, Journal
    from kalepool.services.channels import Sources
    from kalepool.services.remembering import Key
    from kalepool.services.submit import Submitted, Submitter

NEAR_LEDGERS: Final = 360
"""So near its end a pail is in danger: half an hour, or three runs of a harvest every ten minutes."""

EXTENDED_LEDGERS: Final = 17_280
"""How long what is extended lives from then on: a day, as when it was made."""

_LANDS_WITHIN_S: Final = 60
_MOST_PAILS: Final = 100


def in_danger(snapshot: Snapshot, address: str, block: int) -> bool:
    """Tell whether a worked pail is near its end, or that of its Block, as a snapshot shows them."""
    pail, its_block = snapshot.pails.get((address, block)), snapshot.blocks.get(block)
    if pail is None or its_block is None or pail.pail.zeros is None:
        return False
    return min(pail.live_until, its_block.live_until) - snapshot.ledger <= NEAR_LEDGERS


class Extender:
    """Sends extensions.

    Args:
        clock: network time.
        composer: builds.
        journal: knows what is under way.
        submitter: sends.
        sources: accounts to send from.
        worth_from: stake and expected reward of a Block's pails, stroops, from which an extension is paid.
    """

    def __init__(
        self,
        clock: Clock,
        composer: Composer,
        journal: Journal,
        submitter: Submitter,
        sources: Sources,
        *,
        worth_from: int,
    ) -> None:
        self._clock = clock
        self._composer = composer
        self._journal = journal
        self._submitter = submitter
        self._sources = sources
        self._worth_from = worth_from
        self.refusals: dict[int, str] = {}

    def is_worth_it(self, snapshot: Snapshot, addresses: Sequence[str], block: int) -> bool:
        """Tell whether farmers' pails in a block are worth the fee of an extension."""
        return sum(worth(snapshot, address, block) for address in addresses) >= self._worth_from

    async def send(
        self, keys: Sequence[Key], farmers: Mapping[int, Farmer], snapshot: Snapshot
    ) -> list[Submitted]:
        """Extend the lives of pails and of their Blocks, as far as they are worth it and accounts are free.

        Why a block's could not be extended stands in ``refusals`` afterwards.

        Args:
            keys: pails in danger.
            farmers: by number.
            snapshot: a read that asked for these pails and their Blocks.

        Raises:
            RejectedError: when there is no account to send from.
            RetryableError: when no node answers; then nothing was sent.
        """
        self.refusals.clear()
        taken = {item for intent in self._journal.open_intents(mine=False) for item in intent.items}
        by_block: dict[int, list[int]] = {}
        for farmer, block in keys:
            if life_item(farmer, block) not in taken:
                by_block.setdefault(block, []).append(farmer)
        wanted = [
            (block, numbers[first : first + _MOST_PAILS])
            for block, numbers in sorted(by_block.items())
            if self.is_worth_it(snapshot, [farmers[number].address for number in numbers], block)
            for first in range(0, len(numbers), _MOST_PAILS)
        ]
        if not wanted:
            return []
        free = list((await self._sources.free()).items())
        orders: list[Order] = []
        for (block, numbers), (source, sequence) in zip(wanted, free, strict=False):
            try:
                build = await self._composer.extend(
                    block,
                    [farmers[number].address for number in numbers],
                    source=source,
                    ledgers=EXTENDED_LEDGERS,
                    max_time=int(self._clock.now()) + _LANDS_WITHIN_S,
                )
            except RejectedError as error:
                self.refusals[block] = error.message
                continue
            orders.append(Order(_plan(block, numbers, snapshot.ledger), source, sequence, build))
        return await self._submitter.submit(orders, ledger=snapshot.ledger)


def _plan(block: int, farmers: Sequence[int], ledger: int) -> Plan:
    purpose = f"extend:{block}:{farmers[0]}:{ledger}"
    return Plan(Kind.EXTEND, purpose, tuple(life_item(farmer, block) for farmer in farmers))
