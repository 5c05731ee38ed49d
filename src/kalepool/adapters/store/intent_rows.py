"""Intents and attempts between their rows and their values."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from kalepool.core.intents import Attempt, Intent, Kind, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.store.db import Store


def load_intents(store: Store, numbers: Sequence[int]) -> list[Intent]:
    """Give intents with all they own, by number; three queries however many there are."""
    wanted = (json.dumps(list(numbers)),)
    items = defaultdict(list)
    for intent, item in store.all(
        "SELECT intent, item FROM intent_items WHERE intent IN (SELECT value FROM json_each(?))", wanted
    ):
        items[intent].append(item)
    attempts = judged_attempts(store, numbers)
    rows = store.all(
        "SELECT number, kind, purpose, state FROM intents "
        "WHERE number IN (SELECT value FROM json_each(?)) ORDER BY number",
        wanted,
    )
    return [
        Intent(
            number,
            Kind(kind),
            purpose,
            tuple(items[number]),
            State(state),
            tuple(attempt for attempt, _ in attempts.get(number, [])),
        )
        for number, kind, purpose, state in rows
    ]


def judged_attempts(store: Store, intents: Sequence[int]) -> dict[int, list[tuple[Attempt, Verdict]]]:
    """Give the attempts of intents in order, each with what is known of it."""
    found: defaultdict[int, list[tuple[Attempt, Verdict]]] = defaultdict(list)
    rows = store.all(
        "SELECT intent, number, inner_hash, outer_hashes, source, sequence, envelope, max_time, signed_ledger, "
        "verdict FROM attempts WHERE intent IN (SELECT value FROM json_each(?)) ORDER BY intent, number",
        (json.dumps(list(intents)),),
    )
    for intent, number, inner_hash, outer_hashes, *rest, verdict in rows:
        attempt = Attempt(number, inner_hash, tuple(json.loads(outer_hashes)), *rest)
        found[intent].append((attempt, Verdict(verdict)))
    return dict(found)


def attempt_row(intent: int, attempt: Attempt) -> tuple[object, ...]:
    """Give the columns of an attempt, its verdict left out."""
    return (
        intent,
        attempt.number,
        attempt.inner_hash,
        json.dumps(attempt.outer_hashes),
        attempt.source,
        attempt.sequence,
        attempt.envelope,
        attempt.max_time,
        attempt.signed_ledger,
    )
