"""What it costs to try a passphrase: Argon2id, its floor on each network, its ceiling everywhere."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from kalepool.errors import ConfigError
from kalepool.secret import Secret

KEY_BYTES = 32
SALT_BYTES = bindings.crypto_pwhash_SALTBYTES
LOCAL = "local"
"""The one network where nothing is worth stealing."""

_MAX_MEMORY_BYTES = 4 * 1024**3
_MAX_PASSES = 64
_MIN_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Cost:
    """The price of one try.

    Attributes:
        passes: over the memory (libsodium: opslimit).
        memory_bytes: used while it runs (libsodium: memlimit).
    """

    passes: int
    memory_bytes: int


LEAST: Final = Cost(
    bindings.crypto_pwhash_argon2id_OPSLIMIT_MIN, bindings.crypto_pwhash_argon2id_MEMLIMIT_MIN
)
"""1 pass, 8 KiB: for the local network and tests."""

MODERATE: Final = Cost(
    bindings.crypto_pwhash_argon2id_OPSLIMIT_MODERATE, bindings.crypto_pwhash_argon2id_MEMLIMIT_MODERATE
)
"""3 passes, 256 MiB: the floor wherever money is."""


def floor(network: str) -> Cost:
    """Give the least cost allowed on a network; any name but ``local`` is taken for a real one."""
    return LEAST if network == LOCAL else MODERATE


def check_cost(cost: Cost, network: str) -> None:
    """Insist on a cost between floor and ceiling.

    Raises:
        ConfigError: when a passphrase could be tried too cheaply, or not at all on a usual machine.
    """
    least = floor(network)
    if cost.passes < least.passes or cost.memory_bytes < least.memory_bytes:
        raise ConfigError(
            f"the vault's passphrase is protected too weakly for {network}: {_in_words(cost)}",
            hint=f"it takes at least {_in_words(least)}; if it was not you who changed it, restore a backup",
        )
    if cost.passes > _MAX_PASSES or cost.memory_bytes > _MAX_MEMORY_BYTES:
        raise ConfigError(
            f"the vault asks for an absurd effort to open it: {_in_words(cost)}",
            hint=f"at most {_in_words(Cost(_MAX_PASSES, _MAX_MEMORY_BYTES))} is accepted; restore a backup",
        )


def check_new_passphrase(passphrase: Secret, network: str) -> None:
    """Insist on a passphrase worth the name: something, and where money is at least 8 characters.

    Raises:
        ConfigError: when it is too short.
    """
    least = 1 if network == LOCAL else _MIN_CHARACTERS
    if len(passphrase.reveal_text()) < least:
        raise ConfigError(
            f"the passphrase is too short for {network}",
            hint=f"at least {least} characters; six random words are better",
        )


def stretch(passphrase: Secret, cost: Cost, salt: bytes) -> Secret:
    """Turn a passphrase into a key of 32 bytes by Argon2id (version 1.3, one lane).

    The text is brought to Unicode NFKC first, so that it does not matter which keyboard wrote it.

    Raises:
        ConfigError: when there is not enough memory.
    """
    key = _argon2id(passphrase, cost, salt)
    if key is None:
        raise ConfigError(
            f"the vault cannot be opened for want of memory: it takes {cost.memory_bytes // 1024**2} MiB",
            hint="free some memory, or raise the limit of this process",
        )
    return key


def _argon2id(passphrase: Secret, cost: Cost, salt: bytes) -> Secret | None:
    normal = Secret.from_text(unicodedata.normalize("NFKC", passphrase.reveal_text()))
    try:
        return Secret(
            bindings.crypto_pwhash_alg(
                KEY_BYTES,
                normal.reveal(),
                salt,
                cost.passes,
                cost.memory_bytes,
                bindings.crypto_pwhash_ALG_ARGON2ID13,
            )
        )
    except (CryptoError, MemoryError):
        return None  # not re-raised: the library's frames hold the passphrase


def _in_words(cost: Cost) -> str:
    return f"{cost.passes} passes over {cost.memory_bytes // 1024} KiB"
