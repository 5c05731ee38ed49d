"""A pool as its operator has it: settings, store and vault in a folder, over a devnet in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from kalepool.adapters.stellar.network import Network
from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.config import load
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.devnet.app import Application
from kalepool.networks import NETWORKS
from support.devnet import KALE, XLM, Bench
from support.stellar import Patched
from support.vault import MAIN, make, secret
from support.virtual import loop_time, run

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from kalepool.config import Value
    from kalepool.devnet.faults import FaultPlan
    from kalepool.devnet.ledger import LedgerSettings

_T = TypeVar("_T")

CHANNELS = 4


class Farmstead:
    """Everything a pool needs but the farmers. The operator has 10,000 XLM, or no account for None.

    Args:
        folder: where its files are.
        settings: of the devnet.
        plan: its faults.
        operator_xlm: what the operator has.
        bench: a devnet that is there already, with the transport that reaches it.
        transport: likewise.

    Attributes:
        bench: the devnet.
        transport: carries the client's requests to it, and counts and changes answers.
    """

    def __init__(
        self,
        folder: Path,
        settings: LedgerSettings | None = None,
        plan: FaultPlan | None = None,
        *,
        operator_xlm: int | None = 10_000,
        bench: Bench | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.folder = folder
        self.bench = bench or Bench(settings, plan)
        self.transport = Patched(transport or httpx.ASGITransport(Application(self.bench.devnet)))
        local = NETWORKS["local"]
        self.network = Network.of(local.passphrase, local.kale, local.asset, local.tractor)
        self.vault = make(folder / "kalepool.vault", operations=True)
        create_store(folder / "kalepool.db", Home(local.passphrase, local.kale))
        self.operator = self.vault.operator
        if operator_xlm is not None:
            self.bench.ledger.create_account(self.operator, operator_xlm * XLM)

    def pool(
        self, role: str = "test", *, passphrase: str = MAIN, options: Mapping[str, Value] | None = None
    ) -> Pool:
        """Make the pool of another process."""
        return Pool(
            load(None, {}, self.folder, options),
            role,
            lambda: secret(passphrase),
            transport=self.transport,
            monotonic=loop_time,
        )

    def add_farmers(
        self,
        pool: Pool,
        count: int,
        *,
        kale: int = 100,
        terms: Terms | None = None,
        state: FarmerState = FarmerState.ACTIVE,
    ) -> list[Farmer]:
        """Add farmers who are on the network already, with a trustline and so many KALE."""
        first = pool.farmers.next_wallet_index()
        farmers = []
        for index in range(first, first + count):
            address = pool.vault.wallet(index)
            self.bench.ledger.create_account(address, 2 * XLM)
            self.bench.ledger.give_kale(address, kale * KALE)
            name = f"farmer-{index + 1}"
            farmers.append(Farmer(0, name, address, Custody.CUSTODIAL, state, index, terms or Terms()))
        return pool.farmers.add(farmers, who="test", seal=pool.seal_terms)

    def add_channels(self, pool: Pool, count: int = CHANNELS) -> None:
        """Create channel accounts on the network and make them known."""
        for number in range(count):
            self.bench.ledger.create_account(pool.vault.channel(number), 2 * XLM)
        pool.channels.add([(number, pool.vault.channel(number)) for number in range(count)])

    def play(self, coroutine: Coroutine[Any, Any, _T], *, ledger_seconds: float = 5.0) -> _T:
        """Run a coroutine to its end while a ledger closes every so many virtual seconds."""

        async def both() -> _T:
            closing = asyncio.create_task(self._close_ledgers(ledger_seconds))
            try:
                return await coroutine
            finally:
                closing.cancel()
                with suppress(asyncio.CancelledError):
                    await closing

        return run(both())

    async def _close_ledgers(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            self.bench.close()
