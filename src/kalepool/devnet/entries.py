"""Ledger entries as frozen values, and their XDR.

The ledger works on these values and encodes them when somebody asks; the size that fees
and limits are computed from is that of the real XDR, found once for each shape of entry.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import TypeAlias

from stellar_sdk import scval, xdr

from kalepool.core.address import raw_key
from kalepool.core.farm import Block, Farm, Pail
from kalepool.xdr.farm import block_to_scval, instance_to_scval, pail_to_scval
from kalepool.xdr.keys import LIVING_PAILS, Asset, account_id, credit_asset, pool_id, pool_parameters

MAX_I64 = 2**63 - 1
BASE_RESERVE = 5_000_000
"""Half an XLM: what each subentry, and each account twice, must keep. In stroops."""


@dataclass(frozen=True, slots=True)
class Account:
    """A classic account. Its only signer is its master key, its thresholds are 0.

    Attributes:
        address: G address.
        balance: XLM in stroops.
        sequence: number of the last transaction.
        subentries: trustlines held.
        sponsored: reserves of this account, in entries, that others carry.
        sponsoring: reserves of others, in entries, that this account carries.
        sponsor: who carries this account's own two reserves, or None.
        sequence_ledger: ledger in which ``sequence`` took its value; 0 for never.
        sequence_time: close time of that ledger.
    """

    address: str
    balance: int
    sequence: int
    subentries: int = 0
    sponsored: int = 0
    sponsoring: int = 0
    sponsor: str | None = None
    sequence_ledger: int = 0
    sequence_time: int = 0

    @property
    def reserve(self) -> int:
        """XLM in stroops that must stay."""
        return (2 + self.subentries + self.sponsoring - self.sponsored) * BASE_RESERVE

    @property
    def spendable(self) -> int:
        """XLM in stroops above the reserve; negative when fees have eaten into it."""
        return self.balance - self.reserve


@dataclass(frozen=True, slots=True)
class Trustline:
    """An account's line to a credit asset, authorized.

    Attributes:
        address: the holder's G address.
        asset: code and issuer.
        balance: stroops.
        limit: stroops.
        sponsor: who carries its reserve, or None.
    """

    address: str
    asset: Asset
    balance: int
    limit: int
    sponsor: str | None = None


@dataclass(frozen=True, slots=True)
class LiquidityPool:
    """The pool of XLM and a credit asset: what it holds, stroops. Nobody trades in it here."""

    asset: Asset
    xlm: int
    held: int


@dataclass(frozen=True, slots=True)
class KaleInstance:
    """The KALE contract: its farm and the hash of the code it runs."""

    farm: Farm
    wasm_hash: bytes


@dataclass(frozen=True, slots=True)
class AssetInstance:
    """An asset contract (SAC): the asset it stands for (None for XLM) and who may mint."""

    asset: Asset | None
    admin: str | None


@dataclass(frozen=True, slots=True)
class PlainInstance:
    """A contract without storage: the tractor."""

    wasm_hash: bytes


@dataclass(frozen=True, slots=True)
class Balance:
    """A contract's balance in an asset contract, in stroops."""

    amount: int


@dataclass(frozen=True, slots=True)
class Code:
    """A contract's code. The devnet runs its own; these bytes only stand for it."""

    wasm: bytes


@dataclass(frozen=True, slots=True)
class UsedNonce:
    """Marks the nonce of a signed authorization as used, until the signature expires."""


Value: TypeAlias = (
    Account
    | Trustline
    | LiquidityPool
    | KaleInstance
    | AssetInstance
    | PlainInstance
    | Balance
    | Code
    | UsedNonce
    | Block
    | Pail
)


