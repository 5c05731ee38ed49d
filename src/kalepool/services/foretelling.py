"""Keeping what was planned, so that it can be held against what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.forecasts import forecasts, outcome_of
from kalepool.core.rounds import SubmitWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.actions import Lane
    from kalepool.core.forecasts import Outcome
    from kalepool.core.rounds import Plan
    from kalepool.ports import Pails


class Foreteller:
    """Writes down a block's forecasts once, and compares them when the block is over.

    Args:
        pails: where they are kept.
    """

    def __init__(self, pails: Pails) -> None:
        self._pails = pails
        self._block: int | None = None
        self._noted: set[int] = set()

    def note(self, plan: Plan, lanes: Sequence[Lane]) -> None:
        """Keep what a plan expects, where enough is known: all plants have landed, and the rate of hashing is known.

        A work that leaves earlier is forecast with what is known then.
        """
        situation = plan.situation
        if situation is None:
            return
        if self._block != situation.index:
            self._block, self._noted = situation.index, set()
        waiting = {aim.lane.farmer for aim in plan.aims if aim.pail.zeros is None} - self._noted
        if not waiting:
            return
        if situation.outlook.hashrate <= 0 or any(situation.index in lane.under_way for lane in lanes):
            waiting &= {action.farmer for action in plan.actions if isinstance(action, SubmitWork)}
        if waiting:
            made = forecasts(plan.aims, situation)
            self._pails.foretell([forecast for forecast in made if forecast.farmer in waiting])
            self._noted |= waiting

    def outcome(self, block: int) -> Outcome | None:
        """Compare a block's forecasts with what came; None while it is not over for all who had one."""
        planned = self._pails.foretold(block)
        return outcome_of(block, planned, self._pails.in_blocks(block, block)) if planned else None
