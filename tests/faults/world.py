"""One run: the network, the pool's processes, its operator, strangers, and what befalls them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from stellar_sdk import Keypair

from faults.ending import calm, pay_up, sweep_up
from faults.events import Events
from faults.machine import Machine
from faults.process import Process
from faults.scenario import LANDS_WITHIN, LEDGER_S
from faults.unseen import Unseen, take_from_chain
from kalepool.adapters.store.verify import verify
from kalepool.core.facts import CONTRACT_CODE
from kalepool.core.farmers import FarmerState
from kalepool.core.roster import Applicant
from kalepool.devnet.faults import NodeFaults
from kalepool.errors import KalepoolError, LockedError
from kalepool.services.mining import Mining
from kalepool.services.stopping import Goal
from kalepool.services.surveying import Wish
from kalepool.services.sweeping import Swept
from support.devnet import KALE, XLM, keypair
from support.vault import PHRASE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path

    from faults.scenario import Scenario
    from kalepool.bootstrap import Pool
    from kalepool.devnet.ledger import ClosedLedger
    from kalepool.services.events import Event

_GRACE_LEDGERS: Final = 4


class World(Machine):
    """Everything of one run.

    Attributes:
        trouble: why the present is no fair test, with how often each was begun.
        restored: whether a backup took the store's place. ``restored_at``: after which ledger, the last time.
        lost: first and last ledger of each span that a restored backup knew nothing of.
        may_confirm: whether every payment that was made is known to the store, as the operator finds out.
        calm_from: the first block that opened when nothing went wrong any more.
        sweeps: first and last ledger of each harvest by cron that ended well.
        homes: payout addresses by wallet.
        plan: of the last payout. ``waits``: what exits wait for at the end, by farmer's number.
    """

    def __init__(self, scenario: Scenario, folder: Path, tell: Callable[[str], None] | None = None) -> None:
        super().__init__(scenario, folder, tell)
        self.bench.devnet.on_close.append(self._closed)
        self.trouble: Counter[str] = Counter()
        self.unseen = Unseen()
        self.restored = False
        self.restored_at = 0
        self.lost: list[tuple[int, int]] = []
        self.may_confirm = True
        self.calm_from = 2**32
        self.sweeps: list[tuple[int, int]] = []
        self.homes: dict[str, set[str]] = {}
        self.plan: Any = None
        self.waits: Any = None
        self.mine: Process | None = None
        self.mining: Mining | None = None
        self._mine_since = 0
        self.stopping = False
        self.down = 0
        self.active: set[str] = set()
        self.joined: dict[str, int] = {}
        self.events = Events(self)
        self.tasks: list[asyncio.Task[Any]] = []
        self._lives = iter(zip(scenario.fuses, scenario.naps, strict=True))

    def is_lost(self, ledger: int | None) -> bool:
        """Tell whether a restore has taken away what was known of a ledger, or of what was sent in it."""
        return ledger is not None and any(first <= ledger <= last + LANDS_WITHIN for first, last in self.lost)

    async def ledgers(self, count: int) -> None:
        """Wait for so many ledgers."""
        for _ in range(count):
            await self.bench.devnet.wait_for_ledger()

    # The run

    async def run(self) -> None:
        """Live through the whole of it."""
        closing = asyncio.create_task(self._close_ledgers())
        try:
            await self._found()
            mining = asyncio.create_task(self._keep_mining())
            cron = asyncio.create_task(self._cron())
            auto = asyncio.create_task(self._pay_by_itself())
            while self.ledger.latest.sequence < self.scenario.ledgers:
                await self.ledgers(1)
            await calm(self)
            await mining
            await cron
            await auto
            await sweep_up(self)
            await pay_up(self)
            await take_from_chain(self)
        finally:
            closing.cancel()
            with suppress(asyncio.CancelledError):
                await closing

    async def _found(self) -> None:
        """Found the pool: accounts on the network, farmers with KALE in the store."""
        self.ledger.create_account(self.operator, 10_000 * XLM)
        for number in range(4):
            self.ledger.create_account(self.vault.channel(number), 2 * XLM)
        for address in self.wallets[: self.scenario.farmers]:
            self.ledger.create_account(address, 2 * XLM)
            self.ledger.give_kale(address, self.dice.randint(0, 200) * KALE)
        self.stranger = self.bench.account("stranger", xlm=5_000, kale=1_000_000)
        self.cold = self.bench.account("cold", xlm=10, kale=0)
        self.truth.payers = {self.operator, *self.wallets}
        self.truth.receivers = {self.operator, self.cold.public_key, *self.wallets}
        self.keys = {}
        for index, address in enumerate(self.wallets):
            keys = Keypair.from_mnemonic_phrase(PHRASE, index=1_000 + index)
            assert keys.public_key == address
            self.keys[address] = keys
        # A network without faults while it is founded.
        faults = {name: node.faults for name, node in self.bench.devnet.nodes.items()}
        for node in self.bench.devnet.nodes.values():
            node.faults = NodeFaults()

        async def found(process: Process) -> None:
            pool = process.pool
            async with pool.online():
                names = [Applicant(f"farmer-{number + 1}") for number in range(self.scenario.farmers)]
                added = pool.onboarding.add(names)
                await pool.funding.fund(await pool.funding.survey(added))
            for farmer, agreement in zip(added, self.scenario.agreements, strict=False):
                await self.events.put_terms(pool, farmer, agreement)

        await self.live("farmer", found)
        for name, node in self.bench.devnet.nodes.items():
            node.faults = faults[name]
        self.set_active(self.wallets[: self.scenario.farmers], since=0)

    def home(self, address: str, kind: str) -> str:
        """Give a payout address of a farmer, made where it is to exist; empty for none."""
        if not kind:
            return ""
        name = f"{kind} of {self.wallets.index(address)}"
        keys = keypair(name)
        if kind != "dead" and self.bench.entry(keys) is None:
            self.bench.account(name, xlm=10, kale=None if kind == "poor" else 0)
        self.homes.setdefault(address, set()).add(keys.public_key)
        self.truth.receivers.add(keys.public_key)
        return keys.public_key

    async def _close_ledgers(self) -> None:
        devnet = self.bench.devnet
        while True:
            late = devnet.draw_lateness()
            await asyncio.sleep(LEDGER_S + late)
            for process in self.processes.values():
                if process.is_alive:
                    process.digger.dig()
            devnet.close_ledger(late)

    def _closed(self, closed: ClosedLedger) -> None:
        self.truth.watch(closed)
        hashes = " ".join(one.transaction.outer_hash.hex()[:8] for one in closed.transactions)
        self.note("ledger", closed.close_time, self.ledger.farm.index, hashes)
        self.counts["transactions"] += len(closed.transactions)
        reasons = [name for name, count in self.trouble.items() if count > 0]
        if self.mine is None or not self.mine.is_alive:
            reasons.append("nobody mines")
            self._mine_since = closed.sequence
        elif closed.sequence < self._mine_since + _GRACE_LEDGERS:
            reasons.append("mine has just begun")
        if reasons:
            self.truth.troubles[closed.sequence] = ", ".join(reasons)
        if self.is_over:
            return
        for happening in self.scenario.happenings:
            if happening.ledger == closed.sequence:
                self.note("happens", happening)
                self.counts[happening.what] += 1
                self.begin(self._happen(happening))

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let something go on beside the rest; the run does not end before it."""
        task = asyncio.ensure_future(coroutine)
        self.tasks.append(task)
        return task

    async def _happen(self, happening: Any) -> None:
        try:
            await getattr(self.events, happening.what)(happening)
        except Exception as error:  # noqa: BLE001 - a mistake of the simulation must show
            self.errors.append(error)
            self.violate(f"the simulation failed in {happening.what}: {type(error).__name__}: {error}")

    # Mining

    async def _keep_mining(self) -> None:
        while not self.stopping:
            if self.down > 0:
                await self.ledgers(1)
                continue
            fuse, nap = (None, 1) if self.is_over else next(self._lives, (None, 1))
            self.mining = None
            result = await self.live("mine", self._mine, fuse=fuse)
            self.mine = None
            if isinstance(result, LockedError) and self.mining is not None and self.mining.picture().ledger:
                self.violate("another mine was let in beside one that lives")
            if self.stopping:
                return
            self.check_store("after a crash")
            if isinstance(result, KalepoolError):
                # As a service manager does: not at once.
                nap = 2
            for waited in range(nap):
                if self.is_over and waited > 1:
                    break
                await self.ledgers(1)
            if nap == 0:
                await asyncio.sleep(0.1)

    async def _mine(self, process: Process) -> Any:
        self.mine = process
        self._mine_since = self.ledger.latest.sequence
        async with process.pool.online():
            mining = self.mining = Mining(process.pool.means, Goal(None), [self._listen])
            return await mining.run()

    def _listen(self, events: Any) -> None:
        for event in events:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        self.note("told", event.name, event.farmer, event.block, event.ledger, event.reason, event.zeros)

    async def _cron(self) -> None:
        fuses = iter(self.scenario.cron_fuses)
        while not self.is_over and self.scenario.cron:
            await self.ledgers(self.scenario.cron)
            if not self.is_over:
                container = "elsewhere" if self.scenario.is_container else None
                await self.harvest(next(fuses, None), container)

    async def harvest(self, fuse: int | None = None, container: str | None = None) -> Any:
        """Run ``kalepool harvest``."""
        self.counts["harvests by cron"] += 1
        first = self.ledger.latest.sequence

        async def body(process: Process) -> Any:
            pool = process.pool
            if pool.harvest_lock.take():
                return None
            async with pool.online():
                farmers = tuple(pool.farmers.all())
                return await pool.sweeper.sweep(Wish(farmers, is_everyone=True), self.note)

        swept = await self.live("harvest", body, fuse=fuse, container=container)
        if isinstance(swept, Swept):
            self.sweeps.append((first, self.ledger.latest.sequence))
        return swept

    async def _pay_by_itself(self) -> None:
        fuses = iter(self.scenario.auto_fuses)
        while not self.is_over and self.scenario.auto:
            await self.ledgers(self.scenario.auto)
            if self.down:
                continue
            if not self.is_over:
                await self.events.pay_by_itself(next(fuses, None))

    def set_active(self, addresses: Iterable[str], since: int | None = None) -> None:
        """Take note of who is active: who was not before counts from a block on, by default the next but one."""
        now = set(addresses)
        for address in now - self.active:
            self.joined[address] = self.ledger.farm.index + 2 if since is None else since
        self.active = now

    async def agree(self) -> None:
        """Agree to the contract's code, as ``doctor --agree-contract`` does."""

        async def body(process: Process) -> None:
            async with process.pool.online():
                snapshot = await process.pool.chain.snapshot([])
                process.pool.facts.put(CONTRACT_CODE, snapshot.wasm_hash.hex())

        await self.live("doctor", body)

    def check_store(self, when: str) -> None:
        """Insist that what is on disk can be true."""
        if any(process.is_alive for process in self.processes.values()):
            return

        def look(pool: Any) -> list[str]:
            return verify(pool.store) + (
                [] if pool.books.total() == 0 else ["the postings do not sum to zero"]
            )

        process = Process(self, "db", len(self.processes) + 1)
        try:
            self._check_shown(process.pool)
            for finding in look(process.pool):
                self.violate(f"the store is not sound {when}: {finding}")
            self.set_active(farmer.address for farmer in process.pool.farmers.all(FarmerState.ACTIVE))
        finally:
            process.close()

    def _check_shown(self, pool: Pool) -> None:
        """Insist that the operator is told of every outcome that nobody knows."""
        count = pool.store.value("SELECT count(*) FROM intents WHERE state = 'unresolved'")
        if not count:
            return
        self.counts["unresolved, seen at rest"] += count
        status = pool.reporting.status(self.machine_time())
        if status.overview.unresolved != count or not any("unknown" in one.what for one in status.notices):
            self.violate(f"{count} unresolved outcomes are not shown to the operator")
