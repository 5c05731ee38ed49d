"""Cursors and proofs: never back, never worse, and of one entropy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.grinds import StoreGrinds
from kalepool.core.farm import Proof
from kalepool.core.records import Grind
from support.store import add_farmers

if TYPE_CHECKING:
    from kalepool import ports
    from kalepool.adapters.store.db import Store

ENTROPY = bytes(range(32))
U64 = 2**64 - 1


def proof(zeros: int, nonce: int = U64) -> Proof:
    return Proof(7, nonce, bytes([zeros]) * 32, zeros)


@pytest.fixture
def grinds(store: Store) -> StoreGrinds:
    add_farmers(store, 2)
    return StoreGrinds(store)


def test_a_grind_is_read_back_whole_up_to_the_largest_nonce(grinds: StoreGrinds) -> None:
    port: ports.Grinds = grinds
    some = [Grind(1, 7, ENTROPY, U64, proof(6)), Grind(2, 7, ENTROPY, 0)]
    port.save(some)
    assert port.load(7, ENTROPY) == some


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (Grind(1, 7, ENTROPY, 2**63, proof(7, 3)), Grind(1, 7, ENTROPY, 2**63, proof(7, 3))),
        (Grind(1, 7, ENTROPY, 2**63, proof(5, 3)), Grind(1, 7, ENTROPY, 2**63, proof(6))),
        (Grind(1, 7, ENTROPY, 2**63, proof(6, 3)), Grind(1, 7, ENTROPY, 2**63, proof(6))),
        (Grind(1, 7, ENTROPY, 1), Grind(1, 7, ENTROPY, 2**62, proof(6))),
    ],
    ids=["better", "worse", "as good", "an older cursor without a proof"],
)
def test_a_cursor_does_not_go_back_and_a_proof_does_not_get_worse(
    grinds: StoreGrinds, second: Grind, kept: Grind
) -> None:
    grinds.save([Grind(1, 7, ENTROPY, 2**62, proof(6))])
    grinds.save([second])
    assert grinds.load(7, ENTROPY) == [kept]


def test_another_entropy_begins_anew(grinds: StoreGrinds) -> None:
    other = bytes(32)
    grinds.save([Grind(1, 7, ENTROPY, 2**62, proof(6))])
    assert grinds.load(7, other) == []
    anew = Grind(1, 7, other, 4, proof(2))
    grinds.save([anew])
    assert grinds.load(7, other) == [anew]
    assert grinds.load(7, ENTROPY) == []


def test_blocks_that_are_over_are_forgotten(grinds: StoreGrinds) -> None:
    grinds.save([Grind(1, block, ENTROPY, 5) for block in (6, 7)])
    grinds.forget(before=7)
    assert grinds.load(6, ENTROPY) == []
    assert grinds.load(7, ENTROPY) == [Grind(1, 7, ENTROPY, 5)]


def test_a_first_proof_joins_a_cursor(grinds: StoreGrinds) -> None:
    bare = Grind(1, 7, ENTROPY, 5)
    grinds.save([bare])
    grinds.save([replace(bare, best=proof(0))])
    assert grinds.load(7, ENTROPY) == [replace(bare, best=proof(0))]


def test_hashes_of_a_block_add_up_over_restarts(store: Store, grinds: StoreGrinds) -> None:
    grinds.count(7, 5_000_000, 300_000)
    grinds.count(7, 2**40, 1_000)
    grinds.count(8, 0, 0)
    assert store.all("SELECT * FROM hashing") == [(7, 2**40 + 5_000_000, 301_000), (8, 0, 0)]
