"""What services need from the world, as Protocols. Adapters fulfil them; tests may too.

All amounts are stroops, all times network time in Unix seconds, all hashes hex unless they say bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from kalepool.core.chain import AccountState, Found, SendAnswer, Snapshot, Tip
    from kalepool.core.farm import Proof
    from kalepool.core.farmers import Farmer, FarmerState, Terms
    from kalepool.core.intents import Attempt, Intent, Kind, State


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

    async def inclusion_fee(self, percentile: int) -> int:
        """Give an inclusion fee per operation lately paid, in stroops."""


class Broadcaster(Protocol):
    """Sending to the network. Only ``services/submit.py`` holds one."""

    async def send(self, envelopes: Sequence[bytes]) -> list[SendAnswer]:
        """Send envelopes in batches; an answer each, UNKNOWN where none came."""


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


class Farmers(Protocol):
    """Farmers in the store."""

    def all(self, *states: FarmerState) -> list[Farmer]:
        """Give farmers, those in given states, or all, by number."""

    def get(self, name: str) -> Farmer:
        """Give one by name.

        Raises:
            UsageError: when there is none.
        """

    def add(self, farmers: Sequence[Farmer], *, who: str) -> list[Farmer]:
        """Add farmers, all or none; numbers are given by the store.

        Raises:
            UsageError: when a name or an address is taken.
        """

    def move(self, number: int, state: FarmerState, *, who: str, why: str = "") -> None:
        """Move one to another state, and record it.

        Raises:
            UsageError: when the move is not legal.
        """

    def set_terms(self, number: int, terms: Terms, *, from_block: int, who: str) -> None:
        """Give one new terms, from a block on; old pails stay under the old."""

    def terms_at(self, number: int, block: int) -> Terms:
        """Give the terms under which a block's pail settles."""


class Journal(Protocol):
    """Intents and attempts: on disk before anything leaves."""

    def plan(self, kind: Kind, purpose: str, items: Iterable[str]) -> Intent | None:
        """Begin an intent; None where the purpose was begun before or an item is taken."""

    def sign(self, intent: int, attempt: Attempt) -> None:
        """Store an attempt and move the intent to signed; on disk, synced, before this returns."""

    def mark(self, intents: Sequence[int], state: State, *, why: str = "") -> None:
        """Move intents to a state.

        Raises:
            InternalError: when a move is not legal.
        """

    def open_intents(self, *, mine: bool = True) -> list[Intent]:
        """Give open intents: this owner's and those of dead owners, or all."""

    def settle(self, intent: int, postings: Sequence[tuple[str, str, int]], *, why: str = "") -> None:
        """Move an intent to settled and post to the ledger, in one transaction.

        Args:
            intent: which.
            postings: (account, asset, stroops), summing to zero for each asset.
            why: a note for people.
        """

    def last_sequence(self, source: str) -> int | None:
        """Give the highest sequence number signed for an account whose attempt is not dead."""


class Books(Protocol):
    """The ledger: double entry in stroops."""

    def balance(self, account: str, asset: str) -> int:
        """Give the balance of an account."""

    def balances(self) -> Mapping[tuple[str, str], int]:
        """Give every balance by (account, asset)."""

    def total(self) -> int:
        """Give the sum of all postings: zero, or something is broken."""


class Miner(Protocol):
    """Grinding proofs."""

    def best(self, farmer: str) -> Proof | None:
        """Give the best proof so far of a farmer in the block being ground; may be asked at any time."""


class Lock(Protocol):
    """The mining lock: one process a store."""

    def hold(self) -> AbstractContextManager[None]:
        """Hold it.

        Raises:
            LockedError: when another process does, with owner, age and heartbeat.
        """
