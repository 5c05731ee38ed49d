"""One seed, one run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faults.checks import check
from faults.loop import SpinningError, run_virtually
from faults.mutants import built_in
from faults.scenario import draw
from faults.world import World

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a seed.

    Attributes:
        seed: which.
        violations: what must never be.
        digest: hash of the whole trace, hex.
        blocks: of the farm.
        counts: what happened how often.
        seconds: that it took.
        errors: exceptions that nobody should see.
    """

    seed: int
    violations: tuple[str, ...]
    digest: str
    blocks: int
    counts: Counter[str]
    seconds: float
    errors: tuple[BaseException, ...] = field(default=(), repr=False)


def run_seed(
    seed: int, folder: Path, tell: Callable[[str], None] | None = None, *, mutant: str | None = None
) -> Run:
    """Run a seed.

    Args:
        seed: which.
        folder: an empty one, for the pool's files.
        tell: is given each line of the trace.
        mutant: a mistake that is built in, by name.
    """
    begun = time.monotonic()

    worlds: list[World] = []

    async def all_of_it() -> None:
        worlds.append(World(draw(seed), folder, tell))
        await worlds[0].run()
        await check(worlds[0])

    stuck = []
    with built_in(mutant):
        try:
            run_virtually(all_of_it())
        except (SpinningError, TimeoutError) as error:
            stuck.append(f"it never ends: {error}")
    world = worlds[0]
    world.violations += stuck
    seconds = time.monotonic() - begun
    return Run(
        seed,
        tuple(world.violations),
        world.digest,
        world.ledger.farm.index,
        world.counts,
        seconds,
        tuple(world.errors),
    )
