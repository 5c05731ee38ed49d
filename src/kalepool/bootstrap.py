"""The composition root: the one place that knows every adapter, and wires services to them.

Everything is made when it is first asked for, so that a command pays for what it uses: ``status`` opens
a store and nothing else, and only what builds transactions loads the SDK.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from kalepool.core.amounts import parse_amount
from kalepool.core.farmers import Custody, Terms
from kalepool.core.prices import parse_price
from kalepool.core.roster import parse_stake
from kalepool.core.sealing import audit_entry, terms_message
from kalepool.core.strategy import POLICIES, Fixed
from kalepool.errors import ConfigError, RetryableError
from kalepool.networks import LOCAL, NETWORKS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    import httpx

    from kalepool.adapters.clock import NetworkClock
    from kalepool.adapters.miner import Miner
    from kalepool.adapters.stellar.broadcast import StellarBroadcaster
    from kalepool.adapters.stellar.calls import Deployment
    from kalepool.adapters.stellar.chain import StellarChain
    from kalepool.adapters.stellar.composer import StellarComposer
    from kalepool.adapters.stellar.network import Network
    from kalepool.adapters.stellar.rpc import RpcClient
    from kalepool.adapters.stellar.transactions import Transactions
    from kalepool.adapters.stellar.transport import Limits
    from kalepool.adapters.store.audit import StoreAudit
    from kalepool.adapters.store.books import StoreBooks
    from kalepool.adapters.store.channels import ChannelLeases
    from kalepool.adapters.store.db import Store
    from kalepool.adapters.store.facts import StoreFacts
    from kalepool.adapters.store.farmers import StoreFarmers
    from kalepool.adapters.store.grinds import StoreGrinds
    from kalepool.adapters.store.histories import StoreHistories
    from kalepool.adapters.store.journal import StoreJournal
    from kalepool.adapters.store.locks import HarvestLock, MiningLock
    from kalepool.adapters.store.opening import Home
    from kalepool.adapters.store.owners import Owner
    from kalepool.adapters.store.pails import StoreBlocks, StorePails
    from kalepool.adapters.store.reports import StoreReports
    from kalepool.adapters.store.roll_up import StoreRollUp
    from kalepool.adapters.store.views import StoreViews
    from kalepool.adapters.vault import Addresses, Vault
    from kalepool.config import Config
    from kalepool.core.chain import Landed
    from kalepool.core.farmers import Farmer
    from kalepool.core.health import NodeReport
    from kalepool.core.intents import Intent, State
    from kalepool.core.records import AuditRow, PailRecord
    from kalepool.core.strategy import Policy
    from kalepool.networks import KnownNetwork
    from kalepool.secret import Secret
    from kalepool.services.adopting import Adopting
    from kalepool.services.balances import Balances
    from kalepool.services.channels import Sources
    from kalepool.services.errands import Errands
    from kalepool.services.exiting import Exiting
    from kalepool.services.foreign import ForeignHarvests
    from kalepool.services.funding import Funding
    from kalepool.services.gathering import Gathering
    from kalepool.services.grinding import Grinder
    from kalepool.services.harvesting import Harvester
    from kalepool.services.learning import Learner
    from kalepool.services.means import Means
    from kalepool.services.onboarding import Onboarding
    from kalepool.services.opening import Openings
    from kalepool.services.paying import Paying
    from kalepool.services.paymaster import Paymaster
    from kalepool.services.pricing import Pricer
    from kalepool.services.receivables import Receivables
    from kalepool.services.reconcile import Reconciler
    from kalepool.services.recovery import Recovery
    from kalepool.services.remembering import Memory
    from kalepool.services.reporting import Reporting
    from kalepool.services.rereading import Rereader
    from kalepool.services.restoring import Restoring
    from kalepool.services.settling import Settling, TermsBook
    from kalepool.services.stating import Stating
    from kalepool.services.submit import Submitter
    from kalepool.services.surveying import Survey
    from kalepool.services.sweeping import Sweeper
    from kalepool.services.withdrawing import Withdrawing
    from kalepool.services.witness import Witness


class Pool:
    """One pool, as one process sees it: a context that closes what was opened.

    Args:
        config: the settings.
        role: what this process does, such as ``mine``: for people who meet its locks.
        passphrase: gives the vault's passphrase when it is first needed.
        now: the machine's clock, Unix seconds: for heartbeats and the audit log, never for the network's time.
        transport: what carries HTTP; sockets where it is None.
        monotonic: seconds of a clock that never steps; None for the machine's own.
        sleep: waits for seconds of that clock.
    """

    def __init__(
        self,
        config: Config,
        role: str,
        passphrase: Callable[[], Secret],
        *,
        now: Callable[[], float] = time.time,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.config = config
        self.role = role
        self._passphrase = passphrase
        self._now = now
        self._transport = transport
        self._monotonic = monotonic
        self._sleep = sleep
        self._deployment: Deployment | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def beside(self, role: str) -> Pool:
        """Make a pool that works beside this one in the same process, as another one would; the vault is shared."""
        other = Pool(
            self.config,
            role,
            self._passphrase,
            now=self._now,
            transport=self._transport,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )
        other.__dict__["vault"] = self.vault
        return other

    def close(self) -> None:
        """Give back what this process holds in the store, and close it."""
        made = self.__dict__
        if "miner" in made:
            self.miner.close()
        if "owner" in made:
            self.owner.retire()
        if "store" in made:
            self.store.close()

    # Where it belongs

    @cached_property
    def known(self) -> KnownNetwork:
        """The configured network, as published."""
        return NETWORKS[self.config.text("network.name")]

    @cached_property
    def home(self) -> Home:
        """The network and contract that the store belongs to."""
        from kalepool.adapters.store.opening import Home  # noqa: PLC0415 - see the module's docstring

        return Home(self.known.passphrase, self.config.text("network.kale_contract") or self.known.kale)

    @cached_property
    def network(self) -> Network:
        """The network and its farm, for the client. Loads the SDK."""
        from kalepool.adapters.stellar.network import Network  # noqa: PLC0415

        return Network.of(
            self.known.passphrase,
            self.home.contract,
            self.config.text("network.kale_asset") or self.known.asset,
            self.config.text("network.tractor_contract") or self.known.tractor,
        )

    # The store and what it fulfils

    @cached_property
    def store(self) -> Store:
        """The store, opened."""
        from kalepool.adapters.store.opening import open_store  # noqa: PLC0415

        return open_store(self.config.path("store.path"), self.home)

    @cached_property
    def owner(self) -> Owner:
        """This process in the store."""
        from kalepool.adapters.store.owners import Owner  # noqa: PLC0415

        return Owner(self.store, self.role, self._now)

    @cached_property
    def lock(self) -> MiningLock:
        """The mining lock."""
        from kalepool.adapters.store.locks import MiningLock  # noqa: PLC0415

        return MiningLock(self.store, self.owner)

    @cached_property
    def journal(self) -> StoreJournal:
        """Intents and attempts."""
        from kalepool.adapters.store.journal import StoreJournal  # noqa: PLC0415

        return StoreJournal(self.store, self.owner)

    @cached_property
    def books(self) -> StoreBooks:
        """The ledger of postings."""
        from kalepool.adapters.store.books import StoreBooks  # noqa: PLC0415

        return StoreBooks(self.store)

    @cached_property
    def farmers(self) -> StoreFarmers:
        """The farmers."""
        from kalepool.adapters.store.farmers import StoreFarmers  # noqa: PLC0415

        return StoreFarmers(self.store, self._now)

    @cached_property
    def pails(self) -> StorePails:
        """Every farmer's part in every block."""
        from kalepool.adapters.store.pails import StorePails  # noqa: PLC0415

        return StorePails(self.store)

    @cached_property
    def blocks(self) -> StoreBlocks:
        """Blocks as last seen."""
        from kalepool.adapters.store.pails import StoreBlocks  # noqa: PLC0415

        return StoreBlocks(self.store)

    @cached_property
    def grinds(self) -> StoreGrinds:
        """Nonce cursors and best proofs."""
        from kalepool.adapters.store.grinds import StoreGrinds  # noqa: PLC0415

        return StoreGrinds(self.store)

    @cached_property
    def channels(self) -> ChannelLeases:
        """The channel accounts."""
        from kalepool.adapters.store.channels import ChannelLeases  # noqa: PLC0415

        return ChannelLeases(self.store, self.owner)

    @cached_property
    def views(self) -> StoreViews:
        """What was last seen of the network."""
        from kalepool.adapters.store.views import StoreViews  # noqa: PLC0415

        return StoreViews(self.store)

    @cached_property
    def reports(self) -> StoreReports:
        """Counts and sums, for ``status`` and ``report``."""
        from kalepool.adapters.store.reports import StoreReports  # noqa: PLC0415

        return StoreReports(self.store, self._now)

    @cached_property
    def facts(self) -> StoreFacts:
        """Small things remembered by name."""
        from kalepool.adapters.store.facts import StoreFacts  # noqa: PLC0415

        return StoreFacts(self.store, self._now)

    def roll_up(self, keep_days: int | None = None) -> StoreRollUp:
        """Make what rolls the store up; days from the configuration where none are given."""
        from kalepool.adapters.store.roll_up import StoreRollUp  # noqa: PLC0415

        return StoreRollUp(self.store, keep_days or self.config.whole("store.keep_days"))

    @cached_property
    def audit(self) -> StoreAudit:
        """The audit log; ``record`` writes to it."""
        from kalepool.adapters.store.audit import StoreAudit  # noqa: PLC0415

        return StoreAudit(self.store, self._now)

    # The vault

    @cached_property
    def vault(self) -> Vault:
        """The vault, unlocked with the passphrase."""
        from kalepool.adapters.vault import Vault  # noqa: PLC0415

        path = self.config.path("vault.path")
        if not path.exists():
            raise ConfigError(f"there is no vault at {path}", hint="make one with: kalepool init")
        return Vault.open(path, network=self.known.name, passphrase=self._passphrase())

    @cached_property
    def addresses(self) -> Addresses:
        """The vault's public addresses, without unlocking it: good to show, not to send to."""
        from kalepool.adapters.vault import Vault  # noqa: PLC0415

        if "vault" in self.__dict__:
            return self.vault.addresses
        return Vault.peek(self.config.path("vault.path"), network=self.known.name)

    def seal_terms(self, farmer: Farmer, from_block: int = 0) -> bytes:
        """Seal a numbered farmer's terms: 32 bytes."""
        return self.vault.seal(terms_message(farmer, farmer.terms, from_block))

    def record(self, what: str) -> None:
        """Write to the audit log, as this command: what was done, one line, without secrets."""

        def link(before: bytes, row: AuditRow) -> bytes:
            return self.vault.audit_link(before, audit_entry(row))

        self.audit.append(self.role, what, link)

    # The node's client

    @cached_property
    def rpc(self) -> RpcClient:
        """Asks the nodes."""
        from kalepool.adapters.stellar.rpc import RpcClient, RpcSettings  # noqa: PLC0415

        # It tells of every request on the program's own log, with URLs that may hold a key.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        rate = self.config.number("network.requests_per_second") or self.known.requests_per_second
        settings = RpcSettings(
            requests_per_second=rate,
            burst=max(10, int(2 * rate)),
            ledgers_per_second=self.known.ledgers_per_second,
            limits=self._limits(),
        )
        return RpcClient(
            self.config.texts("network.rpc") or self.known.rpc,
            self.known.passphrase,
            settings,
            transport=self._transport,
            monotonic=self._monotonic or time.monotonic,
            sleep=self._sleep,
        )

    def _limits(self) -> Limits:
        from kalepool.adapters.stellar.transport import Limits  # noqa: PLC0415

        patience = self.config.number("network.timeout_s")
        return Limits(connect_s=min(patience, 5.0), read_s=patience, total_s=2 * patience)

    async def probe_nodes(self) -> list[NodeReport]:
        """Ask every configured node by itself how it is."""
        from kalepool.adapters.stellar.probe import probe  # noqa: PLC0415

        logging.getLogger("httpx").setLevel(logging.WARNING)
        return await probe(
            self.config.texts("network.rpc") or self.known.rpc,
            self.known.passphrase,
            self._limits(),
            transport=self._transport,
            monotonic=self._monotonic or time.monotonic,
            now=self._now,
        )

    @cached_property
    def chain(self) -> StellarChain:
        """Reads the network."""
        from kalepool.adapters.stellar.chain import StellarChain  # noqa: PLC0415

        return StellarChain(self.rpc, self.network, prices=self.config.flag("mining.kale_price_from_pool"))

    @cached_property
    def broadcaster(self) -> StellarBroadcaster:
        """Sends; for ``submitter`` alone."""
        from kalepool.adapters.stellar.broadcast import StellarBroadcaster  # noqa: PLC0415

        return StellarBroadcaster(self.rpc)

    @cached_property
    def clock(self) -> NetworkClock:
        """Network time."""
        from kalepool.adapters.clock import NetworkClock, boot_time  # noqa: PLC0415

        return NetworkClock(
            monotonic=self._monotonic or boot_time,
            sleep=self._sleep,
            keeps_real_time=self.known.name != LOCAL,
        )

    @asynccontextmanager
    async def online(self) -> AsyncIterator[None]:
        """Be connected while the body runs: see ``connect``."""
        try:
            await self.connect()
            yield
        finally:
            await self.rpc.close()

    async def connect(self) -> None:
        """Make sure of the network and learn which code the contracts run, before anything is built.

        Raises:
            ConfigError: when a node is on another network.
            RetryableError: when no node answers.
        """
        from kalepool.adapters.stellar.calls import Deployment  # noqa: PLC0415
        from kalepool.adapters.stellar.transport import SilentError  # noqa: PLC0415

        try:
            await self.chain.check_network()
            tractor = self.network.tractor
            tip, codes = await self.chain.deployed([self.network.kale, *([tractor] if tractor else [])])
            self._deployment = Deployment(self.network, codes[0], codes[1] if tractor else None)
        except SilentError as error:
            if self.known.name != LOCAL:
                raise
            raise RetryableError(
                error.message, hint="is the local network running? start it with: kalepool devnet"
            ) from error
        self.clock.observe(tip.ledger, tip.close_time)

    @cached_property
    def transactions(self) -> Transactions:
        """Builds and signs transactions; after ``connect``."""
        from kalepool.adapters.stellar.transactions import Transactions  # noqa: PLC0415

        assert self._deployment is not None, "connect first"
        return Transactions(
            self._deployment,
            self.vault.operator,
            self.vault.sign,
            self.chain,
            max_fee=self.config.stroops("fees.transaction_most_xlm"),
        )

    @cached_property
    def composer(self) -> StellarComposer:
        """Builds what a round decides; after ``connect``."""
        from kalepool.adapters.stellar.composer import StellarComposer  # noqa: PLC0415

        return StellarComposer(
            self.transactions,
            self.chain,
            percentile=self.config.whole("fees.inclusion_percentile"),
            most=self.config.whole("fees.inclusion_most_stroops"),
        )

    def machine_time(self) -> float:
        """Give the machine's time, Unix seconds: for the age of what was seen, never for the network's time."""
        return self._now()

    # Hashing

    @cached_property
    def miner(self) -> Miner:
        """The hash engine."""
        from kalepool.adapters.miner import Miner  # noqa: PLC0415

        return Miner(
            threads=self.config.whole("mining.threads") or None,
            niceness=self.config.whole("mining.niceness"),
        )

    # Services

    @cached_property
    def submitter(self) -> Submitter:
        """The only way out for a transaction."""
        from kalepool.services.submit import Submitter  # noqa: PLC0415

        return Submitter(self.journal, self.broadcaster)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Closes open intents."""
        from kalepool.services.reconcile import Reconciler  # noqa: PLC0415

        return Reconciler(
            self.journal,
            self.books,
            self.store,
            self.chain,
            self.submitter,
            self.addresses.operator,
            self.witness,
            harvested=self._remember_harvest,
            foreign=self.foreign,
        )

    @cached_property
    def foreign(self) -> ForeignHarvests:
        """Remembers harvests that others began."""
        from kalepool.services.foreign import ForeignHarvests  # noqa: PLC0415

        return ForeignHarvests(self.farmers, self.chain, self.memory)

    def _remember_harvest(self, intent: Intent, landed: Landed) -> None:
        from kalepool.services.harvesting import remember  # noqa: PLC0415

        remember(self.memory, intent, landed)

    @cached_property
    def witness(self) -> Witness:
        """Books what others do to our accounts."""
        from kalepool.services.witness import Witness  # noqa: PLC0415

        operator = self.addresses.operator
        return Witness(
            self.books, self.facts, self.journal, self.store, operator, self.own_addresses, self._debtors
        )

    def _debtors(self) -> dict[str, int]:
        """Give the numbers of self-custody farmers by address."""
        return {one.address: one.number for one in self.farmers.all() if one.custody is Custody.WATCHED}

    def own_addresses(self) -> set[str]:
        """Give the addresses whose KALE the books keep: custodial farmers, whatever became of them, and our own."""
        farmers = (one.address for one in self.farmers.all() if one.custody is Custody.CUSTODIAL)
        channels = (address for _, address in self.channels.known())
        return {self.addresses.operator, *farmers, *channels}

    @cached_property
    def memory(self) -> Memory:
        """Keeps what is known of pails in step with the chain."""
        from kalepool.services.remembering import Memory, is_told, plant_state  # noqa: PLC0415

        def plant(farmer: int, block: int) -> State | None:
            # Not before it is asked: who only looks leaves no trace of himself, and a journal has an owner.
            return plant_state(self.journal, farmer, block)

        def told(record: PailRecord) -> bool:
            return is_told(self.journal, self.facts, record)

        return Memory(self.pails, self.blocks, plant, self.store, self.facts, told)

    @cached_property
    def sources(self) -> Sources:
        """Accounts that harvests and the like are sent from."""
        from kalepool.services.channels import Sources  # noqa: PLC0415

        # A harvest from cron ends soon; whoever stays leaves it some.
        return Sources(
            self.channels, self.journal, self.chain, self.addresses.operator, spares=self.role != "harvest"
        )

    @cached_property
    def harvester(self) -> Harvester:
        """Sends harvests; after ``connect``."""
        from kalepool.services.harvesting import MOST_TOGETHER, Harvester  # noqa: PLC0415

        return Harvester(
            self.chain,
            self.clock,
            self.composer,
            self.journal,
            self.submitter,
            self.sources,
            self.memory,
            together=MOST_TOGETHER if self.network.tractor else 1,
        )

    def survey(self, *, dry: bool = False) -> Survey:
        """Find what there is to harvest; a dry one writes nothing."""
        from kalepool.services.surveying import Survey  # noqa: PLC0415

        return Survey(self.chain, self.clock, self.pails, self.facts, self.memory, dry=dry)

    @cached_property
    def harvest_lock(self) -> HarvestLock:
        """One sweep at a time."""
        from kalepool.adapters.store.locks import HarvestLock  # noqa: PLC0415

        return HarvestLock(self.store, self.owner)

    @cached_property
    def sweeper(self) -> Sweeper:
        """Harvests everything there is; after ``connect``."""
        from kalepool.services.extending import Extender  # noqa: PLC0415
        from kalepool.services.sweeping import Losses, Sweeper  # noqa: PLC0415

        extender = Extender(
            self.clock,
            self.composer,
            self.journal,
            self.submitter,
            self.sources,
            worth_from=self.config.stroops("harvest.extend_from_kale"),
        )
        return Sweeper(
            self.survey(),
            self.clock,
            self.journal,
            self.reconciler,
            self.harvester,
            extender,
            Losses(self.pails, self.facts),
            self.harvest_lock.beat,
        )

    @cached_property
    def grinder(self) -> Grinder:
        """Keeps the miner's jobs in step with the round."""
        from kalepool.services.grinding import Grinder  # noqa: PLC0415

        return Grinder(self.miner, self.grinds)

    @cached_property
    def reporting(self) -> Reporting:
        """Tells where the pool stands and what it earned."""
        from kalepool.services.reporting import Reporting  # noqa: PLC0415

        most = self.config.stroops("fees.day_most_xlm")
        return Reporting(self.views, self.blocks, self.reports, self.facts, self.pricer, day_most=most)

    @cached_property
    def means(self) -> Means:
        """What the round loop works with; after ``connect``."""
        from kalepool.services.means import Means  # noqa: PLC0415

        return Means(
            farmers=self.farmers,
            pails=self.pails,
            blocks=self.blocks,
            journal=self.journal,
            books=self.books,
            views=self.views,
            facts=self.facts,
            grinds=self.grinds,
            sources=self.sources,
            store=self.store,
            lock=self.lock,
            clock=self.clock,
            chain=self.chain,
            composer=self.composer,
            submitter=self.submitter,
            reconciler=self.reconciler,
            harvester=self.harvester,
            grinder=self.grinder,
            receivables=self.receivables,
            learner=self.learner,
            pricer=self.pricer,
            upkeep=self.roll_up(),
            settling=self.settling,
            operator=self.vault.operator,
            policy=self.policy,
            day_most=self.config.stroops("fees.day_most_xlm"),
            machine_now=self._now,
            monotonic=self._monotonic or time.monotonic,
        )

    @cached_property
    def pricer(self) -> Pricer:
        """Says what KALE is worth."""
        from kalepool.services.pricing import Pricer  # noqa: PLC0415

        return Pricer(
            self.facts,
            parse_price(self.config.number("mining.kale_price_xlm")),
            asks=self.config.flag("mining.kale_price_from_pool"),
            least_xlm=self.config.stroops("mining.kale_pool_least_xlm"),
        )

    @cached_property
    def learner(self) -> Learner:
        """What rounds and past blocks have taught."""
        from kalepool.services.learning import Learner  # noqa: PLC0415

        return Learner(self.blocks, self.pails, self.facts, self.pricer)

    @cached_property
    def policy(self) -> Policy:
        """How the pool behaves where the rules leave a choice."""
        config = self.config
        named = POLICIES[config.text("mining.policy")]
        improve_from = parse_amount(config.text("mining.improve_from_kale"))
        return replace(
            named,
            work_margin_ledgers=config.whole("mining.work_margin_ledgers"),
            works_per_ledger=config.whole("mining.works_per_ledger"),
            # The two that are about fees bring their own.
            improve_from_stroops=named.improve_from_stroops
            if named.name in {"max-kale", "thrift"}
            else improve_from,
            plant_ahead=config.flag("mining.open_blocks"),
            skip_losing=named.skip_losing or config.flag("mining.skip_losing"),
            push=config.flag("mining.push_beyond_cap"),
            for_pool=config.text("mining.for_whom") == "pool",
            fixed=named.fixed and self._fixed,
        )

    @cached_property
    def default_terms(self) -> Terms:
        """The terms of whoever brings none."""
        return Terms(
            stake=parse_stake(self.config.text("terms.stake")),
            harvest_every=self.config.whole("terms.harvest_every"),
            share_bps=self.config.whole("terms.share_bps"),
            fee_bps=self.config.whole("terms.fee_bps"),
            payout_from=self.config.stroops("terms.payout_from_kale"),
            payout_every_h=self.config.whole("terms.payout_every_h"),
            exit_delay_h=self.config.whole("terms.exit_delay_h"),
        )

    @cached_property
    def onboarding(self) -> Onboarding:
        """Adds farmers and changes what was agreed with them."""
        from kalepool.services.onboarding import Onboarding  # noqa: PLC0415

        return Onboarding(
            farmers=self.farmers,
            vault=lambda: self.vault,
            store=self.store,
            pails=self.pails,
            blocks=self.blocks,
            views=self.views,
            seal=self.seal_terms,
            record=self.record,
            defaults=self.default_terms,
            who=self.role,
        )

    @cached_property
    def receivables(self) -> Receivables:
        """What self-custody farmers owe."""
        from kalepool.services.receivables import Receivables  # noqa: PLC0415

        most = self.config.stroops("terms.receivable_most_kale")
        return Receivables(self.farmers, self.pails, self.books, most=most)

    @cached_property
    def balances(self) -> Balances:
        """What all accounts hold."""
        from kalepool.services.balances import Balances  # noqa: PLC0415

        return Balances(self.chain, self.farmers, self.channels, self.views, self.addresses.operator)

    @cached_property
    def openings(self) -> Openings:
        """Takes accounts into the books."""
        from kalepool.services.opening import Openings  # noqa: PLC0415

        return Openings(self.books, self.facts, self.store, self.addresses.operator)

    @cached_property
    def errands(self) -> Errands:
        """Sees orders through."""
        from kalepool.services.errands import Errands  # noqa: PLC0415

        return Errands(self.chain, self.clock, self.journal, self.submitter, self.reconciler)

    @cached_property
    def funding(self) -> Funding:
        """Creates accounts and trustlines; after ``connect``."""
        from kalepool.services.funding import Funding  # noqa: PLC0415

        return Funding(
            farmers=self.farmers,
            channels=self.channels,
            vault=self.vault,
            chain=self.chain,
            clock=self.clock,
            composer=self.composer,
            journal=self.journal,
            errands=self.errands,
            openings=self.openings,
            store=self.store,
            channel_count=self.config.whole("harvest.channels"),
            who=self.role,
        )

    @cached_property
    def gathering(self) -> Gathering:
        """Gathers KALE at one address; after ``connect``."""
        from kalepool.services.gathering import Gathering  # noqa: PLC0415

        return Gathering(
            farmers=self.farmers,
            chain=self.chain,
            clock=self.clock,
            composer=self.composer,
            journal=self.journal,
            books=self.books,
            facts=self.facts,
            store=self.store,
            errands=self.errands,
            restoring=self.restoring,
            operator=self.vault.operator,
        )

    @cached_property
    def recovery(self) -> Recovery:
        """Rebuilds farmers from the recovery phrase and the network; after ``connect``."""
        from kalepool.services.recovery import Recovery  # noqa: PLC0415

        return Recovery(
            vault=self.vault,
            chain=self.chain,
            clock=self.clock,
            farmers=self.farmers,
            channels=self.channels,
            pails=self.pails,
            blocks=self.blocks,
            views=self.views,
            openings=self.openings,
            store=self.store,
            seal=self.seal_terms,
            record=self.record,
            defaults=self.default_terms,
            who=self.role,
        )

    # Farmers' money

    @cached_property
    def terms_book(self) -> TermsBook:
        """Terms by block, their seals checked."""
        from kalepool.services.settling import TermsBook  # noqa: PLC0415

        return TermsBook(self.farmers, self.vault)

    @cached_property
    def settling(self) -> Settling:
        """Says what is owed."""
        from kalepool.services.settling import Rules, Settling  # noqa: PLC0415

        rules = Rules(
            pays=self.config.flag("compensation.pays"),
            month_most=self.config.stroops("compensation.month_most_kale"),
        )
        return Settling(self.farmers, self.pails, self.blocks, self.books, self.store, self.terms_book, rules)

    @cached_property
    def restoring(self) -> Restoring:
        """Knows whether payments may be unknown to this store; after ``connect``."""
        from kalepool.services.restoring import Restoring  # noqa: PLC0415

        return Restoring(
            facts=self.facts,
            journal=self.journal,
            farmers=self.farmers,
            channels=self.channels,
            chain=self.chain,
            clock=self.clock,
            store=self.store,
            rereader=self.rereader,
            operator=self.addresses.operator,
            record=self.record,
        )

    @cached_property
    def rereader(self) -> Rereader:
        """Reads back payments that the store does not know of; after ``connect``."""
        from kalepool.services.rereading import Rereader  # noqa: PLC0415

        return Rereader(
            farmers=self.farmers,
            terms=self.terms_book,
            settling=self.settling,
            foreign=self.foreign,
            books=self.books,
            journal=self.journal,
            channels=self.channels,
            chain=self.chain,
            confirmed=self.facts.get,
            operator=self.addresses.operator,
            ours=self.own_addresses,
        )

    @cached_property
    def adopting(self) -> Adopting:
        """Books what ledgers that nobody saw must have done; after ``connect``."""
        from kalepool.services.adopting import Adopting  # noqa: PLC0415
        from kalepool.services.comparing import compare  # noqa: PLC0415

        return Adopting(
            books=self.books,
            facts=self.facts,
            journal=self.journal,
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            errands=self.errands,
            restoring=self.restoring,
            compare=lambda: compare(
                self.books, self.farmers, self.facts, self.chain, self.addresses.operator
            ),
            record=self.record,
        )

    @cached_property
    def paying(self) -> Paying:
        """Pays what is owed; after ``connect``."""
        from kalepool.services.paying import Paying  # noqa: PLC0415

        _, issuer = self.network.asset
        return Paying(
            farmers=self.farmers,
            terms=self.terms_book,
            books=self.books,
            journal=self.journal,
            channels=self.channels,
            chain=self.chain,
            clock=self.clock,
            composer=self.composer,
            errands=self.errands,
            restoring=self.restoring,
            operator=self.vault.operator,
            issuer=issuer,
            pool_from=self.config.stroops("payout.pool_from_kale"),
        )

    @cached_property
    def exiting(self) -> Exiting:
        """Lets farmers leave; after ``connect``."""
        from kalepool.services.exiting import Exiting  # noqa: PLC0415

        return Exiting(
            farmers=self.farmers,
            terms=self.terms_book,
            pails=self.pails,
            vault=self.vault,
            journal=self.journal,
            store=self.store,
            chain=self.chain,
            clock=self.clock,
            composer=self.composer,
            errands=self.errands,
            settling=self.settling,
            paying=self.paying,
            restoring=self.restoring,
            operator=self.vault.operator,
            record=self.record,
            who=self.role,
        )

    @cached_property
    def withdrawing(self) -> Withdrawing:
        """Takes out what is the operator's; after ``connect``."""
        from kalepool.services.withdrawing import Withdrawing  # noqa: PLC0415

        _, issuer = self.network.asset
        return Withdrawing(
            books=self.books,
            journal=self.journal,
            chain=self.chain,
            clock=self.clock,
            composer=self.composer,
            errands=self.errands,
            restoring=self.restoring,
            operator=self.vault.operator,
            issuer=issuer,
            record=self.record,
        )

    @cached_property
    def histories(self) -> StoreHistories:
        """What was harvested and paid for each farmer."""
        from kalepool.adapters.store.histories import StoreHistories  # noqa: PLC0415

        return StoreHistories(self.store)

    @cached_property
    def stating(self) -> Stating:
        """Draws up statements."""
        from kalepool.services.stating import Stating  # noqa: PLC0415

        return Stating(self.farmers, self.blocks, self.books, self.histories, self.settling)

    def paymaster(self, told: Callable[[str], None]) -> Paymaster:
        """Make what pays at intervals; after ``connect``."""
        from kalepool.services.paymaster import Paymaster  # noqa: PLC0415

        every_s = 3_600.0 * self.config.whole("payout.auto_every_h")
        return Paymaster(
            self.settling,
            self.paying,
            self.exiting,
            self.clock,
            every_s=every_s,
            told=told,
            news=self.restoring.news,
        )

    @property
    def _fixed(self) -> Fixed:
        return Fixed(
            parse_amount(self.config.text("manual.stake")),
            self.config.whole("manual.zeros"),
            self.config.whole("manual.work_at_s"),
        )
