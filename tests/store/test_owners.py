"""Who lives: looked up where that can be, and by silence where it cannot."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.owners import SILENT_AFTER_S
from kalepool.adapters.store.processes import Process, is_alive, this_process

if TYPE_CHECKING:
    from support.store import Town


def test_this_process_is_alive() -> None:
    assert is_alive(this_process()) is True


@pytest.mark.parametrize(
    ("change", "alive"),
    [
        ({"started": "1"}, False),  # its pid was given again
        ({"pid": 2**22 + 1}, False),  # beyond the largest pid there is
        ({"pid": 2**22 + 1, "started": ""}, False),
        ({"started": ""}, True),  # a kernel that does not tell: the pid must do
        ({"machine": "another boot"}, None),
    ],
)
def test_a_process_is_its_pid_and_its_start_on_its_machine(
    change: dict[str, object], alive: bool | None
) -> None:
    assert is_alive(replace(this_process(), **change)) is alive  # type: ignore[arg-type]


def test_a_process_that_ended_is_dead_before_and_after_it_is_reaped() -> None:
    code = "from kalepool.adapters.store.processes import *; p = this_process(); print(p.pid, p.started)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        pid, started = child.stdout.read().split()  # ends when the child does
        ended = Process("", this_process().machine, int(pid), started)
        while is_alive(ended):  # its output is closed a moment before it is gone
            pass
        assert is_alive(ended) is False
    assert is_alive(ended) is False


def test_the_dead_are_those_looked_up_and_not_found(town: Town) -> None:
    me, living, dead = (town.owner(pid) for pid in (1, 2, 3))
    town.dead.update({1, 3})
    assert me.dead([me.number, living.number, dead.number]) == [dead.number]


def test_one_that_cannot_be_looked_up_is_dead_after_a_long_silence(town: Town) -> None:
    me, far = town.owner(1), town.owner(2)
    town.unknown.add(2)
    town.clock.time += 5
    far.beat()
    town.clock.time += SILENT_AFTER_S
    assert me.dead([far.number]) == []
    town.clock.time += 1
    assert me.dead([far.number]) == [far.number]


def test_a_clock_set_back_does_not_keep_a_silent_one_alive(town: Town) -> None:
    # Found by seed 89 of the simulation: its last sign of life lay ahead for half a day, and nobody harvested.
    me, far = town.owner(1), town.owner(2)
    town.unknown.add(2)
    town.clock.time -= SILENT_AFTER_S
    assert me.dead([far.number]) == []
    town.clock.time -= 1
    assert me.dead([far.number]) == [far.number]
    far.beat()
    assert me.dead([far.number]) == []


def test_one_that_left_in_order_is_dead_at_once(town: Town) -> None:
    me, other = town.owner(1), town.owner(2)
    other.retire()
    assert me.dead([other.number]) == [other.number]
