"""Pails and Blocks written straight onto the chain, as if many blocks had been planted and worked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.farm import Block, Pail
from kalepool.devnet.state import Layer
from kalepool.xdr.keys import block_key, pail_key
from support.devnet import KALE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.devnet import Bench

STAKE = 10 * KALE
GAP, ZEROS = 20, 6


def sow(
    bench: Bench,
    addresses: Sequence[str],
    blocks: Iterable[int],
    *,
    ends_in: int = 17_000,
    worked: bool = True,
    index: int | None = None,
) -> None:
    """Let farmers have pails in blocks, which are over unless ``index`` says so.

    Args:
        bench: the devnet.
        addresses: the farmers.
        blocks: indexes.
        ends_in: ledgers that Blocks and pails live from now.
        worked: whether the pails were worked.
        index: FarmIndex; None for the one after the last block.
    """
    indexes = list(blocks)
    layer = Layer(bench.ledger.state, bench.ledger.latest.sequence)
    end = layer.sequence + ends_in
    for block in indexes:
        layer.put(block_key(bench.kale, block), block_with(len(addresses), block), end, temporary=True)
        for address in addresses:
            pail = Pail(layer.sequence, STAKE, GAP, ZEROS) if worked else Pail(layer.sequence, STAKE)
            layer.put(pail_key(bench.kale, address, block), pail, end, temporary=True)
    bench.ledger.state.apply(layer.changes)
    bench.ledger.change_farm(index=max(indexes) + 1 if index is None else index)


def block_with(pails: int, index: int) -> Block:
    """Give a Block in which so many pails like ours were worked, and as many of others; each pays another sum."""
    return Block(
        timestamp=1_700_000_000 + 300 * index,
        min_gap=1,
        max_gap=41,
        min_stake=0,
        max_stake=2 * STAKE,
        min_zeros=5,
        max_zeros=7,
        entropy=index.to_bytes(32, "big"),
        staked_total=0,
        normalized_total=2 * pails * 3 * STAKE + index * KALE,
    )
