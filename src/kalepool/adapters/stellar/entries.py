"""Ledger entries as nodes give them, read and held against the key that was asked for."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from stellar_sdk import xdr

from kalepool.core.chain import AccountState
from kalepool.core.classic import BASE_RESERVE
from kalepool.core.prices import Reserves
from kalepool.xdr.decode import decode, decode_base64, from_base64
from kalepool.xdr.farm import block_from_scval, instance_from_scval, pail_from_scval
from kalepool.xdr.keys import LIVING_PAILS, address_of_account_id, pool_key, pool_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.adapters.stellar.answers import Answer
    from kalepool.core.farm import Block, Farm, Pail
    from kalepool.xdr.keys import Asset

MAX_KEYS: Final = 200
"""Keys that one getLedgerEntries takes."""

_TYPE_BYTES: Final = 4
_NO_EXTENSION: Final = bytes(4)


@lru_cache(maxsize=2 * LIVING_PAILS)
def encode_key(key: bytes) -> str:
    """Give a ledger key as nodes take it."""
    return base64.b64encode(key).decode("ascii")


class Entries:
    """The answer to one or several getLedgerEntries of the same ledger.

    Args:
        answers: what the node said.
        asked: keys, in base64; an entry under another key is the node's fault.

    Raises:
        RetryableError: when an answer is not to be believed.
    """

    def __init__(self, answers: Sequence[Answer], asked: frozenset[str]) -> None:
        self.ledgers = {answer.number("latestLedger") for answer in answers}
        self._oldest = min(self.ledgers)
        self._found: dict[str, Answer] = {}
        for answer in answers:
            latest = answer.number("latestLedger")
            for entry in answer.sections("entries"):
                key = entry.text("key")
                if key not in asked or key in self._found:
                    raise entry.wrong("has a key that was not asked for, or twice")
                if entry.number("lastModifiedLedgerSeq") > latest:
                    raise entry.wrong("was modified after the latest ledger")
                self._found[key] = entry

    def data(self, key: bytes) -> xdr.LedgerEntryData | None:
        """Give an entry's data as XDR, or None where it does not exist."""
        entry = self._found.get(encode_key(key))
        if entry is None:
            return None
        text = entry.text("xdr")
        with entry.reading("xdr"):
            return _data(encode_key(key), text)

    def block(self, key: bytes) -> tuple[Block, int] | None:
        """Give a Block and the last ledger in which it exists, or None."""
        found = self._temporary(key)
        if found is None:
            return None
        entry, live_until = found
        text = entry.text("xdr")
        with entry.reading("Block"):
            return _block(key, text), live_until

    def pail(self, key: bytes) -> tuple[Pail, int] | None:
        """Give a Pail and the last ledger in which it exists, or None."""
        found = self._temporary(key)
        if found is None:
            return None
        entry, live_until = found
        text = entry.text("xdr")
        with entry.reading("Pail"):
            return _pail(key, text), live_until

    def farm(self, key: bytes) -> tuple[Farm, bytes] | None:
        """Give the KALE contract's instance and its wasm hash, or None."""
        entry = self._found.get(encode_key(key))
        data = self.data(key)
        if entry is None or data is None:
            return None
        with entry.reading("instance"):
            return instance_from_scval(_value(data))

    def wasm_hash(self, key: bytes) -> bytes | None:
        """Give the hash of the code that a contract's instance names, or None."""
        entry = self._found.get(encode_key(key))
        data = self.data(key)
        if entry is None or data is None:
            return None
        with entry.reading("instance"):
            instance = _value(data).instance
            if instance is None or instance.executable.wasm_hash is None:
                raise ValueError("not a wasm contract")
            return instance.executable.wasm_hash.hash

    def account(self, account: bytes, trustline: bytes) -> AccountState | None:
        """Give an account with its trustline, or None where there is no such account."""
        entry = self._found.get(encode_key(account))
        data, line = self.data(account), self.data(trustline)
        if entry is None or data is None:
            return None
        with entry.reading("account"):
            held = None if line is None else line.trust_line
            return _account(data.account, held, _sponsor(entry), max(self.ledgers))

    def reserves(self, asset: Asset) -> Reserves | None:
        """Give what the liquidity pool of XLM and a credit asset holds, or None where there is none."""
        entry = self._found.get(encode_key(pool_key(asset)))
        data = self.data(pool_key(asset))
        if entry is None or data is None:
            return None
        with entry.reading("liquidity pool"):
            pool = None if data.liquidity_pool is None else data.liquidity_pool.body.constant_product
            if pool is None or pool.params != pool_parameters(asset):
                raise ValueError("not the pool that its key is made from")
            return Reserves(kale=_amount(pool.reserve_b), xlm=_amount(pool.reserve_a))

    def _temporary(self, key: bytes) -> tuple[Answer, int] | None:
        entry = self._found.get(encode_key(key))
        if entry is None:
            return None
        live_until = entry.number("liveUntilLedgerSeq")
        # What has lived out is gone for the contract, whether the node still shows it or not.
        return None if live_until < self._oldest else (entry, live_until)


