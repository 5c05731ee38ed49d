"""The search of a range: every kernel, forced one by one, against the vectors and an independent Keccak-256."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalepool.adapters.miner import kernels, search
from kalepool.core.address import raw_key
from kalepool.core.grinding import Job
from kalepool.core.proof import make_proof

if TYPE_CHECKING:
    from kalepool.core.farm import Proof

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "hash.json").read_text())
TOP = 2**64

every_kernel = pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(
            kernel.name,
            marks=[] if kernel.runs else pytest.mark.skip(reason=f"this CPU does not run {kernel.name}"),
        )
        for kernel in kernels()
    ],
)
runnable = st.sampled_from([kernel.name for kernel in kernels() if kernel.runs])
u64 = st.integers(0, TOP - 1)
# Where something is carried: ends of lanes, of blocks, of the halves of the nonce.
edge = st.sampled_from([0, 8, 256, 2048, 8192, 16384, 2**16, 2**24, 2**32, 2**33, 2**48, 2**63, TOP])
near_edge = st.builds(lambda at, off: min(max(at + off, 0), TOP - 1), edge, st.integers(-300, 300))


def best_by_oracle(job: Job, count: int) -> Proof:
    nonces = range(job.cursor, job.cursor + count)
    proofs = (make_proof(job.index, nonce, job.entropy, job.farmer) for nonce in nonces)
    return max(proofs, key=lambda proof: (proof.zeros, -proof.nonce))


@every_kernel
@pytest.mark.parametrize("vector", VECTORS["ranges"], ids=lambda v: f"start-{v['start']}")
@pytest.mark.parametrize("threads", [1, 3])
def test_a_range_gives_the_lowest_nonce_with_most_zeros(
    kernel: str, vector: dict[str, Any], threads: int
) -> None:
    job = Job(
        index=vector["index"],
        entropy=bytes.fromhex(vector["entropy"]),
        farmer=raw_key(vector["farmer"]),
        cursor=int(vector["start"]),
    )
    found = search(job, vector["count"], kernel=kernel, threads=threads)
    assert (found.zeros, str(found.nonce)) == (vector["best_zeros"], vector["best_nonce"])
    assert found.hash.hex() == vector["best_hash"]


@every_kernel
@pytest.mark.parametrize("vector", VECTORS["proofs"], ids=lambda v: f"nonce-{v['nonce']}")
def test_a_range_of_one_nonce_is_that_nonces_proof(kernel: str, vector: dict[str, Any]) -> None:
    job = Job(
        index=vector["index"],
        entropy=bytes.fromhex(vector["entropy"]),
        farmer=raw_key(vector["farmer"]),
        cursor=int(vector["nonce"]),
    )
    found = search(job, 1, kernel=kernel)
    assert (found.hash.hex(), found.zeros) == (vector["hash"], vector["zeros"])


@every_kernel
@pytest.mark.parametrize("count", range(1, 18))
@pytest.mark.parametrize("start", [0, 8189, 2**32 - 5, 2**63 - 9, TOP - 17])
def test_short_ranges_across_lanes_and_halves_agree_with_the_oracle(
    kernel: str, start: int, count: int
) -> None:
    job = Job(index=count, entropy=bytes([count]) * 32, farmer=bytes(32), cursor=start)
    assert search(job, count, kernel=kernel) == best_by_oracle(job, count)


@settings(max_examples=150, deadline=None)
@given(
    kernel=runnable,
    index=st.integers(0, 2**32 - 1),
    entropy=st.binary(min_size=32, max_size=32),
    farmer=st.binary(min_size=32, max_size=32),
    start=u64 | near_edge,
    count=st.integers(1, 600),
    threads=st.integers(1, 4),
)
def test_any_range_agrees_with_the_oracle(
    kernel: str, index: int, entropy: bytes, farmer: bytes, start: int, count: int, threads: int
) -> None:
    job = Job(index=index, entropy=entropy, farmer=farmer, cursor=start)
    count = min(count, TOP - start)
    assert search(job, count, kernel=kernel, threads=threads) == best_by_oracle(job, count)


@settings(max_examples=40, deadline=None)
@given(
    start=u64 | near_edge,
    count=st.integers(1, 200_000),
    threads=st.integers(2, 8),
    kernels=st.tuples(runnable, runnable),
)
def test_kernels_and_threads_do_not_change_the_answer(
    start: int, count: int, threads: int, kernels: tuple[str, str]
) -> None:
    job = Job(index=1, entropy=bytes(32), farmer=b"\x07" * 32, cursor=start)
    count = min(count, TOP - start)
    alone = search(job, count, kernel=kernels[0])
    assert search(job, count, kernel=kernels[1], threads=threads) == alone


@every_kernel
def test_a_chain_of_a_million_nonces_ends_in_one_digest(kernel: str) -> None:
    entropy = bytes(32)
    for step in range(100):
        job = Job(index=step, entropy=entropy, farmer=bytes(range(32)), cursor=step * 10_007)
        entropy = search(job, 10_000, kernel=kernel).hash
    # Made with make_proof (pycryptodome) over the same million nonces.
    assert entropy.hex() == "000af3d34694b9ae63b11c16e682fbbfd332fa10b837898a9e9276a300d5e849"