class Entry:
    """A ledger entry at one moment. Never changed: a change makes a new one.

    Attributes:
        key: XDR of its LedgerKey.
        value: what it holds.
        modified: ledger of the last change.
        live_until: last ledger in which it exists (temporary) or is live (persistent);
            None for classic entries.
        temporary: whether it is gone after ``live_until``.
    """

    __slots__ = ("_data", "_data64", "key", "live_until", "modified", "temporary", "value")

    def __init__(
        self,
        key: bytes,
        value: Value,
        modified: int,
        live_until: int | None = None,
        *,
        temporary: bool = False,
    ) -> None:
        self.key = key
        self.value = value
        self.modified = modified
        self.live_until = live_until
        self.temporary = temporary
        self._data: bytes | None = None
        self._data64: str | None = None

    def is_live(self, sequence: int) -> bool:
        """Tell whether it exists in this ledger."""
        return self.live_until is None or self.live_until >= sequence

    def extended(self, live_until: int) -> Entry:
        """Give the same entry with a later end; its content is not modified by that."""
        entry = Entry(self.key, self.value, self.modified, live_until, temporary=self.temporary)
        entry._data, entry._data64 = self._data, self._data64
        return entry

    @property
    def data(self) -> bytes:
        """XDR of the LedgerEntryData; encoded once."""
        if self._data is None:
            self._data = encode_data(self.key, self.value).to_xdr_bytes()
        return self._data

    @property
    def data64(self) -> str:
        """The same in base64, as nodes answer it."""
        if self._data64 is None:
            self._data64 = base64.b64encode(self.data).decode("ascii")
        return self._data64

    @property
    def extension64(self) -> str:
        """XDR of the LedgerEntryExt in base64."""
        return _extension64(getattr(self.value, "sponsor", None))

    def to_xdr(self) -> xdr.LedgerEntry:
        """Give the whole LedgerEntry with its extension."""
        extension = xdr.LedgerEntryExt.from_xdr(self.extension64)
        return xdr.LedgerEntry(
            xdr.Uint32(self.modified), xdr.LedgerEntryData.from_xdr_bytes(self.data), extension
        )

    def ttl_to_xdr(self) -> xdr.LedgerEntry:
        """Give the TTL entry that stands beside a contract entry."""
        assert self.live_until is not None
        ttl = xdr.TTLEntry(xdr.Hash(hashlib.sha256(self.key).digest()), xdr.Uint32(self.live_until))
        return xdr.LedgerEntry(
            xdr.Uint32(self.modified),
            xdr.LedgerEntryData(xdr.LedgerEntryType.TTL, ttl=ttl),
            xdr.LedgerEntryExt(0),
        )

    @property
    def size(self) -> int:
        """Bytes of the entry's XDR, as fees and limits count them."""
        return _size_of_shape(self)


@lru_cache(maxsize=1_024)
def _extension64(sponsor: str | None) -> str:
    if sponsor is None:
        return xdr.LedgerEntryExt(0).to_xdr()
    descriptor = xdr.SponsorshipDescriptor(account_id(sponsor))
    v1 = xdr.LedgerEntryExtensionV1(descriptor, xdr.LedgerEntryExtensionV1Ext(0))
    return xdr.LedgerEntryExt(1, v1=v1).to_xdr()


@lru_cache(maxsize=2 * LIVING_PAILS)
def decoded_key(key: bytes) -> xdr.LedgerKey:
    """Decode a LedgerKey; the object is shared, do not change it."""
    return xdr.LedgerKey.from_xdr_bytes(key)


def encode_data(key: bytes, value: Value) -> xdr.LedgerEntryData:
    """Encode a value under its key."""
    if isinstance(value, Account):
        return _encode_account(value)
    if isinstance(value, Trustline):
        return _encode_trustline(value)
    if isinstance(value, LiquidityPool):
        return _encode_pool(value)
    if isinstance(value, Code):
        code = xdr.ContractCodeEntry(
            xdr.ContractCodeEntryExt(0), xdr.Hash(hashlib.sha256(value.wasm).digest()), value.wasm
        )
        return xdr.LedgerEntryData(xdr.LedgerEntryType.CONTRACT_CODE, contract_code=code)
    place = decoded_key(key).contract_data
    assert place is not None
    data = xdr.ContractDataEntry(
        xdr.ExtensionPoint(0), place.contract, place.key, place.durability, _encode_contract_value(value)
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=data)


def _encode_contract_value(value: Value) -> xdr.SCVal:
    if isinstance(value, Block):
        return block_to_scval(value)
    if isinstance(value, Pail):
        return pail_to_scval(value)
    if isinstance(value, KaleInstance):
        return instance_to_scval(value.farm, value.wasm_hash)
    if isinstance(value, Balance):
        return scval.to_map(
            {
                scval.to_symbol("amount"): scval.to_int128(value.amount),
                scval.to_symbol("authorized"): scval.to_bool(True),
                scval.to_symbol("clawback"): scval.to_bool(False),
            }
        )
    if isinstance(value, AssetInstance):
        return _encode_asset_instance(value)
    if isinstance(value, PlainInstance):
        executable = xdr.ContractExecutable(
            xdr.ContractExecutableType.CONTRACT_EXECUTABLE_WASM, wasm_hash=xdr.Hash(value.wasm_hash)
        )
        return xdr.SCVal(
            xdr.SCValType.SCV_CONTRACT_INSTANCE, instance=xdr.SCContractInstance(executable, None)
        )
    return scval.to_void()


def _encode_asset_instance(value: AssetInstance) -> xdr.SCVal:
    if value.asset is None:
        name, kind, info = "native", "Native", {}
    else:
        code, issuer = value.asset
        name, kind = f"{code}:{issuer}", "AlphaNum4"
        info = {
            scval.to_symbol("asset_code"): scval.to_string(code),
            scval.to_symbol("issuer"): scval.to_bytes(raw_key(issuer)),
        }
    metadata = scval.to_map(
        {
            scval.to_symbol("decimal"): scval.to_uint32(7),
            scval.to_symbol("name"): scval.to_string(name),
            scval.to_symbol("symbol"): scval.to_string(name.partition(":")[0]),
        }
    )
    asset_info = scval.to_vec([scval.to_symbol(kind)] + ([scval.to_map(info)] if info else []))
    # In the order of the keys, as the host keeps a map: symbols before vectors.
    entries = [xdr.SCMapEntry(scval.to_symbol("METADATA"), metadata)]
    if value.admin is not None:
        admin = scval.to_address(value.admin)
        entries.append(xdr.SCMapEntry(scval.to_vec([scval.to_symbol("Admin")]), admin))
    entries.append(xdr.SCMapEntry(scval.to_vec([scval.to_symbol("AssetInfo")]), asset_info))
    executable = xdr.ContractExecutable(xdr.ContractExecutableType.CONTRACT_EXECUTABLE_STELLAR_ASSET)
    return xdr.SCVal(
        xdr.SCValType.SCV_CONTRACT_INSTANCE,
        instance=xdr.SCContractInstance(executable, xdr.SCMap(entries)),
    )


