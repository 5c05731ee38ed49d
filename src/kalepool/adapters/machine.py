"""Facts of this machine for a check-up, from the kernel's own files. Linux; elsewhere what Python can tell."""

from __future__ import annotations

import os
import platform
import resource
import sys
from typing import TYPE_CHECKING

from kalepool import machine
from kalepool.core.health import Machine

if TYPE_CHECKING:
    from pathlib import Path


def look(folder: Path, now: float, root: Path = machine.ROOT) -> Machine:
    """Look at the machine.

    Args:
        folder: where the store is, or will be.
        now: the machine's clock, Unix seconds.
        root: where ``proc`` and ``sys`` are.
    """
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    locked, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    major, minor, micro, *_ = sys.version_info
    return Machine(
        python=(major, minor, micro),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cores=machine.usable_cores(root),
        cpus=len(machine.affinity()),
        quota=machine.quota(root),
        niceness=os.getpriority(os.PRIO_PROCESS, 0),
        disk_free=disk.f_bavail * disk.f_frsize,
        disk_type=_disk_type(folder.resolve(), root),
        locked_memory=None if locked == resource.RLIM_INFINITY else locked,
        core_dumps=core != 0,
        memory_free=_memory_free(root),
        time=now,
    )


def _disk_type(folder: Path, root: Path) -> str:
    """Give the type of the file system that a folder is on: of the mount with the longest matching path."""
    best, found = -1, ""
    for line in machine.read(root / "proc/mounts").splitlines():
        _, mount, kind, *_ = [*line.split(" "), "", "", ""]
        place = mount.replace("\\040", " ")
        if (folder.is_relative_to(place) if place else False) and len(place) >= best:
            best, found = len(place), kind
    return found


def _memory_free(root: Path) -> int | None:
    for line in machine.read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            kibibytes, *_ = rest.split()
            return int(kibibytes) * 1024
    return None
