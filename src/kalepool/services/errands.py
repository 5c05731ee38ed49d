"""Orders seen through to their end: submitted, and asked about until each has landed or never can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.intents import State
from kalepool.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import Landed, Tip
    from kalepool.ports import Chain, Clock, Journal
    from kalepool.services.reconcile import Closed, Reconciler
    from kalepool.services.submit import Order, Submitter

PATIENCE_S: Final = 60
"""Network seconds within which what is sent must land, or is given up: some ten ledgers."""

_FIRST_NAP_S: Final = 0.25
"""Network seconds before the first look for a new ledger; each wait after it is twice as long."""

_FAILURES: Final = 10
"""Looks in a row that may find no node to tell, before the rest is left to the next run."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order.

    Attributes:
        order: which.
        state: settled, failed, expired or unresolved; None where it was not begun, since another
            process has an intent of this purpose, or for one of its items.
        why: a note for people.
        landed: the transaction in a ledger, or None.
        transaction: its hash, hex; empty where it is in none.
    """

    order: Order
    state: State | None
    why: str = ""
    landed: Landed | None = None
    transaction: str = ""


class Errands:
    """Submits orders and waits for them. What is interrupted stays in the journal; ``clear`` ends it.

    Args:
        chain: tells how far the network is.
        clock: network time.
        journal: knows what is open.
        submitter: sends.
        reconciler: closes.
    """

    def __init__(
        self, chain: Chain, clock: Clock, journal: Journal, submitter: Submitter, reconciler: Reconciler
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._journal = journal
        self._submitter = submitter
        self._reconciler = reconciler

    async def look(self) -> Tip:
        """Ask how far the network is, and set the clock by it."""
        tip = await self._chain.tip()
        self._clock.observe(tip.ledger, tip.close_time)
        return tip

    async def clear(self) -> None:
        """End what earlier runs left open: nothing else is begun before.

        Raises:
            RetryableError: when no node can tell.
        """
        ledger = (await self.look()).ledger
        await self._reconciler.reconcile()
        while any(intent.state is not State.UNRESOLVED for intent in self._journal.open_intents()):
            ledger = await self._next_ledger(ledger)
            await self._reconciler.reconcile()

    async def run(self, orders: Sequence[Order]) -> list[Outcome]:
        """Submit orders and wait until every one of them is closed; give an outcome each, in their order.

        Raises:
            RejectedError: when one could not be built; what was sent beside it stays in the journal.
            ConfigError: when a key that must sign is not there.
            RetryableError: when no node can tell any more; the journal knows what is open.
        """
        ledger = (await self.look()).ledger
        submitted = await self._submitter.submit(orders, ledger=ledger)
        outcomes: dict[int, Outcome] = {}
        waiting: dict[int, int] = {}
        for place, one in enumerate(submitted):
            if one.refused is not None:
                raise one.refused
            if one.intent is None:
                outcomes[place] = Outcome(one.order, None, "another kalepool is at it")
            else:
                waiting[one.intent.number] = place
        while waiting:
            ledger = await self._next_ledger(ledger)
            for closed in await self._reconciler.reconcile():
                found = waiting.pop(closed.intent.number, None)
                if found is not None:
                    outcomes[found] = _outcome(orders[found], closed)
        return [outcomes[place] for place in range(len(orders))]

    async def _next_ledger(self, seen: int) -> int:
        """Wait until a ledger has closed after one; give it."""
        failures, nap = 0, _FIRST_NAP_S
        while True:
            # Short at first: until two ledgers were seen, it is not known how fast a local network runs.
            await self._clock.sleep_until(self._clock.now() + nap)
            nap = min(2 * nap, self._clock.ledger_seconds / 2)
            try:
                ledger = (await self.look()).ledger
            except RetryableError:
                failures += 1
                if failures == _FAILURES:
                    raise
                continue
            if ledger > seen:
                return ledger


def _outcome(order: Order, closed: Closed) -> Outcome:
    hash_hex = closed.intent.attempts[-1].outer_hashes[-1] if closed.landed is not None else ""
    return Outcome(order, closed.state, closed.why, closed.landed, hash_hex)
