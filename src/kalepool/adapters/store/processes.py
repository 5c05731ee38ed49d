"""Which process this is, and whether another one still lives.

A pid alone proves nothing: it is given again. A process is known by its pid and the moment it started,
on one boot of one machine, in one pid namespace; only there can it be looked up.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process, for good.

    Attributes:
        host: its machine's name, for people.
        machine: boot and pid namespace: where its pid means something.
        pid: its number there.
        started: when it started, in the kernel's own words; empty where the kernel does not tell.
    """

    host: str
    machine: str
    pid: int
    started: str


def this_process() -> Process:
    """Tell who we are."""
    return Process(socket.gethostname(), _machine(), os.getpid(), _started(os.getpid()) or "")


def is_alive(process: Process) -> bool | None:
    """Tell whether a process lives; None where it cannot be looked up from here."""
    if process.machine != _machine():
        return None
    if not process.started:
        return _exists(process.pid)
    return _started(process.pid) == process.started


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux: the best there is
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """Give when a process started, in clock ticks since boot; None when it is no more, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything; the fields after it are the state and, 19 on, the start.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
