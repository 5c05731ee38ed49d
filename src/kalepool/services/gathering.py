"""Gathering KALE from farmers' accounts at one address: every farmer pays exactly once.

A sweep is written down before its first payment, with every amount, and stays so until each payment
has landed or was refused by the chain. A run that was interrupted is taken up by the next one, with
the same amounts; what landed is known by its purpose in the journal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kalepool.core.address import is_account, raw_key
from kalepool.core.amounts import format_amount
from kalepool.core.classic import Payment
from kalepool.core.farmers import BPS, Custody, FarmerState
from kalepool.core.intents import Kind, Plan, State
from kalepool.core.postings import KALE, XLM, account
from kalepool.core.roster import format_bps
from kalepool.core.shares import OWED, spoken_for
from kalepool.errors import ConfigError, RejectedError, UnresolvedError, UsageError
from kalepool.services.errands import PATIENCE_S
from kalepool.services.onboarding import check_receivers
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kalepool.core.chain import AccountState
    from kalepool.ports import Books, Chain, Clock, Composer, Facts, Farmers, Journal, Transactions
    from kalepool.services.errands import Errands
    from kalepool.services.restoring import Restoring

SWEEP_FACT: Final = "sweep"
"""Holds the sweep that is under way."""

_SWEPT: Final = (FarmerState.FUNDED, FarmerState.ACTIVE, FarmerState.PAUSED)
_TRIES: Final = 3
_AT_ONCE: Final = 50
"""Payments that are waited for together: five requests a ledger ask about them."""
_MEMO_BYTES: Final = 28


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is gathered.

    Attributes:
        number: identity: the ledger it was planned in.
        bps: of each farmer's available KALE.
        to: G address.
        memo: on every payment, or empty.
        amounts: stroops of KALE by farmer's number.
    """

    number: int
    bps: int
    to: str
    memo: str
    amounts: Mapping[int, int]

    def written(self) -> str:
        """Write it down."""
        return json.dumps(
            {
                "number": self.number,
                "bps": self.bps,
                "to": self.to,
                "memo": self.memo,
                "amounts": sorted(self.amounts.items()),
            }
        )

    @staticmethod
    def read(text: str) -> Sweep:
        """Read what was written down.

        Raises:
            ConfigError: when somebody else wrote it.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            return Sweep(
                int(data["number"]),
                int(data["bps"]),
                str(data["to"]),
                str(data["memo"]),
                {int(farmer): int(amount) for farmer, amount in data["amounts"]},
            )
        except (ValueError, TypeError, KeyError):
            raise ConfigError(
                "the sweep that is under way cannot be read",
                hint="look at the store with: kalepool db verify",
            ) from None


@dataclass(frozen=True, slots=True)
class Quote:
    """What a sweep will do.

    Attributes:
        sweep: every amount.
        begun: whether an earlier run has begun it.
        fees: the most that it costs in fees, stroops of XLM.
        missing: what the operator lacks for them, stroops.
    """

    sweep: Sweep
    begun: bool
    fees: int
    missing: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of a farmer's payment.

    Attributes:
        farmer: his name.
        amount: stroops of KALE.
        state: settled, or why it is not: failed, expired; None where it waits for another process.
        why: the reason, for people.
        transaction: hash of what landed, hex.
    """

    farmer: str
    amount: int
    state: State | None
    why: str = ""
    transaction: str = ""


