"""The things of the field: Block, Pail, Farm, Proof; and how the contract says no."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

ZERO_ENTROPY: Final = bytes(32)


class ContractErrorCode(IntEnum):
    """Error numbers of the KALE contract. The SAC's and the tractor's are spaces of their own."""

    HOMESTEAD_EXISTS = 1
    HOMESTEAD_MISSING = 2
    FARM_BLOCK_MISSING = 3
    FARM_PAUSED = 4
    FARM_NOT_PAUSED = 5
    PLANT_AMOUNT_TOO_LOW = 6
    ZERO_COUNT_TOO_LOW = 7
    PAIL_EXISTS = 8
    PAIL_MISSING = 9
    WORK_MISSING = 10
    BLOCK_MISSING = 11
    BLOCK_INVALID = 12
    HASH_INVALID = 13
    HARVEST_NOT_READY = 14
    GAP_COUNT_TOO_LOW = 15


class ContractError(Exception):
    """The KALE contract refuses a call; nothing changed."""

    def __init__(self, code: ContractErrorCode) -> None:
        super().__init__(f"KALE contract error {code.value} {code.name}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Block:
    """A block as the contract stores it, temporary under its index.

    ``min``/``max`` and ``entropy`` are the frozen results of the block before; ``staked_total``
    and ``normalized_total`` gather this block's own. The running record of the farm
    (``Farm.farm_block``) has the same shape.

    Attributes:
        timestamp: close time of the ledger that opened it, Unix seconds.
        min_gap: smallest gap, ledgers. ``max_gap`` likewise.
        min_stake: smallest stake, stroops. ``max_stake`` likewise.
        min_zeros: smallest count of leading hexadecimal zeros. ``max_zeros`` likewise.
        entropy: 32 bytes, the hash of the last accepted work.
        staked_total: stroops planted and not yet worked.
        normalized_total: sum of the weights of the works.
    """

    timestamp: int
    min_gap: int
    max_gap: int
    min_stake: int
    max_stake: int
    min_zeros: int
    max_zeros: int
    entropy: bytes
    staked_total: int
    normalized_total: int


@dataclass(frozen=True, slots=True)
class Pail:
    """One farmer's part in one block.

    Attributes:
        sequence: ledger of the plant.
        stake: stroops burned.
        gap: ledgers between plant and work, or None before the work.
        zeros: leading hexadecimal zeros of the work, or None before it; 0 is a work too.
    """

    sequence: int
    stake: int
    gap: int | None = None
    zeros: int | None = None


@dataclass(frozen=True, slots=True)
class Farm:
    """The instance of the KALE contract.

    Attributes:
        homesteader: address of the owner.
        asset: address of the KALE asset's contract, or None before it is set.
        index: FarmIndex, the number of the current block (absent on the chain means 0).
        block: FarmBlock, the running record of the current block, or None before the first.
        paused: whether planting is stopped.
    """

    homesteader: str
    asset: str | None
    index: int
    block: Block | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """A nonce found for one farmer and block, with what it hashes to.

    Attributes:
        index: block index, u32.
        nonce: u64.
        hash: 32 bytes.
        zeros: leading hexadecimal zeros of ``hash``, 0 to 64.
    """

    index: int
    nonce: int
    hash: bytes
    zeros: int
