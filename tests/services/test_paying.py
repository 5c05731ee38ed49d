"""Paying: few transactions, each claim once, what cannot be paid held, whatever stops the machine."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.core.facts import RESTORED
from kalepool.core.farmers import FarmerState, Terms
from kalepool.core.intents import State
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.shares import Claim, paid
from kalepool.devnet.entries import Trustline
from kalepool.errors import InternalError, RejectedError, UnresolvedError
from kalepool.xdr.keys import trustline_key
from support.cashbox import HALF, POOLS, REWARD, SHARE, Cashbox, PowerCutError
from support.devnet import KALE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.core.farmers import Farmer


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Cashbox]:
    box = Cashbox(tmp_path)
    yield box
    box.pool.close()


def earn(box: Cashbox, farmers: list[Farmer], index: int = 7, reward: int = REWARD) -> None:
    for farmer in farmers:
        box.harvest(farmer, index, reward)


def check_paid(box: Cashbox, farmers: list[Farmer], times: int = 1) -> None:
    """Insist that each was paid so often, no more and no less, and that books and network agree."""
    for farmer in farmers:
        assert box.kale(farmer.terms.payout) == times * SHARE
        assert box.pool.books.balance(paid(Claim.FARMER, farmer.number), KALE_NAME) == times * SHARE
        assert box.owed(Claim.FARMER, farmer) == box.owed(Claim.POOL, farmer) == 0
        assert box.wallet(farmer) == 100 * KALE
    assert box.kale(box.stead.operator) == times * POOLS * len(farmers)
    assert box.pool.books.total() == 0
    assert box.pool.journal.open_intents(mine=False) == []


def test_shares_go_to_payout_addresses_and_the_rest_to_the_operator_who_gets_a_trustline(
    box: Cashbox,
) -> None:
    farmers = box.add(3)
    earn(box, farmers)
    plan, done = box.payout()
    assert plan.trusts
    assert (plan.total(Claim.FARMER), plan.total(Claim.POOL)) == (3 * SHARE, 3 * POOLS)
    assert (done.transactions, len(done.lines), done.held, done.open) == (1, 6, [], [])
    check_paid(box, farmers)
    assert all(bytes.fromhex(tx_hash) for _, tx_hash in done.lines)


def test_paying_again_pays_nothing(box: Cashbox) -> None:
    farmers = box.add(2)
    earn(box, farmers)
    box.payout()
    plan, done = box.payout()
    assert (plan.lines, plan.fees, done.transactions) == ([], 0, 0)
    check_paid(box, farmers)


MOST = 2**63 - 1 - 100 * KALE
"""The largest reward that a wallet can still hold beside its 100 KALE."""


@pytest.mark.parametrize(
    ("reward", "share_bps", "fee_bps", "his", "pools"),
    [
        (0, 5_000, 1_000, 0, 0),
        (1, 10_000, 0, 1, 0),
        (1, 9_999, 0, 0, 1),
        (KALE, 0, 0, 0, KALE),
        (KALE, 10_000, 10_000, 0, KALE),
        (MOST, 10_000, 0, MOST, 0),
        (MOST, 0, 10_000, 0, MOST),
        (MOST, 5_000, 0, MOST // 2, MOST - MOST // 2),
    ],
)
def test_amounts_at_the_ends_are_paid_to_the_stroop(
    box: Cashbox, reward: int, share_bps: int, fee_bps: int, his: int, pools: int
) -> None:
    (farmer,) = box.add(1, terms=Terms(share_bps=share_bps, fee_bps=fee_bps))
    earn(box, [farmer], reward=reward)
    _, done = box.payout()
    assert box.kale(farmer.terms.payout) == his
    assert box.kale(box.stead.operator) == pools
    assert box.wallet(farmer) == 100 * KALE
    assert len(done.lines) == (his > 0) + (pools > 0)
    assert box.pool.books.total() == 0


def test_forty_farmers_are_paid_in_three_transactions(box: Cashbox) -> None:
    farmers = box.add(40)
    earn(box, farmers)
    _, done = box.payout()
    assert done.transactions == 3
    check_paid(box, farmers)


def test_without_channels_the_operator_sends_alone(tmp_path: Path) -> None:
    box = Cashbox(tmp_path, channels=0)
    farmers = box.add(21)
    earn(box, farmers)
    assert box.payout()[1].transactions == 2
    check_paid(box, farmers)
    box.pool.close()


def remove_account(box: Cashbox, address: str | None) -> None:
    assert address is not None
    key = trustline_key(address, box.bench.identity.kale)
    entry = box.bench.ledger.state.get(key)
    assert entry is not None
    assert isinstance(entry.value, Trustline)
    box.bench.ledger.put_now(key, replace(entry.value, limit=entry.value.balance))


def test_what_cannot_be_paid_is_held_with_its_reason_and_the_others_go_on(box: Cashbox) -> None:
    good = box.add(2)
    dead = box.add(1, payout=False, terms=replace(HALF, payout=box.pool.vault.channel(19)))
    bare = box.add(
        1, payout=False, terms=replace(HALF, payout=box.bench.account("without a trustline").public_key)
    )
    issuer = box.add(1, payout=False, terms=replace(HALF, payout=box.bench.identity.kale[1]))
    full = box.add(1)
    remove_account(box, full[0].terms.payout)
    earn(box, box.farmers)
    plan, done = box.payout()
    why = {held.line.farmer: held.why for held in plan.held}
    assert "does not exist" in why[dead[0].number]
    assert "no KALE trustline" in why[bare[0].number]
    assert "destroyed" in why[issuer[0].number]
    assert "limit" in why[full[0].number]
    assert len(done.lines) == 2 + 6
    for farmer in good:
        assert box.kale(farmer.terms.payout) == SHARE
    for farmer in (*dead, *bare, *issuer, *full):
        assert box.owed(Claim.FARMER, farmer) == SHARE
        assert box.wallet(farmer) == 100 * KALE + SHARE


def test_thresholds_and_rhythms_wait_and_can_be_overruled(box: Cashbox) -> None:
    (small,) = box.add(1, terms=replace(HALF, payout_from=SHARE + 1))
    (daily,) = box.add(1, terms=replace(HALF, payout_every_h=24))
    earn(box, [small, daily])
    plan, _ = box.payout()
    assert [held.why for held in plan.waiting] == ["less than 4.5000001 KALE"]
    assert box.kale(daily.terms.payout) == SHARE
    earn(box, [small, daily], 8)
    plan, _ = box.payout()
    assert [held.why for held in plan.waiting] == ["paid every 24 h"]
    assert box.kale(small.terms.payout) == 2 * SHARE
    box.play(box.plan())
    assert [line.farmer for line in box.play(box.plan(now_due=True)).lines] == [daily.number]


def test_memos_have_transactions_of_their_own(box: Cashbox) -> None:
    box.add(2)
    box.add(1, terms=replace(HALF, memo="account 17"))
    earn(box, box.farmers)
    plan, done = box.payout()
    assert {batch[0].memo for batch in plan.batches} == {"", "account 17"}
    assert done.transactions == 2
    check_paid(box, box.farmers)


def test_a_batch_with_a_line_that_went_bad_meanwhile_is_parted_and_the_others_are_paid(box: Cashbox) -> None:
    farmers = box.add(5)
    earn(box, farmers)

    async def spoil() -> int:
        async with box.online():
            box.pool.settling.settle()
            plan = await box.pool.paying.plan()
            remove_account(box, farmers[2].terms.payout)
            done = await box.pool.paying.pay(plan)
            assert [(held.line.farmer, "limit" in held.why) for held in done.held] == [(3, True)]
            return done.transactions

    assert box.play(spoil()) == 1
    assert box.owed(Claim.FARMER, farmers[2]) == SHARE
    for farmer in farmers[:2] + farmers[3:]:
        assert box.kale(farmer.terms.payout) == SHARE


def test_a_bad_line_that_no_account_shows_is_found_by_halving(box: Cashbox) -> None:
    farmers = box.add(6)
    earn(box, farmers)

    async def spoil() -> list[int]:
        async with box.online():
            box.pool.settling.settle()
            plan = await box.pool.paying.plan()
            remove_account(box, farmers[2].terms.payout)
            # As seen by nodes that lag, all is well with the address.
            real = box.pool.paying._sift
            object.__setattr__(box.pool.paying, "_sift", lambda lines, *_, **__: (list(lines), []))
            done = await box.pool.paying.pay(plan)
            object.__setattr__(box.pool.paying, "_sift", real)
            return [held.line.farmer for held in done.held]

    assert box.play(spoil()) == [3]
    for farmer in farmers[:2] + farmers[3:]:
        assert box.kale(farmer.terms.payout) == SHARE
    assert box.owed(Claim.FARMER, farmers[2]) == SHARE
    assert box.owed(Claim.POOL, farmers[2]) == 0


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_crash_at_any_send_pays_everybody_once(box: Cashbox, left: int, before: bool) -> None:
    farmers = box.add(40)
    earn(box, farmers)
    box.cut_wire(left, before=before)
    try:
        box.payout()
    except PowerCutError:
        box.crash()
    box.payout()
    check_paid(box, farmers)
    earn(box, farmers, 8)
    box.payout()
    check_paid(box, farmers, times=2)


def test_a_crash_after_planning_leaves_every_claim_free(box: Cashbox) -> None:
    farmers = box.add(2)
    earn(box, farmers)

    def die(*_: object) -> None:
        raise PowerCutError

    box.pool.journal.sign_all = die  # type: ignore[assignment, method-assign]
    with pytest.raises(PowerCutError):
        box.payout()
    box.crash()
    box.payout()
    check_paid(box, farmers)


def test_a_payment_of_unknown_outcome_stops_its_own_lines_alone(box: Cashbox) -> None:
    farmers = box.add(2)
    earn(box, farmers[:1])
    box.pool.settling.settle()
    box.cut_wire(1, before=True)  # the trustline goes through
    with pytest.raises(PowerCutError):
        box.payout()
    box.crash()
    (intent,) = box.pool.journal.open_intents()
    box.pool.journal.mark([intent.number], State.SENT)
    box.pool.journal.mark([intent.number], State.UNRESOLVED, why="nodes have lost its history")
    earn(box, farmers, 8)
    box.pool.reconciler.reconcile = nothing  # type: ignore[assignment, method-assign]
    box.pool.settling.settle()
    plan = box.play(box.plan())
    assert [one.number for one in plan.unresolved] == [intent.number]
    # What was promised is left out; what came since may be paid when the first is closed.
    promised = {item for one in plan.unresolved for item in one.items}
    assert promised == {"due:farmer:1", "due:pool:1"}
    assert {(line.claim, line.farmer, line.amount) for line in plan.lines} >= {
        (Claim.FARMER, 2, SHARE),
        (Claim.POOL, 2, POOLS),
    }


async def nothing() -> list[object]:
    return []


def test_the_store_refuses_to_promise_or_pay_more_than_is_owed(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    earn(box, [farmer])
    box.pool.settling.settle()
    claim = "owed:farmer:1"
    store = box.pool.store
    from kalepool.core.intents import Kind  # noqa: PLC0415

    assert box.pool.journal.plan(Kind.PAY, "pay:a", ["due:a"], [(claim, KALE_NAME, SHARE - 1)])
    with pytest.raises(InternalError, match="promised"):
        box.pool.journal.plan(Kind.PAY, "pay:b", ["due:b"], [(claim, KALE_NAME, 2)])
    assert box.pool.journal.plan(Kind.PAY, "pay:c", ["due:c"], [(claim, KALE_NAME, 1)])
    with pytest.raises(InternalError, match="paid"):
        box.pool.books.post("x", [(claim, KALE_NAME, -SHARE - 1), ("y", KALE_NAME, SHARE + 1)], at=1.0)
    assert store.value("SELECT count(*) FROM entries WHERE key = 'x'") == 0


def test_compensation_is_paid_by_the_operator_once_he_has_it(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    box.lose(farmer, 7, 5 * KALE)
    plan, _ = box.payout()
    assert [held.why for held in plan.held] == ["the operator's account holds no KALE"]
    box.bench.ledger.give_kale(box.stead.operator, 6 * KALE)
    box.payout()
    assert box.kale(farmer.terms.payout) == 5 * KALE
    assert box.kale(box.stead.operator) == KALE
    assert box.owed(Claim.COMPENSATION, farmer) == 0


def test_a_share_without_a_payout_address_stays_in_the_wallet(box: Cashbox) -> None:
    (farmer,) = box.add(1, payout=False)
    earn(box, [farmer])
    plan, _ = box.payout()
    assert plan.held == ()
    assert box.wallet(farmer) == 100 * KALE + SHARE
    assert box.kale(box.stead.operator) == POOLS


def test_an_address_that_was_forged_in_the_store_is_not_paid(box: Cashbox) -> None:
    farmers = box.add(2)
    earn(box, farmers)
    box.pool.settling.settle()
    thief = box.bench.account("thief", kale=0).public_key
    box.pool.store.execute("UPDATE terms SET payout = ? WHERE farmer = 1", (thief,))
    plan, _ = box.payout()
    assert {held.line.farmer for held in plan.held} == {1}
    assert all("seal" in held.why for held in plan.held)
    assert box.kale(thief) == 0
    assert box.kale(farmers[1].terms.payout) == SHARE


def test_new_terms_pay_to_the_new_address_under_their_seal(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    earn(box, [farmer])
    box.pool.settling.settle()
    other = box.bench.account("other", kale=0).public_key
    box.agree(farmer, replace(farmer.terms, payout=other), 8)
    box.payout()
    assert box.kale(other) == SHARE


def test_what_is_at_stake_is_paid_after_its_harvest(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    earn(box, [farmer])
    box.bench.ledger.give_kale(farmer.address, SHARE)  # the rest was planted
    plan, _ = box.payout()
    assert [(held.line.claim, held.why) for held in plan.held] == [
        (Claim.POOL, "his wallet has only 0 KALE free; more comes with the next harvest")
    ]
    assert box.kale(farmer.terms.payout) == SHARE


def test_without_xlm_nothing_is_sent(box: Cashbox) -> None:
    farmers = box.add(1)
    earn(box, farmers)
    operator = box.bench.entry(box.stead.operator)
    assert operator is not None
    from kalepool.xdr.keys import account_key  # noqa: PLC0415

    box.bench.ledger.put_now(account_key(box.stead.operator), replace(operator, balance=10_000_000))
    with pytest.raises(RejectedError, match="lacks"):
        box.payout()
    assert box.pool.journal.open_intents(mine=False) == []


def test_a_restored_backup_pays_nothing_until_a_person_confirms(box: Cashbox) -> None:
    farmers = box.add(1)
    earn(box, farmers)
    box.pool.facts.put(RESTORED, "1")
    with pytest.raises(UnresolvedError, match="backup"):
        box.payout()
    box.play(confirm(box))
    box.payout()
    check_paid(box, farmers)


async def confirm(box: Cashbox) -> None:
    async with box.online():
        await box.pool.restoring.confirm()


def test_an_old_store_brought_back_as_a_file_is_noticed_by_sequence_numbers(box: Cashbox) -> None:
    farmers = box.add(30)
    earn(box, farmers)
    box.pool.settling.settle()
    path = box.stead.folder / "kalepool.db"
    box.crash()
    assert box.pool.store.value("PRAGMA wal_checkpoint(TRUNCATE)") == 0
    box.pool.close()
    old = path.read_bytes()
    box.start()
    box.payout()
    box.pool.close()
    for leftover in box.stead.folder.glob("kalepool.db-*"):
        leftover.unlink()
    path.write_bytes(old)
    box.start()
    with pytest.raises(UnresolvedError, match="channel 0"):
        box.payout()
    for farmer in farmers:
        assert box.kale(farmer.terms.payout) == SHARE
    box.play(confirm(box))
    assert "channel 0" in box.pool.audit.rows()[-1].what
    assert box.play(box.plan()).lines != []


def test_the_paymaster_settles_pays_and_ends_exits_and_tells_of_what_is_held(
    tmp_path: Path,
) -> None:
    box = Cashbox(tmp_path)
    good, dead, leaver = (
        *box.add(1),
        *box.add(1, payout=False, terms=replace(HALF, payout=box.pool.vault.channel(19))),
        *box.add(1, terms=replace(HALF, exit_delay_h=1)),
    )
    earn(box, [good, dead])
    told: list[str] = []

    async def two_hours() -> None:
        async with box.online() as pool:
            pool.exiting.begin(leaver.name)
            paymaster = pool.paymaster(told.append)
            await paymaster.once()
            earn(box, [good], 8)
            box.bench.close_until(box.bench.ledger.latest.close_time + 3_700)
            await paymaster.once()

    box.play(two_hours())
    assert box.kale(good.terms.payout) == 2 * SHARE
    assert box.pool.farmers.get(leaver.name).state is FarmerState.EXITED
    assert f"payout: held for {dead.name}: the payout address does not exist on the network" in told
    assert f"payout: {leaver.name} has left" in told
    box.pool.close()


def test_the_paymaster_goes_on_after_trouble(box: Cashbox) -> None:
    (farmer,) = box.add(1)
    earn(box, [farmer])
    box.pool.facts.put(RESTORED, "1")
    told: list[str] = []

    async def trouble() -> None:
        async with box.online() as pool:
            task = asyncio.create_task(pool.paymaster(told.append).run())
            await asyncio.sleep(30)
            assert not task.done()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    box.play(trouble())
    assert ["this store comes from a backup" in line for line in told] == [True]
