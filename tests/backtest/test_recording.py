"""Recorded blocks: what is read, measured and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kalepool.backtest.recording import LEDGER_S, from_file, from_records, mainnet, recorded
from kalepool.core.contract import weigh
from kalepool.core.records import BlockRecord, PailRecord, PailState
from kalepool.errors import UsageError

TESTS_COPY = Path(__file__).parents[1] / "data" / "mainnet_blocks.csv"


def nobody(_block: int) -> list[PailRecord]:
    return []


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
    assert from_records(records, nobody) == mainnet()[:3]


def test_the_pools_own_part_in_what_the_store_recorded_is_taken_out() -> None:
    """Who plays puts his own works in: they would count twice."""
    played = mainnet()[0]
    block = replace(played.block, staked_total=9)
    records = [BlockRecord(played.index, block, 99), BlockRecord(played.index + 1, played.following, 99)]
    pails = {
        played.index: [
            PailRecord(1, played.index, PailState.HARVESTED, 7, gap=40, zeros=8, reward=1),
            PailRecord(2, played.index, PailState.FORFEITED, 5),
        ]
    }
    (found,) = from_records(records, lambda index: pails.get(index, []))
    assert found.block.normalized_total == block.normalized_total - weigh(block, 40, 7, 8).total
    assert found.block.staked_total == 4
    drained = [replace(record, block=replace(record.block, normalized_total=1)) for record in records]
    (found,) = from_records(drained, lambda index: pails.get(index, []))
    assert found.block.normalized_total == 0


def test_ledgers_take_as_long_as_they_did_where_the_store_saw_blocks_open() -> None:
    one, two = mainnet()[:2]
    records = [BlockRecord(one.index, one.block, 99, 1_000), BlockRecord(two.index, two.block, 99, 1_150)]
    (found,) = from_records(records, nobody)
    life = two.block.timestamp - one.block.timestamp
    assert (found.ledgers, found.ledger_s) == (150, life / 150)


def test_a_store_without_two_blocks_in_a_row_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="no two blocks") as refused:
        from_records([], nobody)
    assert "mine some blocks" in refused.value.hint


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
        (TESTS_COPY.read_text().replace("11023", "-1", 1), "line 2: index -1 is out of range"),
        (TESTS_COPY.read_text().replace(",5,9,", ",5,65,", 1), "line 2: max_zeros 65 is out of range"),
        (TESTS_COPY.read_text().replace(",0,49,", f",0,{2**32},", 1), "max_gap 4294967296 is out of range"),
        (TESTS_COPY.read_text().replace("496666610294", str(2**127), 1), "normalized_total .* out of range"),
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
    with pytest.raises(UsageError, match="cannot be read: No such file") as refused:
        from_file(tmp_path / "none.csv")
    assert "CSV" in refused.value.hint
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UsageError, match="it is no text"):
        from_file(tmp_path / "picture.csv")
