"""The Python stellar-sdk meets a devnet over a socket, and cannot tell it from a node.

Nothing of ours speaks to the network here: the SDK's SorobanServer and ContractClient do.
Whoever plants waits until a block is due first, so that no plant straddles a roll-over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from stellar_sdk import (
    Asset,
    FeeBumpTransactionEnvelope,
    Keypair,
    SorobanServer,
    TransactionBuilder,
    TransactionEnvelope,
    scval,
    xdr,
)
from stellar_sdk.client.requests_client import RequestsClient
from stellar_sdk.contract import ContractClient
from stellar_sdk.contract.exceptions import SimulationFailedError, TransactionFailedError
from stellar_sdk.exceptions import AccountNotFoundException, SorobanRpcErrorResponse
from stellar_sdk.soroban_rpc import (
    EventFilter,
    EventFilterType,
    GetTransactionResponse,
    GetTransactionStatus,
    SendTransactionStatus,
)

from kalepool.core import contract as rules
from kalepool.core.address import raw_key
from kalepool.core.proof import make_proof
from kalepool.xdr.farm import block_from_scval, instance_from_scval, pail_from_scval
from kalepool.xdr.keys import block_key, instance_key, pail_key
from support.devnet import (
    KALE,
    code_of,
    harvest_arguments,
    plant_arguments,
    work_arguments,
)
from support.live import LiveNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stellar_sdk.contract import AssembledTransaction

    from kalepool.core.farm import Block, Farm, Pail, Proof

_EXPIRES_AFTER = 1_000  # ledgers that a signed authorization stays good: 50 s here
_MAX_POLLS = 200


class Client:
    """Somebody with the SDK and the ids that the network prints."""

    def __init__(self, network: LiveNetwork) -> None:
        self.network = network
        self.server = SorobanServer(f"{network.url}/")
        self.passphrase = network.identity.passphrase
        self.kale = Asset(*network.identity.kale)
        self._http = RequestsClient()
        self._clients = {
            name: ContractClient(address, f"{network.url}/", self.passphrase)
            for name, address in (
                ("kale", network.identity.kale_contract),
                ("sac", network.identity.sac_contract),
                ("tractor", network.identity.tractor_contract),
            )
        }

    def close(self) -> None:
        self.server.close()
        self._http.close()
        for client in self._clients.values():
            client.server.close()

    # Accounts

    def friendbot(self, address: str) -> tuple[int, dict[str, Any]]:
        url = self.server.get_network().friendbot_url
        assert url is not None
        answer = self._http.get(url, {"addr": address})
        return answer.status_code, answer.json()

    def funded(self) -> Keypair:
        """Give an account with 10,000 XLM."""
        keys = Keypair.random()
        status, _ = self.friendbot(keys.public_key)
        assert status == 200
        return keys

    def farmer(self, kale: int = 0) -> Keypair:
        """Give an account with a trustline and so many KALE."""
        keys = self.funded()
        self.land(self.signed(self.builder(keys).append_change_trust_op(self.kale), keys))
        if kale:
            issuer = self.network.identity.issuer
            payment = self.builder(issuer).append_payment_op(keys.public_key, self.kale, str(kale))
            self.land(self.signed(payment, issuer))
        return keys

    def kale_of(self, keys: Keypair) -> int:
        """Ask the asset contract for a balance, stroops."""
        reading = self._clients["sac"].invoke(
            "balance", [scval.to_address(keys.public_key)], parse_result_xdr_fn=scval.from_int128
        )
        found = reading.result()
        assert isinstance(found, int)
        return found

    # Transactions

    def builder(self, source: Keypair) -> TransactionBuilder:
        return TransactionBuilder(
            self.server.load_account(source.public_key), self.passphrase, base_fee=200
        ).set_timeout(300)

    def signed(self, builder: TransactionBuilder, *signers: Keypair) -> TransactionEnvelope:
        envelope = builder.build()
        for signer in signers:
            envelope.sign(signer)
        return envelope

    def settle(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> GetTransactionResponse:
        """Send a transaction and give what became of it."""
        sent = self.server.send_transaction(envelope)
        assert sent.status == SendTransactionStatus.PENDING, sent
        return self.found(sent.hash)

    def found(self, tx_hash: str) -> GetTransactionResponse:
        """Poll for a transaction, once a ledger."""

        def wait(_attempt: int) -> int:
            self.network.wait_for_next()
            return 0

        found = self.server.poll_transaction(tx_hash, _MAX_POLLS, wait)
        assert found.status != GetTransactionStatus.NOT_FOUND
        return found

    def land(self, envelope: TransactionEnvelope | FeeBumpTransactionEnvelope) -> GetTransactionResponse:
        """Send a transaction that must succeed."""
        found = self.settle(envelope)
        assert found.status == GetTransactionStatus.SUCCESS, found.result_xdr
        return found

    def call(
        self, name: str, function: str, arguments: Sequence[xdr.SCVal], signer: Keypair, **more: Any
    ) -> AssembledTransaction[xdr.SCVal]:
        """Simulate a call of one of the network's contracts."""
        return self._clients[name].invoke(
            function, arguments, source=signer.public_key, signer=signer, base_fee=200, **more
        )

    def run(self, assembled: AssembledTransaction[xdr.SCVal]) -> GetTransactionResponse:
        """Sign and land a simulated call."""
        assembled.sign()
        assert assembled.built_transaction is not None
        return self.land(assembled.built_transaction)

    # The farm, read as anybody may

    def _entry(self, key: bytes) -> xdr.SCVal:
        found = self.server.get_ledger_entries([xdr.LedgerKey.from_xdr_bytes(key)]).entries
        assert found is not None
        data = xdr.LedgerEntryData.from_xdr(found[0].xdr)
        assert data.contract_data is not None
        return data.contract_data.val

    @property
    def farm(self) -> Farm:
        return instance_from_scval(self._entry(instance_key(self.network.identity.kale_contract)))[0]

    def block(self, index: int) -> Block:
        return block_from_scval(self._entry(block_key(self.network.identity.kale_contract, index)))

    def pail(self, farmer: Keypair, index: int) -> Pail:
        key = pail_key(self.network.identity.kale_contract, farmer.public_key, index)
        return pail_from_scval(self._entry(key))

    def proof(self, farmer: Keypair, zeros: int) -> Proof:
        """Find a proof for the current block with at least so many zeros."""
        index = self.farm.index
        entropy, key = self.block(index).entropy, raw_key(farmer.public_key)
        nonce = 0
        while (found := make_proof(index, nonce, entropy, key)).zeros < zeros:
            nonce += 1
        return found

    # The farm, worked

    def wait_until_due(self) -> None:
        """Wait until a plant opens a block."""
        record = self.farm.block
        assert record is not None
        self.network.wait_for_time(record.timestamp + 300)

    def plant(self, farmer: Keypair, stake: int) -> int:
        """Open a block with a plant; give its index."""
        self.wait_until_due()
        self.run(self.call("kale", "plant", plant_arguments(farmer, stake), farmer))
        return self.farm.index

    def work(self, farmer: Keypair, zeros: int = 1) -> None:
        """Work on the pail in the current block."""
        # A work in the ledger of its plant has no gap, and a simulation sees the last closed one.
        self.network.wait_for_next()
        self.run(self.call("kale", "work", work_arguments(farmer, self.proof(farmer, zeros)), farmer))


