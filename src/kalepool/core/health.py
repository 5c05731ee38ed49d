"""What a check-up finds: facts of the machine and of nodes, and a row for each check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Grade(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One row of a check-up.

    Attributes:
        name: what was looked at.
        grade: how it is.
        says: what was found, one line.
        do: what to do about it; empty where all is well.
    """

    name: str
    grade: Grade
    says: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine gives this process.

    Attributes:
        python: version, (major, minor, micro).
        system: name and release of the kernel, and the architecture.
        cores: physical cores that may be kept busy.
        cpus: CPU numbers that the process may run on, hyperthreads counted.
        quota: CPUs that a cgroup allows, or None without a limit.
        niceness: of this process, -20 to 19.
        disk_free: bytes free where the store is.
        disk_type: of that file system, as the kernel calls it; empty when unknown.
        locked_memory: bytes that may be kept out of swap; None without a limit.
        core_dumps: whether a crash may write the process's memory to disk.
        memory_free: bytes of memory to be had; None when unknown.
        time: of the machine's clock, Unix seconds.
    """

    python: tuple[int, int, int]
    system: str
    cores: int
    cpus: int
    quota: float | None
    niceness: int
    disk_free: int
    disk_type: str
    locked_memory: int | None
    core_dumps: bool
    memory_free: int | None
    time: float


@dataclass(frozen=True, slots=True)
class Engine:
    """How the hash engine does here.

    Attributes:
        kernels: what is wrong with each kernel that this CPU runs, by name; empty text where nothing is.
        mhs: million hashes a second with the threads that `mine` takes.
        threads: how many.
    """

    kernels: Mapping[str, str]
    mhs: float
    threads: int


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What one node told of itself.

    Attributes:
        name: its host; an URL may hold a key.
        trouble: why it is of no use, or empty.
        hint: what to do about that.
        latency_s: seconds that a request took.
        protocol: version of the network's protocol.
        ledger: last closed ledger. ``close_time`` of it, Unix seconds.
        oldest_ledger: the first one whose transactions it has.
        asked_at: the machine's clock when it was asked, Unix seconds.
    """

    name: str
    trouble: str = ""
    hint: str = ""
    latency_s: float = 0.0
    protocol: int = 0
    ledger: int = 0
    close_time: int = 0
    oldest_ledger: int = 0
    asked_at: float = 0.0
