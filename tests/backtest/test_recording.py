"""Recorded blocks: what is read, measured and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kalepool.backtest.recording import LEDGER_S, from_file, from_records, mainnet, recorded
from kalepool.core.records import BlockRecord
from kalepool.errors import UsageError

TESTS_COPY = Path(__file__).parents[1] / "data" / "mainnet_blocks.csv"


def test_mainnets_blocks_come_with_the_program() -> None:
    blocks = mainnet()
    assert len(blocks) == 339  # the last one's end is not known
    first = blocks[0]
    assert (first.index, first.block.max_gap, first.block.normalized_total) == (11_023, 49, 496_666_610_294)
    assert (first.ledgers, first.last_work) == (54, 51)
    assert all(abs(one.ledger_s - LEDGER_S) < 0.06 for one in blocks)
    assert all(0 < one.last_work < one.ledgers for one in blocks)


def test_a_file_of_the_same_kind_gives_the_same() -> None:
    assert from_file(TESTS_COPY) == mainnet()


def test_what_the_store_recorded_is_replayed_alike() -> None:
    records = [BlockRecord(one.index, one.block, 99) for one in mainnet()[:4]]
    assert from_records(records) == mainnet()[:3]


def test_a_gap_in_the_numbers_and_an_idle_time_part_blocks() -> None:
    rows = [(one.index, one.block) for one in mainnet()[:5]]
    assert [one.index for one in recorded([*rows[:2], *rows[3:]])] == [11_023, 11_026]
    late = replace(rows[4][1], timestamp=rows[4][1].timestamp + 5_000)
    assert len(recorded([*rows[:4], (rows[4][0], late)])) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column index"),
        ("index,timestamp\n1,2\n", "no column"),
        (TESTS_COPY.read_text().replace("1735006821", "soon", 1), "line 2"),
        ("\n".join(TESTS_COPY.read_text().splitlines()[:2]), "no two blocks in a row"),
    ],
)
def test_a_file_that_will_not_do_is_refused_with_a_hint(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "blocks.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as refused:
        from_file(file)
    assert "columns" in refused.value.hint


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        from_file(tmp_path / "none.csv")
