"""What services need from the world, as Protocols. Adapters fulfil them; tests may too.

All amounts are stroops, all times network time in Unix seconds, all hashes hex unless they say bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from kalepool.core.agreements import Life, Lived
    from kalepool.core.bookings import Booking
    from kalepool.core.chain import AccountState, Found, Happenings, SendAnswer, Snapshot, Tip
    from kalepool.core.classic import Newcomer, Payment
    from kalepool.core.farm import Proof
    from kalepool.core.farmers import Farmer, FarmerState, Moved, SealedTerms, Terms
    from kalepool.core.forecasts import Forecast
    from kalepool.core.grinding import Job, JobId, Progress
    from kalepool.core.intents import Attempt, Intent, Kind, Plan, Settlement, State, Verdict
    from kalepool.core.records import (
        AuditRow,
        BlockRecord,
        Grind,
        PailRecord,
        PailState,
        PailTotal,
        View,
    )
    from kalepool.core.reports import By, HashedDay, Line, Overview
    from kalepool.core.statements import FoldedDay
    from kalepool.core.statements import Payment as Paid
    from kalepool.secret import Secret


class Clock(Protocol):
    """Network time, carried on between ledgers."""

    def now(self) -> float:
        """Give the network time now."""

    def observe(self, ledger: int, close_time: int) -> None:
        """Take note of a closed ledger."""

    @property
    def ledger_seconds(self) -> float:
        """Network seconds between ledgers, as measured."""

    def is_stale(self) -> bool:
        """Tell whether no new ledger has been seen for three ledgers' time: then wait."""

    async def sleep_until(self, moment: float) -> None:
        """Wait until a network time."""


class Chain(Protocol):
    """Reading the network. Every read may raise RetryableError, and nothing else for a network's fault."""

    async def tip(self) -> Tip:
        """Ask how far the network is: the cheap question."""

    async def snapshot(
        self, pails: Sequence[tuple[str, int]], blocks: Sequence[int] = (), *, current: bool = True
    ) -> Snapshot:
        """Read the farm, Blocks and pails in one ledger, in as few calls as the protocol allows.

        Args:
            pails: (farmer's address, block index) of each wanted.
            blocks: indexes of further Blocks.
            current: whether the Blocks of FarmIndex and the one before are read too.
        """

    async def accounts(self, addresses: Sequence[str]) -> dict[str, AccountState]:
        """Read accounts with their KALE trustlines; those that do not exist are left out."""

    async def find(self, inner_hash: str) -> Found:
        """Ask one node about a transaction."""

    async def find_all(self, inner_hashes: Sequence[str]) -> list[Found]:
        """Ask one node about many transactions, in batches."""

    async def happenings(self, since: int, payer: str, holders: Collection[str]) -> Happenings:
        """Read from events what landed from a ledger on, whoever sent it; one request where little did.

        Args:
            since: the first ledger wanted.
            payer: whose fees are told.
            holders: whose KALE is told of, where others moved it.
        """

    async def inclusion_fee(self, percentile: int) -> int:
        """Give an inclusion fee per operation lately paid, in stroops."""


class Broadcaster(Protocol):
    """Sending to the network. Only ``services/submit.py`` holds one."""

    async def send(self, envelopes: Sequence[bytes]) -> list[SendAnswer]:
        """Send envelopes in batches; an answer each, UNKNOWN where none came."""


class Sealed(Protocol):
    """A signed transaction."""

    @property
    def inner_hash(self) -> str:
        """Hex; finds whichever fee bump landed."""

    @property
    def outer_hash(self) -> str:
        """Hex of the fee bump, or the inner one."""

    @property
    def max_time(self) -> int:
        """Network time after which it cannot land."""

    @property
    def envelope(self) -> bytes:
        """XDR to send."""

    @property
    def fee(self) -> int:
        """The most it can cost, stroops."""


