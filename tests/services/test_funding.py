"""Funding creates what is missing, once, whatever interrupts it; and takes accounts into the books."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from kalepool.core.classic import BASE_RESERVE
from kalepool.core.facts import opening
from kalepool.core.farmers import FarmerState
from kalepool.core.intents import Kind, Plan
from kalepool.core.postings import EXTERNAL, KALE, XLM, account
from kalepool.core.roster import Applicant, numbered
from kalepool.errors import LockedError, RejectedError, RetryableError, UsageError
from kalepool.services.funding import Funded, choose
from support.devnet import KALE as ONE_KALE
from support.devnet import XLM as ONE_XLM
from support.devnet import keypair
from support.farmstead import Farmstead
from support.vault import SEED, SEED_ADDRESS, secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.config import Value
    from kalepool.core.chain import AccountState, SendAnswer, Tip
    from kalepool.core.farmers import Farmer
    from kalepool.services.funding import Needs

_T = TypeVar("_T")

CHANNELS: dict[str, Value] = {"harvest.channels": 3}


@pytest.fixture
def farm(tmp_path: Path) -> Farmstead:
    return Farmstead(tmp_path)


@pytest.fixture
def pool(farm: Farmstead) -> Iterator[Pool]:
    with farm.pool("wallet fund", options=CHANNELS) as pool:
        yield pool


def add(pool: Pool, count: int) -> list[Farmer]:
    return pool.onboarding.add([Applicant(name) for name in numbered("f", count)])


def online(farm: Farmstead, task: Callable[[Pool], Awaitable[_T]]) -> _T:
    """Do something as a new process that is connected."""

    async def connected(pool: Pool) -> _T:
        async with pool.online():
            return await task(pool)

    with farm.pool("wallet fund", options=CHANNELS) as pool:
        return farm.play(connected(pool))


def survey(farm: Farmstead, *names: str) -> Needs:
    return online(farm, lambda pool: pool.funding.survey(choose(pool.farmers, names)))


def fund(farm: Farmstead, *names: str) -> Funded:
    async def both(pool: Pool) -> Funded:
        return await pool.funding.fund(await pool.funding.survey(choose(pool.farmers, names)))

    return online(farm, both)


def accounts(farm: Farmstead, addresses: Sequence[str]) -> dict[str, AccountState]:
    return online(farm, lambda pool: pool.chain.accounts(addresses))


def test_farmers_get_accounts_and_trustlines_without_xlm_and_are_active(farm: Farmstead, pool: Pool) -> None:
    farmers = add(pool, 25)
    done = fund(farm)
    assert sorted(done.farmers) == sorted(farmer.name for farmer in farmers)
    states = accounts(farm, [farmer.address for farmer in farmers])
    assert len(states) == 25
    for state in states.values():
        assert (state.xlm, state.kale, state.sponsor) == (0, 0, farm.operator)
    assert {farmer.state for farmer in pool.farmers.all()} == {FarmerState.ACTIVE}
    assert [move.became for move in pool.farmers.moves(farmers[0].number)] == ["created", "funded", "active"]


def test_channels_get_accounts_without_a_trustline_and_become_known(farm: Farmstead, pool: Pool) -> None:
    fund(farm)
    assert pool.channels.known() == [(number, pool.vault.channel(number)) for number in range(3)]
    states = accounts(farm, [address for _, address in pool.channels.known()])
    assert [state.kale for state in states.values()] == [None, None, None]


def test_the_cost_is_told_before_and_is_what_it_costs(farm: Farmstead, pool: Pool) -> None:
    add(pool, 25)
    before = accounts(farm, [farm.operator])[farm.operator]
    needs = survey(farm)
    assert needs.locked == BASE_RESERVE * (3 * 25 + 2 * 3)
    done = fund(farm)
    after = accounts(farm, [farm.operator])[farm.operator]
    assert before.spendable - after.spendable == needs.locked + done.fees
    assert before.xlm - after.xlm == done.fees <= needs.fees


def test_a_second_run_does_nothing(farm: Farmstead, pool: Pool) -> None:
    add(pool, 2)
    fund(farm)
    landed = len(farm.bench.ledger.by_hash)
    needs = survey(farm)
    assert (needs.farmers, needs.newcomers, needs.locked, needs.fees) == ((), (), 0, 0)
    assert fund(farm) == Funded((), 0, 0)
    assert len(farm.bench.ledger.by_hash) == landed


def test_only_those_named_are_funded(farm: Farmstead, pool: Pool) -> None:
    add(pool, 3)
    assert fund(farm, "f-2").farmers == ("f-2",)
    assert [farmer.state for farmer in pool.farmers.all()] == ["created", "active", "created"]


def test_an_account_that_somebody_made_is_only_trusted(farm: Farmstead, pool: Pool) -> None:
    first, second = add(pool, 2)
    farm.bench.ledger.create_account(first.address, 5 * ONE_XLM)
    farm.bench.ledger.create_account(second.address, 5 * ONE_XLM)
    farm.bench.ledger.give_kale(second.address, 3 * ONE_KALE)
    needs = survey(farm)
    wanted = {one.address: (one.creates, one.trusts) for one in needs.newcomers}
    assert wanted[first.address] == (False, True)
    assert second.address not in wanted
    assert sorted(fund(farm).farmers) == ["f-1", "f-2"]
    states = accounts(farm, [first.address, second.address])
    assert (states[first.address].kale, states[second.address].kale) == (0, 3 * ONE_KALE)


def test_what_was_there_before_is_booked_once_with_its_ledger(farm: Farmstead, pool: Pool) -> None:
    farm.bench.ledger.create_account(SEED_ADDRESS, 5 * ONE_XLM)
    farm.bench.ledger.give_kale(SEED_ADDRESS, 7 * ONE_KALE)
    pool.onboarding.add_seed(Applicant("old"), secret(SEED))
    add(pool, 1)
    for _ in range(2):
        fund(farm)
    state = accounts(farm, [farm.operator])[farm.operator]
    assert pool.books.balance(account(SEED_ADDRESS), KALE) == 7 * ONE_KALE
    assert pool.books.balance(account(SEED_ADDRESS), XLM) == 0
    assert pool.books.balance(EXTERNAL, KALE) == -7 * ONE_KALE
    assert pool.books.balance(account(farm.operator), XLM) == state.xlm
    assert pool.books.total() == 0
    for address in (SEED_ADDRESS, farm.operator, *(farmer.address for farmer in pool.farmers.all())):
        ledger = int(pool.facts.get(opening(address)) or 0)
        assert 0 < ledger <= farm.bench.ledger.latest.sequence


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("sends", [False, True])
def test_a_run_that_died_around_the_sending_is_finished_and_pays_once(farm: Farmstead, sends: bool) -> None:
    async def dying(pool: Pool) -> None:
        real = pool.broadcaster.send

        async def send(envelopes: Sequence[bytes]) -> list[SendAnswer]:
            if sends:
                await real(envelopes)
            raise Crash

        pool.broadcaster.send = send  # type: ignore[method-assign]
        await pool.funding.fund(await pool.funding.survey(choose(pool.farmers, [])))

    with farm.pool() as pool:
        add(pool, 5)
        with pytest.raises(Crash):
            online(farm, dying)
        assert len(pool.journal.open_intents(mine=False)) == 1
        assert len(fund(farm).farmers) == 5
        assert pool.journal.open_intents(mine=False) == []
        states = accounts(farm, [farm.operator, *(farmer.address for farmer in pool.farmers.all())])
    assert len(states) == 6
    assert len(farm.bench.ledger.by_hash) == 1


def test_who_is_being_funded_by_another_process_is_left_to_it(farm: Farmstead, pool: Pool) -> None:
    (farmer,) = add(pool, 1)
    with farm.pool("other") as other:
        other.journal.plan_all([Plan(Kind.FUND, "fund:other", (f"fund:{farmer.address}",))])
        with pytest.raises(LockedError, match="another kalepool is funding"):
            fund(farm)
    assert pool.farmers.get("f-1").state is FarmerState.CREATED


def test_an_operator_without_enough_is_told_how_much_is_missing_and_where_to_send_it(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path, operator_xlm=10)
    with farm.pool("wallet fund", options=CHANNELS) as pool:
        add(pool, 10)
        needs = survey(farm)
        assert needs.missing == needs.locked + needs.fees - 9 * ONE_XLM
        with pytest.raises(RejectedError, match=r"lacks 9\.\d+ XLM") as caught:
            fund(farm)
        assert farm.operator in caught.value.hint
        assert farm.bench.ledger.by_hash == {}
        assert {farmer.state for farmer in pool.farmers.all()} == {FarmerState.CREATED}


def test_an_operator_without_an_account_is_told_so(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path, operator_xlm=None)
    with pytest.raises(RejectedError, match="does not exist") as caught:
        survey(farm)
    assert farm.operator in caught.value.hint


def test_who_keeps_his_own_account_is_not_funded(farm: Farmstead, pool: Pool) -> None:
    pool.onboarding.watch(Applicant("self"), keypair("self").public_key)
    assert survey(farm).farmers == ()
    with pytest.raises(UsageError, match="keeps his own account"):
        fund(farm, "self")


def test_a_network_that_goes_away_leaves_the_rest_to_the_next_run(farm: Farmstead, pool: Pool) -> None:
    async def losing(pool: Pool) -> None:
        needs = await pool.funding.survey(choose(pool.farmers, []))
        real = pool.broadcaster.send

        async def gone() -> Tip:
            raise RetryableError("no node answers")

        async def send(envelopes: Sequence[bytes]) -> list[SendAnswer]:
            pool.chain.tip = gone  # type: ignore[method-assign]
            return await real(envelopes)

        pool.broadcaster.send = send  # type: ignore[method-assign]
        await pool.funding.fund(needs)

    add(pool, 1)
    with pytest.raises(RetryableError, match="no node answers"):
        online(farm, losing)
    assert pool.farmers.get("f-1").state is FarmerState.CREATED
    assert fund(farm).farmers == ("f-1",)


def test_channels_carry_transactions_too_so_that_many_farmers_take_few_ledgers(
    farm: Farmstead, pool: Pool
) -> None:
    add(pool, 200)
    began = farm.bench.ledger.latest.sequence
    assert len(fund(farm).farmers) == 200
    # 19 by the operator; then 19 beside 18 from each of three channels a ledger.
    assert farm.bench.ledger.latest.sequence - began <= 8
