"""Ledger keys of accounts, trustlines and the contracts' entries, as XDR bytes.

The bytes are canonical: two keys are the same entry exactly when they are equal, so they
serve as dictionary keys on both sides of the wire.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from stellar_sdk import xdr

from kalepool.core.address import account_address, contract_address, is_account, raw_key

_SYMBOL_BLOCK = xdr.SCVal(xdr.SCValType.SCV_SYMBOL, sym=xdr.SCSymbol(b"Block"))
_SYMBOL_PAIL = xdr.SCVal(xdr.SCValType.SCV_SYMBOL, sym=xdr.SCSymbol(b"Pail"))
_SYMBOL_BALANCE = xdr.SCVal(xdr.SCValType.SCV_SYMBOL, sym=xdr.SCSymbol(b"Balance"))
_INSTANCE = xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_CONTRACT_INSTANCE)
_TEMPORARY = xdr.ContractDataDurability.TEMPORARY
_PERSISTENT = xdr.ContractDataDurability.PERSISTENT

LIVING_PAILS = 4_096
"""How many keys of pails are remembered. Those of a thousand farmers who are asked for again and again fit in; what is over
for good is forgotten soon, so that a day's pails do not pile up."""

Asset = tuple[str, str]
"""A credit asset: its code and its issuer's G address."""


def account_id(address: str) -> xdr.AccountID:
    """Give the XDR AccountID of a G address."""
    return xdr.AccountID(
        xdr.PublicKey(xdr.PublicKeyType.PUBLIC_KEY_TYPE_ED25519, ed25519=xdr.Uint256(raw_key(address)))
    )


def address_of_account_id(account: xdr.AccountID) -> str:
    """Give the G address of an XDR AccountID."""
    key = account.account_id.ed25519
    assert key is not None
    return account_address(key.uint256)


@lru_cache(maxsize=16_384)
def sc_address(address: str) -> xdr.SCAddress:
    """Give the SCAddress of a G or C address. The object is shared: do not change it."""
    if is_account(address):
        return xdr.SCAddress(xdr.SCAddressType.SC_ADDRESS_TYPE_ACCOUNT, account_id=account_id(address))
    return xdr.SCAddress(
        xdr.SCAddressType.SC_ADDRESS_TYPE_CONTRACT, contract_id=xdr.ContractID(xdr.Hash(raw_key(address)))
    )


def address_of_sc_address(value: xdr.SCAddress) -> str:
    """Give the G or C address of an SCAddress.

    Raises:
        ValueError: for the kinds that cannot farm (muxed, claimable balance, pool).
    """
    if value.account_id is not None:
        return address_of_account_id(value.account_id)
    if value.contract_id is not None:
        return contract_address(value.contract_id.contract_id.hash)
    raise ValueError(f"an address of type {value.type.name} is neither an account nor a contract")


def credit_asset(asset: Asset) -> xdr.Asset:
    """Give the XDR Asset of a credit asset."""
    code, issuer = asset
    if len(code) <= 4:  # noqa: PLR2004 - alphanum4 against alphanum12
        alpha4 = xdr.AlphaNum4(xdr.AssetCode4(code.encode().ljust(4, b"\0")), account_id(issuer))
        return xdr.Asset(xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4, alpha_num4=alpha4)
    alpha12 = xdr.AlphaNum12(xdr.AssetCode12(code.encode().ljust(12, b"\0")), account_id(issuer))
    return xdr.Asset(xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM12, alpha_num12=alpha12)


@lru_cache(maxsize=65_536)
def account_key(address: str) -> bytes:
    """Key of an account."""
    return xdr.LedgerKey(
        xdr.LedgerEntryType.ACCOUNT, account=xdr.LedgerKeyAccount(account_id(address))
    ).to_xdr_bytes()


@lru_cache(maxsize=65_536)
def trustline_key(address: str, asset: Asset) -> bytes:
    """Key of an account's trustline to a credit asset."""
    plain = credit_asset(asset)
    line = xdr.TrustLineAsset(plain.type, alpha_num4=plain.alpha_num4, alpha_num12=plain.alpha_num12)
    return xdr.LedgerKey(
        xdr.LedgerEntryType.TRUSTLINE, trust_line=xdr.LedgerKeyTrustLine(account_id(address), line)
    ).to_xdr_bytes()


