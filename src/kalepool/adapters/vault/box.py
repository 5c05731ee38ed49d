"""Encryption of the vault's pieces: XChaCha20-Poly1305 (IETF), the nonce in front."""

from __future__ import annotations

import secrets

from nacl import bindings
from nacl.exceptions import CryptoError

from kalepool.secret import Secret

KEY_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_KEYBYTES
NONCE_BYTES = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
OVERHEAD_BYTES = NONCE_BYTES + bindings.crypto_aead_xchacha20poly1305_ietf_ABYTES
"""A box is longer than its content by nonce and tag: 24 + 16."""


def new_key() -> Secret:
    """Give a random key, 32 bytes."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def close_box(key: Secret, content: Secret, associated: bytes) -> bytes:
    """Encrypt: a random nonce of 24 bytes, the ciphertext, a tag of 16 over it and ``associated``."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        content.reveal(), associated, nonce, key.reveal()
    )


def open_box(key: Secret, box: bytes, associated: bytes) -> Secret | None:
    """Decrypt; None when key, box or ``associated`` are not those it was closed with."""
    if len(box) < OVERHEAD_BYTES:
        return None
    try:
        return Secret(
            bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                box[NONCE_BYTES:], associated, box[:NONCE_BYTES], key.reveal()
            )
        )
    except CryptoError:
        return None
