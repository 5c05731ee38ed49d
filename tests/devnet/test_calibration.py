"""The neighbours' blocks look like mainnet's did. `benchmarks/devnet_calibration.py` prints the comparison."""

from __future__ import annotations

import pytest
from devnet_calibration import TOLERANCE, compare, recorded_blocks, run_blocks


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ranges_and_totals_are_those_of_the_recording(seed: int) -> None:
    comparisons = compare(recorded_blocks(), run_blocks(100, 20, seed, 5.8))
    off = {one.name: one.off for one in comparisons if abs(one.off) > TOLERANCE}
    assert off == {}


def test_more_neighbours_make_larger_totals() -> None:
    few, many = (compare(recorded_blocks(), run_blocks(40, count, 1, 5.8))[-1].run for count in (10, 40))
    assert many > 3 * few