@pytest.fixture(scope="module")
def network() -> Iterator[LiveNetwork]:
    with LiveNetwork() as live:
        yield live


@pytest.fixture
def client(network: LiveNetwork) -> Iterator[Client]:
    client = Client(network)
    yield client
    client.close()


def test_the_balance_after_a_whole_cycle_is_what_the_rules_give_to_the_stroop(client: Client) -> None:
    farmer, rival = client.farmer(kale=100), client.farmer(kale=100)
    client.plant(rival, 1 * KALE)
    client.work(rival, zeros=2)  # leaves ranges for the next block
    # Two farmers in one block, each by the SDK's own way to sign, send and wait.
    client.wait_until_due()
    plants = [
        client.call("kale", "plant", plant_arguments(planter, stake), planter)
        for planter, stake in ((farmer, 3 * KALE + 7), (rival, 2 * KALE))
    ]
    for plant in plants:
        plant.sign()
        assert plant.built_transaction is not None
        assert client.server.send_transaction(plant.built_transaction).status == SendTransactionStatus.PENDING
    for plant in plants:
        assert plant.built_transaction is not None
        assert client.found(plant.built_transaction.hash_hex()).status == GetTransactionStatus.SUCCESS
    index = client.farm.index
    assert client.kale_of(farmer) == 97 * KALE - 7
    client.network.wait_for_next()
    for worker, zeros in ((farmer, 1), (rival, 2)):
        proof = client.proof(worker, zeros)
        gap = client.call("kale", "work", work_arguments(worker, proof), worker).sign_and_submit()
        pail = client.pail(worker, index)
        assert (pail.gap, pail.zeros) == (scval.from_uint32(gap), proof.zeros)
    opener = client.farmer()
    assert client.plant(opener, 0) == index + 1
    expected = rules.harvest(client.farm, index, client.block(index), client.pail(farmer, index))
    assert 0 < expected.reward < rules.block_reward(index)  # it was shared with the rival
    harvest = client.call("kale", "harvest", harvest_arguments(farmer, index), opener)
    assert scval.from_int128(harvest.sign_and_submit()) == expected.reward
    assert expected.minted == expected.reward + 3 * KALE + 7
    assert client.kale_of(farmer) == 97 * KALE - 7 + expected.minted


