"""Recorded blocks: from a CSV file, or from the store's records; mainnet's come with the program.

``data/mainnet_blocks.csv``: 340 consecutive blocks of December 2024, read from a ledger snapshot of the public
network. The contract's first version gave each part of a weight a floor of 1 % of the scale instead of 1, so
the totals are about 1 % higher than today's contract would make them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from kalepool.core.economics import is_valid
from kalepool.core.farm import Block
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kalepool.core.records import BlockRecord

LEDGER_S: Final = 5.83
"""Seconds a ledger took in the recording: 18,528 ledgers in 108,007 s."""

_LONGEST_S: Final = 1_200
_NUMBERS: Final = ("index", *(name for name in Block.__slots__ if name != "entropy"))
_HINT: Final = f"the first line names the columns: {','.join(_NUMBERS)}; more may follow"


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
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}", hint=_HINT) from None
    return recorded(_rows(text.splitlines(), str(path)))


def from_records(records: Iterable[BlockRecord]) -> list[Recorded]:
    """Take what the store recorded.

    Raises:
        UsageError: when no two blocks follow each other.
    """
    return recorded([(record.index, record.block) for record in records])


def recorded(rows: Sequence[tuple[int, Block]], ledger_s: float = LEDGER_S) -> list[Recorded]:
    """Measure each block that has its follower beside it.

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
        raise UsageError("there are no two blocks in a row to replay", hint=_HINT)
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
        index = values.pop("index")
        rows.append((index, Block(**values, entropy=index.to_bytes(32, "big"))))
    return rows
