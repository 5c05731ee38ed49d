"""What events and a snapshot prove: success by what moved or stands in a pail, absence never."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kalepool.core.chain import AssetMove, DatedPail, Happenings, Landed, Snapshot
from kalepool.core.contract import new_record
from kalepool.core.evidence import Evidence, Window, weigh_evidence, widened
from kalepool.core.farm import Farm, Pail
from kalepool.core.intents import Attempt, Intent, Kind, State, pail_item

SIGNED, LEDGER, MAX_TIME, BLOCK = 100, 103, 1_060, 7
ATTEMPT = Attempt(1, "inner", ("first", "second"), "G1", 5, b"", MAX_TIME, SIGNED)
BURN, MINT, TRANSFER = (
    AssetMove("burn", ("G1",), 5),
    AssetMove("mint", ("G1",), 9),
    AssetMove("transfer", ("G1", "G2"), 3),
)
SUCCEEDED, AWAITED, UNPROVEN, ABSENT = Evidence


def intent(kind: Kind, *, state: State = State.SENT, blocks: tuple[int, ...] = (BLOCK,)) -> Intent:
    return Intent(1, kind, "purpose", tuple(pail_item(1, block) for block in blocks), state, (ATTEMPT,))


def window(*moves: AssetMove, close_time: int = MAX_TIME, tx_hash: str = "second") -> Window:
    return Window(SIGNED + 1, LEDGER, close_time, {tx_hash: Landed(LEDGER, 1_030, 300, moves)})


def snapshot(pail: Pail | None, *, ledger: int = LEDGER, farmer: str = "G1") -> Snapshot:
    farm = Farm("G-owner", "C-asset", BLOCK, new_record(1_000), paused=False)
    pails = {} if pail is None else {(farmer, BLOCK): DatedPail(pail, 10_000)}
    return Snapshot("node", ledger, farm, bytes(32), {}, pails)


@pytest.mark.parametrize(
    ("kind", "moves", "expected"),
    [
        (Kind.PLANT, (BURN,), SUCCEEDED),
        (Kind.HARVEST, (MINT,), SUCCEEDED),
        (Kind.HARVEST, (MINT, MINT), SUCCEEDED),
        (Kind.PAY, (TRANSFER,), SUCCEEDED),
        (Kind.SWEEP, (TRANSFER,), SUCCEEDED),
        # What a call of this kind cannot have done is no proof that it did what it should.
        (Kind.PLANT, (MINT,), UNPROVEN),
        (Kind.HARVEST, (BURN,), UNPROVEN),
        (Kind.WORK, (BURN,), UNPROVEN),
        # A fee alone: failed, or something that moves no KALE.
        (Kind.PLANT, (), UNPROVEN),
        (Kind.WORK, (), UNPROVEN),
        (Kind.HARVEST, (), UNPROVEN),
        (Kind.EXTEND, (), UNPROVEN),
    ],
)
def test_what_moved_proves_success(kind: Kind, moves: tuple[AssetMove, ...], expected: Evidence) -> None:
    assert weigh_evidence(intent(kind), window(*moves), None) is expected


@pytest.mark.parametrize(
    ("kind", "pail", "expected"),
    [
        (Kind.PLANT, Pail(LEDGER, 0), SUCCEEDED),
        (Kind.PLANT, Pail(LEDGER, 0, 5, 7), SUCCEEDED),
        (Kind.PLANT, Pail(LEDGER - 1, 0), UNPROVEN),
        (Kind.PLANT, Pail(LEDGER, 10), UNPROVEN),
        (Kind.PLANT, None, UNPROVEN),
        (Kind.WORK, Pail(LEDGER - 40, 0, 40, 7), SUCCEEDED),
        (Kind.WORK, Pail(LEDGER - 40, 9, 40, 0), SUCCEEDED),
        (Kind.WORK, Pail(LEDGER - 40, 0, 39, 7), UNPROVEN),
        (Kind.WORK, Pail(LEDGER - 40, 0, 41, 7), UNPROVEN),
        (Kind.WORK, Pail(LEDGER - 40, 0), UNPROVEN),
        (Kind.WORK, None, UNPROVEN),
        (Kind.HARVEST, None, UNPROVEN),
        (Kind.EXTEND, Pail(LEDGER, 0), UNPROVEN),
    ],
)
def test_a_pail_proves_what_moves_nothing(kind: Kind, pail: Pail | None, expected: Evidence) -> None:
    assert weigh_evidence(intent(kind), window(), snapshot(pail)) is expected


def test_a_pail_of_somebody_else_proves_nothing() -> None:
    assert weigh_evidence(intent(Kind.PLANT), window(), snapshot(Pail(LEDGER, 0), farmer="G2")) is UNPROVEN


@pytest.mark.parametrize(("close_time", "expected"), [(MAX_TIME, AWAITED), (MAX_TIME + 1, UNPROVEN)])
def test_an_older_snapshot_is_waited_for_until_the_last_moment(close_time: int, expected: Evidence) -> None:
    older = snapshot(None, ledger=LEDGER - 1)
    assert weigh_evidence(intent(Kind.WORK), window(close_time=close_time), older) is expected


@pytest.mark.parametrize(
    ("state", "first", "close_time", "expected"),
    [
        (State.SENT, SIGNED + 1, MAX_TIME, ABSENT),
        (State.SIGNED, SIGNED - 50, MAX_TIME, ABSENT),
        # Past its last moment, before what was read, or a person's: getTransaction tells.
        (State.SENT, SIGNED + 1, MAX_TIME + 1, UNPROVEN),
        (State.SENT, SIGNED + 2, MAX_TIME, UNPROVEN),
        (State.UNRESOLVED, SIGNED + 1, MAX_TIME, UNPROVEN),
    ],
)
def test_without_an_event_only_its_last_moment_decides_who_tells(
    state: State, first: int, close_time: int, expected: Evidence
) -> None:
    told = Window(first, LEDGER, close_time, {"of others": Landed(LEDGER, 1_030, 300, (BURN,))})
    assert weigh_evidence(intent(Kind.PLANT, state=state), told, None) is expected


def test_only_the_last_attempt_can_have_landed() -> None:
    dead = replace(ATTEMPT, outer_hashes=("dead",))
    twice = replace(intent(Kind.PLANT), attempts=(dead, replace(ATTEMPT, number=2)))
    assert window(tx_hash="dead").landed(twice) is None
    assert window().landed(twice) == (twice.attempts[1], Landed(LEDGER, 1_030, 300))


A, B, C = (Landed(ledger, ledger * 5, 1) for ledger in (10, 20, 30))


def read(first: int, last: int, **paid: Landed) -> Happenings:
    return Happenings("node", first, last, last * 5, paid)


def test_windows_grow_at_either_end() -> None:
    start = widened(None, read(15, 25, b=B))
    assert start == Window(15, 25, 125, {"b": B})
    assert widened(start, read(26, 30, c=C)) == Window(15, 30, 150, {"b": B, "c": C})
    assert widened(start, read(5, 14, a=A)) == Window(5, 25, 125, {"a": A, "b": B})
    assert widened(start, read(5, 40, a=A, b=B, c=C)) == Window(5, 40, 200, {"a": A, "b": B, "c": C})


@pytest.mark.parametrize(("first", "last"), [(27, 30), (5, 13)])
def test_a_window_with_a_gap_would_promise_too_much(first: int, last: int) -> None:
    start = widened(None, read(15, 25, b=B))
    assert widened(start, read(first, last)) == Window(first, last, last * 5, {})


def test_ledgers_that_have_not_closed_add_nothing_but_time() -> None:
    start = widened(None, read(15, 25, b=B))
    assert widened(start, Happenings("node", 26, 25, 127)) == Window(15, 25, 127, {"b": B})
    assert widened(None, Happenings("node", 26, 25, 127)) == Window(26, 25, 127, {})


def test_a_window_forgets_what_nothing_open_needs() -> None:
    whole = Window(5, 30, 150, {"a": A, "b": B, "c": C})
    assert whole.since(20) == Window(20, 30, 150, {"b": B, "c": C})
    assert whole.since(31) == Window(31, 30, 150, {})
    assert [whole.reaches(ledger) for ledger in (4, 5, 30, 31, 32)] == [False, True, True, True, False]
