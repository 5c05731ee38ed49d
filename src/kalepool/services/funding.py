"""Accounts and trustlines for farmers and channels, sponsored by the operator.

What is still missing is read from the network each time, so that a run which was interrupted is
finished by the next one, and a run with nothing to do does nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.classic import MAX_NEWCOMERS, Newcomer, locked_by, newcomer
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.intents import Kind, Plan, State
from kalepool.core.postings import XLM, account
from kalepool.errors import LockedError, PartialError, RejectedError, UnresolvedError, UsageError
from kalepool.services.errands import PATIENCE_S
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Farmer
    from kalepool.ports import Chain, Channels, Clock, Composer, Farmers, Journal, Transactions, Vault
    from kalepool.services.errands import Errands, Outcome
    from kalepool.services.opening import Openings

_TRIES: Final = 3
"""Transactions for one account in one run, at most."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be done, and what it costs the operator.

    Attributes:
        farmers: who is not active yet, of those asked for.
        newcomers: accounts that need something: channels first, then farmers.
        states: accounts that exist, by address; the operator's among them.
        locked: reserves that the operator will carry, stroops of XLM: they come back when accounts are closed.
        fees: the most that is paid in fees, stroops.
        available: what the operator can spend, stroops.
    """

    farmers: tuple[Farmer, ...]
    newcomers: tuple[Newcomer, ...]
    states: Mapping[str, AccountState]
    locked: int
    fees: int
    available: int

    @property
    def missing(self) -> int:
        """What the operator lacks, stroops of XLM; 0 when he has enough."""
        return max(self.locked + self.fees - self.available, 0)


@dataclass(frozen=True, slots=True)
class Funded:
    """What a run did.

    Attributes:
        farmers: who became active, by name.
        transactions: how many landed.
        fees: what they cost, stroops of XLM.
    """

    farmers: tuple[str, ...]
    transactions: int
    fees: int


def choose(farmers: Farmers, names: Sequence[str]) -> list[Farmer]:
    """Give who is to be funded: those named, or all who can be; those who need no funding left out.

    Raises:
        UsageError: when there is no such farmer, or he cannot be funded.
    """
    waiting = (FarmerState.CREATED, FarmerState.FUNDED)
    chosen = [farmers.get(name) for name in dict.fromkeys(names)] or farmers.all(*waiting)
    for farmer in chosen:
        if farmer.custody is Custody.WATCHED and names:
            raise UsageError(f"'{farmer.name}' keeps his own account", hint="who is watched needs no funding")
        if farmer.state in {FarmerState.EXITING, FarmerState.EXITED}:
            raise UsageError(
                f"'{farmer.name}' is {farmer.state}", hint="who leaves or has left is not funded"
            )
    return [one for one in chosen if one.state in waiting and one.custody is Custody.CUSTODIAL]


class Funding:
    """Funds farmers.

    Args:
        farmers: whom.
        channels: channel accounts, leased for the time of a run: they are sources beside the operator.
        vault: knows addresses.
        chain: tells what is there.
        clock: network time.
        composer: builds.
        journal: knows what is open.
        errands: sends and waits.
        openings: takes accounts into the books.
        store: makes several changes one.
        channel_count: how many channel accounts there are to be.
        who: the command that does it.
    """

    def __init__(
        self,
        *,
        farmers: Farmers,
        channels: Channels,
        vault: Vault,
        chain: Chain,
        clock: Clock,
        composer: Composer,
        journal: Journal,
        errands: Errands,
        openings: Openings,
        store: Transactions,
        channel_count: int,
        who: str,
    ) -> None:
        self._farmers = farmers
        self._channels = channels
        self._vault = vault
        self._chain = chain
        self._clock = clock
        self._composer = composer
        self._journal = journal
        self._errands = errands
        self._openings = openings
        self._store = store
        self._channel_count = channel_count
        self._who = who

    async def survey(self, farmers: Sequence[Farmer]) -> Needs:
        """End what earlier runs began, and read what is missing; of what is complete, take note.

        Raises:
            LockedError: when another process is funding some of them.
            RejectedError: when the operator's account does not exist.
        """
        await self._errands.clear()
        self._refuse_taken(farmers)
        await self._composer.refresh_bid()
        return await self._look(farmers)

    async def fund(self, needs: Needs, progress: Callable[[int, int], None] | None = None) -> Funded:
        """Create what is missing, and make farmers active.

        Args:
            needs: what ``survey`` gave, just now.
            progress: told how many accounts of how many are done.

        Raises:
            RejectedError: when the operator lacks XLM; nothing was sent.
            LockedError: when another process is funding some of them.
            PartialError: when some could not be funded.
            UnresolvedError: when it is not known what became of a transaction.
        """
        operator = self._vault.operator
        if needs.missing:
            raise RejectedError(
                f"the operator lacks {format_amount(needs.missing)} XLM to fund this",
                hint=f"send at least so much to {operator}, then run this again",
            )
        total = len(needs.newcomers)
        tried: Counter[str] = Counter()
        landed = fees = 0
        became: list[str] = []
        while True:
            became += self._take_in(needs)
            if progress is not None:
                progress(total - len(needs.newcomers), total)
            if not needs.newcomers:
                return Funded(tuple(became), landed, fees)
            try:
                outcomes = await self._errands.run(self._orders(needs))
            finally:
                self._channels.release()
            _insist_on_ours(outcomes)
            landed += sum(one.state is State.SETTLED for one in outcomes)
            fees += sum(one.landed.fee_charged for one in outcomes if one.landed is not None)
            tried.update(
                item for one in outcomes if one.state is not State.SETTLED for item in one.order.plan.items
            )
            if max(tried.values(), default=0) >= _TRIES:
                raise _partial(outcomes, became)
            needs = await self._look([one for one in needs.farmers if one.name not in became])

    async def _look(self, farmers: Sequence[Farmer]) -> Needs:
        operator = self._vault.operator
        channels = [self._vault.channel(number) for number in range(self._channel_count)]
        addresses = [farmer.address for farmer in farmers]
        states = await self._chain.accounts([operator, *channels, *addresses])
        if operator not in states:
            raise RejectedError(
                "the operator's account does not exist on the network",
                hint=f"send XLM to {operator}, then run this again",
            )
        wanted = [newcomer(one, states.get(one), trusts=False) for one in channels]
        wanted += [newcomer(one, states.get(one)) for one in addresses]
        newcomers = tuple(one for one in wanted if one is not None)
        reserved = self._journal.reserved().get((account(operator), XLM), 0)
        return Needs(
            farmers=tuple(farmers),
            newcomers=newcomers,
            states=states,
            locked=locked_by(newcomers),
            fees=sum(self._fee(batch) for batch in _batches(newcomers, [MAX_NEWCOMERS - 1])),
            available=states[operator].spendable - reserved,
        )

    def _take_in(self, needs: Needs) -> list[str]:
        """Take accounts that are there into the books, and make known who is ready."""
        now = self._clock.now()
        unready = {one.address for one in needs.newcomers}
        self._openings.take(
            [state for state in needs.states.values() if state.address not in unready], at=now
        )
        known = [(number, self._vault.channel(number)) for number in range(self._channel_count)]
        self._channels.add([one for one in known if one[1] not in unready])
        ready = [farmer for farmer in needs.farmers if farmer.address not in unready]
        with self._store.atomic(synced=True):
            for farmer in ready:
                # Read again: another process may have moved him since.
                state = self._farmers.get(farmer.name).state
                if state is FarmerState.CREATED:
                    self._farmers.move(farmer.number, FarmerState.FUNDED, who=self._who)
                if state in {FarmerState.CREATED, FarmerState.FUNDED}:
                    self._farmers.move(farmer.number, FarmerState.ACTIVE, who=self._who)
        return [farmer.name for farmer in ready]

    def _orders(self, needs: Needs) -> list[Order]:
        """Give a transaction for each source that there is: the operator, and channels that can be leased."""
        operator = self._vault.operator
        wanted = -(-max(len(needs.newcomers) - MAX_NEWCOMERS, 0) // (MAX_NEWCOMERS - 1))
        leased = self._channels.lease(wanted) if wanted else []
        sources = [operator, *(one for one in leased if one in needs.states)]
        # A channel signs beside the operator, so one newcomer less can sign.
        sizes = [MAX_NEWCOMERS, *[MAX_NEWCOMERS - 1] * (len(sources) - 1)]
        batches = _batches(needs.newcomers, sizes)[: len(sources)]
        return [
            self._order(source, needs.states[source], batch)
            for source, batch in zip(sources, batches, strict=False)
        ]

    def _order(self, source: str, state: AccountState, batch: Sequence[Newcomer]) -> Order:
        plan = Plan(
            Kind.FUND,
            # A source sends one transaction a ledger; what failed is begun anew in a later one.
            f"fund:{source}:{state.ledger}",
            tuple(_item(one.address) for one in batch),
            ((account(self._vault.operator), XLM, locked_by(batch) + self._fee(batch)),),
        )
        deadline = int(self._clock.now()) + PATIENCE_S
        return Order(
            plan, source, state.sequence, self._composer.sponsor(batch, source=source, max_time=deadline)
        )

    def _fee(self, batch: Sequence[Newcomer]) -> int:
        return self._composer.classic_fee(sum(one.operations for one in batch))

    def _refuse_taken(self, farmers: Sequence[Farmer]) -> None:
        wanted = {_item(farmer.address) for farmer in farmers}
        for intent in self._journal.open_intents(mine=False):
            if intent.kind is Kind.FUND and not wanted.isdisjoint(intent.items):
                if intent.state is State.UNRESOLVED:
                    raise _unresolved()
                raise LockedError(
                    "another kalepool is funding these farmers", hint="wait for it to finish, then look again"
                )


def _batches(newcomers: Sequence[Newcomer], sizes: Sequence[int]) -> list[Sequence[Newcomer]]:
    """Part newcomers into batches of these sizes; the last size holds for all that follow."""
    batches = []
    start = place = 0
    while start < len(newcomers):
        size = sizes[min(place, len(sizes) - 1)]
        batches.append(newcomers[start : start + size])
        start, place = start + size, place + 1
    return batches


def _item(address: str) -> str:
    """Key of an account's creation as an item: no two processes create the same one."""
    return f"fund:{address}"


def _insist_on_ours(outcomes: Sequence[Outcome]) -> None:
    if any(one.state is State.UNRESOLVED for one in outcomes):
        raise _unresolved()
    if all(one.state is None for one in outcomes):
        raise LockedError(
            "another kalepool is funding these farmers", hint="wait for it to finish, then look again"
        )


def _unresolved() -> UnresolvedError:
    return UnresolvedError(
        "it is not known what became of a funding transaction",
        hint="nodes have lost its history: look at the operator's account, then at `kalepool doctor`",
    )


def _partial(outcomes: Sequence[Outcome], became: Sequence[str]) -> PartialError:
    why = next((one.why for one in outcomes if one.state is not State.SETTLED and one.why), "it did not land")
    return PartialError(
        f"{len(became)} farmers were funded, the others not: {why}",
        hint="run this again when the reason is gone: what is done is not done twice",
    )
