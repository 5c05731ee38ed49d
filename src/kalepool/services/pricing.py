"""What KALE is worth: keeps what the liquidity pool told, beside the configured price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.core.facts import POOL_READINGS
from kalepool.core.prices import Readings, flaw, price_of

if TYPE_CHECKING:
    from fractions import Fraction

    from kalepool.core.prices import Price, Reserves
    from kalepool.ports import Facts


class Pricer:
    """Says what KALE is worth.

    Args:
        facts: where readings are kept over a restart.
        configured: XLM for one KALE, or None.
        asks: whether the liquidity pool is asked.
        least_xlm: what it must hold at least, stroops.
    """

    def __init__(self, facts: Facts, configured: Fraction | None, *, asks: bool, least_xlm: int) -> None:
        self._facts = facts
        self._configured = configured
        self._least_xlm = least_xlm
        self._readings = Readings.unpacked(facts.get(POOL_READINGS)) if asks else None
        self._saved = self._readings
        self._flaw = ""

    def note(self, block: int, reserves: Reserves | None) -> None:
        """Take what a look showed of the pool; nothing where it is not asked."""
        if self._readings is None:
            return
        self._flaw = flaw(reserves, self._least_xlm)
        if reserves is not None and not self._flaw:
            self._readings = self._readings.taken(block, reserves)

    def price(self, block: int) -> Price:
        """Say what KALE is worth in a block."""
        return price_of(self._readings, block, self._configured, self._flaw)

    def save(self) -> None:
        """Keep what the pool told over a restart."""
        if self._readings is not None and self._readings is not self._saved:
            self._facts.put(POOL_READINGS, self._readings.packed())
            self._saved = self._readings
