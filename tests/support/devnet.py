"""A devnet driven ledger by ledger, and somebody who builds transactions for it with the SDK."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from stellar_sdk import (
    Account,
    FeeBumpTransactionEnvelope,
    Keypair,
    SorobanDataBuilder,
    TransactionBuilder,
    TransactionEnvelope,
    scval,
    xdr,
)
from stellar_sdk.fee_bump_transaction import FeeBumpTransaction

from kalepool.core.address import raw_key
from kalepool.core.farm import Block, Farm, Pail, Proof
from kalepool.core.proof import make_proof
from kalepool.devnet.devnet import Devnet
from kalepool.devnet.entries import Account as AccountEntry
from kalepool.devnet.entries import Trustline
from kalepool.xdr.keys import account_key, pail_key, trustline_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.devnet.execution import Applied
    from kalepool.devnet.faults import FaultPlan
    from kalepool.devnet.ledger import LedgerSettings

XLM = 10_000_000
KALE = 10_000_000


def keypair(name: str) -> Keypair:
    """Give the same keys for the same name."""
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(f"test {name}".encode()).digest())


class Bench:
    """A devnet on the bench: nothing moves until ``close``."""

    def __init__(self, settings: LedgerSettings | None = None, plan: FaultPlan | None = None) -> None:
        self.devnet = Devnet(settings, plan)
        self.ledger = self.devnet.ledger
        self.identity = self.ledger.identity
        self.passphrase = self.identity.passphrase
        self.kale = self.identity.kale_contract
        self.sac = self.identity.sac_contract
        self.tractor = self.identity.tractor_contract

    # Accounts

    def account(self, name: str, xlm: int = 1_000, kale: int | None = None) -> Keypair:
        """Create an account with so many XLM, and a trustline with so many KALE unless None."""
        keys = keypair(name)
        self.ledger.create_account(keys.public_key, xlm * XLM)
        if kale is not None:
            self.ledger.give_kale(keys.public_key, kale * KALE)
        return keys

    def entry(self, keys: Keypair | str) -> AccountEntry | None:
        address = keys if isinstance(keys, str) else keys.public_key
        found = self.ledger.state.get(account_key(address))
        return found.value if found is not None and isinstance(found.value, AccountEntry) else None

    def xlm(self, keys: Keypair | str) -> int:
        account = self.entry(keys)
        assert account is not None
        return account.balance

    def line(self, keys: Keypair | str) -> Trustline | None:
        address = keys if isinstance(keys, str) else keys.public_key
        found = self.ledger.state.get(trustline_key(address, self.identity.kale))
        return found.value if found is not None and isinstance(found.value, Trustline) else None

    def kale_of(self, keys: Keypair | str) -> int:
        line = self.line(keys)
        assert line is not None
        return line.balance

    # The farm

    @property
    def farm(self) -> Farm:
        return self.ledger.farm

    def block(self, index: int) -> Block | None:
        return self.ledger.block(index)

    def pail(self, keys: Keypair | str, index: int) -> Pail | None:
        address = keys if isinstance(keys, str) else keys.public_key
        found = self.ledger.state.get(pail_key(self.kale, address, index))
        return found.value if found is not None and isinstance(found.value, Pail) else None

    def proof(self, keys: Keypair | str, zeros: int = 0, above: int = 0) -> Proof:
        """Grind a proof for the current block with exactly so many zeros, nonce by nonce."""
        address = keys if isinstance(keys, str) else keys.public_key
        block = self.block(self.farm.index)
        assert block is not None
        nonce = above
        while True:
            found = make_proof(self.farm.index, nonce, block.entropy, raw_key(address))
            if found.zeros == zeros:
                return found
            nonce += 1

    # Ledgers

    def close(self, ledgers: int = 1) -> None:
        for _ in range(ledgers):
            self.devnet.close_ledger()

    def close_until(self, time: int) -> None:
        """Close ledgers until the next one would close at or after this time."""
        while self.ledger.next_close_time() < time:
            self.devnet.close_ledger()

    def close_until_due(self) -> None:
        """Close ledgers until a plant in the next one opens a block."""
        block = self.farm.block
        assert block is not None
        self.close_until(block.timestamp + 300)

    def open_block(self, opener: Keypair) -> int:
        """Let somebody open the next block with a plant of 0; give its index."""
        self.close_until_due()
        self.close()  # a simulation sees the last closed ledger, so that one must be due already
        applied = self.land(self.plant(opener))
        assert applied.result.is_success
        return self.farm.index

    # RPC

    def post(self, body: bytes, node: str = "main") -> Any:
        answer = self.devnet.rpcs[node].handle(body)
        return None if answer is None else json.loads(answer)

    def rpc(self, method: str, node: str = "main", **params: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = self.post(body, node)
        assert "error" not in answer, answer
        return answer["result"]

    def rpc_error(self, method: str, **params: Any) -> tuple[int, str]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        answer = self.post(body)
        assert "error" in answer, answer
        return answer["error"]["code"], answer["error"]["message"]

    # Transactions

    def builder(self, source: Keypair, fee: int = 100, ahead: int = 0) -> TransactionBuilder:
        """Start a transaction of an account with its next sequence number, or one further ahead."""
        account = self.entry(source)
        sequence = account.sequence if account is not None else 0
        return TransactionBuilder(
            Account(source.public_key, sequence + ahead), self.passphrase, base_fee=fee
        ).add_time_bounds(0, 0)

    def simulate(self, envelope: TransactionEnvelope, **params: Any) -> Any:
        return self.rpc("simulateTransaction", transaction=envelope.to_xdr(), **params)

    def call(
        self,
        source: Keypair,
        contract: str,
        function: str,
        arguments: Sequence[xdr.SCVal],
        *,
        simulate_for: TransactionEnvelope | None = None,
        **builder: Any,
    ) -> TransactionEnvelope:
        """Build, simulate and sign a contract call whose source authorizes it."""
        envelope = self.unsigned_call(source, contract, function, arguments, **builder)
        result = self.simulate(simulate_for or envelope)
        assert "error" not in result, result["error"]
        return self.assemble(envelope, result, source)

    def unsigned_call(
        self, source: Keypair, contract: str, function: str, arguments: Sequence[xdr.SCVal], **builder: Any
    ) -> TransactionEnvelope:
        started = self.builder(source, **builder)
        return started.append_invoke_contract_function_op(contract, function, list(arguments)).build()

    def assemble(self, envelope: TransactionEnvelope, result: Any, *signers: Keypair) -> TransactionEnvelope:
        """Put a simulation's resources, fee and authorizations into a transaction and sign it."""
        data = SorobanDataBuilder.from_xdr(result["transactionData"]).build()
        envelope.transaction.soroban_data = data
        operation = envelope.transaction.operations[0]
        if result.get("results"):
            operation.auth = [  # type: ignore[attr-defined]
                xdr.SorobanAuthorizationEntry.from_xdr(entry) for entry in result["results"][0]["auth"]
            ]
        envelope.transaction.fee += data.resource_fee.int64
        return sign(envelope, *signers)

    def bump(self, inner: TransactionEnvelope, payer: Keypair, bid: int = 200) -> FeeBumpTransactionEnvelope:
        """Wrap a signed transaction in a fee bump that bids so many stroops for inclusion."""
        data = inner.transaction.soroban_data
        fee = bid + (data.resource_fee.int64 if data is not None else 0)
        outer = FeeBumpTransaction(payer, fee, inner)
        envelope = FeeBumpTransactionEnvelope(outer, self.passphrase)
        envelope.sign(payer)
        return envelope

    def send(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> Any:
        return self.rpc("sendTransaction", transaction=envelope.to_xdr())

    def accept(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> bytes:
        """Send what must be taken; give its hash."""
        answer = self.send(envelope)
        assert answer["status"] == "PENDING", refusal(answer)
        return bytes.fromhex(answer["hash"])

    def land(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> Applied:
        """Send a transaction, close a ledger, give what became of it."""
        tx_hash = self.accept(envelope)
        self.close()
        return self.ledger.by_hash[tx_hash]

    def plant(self, farmer: Keypair, stake: int = 0, **more: Any) -> TransactionEnvelope:
        return self.call(farmer, self.kale, "plant", plant_arguments(farmer, stake), **more)

    def work(self, farmer: Keypair, proof: Proof, source: Keypair | None = None) -> TransactionEnvelope:
        return self.call(source or farmer, self.kale, "work", work_arguments(farmer, proof))

    def harvest(self, farmer: Keypair, index: int, source: Keypair | None = None) -> TransactionEnvelope:
        return self.call(source or farmer, self.kale, "harvest", harvest_arguments(farmer, index))


def plant_arguments(farmer: Keypair, stake: int) -> list[xdr.SCVal]:
    return [scval.to_address(farmer.public_key), scval.to_int128(stake)]


def work_arguments(farmer: Keypair, proof: Proof) -> list[xdr.SCVal]:
    return [scval.to_address(farmer.public_key), scval.to_bytes(proof.hash), scval.to_uint64(proof.nonce)]


def harvest_arguments(farmer: Keypair, index: int) -> list[xdr.SCVal]:
    return [scval.to_address(farmer.public_key), scval.to_uint32(index)]


def sign(envelope: TransactionEnvelope, *signers: Keypair) -> TransactionEnvelope:
    for signer in signers:
        envelope.sign(signer)
    return envelope


def signed_envelope(bench: Bench, raw: bytes, *signers: Keypair) -> str:
    """Sign the XDR of a transaction, even of one that the SDK would refuse to build; give it in base64."""
    kind = xdr.EnvelopeType.ENVELOPE_TYPE_TX.value.to_bytes(4, "big")
    digest = hashlib.sha256(bench.identity.network_id + kind + raw).digest()
    signatures = [signer.sign_decorated(digest).to_xdr_object().to_xdr_bytes() for signer in signers]
    envelope = kind + raw + len(signatures).to_bytes(4, "big") + b"".join(signatures)
    return base64.b64encode(envelope).decode("ascii")


def refusal(answer: Any) -> str:
    """Name the result code of a transaction that was not taken."""
    if "errorResultXdr" not in answer:
        return str(answer["status"])
    return code_of(xdr.TransactionResult.from_xdr(answer["errorResultXdr"]))


def code_of(result: xdr.TransactionResult) -> str:
    """Name a result's code, of the inner transaction where it is a fee bump's."""
    pair = result.result.inner_result_pair
    if pair is not None:
        return "inner " + pair.result.result.code.name
    return result.result.code.name


def operation_codes(applied: Applied) -> list[str]:
    """Name the codes of an applied transaction's operations."""
    return [result.code.name for result in applied.result.operations]
