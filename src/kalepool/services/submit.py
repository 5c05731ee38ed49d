"""The only way out for a transaction: journal, sign, journal, send.

What is sent is on disk before it leaves, and what became of it is never decided here: an answer to a
send proves nothing, good or bad. ``services/reconcile.py`` asks the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.chain import Sent
from kalepool.core.intents import Attempt, State
from kalepool.errors import ConfigError, RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.chain import SendAnswer
    from kalepool.core.intents import Intent, Plan
    from kalepool.ports import Broadcaster, Journal, Sealed

HELD_LEDGERS: Final = 5
"""A node holds what it took for four ledgers, and then drops it: after five it is worth sending again."""


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
        self._taken: dict[int, int] = {}  # the ledger after which a node last took an intent's envelope

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
        envelopes = [(_number(result), attempt.envelope) for _, result, attempt in signed]
        answers = await self._send(envelopes, ledger)
        for (position, result, _), answer in zip(signed, answers, strict=True):
            results[position] = Submitted(result.order, result.intent, answer)
        return results

    async def send_again(self, intents: Sequence[Intent], *, ledger: int) -> list[tuple[Intent, SendAnswer]]:
        """Send the last attempt of each intent again, byte for byte, where it is needed.

        What a node has taken waits there, and is left alone for ``HELD_LEDGERS``. What none has taken is
        sent at every chance: put off, refused, without an answer, or from before a restart. So is what a
        node has dropped: it refuses it for ten ledgers, and another node may not.

        Args:
            intents: signed ones that are in no ledger.
            ledger: the last closed ledger.

        Returns:
            What was sent, with what a node said.
        """
        waiting = [
            intent
            for intent in intents
            if intent.attempts and ledger - self._taken.get(intent.number, -HELD_LEDGERS) >= HELD_LEDGERS
        ]
        if not waiting:
            return []
        answers = await self._send(
            [(intent.number, intent.attempts[-1].envelope) for intent in waiting], ledger
        )
        return list(zip(waiting, answers, strict=True))

    async def _send(self, envelopes: Sequence[tuple[int, bytes]], ledger: int) -> list[SendAnswer]:
        answers = await self._broadcaster.send([envelope for _, envelope in envelopes])
        answered = [(number, answer.status) for (number, _), answer in zip(envelopes, answers, strict=True)]
        # Put off by the node, it waits here, signed, to be sent again as it is.
        left = [number for number, status in answered if status is not Sent.TRY_AGAIN_LATER]
        if left:
            self._journal.mark(left, State.SENT)
        held = {number: taken for number, taken in self._taken.items() if ledger - taken < HELD_LEDGERS}
        taken = {number: ledger for number, status in answered if status in (Sent.PENDING, Sent.DUPLICATE)}
        self._taken = held | taken
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
