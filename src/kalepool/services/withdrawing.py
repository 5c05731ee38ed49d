"""Taking out what is the operator's: his KALE and XLM, never what he owes or what is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.classic import Payment
from kalepool.core.intents import Kind, Plan, State
from kalepool.core.postings import KALE, XLM, account
from kalepool.core.shares import Claim, owed, sent
from kalepool.errors import RejectedError, UnresolvedError, UsageError
from kalepool.services.errands import PATIENCE_S
from kalepool.services.paying import unused
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.ports import Books, Chain, Clock, Composer, Journal
    from kalepool.services.errands import Errands
    from kalepool.services.restoring import Restoring

_ASSETS: Final = (KALE, XLM)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What is to be taken out. Amounts are stroops.

    Attributes:
        asset: ``KALE`` or ``XLM``.
        amount: how much.
        to: G address.
        memo: on the payment, or empty.
        left: what the operator can still spend of this asset afterwards.
        fee: the most that it costs, XLM.
    """

    asset: str
    amount: int
    to: str
    memo: str
    left: int
    fee: int


class Withdrawing:
    """Withdraws from the operator's account.

    Args:
        books: what he owes.
        journal: what is under way.
        chain: what he has.
        clock: network time.
        composer: builds.
        errands: sends and waits.
        restoring: knows whether payments may be unknown to this store.
        operator: G address.
        issuer: of KALE: what is sent there is gone.
        record: writes to the audit log.
    """

    def __init__(
        self,
        *,
        books: Books,
        journal: Journal,
        chain: Chain,
        clock: Clock,
        composer: Composer,
        errands: Errands,
        restoring: Restoring,
        operator: str,
        issuer: str,
        record: Callable[[str], None],
    ) -> None:
        self._books = books
        self._journal = journal
        self._chain = chain
        self._clock = clock
        self._composer = composer
        self._errands = errands
        self._restoring = restoring
        self._operator = operator
        self._issuer = issuer
        self._record = record

    async def plan(self, asset: str, amount: int, to: str, memo: str = "") -> Withdrawal:
        """Check what is to be taken out.

        Raises:
            UsageError: for an unknown asset, an amount of nothing, or an address that must not be paid.
            RejectedError: when it cannot be paid: he has not got it, or owes it, or nobody can receive it.
            UnresolvedError: when payments may be unknown to this store.
            RetryableError: when no node can tell.
        """
        check_asset(asset)
        if amount <= 0:
            raise UsageError("a withdrawal of nothing", hint="give an amount above 0")
        if to == self._operator or (asset == KALE and to == self._issuer):
            raise UsageError(
                "the operator's own account" if to == self._operator else "KALE is destroyed at its issuer",
                hint="give another address",
            )
        await self._errands.clear()
        await self._restoring.insist()
        await self._composer.refresh_bid()
        fee = self._composer.classic_fee(1)
        states = await self._chain.accounts([self._operator, to])
        mine, his = states.get(self._operator), states.get(to)
        if mine is None:
            raise RejectedError("the operator's account does not exist on the network")
        if his is None:
            raise RejectedError(f"there is no account {to} on the network", hint="check the address")
        reserved = self._journal.reserved().get((account(self._operator), asset), 0)
        if asset == KALE:
            if his.kale is None or his.kale_limit is None or his.kale_limit - his.kale < amount:
                raise RejectedError(
                    f"{to} has no KALE trustline with room for it",
                    hint="its owner adds one, or raises its limit",
                )
            free = (mine.kale or 0) - reserved - self._owed()
            what = "beside what he owes to farmers and what is under way"
        else:
            free = mine.spendable - reserved - fee
            what = "above reserves, fees and what is under way"
        if free < amount:
            raise RejectedError(
                f"the operator has {format_amount(max(free, 0))} {asset} to withdraw, {what}",
                hint="withdraw less, or run `kalepool payout` first",
            )
        return Withdrawal(asset, amount, to, memo, free - amount, fee)

    async def withdraw(self, wanted: Withdrawal) -> str:
        """Pay it; give the transaction's hash, hex.

        Raises:
            RejectedError: when the chain refused it.
            UnresolvedError: when it is not known what became of it.
        """
        (mine,) = (await self._chain.accounts([self._operator])).values()
        plan = Plan(
            Kind.PAY,
            unused(self._journal, f"withdraw:{mine.ledger}"),
            ("withdraw",),
            (
                (account(self._operator), wanted.asset, wanted.amount),
                *([(sent(self._operator), XLM, wanted.amount)] if wanted.asset == XLM else []),
                (account(self._operator), XLM, wanted.fee),
            ),
        )
        payment = Payment(wanted.to, wanted.amount, is_xlm=wanted.asset == XLM)
        build = self._composer.pay(
            self._operator,
            payments=[payment],
            max_time=int(self._clock.now()) + PATIENCE_S,
            memo=wanted.memo,
        )
        self._record(f"withdraws {format_amount(wanted.amount)} {wanted.asset} to {wanted.to}")
        (outcome,) = await self._errands.run([Order(plan, self._operator, mine.sequence, build)])
        if outcome.state is State.SETTLED:
            return self._journal.landed([plan.purpose])[plan.purpose]
        if outcome.state is State.UNRESOLVED or outcome.state is None:
            raise UnresolvedError(
                "it is not known what became of a withdrawal", hint=f"look at {self._operator} on the network"
            )
        raise RejectedError(f"the withdrawal did not land: {outcome.why}", hint="run this again")

    def _owed(self) -> int:
        prefix = owed(Claim.COMPENSATION, 0).removesuffix("0")
        return sum(self._books.balances(prefix).values())


def check_asset(asset: str) -> None:
    """Insist that an asset is one that can be withdrawn.

    Raises:
        UsageError: when it is not.
    """
    if asset not in _ASSETS:
        raise UsageError(f"there is no asset {asset!r} to withdraw", hint="KALE or XLM")
