"""How often one node is asked: a token bucket, and rests after it failed."""

from __future__ import annotations

from typing import Final

_FIRST_REST_S: Final = 0.5
_LONGEST_REST_S: Final = 60.0
_LONGEST_ASKED_S: Final = 300.0


class Pace:
    """When a node may be asked next. Times are seconds of a monotonic clock, given by the caller.

    Args:
        per_second: requests a second in the long run.
        burst: requests that may go out at once after a quiet while.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._tokens = float(burst)
        self._filled_at: float | None = None
        self._rests_until = 0.0
        self.failures = 0

    def wait(self, now: float) -> float:
        """Give the seconds until a request may go out; 0 for now."""
        self._fill(now)
        missing = max(1.0 - self._tokens, 0.0) / self._per_second
        return max(self._rests_until - now, missing, 0.0)

    def take(self, now: float) -> None:
        """Count a request that goes out."""
        self._fill(now)
        self._tokens -= 1.0

    def succeed(self) -> None:
        """Note a good answer: the next failure rests the node briefly again."""
        self.failures = 0

    def fail(self, now: float) -> None:
        """Rest the node, longer with each failure in a row: half a second, doubled up to a minute."""
        # The exponent is bounded too: a node may fail for weeks.
        pause = _FIRST_REST_S * 2.0 ** min(self.failures, 16)
        self.failures += 1
        self._rests_until = max(self._rests_until, now + min(pause, _LONGEST_REST_S))

    def rest(self, now: float, seconds: float) -> None:
        """Rest the node as long as it asked for, up to five minutes."""
        self._rests_until = max(self._rests_until, now + min(seconds, _LONGEST_ASKED_S))

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            # Rounding must not leave a bucket a hair short of a token forever.
            gained = (now - self._filled_at) * self._per_second + 1e-9
            self._tokens = min(self._tokens + gained, self._burst)
        self._filled_at = now
