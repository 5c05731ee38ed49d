"""When the network stood still, and whether that lost a stake: by close times alone, and the pool's where unclear."""

from __future__ import annotations

import pytest

from kalepool.core.standstill import Standstill, between, excuse
from kalepool.core.strategy import Pace

OPENED = 10_000


def pace(ledger: int, close_time: int) -> Pace:
    return Pace(ledger, close_time, float(close_time), 5.0)


@pytest.mark.parametrize(
    ("ledgers", "seconds", "found"),
    [(1, 89, False), (1, 90, True), (3, 90, True), (4, 400, False), (0, 400, False), (60, 300, False)],
)
def test_a_standstill_is_long_and_leaves_few_ledgers(ledgers: int, seconds: int, found: bool) -> None:
    seen = between(pace(100, OPENED), pace(100 + ledgers, OPENED + seconds))
    assert seen == (Standstill(OPENED, OPENED + seconds) if found else None)


@pytest.mark.parametrize(
    ("since", "until", "is_networks"),
    [
        (0, 300, True),
        (269, 360, True),
        (270, 360, False),  # whoever has not worked by then has nobody else to blame
        (100, 299, False),  # there was time left when it went on
        (-1, 300, False),  # it stood still before the block opened
        (400, 700, False),
    ],
)
def test_it_excuses_a_stake_only_where_no_time_was_left(since: int, until: int, is_networks: bool) -> None:
    why = excuse(Standstill(OPENED + since, OPENED + until), OPENED)
    assert why.startswith("network: ") is is_networks
    assert excuse(None, OPENED) == ""
