"""A sweep pays each farmer's part exactly once, whatever interrupts it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest

from kalepool.adapters.store.facts import StoreFacts
from kalepool.core.facts import RESTORED
from kalepool.core.farmers import FarmerState
from kalepool.core.intents import Kind, Plan, State
from kalepool.core.postings import KALE, account
from kalepool.core.roster import Applicant
from kalepool.errors import KalepoolError, RejectedError, UnresolvedError, UsageError
from kalepool.services.gathering import SWEEP_FACT
from support.devnet import KALE as ONE_KALE
from support.devnet import keypair
from support.farmstead import Farmstead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from stellar_sdk import Keypair

    from kalepool.bootstrap import Pool
    from kalepool.core.chain import SendAnswer
    from kalepool.services.gathering import Swept

_T = TypeVar("_T")


class Crash(BaseException):
    """The process dies here."""


class Farm(Farmstead):
    """Three farmers with 100 KALE each, and somebody who gathers."""

    def __init__(self, folder: Path, *, operator_xlm: int = 100) -> None:
        super().__init__(folder, operator_xlm=operator_xlm)
        self.gatherer: Keypair = self.bench.account("gatherer", kale=0)
        with self.pool() as pool:
            self.farmers = self.add_farmers(pool, 3)

    def online(self, task: Callable[[Pool], Awaitable[_T]]) -> _T:
        async def connected(pool: Pool) -> _T:
            async with pool.online():
                return await task(pool)

        with self.pool("wallet sweep") as pool:
            return self.play(connected(pool))

    def sweep(self, bps: int = 5_000, to: str = "", memo: str = "") -> list[Swept]:
        async def both(pool: Pool) -> list[Swept]:
            return await pool.gathering.sweep(
                await pool.gathering.quote(bps, to or self.gatherer.public_key, memo)
            )

        return self.online(both)

    def fact(self) -> str | None:
        with self.pool() as pool:
            return pool.facts.get(SWEEP_FACT)

    @property
    def gathered(self) -> int:
        return self.bench.kale_of(self.gatherer)


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    return Farm(tmp_path)


def test_each_farmer_pays_his_part_once_and_the_books_know(farm: Farm) -> None:
    swept = farm.sweep(2_500, memo="for the barn")
    assert [(one.farmer, one.amount, one.state) for one in swept] == [
        (farmer.name, 25 * ONE_KALE, State.SETTLED) for farmer in farm.farmers
    ]
    assert farm.gathered == 75 * ONE_KALE
    for one in swept:
        applied = farm.bench.ledger.by_hash[bytes.fromhex(one.transaction)]
        assert applied.result.is_success
    with farm.pool() as pool:
        assert pool.books.balance(account(farm.gatherer.public_key), KALE) == 75 * ONE_KALE
        assert pool.books.total() == 0
    assert farm.fact() is None


def test_what_open_intents_reserve_is_not_swept(farm: Farm) -> None:
    with farm.pool("mine") as mining:
        reserves = ((account(farm.farmers[0].address), KALE, 40 * ONE_KALE),)
        mining.journal.plan_all([Plan(Kind.PLANT, "plant:1:1", ("pail:1:1",), reserves)])
        assert farm.sweep(10_000)[0].amount == 60 * ONE_KALE


def test_who_keeps_his_account_leaves_or_gathers_himself_is_not_swept(farm: Farm) -> None:
    with farm.pool() as pool:
        pool.onboarding.watch(Applicant("self"), farm.bench.account("self", kale=9).public_key)
        pool.farmers.move(farm.farmers[1].number, FarmerState.EXITING, who="test")
    swept = farm.sweep(to=farm.farmers[0].address)
    assert [one.farmer for one in swept] == [farm.farmers[2].name]


@pytest.mark.parametrize("sends", [False, True])
@pytest.mark.parametrize("percent", [5_000, 10_000])
def test_a_sweep_that_died_around_the_sending_is_finished_and_nobody_pays_twice(
    farm: Farm, sends: bool, percent: int
) -> None:
    async def dying(pool: Pool) -> None:
        real = pool.broadcaster.send

        async def send(envelopes: Sequence[bytes]) -> list[SendAnswer]:
            if sends:
                await real(envelopes[:2])
            raise Crash

        pool.broadcaster.send = send  # type: ignore[method-assign]
        await pool.gathering.sweep(await pool.gathering.quote(percent, farm.gatherer.public_key))

    with pytest.raises(Crash):
        farm.online(dying)
    assert farm.fact() is not None
    assert {one.state for one in farm.sweep(percent)} == {State.SETTLED}
    assert farm.gathered == 3 * 100 * ONE_KALE * percent // 10_000
    assert farm.fact() is None


def test_a_sweep_that_died_before_it_was_told_that_it_had_landed_is_not_paid_again(farm: Farm) -> None:
    async def dying(pool: Pool) -> None:
        def crash(name: str) -> None:
            raise Crash

        pool.facts.drop = crash  # type: ignore[method-assign]
        await pool.gathering.sweep(await pool.gathering.quote(5_000, farm.gatherer.public_key))

    with pytest.raises(Crash):
        farm.online(dying)
    assert farm.gathered == 150 * ONE_KALE
    assert {one.state for one in farm.sweep(5_000)} == {State.SETTLED}
    assert farm.gathered == 150 * ONE_KALE


def test_another_sweep_waits_until_the_one_under_way_is_finished(farm: Farm) -> None:
    async def begin(pool: Pool) -> None:
        async def send(envelopes: Sequence[bytes]) -> list[SendAnswer]:
            raise Crash

        pool.broadcaster.send = send  # type: ignore[method-assign]
        await pool.gathering.sweep(await pool.gathering.quote(5_000, farm.gatherer.public_key))

    with pytest.raises(Crash):
        farm.online(begin)
    with pytest.raises(UsageError, match="not finished yet") as caught:
        farm.sweep(2_500)
    assert f"kalepool wallet sweep 50% --to {farm.gatherer.public_key}" in caught.value.hint
    farm.sweep(5_000)
    assert farm.gathered == 150 * ONE_KALE
    farm.sweep(10_000)
    assert farm.gathered == 300 * ONE_KALE


def test_a_payment_that_the_chain_refuses_is_told_and_does_not_hold_up_the_rest(farm: Farm) -> None:
    async def spent(pool: Pool) -> list[Swept]:
        quote = await pool.gathering.quote(10_000, farm.gatherer.public_key)
        first = farm.farmers[0].number
        # As if he had spent something since it was quoted.
        amounts = {**quote.sweep.amounts, first: quote.sweep.amounts[first] + 1}
        return await pool.gathering.sweep(replace(quote, sweep=replace(quote.sweep, amounts=amounts)))

    swept = farm.online(spent)
    assert [one.state for one in swept] == [State.FAILED, State.SETTLED, State.SETTLED]
    assert "UNDERFUNDED" in swept[0].why.upper()
    assert farm.fact() is None


@pytest.mark.parametrize(
    ("bps", "to", "memo", "error", "message"),
    [
        (0, "gatherer", "", UsageError, "nothing"),
        (10_001, "gatherer", "", UsageError, "nothing"),
        (5_000, "GABC", "", UsageError, "not an address"),
        (5_000, "contract", "", UsageError, "contract"),
        (5_000, "gatherer", "x" * 29, UsageError, "28 bytes"),
        (5_000, "gatherer", "ü" * 15, UsageError, "28 bytes"),
        (5_000, "gatherer", "\udcff", UsageError, "28 bytes"),
        (5_000, "stranger", "", RejectedError, "no account"),
        (5_000, "plain", "", RejectedError, "no KALE trustline"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_begun(
    farm: Farm, bps: int, to: str, memo: str, error: type[KalepoolError], message: str
) -> None:
    addresses = {
        "gatherer": farm.gatherer.public_key,
        "contract": farm.bench.kale,
        "stranger": keypair("stranger").public_key,
        "plain": farm.bench.account("plain").public_key,
    }
    with pytest.raises(error, match=message):
        farm.sweep(bps, addresses.get(to, to), memo)
    assert farm.fact() is None
    assert farm.gathered == 0


def test_an_operator_without_xlm_for_the_fees_is_told_how_much_is_missing(tmp_path: Path) -> None:
    farm = Farm(tmp_path, operator_xlm=1)
    with pytest.raises(RejectedError, match=r"lacks 0\.00006 XLM"):
        farm.sweep()
    assert farm.fact() is None


def test_a_store_from_a_backup_sweeps_nothing(farm: Farm) -> None:
    with farm.pool() as pool:
        StoreFacts(pool.store, lambda: 1.0).put(RESTORED, "1")
    with pytest.raises(UnresolvedError, match="backup"):
        farm.sweep()
