"""The pool's services over a devnet, a store on disk and the real node's client, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.adapters.stellar.calls import Plant
from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.facts import StoreFacts
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.opening import Home, create_store, open_store
from kalepool.core.intents import Kind, Plan, pail_item, plant_purpose
from kalepool.core.postings import KALE as KALE_NAME
from kalepool.core.postings import account
from kalepool.services.reconcile import Closed, Observed, Reconciler
from kalepool.services.submit import Order, Submitted, Submitter
from kalepool.services.witness import Witness
from support.stellar import Pool
from support.store import Town
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from stellar_sdk import Keypair

    from kalepool.core.chain import SendAnswer, Snapshot
    from kalepool.core.intents import Intent
    from kalepool.devnet.faults import NodeFaults
    from kalepool.devnet.ledger import LedgerSettings
    from kalepool.ports import Sealed


class Wire:
    """The broadcaster, with a way to let something happen instead of a send."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.sent: list[bytes] = []
        self.instead: Callable[[Sequence[bytes]], list[SendAnswer]] | None = None

    async def send(self, envelopes: Sequence[bytes]) -> list[SendAnswer]:
        if self.instead is not None:
            return self.instead(envelopes)
        self.sent += envelopes
        return await self.pool.broadcaster.send(envelopes)


class House:
    """A pool's services; ``crash`` loses all memory and opens the store again."""

    def __init__(
        self,
        folder: Path,
        settings: LedgerSettings | None = None,
        *,
        second: NodeFaults | None = None,
        ours: set[str] | None = None,
    ) -> None:
        self.pool = Pool(settings, second=second)
        self.ours = ours
        self.path = folder / "kalepool.db"
        self.home = Home(self.pool.passphrase, self.pool.kale)
        self.dead: set[int] = set()
        self.process = 0
        create_store(self.path, self.home)
        self.start()

    def start(self) -> None:
        """Open the store as a new process does."""
        self.process += 1
        self.store = open_store(self.path, self.home)
        town = Town(self.store)
        town.dead = self.dead
        self.journal = StoreJournal(self.store, town.owner(self.process))
        self.books = StoreBooks(self.store)
        self.facts = StoreFacts(self.store, town.clock)
        self.start_services()

    def start_services(self) -> None:
        """Make the services anew, over the pool's client as it is now; they remember nothing."""
        self.wire = Wire(self.pool)
        self.submitter = Submitter(self.journal, self.wire)
        operator = self.pool.operator.public_key
        self.witness = (
            None
            if (ours := self.ours) is None
            else Witness(
                self.books,
                self.facts,
                self.journal,
                self.store,
                operator,
                lambda: {operator, *ours},
            )
        )
        self.reconciler = Reconciler(
            self.journal,
            self.books,
            self.store,
            self.pool.chain,
            self.submitter,
            operator,
            self.witness,
        )

    def crash(self) -> None:
        """Die and start again."""
        self.dead.add(self.process)
        self.store.close()
        self.start()

    def farmers(self, count: int, kale: int = 100) -> list[Keypair]:
        return [self.pool.member(f"farmer {number}", kale=kale) for number in range(1, count + 1)]

    def order(self, number: int, farmer: Keypair, stake: int, *, seconds: int = 30) -> Order:
        """Order a plant in the current block."""
        block = self.pool.farm.index
        entry = self.pool.entry(farmer)
        assert entry is not None

        def build(sequence: int) -> Sealed:
            call = Plant(farmer.public_key, stake, block)
            if not self.pool.transactions.knows(call):
                run(self.pool.transactions.learn(call, farmer.public_key))
            lane = self.pool.lane(farmer)
            assert sequence == lane.sequence
            return self.pool.transactions.build(call, lane, self.pool.bounds(seconds), 200)

        plan = Plan(
            Kind.PLANT,
            plant_purpose(number, block),
            (pail_item(number, block),),
            ((account(farmer.public_key), KALE_NAME, stake),) if stake else (),
        )
        return Order(plan, farmer.public_key, entry.sequence, build)

    def learn(self, farmer: Keypair, stake: int) -> None:
        """Let a node simulate a plant once, so that building needs no network."""
        call = Plant(farmer.public_key, stake, self.pool.farm.index)
        run(self.pool.transactions.learn(call, farmer.public_key))

    def submit(self, *orders: Order) -> list[Submitted]:
        return run(self.submitter.submit(orders, ledger=self.pool.ledger.latest.sequence))

    def reconcile(self, snapshot: Snapshot | None = None) -> list[Closed]:
        return run(self.reconciler.reconcile(snapshot))

    def observe(self, snapshot: Snapshot | None = None) -> Observed:
        return run(self.reconciler.observe(snapshot))

    def snapshot(self, farmers: Sequence[Keypair], *blocks: int) -> Snapshot:
        """Read the pails of farmers in blocks."""
        pails = [(farmer.public_key, block) for farmer in farmers for block in blocks]
        return run(self.pool.chain.snapshot(pails))

    def postings(self) -> dict[int, dict[tuple[str, str], int]]:
        """Give what the books hold of each intent: stroops by account and asset."""
        entries: dict[int, dict[tuple[str, str], int]] = {}
        for intent, name, asset, stroops in self.store.all(
            "SELECT intent, account, asset, stroops FROM postings JOIN entries ON entry = entries.number"
        ):
            entries.setdefault(intent, {})[name, asset] = stroops
        return entries

    def open_intents(self) -> list[Intent]:
        return self.journal.open_intents(mine=False)
