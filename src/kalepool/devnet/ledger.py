"""The ledger: closes one after another, applies what was chosen, keeps a bounded history.

Nothing here knows a clock: whoever drives it says when a ledger closes and by how much time moves.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kalepool.core import contract as rules
from kalepool.core.farm import Block, Farm, Pail
from kalepool.devnet.contracts import contracts_of
from kalepool.devnet.entries import (
    Account,
    AssetInstance,
    Code,
    KaleInstance,
    LiquidityPool,
    PlainInstance,
    Trustline,
)
from kalepool.devnet.execution import Applied, Rules, apply, give_refund, take_fee
from kalepool.devnet.host import MAX_TTL
from kalepool.devnet.network import KALE_WASM, NULL_ACCOUNT, TRACTOR_WASM, Identity
from kalepool.devnet.queue import Answer, Queue
from kalepool.devnet.state import Layer, State
from kalepool.devnet.validity import Limits
from kalepool.xdr.keys import account_key, block_key, code_key, instance_key, pool_key, trustline_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kalepool.devnet.events import AssetEvent
    from kalepool.devnet.state import Changes
    from kalepool.devnet.transactions import Transaction

TOTAL_COINS = 1_000_000_000_000_000_000
FRIENDBOT_STROOPS = 100_000_000_000
"""What friendbot gives a new account: 10,000 XLM."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How a local network behaves.

    Attributes:
        genesis_time: close time of the first ledger, Unix seconds.
        ledger_seconds: network seconds between ledgers; may be a fraction.
        temporary_ttl: ledgers that a new temporary entry lives.
        history_ledgers: ledgers whose transactions and events are kept.
        first_index: FarmIndex at the start.
        limits: of ledgers and transactions.
        opener_reads_previous: whether a plant that opens a block also reads the block before.
        identity: the network's ids.
    """

    genesis_time: int = 1_700_000_000
    ledger_seconds: float = 5.0
    temporary_ttl: int = 17_280
    history_ledgers: int = 2_880
    first_index: int = 0
    limits: Limits = field(default_factory=Limits)
    opener_reads_previous: bool = False
    identity: Identity = field(default_factory=Identity)


@dataclass(slots=True)
class Told:
    """An event with its place: which transaction, which operation, which of its events.

    Attributes:
        transaction_order: place of the transaction in the ledger, from 1.
        operation: place of the operation, from 0.
        position: place among the operation's events, from 0.
        event: what was told.
        transaction_hash: of the transaction, 32 bytes.
        successful: whether the transaction was.
    """

    transaction_order: int
    operation: int
    position: int
    event: AssetEvent
    transaction_hash: bytes
    successful: bool = True


@dataclass(slots=True)
class ClosedLedger:
    """A closed ledger.

    Attributes:
        sequence: its number.
        close_time: Unix seconds.
        hash: 32 bytes, and the hash of the one before.
        transactions: in the order of application.
        events: asset events of its successful transactions; fees are told by ``events_of``.
        undo: entries as they were before it, by key.
        inclusion_fees: paid per operation: of Soroban and of classic transactions.
        total_coins: all XLM, stroops. ``fee_pool``: what fees have gathered.
    """

    sequence: int
    close_time: int
    hash: bytes
    previous_hash: bytes
    transactions: list[Applied] = field(default_factory=list)
    events: list[Told] = field(default_factory=list)
    undo: Changes = field(default_factory=dict)
    inclusion_fees: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    total_coins: int = TOTAL_COINS
    fee_pool: int = 0


class Ledger:
    """The network's ledger and queue.

    Args:
        settings: how it behaves.
    """

    def __init__(self, settings: LedgerSettings | None = None) -> None:
        self.settings = settings or LedgerSettings()
        self.identity = self.settings.identity
        self.rules = Rules(
            identity=self.identity,
            contracts=contracts_of(self.identity, opener_reads_previous=self.settings.opener_reads_previous),
            limits=self.settings.limits,
            temporary_ttl=self.settings.temporary_ttl,
        )
        self.state = State()
        self.queue = Queue(self.settings.limits)
        self.history: deque[ClosedLedger] = deque()
        self.by_hash: dict[bytes, Applied] = {}
        self.participants: list[Callable[[Ledger, Layer, int], list[Told]]] = []
        self._time_left_over = 0.0
        self._seed_ledger()

    # What has been closed

    @property
    def latest(self) -> ClosedLedger:
        """The last closed ledger."""
        return self.history[-1]

    @property
    def oldest(self) -> ClosedLedger:
        """The oldest ledger in the history."""
        return self.history[0]

    def closed(self, sequence: int) -> ClosedLedger | None:
        """Give a ledger of the history, or None."""
        position = sequence - self.oldest.sequence
        return self.history[position] if 0 <= position < len(self.history) else None

    def ledgers(self, first: int, last: int) -> Iterator[ClosedLedger]:
        """Give the ledgers of the history from first to last, inclusive."""
        for sequence in range(max(first, self.oldest.sequence), min(last, self.latest.sequence) + 1):
            closed = self.closed(sequence)
            if closed is not None:
                yield closed

    @property
    def farm(self) -> Farm:
        """The KALE contract's instance after the last closed ledger."""
        return self._kale_instance().farm

    def block(self, index: int) -> Block | None:
        """Give Block(index) after the last closed ledger, or None."""
        entry = self.state.get(block_key(self.identity.kale_contract, index))
        return entry.value if entry is not None and isinstance(entry.value, Block) else None

    def deeds(self, closed: ClosedLedger) -> Counter[str]:
        """Count what farmers did in the last closed ledger, as its pails show: plants, works, harvests."""
        count: Counter[str] = Counter()
        for key, before in closed.undo.items():
            after = self.state.get(key)
            old, new = (entry.value if entry is not None else None for entry in (before, after))
            if isinstance(new, Pail):
                if not isinstance(old, Pail):
                    count["planted"] += 1
                elif new.zeros != old.zeros:
                    count["worked"] += 1
            elif isinstance(old, Pail):
                # An expired one is gone without a harvest.
                count[
                    "harvested" if before is not None and before.is_live(closed.sequence) else "expired"
                ] += 1
        return count

    def _kale_instance(self) -> KaleInstance:
        entry = self.state.get(instance_key(self.identity.kale_contract))
        assert entry is not None
        assert isinstance(entry.value, KaleInstance)
        return entry.value

    # What comes in

    def submit(self, tx: Transaction) -> Answer:
        """Take a transaction into the queue, or say why not."""
        return self.queue.add(tx, self.next_layer(), self.latest.close_time)

    def next_layer(self) -> Layer:
        """Give a layer in which the next ledger could be tried; it is dropped with its last user."""
        return Layer(self.state, self.latest.sequence + 1)

    # Closing

    def next_close_time(self) -> int:
        """Give the close time of the ledger that would close now."""
        return self.latest.close_time + int(self._time_left_over + self.settings.ledger_seconds)

    def close(self, late_by: float = 0.0) -> ClosedLedger:
        """Close a ledger.

        Args:
            late_by: network seconds that it takes longer than usual.
        """
        before = self.latest
        passed = self._time_left_over + self.settings.ledger_seconds + late_by
        self._time_left_over = passed - int(passed)
        close_time = before.close_time + int(passed)
        sequence = before.sequence + 1
        layer = Layer(self.state, sequence)
        # Close times are whole and rise by at least a second, whatever the speed.
        close_time = max(close_time, before.close_time + 1)
        digest = hashlib.sha256(before.hash + sequence.to_bytes(4, "big")).digest()
        chosen = self.queue.choose(layer, close_time, digest)
        closed = ClosedLedger(
            sequence,
            close_time,
            digest,
            before.hash,
            total_coins=before.total_coins,
            fee_pool=before.fee_pool,
        )
        fees = []
        for tx in chosen.transactions:
            inclusion = chosen.inclusion(tx)
            closed.inclusion_fees[0 if tx.is_soroban else 1].append(inclusion // tx.fee_operations)
            fees.append(take_fee(tx, layer, inclusion))
        for order, (tx, fee) in enumerate(zip(chosen.transactions, fees, strict=True), start=1):
            applied = apply(tx, layer, self.rules, close_time=close_time, order=order, fee_taken=fee)
            closed.transactions.append(applied)
        for applied in closed.transactions:
            give_refund(applied, layer)
            closed.fee_pool += applied.result.fee_charged
            closed.events.extend(_told(applied))
        for take_part in self.participants:
            closed.events.extend(take_part(self, layer, close_time))
        self._finish(closed, layer)
        return closed

    def _finish(self, closed: ClosedLedger, layer: Layer) -> None:
        closed.undo = {key: self.state.get(key) for key in layer.changes}
        self.state.apply(layer.changes)
        expired = self.state.expired(closed.sequence)
        closed.undo.update({key: self.state.get(key) for key in expired if key not in closed.undo})
        self.state.apply(expired)
        self.history.append(closed)
        for applied in closed.transactions:
            self.by_hash[applied.transaction.hash] = applied
            self.by_hash[applied.transaction.outer_hash] = applied
        while len(self.history) > self.settings.history_ledgers:
            self._forget(self.history.popleft())

    def _forget(self, closed: ClosedLedger) -> None:
        for applied in closed.transactions:
            self.by_hash.pop(applied.transaction.hash, None)
            self.by_hash.pop(applied.transaction.outer_hash, None)

    # Changes from outside the protocol: faults, and a new network's first entries

    def change_farm(self, **fields: object) -> None:
        """Change the farm as its owner might have; what the faults use."""
        instance = self._kale_instance()
        self.put_now(
            instance_key(self.identity.kale_contract),
            replace(instance, farm=replace(instance.farm, **fields)),  # type: ignore[arg-type]
        )

    def change_code(self, wasm: bytes) -> bytes:
        """Give the KALE contract other code; give its hash."""
        wasm_hash = hashlib.sha256(wasm).digest()
        self.put_now(code_key(wasm_hash), Code(wasm), persistent=True)
        instance = replace(self._kale_instance(), wasm_hash=wasm_hash)
        self.put_now(instance_key(self.identity.kale_contract), instance)
        return wasm_hash

    def fill_pool(self, *, xlm: int, kale: int) -> None:
        """Let the liquidity pool of XLM and KALE hold so much, stroops, out of nowhere."""
        self.put_now(pool_key(self.identity.kale), LiquidityPool(self.identity.kale, xlm, kale))

    def delete_now(self, key: bytes) -> bool:
        """Remove an entry between two ledgers; tell whether it was there."""
        existed = self.state.get(key) is not None
        self._note_undo(key)
        self.state.apply({key: None})
        return existed

    def put_now(self, key: bytes, value: object, *, persistent: bool = False) -> None:
        """Write an entry between two ledgers, as part of the last closed one."""
        entry = self.state.get(key)
        live_until = entry.live_until if entry is not None else None
        if entry is None and persistent:
            live_until = self.latest.sequence + MAX_TTL - 1
        temporary = entry is not None and entry.temporary
        layer = Layer(self.state, self.latest.sequence)
        layer.put(key, value, live_until, temporary=temporary)  # type: ignore[arg-type]
        self._note_undo(key)
        self.state.apply(layer.changes)

    def _note_undo(self, key: bytes) -> None:
        self.latest.undo.setdefault(key, self.state.get(key))

    def create_account(self, address: str, stroops: int) -> None:
        """Put an account into the ledger out of friendbot's XLM, without a transaction.

        For accounts that belong to the network itself, and for tests that need many.
        """
        key = account_key(self.identity.friendbot.public_key)
        entry = self.state.get(key)
        assert entry is not None
        assert isinstance(entry.value, Account)
        self.put_now(key, replace(entry.value, balance=entry.value.balance - stroops))
        self.put_now(account_key(address), Account(address, stroops, self.latest.sequence << 32))

    def give_kale(self, address: str, stroops: int) -> None:
        """Give an account a KALE trustline with this balance, without a transaction."""
        key = account_key(address)
        entry = self.state.get(key)
        assert entry is not None
        assert isinstance(entry.value, Account)
        line = trustline_key(address, self.identity.kale)
        if self.state.get(line) is None:
            self.put_now(key, replace(entry.value, subentries=entry.value.subentries + 1))
        self.put_now(line, Trustline(address, self.identity.kale, stroops, 2**63 - 1))

    def _seed_ledger(self) -> None:
        identity, settings = self.identity, self.settings
        layer = Layer(self.state, 1)
        end = MAX_TTL
        endowed = (identity.issuer.public_key, identity.homesteader.public_key, NULL_ACCOUNT)
        balances = dict.fromkeys(endowed, FRIENDBOT_STROOPS)
        balances[identity.friendbot.public_key] = TOTAL_COINS - len(endowed) * FRIENDBOT_STROOPS
        for address, balance in balances.items():
            layer.put(account_key(address), Account(address, balance, 0))
        kale_hash, tractor_hash = (hashlib.sha256(wasm).digest() for wasm in (KALE_WASM, TRACTOR_WASM))
        layer.put(code_key(kale_hash), Code(KALE_WASM), end)
        layer.put(code_key(tractor_hash), Code(TRACTOR_WASM), end)
        farm = Farm(
            homesteader=identity.homesteader.public_key,
            asset=identity.sac_contract,
            index=settings.first_index,
            block=rules.new_record(settings.genesis_time),
            paused=False,
        )
        layer.put(instance_key(identity.kale_contract), KaleInstance(farm, kale_hash), end)
        layer.put(instance_key(identity.tractor_contract), PlainInstance(tractor_hash), end)
        sac = AssetInstance(identity.kale, identity.kale_contract)
        layer.put(instance_key(identity.sac_contract), sac, end)
        layer.put(instance_key(identity.native_contract), AssetInstance(None, None), end)
        self.state.apply(layer.changes)
        genesis = hashlib.sha256(identity.network_id + b"genesis").digest()
        self.history.append(ClosedLedger(1, settings.genesis_time, genesis, bytes(32)))


def _told(applied: Applied) -> list[Told]:
    tx_hash = applied.transaction.outer_hash
    return [
        Told(applied.order, operation, position, event, tx_hash)
        for operation, events in enumerate(applied.operation_events)
        for position, event in enumerate(events)
    ]
