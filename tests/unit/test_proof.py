"""Proof of work against the published example and the vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kalepool.core.address import raw_key
from kalepool.core.farm import Proof
from kalepool.core.proof import count_zeros, make_proof, preimage, verify
from kalepool.errors import UsageError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "hash.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["proofs"], ids=lambda v: f"nonce-{v['nonce']}")
def test_every_vector_verifies(vector: dict[str, Any]) -> None:
    proof = Proof(
        index=vector["index"],
        nonce=int(vector["nonce"]),
        hash=bytes.fromhex(vector["hash"]),
        zeros=vector["zeros"],
    )
    entropy, farmer = bytes.fromhex(vector["entropy"]), raw_key(vector["farmer"])
    assert make_proof(proof.index, proof.nonce, entropy, farmer) == proof
    assert verify(proof, entropy, farmer)


@pytest.mark.parametrize("vector", VECTORS["ranges"], ids=lambda v: f"start-{v['start']}")
def test_best_nonces_of_the_ranges_verify(vector: dict[str, Any]) -> None:
    farmer, entropy = raw_key(vector["farmer"]), bytes.fromhex(vector["entropy"])
    proof = make_proof(vector["index"], int(vector["best_nonce"]), entropy, farmer)
    assert (proof.zeros, proof.hash.hex()) == (vector["best_zeros"], vector["best_hash"])


def test_a_proof_for_another_farmer_does_not_verify() -> None:
    vector = VECTORS["proofs"][0]
    proof = make_proof(vector["index"], int(vector["nonce"]), bytes.fromhex(vector["entropy"]), bytes(32))
    assert not verify(proof, bytes.fromhex(vector["entropy"]), raw_key(vector["farmer"]))


@pytest.mark.parametrize(
    ("digest", "zeros"),
    [
        ("ff" * 32, 0),
        ("0f" + "ff" * 31, 1),
        ("00" * 32, 64),
        ("00" * 31 + "10", 62),
        ("00" * 31 + "01", 63),
        ("08" * 32, 1),
    ],
)
def test_zeros_are_hexadecimal_digits(digest: str, zeros: int) -> None:
    assert count_zeros(bytes.fromhex(digest)) == zeros


@pytest.mark.parametrize(
    ("index", "nonce", "entropy", "farmer"),
    [
        (-1, 0, 32, 32),
        (2**32, 0, 32, 32),
        (0, -1, 32, 32),
        (0, 2**64, 32, 32),
        (0, 0, 31, 32),
        (0, 0, 32, 33),
    ],
)
def test_a_preimage_is_built_of_nothing_else(index: int, nonce: int, entropy: int, farmer: int) -> None:
    with pytest.raises(UsageError):
        preimage(index, nonce, bytes(entropy), bytes(farmer))
