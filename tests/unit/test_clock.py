"""Network time is carried on from close times, whatever the machine's clock says or does."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.clock import NetworkClock
from kalepool.bootstrap import Pool
from kalepool.config import load
from support.vault import secret

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.ports import Clock

GENESIS = 1_700_000_000


class Machine:
    """A clock that is moved by hand, and a sleeper that moves it."""

    def __init__(self, at: float = 5_000.0) -> None:
        self.at = at
        self.naps: list[float] = []

    def time(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.naps.append(seconds)
        self.at += seconds


class World:
    """A network whose ledgers are seen by polling.

    Args:
        speed: network seconds in one of the machine's.
        ledger_seconds: network seconds between ledgers.
        poll: seconds between looks, and as much jitter again.
        is_real: whether it is known to keep real time.
    """

    def __init__(
        self, speed: float = 1.0, ledger_seconds: float = 5.59, poll: float = 1.0, *, is_real: bool = False
    ) -> None:
        self.machine = Machine()
        self.clock = NetworkClock(
            monotonic=self.machine.time, sleep=self.machine.sleep, keeps_real_time=is_real
        )
        self.port: Clock = self.clock  # the type checker holds it to its port
        self.speed, self.ledger_seconds, self.poll = speed, ledger_seconds, poll
        self.began = self.machine.at
        self.stood_still = 0.0
        self.dice = random.Random(3)

    @property
    def time(self) -> float:
        """The true network time."""
        return GENESIS + (self.machine.at - self.began - self.stood_still) * self.speed

    def look(self, *, behind: int = 0) -> None:
        """Ask a node that may be some ledgers behind."""
        ledger = int((self.time - GENESIS) / self.ledger_seconds) - behind
        self.clock.observe(100 + ledger, int(GENESIS + ledger * self.ledger_seconds))

    def go_on(self, seconds: float) -> None:
        until = self.machine.at + seconds
        while self.machine.at < until:
            self.machine.at += self.poll * self.dice.uniform(1.0, 2.0)
            self.look()

    @property
    def error(self) -> float:
        """By how many network seconds the clock is wrong."""
        return self.clock.now() - self.time


@pytest.mark.parametrize(
    ("speed", "ledger_seconds", "poll"),
    [(1.0, 5.59, 0.5), (1.0, 4.3, 2.0), (20.0, 5.0, 0.05), (20.0, 5.8, 0.1), (100.0, 5.0, 0.02)],
)
def test_time_is_right_to_less_than_a_ledger(speed: float, ledger_seconds: float, poll: float) -> None:
    world = World(speed, ledger_seconds, poll)
    world.go_on(300 / speed)
    for _ in range(50):
        world.go_on(17 / speed)
        assert abs(world.error) < ledger_seconds / 2 + 1
        assert world.clock.ledger_seconds == pytest.approx(ledger_seconds, rel=0.03)
    assert world.clock.rate == pytest.approx(speed, rel=0.03)


def test_the_rate_of_a_real_network_is_exactly_one() -> None:
    world = World(poll=3.0)
    world.go_on(60)
    assert world.clock.rate == 1.0


@pytest.mark.parametrize("phase", [0.0, 0.2, 1.5, 3.0, 4.9, 5.4])
@pytest.mark.parametrize("pauses", [(0.5, 1.0, 2.0, 4.0), (5.0, 2.5, 7.0), (0.3, 8.0)])
def test_who_sees_the_first_ledgers_late_or_early_takes_no_real_network_for_a_slow_or_a_fast_one(
    phase: float, pauses: tuple[float, ...]
) -> None:
    world = World()
    world.machine.at += 10 * 5.59 + phase
    world.look()
    for pause in (*pauses, 5.0, 5.0, 5.0, 60.0, 5.0):
        world.machine.at += pause
        world.look()
        assert world.clock.rate == 1.0
        assert -world.ledger_seconds - 1 < world.error < 0.01


@pytest.mark.parametrize("seed", range(20))
def test_a_real_network_never_hurries_though_nodes_lag_by_turns_from_the_first_look_on(seed: int) -> None:
    world, dice = World(is_real=True), random.Random(seed)
    world.machine.at += dice.uniform(100.0, 200.0)
    for _ in range(40):
        world.look(behind=dice.choice((0, 3)))
        world.machine.at += dice.choice((0.5, 1.0, 2.0, 5.0))
        assert world.clock.rate == 1.0
        assert world.error < 0.01


@pytest.mark.parametrize(("network", "rate"), [("mainnet", 1.0), ("testnet", 1.0), ("local", 20.0)])
def test_a_pool_measures_the_rate_of_a_local_network_alone(tmp_path: Path, network: str, rate: float) -> None:
    machine = Machine()
    config = load(None, {}, tmp_path, {"network.name": network})
    pool = Pool(config, "test", lambda: secret("none"), monotonic=machine.time)
    for ledger in range(100, 130):
        pool.clock.observe(ledger, GENESIS + 5 * ledger)
        machine.at += 0.25
    assert pool.clock.rate == pytest.approx(rate)


def test_two_ledgers_seen_at_once_tell_nothing_of_a_rate() -> None:
    world = World()
    for ledger in range(4):
        world.clock.observe(100 + ledger, GENESIS + 5 * ledger)
    assert world.clock.rate == 1.0
    assert world.clock.now() == GENESIS + 15


def test_a_slow_local_network_is_known_after_some_ledgers() -> None:
    world = World(speed=0.5)
    world.go_on(120)
    assert world.clock.rate == pytest.approx(0.5, rel=0.1)
    assert abs(world.error) < world.ledger_seconds


def test_one_ledger_is_enough_to_begin_with() -> None:
    world = World()
    assert not world.clock.is_set
    assert world.clock.is_stale()
    world.look()
    world.machine.at += 2.0
    assert world.clock.is_set
    assert abs(world.error) < world.ledger_seconds
    assert world.clock.ledger_seconds == 5.0


def test_a_late_ledger_is_stale_after_three_ledgers_time_and_not_before() -> None:
    world = World(speed=20.0, ledger_seconds=5.0, poll=0.05)
    world.go_on(30)
    world.machine.at += 14.0 / 20
    assert not world.clock.is_stale()
    world.machine.at += 2.0 / 20
    assert world.clock.is_stale()
    world.look()
    assert not world.clock.is_stale()


def test_seeing_the_same_ledger_again_does_not_freshen_it() -> None:
    world = World()
    world.look()
    for _ in range(20):
        world.machine.at += 1.0
        world.clock.observe(100, GENESIS)
    assert world.clock.is_stale()


def test_a_machine_that_slept_wakes_to_the_right_time() -> None:
    world = World()
    world.go_on(120)
    world.machine.at += 8 * 3_600  # the network went on without us
    assert abs(world.error) < world.ledger_seconds
    assert world.clock.is_stale()
    world.go_on(30)
    assert abs(world.error) < world.ledger_seconds
    assert world.clock.rate == 1.0


def test_a_network_that_slept_with_the_machine_is_soon_followed() -> None:
    world = World(speed=20.0, ledger_seconds=5.0, poll=0.05)
    world.go_on(60)
    world.machine.at += 3_600
    world.stood_still = 3_600
    world.go_on(12 * 5.0 / 20)
    assert abs(world.error) < world.ledger_seconds
    assert world.clock.rate == pytest.approx(20.0, rel=0.05)


def test_a_node_that_lags_changes_nothing() -> None:
    world = World()
    world.go_on(120)
    before = world.clock.now()
    ledger = int((world.time - GENESIS) / 5.59)
    for behind in (9, 8, 7, 6):
        world.clock.observe(100 + ledger - behind, int(GENESIS + (ledger - behind) * 5.59))
    assert world.clock.now() == before


def test_a_single_lie_is_outlived() -> None:
    world = World()
    world.go_on(120)
    world.clock.observe(4_000_000_000, GENESIS * 2)
    world.go_on(60)
    assert abs(world.error) < world.ledger_seconds
    assert not world.clock.is_stale()


def test_a_network_started_anew_is_followed() -> None:
    world = World()
    world.go_on(600)
    machine = world.machine
    for ledger in range(2, 7):
        machine.at += 5.0
        world.clock.observe(ledger, GENESIS + 10_000 + 5 * ledger)
    assert world.clock.now() == pytest.approx(GENESIS + 10_030, abs=5)


def test_sleeping_ends_at_the_network_time_asked_for() -> None:
    world = World(speed=20.0, ledger_seconds=5.0, poll=0.05)
    world.go_on(30)
    moment = world.clock.now() + 400
    asyncio.run(world.clock.sleep_until(moment))
    assert moment <= world.clock.now() < moment + 0.01
    # In naps, so that a machine that slept meanwhile notices.
    assert max(world.machine.naps) <= 1.0
    assert sum(world.machine.naps) == pytest.approx(20.0, rel=0.05)


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    world = World()
    world.look()
    asyncio.run(world.clock.sleep_until(world.clock.now() - 1))
    assert world.machine.naps == []
