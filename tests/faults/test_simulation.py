"""The simulation of the whole pool: a fixed set of seeds, the same run twice, and mistakes that it must find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.mutants.catalogue import MUTANTS
from faults.runs import run_seed
from faults.scenario import draw

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What a killed process leaves behind ends in the middle of things, and says so when it is collected."""

MOST_SEEDS = 200
SEEDS = (2, 17, 30, 47, 89)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_whatever_befalls_the_pool(seed: int, tmp_path: Path) -> None:
    run = run_seed(seed, tmp_path)
    assert run.violations == (), f"replay it: python -m tests.faults.simulate --seed {seed} --trace"
    assert run.counts["transactions"]


def test_the_same_seed_is_the_same_run_to_the_byte(tmp_path: Path) -> None:
    digests = []
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
        digests.append(run_seed(10, tmp_path / name).digest)
    assert digests[0] == digests[1]


def test_another_seed_is_another_run() -> None:
    assert len({repr(draw(seed)) for seed in range(100)}) == 100


@pytest.mark.mutants
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_found(name: str, tmp_path: Path) -> None:
    # A change of the program makes other runs: then the next few seeds are tried too.
    for number, seed in enumerate((MUTANTS[name].seed, *range(MOST_SEEDS))):
        folder = tmp_path / str(number)
        folder.mkdir()
        if run_seed(seed, folder, mutant=name).violations:
            return
    pytest.fail(f"no seed finds that {MUTANTS[name].what}")
