"""Farmers: who they are, on which terms, in which state, and which moves between states are legal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kalepool.core.amounts import MAX_I64
from kalepool.errors import UsageError

BPS: Final = 10_000
"""Basis points in a whole: 100 % is 10,000."""

MAX_HOURS: Final = 8_784
"""A rhythm or a delay is a year at most."""

MAX_MEMO_BYTES: Final = 28
"""What the network takes as a text."""


class Custody(StrEnum):
    """Who holds a farmer's keys."""

    CUSTODIAL = "custodial"  # the pool plants, works and harvests for him
    WATCHED = "watched"  # he plants himself; the pool works and harvests


class FarmerState(StrEnum):
    """Where a farmer's account stands."""

    CREATED = "created"
    FUNDED = "funded"
    ACTIVE = "active"
    PAUSED = "paused"
    EXITING = "exiting"
    EXITED = "exited"


LEGAL_MOVES: Final[dict[FarmerState, frozenset[FarmerState]]] = {
    FarmerState.CREATED: frozenset({FarmerState.FUNDED, FarmerState.EXITED}),
    FarmerState.FUNDED: frozenset({FarmerState.ACTIVE, FarmerState.EXITING}),
    FarmerState.ACTIVE: frozenset({FarmerState.PAUSED, FarmerState.EXITING}),
    FarmerState.PAUSED: frozenset({FarmerState.ACTIVE, FarmerState.EXITING}),
    # An exit can be called off until it completes.
    FarmerState.EXITING: frozenset({FarmerState.ACTIVE, FarmerState.PAUSED, FarmerState.EXITED}),
    FarmerState.EXITED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Stake:
    """What a farmer stakes in each block: a part of his balance, or an amount. Exactly one is set.

    Attributes:
        bps: basis points of the balance, 0 to 10,000.
        stroops: a fixed amount.
    """

    bps: int | None = None
    stroops: int | None = None

    def __post_init__(self) -> None:
        if (self.bps is None) == (self.stroops is None):
            raise UsageError("a stake is either a percentage or an amount")
        if self.bps is not None and not 0 <= self.bps <= BPS:
            raise UsageError("a stake is 0 % to 100 % of the balance")
        if self.stroops is not None and self.stroops < 0:
            raise UsageError("a stake cannot be negative")

    def of(self, balance: int) -> int:
        """Give the stake in stroops out of a balance in stroops; never more than that."""
        if self.bps is not None:
            return balance * self.bps // BPS
        assert self.stroops is not None
        return min(self.stroops, balance)


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with a farmer.

    Attributes:
        stake: what is planted for him.
        harvest_every: blocks between harvests, 1 to 20.
        share_bps: his part of the reward after the fee, in basis points.
        fee_bps: the platform's part of the reward, in basis points.
        payout: G address that his share is paid to; None to leave it in his wallet.
        payout_from: stroops; less than this waits.
        payout_every_h: hours between payouts, of network time; 0 for whenever there is one.
        exit_delay_h: hours between the wish to leave and the end, of network time.
        memo: what his payout address wants to see, at most 28 bytes; empty for none.
    """

    stake: Stake = Stake(bps=1_000)
    harvest_every: int = 1
    share_bps: int = BPS
    fee_bps: int = 0
    payout: str | None = None
    payout_from: int = 0
    payout_every_h: int = 0
    exit_delay_h: int = 24
    memo: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.harvest_every <= 20:  # noqa: PLR2004 - the range promised on the command line
            raise UsageError("the harvest interval is 1 to 20 blocks", hint="choose one of these")
        for name, value in (("share", self.share_bps), ("fee", self.fee_bps)):
            if type(value) is not int or not 0 <= value <= BPS:
                raise UsageError(
                    f"the {name} is a whole number of basis points, 0 to 10000", hint="10000 are 100%"
                )
        if type(self.payout_from) is not int or not 0 <= self.payout_from <= MAX_I64:
            raise UsageError("a payout begins at an amount that is not negative", hint="0 pays always")
        for name, hours in (("payout rhythm", self.payout_every_h), ("exit delay", self.exit_delay_h)):
            if type(hours) is not int or not 0 <= hours <= MAX_HOURS:
                raise UsageError(f"the {name} is a whole number of hours", hint=f"0 to {MAX_HOURS}")
        if len(self.memo.encode()) > MAX_MEMO_BYTES or not self.memo.isprintable():
            raise UsageError(f"a memo is one line of at most {MAX_MEMO_BYTES} bytes", hint="shorten it")


@dataclass(frozen=True, slots=True)
class Farmer:
    """One farmer.

    Attributes:
        number: identity in the store, from 1.
        name: unique.
        address: G address, or C for a watched one.
        custody: who holds his keys.
        state: where his account stands.
        wallet_index: derivation index of a custodial wallet; None where the seed was imported or is not ours.
        terms: what was agreed last; it may begin with a block still to come.
        email: where to write to him, or None.
    """

    number: int
    name: str
    address: str
    custody: Custody
    state: FarmerState
    wallet_index: int | None
    terms: Terms
    email: str | None = None


@dataclass(frozen=True, slots=True)
class SealedTerms:
    """Terms as they were agreed, with the seal that shows nobody changed them since.

    Attributes:
        terms: what was agreed.
        from_block: the first block they hold for.
        seal: MAC made by the vault when they were agreed, 32 bytes.
    """

    terms: Terms
    from_block: int
    seal: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """One recorded move of a farmer between states.

    Attributes:
        was: the state before; None where he was added.
        became: the state after.
        who: the person or command that did it.
        why: a note; may be empty.
        at: Unix seconds on the machine's clock.
    """

    was: FarmerState | None
    became: FarmerState
    who: str
    why: str
    at: float


def check_move(current: FarmerState, wanted: FarmerState) -> None:
    """Insist that a move is legal.

    Raises:
        UsageError: when it is not.
    """
    if wanted not in LEGAL_MOVES[current]:
        legal = ", ".join(sorted(LEGAL_MOVES[current])) or "nothing: it is over"
        raise UsageError(
            f"a farmer who is {current} cannot become {wanted}", hint=f"from {current} it goes to {legal}"
        )