def _encode_account(value: Account) -> xdr.LedgerEntryData:
    v3 = xdr.AccountEntryExtensionV3(
        xdr.ExtensionPoint(0),
        xdr.Uint32(value.sequence_ledger),
        xdr.TimePoint(xdr.Uint64(value.sequence_time)),
    )
    v2 = xdr.AccountEntryExtensionV2(
        xdr.Uint32(value.sponsored),
        xdr.Uint32(value.sponsoring),
        [],
        xdr.AccountEntryExtensionV2Ext(3, v3=v3)
        if value.sequence_ledger
        else xdr.AccountEntryExtensionV2Ext(0),
    )
    v1 = xdr.AccountEntryExtensionV1(
        xdr.Liabilities(xdr.Int64(0), xdr.Int64(0)), xdr.AccountEntryExtensionV1Ext(2, v2=v2)
    )
    extended = value.sponsored or value.sponsoring or value.sequence_ledger
    account = xdr.AccountEntry(
        account_id=account_id(value.address),
        balance=xdr.Int64(value.balance),
        seq_num=xdr.SequenceNumber(xdr.Int64(value.sequence)),
        num_sub_entries=xdr.Uint32(value.subentries),
        inflation_dest=None,
        flags=xdr.Uint32(0),
        home_domain=xdr.String32(b""),
        thresholds=xdr.Thresholds(b"\x01\x00\x00\x00"),
        signers=[],
        ext=xdr.AccountEntryExt(1, v1=v1) if extended else xdr.AccountEntryExt(0),
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.ACCOUNT, account=account)


def _encode_trustline(value: Trustline) -> xdr.LedgerEntryData:
    plain = credit_asset(value.asset)
    line = xdr.TrustLineEntry(
        account_id=account_id(value.address),
        asset=xdr.TrustLineAsset(plain.type, alpha_num4=plain.alpha_num4, alpha_num12=plain.alpha_num12),
        balance=xdr.Int64(value.balance),
        limit=xdr.Int64(value.limit),
        flags=xdr.Uint32(1),
        ext=xdr.TrustLineEntryExt(0),
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.TRUSTLINE, trust_line=line)


def _encode_pool(value: LiquidityPool) -> xdr.LedgerEntryData:
    product = xdr.LiquidityPoolEntryConstantProduct(
        params=pool_parameters(value.asset),
        reserve_a=xdr.Int64(value.xlm),
        reserve_b=xdr.Int64(value.held),
        # As if one had put all of it in at once: the network gives so many shares for the first deposit.
        total_pool_shares=xdr.Int64(isqrt(value.xlm * value.held)),
        pool_shares_trust_line_count=xdr.Int64(1),
    )
    pool = xdr.LiquidityPoolEntry(
        xdr.PoolID(xdr.Hash(pool_id(value.asset))),
        xdr.LiquidityPoolEntryBody(
            xdr.LiquidityPoolType.LIQUIDITY_POOL_CONSTANT_PRODUCT, constant_product=product
        ),
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.LIQUIDITY_POOL, liquidity_pool=pool)


def _shape(value: Value) -> tuple[object, ...]:
    # What changes the number of bytes; all else is fixed-width.
    if isinstance(value, Pail):
        return (Pail, value.gap is None)
    if isinstance(value, Account):
        extended = bool(value.sponsored or value.sponsoring or value.sequence_ledger)
        return (Account, extended, bool(value.sequence_ledger), value.sponsor is None)
    if isinstance(value, Trustline):
        return (Trustline, len(value.asset[0]), value.sponsor is None)
    if isinstance(value, KaleInstance):
        return (KaleInstance, value.farm.index > 0, value.farm.paused, value.farm.block is None)
    if isinstance(value, Code):
        return (Code, len(value.wasm))
    return (type(value),)


_SIZES: dict[tuple[tuple[object, ...], int], int] = {}


def _size_of_shape(entry: Entry) -> int:
    # A key's length varies with the kind of address in it, so it is part of the shape.
    shape = (_shape(entry.value), len(entry.key))
    size = _SIZES.get(shape)
    if size is None:
        size = _SIZES[shape] = len(entry.to_xdr().to_xdr_bytes())
    return size
