"""An account's secret seed: 32 bytes that sign, and their written form (strkey S).

Source: SEP-0023. A strkey is base32 of one version byte, the 32 raw bytes and a CRC-16/XModem
checksum in little-endian order: 35 bytes, 56 characters, no padding.
"""

from __future__ import annotations

import base64
import binascii

from nacl import bindings

from kalepool.core.address import account_address
from kalepool.errors import InternalError, UsageError
from kalepool.secret import Secret

SEED_BYTES = 32
PAYLOAD_BYTES = 32
_VERSION = 18 << 3  # 'S'
_STRKEY_CHARS = 56
_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


class Seed(Secret):
    """A secret seed, 32 bytes. It signs; it does not show itself."""

    __slots__ = ("address",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        super().__init__(data)
        if len(self) != SEED_BYTES:
            raise InternalError(f"a seed has {SEED_BYTES} bytes, not {len(self)}")
        self.address = account_address(bindings.crypto_sign_seed_keypair(self.reveal())[0])
        """The G address that it signs for."""

    def sign(self, payload: bytes) -> bytes:
        """Sign 32 bytes by ed25519: 64 bytes.

        Raises:
            InternalError: when the payload has another length: only hashes are ever signed.
        """
        if len(payload) != PAYLOAD_BYTES:
            raise InternalError(f"a payload to sign has {PAYLOAD_BYTES} bytes, not {len(payload)}")
        return bindings.crypto_sign(payload, bindings.crypto_sign_seed_keypair(self.reveal())[1])[
            : bindings.crypto_sign_BYTES
        ]


def parse_seed(text: Secret) -> Seed:
    """Read a seed in its written form, S and 55 characters; space around it is ignored.

    Raises:
        UsageError: when prefix, length, alphabet or checksum are wrong; what was given is not repeated.
    """
    # No bytes of it are local here, lest a traceback that shows variables shows them.
    fault = _fault(text.reveal().strip())
    if fault:
        raise UsageError(fault, hint="a secret seed is S and 55 characters A-Z and 2-7: copy it once more")
    return Seed(base64.b32decode(text.reveal().strip())[1:-2])


def written_seed(seed: Seed) -> Secret:
    """Give a seed in its written form, to be shown to its owner."""
    body = bytes([_VERSION]) + seed.reveal()
    return Secret(base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")))


def _fault(written: bytes) -> str:
    if len(written) != _STRKEY_CHARS or not written.startswith(b"S") or not _ALPHABET.issuperset(written):
        return "this is not a secret seed"
    raw = base64.b32decode(written)
    if raw[0] != _VERSION or binascii.crc_hqx(raw[:-2], 0).to_bytes(2, "little") != raw[-2:]:
        return "the checksum of the secret seed is wrong"
    return ""
