"""A local network as a whole: one ledger, its nodes, friendbot, neighbours and faults.

It has no clock and no socket of its own; a server or a test closes its ledgers.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from stellar_sdk import Account as SdkAccount
from stellar_sdk import Keypair, TransactionBuilder

from kalepool.core.address import is_account, raw_key
from kalepool.devnet.entries import MAX_I64, Account
from kalepool.devnet.faults import MAIN_NODE, Dice, FaultPlan, NodeFaults, changed_network, changed_node
from kalepool.devnet.ledger import FRIENDBOT_STROOPS, Ledger, LedgerSettings
from kalepool.devnet.rpc import Rpc
from kalepool.devnet.transactions import MAX_OPERATIONS, parse_envelope
from kalepool.errors import RejectedError, UsageError
from kalepool.xdr.keys import account_key, block_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.devnet.entries import Entry
    from kalepool.devnet.faults import Event
    from kalepool.devnet.ledger import ClosedLedger
    from kalepool.devnet.state import View


class Node:
    """One node's view of the network: the latest ledger, or one further back.

    Args:
        name: what it is called.
        ledger: the network.
        faults: how it misbehaves.
        dice: where its answers to transactions are drawn from.
    """

    def __init__(self, name: str, ledger: Ledger, faults: NodeFaults, dice: Dice) -> None:
        self.name = name
        self._ledger = ledger
        self._dice = dice
        self._stalled_at: int | None = None
        self.faults = faults

    @property
    def faults(self) -> NodeFaults:
        """How it misbehaves now."""
        return self._faults

    @faults.setter
    def faults(self, faults: NodeFaults) -> None:
        self._faults = faults
        if not faults.stalled:
            self._stalled_at = None
        elif self._stalled_at is None:
            self._stalled_at = self._ledger.latest.sequence

    @property
    def latest(self) -> ClosedLedger:
        """The last ledger that this node has."""
        seen = self._ledger.latest.sequence if self._stalled_at is None else self._stalled_at
        # No node is further back than the history that others keep for it.
        seen = max(seen - self._faults.lag_ledgers, self._ledger.oldest.sequence)
        return self._ledger.closed(seen) or self._ledger.oldest

    @property
    def entries(self) -> View:
        """Entries after that ledger."""
        latest = self.latest
        if latest is self._ledger.latest:
            return self._ledger.state
        return PastView(self._ledger, latest.sequence)

    def refuses_transactions(self) -> bool:
        """Draw whether it puts off a transaction."""
        return self._dice.happens(self._faults.try_again_later)


class PastView:
    """Entries as they were after a ledger of the history.

    Args:
        ledger: the network.
        sequence: that ledger.
    """

    def __init__(self, ledger: Ledger, sequence: int) -> None:
        self._ledger = ledger
        self._sequence = sequence

    def get(self, key: bytes) -> Entry | None:
        """Give the entry under this key, or None: the first later ledger that changed it knows it."""
        for closed in self._ledger.ledgers(self._sequence + 1, self._ledger.latest.sequence):
            if key in closed.undo:
                return closed.undo[key]
        return self._ledger.state.get(key)


class Devnet:
    """A local network.

    Args:
        settings: how its ledger behaves.
        plan: what goes wrong.
        base_url: where its nodes are reached; told to clients.
    """

    def __init__(
        self,
        settings: LedgerSettings | None = None,
        plan: FaultPlan | None = None,
        base_url: str = "http://127.0.0.1:8000",
    ) -> None:
        plan = plan or FaultPlan()
        self.ledger = Ledger(settings)
        self.base_url = base_url
        self.dice = Dice(plan.seed)
        self.network_faults = plan.network
        self.nodes = {name: Node(name, self.ledger, faults, self.dice) for name, faults in plan.nodes.items()}
        self.rpcs = {
            name: Rpc(self.ledger, node, f"{base_url}/friendbot") for name, node in self.nodes.items()
        }
        self.on_close: list[Callable[[ClosedLedger], None]] = []
        self._events = sorted(plan.events, key=lambda event: event.ledger)
        self._wanted: list[str] = []
        self._waiters: list[asyncio.Future[None]] = []

    # Ledgers

    def close_ledger(self, late_by: float = 0.0) -> ClosedLedger:
        """Close the next ledger, and do what is due then.

        Args:
            late_by: network seconds by which it closes late.
        """
        self._fund_wanted()
        closed = self.ledger.close(late_by)
        while self._events and self._events[0].ledger <= closed.sequence:
            self._happen(self._events.pop(0))
        for listener in self.on_close:
            listener(closed)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        return closed

    def draw_lateness(self) -> float:
        """Draw by how many seconds the next ledger closes late."""
        return self.dice.late_by(self.network_faults)

    async def wait_for_ledger(self) -> None:
        """Wait until the next ledger has closed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    # Friendbot

    def want_funds(self, address: str) -> None:
        """Ask friendbot for a new account, to be created in the next ledger.

        Raises:
            UsageError: when it is no G address.
            RejectedError: when the account exists.
        """
        raw_key(address)
        if not is_account(address):
            raise UsageError("friendbot funds accounts, not contracts", hint="give a G address")
        if self.ledger.state.get(account_key(address)) is not None:
            raise RejectedError("createAccountAlreadyExist", hint="the account is funded already")
        if address not in self._wanted:
            self._wanted.append(address)

    def _fund_wanted(self) -> None:
        # Whoever is still missing is asked for again: one address that somebody else has created in
        # the same ledger fails the whole transaction, and a full queue may put it off.
        self._wanted = [one for one in self._wanted if self.ledger.state.get(account_key(one)) is None]
        if self._wanted:
            envelope = self._funding(self._wanted[:MAX_OPERATIONS])
            self.ledger.submit(parse_envelope(envelope, self.ledger.identity.network_id))

    def _funding(self, addresses: list[str]) -> bytes:
        friendbot = self.ledger.identity.friendbot
        builder = TransactionBuilder(
            self._source(friendbot), self.ledger.identity.passphrase, base_fee=1_000_000
        ).add_time_bounds(0, 0)
        for address in addresses:
            builder.append_create_account_op(address, str(FRIENDBOT_STROOPS // 10_000_000))
        envelope = builder.build()
        envelope.sign(friendbot)
        return envelope.to_xdr_object().to_xdr_bytes()

    def _source(self, keypair: Keypair) -> SdkAccount:
        entry = self.ledger.state.get(account_key(keypair.public_key))
        assert entry is not None
        assert isinstance(entry.value, Account)
        return SdkAccount(keypair.public_key, entry.value.sequence)

    # Faults at run time

    def pause(self) -> None:
        """Pause the farm, as its owner would."""
        self.ledger.change_farm(paused=True)

    def unpause(self) -> None:
        """Resume the farm."""
        self.ledger.change_farm(paused=False)

    def remove_block(self, index: int | None = None) -> bool:
        """Remove a Block, the current one by default; tell whether it was there."""
        farm = self.ledger.farm
        key = block_key(self.ledger.identity.kale_contract, farm.index if index is None else index)
        return self.ledger.delete_now(key)

    def change_wasm(self) -> str:
        """Give the KALE contract other code, as an upgrade would; give its hash in hex."""
        wasm = b"\0asm kalepool devnet: KALE contract, changed after ledger %d" % self.ledger.latest.sequence
        return self.ledger.change_code(wasm).hex()

    def fill_pool(self, *, xlm: int, kale: int) -> None:
        """Let the liquidity pool of XLM and KALE hold so much from now on, stroops: a price to be read.

        Raises:
            UsageError: for an amount that no pool can hold.
        """
        if not all(0 <= amount <= MAX_I64 for amount in (xlm, kale)):
            raise UsageError("a pool cannot hold that", hint="give stroops from 0 to 2^63 - 1")
        self.ledger.fill_pool(xlm=xlm, kale=kale)

    def change_node(self, name: str, faults: dict[str, Any]) -> NodeFaults:
        """Change how a node misbehaves.

        Raises:
            ConfigError: for an unknown fault or an impossible value.
            UsageError: for an unknown node.
        """
        if name not in self.nodes:
            raise UsageError(f"there is no node {name!r}", hint=f"there are {', '.join(self.nodes)}")
        node = self.nodes[name]
        node.faults = changed_node(node.faults, faults)
        return node.faults

    def change_network(self, faults: dict[str, Any]) -> None:
        """Change how the network misbehaves.

        Raises:
            ConfigError: for an unknown fault or an impossible value.
        """
        self.network_faults = changed_network(self.network_faults, faults)

    def _happen(self, event: Event) -> None:
        if event.action == "pause":
            self.pause()
        elif event.action == "unpause":
            self.unpause()
        elif event.action == "remove_block":
            self.remove_block(event.index)
        elif event.action == "change_wasm":
            self.change_wasm()
        else:
            self.change_node(event.node, dict(event.faults))

    def describe(self) -> dict[str, Any]:
        """Say who and where the network is: what ``GET /`` answers."""
        identity = self.ledger.identity
        return {
            "network": "local",
            "passphrase": identity.passphrase,
            "rpc_url": f"{self.base_url}/",
            "friendbot_url": f"{self.base_url}/friendbot",
            "kale_asset": identity.kale_name,
            "sac_contract": identity.sac_contract,
            "kale_contract": identity.kale_contract,
            "tractor_contract": identity.tractor_contract,
            "nodes": {
                name: f"{self.base_url}/" if name == MAIN_NODE else f"{self.base_url}/nodes/{name}"
                for name in self.nodes
            },
        }
