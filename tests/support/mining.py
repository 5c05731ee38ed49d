"""A shift of mining on a farmstead, in virtual time, with the real engine hashing between ledgers."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from stellar_sdk import Asset, Keypair

from kalepool.core.postings import KALE, XLM, account
from kalepool.devnet.entries import Trustline
from kalepool.devnet.neighbours import Neighbours
from kalepool.services.mining import Mining, Outcome
from kalepool.services.stopping import Goal
from kalepool.xdr.keys import account_key, trustline_key
from support.devnet import XLM as ONE_XLM
from support.devnet import keypair
from support.farmstead import Farmstead
from support.vault import PHRASE
from support.virtual import loop_time, run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from kalepool.bootstrap import Pool
    from kalepool.config import Value
    from kalepool.devnet.faults import FaultPlan
    from kalepool.devnet.ledger import LedgerSettings
    from kalepool.services.events import Event, Name

_T = TypeVar("_T")

_PATIENCE_S = 5.0


class Shift:
    """A pool that mines.

    Attributes:
        stead: the farmstead.
        events: everything told so far.
        at: what happens once a ledger has closed, by its sequence.
        ledger_s: seconds of the machine's time in which a ledger of five network seconds passes.
        late: by how many seconds the next ledger is late, by the sequence of the one before.
    """

    def __init__(
        self,
        folder: Path,
        *,
        farmers: int = 3,
        neighbours: int = 6,
        plan: FaultPlan | None = None,
        operator_xlm: int = 10_000,
        options: Mapping[str, Value] | None = None,
        kale: int = 100,
        settings: LedgerSettings | None = None,
    ) -> None:
        self.folder = folder
        self.stead = Farmstead(folder, settings, plan, operator_xlm=operator_xlm)
        self.ledger = self.stead.bench.ledger
        if neighbours:
            Neighbours(self.ledger, neighbours)
        self.options: dict[str, Value] = {"mining.threads": 1, **(options or {})}
        self.events: list[Event] = []
        self.at: dict[int, Callable[[], None]] = {}
        self.late: dict[int, float] = {}
        self.slept = 0.0
        self.ledger_s = 5.0
        self.pool = self._start()
        self.farmers = self.stead.add_farmers(self.pool, farmers, kale=kale) if farmers else []
        self.before = {farmer.address: self.balances(farmer.address) for farmer in self.farmers}
        self.before[self.stead.operator] = self.balances(self.stead.operator)
        self.stead.add_channels(self.pool)
        self.mining: Mining | None = None
        self._task: asyncio.Task[Outcome] | None = None

    def balances(self, address: str) -> tuple[int, int]:
        """Give (KALE, XLM) that the chain holds for an address, stroops."""
        bench = self.stead.bench
        entry = bench.entry(address)
        assert entry is not None
        line = bench.ledger.state.get(trustline_key(address, bench.identity.kale))
        return (line.value.balance if line and isinstance(line.value, Trustline) else 0), entry.balance

    def set_xlm(self, address: str, stroops: int) -> None:
        """Let an account hold so much XLM from now on."""
        entry = self.stead.bench.entry(address)
        assert entry is not None
        self.ledger.put_now(account_key(address), replace(entry, balance=stroops))
        self.before[address] = self.balances(address)

    def pay_himself(self, number: int, asset: Asset) -> None:
        """Let a farmer send 1 of an asset to himself from his own wallet; a stranger pays the fee."""
        bench, farmer = self.stead.bench, self.farmers[number]
        keys = Keypair.from_mnemonic_phrase(PHRASE, index=1_000 + (farmer.wallet_index or 0))
        stranger = keypair("who pays fees for others")
        if bench.entry(stranger) is None:
            self.ledger.create_account(stranger.public_key, 10 * ONE_XLM)
        envelope = bench.builder(keys).append_payment_op(farmer.address, asset, "1").build()
        envelope.sign(keys)
        bench.accept(bench.bump(envelope, stranger))

    def again(self) -> Pool:
        """Close the pool, and open it as the next process does."""
        self.pool.close()
        self.pool = self._start()
        return self.pool

    def _start(self) -> Pool:
        pool = self.stead.pool("mine", options=self.options)
        pool._monotonic = lambda: loop_time() + self.slept
        return pool

    def mine(self, blocks: int | None = None, *, opens: bool = True, seconds: float = 20_000) -> Outcome:
        """Mine; whoever mines on after so many virtual seconds is cancelled, and that is a TimeoutError."""

        async def go() -> Outcome:
            async with self.pool.online():
                self.mining = Mining(self.pool.means, Goal(blocks, opens=opens), [self.events.extend])
                self._task = asyncio.create_task(self.mining.run())
                return await asyncio.wait_for(self._task, seconds)

        return self.play(go())

    def play(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine while ledgers close, and the engine gets real time in each of them."""

        async def both() -> _T:
            closing = asyncio.create_task(self._close_ledgers())
            try:
                return await coroutine
            finally:
                closing.cancel()
                with suppress(asyncio.CancelledError):
                    await closing

        return run(both())

    async def _close_ledgers(self) -> None:
        while True:
            late = self.late.pop(self.ledger.latest.sequence, 0.0)
            await asyncio.sleep(self.ledger_s + late)
            self._hash()
            if late:
                self.ledger.close(late)
            else:
                self.stead.bench.close()
            action = self.at.pop(self.ledger.latest.sequence, None)
            if action is not None:
                action()

    def _hash(self) -> None:
        """Let the engine find a proof for everybody: virtual time gives it none."""
        if "miner" not in self.pool.__dict__:
            return
        end = time.monotonic() + _PATIENCE_S
        while any(progress.best is None for progress in self.pool.miner.read_all().values()):
            if not self.pool.miner.stats().running or time.monotonic() > end:
                return
            time.sleep(0.0005)

    def told(self, name: Name, block: int | None = None) -> list[Event]:
        """Give the events of a kind, of a block or of all."""
        return [event for event in self.events if event.name is name and block in {None, event.block}]

    def names(self, name: Name, block: int | None = None) -> list[str]:
        """Give the names of the farmers that events are about, sorted."""
        return sorted(event.farmer or "" for event in self.told(name, block))

    def check_books(self) -> None:
        """Insist that the books sum to zero and say of each account what the chain says."""
        assert self.pool.books.total() == 0
        for address, (kale, xlm) in self.before.items():
            now = self.balances(address)
            changed = (
                self.pool.books.balance(account(address), KALE),
                self.pool.books.balance(account(address), XLM),
            )
            assert changed == (now[0] - kale, now[1] - xlm), address

    def sleep(self, ledgers: int) -> None:
        """Let so many ledgers close at once, as it looks to a machine that was suspended meanwhile."""
        self.stead.bench.close(ledgers)
        self.slept += 5.0 * ledgers

    def stop(self) -> None:
        """Ask the loop to stop, as a Ctrl-C does."""
        assert self.mining is not None
        self.mining.request_stop()

    def kill(self) -> None:
        """Let the loop end here, with the store as it is now."""
        self.remember_crash()
        assert self._task is not None
        self._task.cancel()

    def remember_crash(self) -> None:
        """Keep the store as a SIGKILL would leave it now."""
        for name in ("kalepool.db", "kalepool.db-wal"):
            shutil.copy(self.folder / name, self.folder / f"crashed-{name}")

    def crash(self) -> None:
        """Go on from the kept store, with everybody in it dead."""
        self.pool.close()
        for path in self.folder.glob("kalepool.db*"):
            path.unlink()
        for path in self.folder.glob("crashed-kalepool.db*"):
            path.rename(self.folder / path.name.removeprefix("crashed-"))
        with sqlite3.connect(self.folder / "kalepool.db") as store:
            store.execute("UPDATE owners SET gone = 1")
        store.close()
        self.pool = self._start()
        self.events.clear()
