"""The round loop when things go wrong: crashes, faults of nodes, a network that stands still."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import Asset, Keypair, scval

from kalepool.core.chain import Found, SendAnswer, Sent, Status
from kalepool.core.intents import Attempt, Kind, Plan
from kalepool.core.records import PailState
from kalepool.devnet.entries import Trustline
from kalepool.devnet.faults import Event as Fault
from kalepool.devnet.faults import FaultPlan, NodeFaults
from kalepool.devnet.ledger import LedgerSettings
from kalepool.errors import RetryableError
from kalepool.services import reconcile
from kalepool.services.events import Name
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal
from kalepool.xdr.keys import trustline_key
from support.devnet import work_arguments
from support.mining import Shift

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kalepool.core.chain import AccountState, Happenings, Snapshot
    from kalepool.core.farmers import Farmer


@pytest.mark.parametrize("ledger", [3, 20, 50, 57, 62])
def test_a_killed_process_is_followed_by_one_that_finishes_the_block(tmp_path: Path, ledger: int) -> None:
    shift = Shift(tmp_path, farmers=4, neighbours=12)
    shift.at[ledger] = shift.kill
    with pytest.raises(asyncio.CancelledError):
        shift.mine()
    block = shift.ledger.farm.index
    shift.crash()
    outcome = shift.mine(2)
    records = shift.pool.pails.in_blocks(block, block)
    assert {record.state for record in records} == {PailState.HARVESTED}
    assert len(records) == 4
    assert outcome.expired == 0
    shift.check_books()
    shift.pool.close()


def test_grinding_goes_on_where_it_stood(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)
    shift.at[25] = shift.kill
    with pytest.raises(asyncio.CancelledError):
        shift.mine()
    shift.crash()
    block = shift.ledger.farm.index
    current = shift.ledger.block(block)
    assert current is not None
    before = {one.farmer: one for one in shift.pool.grinds.load(block, current.entropy)}
    assert len(before) == 2
    shift.mine(1)
    for record in shift.pool.pails.in_blocks(block, block):
        best = before[record.farmer].best
        assert best is not None
        assert record.zeros is not None
        assert record.zeros >= min(best.zeros, 1)
    shift.pool.close()


def test_pails_that_the_store_does_not_know_are_found_on_the_chain(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    shift.remember_crash()
    with pytest.raises(TimeoutError):
        shift.mine(seconds=100)
    block = shift.ledger.farm.index
    shift.crash()
    assert shift.pool.pails.counts()[PailState.PLANTED] == 0
    shift.mine(2)
    records = shift.pool.pails.in_blocks(block, block)
    assert [record.state for record in records] == [PailState.HARVESTED] * 3
    shift.pool.close()


@pytest.mark.parametrize(
    "faults",
    [
        NodeFaults(server_error=0.15),
        NodeFaults(too_many_requests=0.15, retry_after_s=2),
        NodeFaults(reset_before=0.1, reset_after=0.1),
        NodeFaults(try_again_later=0.3),
        NodeFaults(lag_ledgers=1),
        NodeFaults(no_answer=0.03, latency_ms=200, jitter_ms=500),
    ],
    ids=["errors", "429", "resets", "put-off", "lag", "silence"],
)
def test_no_block_is_missed_whatever_a_node_does(tmp_path: Path, faults: NodeFaults) -> None:
    shift = Shift(tmp_path, farmers=4, neighbours=12, plan=FaultPlan(seed=3, nodes={"main": faults}))
    outcome = shift.mine(3)
    for block in outcome.blocks:
        assert len(shift.names(Name.PLANTED, block)) == 4
        assert len(set(shift.names(Name.WORKED, block))) == 4
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 12
    shift.check_books()
    shift.pool.close()


@pytest.mark.parametrize("ledger", [3, 75, 105], ids=["first-block", "just-planted", "before-the-works"])
def test_who_sends_for_himself_is_worked_in_the_same_block_and_planted_in_the_next(
    tmp_path: Path, ledger: int
) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    # A payment of XLM that somebody else pays for: nothing of it is in any events of KALE, or of ours.
    shift.at[ledger] = lambda: shift.pay_himself(1, Asset.native())
    outcome = shift.mine(2)
    for block in outcome.blocks:
        assert len(shift.names(Name.PLANTED, block)) == 3
        assert len(set(shift.names(Name.WORKED, block))) == 3
        works = [event.ledger or 0 for event in shift.told(Name.WORKED, block) if not event.reason]
        assert max(works) - min(works) <= 2  # there is no waiting until what is dead is too old as well
    shift.check_books()
    shift.pool.close()


@pytest.mark.parametrize("ledger", [2, 3, 105])
def test_a_number_that_its_owner_has_used_is_not_taken_again_though_a_node_lags(
    tmp_path: Path, ledger: int
) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    shift.at[ledger] = lambda: shift.pay_himself(1, Asset.native())
    accounts, old = shift.pool.chain.accounts, [{}, {}, {}]  # type: ignore[var-annotated]

    async def lag(addresses: Sequence[str]) -> dict[str, AccountState]:
        found = await accounts(addresses)
        if shift.stead.operator not in addresses:
            return found  # about what was refused
        if shift.ledger.latest.sequence < ledger:
            old[:] = [found] * 3
        return {**found, **old.pop()} if old else found

    shift.pool.chain.accounts = lag  # type: ignore[method-assign]
    outcome = shift.mine(2)
    for block in outcome.blocks:
        assert len(set(shift.names(Name.WORKED, block))) == 3
    shift.check_books()
    shift.pool.close()


def test_who_sends_for_himself_again_and_again_is_worked_once_he_stops(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    for ledger in range(3, 20):
        shift.at[ledger] = lambda: shift.pay_himself(1, Asset.native())
    shift.mine(1)
    assert len(shift.told(Name.RETRY, 0)) > 4
    assert set(shift.names(Name.WORKED, 0)) == {"farmer-1", "farmer-2", "farmer-3"}
    shift.check_books()
    shift.pool.close()


def test_what_another_process_has_read_of_a_payment_is_noticed_before_the_next_plants(tmp_path: Path) -> None:
    plan = FaultPlan(events=(Fault(70, "pause"), Fault(130, "unpause")))
    shift = Shift(tmp_path, farmers=3, neighbours=12, plan=plan)
    tasks = []

    async def read() -> None:
        other = shift.stead.pool("harvest", options=shift.options)
        async with other.online():
            await other.reconciler.reconcile()
        other.close()

    shift.at[80] = lambda: shift.pay_himself(1, Asset(*shift.stead.bench.identity.kale))
    shift.at[82] = lambda: tasks.append(asyncio.create_task(read()))
    shift.mine(3)
    assert tasks[0].done()
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 9
    assert not [event.reason for event in shift.told(Name.RETRY) if event.farmer]
    shift.check_books()
    shift.pool.close()


def test_plants_for_the_next_block_wait_for_a_work_that_is_late(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=6, neighbours=0)
    late: list[bytes] = []

    async def go() -> None:
        async with shift.pool.online():
            send = shift.pool.broadcaster.send

            async def put_off(envelopes: Sequence[bytes]) -> list[SendAnswer]:
                # One work lands only in the ledger in which the plants of all others would open the next block.
                ledger = shift.ledger.latest.sequence
                if ledger == 62 and not late:
                    late.append(envelopes[0])
                kept = [one for one in envelopes if one not in late or ledger >= 120]
                answers = iter(await send(kept) if kept else [])
                return [
                    next(answers) if one in kept else SendAnswer(Sent.TRY_AGAIN_LATER) for one in envelopes
                ]

            shift.pool.broadcaster.send = put_off  # type: ignore[method-assign]
            await Mining(shift.pool.means, Goal(3), [shift.events.extend]).run()

    shift.play(go())
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 18
    last = max(event.ledger or 0 for event in shift.told(Name.WORKED, 1))
    (opened,) = shift.told(Name.BLOCK_OPENED, 2)
    assert opened.ledger == last + 1
    shift.pool.close()


def test_plants_that_nodes_kept_waiting_are_signed_with_all_their_time(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12)
    slow = [33.0, 0.0]  # the first call of a block only learns

    async def go() -> None:
        async with shift.pool.online():
            plant = shift.pool.composer.plant

            async def wait_and_plant(*given: Any, **named: Any) -> Any:
                if named["block"] == 1 and slow:
                    await asyncio.sleep(slow.pop())
                return await plant(*given, **named)

            shift.pool.composer.plant = wait_and_plant  # type: ignore[method-assign]
            await Mining(shift.pool.means, Goal(2), [shift.events.extend]).run()

    shift.play(go())
    assert not slow
    assert shift.names(Name.PLANTED, 1) == ["farmer-1", "farmer-2", "farmer-3"]
    assert not [event.reason for event in shift.told(Name.RETRY) if event.block == 1]
    shift.pool.close()


def test_what_a_command_leaves_that_dies_in_the_middle_of_a_block_is_sent_within_two_ledgers(
    tmp_path: Path,
) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)
    cold = shift.stead.bench.account("cold", kale=0).public_key
    tasks: list[asyncio.Task[None]] = []

    class Dead(BaseException):
        pass

    async def sweep_and_die() -> None:
        other = shift.stead.pool("wallet", options=shift.options)

        async def die(_: Sequence[bytes]) -> None:
            raise Dead

        other.broadcaster.send = die  # type: ignore[method-assign, assignment]
        async with other.online():
            with pytest.raises(Dead):
                await other.gathering.sweep(await other.gathering.quote(5_000, cold))
            shift.pool.store.execute("UPDATE owners SET gone = 1 WHERE role = 'wallet'")
        other.close()

    shift.at[80] = lambda: tasks.append(asyncio.ensure_future(sweep_and_die()))
    shift.mine(2)
    tasks[0].result()
    landed = [
        closed.sequence
        for closed in shift.ledger.history
        for told in closed.transactions
        if told.transaction.source == shift.farmers[0].address and 80 <= closed.sequence < 100
    ]
    assert len(landed) == 1
    assert landed[0] <= 83
    shift.check_books()
    shift.pool.close()


@pytest.mark.parametrize(
    ("ledger", "blocks"),
    [(20, [0]), (3, [0]), (20, [0, 1]), (3, [7, 0])],
    ids=["worked-by-us", "planted-by-us", "beside-one-that-fails", "after-one-that-fails"],
)
def test_a_pail_that_a_stranger_harvested_while_nobody_looked_is_no_lost_one_though_its_life_is_over(
    tmp_path: Path, ledger: int, blocks: list[int]
) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12, settings=LedgerSettings(temporary_ttl=200))
    bench, (lucky, other) = shift.stead.bench, shift.farmers
    shift.at[ledger] = shift.kill
    with pytest.raises(asyncio.CancelledError):
        shift.mine()
    stranger, named = bench.account("stranger"), Keypair.from_public_key(lucky.address)
    bench.close(3)
    pail = bench.pail(lucky.address, 0)
    assert pail is not None
    if pail.zeros is None:
        bench.land(bench.call(stranger, bench.kale, "work", work_arguments(named, bench.proof(named))))
    before = bench.kale_of(lucky.address)
    bench.close(70)
    calls = [scval.to_address(lucky.address), scval.to_vec([scval.to_uint32(block) for block in blocks])]
    harvest = (
        bench.harvest(named, 0, stranger)
        if len(blocks) == 1
        else bench.call(stranger, bench.tractor, "harvest", calls)
    )
    assert bench.land(harvest).result.is_success
    bench.close(200)
    shift.crash()
    shift.mine(1)
    first, second = shift.pool.pails.in_blocks(0, 0)
    assert (first.farmer, first.state) == (lucky.number, PailState.HARVESTED)
    assert (first.reward or 0) + first.stake == bench.kale_of(lucky.address) - before - _mined(shift, lucky)
    assert (second.farmer, second.state) == (other.number, PailState.EXPIRED)
    shift.check_books()
    shift.pool.close()


def test_what_is_gone_is_not_taken_for_dead_while_nobody_tells_what_others_did(tmp_path: Path) -> None:
    shift = _harvested_unseen(tmp_path)
    happenings, silent = shift.pool.chain.happenings, [True] * 3

    async def tell_later(*question: Any) -> Happenings:
        if silent:
            silent.pop()
            raise RetryableError("events: busy")
        return await happenings(*question)

    shift.pool.chain.happenings = tell_later  # type: ignore[method-assign, assignment]
    _check_seen_at_last(shift)


def test_what_others_harvested_is_asked_again_of_who_does_not_find_it(tmp_path: Path) -> None:
    shift = _harvested_unseen(tmp_path)
    find_all, lags = shift.pool.chain.find_all, [True] * 3

    async def find_later(hashes: Sequence[str]) -> list[Found]:
        found = await find_all(hashes)
        if not any(one.harvests for one in found) or not lags:
            return found
        lags.pop()
        return [Found(Status.NOT_FOUND, one.tip) for one in found]

    shift.pool.chain.find_all = find_later  # type: ignore[method-assign, assignment]
    _check_seen_at_last(shift)
    assert not lags


def test_a_thousand_harvests_of_others_are_asked_about_a_few_in_each_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "_ASKED_AT_ONCE", 2)
    shift = Shift(tmp_path, farmers=6, neighbours=12, settings=LedgerSettings(temporary_ttl=200))
    bench = shift.stead.bench
    shift.at[58] = shift.kill
    with pytest.raises(asyncio.CancelledError):
        shift.mine()
    bench.close(20)
    stranger = bench.account("stranger")
    for farmer in shift.farmers[:5]:
        bench.land(bench.harvest(Keypair.from_public_key(farmer.address), 0, stranger))
    bench.close(250)
    shift.crash()
    find_all, asked = shift.pool.chain.find_all, []

    async def count(hashes: Sequence[str]) -> list[Found]:
        found = await find_all(hashes)
        asked.append(sum(bool(one.harvests) for one in found))
        return found

    shift.pool.chain.find_all = count  # type: ignore[method-assign, assignment]
    shift.mine(1)
    assert [number for number in asked if number] == [2, 2, 1]
    states = [record.state for record in shift.pool.pails.in_blocks(0, 0)]
    assert states == [PailState.HARVESTED] * 5 + [PailState.EXPIRED]
    shift.check_books()
    shift.pool.close()


def _harvested_unseen(folder: Path) -> Shift:
    """Let a stranger harvest the first farmer's pail while nobody looks, until it and the second one's would have died.

    What died with ``mine`` has an intent under way whose outcome is asked for.
    """
    shift = Shift(folder, farmers=2, neighbours=12, settings=LedgerSettings(temporary_ttl=200))
    bench, lucky = shift.stead.bench, shift.farmers[0]

    def die_with_a_sweep_signed() -> None:
        (sweep,) = shift.pool.journal.plan_all([Plan(Kind.SWEEP, "sweep:1:cold")])
        assert sweep is not None
        attempt = Attempt(1, "ab" * 32, ("cd" * 32,), lucky.address, 2**60, b"", 1, 57)
        shift.pool.journal.sign_all([(sweep.number, attempt)])
        shift.kill()

    shift.at[58] = die_with_a_sweep_signed
    with pytest.raises(asyncio.CancelledError):
        shift.mine()
    bench.close(20)
    bench.land(bench.harvest(Keypair.from_public_key(lucky.address), 0, bench.account("stranger")))
    bench.close(250)
    shift.crash()
    return shift


def _check_seen_at_last(shift: Shift) -> None:
    """Mine on, and insist that the pail a stranger harvested is known as harvested, and the other one as lost."""
    lucky, other = shift.farmers
    shift.mine(1)
    first, second = shift.pool.pails.in_blocks(0, 0)
    assert (first.farmer, first.state) == (lucky.number, PailState.HARVESTED)
    assert (second.farmer, second.state) == (other.number, PailState.EXPIRED)
    shift.pool.close()


def _mined(shift: Shift, farmer: Farmer) -> int:
    """Give what a farmer's later pails brought."""
    later = shift.pool.pails.of_farmer(farmer.number, 1, 2**31)
    return sum(record.reward or 0 for record in later if record.state is PailState.HARVESTED)


