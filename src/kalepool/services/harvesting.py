"""Harvesting: pails that are due go out from channel accounts, together where the tractor takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.address import is_account
from kalepool.core.chain import Sent
from kalepool.core.farm import ContractError
from kalepool.core.harvests import Ripe, ripe
from kalepool.core.intents import Kind, Plan, State, pail_item
from kalepool.errors import RejectedError
from kalepool.services.submit import Order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.core.chain import AccountState, Landed, Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.core.intents import Intent
    from kalepool.core.records import PailRecord
    from kalepool.ports import Chain, Clock, Composer, Journal
    from kalepool.services.channels import Sources
    from kalepool.services.reconcile import Closed
    from kalepool.services.remembering import Memory
    from kalepool.services.submit import Submitted, Submitter

MOST_TOGETHER: Final = 48
"""Blocks in one call of the tractor: 96 entries of 400 that a footprint may name, 49 of 200 it may write."""

_LANDS_WITHIN_S: Final = 60
_REST_LEDGERS: Final = 60
"""A pail whose harvest a node refused is left alone for so long; then it is tried once more."""


@dataclass(frozen=True, slots=True)
class Due:
    """Pails of one farmer that are to be harvested.

    Attributes:
        farmer: whose.
        blocks: their indexes.
        reason: why now, for people.
    """

    farmer: Farmer
    blocks: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Harvested:
    """A pail that one of our transactions harvested.

    Attributes:
        farmer: his number.
        block: index.
        reward: stroops, beside the stake.
        stake: stroops of it that came back.
        transaction: hash of the envelope that landed, hex.
        why: what was strange about it, for people; mostly empty.
    """

    farmer: int
    block: int
    reward: int
    stake: int
    transaction: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Parcel:
    """Pails of one farmer for one transaction."""

    farmer: Farmer
    pails: tuple[Ripe, ...]

    @property
    def ends(self) -> int:
        return min(pail.ends for pail in self.pails)

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(pail.block for pail in self.pails)

    def halves(self) -> list[_Parcel]:
        """Give it as two, the pails that end sooner first."""
        middle = len(self.pails) // 2
        return [replace(self, pails=self.pails[:middle]), replace(self, pails=self.pails[middle:])]


class Harvester:
    """Sends harvests, and remembers what they paid.

    Args:
        chain: reads Blocks that a snapshot lacks.
        clock: network time.
        composer: builds.
        journal: knows what is under way.
        submitter: sends.
        sources: accounts to send from.
        memory: keeps what is known of pails in step.
        together: pails in one transaction at most; 1 where there is no tractor.
    """

    def __init__(
        self,
        chain: Chain,
        clock: Clock,
        composer: Composer,
        journal: Journal,
        submitter: Submitter,
        sources: Sources,
        memory: Memory,
        *,
        together: int = MOST_TOGETHER,
    ) -> None:
        self._chain = chain
        self._clock = clock
        self._composer = composer
        self._journal = journal
        self._submitter = submitter
        self._sources = sources
        self._memory = memory
        self._together = together
        self._refused: dict[tuple[int, int], tuple[int, str]] = {}

    def refusal(self, farmer: int, block: int) -> str:
        """Tell why a pail was not sent lately; empty where nothing stood in its way."""
        return self._refused.get((farmer, block), (0, ""))[1]

    async def send(self, due: Sequence[Due], snapshot: Snapshot) -> list[Submitted]:
        """Send what the accounts at hand can take, nearest end first; the rest is for the next call.

        Nothing is sent for a pail that is gone, unworked, of a block that is not over, or under way
        already: what the chain shows instead is remembered.

        Args:
            due: what to harvest.
            snapshot: a read that asked for every pail of these. Blocks that it lacks are read here.

        Raises:
            RejectedError: when there is no account to send from.
            RetryableError: when no node answers; then nothing was sent.
        """
        if not due:
            return []
        snapshot = await self._with_blocks(due, snapshot)
        self._remember(due, snapshot)
        parcels = await self._able(self._parcels(due, snapshot), snapshot.ledger)
        if not parcels:
            return []
        sources = await self._sources.free()
        orders = await self._orders(parcels, sources, snapshot.ledger)
        results = await self._submitter.submit(orders, ledger=snapshot.ledger)
        for result in results:
            if result.refused is not None and result.intent is not None:
                for key in pails_of(result.intent):
                    self._refused[key] = (snapshot.ledger, result.refused.message)
            if result.answer is not None and result.answer.status is Sent.ERROR:
                self._sources.forget(result.order.source)
        return results

    def settle(self, closed: Sequence[Closed]) -> list[Harvested]:
        """Remember what closed harvests paid; give each pail that one of our transactions harvested.

        Args:
            closed: what ``Reconciler.reconcile`` gave.
        """
        harvested: list[Harvested] = []
        for one in closed:
            if one.intent.kind is not Kind.HARVEST or one.state is not State.SETTLED or one.landed is None:
                continue
            transaction = one.intent.attempts[-1].outer_hashes[-1]
            for (farmer, block), record in remember(self._memory, one.intent, one.landed).items():
                assert record.reward is not None
                back = record.stake - record.lost
                harvested.append(Harvested(farmer, block, record.reward, back, transaction, record.why))
        return harvested

    async def _with_blocks(self, due: Sequence[Due], snapshot: Snapshot) -> Snapshot:
        """Give the snapshot, or a fresh one with the Blocks that it lacks."""
        over = {block for one in due for block in one.blocks if block < snapshot.farm.index}
        if over <= snapshot.blocks.keys():
            return snapshot
        pails = [(one.farmer.address, block) for one in due for block in one.blocks]
        return await self._chain.snapshot(pails, sorted(over), current=False)

    def _remember(self, due: Sequence[Due], snapshot: Snapshot) -> None:
        asked = [(one.farmer.number, block) for one in due for block in one.blocks]
        self._memory.take(snapshot, asked, {one.farmer.number: one.farmer for one in due})

    def _parcels(self, due: Sequence[Due], snapshot: Snapshot) -> list[_Parcel]:
        taken = {item for intent in self._journal.open_intents(mine=False) for item in intent.items}
        parcels = []
        for one in due:
            pails = []
            ended = self._memory.ended(one.farmer.number, one.blocks)
            for block in sorted(set(one.blocks) - ended):
                key = one.farmer.number, block
                tried = self._refused.get(key)
                if pail_item(*key) in taken or (tried and snapshot.ledger < tried[0] + _REST_LEDGERS):
                    continue
                try:
                    pails.append(ripe(snapshot, one.farmer.address, block))
                except ContractError:
                    continue
            parcels += [
                _Parcel(one.farmer, tuple(pails[first : first + self._together]))
                for first in range(0, len(pails), self._together)
            ]
        return sorted(parcels, key=lambda parcel: (parcel.ends, parcel.farmer.number, parcel.blocks))

    async def _able(self, parcels: Sequence[_Parcel], ledger: int) -> list[_Parcel]:
        """Leave out farmers who cannot be paid: no trustline, or no room in it. A failed call costs its fee too."""
        addresses = [parcel.farmer.address for parcel in parcels if is_account(parcel.farmer.address)]
        accounts = await self._sources.accounts(list(dict.fromkeys(addresses)))
        able = []
        for parcel in parcels:
            why = _unpayable(parcel, accounts.get(parcel.farmer.address))
            if why:
                self._sources.forget(parcel.farmer.address)
                self._refuse(parcel, ledger, why)
            else:
                able.append(parcel)
        return able

    async def _orders(self, parcels: Sequence[_Parcel], sources: dict[str, int], ledger: int) -> list[Order]:
        orders: list[Order] = []
        waiting, free = list(parcels), list(sources.items())
        while waiting and free:
            parcel, (source, sequence) = waiting.pop(0), free[0]
            max_time = int(self._clock.now()) + _LANDS_WITHIN_S
            try:
                build = await self._composer.harvest(
                    parcel.farmer.address, source=source, blocks=parcel.blocks, max_time=max_time
                )
            except RejectedError as error:
                # Too much for one call, or one pail of it in the way: the half without it can go.
                if len(parcel.pails) > 1:
                    waiting = [*parcel.halves(), *waiting]
                else:
                    self._refuse(parcel, ledger, error.message)
                continue
            free.pop(0)
            orders.append(Order(_plan(parcel, ledger), source, sequence, build))
            self._forget_refusals(parcel)
        return orders

    def _refuse(self, parcel: _Parcel, ledger: int, why: str) -> None:
        for block in parcel.blocks:
            self._refused[parcel.farmer.number, block] = (ledger, why)

    def _forget_refusals(self, parcel: _Parcel) -> None:
        for block in parcel.blocks:
            self._refused.pop((parcel.farmer.number, block), None)


def _unpayable(parcel: _Parcel, account: AccountState | None) -> str:
    """Tell why a farmer's account cannot take what a harvest mints; empty where it can."""
    if not is_account(parcel.farmer.address):
        return ""
    if account is None or account.kale is None or account.kale_limit is None:
        return f"{parcel.farmer.name} has no KALE trustline"
    minted = sum(pail.reward + pail.stake for pail in parcel.pails)
    if account.kale_limit - account.kale < minted:
        return f"the KALE trustline of {parcel.farmer.name} has no room for it"
    return ""


def _plan(parcel: _Parcel, ledger: int) -> Plan:
    """Plan a harvest. The ledger makes its purpose new when the same pails have to be tried again."""
    farmer, blocks = parcel.farmer.number, parcel.blocks
    purpose = f"harvest:{farmer}:{blocks[0]}-{blocks[-1]}:{ledger}"
    return Plan(Kind.HARVEST, purpose, tuple(pail_item(farmer, block) for block in blocks))


def remember(memory: Memory, intent: Intent, landed: Landed) -> dict[tuple[int, int], PailRecord]:
    """Remember which pails a harvest of ours has paid, and how much; give them, also where that was known."""
    mints = [move.amount for move in landed.moves if move.kind == "mint"]
    return memory.settle(pails_of(intent), mints)


def pails_of(intent: Intent) -> list[tuple[int, int]]:
    """Give the pails that a harvest covers, (farmer's number, block index), in the order of its call."""
    numbers = (item.split(":")[1:] for item in intent.items)
    return sorted((int(farmer), int(block)) for farmer, block in numbers)
