"""Mistakes built into the pool, one place each: the simulation must find every one of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from faults.mutants.catalogue import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def built_in(name: str | None) -> Iterator[None]:
    """Build a mistake in while the body runs; none for None."""
    if name is None:
        yield
        return
    mutant = MUTANTS[name]
    before = {(owner, attribute): getattr(owner, attribute) for owner, attribute, _ in mutant.changes}
    try:
        for owner, attribute, value in mutant.changes:
            setattr(owner, attribute, value)
        yield
    finally:
        for (owner, attribute), value in before.items():
            setattr(owner, attribute, value)