def pool_parameters(asset: Asset) -> xdr.LiquidityPoolConstantProductParameters:
    """Give what the liquidity pool of XLM and a credit asset is made by; the network knows no other fee."""
    native = xdr.Asset(xdr.AssetType.ASSET_TYPE_NATIVE)
    return xdr.LiquidityPoolConstantProductParameters(
        native, credit_asset(asset), xdr.Int32(xdr.LIQUIDITY_POOL_FEE_V18)
    )


@lru_cache(maxsize=16)
def pool_id(asset: Asset) -> bytes:
    """Give the id of the liquidity pool of XLM and a credit asset, 32 bytes: there is at most one."""
    made_by = xdr.LiquidityPoolParameters(
        xdr.LiquidityPoolType.LIQUIDITY_POOL_CONSTANT_PRODUCT, constant_product=pool_parameters(asset)
    )
    return hashlib.sha256(made_by.to_xdr_bytes()).digest()


@lru_cache(maxsize=16)
def pool_key(asset: Asset) -> bytes:
    """Key of that liquidity pool."""
    return xdr.LedgerKey(
        xdr.LedgerEntryType.LIQUIDITY_POOL,
        liquidity_pool=xdr.LedgerKeyLiquidityPool(xdr.PoolID(xdr.Hash(pool_id(asset)))),
    ).to_xdr_bytes()


@lru_cache(maxsize=64)
def instance_key(contract: str) -> bytes:
    """Key of a contract's instance (persistent)."""
    return _contract_data(contract, _INSTANCE, _PERSISTENT)


@lru_cache(maxsize=1_024)
def block_key(contract: str, index: int) -> bytes:
    """Key of Block(index) of the KALE contract (temporary)."""
    return _contract_data(contract, _vec(_SYMBOL_BLOCK, _u32(index)), _TEMPORARY)


@lru_cache(maxsize=LIVING_PAILS)
def pail_key(contract: str, farmer: str, index: int) -> bytes:
    """Key of Pail(farmer, index) of the KALE contract (temporary)."""
    return _contract_data(contract, _vec(_SYMBOL_PAIL, address_value(farmer), _u32(index)), _TEMPORARY)


@lru_cache(maxsize=4_096)
def balance_key(asset_contract: str, holder: str) -> bytes:
    """Key of a contract's balance in an asset contract (persistent); accounts hold trustlines instead."""
    return _contract_data(asset_contract, _vec(_SYMBOL_BALANCE, address_value(holder)), _PERSISTENT)


def nonce_key(address: str, nonce: int) -> bytes:
    """Key of the entry that marks a signed authorization's nonce as used (temporary)."""
    value = xdr.SCVal(xdr.SCValType.SCV_LEDGER_KEY_NONCE, nonce_key=xdr.SCNonceKey(xdr.Int64(nonce)))
    return _contract_data(address, value, _TEMPORARY)


@lru_cache(maxsize=64)
def code_key(wasm_hash: bytes) -> bytes:
    """Key of a contract's code."""
    return xdr.LedgerKey(
        xdr.LedgerEntryType.CONTRACT_CODE, contract_code=xdr.LedgerKeyContractCode(xdr.Hash(wasm_hash))
    ).to_xdr_bytes()


def _contract_data(contract: str, key: xdr.SCVal, durability: xdr.ContractDataDurability) -> bytes:
    return xdr.LedgerKey(
        xdr.LedgerEntryType.CONTRACT_DATA,
        contract_data=xdr.LedgerKeyContractData(sc_address(contract), key, durability),
    ).to_xdr_bytes()


def _vec(*items: xdr.SCVal) -> xdr.SCVal:
    return xdr.SCVal(xdr.SCValType.SCV_VEC, vec=xdr.SCVec(list(items)))


def _u32(value: int) -> xdr.SCVal:
    return xdr.SCVal(xdr.SCValType.SCV_U32, u32=xdr.Uint32(value))


def address_value(address: str) -> xdr.SCVal:
    """Give a G or C address as a contract value."""
    return xdr.SCVal(xdr.SCValType.SCV_ADDRESS, address=sc_address(address))
