"""The life of terms: recorded with who and when, sealed where an exit pays by it, and versions block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.db import Store
from kalepool.adapters.store.migrations import migrate
from kalepool.adapters.store.opening import open_store
from kalepool.adapters.store.verify import verify
from kalepool.core.agreements import Life
from kalepool.core.farmers import FarmerState
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.shares import shared, split
from kalepool.errors import InternalError
from kalepool.services.onboarding import Change
from kalepool.services.settling import BrokenSealError
from support.cashbox import HALF_AT_ONCE, Cashbox
from support.devnet import KALE
from support.mining import Shift
from support.store import HOME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path)
    yield box
    box.pool.close()


def test_an_exit_is_recorded_with_who_and_when_and_sealed(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    box.ask_to_leave(farmer)
    box.stay(farmer)
    box.ask_to_leave(farmer)
    assert box.advance(farmer).done
    lived = box.pool.farmers.life(farmer.number)
    assert [(step.place, step.became, step.who) for step in lived] == [
        (1, Life.ACTIVE, "test"),
        (2, Life.EXITING, "payout"),
        (3, Life.ACTIVE, "payout"),
        (4, Life.EXITING, "payout"),
        (5, Life.COMPLETED, "payout"),
    ]
    assert [step.seal is not None for step in lived] == [False, True, False, True, False]
    assert lived[3].asked_at is not None
    assert box.pool.farmers.lives() == {farmer.number: Life.COMPLETED}
    assert verify(box.pool.store) == []


def test_a_wish_to_leave_that_was_put_into_the_store_pays_nobody_out(box: Cashbox) -> None:
    forged, good = box.add(2, terms=HALF_AT_ONCE)
    box.pool.farmers.move(
        forged.number, FarmerState.EXITING, who="thief", asked_at=1, seal=lambda _: bytes(32)
    )
    with pytest.raises(BrokenSealError, match="does not carry this vault's seal"):
        box.advance(forged)
    box.ask_to_leave(good)

    quotes = box.once(lambda pool: pool.exiting.advance_all())
    assert [(quote.done, bool(quote.refused)) for quote in quotes] == [
        (False, True),
        (True, False),
    ]
    assert box.wallet(forged) == 100 * KALE
    box.stay(forged)
    assert box.pool.farmers.get(forged.name).state is FarmerState.ACTIVE


def test_a_wish_that_was_taken_back_cannot_be_put_in_again(box: Cashbox) -> None:
    (farmer,) = box.add(1, terms=HALF_AT_ONCE)
    box.ask_to_leave(farmer)
    wish = box.pool.farmers.life(farmer.number)[-1]
    box.stay(farmer)
    assert wish.seal is not None
    seal = wish.seal
    box.pool.farmers.move(
        farmer.number, FarmerState.EXITING, who="thief", asked_at=wish.asked_at, seal=lambda _: seal
    )
    with pytest.raises(BrokenSealError):
        box.advance(farmer)


def test_the_life_of_an_agreement_is_not_rewritten_and_moves_legally(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    store = box.pool.store
    for statement in (
        "UPDATE agreement_life SET who = 'somebody else'",
        "DELETE FROM agreement_life",
        "INSERT INTO agreement_life VALUES (1, 2, 'completed', 'x', '', 0, NULL, NULL)",
        "INSERT INTO agreement_life VALUES (1, 3, 'exiting', 'x', '', 0, NULL, NULL)",
    ):
        with pytest.raises(InternalError):
            store.execute(statement)
    store.execute("UPDATE farmers SET state = 'exited' WHERE number = ?", (farmer.number,))
    assert "farmers whose agreement stands elsewhere than their account: 1 (1)" in verify(store)


def test_a_store_of_before_gets_the_lives_that_its_states_meant(tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    path.touch(mode=0o600)
    with Store(path) as store:
        migrate(store, stop_before="7 the life of agreements")
        store.execute("INSERT INTO home VALUES (1, ?, ?)", (HOME.passphrase, HOME.contract))
        for number, states in enumerate((["created", "exited"], ["active", "paused", "exiting"]), 1):
            row = (number, f"f{number}", f"G{number}", states[-1], number)
            store.execute("INSERT INTO farmers VALUES (?, ?, ?, 'custodial', ?, ?, NULL)", row)
            for at, state in enumerate(states):
                move = (number, state, float(at))
                store.execute(
                    "INSERT INTO farmer_moves (farmer, became, who, why, at) VALUES (?, ?, 'w', '', ?)", move
                )
            store.execute(
                "INSERT INTO terms (farmer, version, from_block, stake_bps, harvest_every, share_bps, fee_bps, seal, "
                "who, at) VALUES (?, 1, 0, 0, 1, 0, 0, zeroblob(32), 'w', 0)",
                (number,),
            )
        store.execute("INSERT INTO facts VALUES ('exit:2', '77', 0)")
    with open_store(path, HOME) as store:
        rows = store.all("SELECT farmer, place, became, at, asked_at FROM agreement_life")
        assert rows == [
            (1, 1, "pending", 0.0, None),
            (1, 2, "cancelled", 1.0, None),
            (2, 1, "active", 0.0, None),
            (2, 2, "exiting", 2.0, 77),
        ]
        assert verify(store) == []


def test_new_terms_hold_from_the_next_block_and_old_pails_settle_under_the_old_from_plant_to_payout(
    tmp_path: Path,
) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=4, options={"payout.pool_from_kale": "0"})
    first, second = shift.farmers
    bench = shift.stead.bench
    homes = {one.number: bench.account(f"home {one.number}", kale=0).public_key for one in shift.farmers}
    for one in shift.farmers:
        shift.pool.onboarding.change(
            one.name, Change(share_bps=5_000, fee_bps=1_000, payout=homes[one.number])
        )

    def agree_anew() -> None:
        # While a block is open in which both have planted.
        shift.pool.onboarding.change(first.name, Change(share_bps=10_000, fee_bps=0))

    shift.mine(1)
    shift.again()
    shift.at[bench.ledger.latest.sequence + 20] = agree_anew
    shift.mine(2)
    pool = shift.again()
    pool.settling.settle()
    new = pool.farmers.agreed(first.number)[-1]
    assert new.terms == replace(new.terms, share_bps=10_000, fee_bps=0)
    expected = {first.number: 0, second.number: 0}
    seen = set()
    for one in shift.farmers:
        for record in pool.pails.of_farmer(one.number, 0, 2**32 - 1):
            if record.reward is None:
                continue
            is_new = one is first and record.block >= new.from_block
            seen.add((one.number, is_new))
            share, fee = (10_000, 0) if is_new else (5_000, 1_000)
            expected[one.number] += split(record.reward, share_bps=share, fee_bps=fee).farmer
    assert seen == {(first.number, False), (first.number, True), (second.number, False)}
    for one in shift.farmers:
        assert -pool.books.balance(shared("farmer", one.number), KALE_NAME) == expected[one.number]

    async def pay() -> None:
        async with pool.online():
            await pool.paying.pay(await pool.paying.plan())

    pool = shift.again()
    shift.play(pay())
    for one in shift.farmers:
        assert shift.balances(homes[one.number])[0] == expected[one.number]
    shift.pool.close()
