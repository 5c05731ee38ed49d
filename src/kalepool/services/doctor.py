"""Whether this pool can mine: what its store and the network say, a row a check, each with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.facts import CONTRACT_CODE, LAST_BACKUP
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.health import Check, Grade
from kalepool.core.reports import DAY_S, some
from kalepool.errors import KalepoolError, UsageError
from kalepool.services.reporting import LEAST_DAYS, NEAR_LEDGERS, day_cost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from kalepool.core.chain import AccountState, Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.ports import Chain, Facts, Farmers, Reports, Views

_HASH_DIGITS: Final = 64
_NAMED: Final = 3
_LIVE: Final = (FarmerState.FUNDED, FarmerState.ACTIVE, FarmerState.PAUSED, FarmerState.EXITING)


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Make a check; an error of ours becomes a failed row with its hint."""
    try:
        return check()
    except KalepoolError as error:
        return failed(name, error)


def failed(name: str, error: KalepoolError) -> Check:
    """Make a failed row of an error."""
    return Check(name, Grade.FAIL, error.message, error.hint)


class StoreDoctor:
    """Looks at what the store knows.

    Args:
        reports: counts and sums.
        views: what was last seen of the network.
        facts: what was remembered.
        now: the machine's time, Unix seconds.
    """

    def __init__(self, reports: Reports, views: Views, facts: Facts, now: float) -> None:
        self._reports = reports
        self._views = views
        self._facts = facts
        self._now = now

    def checks(self) -> list[Check]:
        """Check what is under way, what nears its end, and the last backup."""
        return [self._intents(), self._pails(), self._backup()]

    def _intents(self) -> Check:
        overview = self._reports.overview()
        if overview.unresolved:
            says = f"the outcome of {overview.unresolved} is unknown"
            return Check(
                "transactions", Grade.FAIL, says, "compare books and chain: kalepool db verify --chain"
            )
        if not overview.open_intents:
            return Check("transactions", Grade.OK, "none under way")
        says = f"{overview.open_intents} under way"
        if overview.holder is not None and overview.holder.alive:
            return Check("transactions", Grade.OK, says)
        return Check("transactions", Grade.WARN, says, "the next `mine` or `harvest` closes them: run one")

    def _pails(self) -> Check:
        view = self._views.last()
        if view is None:
            return Check("pails", Grade.OK, "the network was not looked at yet")
        count, first = self._reports.expiring(view.ledger + NEAR_LEDGERS)
        if not count or first is None:
            return Check("pails", Grade.OK, "none is near its end")
        says = f"{some(count, 'pail')} to harvest soon, the first ends in {some(max(first - view.ledger, 0), 'ledger')}"
        return Check("pails", Grade.FAIL, says, "harvest them now: kalepool harvest")

    def _backup(self) -> Check:
        made = self._facts.get(LAST_BACKUP)
        advice = "make one elsewhere: kalepool db backup FILE"
        if made is None:
            return Check("backup", Grade.WARN, "there was never one", advice)
        days = max(self._now - float(made), 0) / DAY_S
        says = f"the last one is {some(int(days), 'day')} old" if days >= 1 else "the last one is of today"
        return Check("backup", Grade.WARN, says, advice) if days > 1 else Check("backup", Grade.OK, says)


