"""XDR written directly, for what is built by the hundred: a few bytes joined instead of an object tree.

The SDK takes about a millisecond for a fee-bumped call; this takes a twentieth. Tests hold every
form against the SDK's own encoding.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from kalepool.core.address import is_account, raw_key
from kalepool.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Discriminants of SCValType.
_SCV_U32: Final = 3
_SCV_U64: Final = 5
_SCV_I128: Final = 10
_SCV_BYTES: Final = 13
_SCV_VEC: Final = 16
_SCV_ADDRESS: Final = 18

MAX_U32: Final = 2**32 - 1

NONE: Final = bytes(4)
"""An absent optional, an empty array, a discriminant or extension of 0."""


def u32(value: int) -> bytes:
    """Write an unsigned 32-bit number."""
    try:
        return struct.pack(">I", value)
    except struct.error:
        raise UsageError(f"{value} is no unsigned 32-bit number") from None


def u64(value: int) -> bytes:
    """Write an unsigned 64-bit number."""
    try:
        return struct.pack(">Q", value)
    except struct.error:
        raise UsageError(f"{value} is no unsigned 64-bit number") from None


def i64(value: int) -> bytes:
    """Write a signed 64-bit number."""
    try:
        return struct.pack(">q", value)
    except struct.error:
        raise UsageError(f"{value} is no signed 64-bit number") from None


def opaque(value: bytes) -> bytes:
    """Write bytes of any length, padded to four."""
    return struct.pack(">I", len(value)) + value + bytes(-len(value) % 4)


def array(items: Sequence[bytes]) -> bytes:
    """Write an array of values already written."""
    return struct.pack(">I", len(items)) + b"".join(items)


@lru_cache(maxsize=16_384)
def account(address: str) -> bytes:
    """Write a G address as an AccountID, which is a MuxedAccount too.

    Raises:
        UsageError: when it is no account's.
    """
    if not is_account(address):
        raise UsageError("an account is needed here, not a contract", hint="give a G address")
    return NONE + raw_key(address)


@lru_cache(maxsize=16_384)
def address(value: str) -> bytes:
    """Write a G or C address as an SCAddress."""
    return NONE + account(value) if is_account(value) else u32(1) + raw_key(value)


def value_address(value: str) -> bytes:
    """Write an address as an SCVal; the others likewise."""
    return u32(_SCV_ADDRESS) + address(value)


def value_u32(value: int) -> bytes:
    """Write a u32."""
    return u32(_SCV_U32) + u32(value)


def value_u64(value: int) -> bytes:
    """Write a u64."""
    return u32(_SCV_U64) + u64(value)


def value_i128(value: int) -> bytes:
    """Write an i128."""
    try:
        return u32(_SCV_I128) + value.to_bytes(16, "big", signed=True)
    except OverflowError:
        raise UsageError(f"{value} is no signed 128-bit number") from None


def value_bytes(value: bytes) -> bytes:
    """Write bytes."""
    return u32(_SCV_BYTES) + opaque(value)


def value_vec(items: Sequence[bytes]) -> bytes:
    """Write a vector of SCVals already written."""
    return u32(_SCV_VEC) + u32(1) + array(items)


def invocation(contract: str, function: str, arguments: Sequence[bytes]) -> bytes:
    """Write InvokeContractArgs."""
    return address(contract) + opaque(function.encode()) + array(arguments)
