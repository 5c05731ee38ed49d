"""What each transaction left in the books, and what the operator takes from the chain where nobody can tell any more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.intent_rows import load_intents
from kalepool.core.facts import UNSEEN, opening, spans
from kalepool.core.postings import FEES, XLM
from kalepool.errors import KalepoolError, UnresolvedError

if TYPE_CHECKING:
    from faults.process import Process
    from faults.world import World
    from kalepool.bootstrap import Pool
    from kalepool.core.bookings import Booking
    from kalepool.services.adopting import Adoption

_KEPT: Final = 5
"""Ledgers that nodes still have when they have forgotten all that went by unseen."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """Ledgers that went by unseen.

    Attributes:
        spans: first and last of each.
        is_adopted: whether the operator took from the chain what they did.
    """

    spans: tuple[tuple[int, int], ...] = ()
    is_adopted: bool = False

    def __contains__(self, ledger: int) -> bool:
        return any(first <= ledger <= last for first, last in self.spans)


def read_spans(pool: Pool) -> tuple[tuple[int, int], ...]:
    """Give what a store has noted as unseen."""
    return tuple(spans(pool.facts.get(UNSEEN)))


async def take_from_chain(world: World) -> None:
    """Let the operator do what he does when the books differ for good: ``db verify --chain --adopt``.

    By then no node has the ledgers any more. What is adopted must be what those ledgers did, to the stroop.
    """

    async def body(process: Process) -> None:
        pool = process.pool
        async with pool.online():
            await pool.reconciler.reconcile()
            world.unseen = Unseen(read_spans(pool))
            if not world.unseen.spans:
                return
            _forget(world, max(last for _, last in world.unseen.spans))
            wanted = await pool.adopting.plan()
            # A last look may have found more that nobody can tell.
            world.unseen = Unseen(read_spans(pool))
            _check_adopted(world, pool, wanted)
            pool.adopting.adopt(wanted)
            world.unseen = replace(world.unseen, is_adopted=True)
            world.counts["balances taken from the chain"] += 1

    result = await world.live("db", body)
    if isinstance(result, UnresolvedError):
        # What nobody can ever tell, or what the operator has not found out, stands in the way of it.
        world.counts["balances not taken from the chain"] += 1
    elif isinstance(result, KalepoolError):
        world.violate(f"what went by unseen cannot be taken from the chain: {result.message}")


def _forget(world: World, last: int) -> None:
    """Let no node have a ledger any more."""
    while world.ledger.latest.sequence - last < _KEPT:
        world.bench.close(1)
    history = world.ledger.history
    while history[0].sequence <= last:
        for applied in history.popleft().transactions:
            world.ledger.by_hash.pop(applied.transaction.hash, None)
            world.ledger.by_hash.pop(applied.transaction.outer_hash, None)


def check_booked(world: World, pool: Pool) -> None:
    """Insist that a fee paid is a fee booked: of each transaction that could be read, successful or not."""
    opened = int(pool.facts.get(opening(world.operator)) or 0)
    booked = _booked(world, pool)
    for hash_hex, applied in world.truth.applied.items():
        if applied.transaction.fee_source != world.operator or applied.ledger <= opened:
            continue
        paid = applied.result.fee_charged
        fees = [_fee(booking) for booking in booked[hash_hex]]
        if fees == [paid] or (not fees and applied.ledger in world.unseen):
            world.counts["failed, fee booked"] += bool(fees) and not applied.result.is_success
            continue
        world.violate(f"{hash_hex[:8]} of ledger {applied.ledger} cost {paid} stroops, and booked is {fees}")


def _booked(world: World, pool: Pool) -> dict[str, list[Booking]]:
    """Give what is booked of each transaction that landed, by outer hash."""
    keys = {
        hash_hex: [f"witnessed:{hash_hex}", f"failed:{applied.transaction.hash.hex()}"]
        for hash_hex, applied in world.truth.applied.items()
    }
    for intent in load_intents(
        pool.store, [number for (number,) in pool.store.all("SELECT number FROM intents")]
    ):
        hashes = {hash_hex for attempt in intent.attempts for hash_hex in attempt.outer_hashes}
        for hash_hex in hashes & keys.keys():
            keys[hash_hex].append(f"intent:{intent.number}")
    found = pool.books.find([key for several in keys.values() for key in several])
    return {hash_hex: [found[key] for key in several if key in found] for hash_hex, several in keys.items()}


def _fee(booking: Booking) -> int:
    return sum(stroops for name, asset, stroops in booking.postings if (name, asset) == (FEES, XLM))


def _check_adopted(world: World, pool: Pool, wanted: Adoption) -> None:
    """Insist that what is taken from the chain is what happened in ledgers that went by unseen, and nothing else."""
    expected: Counter[tuple[str, str]] = Counter()
    booked = _booked(world, pool)
    for hash_hex, ledger, address, asset, stroops in world.truth.effects:
        if asset == XLM and address != world.operator:
            continue  # farmers' XLM is in no books
        opened = pool.facts.get(opening(address))
        if opened is not None and ledger > int(opened) and ledger in world.unseen and not booked[hash_hex]:
            expected[address, asset] += stroops
    found = {(one.address, one.asset): (one.chain or 0) - one.books for one in wanted.differences}
    for who in sorted({*found, *expected}):
        if found.get(who, 0) != expected[who]:
            world.violate(
                f"{found.get(who, 0)} stroops of {who[1]} were taken from the chain for {who[0][:5]}, "
                f"and {expected[who]} went by unseen"
            )
