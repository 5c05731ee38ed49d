"""What the pool remembers of blocks, pails and grinding after the chain has forgotten them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kalepool.errors import InternalError

if TYPE_CHECKING:
    from kalepool.core.farm import Block, Proof


class PailState(StrEnum):
    """Where a pail stands."""

    PLANNED = "planned"  # wanted, not yet seen on the chain
    MISSED = "missed"  # the plant never landed; no stake was lost
    PLANTED = "planted"
    WORKED = "worked"
    HARVESTABLE = "harvestable"  # worked, and its block is over
    HARVESTED = "harvested"
    FORFEITED = "forfeited"  # its block ended without work: the stake is lost
    EXPIRED = "expired"  # its Block or the pail itself died by time to live: stake and reward are lost


ALIVE: Final = frozenset({PailState.PLANNED, PailState.PLANTED, PailState.WORKED, PailState.HARVESTABLE})
"""States that something must still be done about."""

PAIL_MOVES: Final[dict[PailState, frozenset[PailState]]] = {
    # Straight to harvested: it was worked and harvested by others before it was looked at again.
    PailState.PLANNED: frozenset({PailState.PLANTED, PailState.MISSED, PailState.HARVESTED}),
    # A plant that was given up and then seen after all: the chain is the truth.
    PailState.MISSED: frozenset({PailState.PLANTED}),
    PailState.PLANTED: frozenset(
        {PailState.WORKED, PailState.HARVESTED, PailState.FORFEITED, PailState.EXPIRED}
    ),
    # A stranger may harvest it before the pool has noticed that the block is over.
    PailState.WORKED: frozenset({PailState.HARVESTABLE, PailState.HARVESTED, PailState.EXPIRED}),
    PailState.HARVESTABLE: frozenset({PailState.HARVESTED, PailState.EXPIRED}),
    PailState.HARVESTED: frozenset(),
    PailState.FORFEITED: frozenset(),
    PailState.EXPIRED: frozenset(),
}
"""Legal moves; staying in a state with better knowledge (an improved work, a longer life) is always legal."""


def check_pail_move(current: PailState, wanted: PailState) -> None:
    """Insist that a pail's move is legal.

    Raises:
        InternalError: when it is not: the program has lost track.
    """
    if wanted is not current and wanted not in PAIL_MOVES[current]:
        raise InternalError(f"a pail that is {current} cannot become {wanted}")


@dataclass(frozen=True, slots=True)
class PailRecord:
    """One farmer's part in one block, as the pool remembers it.

    Attributes:
        farmer: his number.
        block: index.
        state: where it stands.
        stake: stroops staked, or to be staked.
        planted_ledger: ledger of the plant, or None before it; of a harvested pail, None where it was never seen.
        gap: ledgers between plant and work, or None before the work; of a harvested pail, None where it
            was not seen. ``zeros``, leading hexadecimal zeros of the work, likewise.
        reward: stroops minted at the harvest beside the stake, or None before it; 0 where nobody can tell.
        live_until: last ledger in which the pail exists, or None where unknown.
        why: the reason of its state, for people; may be empty.
        lost: stroops of the stake that a harvest did not pay back.
    """

    farmer: int
    block: int
    state: PailState
    stake: int
    planted_ledger: int | None = None
    gap: int | None = None
    zeros: int | None = None
    reward: int | None = None
    live_until: int | None = None
    why: str = ""
    lost: int = 0

    @property
    def stake_lost(self) -> int:
        """Stroops of the stake that will never come back, whatever the pail ended as."""
        return self.stake if self.state in (PailState.FORFEITED, PailState.EXPIRED) else self.lost


@dataclass(frozen=True, slots=True)
class PailTotal:
    """How many pails of a farmer are in a state, and what they add up to, in stroops."""

    farmer: int
    state: PailState
    count: int
    stake: int
    reward: int


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A Block as last seen.

    Attributes:
        index: which one.
        block: what the contract stored.
        live_until: last ledger in which it exists.
        opened_ledger: the ledger that opened it, or None where unknown. Its time is ``block.timestamp``.
    """

    index: int
    block: Block
    live_until: int
    opened_ledger: int | None = None


@dataclass(frozen=True, slots=True)
class Grind:
    """How far the nonces of one farmer in one block have been searched.

    Attributes:
        farmer: his number.
        block: index.
        entropy: the block's, 32 bytes: a proof for another entropy is worth nothing.
        cursor: the first nonce that was not yet handed out, u64.
        best: the best proof so far, or None.
    """

    farmer: int
    block: int
    entropy: bytes
    cursor: int
    best: Proof | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What ``status`` shows of the network without asking it.

    Attributes:
        ledger: the last one seen.
        close_time: of that ledger, Unix seconds of network time.
        block: FarmIndex.
        paused: whether planting is stopped on the chain.
        operator_xlm: the operator's balance in stroops.
        hashrate: hashes a second over the last ledgers; 0 when nothing is ground.
        seen_at: when it was written, Unix seconds on the machine's clock: its age is counted from here.
    """

    ledger: int
    close_time: int
    block: int
    paused: bool
    operator_xlm: int
    hashrate: int
    seen_at: float


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the audit log.

    Attributes:
        number: from 1, without gaps.
        at: Unix seconds on the machine's clock.
        who: the person or command.
        what: what was done, one line.
        chain: MAC over this row and the row before, made by the vault, 32 bytes.
    """

    number: int
    at: float
    who: str
    what: str
    chain: bytes
