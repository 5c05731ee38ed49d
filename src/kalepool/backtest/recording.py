"""Recorded blocks: from a CSV file, or from the store's records; mainnet's come with the program.

``data/mainnet_blocks.csv``: 340 consecutive blocks of December 2024, read from a ledger snapshot of the public
network. The contract's first version gave each part of a weight a floor of 1 % of the scale instead of 1, so
the totals are about 1 % higher than today's contract would make them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kalepool.core.economics import is_valid, weight_of
from kalepool.core.farm import Block
from kalepool.core.records import PailState
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from kalepool.core.records import BlockRecord, PailRecord

LEDGER_S: Final = 5.83
"""Seconds a ledger took in the recording: 18,528 ledgers in 108,007 s."""

_LONGEST_S: Final = 1_200
_FEWEST: Final = 2
_NUMBERS: Final = ("index", *(name for name in Block.__slots__ if name != "entropy"))
_U32: Final = 2**32 - 1
_MOST: Final = {
    "index": _U32,
    "timestamp": 2**53,
    "min_gap": _U32,
    "max_gap": _U32,
    "min_zeros": 64,
    "max_zeros": 64,
}
_MOST_STROOPS: Final = 2**127 - 1
_HINT: Final = f"the first line names the columns: {','.join(_NUMBERS)}; more may follow"
_STORE_HINT: Final = "mine some blocks first, or replay mainnet's: leave out --from-store"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One block of a recording, with how long it lasted.

    Attributes:
        index: of the block.
        block: its ranges, and its totals as they were when it was over.
        following: the ranges of the block after it: what its own works came to.
        ledgers: from the ledger that opened it to the one that opened the next.
        ledger_s: seconds between them.
        last_work: ledgers after its opening in which the last work of others landed.
    """

    index: int
    block: Block
    following: Block
    ledgers: int
    ledger_s: float
    last_work: int


def mainnet() -> list[Recorded]:
    """Give the blocks that come with the program."""
    text = files("kalepool").joinpath("data/mainnet_blocks.csv").read_text(encoding="ascii")
    return recorded(_rows(text.splitlines(), "mainnet_blocks.csv"))


def from_file(path: Path) -> list[Recorded]:
    """Read a CSV with the columns of ``mainnet_blocks.csv``.

    Raises:
        UsageError: when it cannot be read or holds no two blocks that follow each other.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", hint="--blocks takes a CSV file"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} cannot be read: it is no text", hint=_HINT) from None
    return recorded(_rows(text.splitlines(), str(path)))


def from_records(
    records: Sequence[BlockRecord], pails_of: Callable[[int], Sequence[PailRecord]]
) -> list[Recorded]:
    """Take what the store recorded, less the pool's own part in it: who plays puts his own works in.

    What the pool's works did to the ranges of the blocks after them stays.

    Args:
        records: of blocks.
        pails_of: gives the pool's own pails of a block.

    Raises:
        UsageError: when no two blocks follow each other.
    """
    rows = [(record.index, _others(record.block, pails_of(record.index))) for record in records]
    return recorded(rows, _ledger_seconds(records), hint=_STORE_HINT)


def _others(block: Block, ours: Sequence[PailRecord]) -> Block:
    if not ours or not is_valid(block):
        return block
    lost = sum(pail.stake for pail in ours if pail.state is PailState.FORFEITED)
    return replace(
        block,
        normalized_total=max(block.normalized_total - weight_of(block, ours), 0),
        staked_total=max(block.staked_total - lost, 0),
    )


def _ledger_seconds(records: Sequence[BlockRecord]) -> float:
    """Measure how long a ledger took, where two openings are known; else what mainnet's took."""
    known = [(record.opened_ledger, record.block.timestamp) for record in records]
    opened = sorted((ledger, second) for ledger, second in known if ledger is not None)
    if len(opened) < _FEWEST or opened[-1][0] == opened[0][0] or opened[-1][1] <= opened[0][1]:
        return LEDGER_S
    return (opened[-1][1] - opened[0][1]) / (opened[-1][0] - opened[0][0])


def recorded(
    rows: Sequence[tuple[int, Block]], ledger_s: float = LEDGER_S, *, hint: str = _HINT
) -> list[Recorded]:
    """Measure each block that has its follower beside it.

    Args:
        rows: blocks with their indexes.
        ledger_s: seconds between ledgers.
        hint: what to do where there is nothing to replay.

    Raises:
        UsageError: when there is none.
    """
    found = []
    for (index, block), (following, after) in pairwise(sorted(rows, key=lambda row: row[0])):
        life = after.timestamp - block.timestamp
        # A block after an idle time tells nothing of when blocks close.
        if following != index + 1 or not is_valid(block) or not 0 < life < _LONGEST_S:
            continue
        ledgers = max(round(life / ledger_s), 2)
        # The first planted in the ledger after the opening; the largest gap was reached by the last work.
        last = min(after.max_gap + 1, ledgers - 1)
        found.append(Recorded(index, block, after, ledgers, life / ledgers, last))
    if not found:
        raise UsageError("there are no two blocks in a row to replay", hint=hint)
    return found


def _rows(lines: Sequence[str], where: str) -> list[tuple[int, Block]]:
    reader = csv.DictReader(lines)
    missing = [name for name in _NUMBERS if name not in (reader.fieldnames or ())]
    if missing:
        raise UsageError(f"{where} has no column {missing[0]}", hint=_HINT)
    rows = []
    for number, row in enumerate(reader, 2):
        try:
            values = {name: int(row[name]) for name in _NUMBERS}
        except (TypeError, ValueError):
            raise UsageError(f"{where}, line {number}: a column holds no whole number", hint=_HINT) from None
        for name, value in values.items():
            if not 0 <= value <= _MOST.get(name, _MOST_STROOPS):
                raise UsageError(f"{where}, line {number}: {name} {value} is out of range", hint=_HINT)
        index = values.pop("index")
        rows.append((index, Block(**values, entropy=index.to_bytes(32, "big"))))
    return rows