def test_a_network_that_stands_still_is_waited_for(tmp_path: Path) -> None:
    plan = FaultPlan(
        events=(
            Fault(20, "node", faults=(("stalled", True),)),
            Fault(40, "node", faults=(("stalled", False),)),
        )
    )
    shift = Shift(tmp_path, farmers=2, neighbours=12, plan=plan)
    outcome = shift.mine(2)
    assert len(outcome.blocks) == 2
    (lost,) = shift.told(Name.NETWORK_LOST)
    (back,) = shift.told(Name.NETWORK_BACK)
    assert lost.at < back.at
    shift.pool.close()


def test_a_node_that_fell_back_is_told_once_as_a_lost_network(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)
    chain = shift.pool.chain
    seen: list[Snapshot] = []
    read = chain.snapshot

    async def fall_back(
        pails: Sequence[tuple[str, int]], blocks: Sequence[int] = (), *, current: bool = True
    ) -> Snapshot:
        snapshot = await read(pails, blocks, current=current)
        if snapshot.ledger <= 10:
            seen.append(snapshot)
        return seen[-1] if 20 <= snapshot.ledger < 40 else snapshot

    chain.snapshot = fall_back  # type: ignore[method-assign]
    shift.mine(2)
    (lost,) = shift.told(Name.NETWORK_LOST)
    (back,) = shift.told(Name.NETWORK_BACK)
    assert lost.at < back.at
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 4
    shift.pool.close()


