"""Paying what is owed: claims put together into few transactions, each claim exactly once.

A payment reserves its claims in the journal before it is signed, and the store refuses to promise more
than is owed; what lands discharges them in the transaction that settles the intent. So a crash, at any
point, leaves a claim either owed, or promised by an intent that the next run closes first.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.classic import BASE_RESERVE
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.intents import Kind, Plan, State
from kalepool.core.payouts import Choice, Dues, Held, Line, batches, choose, halves, lines_of, sift
from kalepool.core.postings import KALE, XLM, account
from kalepool.core.shares import OWED, Claim
from kalepool.errors import RejectedError, UnresolvedError
from kalepool.services.errands import PATIENCE_S
from kalepool.services.settling import BrokenSealError
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Farmer, Terms
    from kalepool.core.intents import Intent
    from kalepool.ports import Books, Chain, Channels, Clock, Composer, Farmers, Journal
    from kalepool.services.errands import Errands, Outcome
    from kalepool.services.restoring import Restoring
    from kalepool.services.settling import TermsBook

MOST_SOURCES: Final = 16
"""Transactions in one ledger, at most."""

_TRIES: Final = 3
"""Transactions for one batch that did not land, in one run."""


@dataclass(frozen=True, slots=True)
class PayoutPlan:
    """What a payout would do. Amounts are stroops.

    Attributes:
        batches: payments, put together into transactions.
        held: what cannot be paid until a person mends something.
        waiting: what is below its threshold, or before its time.
        unresolved: payments of before of which it is not known what became; only they stand still.
        trusts: whether the operator's account gets a KALE trustline first.
        fees: the most that it costs, XLM.
        missing: what the operator lacks of that, XLM.
    """

    batches: tuple[tuple[Line, ...], ...]
    held: tuple[Held, ...]
    waiting: tuple[Held, ...]
    unresolved: tuple[Intent, ...]
    trusts: bool
    fees: int
    missing: int

    @property
    def lines(self) -> list[Line]:
        """Every payment."""
        return [line for batch in self.batches for line in batch]

    def total(self, claim: Claim) -> int:
        """Give what is paid of one kind, stroops of KALE."""
        return sum(line.amount for line in self.lines if line.claim is claim)


@dataclass(slots=True)
class Paid:
    """What a payout did.

    Attributes:
        lines: payments that landed, each with its transaction's hash, hex.
        held: payments that were refused, each alone, with the reason.
        open: payments of which it is not known what became, or that another process makes.
        transactions: how many landed.
    """

    lines: list[tuple[Line, str]] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    open: list[Line] = field(default_factory=list)
    transactions: int = 0


class Paying:
    """Pays claims.

    Args:
        farmers: on whose account.
        terms: where they are paid, checked by their seals.
        books: what is owed.
        journal: what is promised, and under way.
        channels: channel accounts, sources of transactions beside the operator's own.
        chain: what accounts hold.
        clock: network time.
        composer: builds.
        errands: sends and waits.
        restoring: knows whether payments may be unknown to this store.
        operator: G address; pays fees and compensation, receives the pool's part.
        issuer: of KALE, G address.
        pool_from: stroops; less than this of the pool's part stays in a wallet.
    """

    def __init__(
        self,
        *,
        farmers: Farmers,
        terms: TermsBook,
        books: Books,
        journal: Journal,
        channels: Channels,
        chain: Chain,
        clock: Clock,
        composer: Composer,
        errands: Errands,
        restoring: Restoring,
        operator: str,
        issuer: str,
        pool_from: int,
    ) -> None:
        self._farmers = farmers
        self._terms = terms
        self._books = books
        self._journal = journal
        self._channels = channels
        self._chain = chain
        self._clock = clock
        self._composer = composer
        self._errands = errands
        self._restoring = restoring
        self._operator = operator
        self._issuer = issuer
        self._pool_from = pool_from

    # Planning

    async def plan(self, names: Sequence[str] = (), *, now_due: bool = False) -> PayoutPlan:
        """Close what earlier runs began, and tell what is to be paid now.

        Args:
            names: of these farmers alone; of all when empty.
            now_due: pay whatever is owed, whatever thresholds and rhythms say.

        Raises:
            UsageError: when there is no such farmer.
            UnresolvedError: when payments may be unknown to this store, since it was restored.
            RetryableError: when no node can tell.
        """
        await self._errands.clear()
        await self._restoring.insist()
        await self._composer.refresh_bid()
        chosen = [self._farmers.get(name) for name in dict.fromkeys(names)] or self._farmers.all()
        agreed, forged = self._agreed(chosen)
        choice = self._choose(agreed, now_due=now_due)
        states = await self._read(choice.lines)
        operator = states.get(self._operator)
        if operator is None:
            raise RejectedError(
                "the operator's account does not exist on the network",
                hint=f"send XLM to {self._operator}, then run this again",
            )
        trusts = operator.kale is None and any(line.claim is Claim.POOL for line in choice.lines)
        good, held = self._sift(choice.lines, states, trusts=trusts)
        parts = batches(good)
        fees = sum(self._fee(part) for part in parts) + (self._composer.classic_fee(1) if trusts else 0)
        reserved = self._journal.reserved().get((account(self._operator), XLM), 0)
        needed = fees + (BASE_RESERVE if trusts else 0)
        return PayoutPlan(
            tuple(parts),
            (*forged, *held),
            tuple(choice.waiting),
            tuple(self._unresolved()),
            trusts,
            fees,
            max(needed - operator.spendable + reserved, 0),
        )

    def dues(self) -> Dues:
        """Give what is owed and not promised by a payment under way."""
        reserved = self._journal.reserved()
        owed = {
            name: stroops - reserved.get((name, asset), 0)
            for (name, asset), stroops in self._books.balances(OWED).items()
            if asset == KALE
        }
        return Dues(owed, self._books.last_paid(OWED))

    def lines_of(self, farmer: Farmer) -> list[Line]:
        """Give all that is owed on account of one farmer, whatever thresholds and rhythms say.

        Raises:
            BrokenSealError: when his terms do not carry this vault's seal.
        """
        return lines_of(farmer, self._terms.latest(farmer).terms, self.dues(), self._operator)

    def sift(
        self, lines: Sequence[Line], states: Mapping[str, AccountState]
    ) -> tuple[list[Line], list[Held]]:
        """Part payments that can be made, by accounts as just read, from those that cannot."""
        return self._sift(lines, states, trusts=False)

    def _agreed(self, farmers: Iterable[Farmer]) -> tuple[list[tuple[Farmer, Terms]], list[Held]]:
        """Give farmers with their terms; of those whose seal is broken, everything is held."""
        agreed: list[tuple[Farmer, Terms]] = []
        forged: list[Held] = []
        dues = self.dues()
        for farmer in farmers:
            if farmer.custody is Custody.WATCHED and not any(
                dues.of(claim, farmer.number) > 0 for claim in Claim
            ):
                continue
            # Who leaves is paid by his exit, all of it at once.
            if farmer.state is FarmerState.EXITING:
                continue
            try:
                agreed.append((farmer, self._terms.latest(farmer).terms))
            except BrokenSealError as error:
                unpaid = lines_of(farmer, replace(farmer.terms, payout=None), dues, self._operator)
                forged += [Held(line, error.message) for line in unpaid]
        return agreed, forged

    def _choose(self, agreed: Sequence[tuple[Farmer, Terms]], *, now_due: bool) -> Choice:
        dues = self.dues()
        if not now_due:
            return choose(
                agreed, dues, operator=self._operator, pool_from=self._pool_from, now=self._clock.now()
            )
        return Choice([line for one, terms in agreed for line in lines_of(one, terms, dues, self._operator)])

    async def _read(self, lines: Iterable[Line]) -> dict[str, AccountState]:
        concerned = {address for line in lines for address in (line.source, line.destination) if address}
        return await self._chain.accounts([self._operator, *sorted(concerned - {self._operator})])

    def _sift(
        self, lines: Sequence[Line], states: Mapping[str, AccountState], *, trusts: bool
    ) -> tuple[list[Line], list[Held]]:
        if trusts:
            operator = replace(states[self._operator], kale=0, kale_limit=2**63 - 1)
            states = {**states, self._operator: operator}
        return sift(lines, states, self._journal.reserved(), self._issuer)

    def _fee(self, batch: Sequence[Line]) -> int:
        return self._composer.classic_fee(len(batch))

    def _unresolved(self) -> list[Intent]:
        return [
            intent
            for intent in self._journal.open_intents(mine=False)
            if intent.kind in (Kind.PAY, Kind.EXIT) and intent.state is State.UNRESOLVED
        ]

    # Paying

    async def pay(self, plan: PayoutPlan, progress: Callable[[int, int], None] | None = None) -> Paid:
        """Make the payments of a plan; a batch that fails is parted until the bad line stands alone.

        Args:
            plan: what ``plan`` gave, just now.
            progress: told how many payments of how many have landed.

        Raises:
            RejectedError: when the operator lacks XLM; nothing was sent.
            RetryableError: when no node can tell any more; the next run closes what is open.
        """
        if plan.missing:
            raise RejectedError(
                f"the operator lacks {format_amount(plan.missing)} XLM for the fees of this payout",
                hint=f"send at least so much to {self._operator}, then run this again",
            )
        paid = Paid()
        if plan.trusts:
            await self.trust()
        waiting = deque(plan.batches)
        tried: Counter[str] = Counter()
        total = sum(map(len, plan.batches))
        try:
            while waiting:
                orders, parts = await self._orders(waiting)
                for part, outcome in zip(parts, await self._errands.run(orders), strict=True):
                    waiting.extend(await self._take(part, outcome, paid, tried))
                if progress is not None:
                    progress(len(paid.lines), total)
        finally:
            self._channels.release()
        return paid

    async def trust(self) -> None:
        """Give the operator's account a KALE trustline, unless it has one.

        Raises:
            RejectedError: when that failed.
        """
        (state,) = (await self._chain.accounts([self._operator])).values()
        if state.kale is not None:
            return
        plan = Plan(
            Kind.FUND,
            unused(self._journal, f"trust:{self._operator}:{state.ledger}"),
            (f"fund:{self._operator}",),
            ((account(self._operator), XLM, self._composer.classic_fee(1) + BASE_RESERVE),),
        )
        build = self._composer.trust(self._operator, max_time=int(self._clock.now()) + PATIENCE_S)
        (outcome,) = await self._errands.run([Order(plan, self._operator, state.sequence, build)])
        if outcome.state is not State.SETTLED:
            raise RejectedError(
                f"the operator's account got no KALE trustline: {outcome.why}", hint="run this again"
            )

    async def _orders(self, waiting: deque[tuple[Line, ...]]) -> tuple[list[Order], list[tuple[Line, ...]]]:
        """Give a transaction for each source that is free, and take its batch out of those waiting."""
        sources = await self._sources(min(len(waiting), MOST_SOURCES))
        orders: list[Order] = []
        parts: list[tuple[Line, ...]] = []
        for state in sources[: len(waiting)]:
            batch = waiting.popleft()
            orders.append(self._order(state, batch))
            parts.append(batch)
        return orders, parts

    async def _sources(self, wanted: int) -> list[AccountState]:
        """Give accounts that may send a transaction now: the operator, and channels that can be leased.

        Raises:
            UnresolvedError: when each of them waits for an outcome that nobody can tell.
        """
        channels = self._channels.lease(wanted - 1) if wanted > 1 else []
        states = await self._chain.accounts([self._operator, *channels])
        busy = {
            attempt.source for intent in self._journal.open_intents(mine=False) for attempt in intent.attempts
        }
        if busy >= states.keys():
            leased = [one for one in self._channels.lease(MOST_SOURCES) if one not in busy]
            states = await self._chain.accounts(leased)
        free = [state for address, state in states.items() if address not in busy]
        if not free:
            raise UnresolvedError(
                "no account is free to send payments from: transactions of all of them are open",
                hint="see what is open with: kalepool status; run this again when it is closed",
            )
        return free

    def _order(self, source: AccountState, batch: Sequence[Line]) -> Order:
        moved: Counter[str] = Counter()
        for line in batch:
            moved[line.source] += line.amount
        plan = Plan(
            Kind.PAY,
            unused(self._journal, f"pay:{source.address}:{source.ledger}"),
            tuple(line.item for line in batch),
            (
                *((line.account, KALE, line.amount) for line in batch),
                *((account(payer), KALE, amount) for payer, amount in moved.items()),
                (account(self._operator), XLM, self._fee(batch)),
            ),
        )
        build = self._composer.pay(
            source.address,
            payments=[line.payment for line in batch],
            max_time=int(self._clock.now()) + PATIENCE_S,
            memo=batch[0].memo,
        )
        return Order(plan, source.address, source.sequence, build)

    async def _take(
        self, batch: tuple[Line, ...], outcome: Outcome, paid: Paid, tried: Counter[str]
    ) -> list[tuple[Line, ...]]:
        """Write down what became of a batch; give what is to be tried again."""
        if outcome.state is State.SETTLED:
            paid.transactions += 1
            purpose = outcome.order.plan.purpose
            hash_hex = self._journal.landed([purpose])[purpose]
            paid.lines += [(line, hash_hex) for line in batch]
            return []
        if outcome.state is None or outcome.state is State.UNRESOLVED:
            paid.open += batch
            return []
        if outcome.state is State.EXPIRED:
            tried.update(line.item for line in batch)
            if tried[batch[0].item] < _TRIES:
                return [batch]
            paid.held += [Held(line, outcome.why) for line in batch]
            return []
        # Something has changed since the plan: what shows it is held at once, and the rest is parted.
        good, held = self._sift(batch, await self._read(batch), trusts=False)
        paid.held += held
        if held:
            return [tuple(good)] if good else []
        if len(batch) == 1:
            paid.held.append(Held(batch[0], outcome.why))
            return []
        return halves(batch)


def unused(journal: Journal, stem: str) -> str:
    """Give a purpose that was never begun: what was given up in a ledger may be begun anew in the same one."""
    number, purpose = 1, stem
    while purpose in journal.states([purpose]):
        number += 1
        purpose = f"{stem}:{number}"
    return purpose
