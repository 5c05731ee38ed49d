"""The node's client on the bench: over a devnet in this process, in virtual time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from kalepool.adapters.stellar.broadcast import StellarBroadcaster
from kalepool.adapters.stellar.calls import Deployment
from kalepool.adapters.stellar.chain import StellarChain
from kalepool.adapters.stellar.envelopes import Bounds, Lane
from kalepool.adapters.stellar.network import Network
from kalepool.adapters.stellar.rpc import RpcClient, RpcSettings
from kalepool.adapters.stellar.transactions import Transactions
from kalepool.devnet.app import Application
from kalepool.devnet.entries import KaleInstance, PlainInstance
from kalepool.devnet.faults import FaultPlan, NodeFaults
from kalepool.devnet.state import Layer
from kalepool.xdr.keys import instance_key, pail_key
from support.devnet import Bench
from support.virtual import loop_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from stellar_sdk import Keypair

    from kalepool.core.farm import Pail
    from kalepool.devnet.execution import Applied
    from kalepool.devnet.ledger import LedgerSettings
    from kalepool.ports import Broadcaster, Chain

URL = "http://127.0.0.1/"
SECOND_URL = "http://127.0.0.1/nodes/second"
NODE = "127.0.0.1"
SECOND_NODE = "127.0.0.1#2"
MAX_FEE = 1_000_000

FAST = RpcSettings(requests_per_second=1_000.0, burst=1_000)


class Patched(httpx.AsyncBaseTransport):
    """Lets something be done to a node's answers, or to its requests.

    Args:
        inner: where the answers come from.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.paths: list[str] = []
        self.change: Callable[[str, str, dict[str, Any]], Any] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        response = await self.inner.handle_async_request(request)
        if self.change is None or response.status_code != 200:
            return response
        body = json.loads(await response.aread())
        calls = json.loads(request.content)
        methods = {call["id"]: call["method"] for call in (calls if isinstance(calls, list) else [calls])}
        for one in body if isinstance(body, list) else [body]:
            if "result" in one:
                one["result"] = self.change(request.url.path, methods[one["id"]], one["result"])
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(body).encode()))


class Pool(Bench):
    """A bench with the node's client on it, an operator, and keys to sign with."""

    def __init__(
        self,
        settings: LedgerSettings | None = None,
        *,
        faults: NodeFaults | None = None,
        second: NodeFaults | None = None,
    ) -> None:
        nodes = {"main": faults or NodeFaults(), "second": second or NodeFaults()}
        super().__init__(settings, FaultPlan(nodes=nodes))
        self.transport = Patched(httpx.ASGITransport(Application(self.devnet)))
        self.network = Network(
            passphrase=self.passphrase,
            kale=self.kale,
            asset=self.identity.kale,
            asset_contract=self.sac,
            tractor=self.tractor,
        )
        self.keys: dict[str, Keypair] = {}
        self.operator = self.member("operator", xlm=100_000)
        self.connect()

    def connect(self, *urls: str, settings: RpcSettings = FAST, max_fee: int = MAX_FEE) -> None:
        """Make a client of these nodes; nothing known of them is kept."""
        self.rpc_client = RpcClient(
            urls or [URL], self.passphrase, settings, transport=self.transport, monotonic=loop_time
        )
        self.chain = StellarChain(self.rpc_client, self.network)
        self.broadcaster = StellarBroadcaster(self.rpc_client)
        # The type checker holds both to their ports.
        self.ports: tuple[Chain, Broadcaster] = (self.chain, self.broadcaster)
        self.transactions = Transactions(
            self.deployment, self.operator.public_key, self.sign, self.chain, max_fee=max_fee
        )

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.network, self.code_of(self.kale), self.code_of(self.tractor))

    def code_of(self, contract: str) -> bytes:
        entry = self.ledger.state.get(instance_key(contract))
        assert entry is not None
        assert isinstance(entry.value, KaleInstance | PlainInstance)
        return entry.value.wasm_hash

    def member(self, name: str, xlm: int = 10, kale: int | None = None) -> Keypair:
        """Create an account whose key is at hand."""
        keys = self.account(name, xlm=xlm, kale=kale)
        self.keys[keys.public_key] = keys
        return keys

    def put_pail(self, farmer: str, index: int, pail: Pail) -> None:
        """Write a pail as if it had been planted now."""
        layer = Layer(self.ledger.state, self.ledger.latest.sequence)
        end = layer.sequence + self.ledger.settings.temporary_ttl - 1
        layer.put(pail_key(self.kale, farmer, index), pail, end, temporary=True)
        self.ledger.state.apply(layer.changes)

    def sign(self, address: str, payload: bytes) -> bytes:
        assert len(payload) == 32
        return self.keys[address].sign(payload)

    def lane(self, keys: Keypair) -> Lane:
        account = self.entry(keys)
        assert account is not None
        return Lane(keys.public_key, account.sequence + 1)

    def bounds(self, seconds: int = 60) -> Bounds:
        return Bounds(max_time=self.ledger.latest.close_time + seconds)

    def applied(self, hash_hex: str) -> Applied:
        return self.ledger.by_hash[bytes.fromhex(hash_hex)]
