"""A pool that owes its farmers something: a farmstead with harvested pails, payout addresses and a crash."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from kalepool.core.farmers import Farmer, Terms
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.postings import MINTED, account
from kalepool.core.records import PailRecord, PailState
from kalepool.core.shares import Claim, owed
from kalepool.devnet.entries import Trustline
from kalepool.services.comparing import compare
from kalepool.xdr.keys import trustline_key
from support.devnet import KALE
from support.farmstead import Farmstead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.config import Value
    from kalepool.core.chain import SendAnswer
    from kalepool.devnet.ledger import LedgerSettings
    from kalepool.services.comparing import Comparison
    from kalepool.services.exiting import ExitQuote
    from kalepool.services.paying import Paid, PayoutPlan

_T = TypeVar("_T")

HALF = Terms(share_bps=5_000, fee_bps=1_000)
HALF_AT_ONCE = replace(HALF, exit_delay_h=0)
REWARD = 10 * KALE
SHARE, POOLS = 45 * KALE // 10, 55 * KALE // 10
"""Of that reward under those terms."""


class PowerCutError(Exception):
    """The machine stops."""


class Cut:
    """A broadcaster behind which the machine stops, before or after a send goes out.

    Args:
        inner: the wire.
        left: sends that still go through.
        before: stop before the one after these, or after it.
    """

    def __init__(self, inner: Any, left: int, *, before: bool) -> None:
        self._inner = inner
        self._left = left
        self._before = before

    async def send(self, envelopes: list[bytes]) -> list[SendAnswer]:
        if self._left == 0 and self._before:
            raise PowerCutError
        answers: list[SendAnswer] = await self._inner.send(envelopes)
        if self._left == 0:
            raise PowerCutError
        self._left -= 1
        return answers


class Cashbox:
    """A farmstead whose farmers have payout addresses, and a process that may die.

    Attributes:
        farmers: as added.
    """

    def __init__(
        self,
        folder: Path,
        *,
        channels: int = 4,
        settings: LedgerSettings | None = None,
        options: dict[str, Value] | None = None,
    ) -> None:
        self.stead = Farmstead(folder, settings)
        self.bench = self.stead.bench
        self.options = {"payout.pool_from_kale": "0", **(options or {})}
        self.farmers: list[Farmer] = []
        self.pool: Pool
        self.start()
        if channels:
            self.stead.add_channels(self.pool, channels)

    def start(self) -> None:
        """Begin as a new process does."""
        self.pool = self.stead.pool("payout", options=self.options)
        self._was_online = False

    def crash(self) -> None:
        """Die, and begin again; what the dead one held is taken over."""
        self.pool.close()
        self.start()

    def play(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.stead.play(coroutine)

    def add(self, count: int, *, terms: Terms = HALF, kale: int = 100, payout: bool = True) -> list[Farmer]:
        """Add farmers; each has a payout address of his own on the network, able to take KALE."""
        added = []
        for _ in range(count):
            number = len(self.farmers) + 1
            address = self.bench.account(f"payout {number}", kale=0).public_key if payout else None
            farmer = self.stead.add_farmers(
                self.pool, 1, kale=kale, terms=replace(terms, payout=address or terms.payout)
            )[0]
            self.farmers.append(farmer)
            added.append(farmer)
        return added

    def harvest(self, farmer: Farmer, index: int, reward: int, stake: int = 10 * KALE) -> None:
        """Let a reward be minted to a farmer's wallet, booked and remembered, as a harvest does."""
        held = self.wallet(farmer)
        self.bench.ledger.give_kale(farmer.address, held + reward)
        at = float(self.bench.ledger.latest.close_time)
        key = f"test:{farmer.number}:{index}"
        postings = [(MINTED, KALE_NAME, -reward), (account(farmer.address), KALE_NAME, reward)]
        self.pool.books.post(key, postings, at=at)
        planted = PailRecord(farmer.number, index, PailState.PLANTED, stake, 100)
        worked = replace(planted, state=PailState.WORKED, gap=2, zeros=3)
        over = replace(worked, state=PailState.HARVESTED, reward=reward)
        self.pool.pails.record([planted, worked, over])

    def lose(self, farmer: Farmer, index: int, stake: int) -> None:
        """Let a stake be lost by the pool's fault."""
        planted = PailRecord(farmer.number, index, PailState.PLANTED, stake, 100)
        self.pool.pails.record([planted, replace(planted, state=PailState.FORFEITED)])

    def agree(self, farmer: Farmer, terms: Terms, from_block: int) -> None:
        """Give a farmer new terms."""
        seal = self.pool.seal_terms(replace(farmer, terms=terms), from_block)
        self.pool.farmers.set_terms(farmer.number, terms, from_block=from_block, seal=seal, who="test")

    # Paying

    @asynccontextmanager
    async def online(self) -> AsyncIterator[Pool]:
        """Be on the network as one command is: a process goes there once."""
        if self._was_online:
            self.crash()
        self._was_online = True
        async with self.pool.online():
            yield self.pool

    def once(self, act: Callable[[Pool], Awaitable[_T]]) -> _T:
        """Do one thing on the network, as one command does."""

        async def go() -> _T:
            async with self.online() as pool:
                return await act(pool)

        return self.play(go())

    async def plan(self, *, now_due: bool = False) -> PayoutPlan:
        async with self.online():
            return await self.pool.paying.plan(now_due=now_due)

    async def settle_and_pay(self) -> tuple[PayoutPlan, Paid]:
        async with self.online():
            self.pool.settling.settle()
            plan = await self.pool.paying.plan()
            return plan, await self.pool.paying.pay(plan)

    def payout(self) -> tuple[PayoutPlan, Paid]:
        """Settle and pay, as the command does."""
        return self.play(self.settle_and_pay())

    # Leaving

    def ask_to_leave(self, farmer: Farmer) -> None:
        async def begin(pool: Pool) -> None:
            pool.exiting.begin(farmer.name)

        self.once(begin)

    def advance(self, farmer: Farmer) -> ExitQuote:
        """Pay out who has asked to leave, where nothing waits."""
        return self.once(lambda pool: pool.exiting.advance(farmer.name))

    def leave(self, farmer: Farmer) -> ExitQuote:
        """Ask and pay out in one, as ``farmer exit`` does."""

        async def go(pool: Pool) -> ExitQuote:
            pool.exiting.begin(farmer.name)
            return await pool.exiting.advance(farmer.name)

        return self.once(go)

    def stay(self, farmer: Farmer) -> Farmer:
        """Take the wish to leave back."""
        return self.once(lambda pool: pool.exiting.cancel(farmer.name))

    def cut_wire(self, left: int = 0, *, before: bool) -> None:
        """Let the machine stop at a send."""
        self.pool.__dict__["broadcaster"] = Cut(self.pool.broadcaster, left, before=before)

    # Looking

    def look(self) -> None:
        """Book what others have done."""
        self.once(lambda pool: pool.errands.clear())

    def open_books(self) -> None:
        """Take the balances of the operator and all farmers into the books, as they are now."""
        addresses = [self.stead.operator, *(farmer.address for farmer in self.farmers)]

        async def take(pool: Pool) -> None:
            states = await pool.chain.accounts(addresses)
            pool.openings.take(states.values(), at=pool.clock.now())

        self.once(take)

    def compare(self) -> Comparison:
        """Hold the books against the network."""
        return self.once(
            lambda pool: compare(pool.books, pool.farmers, pool.facts, pool.chain, self.stead.operator)
        )

    def wallet(self, farmer: Farmer) -> int:
        """Give what a farmer's wallet holds on the network, stroops of KALE."""
        return self.kale(farmer.address)

    def kale(self, address: str | None) -> int:
        """Give what an account holds on the network, stroops of KALE; 0 without a trustline."""
        assert address is not None
        found = self.bench.ledger.state.get(trustline_key(address, self.bench.identity.kale))
        return found.value.balance if found is not None and isinstance(found.value, Trustline) else 0

    def owed(self, claim: Claim, farmer: Farmer) -> int:
        return self.pool.books.balance(owed(claim, farmer.number), KALE_NAME)
