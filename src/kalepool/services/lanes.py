"""From farmers to lanes: who can be planted and worked for now, with what, and what is under way already."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.intents import Kind, State, pail_of
from kalepool.core.postings import KALE, account
from kalepool.core.rounds import Lane
from kalepool.core.shares import interest_of
from kalepool.services.observing import kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kalepool.core.chain import AccountState
    from kalepool.core.farm import Proof
    from kalepool.core.farmers import Farmer
    from kalepool.core.intents import Intent
    from kalepool.services.means import Means
    from kalepool.services.reconcile import Closed

Key = tuple[int, int]
"""(farmer's number, block index)."""


@dataclass(slots=True)
class UnderWay:
    """What open intents of all processes are about.

    Attributes:
        plants: pails with an open plant. ``works`` and ``harvests`` likewise.
        sources: accounts whose sequence number an open attempt may take.
        count: how many transactions may be in the network's queue.
    """

    plants: set[Key] = field(default_factory=set)
    works: set[Key] = field(default_factory=set)
    harvests: set[Key] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    count: int = 0

    @classmethod
    def of(cls, intents: Iterable[Intent]) -> UnderWay:
        """Gather it."""
        found = cls()
        for intent in intents:
            is_known = intent.state is not State.UNRESOLVED
            found.add(intent.kind, intent.items, *(attempt.source for attempt in intent.attempts if is_known))
            # What a person must look at is in no queue.
            found.count -= intent.state is State.UNRESOLVED
        return found

    def add(self, kind: Kind, items: Iterable[str], *sources: str) -> None:
        """Count one more."""
        by_kind = {Kind.PLANT: self.plants, Kind.WORK: self.works, Kind.HARVEST: self.harvests}
        by_kind.get(kind, set()).update(pail for item in items if (pail := pail_of(item)) is not None)
        self.sources.update(sources)
        self.count += 1

    def opens(self, block: int) -> bool:
        """Tell whether a plant for a block is open."""
        return any(one == block for _, one in self.plants)


class Landings:
    """What has landed and no snapshot has shown yet: until one does, it counts as under way."""

    def __init__(self) -> None:
        self._ledgers: dict[tuple[Kind, Key], int] = {}

    def note(self, closed: Sequence[Closed]) -> None:
        """Take note of what a reconciliation found in ledgers."""
        for one in closed:
            if one.landed is not None:
                for item in one.intent.items:
                    pail = pail_of(item)
                    if pail is not None:
                        self._ledgers[one.intent.kind, pail] = one.landed.ledger

    def add_to(self, under_way: UnderWay, ledger: int) -> None:
        """Count what landed after a snapshot's ledger as under way; forget what the snapshot shows."""
        self._ledgers = {key: landed for key, landed in self._ledgers.items() if landed > ledger}
        for kind, pail in self._ledgers:
            if kind is Kind.PLANT:
                under_way.plants.add(pail)
            elif kind is Kind.WORK:
                under_way.works.add(pail)
            elif kind is Kind.HARVEST:
                under_way.harvests.add(pail)


class Accounts:
    """Balances and sequence numbers, read once for each block that is planted.

    Args:
        means: of the pool.
        remembers: whether what is read is put into the store too.
    """

    def __init__(self, means: Means, *, remembers: bool = True) -> None:
        self._means = means
        self._remembers = remembers
        self._block: int | None = None
        self._known: dict[str, AccountState] = {}
        self._used: dict[str, int] = {}  # sequence numbers that no node may take back

    def __getitem__(self, address: str) -> AccountState | None:
        return self._known.get(address)

    def outdate(self) -> None:
        """Something shows that accounts have changed: read them again before the next plants."""
        self._block = None

    def note_used(self, address: str, sequence: int) -> None:
        """Take note that an account has come to a number: a node that lags would have it signed once more."""
        self._used[address] = max(sequence, self._used.get(address, 0))
        self.outdate()

    def charge(self, address: str, stroops: int) -> None:
        """Take a fee that was paid since from what was read."""
        state = self._known.get(address)
        if state is not None:
            self._known[address] = replace(
                state, xlm=state.xlm - stroops, spendable=max(state.spendable - stroops, 0)
            )

    async def ready_for(self, block: int, farmers: Sequence[Farmer], ledger: int) -> None:
        """Read the accounts unless they were read for this block; those of new farmers too.

        Raises:
            RetryableError: when no node answers; what was known stays known, and is not used for this block.
        """
        wanted = [farmer.address for farmer in kept(farmers) if farmer.custody is Custody.CUSTODIAL]
        if self._block == block and all(address in self._known for address in wanted):
            return
        self._block = None
        found = await self._means.chain.accounts([self._means.operator, *wanted])
        for address in self._used.keys() & found.keys():
            state = found[address]
            found[address] = replace(state, sequence=max(state.sequence, self._used[address]))
        self._known = found
        if self._remembers:
            self._means.views.save_accounts(list(found.values()), ledger)
        self._block = block


def make_lanes(
    farmers: Sequence[Farmer],
    accounts: Accounts,
    reserved: Mapping[tuple[str, str], int],
    under_way: UnderWay,
    proofs: Mapping[int, Proof],
    *,
    index: int,
    every: int | None,
    for_pool: bool = False,
    debtors: frozenset[int] = frozenset(),
) -> list[Lane]:
    """Make a lane of each farmer that the pool looks after.

    Args:
        farmers: of the pool, with the terms of the block that may be planted.
        accounts: as read for it. Who has none, or no trustline, is not planted for.
        reserved: what is not free: open intents may spend it, or it is owed.
        under_way: what is in the network's queue.
        proofs: the best by farmer.
        index: FarmIndex.
        every: harvest after so many blocks whatever the terms say; None to follow them.
        for_pool: whether the pool's part of rewards is made the most of.
        debtors: farmers who owe the pool more than they may: nothing is worked for them.
    """
    plants: dict[int, set[int]] = defaultdict(set)
    for number, block in under_way.plants:
        if block >= index:
            plants[number].add(block)
    lanes = []
    for farmer in kept(farmers):
        state = accounts[farmer.address] if farmer.custody is Custody.CUSTODIAL else None
        kale = None if state is None else state.kale
        available = None
        if kale is not None:
            available = max(kale - reserved.get((account(farmer.address), KALE), 0), 0)
        lanes.append(
            Lane(
                farmer.number,
                farmer.address,
                plants=farmer.state is FarmerState.ACTIVE and available is not None,
                works=farmer.number not in debtors,
                stake=None if kale is None else farmer.terms.stake.of(kale),
                available=available,
                proof=proofs.get(farmer.number),
                under_way=frozenset(plants[farmer.number]),
                working=(farmer.number, index) in under_way.works,
                harvest_every=every or farmer.terms.harvest_every,
                interest=interest_of(farmer.terms, for_pool=for_pool),
            )
        )
    return lanes