def test_a_tractor_harvests_two_blocks_in_one_call(client: Client) -> None:
    farmer, opener = client.farmer(kale=10), client.farmer()
    blocks = []
    for _ in range(2):
        blocks.append(client.plant(farmer, 2 * KALE))
        client.work(farmer)
    client.plant(opener, 0)
    farm = client.farm
    expected = [
        rules.harvest(farm, index, client.block(index), client.pail(farmer, index)) for index in blocks
    ]
    arguments = [
        scval.to_address(farmer.public_key),
        scval.to_vec([scval.to_uint32(index) for index in blocks]),
    ]
    tractor = client.call("tractor", "harvest", arguments, opener)
    rewards = [one.reward for one in expected]
    assert [scval.from_int128(one) for one in scval.from_vec(tractor.result())] == rewards
    client.run(tractor)
    assert client.kale_of(farmer) == 6 * KALE + sum(one.minted for one in expected)


def test_events_tell_of_burns_and_mints_by_their_topics(client: Client) -> None:
    farmer = client.farmer(kale=10)
    start = client.server.get_latest_ledger().sequence + 1  # after what the farmer was given
    index = client.plant(farmer, 4 * KALE)
    client.work(farmer)
    client.plant(client.farmer(), 0)
    minted = rules.harvest(client.farm, index, client.block(index), client.pail(farmer, index)).minted
    harvest = client.run(client.call("kale", "harvest", harvest_arguments(farmer, index), farmer))
    party, sac = scval.to_address(farmer.public_key), client.network.identity.sac_contract
    amounts = {}
    for kind in ("burn", "mint"):
        topics = [[scval.to_symbol(kind).to_xdr(), party.to_xdr(), "*"]]
        wanted = EventFilter(type=EventFilterType.CONTRACT, contractIds=[sac], topics=topics)
        (event,) = client.server.get_events(start, filters=[wanted]).events
        assert event.contract_id == sac
        assert scval.from_string(event.topic[2]) == client.network.identity.kale_name.encode()
        amounts[kind] = scval.from_int128(event.value)
    assert amounts == {"burn": 4 * KALE, "mint": minted}
    assert event.transaction_hash == harvest.transaction_hash
    assert event.ledger == harvest.ledger
    assert int(event.ledger_close_at.timestamp()) == harvest.create_at
    page = client.server.get_events(start, limit=1)
    assert len(page.events) == 1
    rest = client.server.get_events(cursor=page.cursor)
    assert page.events[0].id < rest.events[0].id
    # The payment that friendbot makes to a farmer counts as well: XLM has a contract too.
    assert {event.contract_id for event in rest.events} >= {sac}


