"""Decoding XDR that comes from outside: whatever is wrong with it, one error."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Protocol, TypeVar

from xdrlib3 import ConversionError
from xdrlib3 import Error as XdrError


class _Decodable(Protocol):
    @classmethod
    def from_xdr_bytes(cls, xdr: bytes) -> object:
        """Decode; raises many things."""


_T = TypeVar("_T", bound=_Decodable)


def decode(kind: type[_T], raw: bytes) -> _T:
    """Decode an XDR value.

    Raises:
        ValueError: when the bytes are no such value, or something stands behind it.
    """
    try:
        value = kind.from_xdr_bytes(raw)
    except (
        EOFError,
        XdrError,
        ConversionError,
        struct.error,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        raise ValueError(f"not the XDR of a {kind.__name__}") from error
    assert isinstance(value, kind)
    return value


def decode_base64(kind: type[_T], text: str) -> _T:
    """Decode an XDR value in base64.

    Raises:
        ValueError: when the text is no base64, or not of such a value.
    """
    return decode(kind, from_base64(text))


def from_base64(text: str) -> bytes:
    """Decode base64, strictly.

    Raises:
        ValueError: when it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
