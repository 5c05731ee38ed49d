"""Keeping the miner's jobs in step with the round, and their progress on disk.

The best proof of every farmer is there to be read from the moment his job begins. Nonces are never
hashed twice: a restart goes on beyond everything that could have been hashed since the last save.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.grinding import Job
from kalepool.core.proof import MAX_U64
from kalepool.core.records import Grind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from kalepool.core.farm import Proof
    from kalepool.core.grinding import JobId
    from kalepool.ports import Grinds, Miner

RESTART_SKIP: Final = 2**40
"""Nonces passed over after a restart: hours of hashing, where cursors are saved each minute; 2^64 has millions of them."""

CURSORS_EVERY: Final = 12
"""A better proof is on disk with the next save; cursors, of which a restart skips so many, with every twelfth."""


@dataclass(frozen=True, slots=True)
class Target:
    """One farmer to grind for in the current block.

    Attributes:
        farmer: his number.
        key: his raw key, 32 bytes.
        cap: zeros beyond which more are worth nothing.
        weight: worth of one more zero beside others.
    """

    farmer: int
    key: bytes
    cap: int
    weight: float = 1.0


class Grinder:
    """The miner as a round uses it.

    Args:
        miner: searches.
        grinds: remembers.
    """

    def __init__(self, miner: Miner, grinds: Grinds) -> None:
        self._miner = miner
        self._grinds = grinds
        self._block: tuple[int, bytes] | None = None
        self._jobs: dict[int, JobId] = {}
        self._worth: dict[int, tuple[int, float]] = {}
        self._known: dict[int, Grind] = {}
        self._saved: dict[int, Proof] = {}
        self._saves = 0
        self._hashes_before = 0
        self._hashes_now = 0

    @property
    def hashes(self) -> int:
        """Hashes done since it was made, up to the last save."""
        return self._hashes_before + self._hashes_now

    @property
    def saved(self) -> dict[int, Proof]:
        """The best proof of each farmer in the current block as of the last save: the same object until it changes."""
        return self._saved

    def aim(self, targets: Sequence[Target], *, block: int, entropy: bytes) -> None:
        """Grind for these farmers in this block, and for nobody else.

        Args:
            targets: whom, and what a zero is worth for each.
            block: index of the current block.
            entropy: of that block, 32 bytes. With another entropy nothing found before counts.
        """
        if self._block != (block, entropy):
            self._begin(block, entropy)
        wanted = {target.farmer: target for target in targets}
        self.save()
        self._drop(self._jobs.keys() - wanted.keys())
        for farmer, target in wanted.items():
            worth = target.cap, target.weight
            if farmer not in self._jobs:
                self._jobs[farmer] = self._miner.add(self._job(target))
            elif self._worth[farmer] != worth:
                self._miner.weigh(self._jobs[farmer], cap=target.cap, weight=target.weight)
            self._worth[farmer] = worth
        if self._jobs:
            self._miner.start()
        else:
            self._miner.stop()

    def proofs(self) -> dict[int, Proof]:
        """Give the best proof of each farmer in the current block who has one."""
        progress = self._miner.read_all()
        found = {farmer: grind.best for farmer, grind in self._known.items()}
        found |= {farmer: progress[job].best or found.get(farmer) for farmer, job in self._jobs.items()}
        return {farmer: proof for farmer, proof in found.items() if proof is not None}

    def save(self) -> None:
        """Put better proofs on disk, and now and then all cursors; once a ledger is often enough."""
        if self._block is None or not self._jobs:
            self._hashes_now = 0
            return
        block, entropy = self._block
        progress = self._miner.read_all()
        is_whole = self._saves % CURSORS_EVERY == 0
        self._saves += 1
        changed = []
        for farmer, job in self._jobs.items():
            reached, known = progress[job], self._known.get(farmer)
            if is_whole or known is None or known.best != reached.best:
                grind = Grind(farmer, block, entropy, min(reached.cursor, MAX_U64), reached.best)
                if grind != known:
                    changed.append(grind)
        self._hashes_now = sum(progress[job].hashes for job in self._jobs.values())
        if changed:
            self._grinds.save(changed)
            self._known |= {grind.farmer: grind for grind in changed}
            self._show()

    def stop(self) -> None:
        """Stand still, with everything saved."""
        self._miner.stop()
        self._saves = 0
        self.save()

    def _show(self) -> None:
        self._saved = {farmer: grind.best for farmer, grind in self._known.items() if grind.best is not None}

    def _begin(self, block: int, entropy: bytes) -> None:
        self.save()
        self._drop(set(self._jobs))
        self._block = (block, entropy)
        self._known = {grind.farmer: grind for grind in self._grinds.load(block, entropy)}
        # Hashing ahead for the next block must not lose what is known of this one.
        self._grinds.forget(max(block - 1, 0))
        self._worth.clear()
        self._saves = 0
        self._show()

    def _drop(self, farmers: AbstractSet[int]) -> None:
        if farmers:
            progress = self._miner.read_all()
            for farmer in farmers:
                job = self._jobs.pop(farmer)
                self._hashes_before += progress[job].hashes
                self._miner.remove(job)
            self._hashes_now = sum(progress[job].hashes for job in self._jobs.values())

    def _job(self, target: Target) -> Job:
        assert self._block is not None
        block, entropy = self._block
        known = self._known.get(target.farmer)
        cursor, best = 0, None
        if known is not None:
            cursor = min(known.cursor + RESTART_SKIP, MAX_U64)
            best = None if known.best is None else known.best.nonce
        return Job(block, entropy, target.key, cursor, best, target.cap, target.weight)