def test_an_outage_is_told_once_and_survived(tmp_path: Path) -> None:
    plan = FaultPlan(
        events=(
            Fault(15, "node", faults=(("server_error", 1.0),)),
            Fault(45, "node", faults=(("server_error", 0.0),)),
        )
    )
    shift = Shift(tmp_path, farmers=2, neighbours=12, plan=plan)
    outcome = shift.mine(2)
    assert len(shift.told(Name.NETWORK_LOST)) == 1
    assert len(shift.told(Name.NETWORK_BACK)) == 1
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 4
    assert len(outcome.blocks) == 2
    shift.pool.close()


def test_a_machine_that_slept_looks_before_it_acts(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)
    shift.at[20] = lambda: shift.sleep(200)
    outcome = shift.mine(2)
    assert len(outcome.blocks) == 2
    failed = [event for event in shift.told(Name.RETRY) if "txFAILED" in event.reason]
    assert failed == []
    shift.check_books()
    shift.pool.close()


def test_plants_that_a_late_ledger_let_die_are_begun_anew(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=0)

    def drop() -> None:
        # Sent and taken, and then the network loses them, and takes nothing more until they are dead.
        shift.ledger.queue = type(shift.ledger.queue)(shift.ledger.settings.limits)
        shift.stead.bench.devnet.change_node("main", {"try_again_later": 1.0})

    def recover() -> None:
        shift.stead.bench.devnet.change_node("main", {"try_again_later": 0.0})

    shift.at[60], shift.at[69] = drop, recover
    outcome = shift.mine(2)
    assert any("plant" in event.reason for event in shift.told(Name.RETRY))
    assert len(outcome.blocks) == 2
    assert shift.pool.pails.counts()[PailState.HARVESTED] == 4
    shift.check_books()
    shift.pool.close()


