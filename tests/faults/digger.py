"""A miner that hashes so many nonces in each ledger, with the real engine and without a thread of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.adapters.miner import search
from kalepool.core.grinding import JobId, Progress
from kalepool.core.proof import make_proof

if TYPE_CHECKING:
    from kalepool.core.farm import Proof
    from kalepool.core.grinding import Job

_KERNEL: Final = "portable"


@dataclass(slots=True)
class _Dig:
    job: Job
    cursor: int
    hashes: int = 0
    best: Proof | None = None


class Digger:
    """Fulfils ``ports.Miner``; ``dig`` is called once a ledger.

    Args:
        nonces: hashed for each job in each ledger.
    """

    def __init__(self, nonces: int) -> None:
        self._nonces = nonces
        self._digs: dict[JobId, _Dig] = {}
        self._last = 0
        self._runs = False

    def add(self, job: Job) -> JobId:
        """Add a job; the best known nonce is hashed anew."""
        self._last += 1
        best = None
        if job.best_nonce is not None:
            best = make_proof(job.index, job.best_nonce, job.entropy, job.farmer)
        self._digs[JobId(self._last)] = _Dig(job, job.cursor, best=best)
        return JobId(self._last)

    def weigh(self, job_id: JobId, *, cap: int, weight: float) -> None:
        """Change what a job's hashes are worth."""
        dig = self._digs[job_id]
        dig.job = replace(dig.job, cap=cap, weight=weight)

    def remove(self, job_id: JobId) -> None:
        """Take a job out."""
        del self._digs[job_id]

    def read_all(self) -> dict[JobId, Progress]:
        """Give every job's progress."""
        return {number: Progress(dig.cursor, dig.hashes, dig.best) for number, dig in self._digs.items()}

    def start(self, deadline_s: float | None = None) -> None:
        """Dig when asked to."""
        assert deadline_s is None
        self._runs = True

    def stop(self) -> None:
        """Stand still."""
        self._runs = False

    def close(self) -> None:
        """Stand still for good."""
        self.stop()

    def dig(self) -> None:
        """Do one ledger's hashing."""
        if not self._runs:
            return
        for dig in self._digs.values():
            if dig.best is not None and dig.best.zeros >= dig.job.cap:
                continue
            found = search(replace(dig.job, cursor=dig.cursor), self._nonces, kernel=_KERNEL)
            if dig.best is None or found.zeros > dig.best.zeros:
                dig.best = found
            dig.cursor += self._nonces
            dig.hashes += self._nonces
