"""The life of one money action, and of its attempts.

An intent is one purpose: plant farmer f in block i, harvest these pails, pay this line. It owns
attempts: signed envelopes, of which at most one ever takes effect. What became of an attempt is
decided here, from what nodes answered, and never from an error message alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kalepool.core.chain import Status
from kalepool.errors import InternalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import AccountState, Found


class Kind(StrEnum):
    """What an intent is for."""

    PLANT = "plant"
    WORK = "work"
    HARVEST = "harvest"
    EXTEND = "extend"
    FUND = "fund"
    PAY = "pay"
    SWEEP = "sweep"
    EXIT = "exit"


class State(StrEnum):
    """Where an intent stands."""

    PLANNED = "planned"
    SIGNED = "signed"
    SENT = "sent"
    SETTLED = "settled"
    FAILED = "failed"
    EXPIRED = "expired"
    UNRESOLVED = "unresolved"


SHOWN_BY_PAILS: Final = frozenset({Kind.PLANT, Kind.WORK, Kind.HARVEST, Kind.EXTEND})
"""What these did to the farm is read from the chain, however long ago it was."""

OPEN: Final = frozenset({State.PLANNED, State.SIGNED, State.SENT, State.UNRESOLVED})
"""An item belongs to at most one intent in these states."""

LEGAL_MOVES: Final[dict[State, frozenset[State]]] = {
    # Nothing has left the house: it may be dropped.
    State.PLANNED: frozenset({State.SIGNED, State.EXPIRED}),
    # From here on an envelope exists that could land, sent or not: a crash may have hidden the sending.
    State.SIGNED: frozenset(
        {State.SIGNED, State.SENT, State.SETTLED, State.FAILED, State.EXPIRED, State.UNRESOLVED}
    ),
    # From either, signed again: a new attempt, after the old one is known to be dead.
    State.SENT: frozenset({State.SIGNED, State.SETTLED, State.FAILED, State.EXPIRED, State.UNRESOLVED}),
    # The network can tell again, or a person decided.
    State.UNRESOLVED: frozenset({State.SETTLED, State.FAILED, State.EXPIRED}),
    State.SETTLED: frozenset(),
    State.FAILED: frozenset(),
    State.EXPIRED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed envelope of an intent.

    Attributes:
        number: from 1.
        inner_hash: hex; what is asked for, since it finds whichever fee bump landed.
        outer_hashes: hex, of every fee bump that was signed around it.
        source: whose sequence number it takes.
        sequence: that number.
        envelope: the XDR last signed.
        max_time: network time after which it cannot land.
        signed_ledger: last closed ledger when it was signed; history before it does not matter.
    """

    number: int
    inner_hash: str
    outer_hashes: tuple[str, ...]
    source: str
    sequence: int
    envelope: bytes
    max_time: int
    signed_ledger: int