def test_an_improved_proof_takes_the_place_of_the_first(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=3, neighbours=12, options={"mining.improve_from_kale": "0"})
    shift.mine(3)
    improved = [event for event in shift.told(Name.WORKED) if event.reason.startswith("improved from")]
    assert improved, "no proof was improved in three blocks"
    shift.check_books()
    shift.pool.close()


def test_a_farmer_who_cannot_be_paid_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    shift = Shift(tmp_path, farmers=2, neighbours=12)
    poor = shift.farmers[0].address
    key = trustline_key(poor, shift.stead.bench.identity.kale)
    entry = shift.ledger.state.get(key)
    assert entry is not None
    assert isinstance(entry.value, Trustline)
    shift.ledger.put_now(key, replace(entry.value, limit=entry.value.balance))
    outcome = shift.mine(1)
    assert outcome.pending == 1
    assert shift.names(Name.HARVESTED) == ["farmer-2"]
    assert any("no room" in event.reason for event in shift.told(Name.RETRY))
    shift.pool.close()


def test_an_account_never_has_two_transactions_under_way(tmp_path: Path) -> None:
    # Found by seed 30 of the simulation: of two, the first dies, and the other is one number ahead for ever.
    shift = Shift(tmp_path, farmers=2)
    most: list[int] = []

    def put_off(probability: float) -> None:
        shift.stead.bench.devnet.change_node("main", {"try_again_later": probability})

    def count() -> None:
        sources = Counter(
            attempt.source
            for intent in shift.pool.journal.open_intents(mine=False)
            for attempt in intent.attempts[-1:]
        )
        most.append(max(sources.values(), default=0))

    shift.at |= dict.fromkeys(range(62, 150), count)
    # Works are put off from the opening of a block to the opening of the next, when plants are wanted too.
    shift.at[61] = lambda: put_off(1.0)
    shift.at[128] = lambda: put_off(0.0)
    outcome = shift.mine(3)
    assert len(outcome.blocks) == 3
    assert max(most) == 1
    shift.check_books()
    shift.pool.close()
