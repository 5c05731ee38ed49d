"""What is rolled up in the store, as counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LEAST_KEEP_DAYS: Final = 30
"""No pail is folded into its day earlier, whatever is configured. It stands in a trigger too, so a change needs a migration."""

MOST_KEEP_DAYS: Final = 36_500


@dataclass(slots=True)
class Rolled:
    """What may be rolled up now, or has been.

    Attributes:
        blocks: added to the sums of their days; only then is it known what else they hold.
        intents: transactions kept in brief.
        entries: shares and compensations kept in brief.
        pails: folded into their days.
        farmer_days: how many days of farmers these make.
        first: when the first of these days began, network time, Unix seconds; None without any.
        last: when the last one began.
    """

    blocks: int = 0
    intents: int = 0
    entries: int = 0
    pails: int = 0
    farmer_days: int = 0
    first: float | None = None
    last: float | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing of it."""
        return not (self.blocks or self.intents or self.entries or self.pails)
