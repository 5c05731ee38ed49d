"""The text of a statement, where a stake did not come back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.cli.statements import html, markdown
from kalepool.core.agreements import Life, Lived
from kalepool.core.records import PailState
from kalepool.core.statements import Crop, FoldedDay, Statement
from support.store import farmer

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = "ab" * 32
WHY = "network: the farm paid back 3 KALE less than the stake"
SHORT = Crop(7, 0.0, PailState.HARVESTED, 50_000_000, 30_000_000, 0, 0, 0, 0, 0, HASH, WHY)
DAY = FoldedDay(0.0, 2, 2, 0, 100_000_000, 30_000_000, 90_000_000, 0, 90_000_000, 0, 0)


def statement(*, days: tuple[FoldedDay, ...] = (), crops: tuple[Crop, ...] = ()) -> Statement:
    life = (Lived(1, Life.ACTIVE, "test", "", 0.0, None, None),)
    return Statement(farmer("ada"), 0.0, days, crops, (), 0, life, ())


@pytest.mark.parametrize("write", [markdown, html])
def test_a_harvest_that_was_paid_back_short_tells_its_reason_and_its_transaction(
    write: Callable[[Statement], str],
) -> None:
    text = write(statement(crops=(SHORT,)))
    assert f"harvested: {WHY}; {HASH}" in text
    assert "3 KALE, of it 0 compensated" in text


def test_a_folded_day_tells_what_of_its_stakes_did_not_come_back() -> None:
    lines = markdown(statement(days=(DAY,))).splitlines()
    assert "- lost stakes: 3 KALE, of it 0 compensated" in lines
    assert "| 2 | 2 | 0 | 10 | 3 | 9 | 0 | 0 | 9 | 0 | 1970-01-01 |" in lines
