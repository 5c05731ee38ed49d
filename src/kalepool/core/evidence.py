"""What events and a snapshot prove of an attempt that may have landed, without asking for its outcome.

A fee event under one of its hashes proves that an attempt is in a ledger, not that it did what it was for.
What an asset's contract told does: such events exist of successful transactions alone. A plant of 0 and a
work move nothing; of these the pail tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kalepool.core.intents import Kind, State, pail_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.chain import Happenings, Landed, Snapshot
    from kalepool.core.farm import Pail
    from kalepool.core.intents import Attempt, Intent


class Evidence(StrEnum):
    """What is known of an intent without asking."""

    SUCCEEDED = "succeeded"  # it landed and did what it was for
    AWAITED = "awaited"  # it landed; a snapshot of its ledger is still to come
    UNPROVEN = "unproven"  # it landed, or may have: ask for its outcome
    ABSENT = "absent"  # it has not landed, and still may


_MOVED_BY: Final = {Kind.PLANT: "burn", Kind.HARVEST: "mint", Kind.PAY: "transfer"}


@dataclass(frozen=True, slots=True)
class Window:
    """Ledgers that were read from events, without a gap, though maybe from several nodes.

    Attributes:
        first: first ledger.
        last: last ledger; ``first - 1`` where none had closed.
        close_time: network time that had passed by then, Unix seconds.
        paid: what landed there at the payer's cost, by outer hash.
    """

    first: int
    last: int
    close_time: int
    paid: Mapping[str, Landed]

    def covers(self, attempt: Attempt) -> bool:
        """Tell whether every ledger is in it that closed since an attempt was signed, up to its last."""
        return self.first <= attempt.signed_ledger + 1

    def landed(self, intent: Intent) -> tuple[Attempt, Landed] | None:
        """Give the attempt of an intent that is in a ledger, and how; None where it is in none.

        Only the last one can be: those before it were dead when it was signed.
        """
        last = intent.attempts[-1]
        hashes = (outer_hash for outer_hash in last.outer_hashes if outer_hash in self.paid)
        return next(((last, self.paid[outer_hash]) for outer_hash in hashes), None)

    def reaches(self, ledger: int) -> bool:
        """Tell whether a ledger is in it, or the next that would be."""
        return self.first <= ledger <= self.last + 1

    def since(self, ledger: int) -> Window:
        """Give it without the ledgers before one that it reaches."""
        first = max(self.first, ledger)
        paid = {outer_hash: landed for outer_hash, landed in self.paid.items() if landed.ledger >= first}
        return Window(first, self.last, self.close_time, paid)


def widened(window: Window | None, happenings: Happenings) -> Window:
    """Give a window with what was read now; it begins anew where there is a gap between."""
    read = Window(happenings.first, happenings.last, happenings.close_time, happenings.paid)
    if window is None:
        return read
    if read.last < read.first:
        return Window(window.first, window.last, max(window.close_time, read.close_time), window.paid)
    if read.first > window.last + 1 or read.last < window.first - 1:
        return read
    return Window(
        min(window.first, read.first),
        max(window.last, read.last),
        max(window.close_time, read.close_time),
        {**window.paid, **read.paid},
    )


def weigh_evidence(intent: Intent, window: Window, snapshot: Snapshot | None) -> Evidence:
    """Say what is known of a signed intent.

    Args:
        intent: which.
        window: what events told.
        snapshot: a read of the pails it concerns; may be of another node and another ledger.
    """
    last = intent.attempts[-1]
    found = window.landed(intent)
    if found is None:
        # What a person was asked about, or events do not reach back to, or time has passed over, is for
        # getTransaction to tell: an event that is missing is never the last word.
        if intent.state is State.UNRESOLVED or not window.covers(last) or window.close_time > last.max_time:
            return Evidence.UNPROVEN
        return Evidence.ABSENT
    attempt, landed = found
    if landed.moves:
        return Evidence.SUCCEEDED if _moved_what_it_should(intent, landed) else Evidence.UNPROVEN
    pails = [block for block in map(pail_of, intent.items) if block is not None]
    if snapshot is None or intent.kind not in (Kind.PLANT, Kind.WORK) or len(pails) != 1:
        return Evidence.UNPROVEN
    if snapshot.ledger < landed.ledger:
        return Evidence.AWAITED if window.close_time <= last.max_time else Evidence.UNPROVEN
    # A custodial farmer's own account is the source of what he does. What a channel sends is asked for.
    pail = snapshot.pails.get((attempt.source, pails[0][1]))
    shown = pail is not None and _is_shown(intent.kind, pail.pail, landed.ledger)
    return Evidence.SUCCEEDED if shown else Evidence.UNPROVEN


def _moved_what_it_should(intent: Intent, landed: Landed) -> bool:
    if intent.kind is Kind.WORK:
        return False
    kinds = {move.kind for move in landed.moves}
    return _MOVED_BY.get(intent.kind) in kinds if intent.kind in _MOVED_BY else True


def _is_shown(kind: Kind, pail: Pail, ledger: int) -> bool:
    """Tell whether a pail shows a plant of 0, or a work, that landed in this very ledger.

    Somebody else may have worked for the farmer in the same ledger, and ours have failed: the pail is
    as good as if it were ours, and the books are the same, a fee.
    """
    if kind is Kind.PLANT:
        return pail.sequence == ledger and pail.stake == 0
    return pail.zeros is not None and pail.gap is not None and pail.sequence + pail.gap == ledger
