"""Check-ups: what facts mean, a row each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kalepool.adapters.machine import look
from kalepool.checkup import examine
from kalepool.core.facts import CONTRACT_CODE, LAST_BACKUP
from kalepool.core.farmers import FarmerState
from kalepool.core.health import Check, Engine, Grade, Machine, NodeReport
from kalepool.core.intents import State
from kalepool.core.records import PailState, View
from kalepool.errors import UsageError
from kalepool.services.doctor import NetworkDoctor, StoreDoctor
from kalepool.services.fitness import engine_checks, machine_checks
from kalepool.services.nodes import node_checks
from support.farmstead import Farmstead
from support.field_day import FIRST, MIDNIGHT, block, pail, pay
from support.store import attempt, plant
from support.virtual import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.bootstrap import Pool

MIB = 1024 * 1024
GOOD = Machine(
    python=(3, 11, 7),
    system="Linux 6.1 x86_64",
    cores=2,
    cpus=4,
    quota=None,
    niceness=0,
    disk_free=50_000 * MIB,
    disk_type="ext4",
    locked_memory=8 * MIB,
    core_dumps=False,
    memory_free=8_000 * MIB,
    time=1_000.0,
)
NODE = NodeReport("one", "", "", 0.02, 23, 100_000, 1_000, 80_000, 1_004.0)
ENGINE = Engine({"portable": ""}, 40.0, 2)
DAY = 86_400


def grades(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.grade.value for check in checks if check.grade is not Grade.OK}


def found(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"python": (3, 10, 9)}, {"python": "fail"}),
        ({"system": "Darwin 23 arm64"}, {"python": "warn"}),
        ({"quota": 0.5}, {"cores": "warn"}),
        ({"quota": 1.0}, {}),
        ({"memory_free": 255 * MIB}, {"memory": "warn"}),
        ({"memory_free": None}, {}),
        ({"locked_memory": 0}, {"locked memory": "warn"}),
        ({"locked_memory": None}, {}),
        ({"core_dumps": True}, {"core dumps": "warn"}),
        ({"disk_free": 1_023 * MIB}, {"disk": "warn"}),
        ({"disk_free": 99 * MIB}, {"disk": "fail"}),
        ({"disk_type": "nfs4"}, {"disk": "fail"}),
    ],
)
def test_each_fact_of_the_machine_is_graded(changes: dict[str, Any], expected: dict[str, str]) -> None:
    checks = machine_checks(replace(GOOD, **changes), real_money=True)
    assert grades(checks) == expected
    assert all(check.do for check in checks if check.grade is not Grade.OK)


def test_core_dumps_do_not_matter_where_no_money_is() -> None:
    assert grades(machine_checks(replace(GOOD, core_dumps=True), real_money=False)) == {}


@pytest.mark.parametrize(
    ("engine", "farmers", "max_zeros", "expected"),
    [
        (ENGINE, 10, None, {}),
        (ENGINE, 100_000, None, {"hash rate": "warn"}),
        (ENGINE, 10, 9, {}),  # 7.2 zeros each against 5 to 9
        (ENGINE, 10, 12, {"hash rate": "warn"}),
        (Engine({"portable": "", "avx2": "wrong answers"}, 40.0, 2), 1, None, {"hash engine": "fail"}),
        (Engine({}, 0.0, 0), 1, None, {"hash engine": "fail"}),
    ],
)
def test_the_engine_must_be_right_and_fast_enough(
    engine: Engine, farmers: int, max_zeros: int | None, expected: dict[str, str]
) -> None:
    last = block(FIRST)
    if max_zeros is not None:
        last = replace(last, block=replace(last.block, max_zeros=max_zeros))
    assert grades(engine_checks(engine, farmers, last if max_zeros else None)) == expected


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([NODE], {}),
        ([replace(NODE, trouble="no answer")], {"node one": "fail"}),
        ([replace(NODE, trouble="no answer"), replace(NODE, name="two")], {"node one": "warn"}),
        ([replace(NODE, latency_s=2.1)], {"node one": "warn"}),
        ([replace(NODE, oldest_ledger=99_500)], {"node one": "warn"}),
        ([NODE, replace(NODE, name="two", ledger=99_997)], {}),
        ([NODE, replace(NODE, name="two", ledger=99_996)], {"nodes": "warn"}),
        ([NODE, replace(NODE, name="two", protocol=24)], {"nodes": "warn"}),
        ([replace(NODE, asked_at=1_031.0)], {"clock": "warn"}),
        ([replace(NODE, asked_at=969.0)], {"clock": "warn"}),
    ],
)
def test_each_node_is_graded_and_what_they_agree_on(
    nodes: list[NodeReport], expected: dict[str, str]
) -> None:
    assert grades(node_checks(nodes, local=False)) == expected


def test_a_local_network_keeps_its_own_time_and_history() -> None:
    node = replace(NODE, asked_at=9e9, oldest_ledger=99_999)
    assert grades(node_checks([node], local=True)) == {}
    silent = node_checks([replace(node, trouble="no answer")], local=True)
    assert found(silent, "node one").do == "start it with: kalepool devnet"


def test_the_machine_is_looked_at_where_the_store_is(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "proc/mounts").write_text(
        f"disk / ext4 rw 0 0\nshare {tmp_path} nfs4 rw 0 0\nodd {tmp_path}/with\\040space tmpfs rw 0 0\n"
    )
    (root / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    facts = look(tmp_path / "not" / "yet", 7.0, root)
    assert (facts.disk_type, facts.memory_free, facts.time) == ("nfs4", 2 * MIB, 7.0)
    (tmp_path / "with space").mkdir()
    assert look(tmp_path / "with space", 7.0, root).disk_type == "tmpfs"
    assert look(root.parent.parent, 7.0, root).disk_type == "ext4"
    assert facts.disk_free > 0
    assert facts.cores >= 1


# The store


@pytest.fixture
def farm(tmp_path: Path) -> Farmstead:
    return Farmstead(tmp_path)


@pytest.fixture
def pool(farm: Farmstead) -> Iterator[Pool]:
    with farm.pool() as pool:
        farm.add_farmers(pool, 2)
        farm.add_channels(pool)
        pool.views.save(View(1_000, MIDNIGHT, FIRST, False, 10**9, 0, 5_000.0))
        yield pool


def store_checks(pool: Pool, now: float = 10 * DAY) -> list[Check]:
    return StoreDoctor(pool.reports, pool.views, pool.facts, now).checks()


@pytest.mark.parametrize(("days", "grade"), [(None, "warn"), (0.5, "ok"), (1.5, "warn"), (-1, "ok")])
def test_a_backup_should_be_of_today(pool: Pool, days: float | None, grade: str) -> None:
    if days is not None:
        pool.facts.put(LAST_BACKUP, str((10 - days) * DAY))
    assert found(store_checks(pool), "backup").grade == grade


def test_pails_near_their_end_are_a_failure(pool: Pool) -> None:
    assert found(store_checks(pool), "pails").grade is Grade.OK
    pool.pails.record([pail(1, FIRST, PailState.HARVESTABLE, 1_010)])
    check = found(store_checks(pool), "pails")
    assert (check.grade, check.says) == (Grade.FAIL, "1 pail to harvest soon, the first ends in 10 ledgers")


def test_what_is_under_way_without_a_miner_is_a_warning_and_the_unresolved_a_failure(pool: Pool) -> None:
    (intent,) = pool.journal.plan_all([plant(1)])
    assert intent is not None
    assert found(store_checks(pool), "transactions").grade is Grade.WARN
    with pool.lock.hold():
        assert found(store_checks(pool), "transactions").grade is Grade.OK
    pool.journal.sign(intent.number, attempt())
    pool.journal.mark([intent.number], State.UNRESOLVED)
    assert found(store_checks(pool), "transactions").grade is Grade.FAIL


# The network


def network(pool: Pool) -> NetworkDoctor:
    return NetworkDoctor(pool.chain, pool.facts)


def test_a_contract_that_runs_other_code_than_agreed_is_a_failure(pool: Pool) -> None:
    check = run(network(pool).contract())
    assert (check.grade, "to be agreed" in check.says) == (Grade.OK, True)
    code = run(pool.chain.snapshot([])).wasm_hash.hex()
    pool.facts.put(CONTRACT_CODE, code)
    assert "as agreed" in run(network(pool).contract()).says
    pool.facts.put(CONTRACT_CODE, "ab" * 32)
    check = run(network(pool).contract())
    assert check.grade is Grade.FAIL
    assert check.do.endswith(f"kalepool doctor --agree-contract {code}")


def test_only_code_that_runs_can_be_agreed_to(pool: Pool) -> None:
    code = run(pool.chain.snapshot([])).wasm_hash.hex()
    assert run(network(pool).agree(code.upper())) == code
    for wrong in ("", "ab", "zz" * 32, "ab" * 32):
        with pytest.raises(UsageError):
            run(network(pool).agree(wrong))


@pytest.mark.parametrize(
    ("xlm", "day", "grade"),
    [(10_000, 0, "ok"), (10_000, 3_400 * 10**7, "warn"), (10_000, 3_000 * 10**7, "ok"), (1, 0, "fail")],
)
def test_the_operator_needs_an_account_and_xlm_for_days(
    tmp_path: Path, xlm: int, day: int, grade: str
) -> None:
    farm = Farmstead(tmp_path, operator_xlm=xlm)
    with farm.pool() as pool:
        if day:
            pay(pool, "spent", [], day, farm.bench.ledger.latest.close_time - DAY)
        assert run(network(pool).operator(farm.operator, pool.reports)).grade == grade


def test_an_operator_without_an_account_is_told_where_to_send(pool: Pool) -> None:
    stranger = pool.vault.wallet(99)
    check = run(network(pool).operator(stranger, pool.reports))
    assert (check.grade, check.do) == (Grade.FAIL, f"send XLM to {stranger}")


def test_channels_and_farmers_must_be_on_the_network(farm: Farmstead, pool: Pool) -> None:
    assert run(network(pool).channels(pool.reports.channels())).says == "4 exist"
    assert run(network(pool).channels([])).grade is Grade.WARN
    missing = [*pool.reports.channels(), pool.vault.channel(9)]
    assert run(network(pool).channels(missing)).says == "1 of 5 do not exist"
    assert run(network(pool).farmers(pool.farmers)).says == "2 have their accounts and trustlines"


def test_farmers_without_account_or_trustline_are_named(farm: Farmstead, pool: Pool) -> None:
    three = pool.vault.wallet(2)
    farmer = replace(pool.farmers.all()[0], name="bare", address=three, wallet_index=2)
    pool.farmers.add([farmer], who="test", seal=pool.seal_terms)
    check = run(network(pool).farmers(pool.farmers))
    assert (check.grade, check.says) == (Grade.FAIL, "1 have no account or no KALE trustline: bare")
    farm.bench.ledger.create_account(three, 10**8)
    assert run(network(pool).farmers(pool.farmers)).grade is Grade.FAIL


def test_farmers_that_were_never_funded_are_a_warning(tmp_path: Path) -> None:
    farm = Farmstead(tmp_path)
    with farm.pool() as pool:
        assert run(network(pool).farmers(pool.farmers)).grade is Grade.WARN
        farm.add_farmers(pool, 1, state=FarmerState.CREATED)
        check = run(network(pool).farmers(pool.farmers))
        assert (check.grade, check.do) == (Grade.WARN, "kalepool wallet fund --all")


def test_a_network_that_lies_fails_its_rows_and_nothing_else(farm: Farmstead, pool: Pool) -> None:
    farm.transport.change = lambda *_: {}
    for check in (
        run(network(pool).contract()),
        run(network(pool).farmers(pool.farmers)),
        run(network(pool).operator(farm.operator, None)),
    ):
        assert check.grade is Grade.FAIL
        assert check.do


def test_a_sound_pool_passes_a_whole_check_up(farm: Farmstead, pool: Pool) -> None:
    pool.facts.put(LAST_BACKUP, str(pool.machine_time()))
    checks = run(examine(pool, engine=lambda _: ENGINE))
    wanted = {"configuration": "warn"}
    assert {name: grade for name, grade in grades(checks).items() if name not in MACHINE} == wanted
    assert {check.name for check in checks} >= {
        "store", "vault", "hash engine", "transactions", "pails", "backup", "contract", "operator",
        "channels", "farmers", "nodes", "clock",
    }  # fmt: skip


MACHINE = {"python", "cores", "memory", "locked memory", "core dumps", "disk", "hash rate"}
