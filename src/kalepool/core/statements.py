"""One farmer's account with the pool: every pail that is over, every payment, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalepool.core.agreements import Lived
    from kalepool.core.farmers import Farmer, SealedTerms
    from kalepool.core.records import PailState
    from kalepool.core.shares import Claim


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment on account of a farmer that landed.

    Attributes:
        claim: whose.
        at: network time of its ledger, Unix seconds.
        amount: stroops of KALE.
        transaction: hash, hex; empty where no intent of ours paid it.
    """

    claim: Claim
    at: float
    amount: int
    transaction: str


@dataclass(frozen=True, slots=True)
class Crop:
    """A pail that is over. Amounts are stroops of KALE.

    Attributes:
        block: index.
        at: network time when its block opened, Unix seconds; 0 where unknown.
        state: harvested, forfeited or expired.
        stake: what was planted.
        stake_lost: of it, what did not come back.
        reward: what the harvest paid beside it.
        fee: of the reward, to the platform. ``share`` and ``pool`` likewise, to him and to the pool.
        share: his.
        pool: the pool's.
        compensated: what the pool owed him for a lost stake.
        transaction: hash of the harvest, hex; empty where a stranger harvested, or it was not.
        why: the reason of a loss, for people; may be empty.
    """

    block: int
    at: float
    state: PailState
    stake: int
    stake_lost: int
    reward: int
    fee: int
    share: int
    pool: int
    compensated: int
    transaction: str
    why: str


@dataclass(frozen=True, slots=True)
class FoldedDay:
    """A day whose pails are not kept one by one any more. Amounts are stroops of KALE, as of ``Crop``.

    Attributes:
        at: network time when it began, UTC, Unix seconds.
        planted: pails planted.
        harvested: of these, harvested.
        lost: of these, forfeited or expired.
        stake: of all of them.
        stake_lost: of it, what did not come back, be it that the farm paid back less.
        reward: what the harvests paid beside the stakes. ``fee``, ``share`` and ``pool`` are its parts.
        fee: to the platform.
        share: his.
        pool: the pool's.
        compensated: what the pool owed him for lost stakes.
    """

    at: float
    planted: int
    harvested: int
    lost: int
    stake: int
    stake_lost: int
    reward: int
    fee: int
    share: int
    pool: int
    compensated: int


@dataclass(frozen=True, slots=True)
class Statement:
    """All of it, up to a moment.

    Attributes:
        farmer: whose.
        until: network time it was drawn up for, Unix seconds.
        days: those that are folded, the oldest first; they come before all crops, or between them.
        crops: pails that are over and kept, the oldest first.
        payments: to him, the oldest first; the pool's own are left out.
        owed: what he is owed now, stroops, compensation counted.
        life: of what was agreed with him, oldest step first.
        agreed: all terms ever agreed, oldest first; of those from the same block the last counts.
    """

    farmer: Farmer
    until: float
    days: tuple[FoldedDay, ...]
    crops: tuple[Crop, ...]
    payments: tuple[Payment, ...]
    owed: int
    life: tuple[Lived, ...]
    agreed: tuple[SealedTerms, ...]

    @property
    def paid(self) -> int:
        """What was paid to him, stroops."""
        return sum(payment.amount for payment in self.payments)

    @property
    def lost(self) -> int:
        """Stakes that did not come back, stroops: those of pails that were lost, and what harvests paid back short."""
        return self.total("stake_lost")

    def total(self, field: str) -> int:
        """Add a field that days and crops have up over all of them."""
        return sum(getattr(one, field) for one in (*self.days, *self.crops))
