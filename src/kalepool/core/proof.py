"""Proof of work: pre-image, zeros, verification. Source: contract, ``work`` and ``generate_hash``."""

from __future__ import annotations

import math
import struct

from kalepool.core.farm import Proof
from kalepool.errors import UsageError

PREIMAGE_BYTES = 76
MAX_U32 = 2**32 - 1
MAX_U64 = 2**64 - 1


def preimage(index: int, nonce: int, entropy: bytes, farmer: bytes) -> bytes:
    """Give the 76 bytes that are hashed: index u32 BE, nonce u64 BE, entropy, farmer's raw key.

    Args:
        index: block index, u32.
        nonce: u64.
        entropy: 32 bytes, of the block.
        farmer: 32 bytes: the ed25519 key of a G address, the contract hash of a C address.

    Raises:
        UsageError: when a number or a length is out of range.
    """
    if not 0 <= index <= MAX_U32:
        raise UsageError(f"a block index is a u32, not {index}")
    if not 0 <= nonce <= MAX_U64:
        raise UsageError(f"a nonce is a u64, not {nonce}")
    if len(entropy) != 32:  # noqa: PLR2004
        raise UsageError(f"entropy has 32 bytes, not {len(entropy)}")
    if len(farmer) != 32:  # noqa: PLR2004
        raise UsageError(f"a farmer's raw key has 32 bytes, not {len(farmer)}")
    return struct.pack(">IQ", index, nonce) + entropy + farmer


def keccak256(data: bytes) -> bytes:
    """Hash with Keccak-256 (padding 0x01, not SHA3-256), by an implementation that is not the miner's."""
    from Crypto.Hash import keccak  # noqa: PLC0415 - first needed late; keeps start-up fast

    return keccak.new(digest_bits=256, data=data).digest()


def count_zeros(digest: bytes) -> int:
    """Count the leading hexadecimal zero digits."""
    significant = int.from_bytes(digest, "big").bit_length()
    return (8 * len(digest) - significant) // 4


def make_proof(index: int, nonce: int, entropy: bytes, farmer: bytes) -> Proof:
    """Hash one nonce and give the whole proof."""
    digest = keccak256(preimage(index, nonce, entropy, farmer))
    return Proof(index=index, nonce=nonce, hash=digest, zeros=count_zeros(digest))


def verify(proof: Proof, entropy: bytes, farmer: bytes) -> bool:
    """Tell whether hash and zeros of the proof are what its nonce gives."""
    return make_proof(proof.index, proof.nonce, entropy, farmer) == proof


def expected_zeros(hashes: float) -> float:
    """Give the mean of the best zeros among so many hashes: the sum over z of P(best >= z) = 1 - (1 - 16^-z)^n."""
    return sum(-math.expm1(hashes * math.log1p(-(16.0**-zeros))) for zeros in range(1, 65))
