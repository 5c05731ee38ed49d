"""What the machine gives: cores, hyperthreads, quotas of both kinds of cgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.machine import Cpu, cpu, usable_cores

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def siblings(pairs: dict[int, str]) -> dict[str, str]:
    return {
        f"sys/devices/system/cpu/cpu{n}/topology/thread_siblings_list": f"{text}\n"
        for n, text in pairs.items()
    }


FOUR_CORES = siblings({0: "0,4", 4: "0,4", 1: "1,5", 5: "1,5", 2: "2,6", 6: "2,6", 3: "3,7", 7: "3,7"})


def test_two_hyperthreads_are_one_core(tmp_path: Path) -> None:
    assert usable_cores(write(tmp_path, FOUR_CORES), frozenset(range(8))) == 4


def test_only_cores_of_the_affinity_count(tmp_path: Path) -> None:
    assert usable_cores(write(tmp_path, FOUR_CORES), frozenset({1, 5, 2})) == 2


def test_without_topology_every_cpu_is_a_core(tmp_path: Path) -> None:
    assert usable_cores(tmp_path, frozenset({0, 1, 2})) == 3


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "0::/farm/mine\n",
                "sys/fs/cgroup/farm/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/farm/mine/cpu.max": "max 100000\n",
            },
            2,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n3:cpu,cpuacct:/farm\n",
                "sys/fs/cgroup/cpu,cpuacct/farm/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/farm/cpu.cfs_period_us": "100000\n",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/farm\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        ({"proc/self/cgroup": "what is this\n"}, 4),
    ],
    ids=[
        "v2-unlimited",
        "v2-two-and-a-half",
        "v2-half",
        "v2-limit-above",
        "v1-three",
        "v1-unlimited",
        "unreadable",
    ],
)
def test_a_quota_is_rounded_down_and_the_least_one_binds(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    assert usable_cores(write(tmp_path, FOUR_CORES | files), frozenset(range(8))) == cores


def test_the_first_cpu_listed_is_described(tmp_path: Path) -> None:
    text = (
        "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 97\nmodel name\t: Ryzen 9\n\n"
        "processor\t: 1\nmodel name\t: other\n"
    )
    root = write(tmp_path, {"proc/cpuinfo": text})
    assert cpu(root) == Cpu(name="Ryzen 9", vendor="AuthenticAMD", family=25, model=97)


def test_an_unknown_system_still_has_a_name_and_a_core(tmp_path: Path) -> None:
    assert cpu(tmp_path).vendor == ""
    assert usable_cores(tmp_path, frozenset()) == 1
    assert usable_cores() >= 1