class Composer(Protocol):
    """Building transactions. What is given builds and signs with the sequence number that it is called with.

    Preparing may ask the network once for what a shape of call needs, and raises RejectedError where
    that cannot be learned now, RetryableError where no node answers.
    """

    async def refresh_bid(self) -> int:
        """Ask what inclusion costs now; give the bid for one operation in stroops."""

    async def plant(
        self, farmer: str, *, block: int, stake: int, opens: bool, max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare a farmer's plant, sent from his own account."""

    async def work(
        self,
        farmer: str,
        *,
        source: str,
        block: int,
        proof: Proof,
        improves: bool,
        first_ledger: int,
        max_time: int,
    ) -> Callable[[int], Sealed]:
        """Prepare a work, sent from any account of ours."""

    async def harvest(
        self, farmer: str, *, source: str, blocks: Sequence[int], max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare a harvest of one block, or of several."""

    async def extend(
        self, block: int, farmers: Sequence[str], *, source: str, ledgers: int, max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare a longer life for a Block and farmers' pails in it: so many ledgers from now at least."""

    def sponsor(
        self, newcomers: Sequence[Newcomer], *, source: str, max_time: int
    ) -> Callable[[int], Sealed]:
        """Prepare accounts and trustlines that the operator sponsors: 19 of them, or 18 from a channel."""

    def pay(
        self, source: str, *, payments: Sequence[Payment], max_time: int, memo: str = ""
    ) -> Callable[[int], Sealed]:
        """Prepare at most 100 payments in one transaction of a source; each may have a payer of its own."""

    def trust(self, source: str, *, max_time: int) -> Callable[[int], Sealed]:
        """Prepare a KALE trustline of one account, whose reserve it carries itself."""

    def leave(
        self,
        source: str,
        *,
        last: Sequence[Payment],
        heir: str,
        has_trustline: bool,
        max_time: int,
        memo: str = "",
    ) -> Callable[[int], Sealed]:
        """Prepare the end of an account: last payments, its trustline, its merge into the heir's."""

    def classic_fee(self, operations: int) -> int:
        """Give the most that a transaction of so many operations without a contract can cost, in stroops."""

    def most_fee(self, kind: Kind) -> int:
        """Give the most that a plant, work or harvest can cost now, stroops; a ceiling where that is not yet known."""

    def adopt(self, code: bytes) -> None:
        """Build for this code of the KALE contract from now on, 32 bytes; what was learned of another is forgotten."""

    def forget(self, kind: Kind) -> None:
        """Learn anew what plants or works need, after one was refused in a ledger."""


class Vault(Protocol):
    """Keys that sign and never leave."""

    @property
    def operator(self) -> str:
        """The operator's G address."""

    def channel(self, number: int) -> str:
        """Give the address of a channel account, from 0."""

    def wallet(self, index: int) -> str:
        """Give the address of a derived farmer's wallet."""

    def sign(self, address: str, payload: bytes) -> bytes:
        """Sign 32 bytes with an address's key: 64 bytes.

        Raises:
            ConfigError: when the key is not here or not unlocked.
        """

    def seal(self, message: bytes) -> bytes:
        """Give the MAC of terms and payout addresses, 32 bytes, under a key of the vault's."""

    def seal_holds(self, message: bytes, seal: bytes) -> bool:
        """Tell whether a seal is this vault's over this message."""

    def address_of(self, seed: Secret) -> str:
        """Give the G address of a written seed, S...

        Raises:
            UsageError: when it is malformed.
        """

    def keep(self, seed: Secret) -> str:
        """Store a written seed, unless it was imported before; give its address.

        Raises:
            UsageError: when it is malformed, or its key comes from the recovery phrase.
        """


class Farmers(Protocol):
    """Farmers in the store. Every change is synced to disk before it returns."""

    def all(self, *states: FarmerState) -> list[Farmer]:
        """Give farmers, those in given states, or all, by number."""

    def get(self, name: str) -> Farmer:
        """Give one by name.

        Raises:
            UsageError: when there is none.
        """

    def next_wallet_index(self) -> int:
        """Give the first derivation index no farmer ever had."""

    def add(self, farmers: Sequence[Farmer], *, who: str, seal: Callable[[Farmer], bytes]) -> list[Farmer]:
        """Add farmers, all or none; numbers are given by the store, and terms hold from block 0.

        Args:
            farmers: whom; their numbers are not looked at.
            who: the person or command that adds them.
            seal: gives the MAC of a numbered farmer's terms, 32 bytes.

        Raises:
            UsageError: when a name, an address or a wallet index is taken.
        """

    def move(
        self,
        number: int,
        state: FarmerState,
        *,
        who: str,
        why: str = "",
        asked_at: int | None = None,
        seal: Callable[[int], bytes] | None = None,
    ) -> None:
        """Move one to another state, and record it, and what it means for what was agreed.

        Args:
            number: whose.
            state: the new one.
            who: the person or command that does it.
            why: a note.
            asked_at: for a wish to leave: network time of it.
            seal: for a wish to leave: gives its MAC by its place in the life of the agreement.

        Raises:
            UsageError: when the move is not legal.
        """

    def life(self, number: int) -> list[Lived]:
        """Give the life of what was agreed with one, oldest step first."""

    def lives(self) -> Mapping[int, Life]:
        """Give where what was agreed with each stands, by number."""

    def moves(self, number: int) -> list[Moved]:
        """Give the recorded moves of one, oldest first."""

    def set_terms(self, number: int, terms: Terms, *, from_block: int, seal: bytes, who: str) -> None:
        """Give one new terms, from a block on; old pails stay under the old.

        Raises:
            UsageError: when he has a pail in that block or a later one, or terms agreed before begin later.
        """

    def terms_at(self, number: int, block: int) -> SealedTerms:
        """Give the terms under which a block's pail settles, with the seal to check them by."""

    def agreed(self, number: int) -> list[SealedTerms]:
        """Give all terms ever agreed with one, oldest first; of those from the same block the last counts."""

    def set_email(self, number: int, email: str | None) -> None:
        """Write down where one is written to."""


class Journal(Protocol):
    """Intents and attempts: on disk before anything leaves.

    An intent is moved by its owner alone, the process that planned it or took it over; an unresolved
    one by anybody. Whoever else tries gets a LockedError. Methods that end in ``_all`` do many in one
    transaction, all or none: use them for whatever concerns more than a few.
    """

    def plan(
        self, kind: Kind, purpose: str, items: Iterable[str], reserves: Iterable[tuple[str, str, int]] = ()
    ) -> Intent | None:
        """Begin an intent; None where the purpose was begun before or an item is taken."""

    def plan_all(self, plans: Sequence[Plan]) -> list[Intent | None]:
        """Begin many, an answer each; of two that clash, the first is begun."""

    def sign(self, intent: int, attempt: Attempt) -> None:
        """Store an attempt and move the intent to signed; on disk, synced, before this returns."""

    def sign_all(self, attempts: Sequence[tuple[int, Attempt]]) -> None:
        """Store many attempts with one synced commit.

        An attempt is new (the next number, every one before it dead), or the last one again with
        another fee bump around the same inner transaction: then its outer hashes grow.

        Raises:
            InternalError: when neither holds, a move is not legal, or a sequence number of a source is
                taken by another attempt that may live.
        """

    def judge(self, verdicts: Sequence[tuple[int, int, Verdict]]) -> None:
        """Write down what became of attempts: (intent, attempt's number, verdict).

        Landed and dead are final. An attempt judged dead gives its sequence number back.
        """

    def mark(self, intents: Sequence[int], state: State, *, why: str = "") -> None:
        """Move intents to sent, failed, expired or unresolved; being there already is no move.

        Once failed or expired, an attempt not judged landed is dead, and its sequence number free:
        judge first the one that failed in a ledger.

        Raises:
            InternalError: when a move is not legal, or has a method of its own.
        """

    def settle(
        self, intent: int, postings: Sequence[tuple[str, str, int]], *, at: float, why: str = ""
    ) -> None:
        """Move an intent to settled and post to the ledger, in one transaction.

        Args:
            intent: which.
            postings: (account, asset, stroops), summing to zero for each asset.
            at: network time of the ledger it landed in.
            why: a note for people.
        """

    def settle_all(self, settlements: Sequence[Settlement]) -> None:
        """Settle many, all or none."""

    def open_intents(self, *, mine: bool = True) -> list[Intent]:
        """Give open intents, oldest first.

        Args:
            mine: this owner's and those of dead owners, which become this owner's; otherwise all, untouched.
        """

    def claimed(self, outer_hashes: Collection[str], since: float) -> set[str]:
        """Give those of the hashes that are an attempt's which is not dead, of whichever owner.

        Args:
            outer_hashes: hex.
            since: network time; attempts that could not land any more by then are not looked at.
        """

    def states(self, purposes: Sequence[str]) -> Mapping[str, State]:
        """Give where the intents of these purposes stand; a purpose never begun is left out."""

    def landed(self, purposes: Sequence[str]) -> Mapping[str, str]:
        """Give the hash, hex, of the transaction that settled each of these purposes; others are left out."""

    def last_sequence(self, source: str, *, signed_before: int | None = None) -> int | None:
        """Give the highest sequence number signed for an account whose attempt is not dead.

        Args:
            source: G address.
            signed_before: only attempts that were signed before this ledger; None for all.
        """

    def count_sequences(self, source: str, first: int, last: int) -> int:
        """Count an account's sequence numbers, both ends counted in, that attempts took which are not dead."""

    def reserved(self) -> Mapping[tuple[str, str], int]:
        """Give what open intents of all owners may still spend, by (account, asset)."""


class Books(Protocol):
    """The ledger: double entry in stroops."""

    def post(self, key: str, postings: Sequence[tuple[str, str, int]], *, at: float, why: str = "") -> bool:
        """Book what no intent of ours did, such as a stranger's harvest; False where the key was booked before."""

    def post_all(self, bookings: Sequence[Booking]) -> list[bool]:
        """Book many in one transaction; False where one was booked before, or has no postings."""

    def find(self, keys: Sequence[str]) -> Mapping[str, Booking]:
        """Give what is booked under these keys; what is not is left out."""

    def last_paid(self, prefix: str) -> Mapping[str, float]:
        """Give the network time when something last went out of each account that begins so."""

    def balance(self, account: str, asset: str) -> int:
        """Give the balance of an account."""

    def balances(self, prefix: str = "") -> Mapping[tuple[str, str], int]:
        """Give every balance by (account, asset), or those of accounts that begin so."""

    def total(self) -> int:
        """Give the sum of all postings: zero, or something is broken."""

    def turnover(self, account: str, asset: str, since: float, until: float) -> tuple[int, int]:
        """Give what went into an account and out of it, both positive, from ``since`` to before ``until``."""

    def movements(self, since: float, until: float) -> list[tuple[str, str, int, int]]:
        """Give (account, asset, in, out) of every account that moved from ``since`` to before ``until``."""


class Histories(Protocol):
    """What was harvested and paid for one farmer, with the transactions that did it. Nothing here writes."""

    def payments(self, farmer: int) -> list[Paid]:
        """Give what was paid on account of a farmer, by time."""

    def harvests(self, farmer: int) -> Mapping[int, str]:
        """Give the hash, hex, of the transaction that harvested each block's pail, where it was ours."""

    def days(self, farmer: int) -> list[FoldedDay]:
        """Give the days of which a farmer's pails are folded, by time."""


class Pails(Protocol):
    """What is known of every farmer's part in every block."""

    def record(self, pails: Sequence[PailRecord]) -> None:
        """Write pails as they are now known, all or none; what was known of them before is replaced.

        Raises:
            InternalError: when a move is not legal, or a state lacks what belongs to it.
        """

    def in_blocks(self, first: int, last: int) -> list[PailRecord]:
        """Give every pail of a range of blocks, both ends counted in, by block and farmer."""

    def of_farmer(self, farmer: int, first: int, last: int) -> list[PailRecord]:
        """Give one farmer's pails of a range of blocks, both ends counted in, by block."""

    def alive(self, *states: PailState) -> list[PailRecord]:
        """Give pails that something must still be done about, all or those in given states, by block and farmer."""

    def unsettled(self, most: int, *, without: Collection[int] = ()) -> list[PailRecord]:
        """Give pails that are over and not settled yet, by block and farmer.

        Args:
            most: how many at most.
            without: numbers of farmers who are left out.
        """

    def mark_settled(self, keys: Sequence[tuple[int, int]]) -> None:
        """Take pails, (farmer's number, block), out of those that wait to be settled."""

    def counts(self) -> Mapping[PailState, int]:
        """Give how many pails of all farmers are in each state."""

    def foretell(self, forecasts: Sequence[Forecast]) -> None:
        """Keep what pails are expected to come to; what was kept of one before stays."""

    def foretold(self, block: int) -> list[Forecast]:
        """Give what the pails of a block were expected to come to, by farmer; those without a forecast are left out."""

    def totals(self) -> list[PailTotal]:
        """Give counts and sums by farmer and state, those without a pail left out."""


class Blocks(Protocol):
    """Blocks as last seen."""

    def record(self, blocks: Sequence[BlockRecord]) -> None:
        """Write blocks as they are now known; an opening ledger once known stays."""

    def between(self, first: int, last: int) -> list[BlockRecord]:
        """Give the blocks known of a range, both ends counted in, by index."""

    def latest(self) -> BlockRecord | None:
        """Give the block with the highest index; None in a new store."""


class Grinds(Protocol):
    """Nonce cursors and best proofs, for a restart within a block."""

    def save(self, grinds: Sequence[Grind]) -> None:
        """Remember cursors and proofs; a cursor never goes back, a proof never gets worse."""

    def load(self, block: int, entropy: bytes) -> list[Grind]:
        """Give what is known of a block with this entropy, by farmer."""

    def forget(self, before: int) -> None:
        """Drop what is known of blocks before one."""

    def count(self, block: int, hashes: int, milliseconds: int) -> None:
        """Add hashes done while a block was the current one, and the time that the pool mined meanwhile."""


class Channels(Protocol):
    """Channel accounts, leased to one process at a time."""

    def add(self, addresses: Sequence[tuple[int, str]]) -> None:
        """Make channels known, by derivation number; those known already stay as they are."""

    def known(self) -> list[tuple[int, str]]:
        """Give every channel by number, leased or not."""

    def lease(self, count: int) -> list[str]:
        """Take up to some channels, those held already counted; give the addresses held."""

    def release(self) -> None:
        """Give back every channel held."""


class Views(Protocol):
    """What was last seen of the network, for commands that do not ask it."""

    def save(self, view: View) -> None:
        """Put a view in the place of the last one."""

    def last(self) -> View | None:
        """Give the last view; None where the network was never seen."""

    def save_accounts(self, accounts: Sequence[AccountState], ledger: int) -> None:
        """Remember accounts as they were in a ledger, in the place of what was known of them."""

    def accounts(self) -> Mapping[str, AccountState]:
        """Give every account as last read, by address."""


class Reports(Protocol):
    """Counts and sums over what the pool remembers. Nothing here writes."""

    def overview(self) -> Overview:
        """Tell where the pool stands, as of one moment."""

    def expiring(self, before: int) -> tuple[int, int | None]:
        """Count worked pails that will die before a ledger, by their own or their Block's end; give the first end."""

    def day_fees(self, days: int) -> list[tuple[int, int]]:
        """Give (day since 1970, XLM fees in stroops) of the last days that had any, the latest first."""

    def other_fees(self, since: float | None) -> int:
        """Give the XLM fees in stroops that belong to no pail, from a network time on, or all."""

    def channels(self) -> list[str]:
        """Give the addresses of the channel accounts, by number."""

    def lines(self, by: By, since: float | None) -> list[Line]:
        """Give lines of blocks that opened at a network time or later; None for all pails. A folded day counts whole."""

    def hashed(self, since: float | None) -> list[HashedDay]:
        """Give how much was hashed in each day's blocks, from those that opened at a network time on, or all."""

    def folded_until(self) -> float | None:
        """Give the network time before which days may be folded; None where none is."""


class Upkeep(Protocol):
    """Rolling up what is old in the store, beside the work that matters."""

    def step(self) -> bool:
        """Do one piece, of some milliseconds; False where there is nothing to do until another block is known.

        Raises:
            LockedError: when another process keeps the store busy.
        """


class Facts(Protocol):
    """Small things to remember by name, such as the agreed hash of the contract's code."""

    def get(self, name: str) -> str | None:
        """Give a fact; None where there is none."""

    def put(self, name: str, value: str) -> None:
        """Set a fact, synced."""

    def drop(self, name: str) -> None:
        """Forget a fact, synced; one that is not there is no error."""


class Audit(Protocol):
    """Who did what when: a chain of sealed rows."""

    def append(self, who: str, what: str, seal: Callable[[bytes, AuditRow], bytes]) -> AuditRow:
        """Add a row, synced.

        Args:
            who: the person or command.
            what: what was done, one line, without secrets.
            seal: gives the MAC over the chain before and the new row (its own ``chain`` empty), 32 bytes.
        """

    def rows(self) -> list[AuditRow]:
        """Give every row, oldest first."""


class Transactions(Protocol):
    """Several changes of the store as one."""

    def atomic(self, *, synced: bool = False) -> AbstractContextManager[None]:
        """Do all of the body or none of it.

        Args:
            synced: on disk when the body ends. What is synced by itself (signing, farmers, facts, audit)
                is refused inside a body that is not.
        """


class Miner(Protocol):
    """Grinding proofs: a set of jobs, searched until a deadline or a stop. Methods may be called at any time."""

    def add(self, job: Job) -> JobId:
        """Add a job to the set."""

    def weigh(self, job_id: JobId, *, cap: int, weight: float) -> None:
        """Change what a job's hashes are worth, and nothing else."""

    def remove(self, job_id: JobId) -> None:
        """Take a job out of the set. Read it before: its progress goes with it."""

    def read_all(self) -> Mapping[JobId, Progress]:
        """Give every job's progress at one instant."""

    def start(self, deadline_s: float | None = None) -> None:
        """Search until so many seconds from now, or until stopped."""

    def stop(self) -> None:
        """Stand still within 50 ms; progress stays."""


class Lock(Protocol):
    """The mining lock: one process a store."""

    def hold(self) -> AbstractContextManager[None]:
        """Hold it, taking it over from an owner that is dead.

        Raises:
            LockedError: when another process does, with owner, age and heartbeat.
        """

    def beat(self) -> None:
        """Give a sign of life, once a ledger, and make sure that the lock is still ours.

        Raises:
            LockedError: when it is not: stop at once.
        """
