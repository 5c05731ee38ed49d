"""The KALE contract's rules as pure functions: state in, state out or ContractError.

The devnet runs these as its contract and the planner computes rewards with them: one
implementation for both. Each function names the contract function it models. Order of
checks, sentinels and floor divisions are the contract's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from kalepool.core.farm import ZERO_ENTROPY, Block, ContractError, Farm, Pail
from kalepool.core.farm import ContractErrorCode as Code

BLOCK_INTERVAL_S: Final = 300
"""A plant in a ledger that closes this many seconds after the block opened opens the next."""

_UNSET_MIN_U32: Final = 2**32 - 1
_UNSET_MIN_I128: Final = 2**127 - 1
_UNSET_MAX_I128: Final = -(2**127)

_REWARD_STROOPS: Final = 2_505_0000000
_DECAY_START: Final = 30_558
_DECAY_BLOCKS: Final = 8_640
_DECAY_SCALE: Final = 10**12
_DECAY_RATE: Final = 95 * 10**10


@dataclass(frozen=True, slots=True)
class Opening:
    """The block that a plant falls into.

    Attributes:
        farm: the instance, with index and running record as the plant meets them.
        index: the block's index.
        block: the block, before the plant.
        opened: whether this plant creates it.
    """

    farm: Farm
    index: int
    block: Block
    opened: bool


@dataclass(frozen=True, slots=True)
class Planted:
    """What a plant leaves behind, to be stored: instance, Block(index), Pail(farmer, index)."""

    farm: Farm
    index: int
    block: Block
    pail: Pail


@dataclass(frozen=True, slots=True)
class Worked:
    """What a work leaves behind, to be stored; its return value is ``pail.gap``."""

    farm: Farm
    block: Block
    pail: Pail
    gap: int


@dataclass(frozen=True, slots=True)
class Harvested:
    """What a harvest pays. The call returns ``reward``; ``minted`` (reward + stake) is minted."""

    reward: int
    minted: int


@dataclass(frozen=True, slots=True)
class Weights:
    """The three parts of a work's weight, in units of the block's ``scale``."""

    gap: int
    stake: int
    zeros: int

    @property
    def total(self) -> int:
        """Sum of the three: what the work adds to the block's ``normalized_total``."""
        return self.gap + self.stake + self.zeros


def new_record(now: int) -> Block:
    """Give a running record with nothing in it (contract: ``new_farm_block``).

    Args:
        now: close time of the ledger, Unix seconds.
    """
    return Block(
        timestamp=now,
        min_gap=_UNSET_MIN_U32,
        max_gap=0,
        min_stake=_UNSET_MIN_I128,
        max_stake=_UNSET_MAX_I128,
        min_zeros=_UNSET_MIN_U32,
        max_zeros=0,
        entropy=ZERO_ENTROPY,
        staked_total=0,
        normalized_total=0,
    )


def new_block(record: Block, now: int) -> Block:
    """Freeze a running record as the ranges of the block that opens (contract: ``new_block``)."""
    return Block(
        timestamp=now,
        min_gap=0 if record.min_gap == _UNSET_MIN_U32 else record.min_gap,
        max_gap=record.max_gap,
        min_stake=0 if record.min_stake == _UNSET_MIN_I128 else record.min_stake,
        max_stake=0 if record.max_stake == _UNSET_MAX_I128 else record.max_stake,
        min_zeros=0 if record.min_zeros == _UNSET_MIN_U32 else record.min_zeros,
        max_zeros=record.max_zeros,
        entropy=record.entropy,
        staked_total=0,
        normalized_total=0,
    )


def is_due(record: Block, now: int) -> bool:
    """Tell whether a plant in a ledger closing at ``now`` opens the next block."""
    return now >= record.timestamp + BLOCK_INTERVAL_S


def check_plant(farm: Farm, amount: int) -> Block:
    """Make the checks that come before the roll-over; give the running record (contract: ``plant``).

    Raises:
        ContractError: PLANT_AMOUNT_TOO_LOW, FARM_PAUSED, HOMESTEAD_MISSING or
            FARM_BLOCK_MISSING, in this order.
    """
    if amount < 0:
        raise ContractError(Code.PLANT_AMOUNT_TOO_LOW)
    if farm.paused:
        raise ContractError(Code.FARM_PAUSED)
    _asset(farm)
    return _record(farm)