class NetworkDoctor:
    """Looks at the network: the contract, the accounts.

    Args:
        chain: the network.
        facts: knows the agreed code of the contract.
    """

    def __init__(self, chain: Chain, facts: Facts | None) -> None:
        self._chain = chain
        self._facts = facts

    async def contract(self) -> Check:
        """Check that the contract answers, is not paused, and runs the code that was agreed to."""

        async def look() -> Check:
            snapshot = await self._chain.snapshot([])
            return self._contract(snapshot)

        return await _awaited("contract", look)

    def _contract(self, snapshot: Snapshot) -> Check:
        runs = snapshot.wasm_hash.hex()
        agreed = self._facts.get(CONTRACT_CODE) if self._facts is not None else None
        says = f"block {snapshot.farm.index:,}, code {runs[:12]}"
        if agreed is not None and agreed != runs:
            return Check(
                "contract",
                Grade.FAIL,
                f"it runs code {runs}, agreed was {agreed[:12]}",
                f"learn what changed, then: kalepool doctor --agree-contract {runs}",
            )
        if snapshot.farm.paused:
            return Check("contract", Grade.WARN, f"{says}, paused", "nobody can plant: wait")
        return Check("contract", Grade.OK, f"{says}, {'as agreed' if agreed else 'to be agreed by `mine`'}")

    async def operator(self, address: str, reports: Reports | None) -> Check:
        """Check that the operator's account exists, and for how long its XLM lasts."""

        async def look() -> Check:
            state = (await self._chain.accounts([address])).get(address)
            tip = await self._chain.tip()
            fees = reports.day_fees(2) if reports is not None else []
            return _operator(state, address, day_cost(fees, tip.close_time))

        return await _awaited("operator", look)

    async def channels(self, known: Sequence[str]) -> Check:
        """Check that the channel accounts, which harvest, exist."""

        async def look() -> Check:
            if not known:
                return Check("channels", Grade.WARN, "none yet", "`wallet fund` and `harvest` make them")
            states = await self._chain.accounts(known)
            missing = len(known) - len(states)
            if missing:
                says = f"{missing} of {len(known)} do not exist"
                return Check("channels", Grade.FAIL, says, "make them again: kalepool wallet fund --all")
            return Check("channels", Grade.OK, f"{len(known)} exist")

        return await _awaited("channels", look)

    async def farmers(self, farmers: Farmers) -> Check:
        """Check that farmers who were funded have accounts and trustlines."""

        async def look() -> Check:
            every = farmers.all()
            live = [
                farmer for farmer in every if farmer.state in _LIVE and farmer.custody is Custody.CUSTODIAL
            ]
            if not every:
                return Check("farmers", Grade.WARN, "none yet", "add one: kalepool farmer add NAME")
            states = await self._chain.accounts([farmer.address for farmer in live])
            return _farmers(every, live, states)

        return await _awaited("farmers", look)

    async def agree(self, written: str) -> str:
        """Take a hash that the operator agrees to; give it as it is stored.

        Args:
            written: hex of the contract's code hash.

        Raises:
            UsageError: when it is none, or not what the contract runs now.
            RetryableError: when no node answers.
        """
        wanted = written.lower()
        if len(wanted) != _HASH_DIGITS or not set(wanted) <= set("0123456789abcdef"):
            raise UsageError(
                f"{written!r} is no code hash", hint="it has 64 hexadecimal digits; `doctor` shows it"
            )
        runs = (await self._chain.snapshot([])).wasm_hash.hex()
        if wanted != runs:
            raise UsageError(
                f"the contract runs code {runs}, not {wanted}", hint="agree only to what you looked at"
            )
        return wanted


async def _awaited(name: str, look: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await look()
    except KalepoolError as error:
        return failed(name, error)


def _operator(state: AccountState | None, address: str, day: int | None) -> Check:
    fund = f"send XLM to {address}"
    if state is None:
        return Check("operator", Grade.FAIL, "its account does not exist", fund)
    says = f"{format_amount(state.xlm)} XLM, {format_amount(state.spendable)} above the reserve"
    if state.spendable == 0:
        return Check("operator", Grade.FAIL, says, fund)
    if not day:
        return Check("operator", Grade.OK, f"{says}; nothing was spent yet")
    days = state.spendable / day
    says = f"{says}: {days:,.1f} days at {format_amount(day)} XLM a day"
    return (
        Check("operator", Grade.WARN, says, fund) if days < LEAST_DAYS else Check("operator", Grade.OK, says)
    )


def _farmers(every: Sequence[Farmer], live: Sequence[Farmer], states: Mapping[str, AccountState]) -> Check:
    bare = [
        farmer.name for farmer in live if farmer.address not in states or states[farmer.address].kale is None
    ]
    if bare:
        names = ", ".join(bare[:_NAMED]) + (", ..." if len(bare) > _NAMED else "")
        says = f"{len(bare)} have no account or no KALE trustline: {names}"
        return Check("farmers", Grade.FAIL, says, "mend them: kalepool wallet fund --all")
    waiting = sum(farmer.state is FarmerState.CREATED for farmer in every)
    says = f"{len(live)} have their accounts and trustlines"
    if waiting:
        return Check("farmers", Grade.WARN, f"{says}, {waiting} have none yet", "kalepool wallet fund --all")
    return Check("farmers", Grade.OK, says)
