"""Searching nonces: one farmer's job in one block, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    from kalepool.core.farm import Proof

JobId = NewType("JobId", int)

MAX_ZEROS: Final = 64


@dataclass(frozen=True, slots=True)
class Job:
    """One farmer's search in one block.

    Attributes:
        index: block index, u32.
        entropy: 32 bytes, of the block.
        farmer: 32 bytes, the farmer's raw key.
        cursor: first nonce to hash, up to 2**64: there, nothing is left.
        best_nonce: the best nonce known from before, or None. It is hashed anew, not believed.
        cap: zeros beyond which more are worth nothing, 0 to 64.
        weight: worth of one more zero beside other jobs, finite and not negative; 0 rests the job.
    """

    index: int
    entropy: bytes
    farmer: bytes
    cursor: int = 0
    best_nonce: int | None = None
    cap: int = MAX_ZEROS
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come.

    Attributes:
        cursor: nonces from here on have been given to no worker; 2**64 when none is left. Every nonce below,
            from the job's first, has been hashed once the miner has stopped and no worker is busy.
        hashes: done since the job was added or changed.
        best: the proof with most zeros, or None before the first.
    """

    cursor: int
    hashes: int
    best: Proof | None
