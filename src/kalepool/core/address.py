"""Stellar addresses (strkey): G for an account's ed25519 key, C for a contract's hash.

Source: SEP-0023. A strkey is base32 of one version byte, the 32 raw bytes and a
CRC-16/XModem checksum in little-endian order: 35 bytes, 56 characters, no padding.
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

from kalepool.errors import UsageError

_ACCOUNT = 6 << 3  # 'G'
_CONTRACT = 2 << 3  # 'C'
_VERSION_OF = {"G": _ACCOUNT, "C": _CONTRACT}
_STRKEY_CHARS = 56


def _encode(version: int, raw: bytes) -> str:
    if len(raw) != 32:  # noqa: PLR2004 - both key and hash are 32 bytes
        raise UsageError(f"a raw key has 32 bytes, not {len(raw)}")
    body = bytes([version]) + raw
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode("ascii")


def account_address(raw: bytes) -> str:
    """Give the G address of a 32-byte ed25519 public key."""
    return _encode(_ACCOUNT, raw)


def contract_address(raw: bytes) -> str:
    """Give the C address of a 32-byte contract hash."""
    return _encode(_CONTRACT, raw)


@lru_cache(maxsize=16_384)
def raw_key(address: str) -> bytes:
    """Give the 32 raw bytes behind a G or C address: what a farmer's proof is bound to.

    Raises:
        UsageError: when prefix, length, alphabet or checksum are wrong.
    """
    version = _VERSION_OF.get(address[:1])
    if version is None:
        raise UsageError(f"{_shown(address)} is not a G or C address", hint="an address starts with G or C")
    if len(address) != _STRKEY_CHARS:
        raise UsageError(f"{_shown(address)} is not an address", hint="an address has 56 characters")
    try:
        decoded = base64.b32decode(address)
    except ValueError:
        raise UsageError(
            f"{_shown(address)} is not an address", hint="an address has the letters A-Z and the digits 2-7"
        ) from None
    body, checksum = decoded[:-2], decoded[-2:]
    if body[0] != version or binascii.crc_hqx(body, 0).to_bytes(2, "little") != checksum:
        raise UsageError(f"the checksum of {_shown(address)} is wrong", hint="copy the address once more")
    return body[1:]


def is_account(address: str) -> bool:
    """Tell whether the address is an account's (G), valid or not."""
    return address.startswith("G")


def _shown(address: str) -> str:
    # A seed pasted where an address belongs must not reach a screen or a log.
    if address.startswith("S"):
        return "this text (not shown: it looks like a secret seed)"
    return repr(address if len(address) <= _STRKEY_CHARS else address[:_STRKEY_CHARS] + "...")
