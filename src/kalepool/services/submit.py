"""The only way out for a transaction: journal, sign, journal, send.

What is sent is on disk before it leaves, and what became of it is never decided here: an answer to a
send proves nothing, good or bad. ``services/reconcile.py`` asks the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.core.chain import Sent
from kalepool.core.intents import Attempt, State
from kalepool.errors import ConfigError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.chain import SendAnswer
    from kalepool.core.intents import Intent, Plan
    from kalepool.ports import Broadcaster, Journal, Sealed


@dataclass(frozen=True, slots=True)
class Order:
    """One transaction to be sent.

    Attributes:
        plan: the intent it fulfils.
        source: whose sequence number it takes; one order a source at a time.
        sequence: the account's number on the chain, as last read.
        build: builds and signs it with a sequence number.
    """

    plan: Plan
    source: str
    sequence: int
    build: Callable[[int], Sealed]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What happened to an order.

    Attributes:
        order: which.
        intent: the intent, or None where its purpose was begun before or an item is taken.
        answer: what a node said, or None where nothing was sent.
        refused: why it was not built, or None.
    """

    order: Order
    intent: Intent | None
    answer: SendAnswer | None = None
    refused: RejectedError | ConfigError | None = None


class Submitter:
    """Sends orders.

    Args:
        journal: where intents and attempts are kept.
        broadcaster: the wire; nobody else holds it.
    """

    def __init__(self, journal: Journal, broadcaster: Broadcaster) -> None:
        self._journal = journal
        self._broadcaster = broadcaster

    async def submit(self, orders: Sequence[Order], *, ledger: int) -> list[Submitted]:
        """Plan, sign, journal and send, each step for all orders at once.

        Args:
            orders: at most one for each source.
            ledger: the last closed ledger: history before it does not matter to what is signed now.
        """
        planned = self._journal.plan_all([order.plan for order in orders])
        results = [Submitted(order, intent) for order, intent in zip(orders, planned, strict=True)]
        signed: list[tuple[int, Submitted, Attempt]] = []
        for position, result in enumerate(results):
            if result.intent is None:
                continue
            try:
                attempt = self._attempt(result.order, result.intent, ledger)
            except (RejectedError, ConfigError) as error:
                # Nothing has left: the purpose is given up, and said so.
                self._journal.mark([result.intent.number], State.EXPIRED, why=error.message)
                results[position] = Submitted(result.order, result.intent, refused=error)
                continue
            signed.append((position, result, attempt))
        if not signed:
            return results
        self._journal.sign_all([(_number(result), attempt) for _, result, attempt in signed])
        answers = await self._broadcaster.send([attempt.envelope for _, _, attempt in signed])
        left = []
        for (position, result, _), answer in zip(signed, answers, strict=True):
            results[position] = Submitted(result.order, result.intent, answer)
            # Put off by the node, it waits here, signed, to be sent again as it is.
            if answer.status is not Sent.TRY_AGAIN_LATER:
                left.append(_number(result))
        if left:
            self._journal.mark(left, State.SENT)
        return results

    async def send_again(self, intents: Sequence[Intent]) -> list[SendAnswer]:
        """Send the last attempt of each intent again, byte for byte: it is the same transaction."""
        waiting = [intent for intent in intents if intent.attempts]
        if not waiting:
            return []
        answers = await self._broadcaster.send([intent.attempts[-1].envelope for intent in waiting])
        left = [
            intent.number
            for intent, answer in zip(waiting, answers, strict=True)
            if answer.status is not Sent.TRY_AGAIN_LATER
        ]
        if left:
            self._journal.mark(left, State.SENT)
        return answers

    def _attempt(self, order: Order, intent: Intent, ledger: int) -> Attempt:
        known = self._journal.last_sequence(order.source)
        sequence = max(order.sequence, known or 0) + 1
        sealed = order.build(sequence)
        return Attempt(
            number=len(intent.attempts) + 1,
            inner_hash=sealed.inner_hash,
            outer_hashes=(sealed.outer_hash,),
            source=order.source,
            sequence=sequence,
            envelope=sealed.envelope,
            max_time=sealed.max_time,
            signed_ledger=ledger,
        )


def _number(result: Submitted) -> int:
    assert result.intent is not None
    return result.intent.number
