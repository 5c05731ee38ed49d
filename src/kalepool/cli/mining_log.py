"""What the round loop tells, as lines: for people, aggregated; for scripts, one JSON object an event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kalepool.cli.wording import rounded
from kalepool.core.amounts import format_amount
from kalepool.core.forecasts import MILLI
from kalepool.services.events import Event, Name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.forecasts import Outcome

_ALONE = frozenset(
    {Name.STARTED, Name.BLOCK_OPENED, Name.RETRY, Name.NETWORK_LOST, Name.NETWORK_BACK, Name.STOPPED}
)


class JsonLines:
    """Writes an object for each event.

    Args:
        write: takes a line.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __call__(self, batch: Sequence[Event]) -> None:
        """Write a batch."""
        for event in batch:
            self._write(json.dumps(as_data(event)))


class LogLines:
    """Writes a line for each kind of event in a batch: network time, what, for how many.

    Args:
        write: takes a line.
        farmers: tells how many farmers there are to plant for.
        verbose: a line for each event instead.
    """

    def __init__(
        self, write: Callable[[str], None], farmers: Callable[[], int], *, verbose: bool = False
    ) -> None:
        self._write = write
        self._farmers = farmers
        self._verbose = verbose

    def __call__(self, batch: Sequence[Event]) -> None:
        """Write a batch."""
        if self._verbose:
            for event in batch:
                self._line(event, _one(event))
                self._outcomes([event])
            return
        for _, group in groupby(batch, key=_kind):
            events = list(group)
            if events[0].name is not Name.PROOF:
                self._line(events[-1], self._many(events))
                self._outcomes(events)

    def _outcomes(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.outcome is not None:
                self._line(event, compared(event.outcome))

    def _line(self, event: Event, text: str) -> None:
        self._write(f"{datetime.fromtimestamp(event.at, UTC):%H:%M:%S} {text}")

    def _many(self, events: Sequence[Event]) -> str:
        first = events[0]
        if len(events) == 1 or first.name in _ALONE:
            text = _one(first)
            if len(events) > 1:
                text += f" ({len(events)} times)"
            if first.name is not Name.PLANTED:
                return text
        count, ledger = len(events), first.ledger
        if first.name is Name.PLANTED:
            stake = sum(event.stake or 0 for event in events)
            return (
                f"planted {count} of {max(self._farmers(), count)} farmers in block {first.block}, "
                f"ledger {ledger}, {format_amount(stake)} KALE staked"
            )
        if first.name is Name.WORKED:
            zeros = [event.zeros or 0 for event in events]
            again = f", {first.reason}" if first.reason else ""
            return (
                f"worked {count} farmers in block {first.block}, ledger {ledger}, {_span(zeros)} zeros{again}"
            )
        if first.name is Name.HARVESTED:
            reward = sum(event.reward or 0 for event in events)
            farmers = len({event.farmer for event in events})
            blocks = _span([event.block or 0 for event in events])
            return (
                f"harvested {count} pails of {farmers} farmers, block {blocks}: {format_amount(reward)} KALE"
            )
        lost = format_amount(sum(event.stake or 0 for event in events))
        return f"{first.name}: {count} farmers in block {first.block}, {lost} KALE: {first.reason}"


def as_data(event: Event) -> dict[str, Any]:
    """Give an event as scripts read it; what does not apply is left out."""
    data: dict[str, Any] = {"event": str(event.name), "at": datetime.fromtimestamp(event.at, UTC).isoformat()}
    for name in ("farmer", "block", "ledger", "transaction", "zeros"):
        value = getattr(event, name)
        if value is not None:
            data[name] = value
    if event.reason:
        data["reason"] = event.reason
    if event.stake is not None:
        data["stake_stroops"] = str(event.stake)
    if event.reward is not None:
        data["reward_stroops"] = str(event.reward)
    if event.outcome is not None:
        data["outcome"] = outcome_data(event.outcome)
    if event.at_risk:
        data["at_risk"] = [
            {"farmer": one.farmer, "block": one.block, "stake_stroops": str(one.stake)}
            for one in event.at_risk
        ]
    return data


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Give a block's outcome as scripts read it."""
    return {
        "farmers": outcome.pails,
        "planned_reward_stroops": str(outcome.planned_reward),
        "reward_stroops": str(outcome.reward),
        "planned_gap": round(outcome.mean(outcome.planned_gaps), 3),
        "gap": round(outcome.mean(outcome.gaps), 3),
        "planned_zeros": round(outcome.mean(outcome.planned_millizeros) / MILLI, 3),
        "zeros": round(outcome.mean(outcome.zeros), 3),
    }


def compared(outcome: Outcome) -> str:
    """Write a block's outcome for people."""
    share = "" if outcome.share is None else f" ({100 * outcome.share:.0f} %)"
    return (
        f"block {outcome.block}: planned {rounded(outcome.planned_reward, 1)} KALE, "
        f"got {rounded(outcome.reward, 1)}{share}; "
        f"gap {outcome.mean(outcome.gaps):.1f} of {outcome.mean(outcome.planned_gaps):.1f}, "
        f"zeros {outcome.mean(outcome.zeros):.1f} of {outcome.mean(outcome.planned_millizeros) / MILLI:.1f}"
    )


def _kind(event: Event) -> tuple[Name, int | None, str]:
    """Give what events must have in common to make one line; harvests are of many blocks at once."""
    return event.name, None if event.name is Name.HARVESTED else event.block, event.reason


def _one(event: Event) -> str:
    if event.name is Name.STARTED:
        return f"started: {event.reason}"
    if event.name is Name.BLOCK_OPENED:
        return f"block {event.block} opened, ledger {event.ledger}"
    if event.name in {Name.NETWORK_LOST, Name.NETWORK_BACK}:
        word = "lost" if event.name is Name.NETWORK_LOST else "back"
        return f"network {word}: {event.reason}"
    parts = [str(event.name)]
    if event.farmer is not None:
        parts.append(event.farmer)
    if event.block is not None:
        parts.append(f"in block {event.block}")
    if event.zeros is not None:
        parts.append(f"with {event.zeros} zeros")
    if event.reward is not None:
        parts.append(f"for {format_amount(event.reward)} KALE")
    text = " ".join(parts)
    return f"{text}: {event.reason}" if event.reason else text


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
