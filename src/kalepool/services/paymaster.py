"""Settling, paying and ending exits again and again, beside the mining loop: ``mine --auto``.

It works as a process of its own would, with its own place in the journal: what it waits for holds up no plant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.amounts import format_amount
from kalepool.errors import InternalError, KalepoolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.ports import Clock
    from kalepool.services.exiting import Exiting
    from kalepool.services.paying import Paying
    from kalepool.services.settling import Settling


class Paymaster:
    """Pays at intervals.

    Args:
        settling: says what is owed.
        paying: pays it.
        exiting: ends exits.
        clock: network time.
        every_s: seconds of network time between two payouts.
        told: gets a line for people about what was done, and about what went wrong.
        news: lines that others have for people meanwhile; told, and taken out.
    """

    def __init__(
        self,
        settling: Settling,
        paying: Paying,
        exiting: Exiting,
        clock: Clock,
        *,
        every_s: float,
        told: Callable[[str], None],
        news: list[str],
    ) -> None:
        self._settling = settling
        self._paying = paying
        self._exiting = exiting
        self._clock = clock
        self._every_s = every_s
        self._told = told
        self._news = news

    async def run(self) -> None:
        """Go on until cancelled. What stands in the way now is told, and tried again at the next interval."""
        while True:
            try:
                await self.once()
            except InternalError:
                raise
            except KalepoolError as error:
                self._told(f"payout: {error.message}{f'; {error.hint}' if error.hint else ''}")
            await self._clock.sleep_until(self._clock.now() + self._every_s)

    async def once(self) -> None:
        """Settle, pay what is due, and end the exits that can end."""
        settled = self._settling.settle()
        if settled.broken:
            self._told(f"payout: terms without their seal, nothing is settled: {', '.join(settled.broken)}")
        plan = await self._paying.plan()
        while self._news:
            self._told(f"payout: {self._news.pop(0)}")
        paid = await self._paying.pay(plan)
        if paid.lines:
            total = format_amount(sum(line.amount for line, _ in paid.lines))
            self._told(
                f"payout: {len(paid.lines)} payments, {total} KALE, in {paid.transactions} transactions"
            )
        for one in (*plan.held, *paid.held):
            self._told(f"payout: held for {one.line.name}: {one.why}")
        for quote in await self._exiting.advance_all():
            if quote.done:
                self._told(f"payout: {quote.farmer.name} has left")
            elif quote.refused:
                self._told(f"payout: {quote.refused}")