@lru_cache(maxsize=LIVING_PAILS)
def _pail(key: bytes, text: str) -> Pail:
    # From ledger to ledger most pails stay as they are; decoding is what a read costs.
    return pail_from_scval(decode(xdr.SCVal, _value_bytes(key, from_base64(text))))


@lru_cache(maxsize=64)
def _block(key: bytes, text: str) -> Block:
    return block_from_scval(decode(xdr.SCVal, _value_bytes(key, from_base64(text))))


def _value_bytes(key: bytes, data: bytes) -> bytes:
    """Give the XDR of a contract's value out of its entry, whose key stands in front of it as we encode it."""
    # The entry differs from its key by four bytes of extension, always 0, between its type and the rest.
    end = len(key) + len(_NO_EXTENSION)
    if data[:end] != key[:_TYPE_BYTES] + _NO_EXTENSION + key[_TYPE_BYTES:]:
        raise ValueError("the entry is not that of its key")
    return data[end:]


def _data(key64: str, text: str) -> xdr.LedgerEntryData:
    data = decode_base64(xdr.LedgerEntryData, text)
    if _key_of(data) != from_base64(key64):
        raise ValueError("the entry is not that of its key")
    return data


def _key_of(data: xdr.LedgerEntryData) -> bytes:
    if data.contract_data is not None:
        held = data.contract_data
        contract = xdr.LedgerKeyContractData(held.contract, held.key, held.durability)
        return xdr.LedgerKey(data.type, contract_data=contract).to_xdr_bytes()
    if data.account is not None:
        account = xdr.LedgerKeyAccount(data.account.account_id)
        return xdr.LedgerKey(data.type, account=account).to_xdr_bytes()
    if data.trust_line is not None:
        line = xdr.LedgerKeyTrustLine(data.trust_line.account_id, data.trust_line.asset)
        return xdr.LedgerKey(data.type, trust_line=line).to_xdr_bytes()
    if data.liquidity_pool is not None:
        pool = xdr.LedgerKeyLiquidityPool(data.liquidity_pool.liquidity_pool_id)
        return xdr.LedgerKey(data.type, liquidity_pool=pool).to_xdr_bytes()
    raise ValueError(f"an entry of type {data.type.name} was not asked for")


def _value(data: xdr.LedgerEntryData) -> xdr.SCVal:
    if data.contract_data is None:
        raise ValueError("not a contract's entry")
    return data.contract_data.val


def _amount(value: xdr.Int64) -> int:
    if value.int64 < 0:
        raise ValueError("a negative amount")
    return value.int64


def _account(
    account: xdr.AccountEntry | None, line: xdr.TrustLineEntry | None, sponsor: str | None, ledger: int
) -> AccountState:
    if account is None:
        raise ValueError("not an account")
    balance, sequence = account.balance.int64, account.seq_num.sequence_number.int64
    if balance < 0 or sequence < 0:
        raise ValueError("a negative balance or sequence number")
    reserves, selling = 2 + account.num_sub_entries.uint32, 0
    more = account.ext.v1
    if more is not None:
        selling = more.liabilities.selling.int64
        counts = more.ext.v2
        if counts is not None:
            reserves += counts.num_sponsoring.uint32 - counts.num_sponsored.uint32
    if line is not None and not 0 <= line.balance.int64 <= line.limit.int64:
        raise ValueError("a trustline's balance is not within its limit")
    return AccountState(
        address=address_of_account_id(account.account_id),
        xlm=balance,
        spendable=balance - reserves * BASE_RESERVE - selling,
        sequence=sequence,
        kale=None if line is None else line.balance.int64,
        kale_limit=None if line is None else line.limit.int64,
        sponsor=sponsor,
        ledger=ledger,
    )


def _sponsor(entry: Answer) -> str | None:
    """Give who carries an entry's reserve; nodes before extXdr do not tell."""
    if not entry.has("extXdr"):
        return None
    extension = entry.xdr(xdr.LedgerEntryExt, "extXdr").v1
    descriptor = None if extension is None else extension.sponsoring_id.sponsorship_descriptor
    return None if descriptor is None else address_of_account_id(descriptor)
