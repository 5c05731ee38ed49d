"""XDR of the farm: what is encoded is decoded, keys are the SDK's own, rubbish is a ValueError."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stellar_sdk import Address, Asset, Keypair, StrKey, scval, xdr

from kalepool.core.farm import Block, Farm, Pail
from kalepool.xdr import keys
from kalepool.xdr.decode import decode, decode_base64, from_base64
from kalepool.xdr.farm import (
    block_from_scval,
    block_to_scval,
    instance_from_scval,
    instance_to_scval,
    pail_from_scval,
    pail_to_scval,
)

if TYPE_CHECKING:
    from collections.abc import Callable

U32, U64 = 2**32 - 1, 2**64 - 1
MIN_I128, MAX_I128 = -(2**127), 2**127 - 1

# The running record of a block begins with its minima at the largest and its maxima at the
# smallest number there is, so the extremes are everyday values.
u32 = st.sampled_from([0, U32]) | st.integers(0, U32)
u64 = st.sampled_from([0, U64]) | st.integers(0, U64)
i128 = st.sampled_from([MIN_I128, -1, 0, 2**64 - 1, 2**64, MAX_I128]) | st.integers(MIN_I128, MAX_I128)
raw32 = st.sampled_from([bytes(32), b"\xff" * 32]) | st.binary(min_size=32, max_size=32)
accounts = raw32.map(StrKey.encode_ed25519_public_key)
contracts = raw32.map(StrKey.encode_contract)
addresses = accounts | contracts

blocks = st.builds(
    Block,
    timestamp=u64,
    min_gap=u32,
    max_gap=u32,
    min_stake=i128,
    max_stake=i128,
    min_zeros=u32,
    max_zeros=u32,
    entropy=raw32,
    staked_total=i128,
    normalized_total=i128,
)
pails = st.builds(Pail, sequence=u32, stake=i128, gap=st.none() | u32, zeros=st.none() | u32)
farms = st.builds(
    Farm,
    homesteader=addresses,
    asset=st.none() | contracts,
    index=u32,
    block=st.none() | blocks,
    paused=st.booleans(),
)


def over_the_wire(value: xdr.SCVal) -> xdr.SCVal:
    return xdr.SCVal.from_xdr(value.to_xdr())


def key_names(value: xdr.SCVal) -> list[Any]:
    """Give the keys of a map in their order on the wire."""
    entries = value.map if value.instance is None else value.instance.storage
    assert entries is not None
    return [scval.to_native(entry.key) for entry in entries.sc_map]


# Values


@given(blocks)
def test_a_block_comes_back(block: Block) -> None:
    assert block_from_scval(over_the_wire(block_to_scval(block))) == block


@given(pails)
def test_a_pail_comes_back_and_zero_zeros_are_not_none(pail: Pail) -> None:
    assert pail_from_scval(over_the_wire(pail_to_scval(pail))) == pail


@given(farms, raw32)
def test_an_instance_comes_back(farm: Farm, wasm_hash: bytes) -> None:
    assert instance_from_scval(over_the_wire(instance_to_scval(farm, wasm_hash))) == (farm, wasm_hash)


@given(blocks, pails, farms)
def test_maps_are_in_the_order_of_their_keys(block: Block, pail: Pail, farm: Farm) -> None:
    for value in (block_to_scval(block), pail_to_scval(pail), instance_to_scval(farm, bytes(32))):
        assert key_names(value) == sorted(key_names(value))


def test_an_index_of_0_and_an_unpaused_farm_are_left_out() -> None:
    farm = Farm(StrKey.encode_contract(bytes(32)), None, 0, None, paused=False)
    assert key_names(instance_to_scval(farm, bytes(32))) == [["Homesteader"]]


@given(blocks, st.sampled_from(list(Block.__dataclass_fields__)), st.integers(0, 2))
def test_a_block_with_a_field_missing_or_of_another_type_is_a_value_error(
    block: Block, field: str, how: int
) -> None:
    value = block_to_scval(block)
    assert value.map is not None
    entries = value.map.sc_map
    place = key_names(value).index(field)
    if how == 0:
        del entries[place]
    else:
        wrong = scval.to_void() if how == 1 else scval.to_string("1")
        entries[place] = xdr.SCMapEntry(entries[place].key, wrong)
    with pytest.raises(ValueError, match=r"."):
        block_from_scval(value)


def sc_values() -> st.SearchStrategy[xdr.SCVal]:
    """Give values that are no Block, Pail or instance, though some look like one."""
    some_name = st.sampled_from(["gap", "sequence", "stake", "zeros", "entropy"]).map(scval.to_symbol)
    leaves = (
        st.just(scval.to_void())
        | u32.map(scval.to_uint32)
        | st.binary(max_size=33).map(scval.to_bytes)
        | addresses.map(scval.to_address)
        | some_name
        | st.sampled_from(
            [
                xdr.SCVal(xdr.SCValType.SCV_MAP, map=None),
                xdr.SCVal(xdr.SCValType.SCV_VEC, vec=None),
                xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE),
            ]
        )
    )

    def mapping(pairs: list[tuple[xdr.SCVal, xdr.SCVal]]) -> xdr.SCMap:
        return xdr.SCMap([xdr.SCMapEntry(key, value) for key, value in pairs])

    executables = st.sampled_from(
        [
            xdr.ContractExecutable(xdr.ContractExecutableType.CONTRACT_EXECUTABLE_STELLAR_ASSET),
            xdr.ContractExecutable(
                xdr.ContractExecutableType.CONTRACT_EXECUTABLE_WASM, wasm_hash=xdr.Hash(bytes(32))
            ),
        ]
    )

    def more(inner: st.SearchStrategy[xdr.SCVal]) -> st.SearchStrategy[xdr.SCVal]:
        pairs = st.lists(st.tuples(inner | some_name, inner), max_size=4)
        instances = st.builds(xdr.SCContractInstance, executables, st.none() | pairs.map(mapping))
        return (
            st.lists(inner, max_size=3).map(scval.to_vec)
            | pairs.map(lambda given: xdr.SCVal(xdr.SCValType.SCV_MAP, map=mapping(given)))
            | instances.map(
                lambda instance: xdr.SCVal(xdr.SCValType.SCV_CONTRACT_INSTANCE, instance=instance)
            )
        )

    return st.recursive(leaves, more, max_leaves=8)


@given(sc_values(), st.sampled_from([block_from_scval, pail_from_scval, instance_from_scval]))
def test_anything_else_is_a_value_error(value: xdr.SCVal, read: Callable[[xdr.SCVal], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(value)


# Keys


def sdk_address(address: str) -> xdr.SCAddress:
    return Address(address).to_xdr_sc_address()


def contract_data(contract: str, key: xdr.SCVal, durability: xdr.ContractDataDurability) -> bytes:
    data = xdr.LedgerKeyContractData(sdk_address(contract), key, durability)
    return xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=data).to_xdr_bytes()


TEMPORARY, PERSISTENT = xdr.ContractDataDurability.TEMPORARY, xdr.ContractDataDurability.PERSISTENT


@given(contracts, accounts, u32)
def test_the_keys_of_block_and_pail_are_those_that_the_sdk_builds(
    contract: str, farmer: str, index: int
) -> None:
    block = scval.to_vec([scval.to_symbol("Block"), scval.to_uint32(index)])
    assert keys.block_key(contract, index) == contract_data(contract, block, TEMPORARY)
    pail = scval.to_vec([scval.to_symbol("Pail"), scval.to_address(farmer), scval.to_uint32(index)])
    assert keys.pail_key(contract, farmer, index) == contract_data(contract, pail, TEMPORARY)


@given(contracts, addresses, st.integers(-(2**63), 2**63 - 1))
def test_the_keys_of_instance_balance_and_nonce_are_those_that_the_sdk_builds(
    contract: str, holder: str, nonce: int
) -> None:
    instance = xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE)
    assert keys.instance_key(contract) == contract_data(contract, instance, PERSISTENT)
    balance = scval.to_vec([scval.to_symbol("Balance"), scval.to_address(holder)])
    assert keys.balance_key(contract, holder) == contract_data(contract, balance, PERSISTENT)
    used = xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_NONCE, nonce_key=xdr.SCNonceKey(xdr.Int64(nonce)))
    assert keys.nonce_key(holder, nonce) == contract_data(holder, used, TEMPORARY)


@given(
    raw32.map(Keypair.from_raw_ed25519_seed), accounts, st.from_regex(r"[A-Za-z0-9]{1,12}", fullmatch=True)
)
def test_the_keys_of_account_and_trustline_are_those_that_the_sdk_builds(
    holder: Keypair, issuer: str, code: str
) -> None:
    account = xdr.LedgerKey(
        xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(holder.xdr_account_id())
    )
    assert keys.account_key(holder.public_key) == account.to_xdr_bytes()
    asset = Asset(code, issuer)
    line = xdr.LedgerKeyTrustLine(holder.xdr_account_id(), asset.to_trust_line_asset_xdr_object())
    trustline = xdr.LedgerKey(xdr.LedgerEntryType.TRUSTLINE, trust_line=line)
    assert keys.trustline_key(holder.public_key, (code, issuer)) == trustline.to_xdr_bytes()
    assert keys.credit_asset((code, issuer)) == asset.to_xdr_object()


@given(raw32)
def test_the_key_of_code_is_that_of_its_hash(wasm_hash: bytes) -> None:
    key = xdr.LedgerKey.from_xdr_bytes(keys.code_key(wasm_hash))
    assert key.contract_code is not None
    assert key.contract_code.hash.hash == wasm_hash


@given(addresses)
def test_an_address_comes_back(address: str) -> None:
    assert keys.address_of_sc_address(keys.sc_address(address)) == address
    assert keys.sc_address(address) == sdk_address(address)


@given(accounts)
def test_an_account_id_comes_back(address: str) -> None:
    assert keys.address_of_account_id(keys.account_id(address)) == address


def test_addresses_that_cannot_farm_are_a_value_error() -> None:
    pool = xdr.SCAddress(
        xdr.SCAddressType.SC_ADDRESS_TYPE_LIQUIDITY_POOL, liquidity_pool_id=xdr.PoolID(xdr.Hash(bytes(32)))
    )
    with pytest.raises(ValueError, match="neither an account nor a contract"):
        keys.address_of_sc_address(pool)


# Decoding

KINDS = [xdr.SCVal, xdr.LedgerKey, xdr.TransactionEnvelope, xdr.TransactionResult, xdr.LedgerEntryData]


@given(st.sampled_from(KINDS), st.binary(max_size=300))
def test_random_bytes_are_a_value_or_a_value_error(kind: Any, raw: bytes) -> None:
    try:
        value = decode(kind, raw)
    except ValueError:
        return
    assert len(value.to_xdr_bytes()) == len(raw)


@given(blocks, st.data())
def test_a_block_cut_or_changed_anywhere_is_a_value_or_a_value_error(
    block: Block, data: st.DataObject
) -> None:
    raw = bytearray(block_to_scval(block).to_xdr_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        with pytest.raises(ValueError, match=r"not the XDR|exceeds"):
            decode(xdr.SCVal, bytes(raw[:place]))
        return
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        block_from_scval(decode(xdr.SCVal, bytes(raw)))
    except ValueError:
        return


@given(st.text())
def test_text_that_is_no_base64_is_a_value_error(text: str) -> None:
    try:
        raw = from_base64(text)
    except ValueError:
        return
    assert len(base64.b64encode(raw)) == len(text)


@pytest.mark.parametrize(
    "text", ["", "A", "AAAA=", "AAAA\n", " AAAA", "AA-_", "AAAAFB=", "////", "AAAAEAAAAAH/////", "ä"]
)
def test_what_is_no_value_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_base64(xdr.SCVal, text)


@pytest.mark.parametrize("depth", [10, 1_000, 100_000])
def test_vectors_in_each_other_are_a_value_or_a_value_error(depth: int) -> None:
    vector = xdr.SCValType.SCV_VEC.value.to_bytes(4, "big") + b"\0\0\0\1" + b"\0\0\0\1"
    raw = vector * depth + xdr.SCValType.SCV_VOID.value.to_bytes(4, "big")
    if depth < 100:
        assert decode(xdr.SCVal, raw).to_xdr_bytes() == raw
        return
    with pytest.raises(ValueError, match="depth"):
        decode(xdr.SCVal, raw)


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1])
@pytest.mark.parametrize(
    "kind", [xdr.SCValType.SCV_BYTES, xdr.SCValType.SCV_STRING, xdr.SCValType.SCV_SYMBOL]
)
def test_a_length_beyond_the_end_is_a_value_error(kind: xdr.SCValType, length: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(xdr.SCVal, kind.value.to_bytes(4, "big") + length.to_bytes(4, "big") + bytes(8))
