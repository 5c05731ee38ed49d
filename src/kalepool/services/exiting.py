"""A farmer leaves: nothing more is planted, open pails and the delay are waited out, and one transaction ends it.

That transaction pays the pool what is the pool's, the farmer all that is his, removes the trustline and
merges the account, all of it or nothing: there is no half-way. What stands in its way is said, and
nothing is lost by waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kalepool.core.agreements import Life
from kalepool.core.classic import Payment
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.intents import Kind, Plan, State
from kalepool.core.payouts import Line
from kalepool.core.postings import KALE, XLM, account
from kalepool.core.sealing import exit_message
from kalepool.core.shares import Claim
from kalepool.errors import UnresolvedError, UsageError
from kalepool.services.errands import PATIENCE_S
from kalepool.services.paying import unused
from kalepool.services.settling import BrokenSealError
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Farmer, Terms
    from kalepool.ports import Chain, Clock, Composer, Farmers, Journal, Pails, Transactions, Vault
    from kalepool.services.errands import Errands
    from kalepool.services.paying import Paying
    from kalepool.services.restoring import Restoring
    from kalepool.services.settling import Settling, TermsBook

_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class ExitQuote:
    """What an exit would do, and what it still waits for. Amounts are stroops of KALE.

    Attributes:
        farmer: who.
        destination: where what is his is paid, G address; None where he has none.
        principal: what is in his wallet and is neither owed to him nor to the pool: his own.
        share: rewards owed to him.
        compensation: owed to him by the pool; paid with the rest where the operator has it, else later.
        pool: what is owed to the pool, out of his wallet.
        xlm: stroops of XLM in his account, which are his too.
        ready_at: network time from which it can end; None before he asked to leave.
        waits: what it waits for; nothing where it can end now.
        done: whether it has ended.
        transaction: hash of the transaction that ended it, hex; or empty.
        refused: why it is not even looked at; empty where it is.
    """

    farmer: Farmer
    destination: str | None
    principal: int = 0
    share: int = 0
    compensation: int = 0
    pool: int = 0
    xlm: int = 0
    ready_at: float | None = None
    waits: tuple[str, ...] = ()
    done: bool = False
    transaction: str = ""
    refused: str = ""

    @property
    def his(self) -> int:
        """All that his wallet pays him."""
        return self.principal + self.share


class Exiting:
    """Lets farmers leave.

    Args:
        farmers: who.
        terms: where they are paid, checked by their seals.
        pails: which are open.
        vault: seals the wish to leave.
        journal: what is under way.
        store: makes several changes one.
        chain: what accounts hold.
        clock: network time.
        composer: builds.
        errands: sends and waits.
        settling: settles first.
        paying: knows what is owed.
        restoring: knows whether payments may be unknown to this store.
        operator: G address.
        record: writes to the audit log.
        who: the command that does it.
    """

    def __init__(
        self,
        *,
        farmers: Farmers,
        terms: TermsBook,
        pails: Pails,
        vault: Vault,
        journal: Journal,
        store: Transactions,
        chain: Chain,
        clock: Clock,
        composer: Composer,
        errands: Errands,
        settling: Settling,
        paying: Paying,
        restoring: Restoring,
        operator: str,
        record: Callable[[str], None],
        who: str,
    ) -> None:
        self._farmers = farmers
        self._terms = terms
        self._pails = pails
        self._vault = vault
        self._journal = journal
        self._store = store
        self._chain = chain
        self._clock = clock
        self._composer = composer
        self._errands = errands
        self._settling = settling
        self._paying = paying
        self._restoring = restoring
        self._operator = operator
        self._record = record
        self._who = who

    async def quote(self, name: str) -> ExitQuote:
        """Tell what an exit pays and waits for; nothing is changed but that pails are settled.

        Raises:
            UsageError: when there is no such farmer.
            BrokenSealError: when his terms do not carry this vault's seal.
            RetryableError: when no node can tell.
        """
        await self._errands.clear()
        self._settling.settle()
        return (await self._look(self._farmers.get(name)))[0]

    def begin(self, name: str) -> Farmer:
        """Write down that a farmer wants to leave: from now on nothing is planted for him.

        Raises:
            UsageError: when there is no such farmer.
        """
        farmer = self._farmers.get(name)
        if farmer.state in (FarmerState.EXITING, FarmerState.EXITED):
            return farmer
        with self._store.atomic(synced=True):
            # Who was never funded has nothing here that could wait.
            became = FarmerState.EXITED if farmer.state is FarmerState.CREATED else FarmerState.EXITING
            asked_at = int(self._clock.now())
            self._farmers.move(
                farmer.number,
                became,
                who=self._who,
                why="wants to leave",
                asked_at=asked_at,
                seal=lambda place: self._vault.seal(exit_message(farmer, place, asked_at)),
            )
        self._record(f"'{name}' wants to leave")
        return self._farmers.get(name)

    async def cancel(self, name: str) -> Farmer:
        """Let a farmer stay after all, until his exit has completed.

        Raises:
            UsageError: when he does not want to leave, or has left.
            UnresolvedError: when it is not known whether his exit has completed.
        """
        await self._errands.clear()
        farmer = self._farmers.get(name)
        if farmer.state is not FarmerState.EXITING:
            raise UsageError(f"'{name}' is not leaving: he is {farmer.state}")
        if self._ended(farmer):
            raise UsageError(f"'{name}' has left already", hint=f"see: kalepool farmer show {name}")
        self._refuse_unresolved(farmer)
        before = self._farmers.moves(farmer.number)[-1].was
        became = FarmerState.PAUSED if before is FarmerState.PAUSED else FarmerState.ACTIVE
        with self._store.atomic(synced=True):
            self._farmers.move(farmer.number, became, who=self._who, why="stays after all")
        self._record(f"'{name}' stays after all")
        return self._farmers.get(name)

    async def advance(self, name: str) -> ExitQuote:
        """Do what can be done now: end the exit, or tell what it waits for. To be repeated until it is done.

        Raises:
            UsageError: when he does not want to leave.
            BrokenSealError: when his terms do not carry this vault's seal.
            UnresolvedError: when it is not known what became of his exit, or payments may be unknown here.
            RetryableError: when no node can tell.
        """
        await self._errands.clear()
        farmer = self._farmers.get(name)
        if farmer.state not in (FarmerState.EXITING, FarmerState.EXITED):
            raise UsageError(f"'{name}' is {farmer.state}", hint=f"begin with: kalepool farmer exit {name}")
        if farmer.state is FarmerState.EXITED or self._ended(farmer):
            return self._complete(farmer)
        self._refuse_unresolved(farmer)
        await self._restoring.insist()
        await self._composer.refresh_bid()
        self._settling.settle()
        quote, states = await self._look(farmer)
        if quote.waits:
            return quote
        if farmer.custody is Custody.WATCHED or farmer.address not in states:
            return self._complete(farmer)
        if quote.pool:
            await self._paying.trust()
            quote, states = await self._look(farmer)
        (outcome,) = await self._errands.run([self._order(quote, states)])
        if outcome.state is State.SETTLED:
            return self._complete(farmer)
        if outcome.state is State.UNRESOLVED:
            self._refuse_unresolved(farmer)
        return replace(quote, waits=(f"the last transaction did not land: {outcome.why}; run this again",))

    async def advance_all(self) -> list[ExitQuote]:
        """Do for everybody who is leaving what can be done now."""
        found = []
        for farmer in self._farmers.all(FarmerState.EXITING):
            try:
                found.append(await self.advance(farmer.name))
            except BrokenSealError as error:
                found.append(ExitQuote(farmer, None, refused=error.message))
        return found

    # Inside

    async def _look(self, farmer: Farmer) -> tuple[ExitQuote, dict[str, AccountState]]:
        terms = self._terms.latest(farmer).terms
        lines = {line.claim: line for line in self._paying.lines_of(farmer)}
        wanted = [self._operator, farmer.address, *([terms.payout] if terms.payout else [])]
        custodial = farmer.custody is Custody.CUSTODIAL
        states = await self._chain.accounts(wanted) if custodial else {}
        state = states.get(farmer.address)
        share, pool, owed = (
            0 if (line := lines.get(claim)) is None else line.amount
            for claim in (Claim.FARMER, Claim.POOL, Claim.COMPENSATION)
        )
        held = 0 if state is None or state.kale is None else state.kale
        asked = self._asked_at(farmer)
        quote = ExitQuote(
            farmer,
            terms.payout,
            held - share - pool,
            share,
            owed,
            pool,
            0 if state is None else state.xlm,
            None if asked is None else asked + terms.exit_delay_h * _HOUR_S,
        )
        return replace(quote, waits=tuple(self._waits(quote, states))), states

    def _asked_at(self, farmer: Farmer) -> int | None:
        """Give the network time at which a farmer asked to leave; None where he has not.

        Raises:
            BrokenSealError: when the wish does not carry this vault's seal: nobody is paid out by it.
        """
        step = self._farmers.life(farmer.number)[-1]
        if farmer.state is not FarmerState.EXITING:
            return None
        sealed = step.became is Life.EXITING and step.asked_at is not None and step.seal is not None
        if not sealed or not self._vault.seal_holds(
            exit_message(farmer, step.place, step.asked_at or 0), step.seal or b""
        ):
            raise BrokenSealError(
                f"the wish of '{farmer.name}' to leave does not carry this vault's seal",
                hint=f"did he ask? kalepool farmer exit {farmer.name} --cancel, and then, where he did, again",
            )
        return step.asked_at

    def _waits(self, quote: ExitQuote, states: Mapping[str, AccountState]) -> list[str]:
        farmer = quote.farmer
        waits = []
        alive = [one for one in self._pails.alive() if one.farmer == farmer.number]
        if alive:
            waits.append(
                f"{len(alive)} pails are open, the last of block {max(one.block for one in alive)}: "
                "keep `kalepool mine` or `kalepool harvest` running"
            )
        if quote.ready_at is not None and self._clock.now() < quote.ready_at:
            hours = (quote.ready_at - self._clock.now()) / _HOUR_S
            waits.append(f"the agreed delay ends in {hours:.1f} h of network time")
        state = states.get(farmer.address)
        if farmer.custody is Custody.WATCHED or state is None:
            return waits
        reserved = self._journal.reserved()
        promised = any(name.endswith(f":{farmer.number}") for name, _ in reserved if name.startswith("owed:"))
        if promised or reserved.get((account(farmer.address), KALE)):
            waits.append("a transaction of his wallet is under way")
        elif quote.principal < 0:
            waits.append("his wallet holds less than is owed from it")
        elif quote.his or quote.xlm:
            waits += self._unpayable(quote, states)
        return waits

    def _unpayable(self, quote: ExitQuote, states: Mapping[str, AccountState]) -> list[str]:
        """Tell why what is his cannot be paid to him; then it stays where it is."""
        farmer = quote.farmer
        if quote.destination is None:
            return [f"he has no payout address: kalepool farmer set {farmer.name} --payout G..."]
        if quote.destination not in states:
            return ["the payout address does not exist on the network"]
        if not quote.his:
            return []
        line = Line(Claim.FARMER, farmer.number, farmer.name, farmer.address, quote.destination, quote.his)
        return [held.why for held in self._paying.sift([line], states)[1]]

    def _order(self, quote: ExitQuote, states: Mapping[str, AccountState]) -> Order:
        farmer = quote.farmer
        state, terms = states[farmer.address], self._terms.latest(farmer).terms
        last, reserves = self._last(quote, terms, states)
        fee = self._composer.classic_fee(len(last) + 2)
        plan = Plan(
            Kind.EXIT,
            unused(self._journal, _stem(farmer)),
            (f"exit:{farmer.number}", *(f"due:{claim}:{farmer.number}" for claim in Claim)),
            (*reserves, (account(self._operator), XLM, fee)),
        )
        # XLM in his account is his; where he has none, and no address, there is nothing to inherit.
        heir = terms.payout if terms.payout is not None and terms.payout in states else self._operator
        build = self._composer.leave(
            farmer.address,
            last=last,
            heir=heir,
            has_trustline=state.kale is not None,
            max_time=int(self._clock.now()) + PATIENCE_S,
            memo=terms.memo,
        )
        return Order(plan, farmer.address, state.sequence, build)

    def _last(
        self, quote: ExitQuote, terms: Terms, states: Mapping[str, AccountState]
    ) -> tuple[list[Payment], list[tuple[str, str, int]]]:
        """Give the payments that empty the wallet, and what they reserve."""
        farmer = quote.farmer
        lines = {line.claim: line for line in self._paying.lines_of(farmer)}
        last: list[Payment] = []
        reserves: list[tuple[str, str, int]] = []
        if quote.pool:
            last.append(Payment(self._operator, quote.pool))
            reserves.append((lines[Claim.POOL].account, KALE, quote.pool))
        if quote.his and terms.payout:
            last.append(Payment(terms.payout, quote.his))
        if quote.share:
            reserves.append((lines[Claim.FARMER].account, KALE, quote.share))
        if quote.his + quote.pool:
            reserves.append((account(farmer.address), KALE, quote.his + quote.pool))
        if quote.compensation and terms.payout in states:
            owed = lines[Claim.COMPENSATION]
            # Beside the rest of what is his, as far as the operator has it; else a later payout brings it.
            room = replace(owed, amount=owed.amount + quote.his, source=self._operator)
            operator = states[self._operator]
            able, _ = self._paying.sift([owed], states)
            fits, _ = self._paying.sift([room], {**states, self._operator: replace(operator, kale=2**63 - 1)})
            if able and fits:
                last.append(owed.payment)
                reserves.append((owed.account, KALE, owed.amount))
                reserves.append((account(self._operator), KALE, owed.amount))
        return last, reserves

    def _complete(self, farmer: Farmer) -> ExitQuote:
        if farmer.state is not FarmerState.EXITED:
            self._farmers.move(farmer.number, FarmerState.EXITED, who=self._who, why="has left")
            self._record(f"'{farmer.name}' has left")
        purpose = self._ended(farmer)
        transaction = self._journal.landed([purpose])[purpose] if purpose else ""
        left = self._farmers.get(farmer.name)
        return ExitQuote(left, left.terms.payout, done=True, transaction=transaction)

    def _ended(self, farmer: Farmer) -> str:
        """Give the purpose of the exit that landed; empty where none has."""
        return next((purpose for purpose, state in self._begun(farmer).items() if state is State.SETTLED), "")

    def _refuse_unresolved(self, farmer: Farmer) -> None:
        if State.UNRESOLVED in self._begun(farmer).values():
            raise UnresolvedError(
                f"it is not known whether the exit of '{farmer.name}' has completed",
                hint=f"look at {farmer.address} on the network: is the account gone?",
            )

    def _begun(self, farmer: Farmer) -> dict[str, State]:
        begun: dict[str, State] = {}
        number, purpose = 1, _stem(farmer)
        while (found := self._journal.states([purpose])) and purpose in found:
            begun[purpose] = found[purpose]
            number += 1
            purpose = f"{_stem(farmer)}:{number}"
        return begun


def _stem(farmer: Farmer) -> str:
    return f"exit:{farmer.number}"