def roll_over(farm: Farm, block: Block | None, now: int) -> Opening:
    """Find or open the block that a plant at ``now`` falls into (contract: ``plant``).

    Three branches: 300 s after the running record began, the next block opens and the record
    starts anew; before that the current Block serves; where it is missing (genesis, removed,
    expired) one is made from the record, the index is bumped unless it is 0, and the record
    with its timestamp stays.

    Args:
        farm: the instance.
        block: Block(farm.index), or None where it does not exist. Not looked at when due.
        now: close time of the ledger, Unix seconds.
    """
    record = _record(farm)
    if is_due(record, now):
        index = farm.index + 1
        opened = replace(farm, index=index, block=new_record(now))
        return Opening(farm=opened, index=index, block=new_block(record, now), opened=True)
    if block is not None:
        return Opening(farm=farm, index=farm.index, block=block, opened=False)
    index = farm.index + 1 if farm.index > 0 else 0
    return Opening(farm=replace(farm, index=index), index=index, block=new_block(record, now), opened=True)


def plant(opening: Opening, pail: Pail | None, amount: int, sequence: int) -> Planted:
    """Plant into the block found by ``roll_over`` (contract: ``plant``). The burn is the caller's.

    Args:
        opening: where the plant falls; ``check_plant`` has passed.
        pail: the farmer's pail in that block, or None.
        amount: stake in stroops, at least 0.
        sequence: this ledger.

    Raises:
        ContractError: PAIL_EXISTS.
    """
    if pail is not None:
        raise ContractError(Code.PAIL_EXISTS)
    record = _record(opening.farm)
    record = replace(record, min_stake=min(record.min_stake, amount), max_stake=max(record.max_stake, amount))
    return Planted(
        farm=replace(opening.farm, block=record),
        index=opening.index,
        block=replace(opening.block, staked_total=opening.block.staked_total + amount),
        pail=Pail(sequence=sequence, stake=amount),
    )


def check_work(farm: Farm, block: Block | None) -> tuple[Block, Block]:
    """Make the checks that come before the pail is read; give running record and block.

    Raises:
        ContractError: FARM_BLOCK_MISSING or BLOCK_MISSING.
    """
    record = _record(farm)
    if block is None:
        raise ContractError(Code.BLOCK_MISSING)
    return record, block


def work(
    farm: Farm,
    block: Block | None,
    pail: Pail | None,
    *,
    claimed: bytes,
    actual: bytes,
    zeros: int,
    sequence: int,
) -> Worked:
    """Accept a proof for the current block (contract: ``work``).

    A repeated work must have strictly more zeros. The contract takes the old weight back as if
    the earlier work had had the **new** gap, so that ``normalized_total`` does not grow by the
    gap gained; this function does the same.

    Args:
        farm: the instance.
        block: Block(farm.index), or None.
        pail: the farmer's pail in that block, or None.
        claimed: the hash given with the call, 32 bytes.
        actual: the Keccak-256 of the pre-image, 32 bytes.
        zeros: leading hexadecimal zeros of ``actual``.
        sequence: this ledger.

    Raises:
        ContractError: FARM_BLOCK_MISSING, BLOCK_MISSING, PAIL_MISSING, GAP_COUNT_TOO_LOW,
            HASH_INVALID, BLOCK_INVALID or ZERO_COUNT_TOO_LOW, in this order.
    """
    record, block = check_work(farm, block)
    if pail is None:
        raise ContractError(Code.PAIL_MISSING)
    gap = sequence - pail.sequence
    if gap == 0:
        raise ContractError(Code.GAP_COUNT_TOO_LOW)
    if claimed != actual:
        raise ContractError(Code.HASH_INVALID)
    normalized_total = block.normalized_total + weigh(block, gap, pail.stake, zeros).total
    staked_total = block.staked_total
    if pail.zeros is None:
        staked_total -= pail.stake
    else:
        if zeros <= pail.zeros:
            raise ContractError(Code.ZERO_COUNT_TOO_LOW)
        normalized_total -= weigh(block, gap, pail.stake, pail.zeros).total
    record = replace(
        record,
        entropy=actual,
        min_gap=min(record.min_gap, gap),
        max_gap=max(record.max_gap, gap),
        min_zeros=min(record.min_zeros, zeros),
        max_zeros=max(record.max_zeros, zeros),
    )
    return Worked(
        farm=replace(farm, block=record),
        block=replace(block, normalized_total=normalized_total, staked_total=staked_total),
        pail=replace(pail, gap=gap, zeros=zeros),
        gap=gap,
    )