def test_transactions_are_listed_page_by_page(client: Client) -> None:
    payer = client.funded()
    landed = [
        client.land(client.signed(client.builder(payer).append_bump_sequence_op(0), payer)) for _ in range(3)
    ]
    hashes, start = [one.transaction_hash for one in landed], landed[0].ledger
    page = client.server.get_transactions(start, limit=2)
    listed = [one.transaction_hash for one in page.transactions]
    assert len(listed) == 2
    rest = client.server.get_transactions(cursor=page.cursor, limit=2)
    listed += [one.transaction_hash for one in rest.transactions]
    assert listed == hashes
    first = page.transactions[0]
    assert (first.status, first.application_order, first.fee_bump) == ("SUCCESS", 1, False)
    assert landed[0].create_at == first.created_at
    assert TransactionEnvelope.from_xdr(first.envelope_xdr, client.passphrase).hash_hex() == hashes[0]


def test_fee_stats_tell_what_was_charged(client: Client) -> None:
    client.plant(client.farmer(), 0)
    stats = client.server.get_fee_stats()
    assert stats.soroban_inclusion_fee.transaction_count > 0
    assert stats.soroban_inclusion_fee.max == 100  # whatever the bid: nobody else wanted in
    assert stats.inclusion_fee.ledger_count == 10
    assert stats.latest_ledger <= client.server.get_latest_ledger().sequence


def test_a_node_says_who_and_how_well_it_is(client: Client) -> None:
    assert client.server.get_network().passphrase == client.passphrase
    version = client.server.get_version_info()
    assert version.protocol_version == client.server.get_network().protocol_version
    assert version.version
    health = client.server.get_health()
    assert health.status == "healthy"
    assert health.oldest_ledger <= health.latest_ledger
    assert health.ledger_retention_window > 0


def test_the_latest_ledger_comes_with_its_header_and_meta(client: Client) -> None:
    latest = client.server.get_latest_ledger()
    header = xdr.LedgerHeader.from_xdr(latest.header_xdr)
    assert header.ledger_seq.uint32 == latest.sequence
    assert header.scp_value.close_time.time_point.uint64 == latest.close_time
    meta = xdr.LedgerCloseMeta.from_xdr(latest.metadata_xdr)
    assert meta.v2 is not None
    assert meta.v2.ledger_header.hash.hash.hex() == latest.id
    assert meta.v2.ledger_header.header == header
    # Time bounds by this machine's clock must hold there.
    assert latest.close_time < time.time()


def test_friendbot_funds_an_account_once(client: Client) -> None:
    keys = Keypair.random()
    with pytest.raises(AccountNotFoundException):
        client.server.load_account(keys.public_key)
    status, answer = client.friendbot(keys.public_key)
    assert status == 200
    assert client.found(answer["hash"]).status == GetTransactionStatus.SUCCESS
    # A new account's sequence number says in which ledger it was created.
    assert client.server.load_account(keys.public_key).sequence >> 32 == answer["ledger"]
    status, answer = client.friendbot(keys.public_key)
    assert status == 400
    assert "createAccountAlreadyExist" in answer["detail"]


def test_a_second_plant_is_refused_by_the_contracts_number(client: Client) -> None:
    farmer = client.farmer()
    client.plant(farmer, 0)
    with pytest.raises(SimulationFailedError, match=r"Error\(Contract, #8\)") as caught:
        client.call("kale", "plant", plant_arguments(farmer, 0), farmer)
    simulation = caught.value.assembled_transaction.simulation
    assert simulation is not None
    assert simulation.events
    told = [xdr.DiagnosticEvent.from_xdr(event).event for event in simulation.events]
    # Whose number it is, the diagnostic events say.
    kale = raw_key(client.network.identity.kale_contract)
    assert kale in [event.contract_id.contract_id.hash for event in told if event.contract_id is not None]


