"""A whole check-up: gathers facts from every adapter and lets the services judge them. Stands beside bootstrap."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from kalepool.core.farmers import FarmerState
from kalepool.core.health import Check, Engine, Grade
from kalepool.errors import KalepoolError
from kalepool.networks import LOCAL
from kalepool.services.doctor import NetworkDoctor, StoreDoctor, failed, guarded
from kalepool.services.fitness import engine_checks, machine_checks
from kalepool.services.nodes import node_checks

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.bootstrap import Pool

_ENGINE_S = 0.5
_TYPICAL_FARMERS = 10
"""Who share the hash rate of a pool that is still to be made."""


def look_at_engine(pool: Pool) -> Engine:
    """Test every kernel that runs here, and time the fastest: one to two seconds."""
    from kalepool import benchmark  # noqa: PLC0415 - loads the engine
    from kalepool.adapters import miner  # noqa: PLC0415

    kernels = {}
    for kernel in miner.kernels():
        if kernel.runs:
            try:
                miner.self_test(kernel.name)
                kernels[kernel.name] = ""
            except KalepoolError as error:
                kernels[kernel.name] = error.message
    sound = [name for name, what in kernels.items() if not what]
    if not sound:
        return Engine(kernels, 0.0, 0)
    report = benchmark.measure(
        _ENGINE_S, kernel=sound[-1], threads=pool.config.whole("mining.threads") or None
    )
    return Engine(kernels, report.best_mhs, max(rate.threads for rate in report.rates))


async def examine(
    pool: Pool,
    *,
    offline: bool = False,
    engine: Callable[[Pool], Engine] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Check]:
    """Check everything that mining needs; works before ``init`` too. Asks for no passphrase and changes nothing.

    Args:
        pool: opened here as far as it goes.
        offline: leave the network out.
        engine: looks at the hash engine; ``look_at_engine`` where it is None.
        progress: told what is looked at now.
    """
    from kalepool.adapters.machine import look  # noqa: PLC0415

    local = pool.known.name == LOCAL
    progress("the machine")
    checks = [_configuration(pool)]
    checks += machine_checks(
        look(pool.config.path("store.path").absolute().parent, pool.machine_time()), real_money=not local
    )
    progress("the store and the vault")
    ours = [_store(pool), guarded("vault", lambda: _vault(pool))]
    usable = ours[0].grade is Grade.OK
    progress("the hash engine")
    block = pool.blocks.latest() if usable else None
    active = pool.reports.overview().farmers[FarmerState.ACTIVE] if usable else _TYPICAL_FARMERS
    try:
        checks += engine_checks((engine or look_at_engine)(pool), active or _TYPICAL_FARMERS, block)
    except KalepoolError as error:
        checks.append(failed("hash engine", error))
    checks += ours
    if usable:
        checks += StoreDoctor(pool.reports, pool.views, pool.facts, pool.machine_time()).checks()
    if not offline:
        progress("the network")
        checks += await _network(pool, usable=usable, local=local)
    return checks


async def _network(pool: Pool, *, usable: bool, local: bool) -> list[Check]:
    try:
        nodes = await pool.probe_nodes()
    except KalepoolError as error:
        return [failed("nodes", error)]
    checks = node_checks(nodes, local=local)
    if all(node.trouble for node in nodes):
        return checks
    try:
        doctor = NetworkDoctor(pool.chain, pool.facts if usable else None)
        checks.append(await doctor.contract())
        if pool.config.path("vault.path").exists():
            try:
                operator = pool.addresses.operator
            except KalepoolError:
                return checks  # the vault's own row says why
            checks.append(await doctor.operator(operator, pool.reports if usable else None))
        if usable:
            checks.append(await doctor.channels(pool.reports.channels()))
            checks.append(await doctor.farmers(pool.farmers))
    finally:
        await pool.rpc.close()
    return checks


def _configuration(pool: Pool) -> Check:
    file = pool.config.file
    if file is None:
        return Check(
            "configuration",
            Grade.WARN,
            f"no kalepool.toml: defaults hold, network {pool.known.name}",
            "write one: kalepool init",
        )
    says = f"{file}, network {pool.known.name}"
    if file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Check(
            "configuration", Grade.FAIL, f"{says}: others may write to it", f"close it: chmod go-w {file}"
        )
    return Check("configuration", Grade.OK, says)


def _store(pool: Pool) -> Check:
    path = pool.config.path("store.path")
    if not path.exists():
        return Check("store", Grade.WARN, f"there is none at {path} yet", "make it: kalepool init")
    return guarded("store", lambda: _opened(pool))


def _opened(pool: Pool) -> Check:
    from kalepool.adapters.store.verify import quick_check  # noqa: PLC0415

    path, version = pool.store.path, pool.store.value("PRAGMA user_version")
    wrong = quick_check(pool.store)
    if wrong:
        return Check("store", Grade.FAIL, f"{path} is damaged: {wrong}", "restore the last backup")
    return Check("store", Grade.OK, f"{path}, version {version}, mode 0600, sound")


def _vault(pool: Pool) -> Check:
    from kalepool.adapters.vault import Vault  # noqa: PLC0415

    path = pool.config.path("vault.path")
    if not path.exists():
        return Check("vault", Grade.WARN, f"there is none at {path} yet", "make it: kalepool init")
    cost = min(
        Vault.costs(path, network=pool.known.name).values(), key=lambda cost: cost.passes * cost.memory_bytes
    )
    says = f"{path}, mode 0600, Argon2id over {cost.memory_bytes // 1024:,} KiB, {cost.passes} x"
    return Check("vault", Grade.OK, says)
