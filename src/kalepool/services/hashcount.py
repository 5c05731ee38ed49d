"""How much is hashed while each block is the current one, for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalepool.services.means import Means


class HashCount:
    """Writes down hashes and seconds once a block, and at the end; what a killed process did in its last block is lost.

    Args:
        means: of the pool.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._block: int | None = None
        self._hashes = means.grinder.hashes
        self._since = means.monotonic()

    def note(self, block: int, *, is_last: bool = False) -> None:
        """Count up to now for the block that was current until now.

        Args:
            block: the current one.
            is_last: whether nothing is counted after this.
        """
        if self._block is not None and (block != self._block or is_last):
            hashes, now = self._means.grinder.hashes, self._means.monotonic()
            milliseconds = round(1_000 * (now - self._since))
            self._means.grinds.count(self._block, hashes - self._hashes, milliseconds)
            self._hashes, self._since = hashes, now
        self._block = block