@pytest.mark.parametrize("upgraded", [False, True], ids=["ADDRESS", "ADDRESS_V2"])
def test_a_farmer_signs_what_another_account_sends(client: Client, upgraded: bool) -> None:
    farmer, sender = client.farmer(kale=10), client.funded()
    client.wait_until_due()
    plant = client.call(
        "kale", "plant", plant_arguments(farmer, 2 * KALE), sender, use_upgraded_auth=upgraded
    )
    assert plant.needs_non_invoker_signing_by() == {farmer.public_key}
    assert plant.built_transaction is not None
    (entry,) = plant.built_transaction.transaction.operations[0].auth  # type: ignore[attr-defined]
    kind = "SOROBAN_CREDENTIALS_ADDRESS_V2" if upgraded else "SOROBAN_CREDENTIALS_ADDRESS"
    assert entry.credentials.type.name == kind
    plant.authorize(farmer, valid_for_ledger_count=_EXPIRES_AFTER)
    client.run(plant)
    assert client.kale_of(farmer) == 8 * KALE
    assert client.pail(farmer, client.farm.index).stake == 2 * KALE


def test_a_signature_of_somebody_else_authorizes_nothing(client: Client) -> None:
    farmer, sender = client.farmer(kale=10), client.funded()
    client.wait_until_due()
    plant = client.call("kale", "plant", plant_arguments(farmer, 2 * KALE), sender)
    plant.authorize(farmer.public_key, Keypair.random(), valid_for_ledger_count=_EXPIRES_AFTER)
    with pytest.raises(TransactionFailedError):
        plant.sign_and_submit()
    assert client.kale_of(farmer) == 10 * KALE


def test_a_fee_bump_is_found_by_its_inner_and_its_outer_hash(client: Client) -> None:
    farmer, payer = client.farmer(), client.funded()
    client.wait_until_due()
    plant = client.call("kale", "plant", plant_arguments(farmer, 0), farmer).sign()
    assert plant.built_transaction is not None
    before = client.server.load_account(payer.public_key)
    bump = TransactionBuilder.build_fee_bump_transaction(
        payer, 300, plant.built_transaction, client.passphrase
    )
    bump.sign(payer)
    outer = client.land(bump)
    inner = client.server.get_transaction(plant.built_transaction.hash_hex())
    assert outer.fee_bump is True
    assert inner.envelope_xdr == outer.envelope_xdr == bump.to_xdr()
    assert inner.transaction_hash == plant.built_transaction.hash_hex()
    assert outer.transaction_hash == bump.hash_hex()
    assert outer.result_xdr is not None
    assert code_of(xdr.TransactionResult.from_xdr(outer.result_xdr)) == "inner txSUCCESS"
    assert client.server.load_account(payer.public_key).sequence == before.sequence


def test_a_sponsor_carries_the_reserves_of_a_new_farmer(client: Client) -> None:
    sponsor, farmer = client.funded(), Keypair.random()
    builder = client.builder(sponsor)
    builder.append_begin_sponsoring_future_reserves_op(farmer.public_key)
    builder.append_create_account_op(farmer.public_key, "0")
    builder.append_change_trust_op(client.kale, source=farmer.public_key)
    builder.append_end_sponsoring_future_reserves_op(farmer.public_key)
    landed = client.land(client.signed(builder, sponsor, farmer))
    assert landed.result_xdr is not None
    results = xdr.TransactionResult.from_xdr(landed.result_xdr).result.results
    assert results is not None
    assert [result.code.name for result in results] == ["opINNER"] * 4
    assert client.kale_of(farmer) == 0


def test_a_wrong_sequence_number_is_named(client: Client) -> None:
    payer = client.funded()
    account = client.server.load_account(payer.public_key)
    account.sequence += 5
    envelope = TransactionBuilder(account, client.passphrase).append_bump_sequence_op(0).set_timeout(300)
    sent = client.server.send_transaction(client.signed(envelope, payer))
    assert sent.status == SendTransactionStatus.ERROR
    assert sent.error_result_xdr is not None
    assert code_of(xdr.TransactionResult.from_xdr(sent.error_result_xdr)) == "txBAD_SEQ"


def test_a_hash_that_is_none_is_an_error_of_the_parameters(client: Client) -> None:
    with pytest.raises(SorobanRpcErrorResponse, match="unexpected hash length") as caught:
        client.server.get_transaction("abc")
    assert caught.value.code == -32602
