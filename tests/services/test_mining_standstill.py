"""A stake that is lost because the network stood still is not owed by the pool; one lost while it went on is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.records import PailState
from kalepool.core.shares import Claim, owed
from kalepool.errors import RejectedError
from kalepool.services.events import Name
from support.mining import Shift

if TYPE_CHECKING:
    from pathlib import Path


async def refuse(*_: object, **__: object) -> None:
    raise RejectedError("not now")


@pytest.mark.parametrize(("late_by", "is_networks"), [(400.0, True), (0.0, False)])
def test_who_pays_for_a_stake_that_was_not_worked(tmp_path: Path, late_by: float, is_networks: bool) -> None:
    shift = Shift(
        tmp_path,
        farmers=2,
        neighbours=4,
        options={"mining.policy": "manual", "manual.work_at_s": 240, "manual.stake": "1"},
    )

    def refuse_works() -> None:
        object.__setattr__(shift.pool.composer, "work", refuse)

    planted = shift.ledger.latest.sequence + 80
    if late_by:
        shift.late[planted] = late_by
    else:
        shift.at[planted] = refuse_works
    shift.mine(2, seconds=3_000)
    lost = [
        record for record in shift.pool.pails.in_blocks(0, 2**32 - 1) if record.state is PailState.FORFEITED
    ]
    assert lost != []
    assert {record.why.startswith("network: it stood still for") for record in lost} == {is_networks}
    told = shift.told(Name.FORFEITED)
    assert {event.reason for event in told} >= {record.why for record in lost}
    for record in lost:
        expected = 0 if is_networks else record.stake
        assert shift.pool.books.balance(owed(Claim.COMPENSATION, record.farmer), KALE_NAME) == expected
    shift.pool.close()
