"""What this machine gives the process: physical cores, a share of them, and the CPU's name. Linux; else a fair guess."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    _QuotaReader = Callable[[Path], float | None]

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor.

    Attributes:
        name: as the vendor writes it.
        vendor: ``GenuineIntel``, ``AuthenticAMD``, or empty when unknown.
        family: number of the design, 0 when unknown; ``model`` likewise.
    """

    name: str
    vendor: str
    family: int
    model: int


def cpu(root: Path = ROOT) -> Cpu:
    """Describe the processor, by the first one listed in ``proc/cpuinfo``."""
    fields: dict[str, str] = {}
    for line in read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return Cpu(
        name=fields.get("model name") or os.uname().machine,
        vendor=fields.get("vendor_id", ""),
        family=_number(fields.get("cpu family", "")),
        model=_number(fields.get("model", "")),
    )


def usable_cores(root: Path = ROOT, allowed: frozenset[int] | None = None) -> int:
    """Count the physical cores that this process may keep busy.

    Two hyperthreads are one core. A cgroup's quota is rounded down: a thread more than the quota pays for
    would be stopped for tens of milliseconds in every period.

    Args:
        root: where ``proc`` and ``sys`` are.
        allowed: CPU numbers, by default those of the process's affinity.
    """
    if allowed is None:
        allowed = affinity()
    cores = {_core_of(root, number) for number in allowed}
    limit = quota(root)
    return max(1, len(cores) if limit is None else min(len(cores), int(limit)))


def affinity() -> frozenset[int]:
    """Give the CPU numbers that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _core_of(root: Path, number: int) -> str:
    siblings = read(root / f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").strip()
    return siblings or str(number)


def quota(root: Path) -> float | None:
    """Give the least number of CPUs that any cgroup above the process allows, or None without a limit."""
    found: list[float] = []
    for line in read(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            found += _quotas_above(root / "sys/fs/cgroup", path, _quota_v2)
        elif "cpu" in controllers.split(","):
            found += _quotas_above(root / "sys/fs/cgroup" / controllers, path, _quota_v1)
            found += _quotas_above(root / "sys/fs/cgroup/cpu", path, _quota_v1)
    return min(found, default=None)


def _quotas_above(mount: Path, path: str, read: _QuotaReader) -> list[float]:
    # A limit on any group above binds too. Inside a container the mount itself may be the process's group.
    group = mount / path.lstrip("/")
    groups = [mount, *(above for above in (group, *group.parents) if mount in above.parents)]
    return [quota for quota in map(read, groups) if quota is not None]


def _quota_v2(group: Path) -> float | None:
    quota, _, period = read(group / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _quota_v1(group: Path) -> float | None:
    return _ratio(read(group / "cpu.cfs_quota_us"), read(group / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    # "max" and -1 both mean: no limit.
    above, below = _number(quota), _number(period)
    return above / below if above > 0 and below > 0 else None


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() else 0


def read(path: Path) -> str:
    """Give a file's text, empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