@dataclass(frozen=True, slots=True)
class Intent:
    """One money action.

    Attributes:
        number: identity in the store.
        kind: what it is for.
        purpose: unique key, such as ``plant:12:183487``; the same purpose is never begun twice.
        items: what it covers, such as pails; each belongs to at most one open intent.
        state: where it stands.
        attempts: in order.
    """

    number: int
    kind: Kind
    purpose: str
    items: tuple[str, ...]
    state: State
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """An intent that somebody wants to begin.

    Attributes:
        kind: what it is for.
        purpose: unique key.
        items: what it covers.
        reserves: (account, asset, stroops) that it may spend: not available to others while it is open.
    """

    kind: Kind
    purpose: str
    items: tuple[str, ...] = ()
    reserves: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an intent ended well, and what it means for the books.

    Attributes:
        intent: its number.
        postings: (account, asset, stroops), summing to zero for each asset; may be empty.
        at: network time of the ledger it landed in, Unix seconds.
        why: a note for people.
    """

    intent: int
    postings: tuple[tuple[str, str, int], ...]
    at: float
    why: str = ""


class Verdict(StrEnum):
    """What is known of an attempt."""

    LANDED = "landed"  # it is in a ledger, successful or failed: settle
    DEAD = "dead"  # it can never land: a new attempt keeps the sequence number
    OPEN = "open"  # it may still land: send the same envelope
    HIDDEN = "hidden"  # history is too short to tell: decide by pail and sequence, or ask a person


def check_move(current: State, wanted: State) -> None:
    """Insist that a move is legal.

    Raises:
        InternalError: when it is not: the program has lost track.
    """
    if wanted not in LEGAL_MOVES[current]:
        raise InternalError(f"an intent that is {current} cannot become {wanted}")


def judge(attempt: Attempt, found: Found) -> Verdict:
    """Judge an attempt by one node's answer about its inner hash.

    An attempt is dead when one and the same node does not find it, has closed a ledger after the
    attempt's last moment, and still has all history since the signing. A node that lags, or a
    second node's tip, proves nothing.
    """
    if found.status is not Status.NOT_FOUND:
        return Verdict.LANDED
    if found.tip.close_time <= attempt.max_time:
        return Verdict.OPEN
    if found.tip.oldest_ledger > attempt.signed_ledger:
        return Verdict.HIDDEN
    return Verdict.DEAD


def judge_all(attempts: Sequence[Attempt], answers: Sequence[Found]) -> Verdict:
    """Judge an intent by the answers about each of its attempts: the strongest verdict counts."""
    verdicts = {judge(attempt, found) for attempt, found in zip(attempts, answers, strict=True)}
    for verdict in (Verdict.LANDED, Verdict.HIDDEN, Verdict.OPEN):
        if verdict in verdicts:
            return verdict
    return Verdict.DEAD


def judge_by_sequence(attempt: Attempt, state: AccountState | None, ledger: int) -> Verdict:
    """Judge an attempt that no history can tell of any more by its account's sequence number.

    Args:
        attempt: the last of its intent.
        state: its source account as read now, or None where it does not exist.
        ledger: one that closed after the attempt's last moment.
    """
    if state is None or state.ledger < ledger:
        return Verdict.HIDDEN
    # A number that was never used cannot be used by it any more. One that was, was used by it: we sign each once.
    return Verdict.DEAD if state.sequence < attempt.sequence else Verdict.LANDED


def judge_overtaken(attempt: Attempt, state: AccountState | None, found: Found) -> Verdict:
    """Judge an attempt that is refused for its sequence number before its last moment.

    Its account's owner may have sent something with the same number. It is dead once the account has come to that
    number, and a node that has closed as many ledgers, and still has all since the signing, does not find it.

    Args:
        attempt: which.
        state: its source account as read now, or None where it does not exist.
        found: a node's answer about its inner hash.
    """
    if found.status is not Status.NOT_FOUND:
        return Verdict.LANDED
    is_used = state is not None and state.sequence >= attempt.sequence
    has_all = (
        state is not None
        and found.tip.oldest_ledger <= attempt.signed_ledger <= state.ledger <= found.tip.ledger
    )
    return Verdict.DEAD if is_used and has_all else Verdict.OPEN


def plant_purpose(farmer: int, block: int, again: int = 0) -> str:
    """Key of the one plant of a farmer in a block; ``again`` counts those before it that can never land."""
    return f"plant:{farmer}:{block}" + (f":{again}" if again else "")


def work_purpose(farmer: int, block: int, improvement: int) -> str:
    """Key of a work of a farmer in a block: the first is number 0, each further one is the next."""
    return f"work:{farmer}:{block}:{improvement}"


def pail_item(farmer: int, block: int) -> str:
    """Key of a pail as an item."""
    return f"pail:{farmer}:{block}"


def pail_of(item: str) -> tuple[int, int] | None:
    """Give the farmer's number and the block of a pail's item; None for another item."""
    kind, *numbers = item.split(":")
    if kind != "pail":
        return None
    farmer, block = map(int, numbers)
    return farmer, block
