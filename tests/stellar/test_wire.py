"""XDR written directly is the SDK's own, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stellar_sdk import FeeBumpTransactionEnvelope, Keypair, TransactionEnvelope, scval, xdr

from kalepool.adapters.stellar import wire
from kalepool.adapters.stellar.calls import Deployment, Extend, Harvest, Plant, TractorHarvest, Work
from kalepool.adapters.stellar.envelopes import Bounds, Lane, frame, operation, text_memo, unsigned
from kalepool.adapters.stellar.network import Network
from kalepool.adapters.stellar.templates import Template
from kalepool.core.address import account_address, contract_address
from kalepool.errors import UsageError
from support.stellar import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.adapters.stellar.calls import ContractCall

raw_keys = st.binary(min_size=32, max_size=32)
addresses = st.one_of(raw_keys.map(account_address), raw_keys.map(contract_address))

NETWORK = Network(
    "a network",
    contract_address(b"k" * 32),
    ("KALE", account_address(b"i" * 32)),
    contract_address(b"a" * 32),
    contract_address(b"t" * 32),
)
DEPLOYMENT = Deployment(NETWORK, b"c" * 32, b"d" * 32)
FARMER = account_address(b"f" * 32)


@given(addresses, st.integers(-(2**127), 2**127 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_values_are_the_sdks(address: str, i128: int, u32: int, u64: int) -> None:
    assert wire.value_address(address) == scval.to_address(address).to_xdr_bytes()
    assert wire.value_i128(i128) == scval.to_int128(i128).to_xdr_bytes()
    assert wire.value_u32(u32) == scval.to_uint32(u32).to_xdr_bytes()
    assert wire.value_u64(u64) == scval.to_uint64(u64).to_xdr_bytes()


@given(st.binary(max_size=40), st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_bytes_and_vectors_are_the_sdks(raw: bytes, items: list[int]) -> None:
    assert wire.value_bytes(raw) == scval.to_bytes(raw).to_xdr_bytes()
    vector = scval.to_vec([scval.to_uint32(item) for item in items])
    assert wire.value_vec([wire.value_u32(item) for item in items]) == vector.to_xdr_bytes()


@pytest.mark.parametrize(
    "write",
    [
        lambda: wire.u32(2**32),
        lambda: wire.u32(-1),
        lambda: wire.u64(2**64),
        lambda: wire.i64(2**63),
        lambda: wire.value_i128(2**127),
        lambda: wire.account(NETWORK.kale),
    ],
)
def test_what_does_not_fit_is_refused(write: Callable[[], bytes]) -> None:
    with pytest.raises(UsageError):
        write()


@pytest.mark.parametrize(
    "call",
    [
        Plant(FARMER, 0, 7),
        Plant(FARMER, 5, 7),
        Plant(FARMER, 5, 8, opens=True),
        Work(FARMER, 7, bytes(32), 2**64 - 1),
        Work(NETWORK.kale, 7, bytes(32), 0, improves=True),
        Harvest(FARMER, 7),
        Harvest(NETWORK.kale, 2**32 - 1),
        TractorHarvest(FARMER, (1, 2, 3)),
        Extend(7, (FARMER, NETWORK.kale), 1_000),
    ],
    ids=lambda call: call.shape,
)
@pytest.mark.parametrize(
    "bounds",
    [Bounds(2_000_000_000), Bounds(2_000_000_000, 1_000, 5, 9), Bounds(9, max_ledger=9)],
    ids=["time", "time and ledgers", "last ledger"],
)
def test_transactions_are_canonical_xdr(call: ContractCall, bounds: Bounds) -> None:
    on = call.on(DEPLOYMENT)
    template = Template(1_000_000, 300, 700, 25_000)
    transaction = frame(
        Lane(FARMER, 2**40),
        bounds,
        [operation(on.body)],
        fee=25_100,
        soroban=template.soroban_data(on.needs),
        memo=text_memo("ä memo"),
    )
    envelope = unsigned(transaction)
    decoded = TransactionEnvelope.from_xdr(
        xdr.TransactionEnvelope.from_xdr_bytes(envelope).to_xdr(), NETWORK.passphrase
    )
    assert decoded.to_xdr_object().to_xdr_bytes() == envelope
    preconditions = decoded.transaction.preconditions
    assert preconditions is not None
    times, ledgers = preconditions.time_bounds, preconditions.ledger_bounds
    assert times is not None
    assert (times.min_time, times.max_time) == (bounds.min_time, bounds.max_time)
    if bounds.min_ledger or bounds.max_ledger:
        assert ledgers is not None
        assert (ledgers.min_ledger, ledgers.max_ledger) == (bounds.min_ledger, bounds.max_ledger)
    else:
        assert ledgers is None
    data = decoded.transaction.soroban_data
    assert data is not None
    assert data.resource_fee.int64 == 25_000


def test_hashes_and_signatures_are_what_the_sdk_expects() -> None:
    pool = Pool()
    farmer = pool.member("farmer", kale=1)
    pool.transactions._templates["plant empty follower"] = Template(1_000_000, 300, 700, 25_000)
    sealed = pool.transactions.build(
        Plant(farmer.public_key, 0, 0), Lane(farmer.public_key, 5), Bounds(2_000_000_000), 200
    )
    text = xdr.TransactionEnvelope.from_xdr_bytes(sealed.envelope).to_xdr()
    outer = FeeBumpTransactionEnvelope.from_xdr(text, pool.passphrase)
    inner = outer.transaction.inner_transaction_envelope
    assert (outer.hash().hex(), inner.hash().hex()) == (sealed.outer_hash, sealed.inner_hash)
    assert (outer.transaction.fee, inner.transaction.sequence) == (sealed.fee, 5)
    for envelope, signer in ((outer, pool.operator), (inner, farmer)):
        (signature,) = envelope.signatures
        Keypair.from_public_key(signer.public_key).verify(envelope.hash(), signature.signature)
        assert signature.signature_hint == signer.raw_public_key()[-4:]


def test_a_transaction_without_a_last_moment_is_not_made() -> None:
    with pytest.raises(UsageError, match="last moment"):
        Bounds(max_time=0)


def test_a_memo_that_is_too_long_is_refused() -> None:
    with pytest.raises(UsageError, match="28 bytes"):
        text_memo("ä" * 15)
