"""Whether a machine can mine: a row for each thing that matters. Pure: facts in, rows out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.health import Check, Grade
from kalepool.core.proof import expected_zeros

if TYPE_CHECKING:
    from kalepool.core.health import Engine, Machine
    from kalepool.core.records import BlockRecord

_PYTHON: Final = (3, 11)
_MIB: Final = 1024 * 1024
_DISK_WARN: Final = 1024 * _MIB
_DISK_FAIL: Final = 100 * _MIB
_VAULT_MEMORY: Final = 256 * _MIB
_SECRETS_BYTES: Final = 64 * 1024
_GRINDING_S: Final = 240.0
"""Seconds of a block that are left for hashing: of 300, without opening and the last ledgers."""

_FEW_ZEROS: Final = 5.0
_SHARED_DISKS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "sshfs", "fuse.sshfs", "afs"})


def machine_checks(machine: Machine, *, real_money: bool) -> list[Check]:
    """Check what the machine gives this process.

    Args:
        machine: its facts.
        real_money: whether the network is no local one.
    """
    return [
        _python(machine),
        _cores(machine),
        _memory(machine),
        _locked_memory(machine),
        _core_dumps(machine, real_money=real_money),
        _disk(machine),
    ]


def engine_checks(engine: Engine, farmers: int, block: BlockRecord | None) -> list[Check]:
    """Check that the engine hashes right, and whether it is fast enough.

    Args:
        engine: what was measured.
        farmers: who share it.
        block: the last one known, for how many zeros others find; or None.
    """
    broken = {name: what for name, what in engine.kernels.items() if what}
    if not engine.kernels or broken:
        what = "; ".join(broken.values()) or "no kernel runs on this CPU"
        return [
            Check(
                "hash engine", Grade.FAIL, what, "build it again (make build); else this CPU computes wrongly"
            )
        ]
    names = ", ".join(engine.kernels)
    return [Check("hash engine", Grade.OK, f"{names} give the right hashes"), _rate(engine, farmers, block)]


def _python(machine: Machine) -> Check:
    version = ".".join(map(str, machine.python))
    says = f"Python {version} on {machine.system}"
    if machine.python < _PYTHON:
        return Check("python", Grade.FAIL, says, "use Python 3.11 or newer")
    if not machine.system.startswith("Linux"):
        return Check("python", Grade.WARN, says, "only Linux is tested")
    return Check("python", Grade.OK, says)


def _cores(machine: Machine) -> Check:
    quota = "" if machine.quota is None else f", a quota of {machine.quota:g} CPUs"
    says = f"{machine.cores} cores of {machine.cpus} CPUs{quota}, niceness {machine.niceness}"
    if machine.quota is not None and machine.quota < 1:
        return Check(
            "cores", Grade.WARN, says, "a quota under one CPU stops hashing in every period: raise it"
        )
    return Check("cores", Grade.OK, says)


def _rate(engine: Engine, farmers: int, block: BlockRecord | None) -> Check:
    zeros = expected_zeros(engine.mhs * 1e6 * _GRINDING_S / max(farmers, 1))
    whom = f"{farmers} farmers" if farmers != 1 else "one farmer"
    says = f"{engine.mhs:.1f} Mh/s with {engine.threads} threads: about {zeros:.1f} zeros each for {whom}"
    if block is not None and block.block.max_zeros:
        says += f"; others found {block.block.min_zeros} to {block.block.max_zeros}"
        least: float = (block.block.min_zeros + block.block.max_zeros) / 2
    else:
        least = _FEW_ZEROS
    if zeros < least:
        return Check("hash rate", Grade.WARN, says, "more cores, or fewer farmers on this machine")
    return Check("hash rate", Grade.OK, says)


def _memory(machine: Machine) -> Check:
    if machine.memory_free is None:
        return Check("memory", Grade.OK, "not told by this system")
    says = f"{machine.memory_free // _MIB:,} MiB to be had"
    if machine.memory_free < _VAULT_MEMORY:
        return Check("memory", Grade.WARN, says, "unlocking a vault takes 256 MiB: free some")
    return Check("memory", Grade.OK, says)


def _locked_memory(machine: Machine) -> Check:
    limit = machine.locked_memory
    if limit is None:
        return Check("locked memory", Grade.OK, "no limit: keys stay out of swap")
    says = f"{limit // 1024:,} KiB may be kept out of swap"
    if limit < _SECRETS_BYTES:
        return Check("locked memory", Grade.WARN, says, "raise it: ulimit -l 1024, or encrypt the swap")
    return Check("locked memory", Grade.OK, says)


def _core_dumps(machine: Machine, *, real_money: bool) -> Check:
    if not machine.core_dumps:
        return Check("core dumps", Grade.OK, "off")
    says = "a crash may write memory, keys too, to disk"
    if real_money:
        return Check("core dumps", Grade.WARN, says, "turn them off: ulimit -c 0")
    return Check("core dumps", Grade.OK, f"{says}; no matter on a local network")


def _disk(machine: Machine) -> Check:
    kind = f" on {machine.disk_type}" if machine.disk_type else ""
    says = f"{machine.disk_free // _MIB:,} MiB free{kind}"
    if machine.disk_type in _SHARED_DISKS:
        return Check("disk", Grade.FAIL, says, "the store needs a write-ahead log: keep it on a local disk")
    if machine.disk_free < _DISK_FAIL:
        return Check("disk", Grade.FAIL, says, "free some space: a full disk stops mining")
    if machine.disk_free < _DISK_WARN:
        return Check("disk", Grade.WARN, says, "a day of 1,000 farmers takes some 250 MB: free some space")
    return Check("disk", Grade.OK, says)