class Gathering:
    """Sweeps.

    Args:
        farmers: who is swept: custodial ones who neither leave nor have left.
        chain: tells what they have.
        clock: network time.
        composer: builds.
        journal: knows what is reserved, and what was paid.
        books: know what is owed.
        facts: holds the sweep that is under way.
        store: makes reading and writing that fact one.
        errands: sends and waits.
        restoring: insists that no payment is unknown here.
        operator: who pays the fees.
    """

    def __init__(
        self,
        *,
        farmers: Farmers,
        chain: Chain,
        clock: Clock,
        composer: Composer,
        journal: Journal,
        books: Books,
        facts: Facts,
        store: Transactions,
        errands: Errands,
        restoring: Restoring,
        operator: str,
    ) -> None:
        self._farmers = farmers
        self._chain = chain
        self._clock = clock
        self._composer = composer
        self._journal = journal
        self._books = books
        self._facts = facts
        self._store = store
        self._errands = errands
        self._restoring = restoring
        self._operator = operator

    async def quote(self, bps: int, to: str, memo: str = "") -> Quote:
        """Tell what a sweep would do, or what is left of the one that an earlier run began.

        Raises:
            UsageError: for an impossible share, address or memo, or while another sweep is under way.
            RejectedError: when nothing can be paid to the address.
            UnresolvedError: when payments may be unknown to this store.
        """
        check_sweep(bps, to, memo)
        await check_receivers(self._chain, [to])
        await self._errands.clear()
        await self._restoring.insist()
        await self._composer.refresh_bid()
        under_way = self._under_way(bps, to, memo)
        sweep = await self._plan(bps, to, memo) if under_way is None else under_way
        (operator,) = (await self._chain.accounts([self._operator])).values()
        fees = self._composer.classic_fee(1) * len(sweep.amounts)
        reserved = self._journal.reserved().get((account(self._operator), XLM), 0)
        return Quote(sweep, under_way is not None, fees, max(fees - operator.spendable + reserved, 0))

    async def sweep(self, quote: Quote, progress: Callable[[int, int], None] | None = None) -> list[Swept]:
        """Pay what was quoted; give what became of every payment, by farmer.

        What neither landed nor failed is left for the next run.

        Raises:
            RejectedError: when the operator lacks XLM for the fees; nothing was begun.
            UnresolvedError: when it is not known what became of a payment.
        """
        if quote.missing:
            raise RejectedError(
                f"the operator lacks {format_amount(quote.missing)} XLM for the fees of this sweep",
                hint=f"send at least so much to {self._operator}, then run this again",
            )
        sweep = quote.sweep
        with self._store.atomic(synced=True):
            # Only the first of two processes that plan at once writes it down.
            if self._under_way(sweep.bps, sweep.to, sweep.memo) is None:
                self._facts.put(SWEEP_FACT, sweep.written())
            elif not quote.begun:
                raise UsageError("another kalepool has just begun this sweep", hint="run this again")
        names = {farmer.number: farmer for farmer in self._farmers.all()}
        results: dict[int, Swept] = {}
        numbers = sorted(sweep.amounts)
        for start in range(0, len(numbers), _AT_ONCE):
            await self._pay(sweep, numbers[start : start + _AT_ONCE], results)
            if progress is not None:
                progress(min(start + _AT_ONCE, len(numbers)), len(numbers))
        if all(one.state in {State.SETTLED, State.FAILED} for one in results.values()):
            self._facts.drop(SWEEP_FACT)
        assert results.keys() <= names.keys()
        return [results[number] for number in numbers]

    # Planning

    def _under_way(self, bps: int, to: str, memo: str) -> Sweep | None:
        text = self._facts.get(SWEEP_FACT)
        if text is None:
            return None
        sweep = Sweep.read(text)
        if (sweep.bps, sweep.to, sweep.memo) != (bps, to, memo):
            words = f"{format_bps(sweep.bps)} --to {sweep.to}" + (
                f" --memo {sweep.memo!r}" if sweep.memo else ""
            )
            raise UsageError(
                "another sweep is not finished yet",
                hint=f"finish it first with: kalepool wallet sweep {words}",
            )
        return sweep

    async def _plan(self, bps: int, to: str, memo: str) -> Sweep:
        tip = await self._errands.look()
        swept = [
            farmer
            for farmer in self._farmers.all(*_SWEPT)
            if farmer.custody is Custody.CUSTODIAL and farmer.address != to
        ]
        states = await self._chain.accounts([farmer.address for farmer in swept])
        # What is owed from a wallet is not the operator's to gather.
        reserved = spoken_for(
            self._journal.reserved(), self._books.balances(OWED), {one.number: one.address for one in swept}
        )
        amounts = {}
        for farmer in swept:
            state = states.get(farmer.address)
            held = 0 if state is None or state.kale is None else state.kale
            amount = (held - reserved.get((account(farmer.address), KALE), 0)) * bps // BPS
            if amount > 0:
                amounts[farmer.number] = amount
        return Sweep(tip.ledger, bps, to, memo, amounts)

    # Paying

    async def _pay(self, sweep: Sweep, numbers: Sequence[int], results: dict[int, Swept]) -> None:
        """Pay for some farmers, what was paid before left out; a payment that did not land is tried again."""
        farmers = {farmer.number: farmer for farmer in self._farmers.all()}
        left = list(numbers)
        for _ in range(_TRIES):
            begun = {number: self._last(sweep, number) for number in left}
            for number, (_, state) in begun.items():
                if state is State.UNRESOLVED:
                    raise UnresolvedError(
                        f"it is not known what became of the payment of '{farmers[number].name}'",
                        hint="nodes have lost its history: look at his account before anything else is paid",
                    )
                if state is not None and state is not State.EXPIRED:
                    results[number] = Swept(farmers[number].name, sweep.amounts[number], state)
            left = [number for number, (_, state) in begun.items() if state in {None, State.EXPIRED}]
            if not left:
                return
            states = await self._chain.accounts([farmers[number].address for number in left])
            orders, ordered = [], []
            for number in left:
                name, held = farmers[number].name, states.get(farmers[number].address)
                if held is None:
                    results[number] = Swept(name, sweep.amounts[number], State.FAILED, "the account is gone")
                    continue
                orders.append(self._order(sweep, number, begun[number][0] + 1, held))
                ordered.append(number)
            outcomes = await self._errands.run(orders) if orders else []
            left = [
                number
                for number, one in zip(ordered, outcomes, strict=True)
                if one.state not in {State.SETTLED, State.FAILED}
            ]
            for number, one in zip(ordered, outcomes, strict=True):
                results[number] = Swept(
                    farmers[number].name, sweep.amounts[number], one.state, one.why, one.transaction
                )

    def _last(self, sweep: Sweep, number: int) -> tuple[int, State | None]:
        """Give how often a farmer's payment was begun, and where the last one stands."""
        count, state = 0, None
        while True:
            purpose = _purpose(sweep, number, count + 1)
            found = self._journal.states([purpose]).get(purpose)
            if found is None:
                return count, state
            count, state = count + 1, found

    def _order(self, sweep: Sweep, number: int, attempt: int, state: AccountState) -> Order:
        amount = sweep.amounts[number]
        plan = Plan(
            Kind.SWEEP,
            _purpose(sweep, number, attempt),
            (f"sweep:{number}",),
            (
                (account(state.address), KALE, amount),
                (account(self._operator), XLM, self._composer.classic_fee(1)),
            ),
        )
        build = self._composer.pay(
            state.address,
            payments=[Payment(sweep.to, amount)],
            max_time=int(self._clock.now()) + PATIENCE_S,
            memo=sweep.memo,
        )
        return Order(plan, state.address, state.sequence, build)


def _purpose(sweep: Sweep, farmer: int, attempt: int) -> str:
    return f"sweep:{sweep.number}:{farmer}:{attempt}"


def check_sweep(bps: int, to: str, memo: str) -> None:
    """Insist that a sweep can be, as far as words tell.

    Raises:
        UsageError: for an impossible share, address or memo.
    """
    raw_key(to)
    if not is_account(to):
        raise UsageError(
            "KALE is not swept to a contract", hint="give an account's address: G and 55 characters"
        )
    if not 0 < bps <= BPS:
        raise UsageError("a sweep of nothing", hint="give a percentage above 0 and up to 100")
    # What the terminal could not decode is not printable either.
    if not memo.isprintable() or len(memo.encode()) > _MEMO_BYTES:
        raise UsageError(
            f"a memo is one line of at most {_MEMO_BYTES} bytes", hint="shorten it, or leave it out"
        )