def harvest(farm: Farm, index: int, block: Block | None, pail: Pail | None) -> Harvested:
    """Compute what a pail pays (contract: ``harvest``). The mint and the pail's removal are the caller's.

    Raises:
        ContractError: HOMESTEAD_MISSING, BLOCK_MISSING, PAIL_MISSING, HARVEST_NOT_READY,
            WORK_MISSING or BLOCK_INVALID, in this order.
    """
    _asset(farm)
    if block is None:
        raise ContractError(Code.BLOCK_MISSING)
    if pail is None:
        raise ContractError(Code.PAIL_MISSING)
    if index >= farm.index:
        raise ContractError(Code.HARVEST_NOT_READY)
    if pail.gap is None or pail.zeros is None:
        raise ContractError(Code.WORK_MISSING)
    reward = share_of_block(index, block, weigh(block, pail.gap, pail.stake, pail.zeros).total)
    return Harvested(reward=reward, minted=reward + pail.stake)


def scale(block: Block) -> int:
    """Give the largest of the three ranges, at least 1: the units that one full part weighs."""
    return max(
        block.max_gap - block.min_gap, block.max_stake - block.min_stake, block.max_zeros - block.min_zeros, 1
    )


def weigh(block: Block, gap: int, stake: int, zeros: int) -> Weights:
    """Weigh a work against the block's frozen ranges (contract: ``generate_normalizations``).

    Args:
        block: the Block that the pail belongs to.
        gap: ledgers.
        stake: stroops.
        zeros: leading hexadecimal zeros.

    Raises:
        ContractError: BLOCK_INVALID when a range is inverted.
    """
    if (
        block.max_gap < block.min_gap
        or block.max_stake < block.min_stake
        or block.max_zeros < block.min_zeros
    ):
        raise ContractError(Code.BLOCK_INVALID)
    full = scale(block)
    return Weights(
        gap=_part(gap, block.min_gap, block.max_gap, full),
        stake=_part(stake, block.min_stake, block.max_stake, full),
        zeros=_part(zeros, block.min_zeros, block.max_zeros, full),
    )


def block_reward(index: int) -> int:
    """Give R(index), the stroops minted for a block (contract: ``calculate_block_reward``).

    It starts at 2,505 KALE and falls by 5 % every 8,640 blocks counted from block 30,558.
    """
    periods = max(index - _DECAY_START, 0) // _DECAY_BLOCKS
    factor = _DECAY_SCALE
    for _ in range(periods):
        factor = factor * _DECAY_RATE // _DECAY_SCALE
        if factor == 0:
            break
    return _REWARD_STROOPS * factor // _DECAY_SCALE


def share_of_block(index: int, block: Block, weight: int) -> int:
    """Give the reward in stroops of a work of this weight, with the block's totals as they stand."""
    return weight * (block_reward(index) + block.staked_total) // max(block.normalized_total, 1)


def set_paused(farm: Farm, paused: bool) -> Farm:
    """Stop or resume planting (contract: ``pause``, ``unpause``).

    Raises:
        ContractError: FARM_PAUSED when it is already, FARM_NOT_PAUSED when it was not.
    """
    if farm.paused == paused:
        raise ContractError(Code.FARM_PAUSED if paused else Code.FARM_NOT_PAUSED)
    return replace(farm, paused=paused)


def _part(value: int, low: int, high: int, full: int) -> int:
    span = max(high - low, 1)
    return max((min(max(value, low), high) - low) * full // span, 1)


def _record(farm: Farm) -> Block:
    if farm.block is None:
        raise ContractError(Code.FARM_BLOCK_MISSING)
    return farm.block


def _asset(farm: Farm) -> str:
    if farm.asset is None:
        raise ContractError(Code.HOMESTEAD_MISSING)
    return farm.asset
