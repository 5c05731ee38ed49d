"""Network time: fulfils ``ports.Clock``.

Ledgers are seen some time after they closed, never before. So the rate of network time is the median
over pairs of ledgers, and its offset is set by whichever late ledger was seen soonest. The rate is 1
until looks exclude it: a ledger closed between the look that showed it and the one before, so a pair that was
seen late and soon, or soon and late, is no sign of a network that hurries or lags. Looks at nodes that lag by
turns exclude it wrongly, so where a network is known to keep real time, no look does. A wrong wall clock
plays no part, and CLOCK_BOOTTIME goes on while the machine sleeps.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_WINDOW: Final = 64
"""Ledgers that rate and pace are fitted to."""

_SPAN: Final = 16
"""Close times are whole seconds, so a pace is taken over this many ledgers where there are as many."""

_RECENT: Final = 8
"""Ledgers that the offset is fitted to: few, so that a network that stood still is soon followed."""

_REAL_TIME: Final = (0.75, 1.33)
"""A rate within these is 1: real networks keep real time, and the rest is noise of polling."""

_SLOW_PAIRS: Final = 4
"""A network slower than real time is believed in after so many pairs: one node that lags a while looks like it."""

_STALE_LEDGERS: Final = 3
_DOUBTS: Final = 3
_LONGEST_NAP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Seen:
    since: float  # when it had not been seen yet
    at: float
    ledger: int
    close_time: int


def boot_time() -> float:
    """Give seconds since the machine started, sleep included; where there is no such clock, without."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class NetworkClock:
    """Carries network time on from the close times seen.

    Args:
        monotonic: seconds of a clock that never steps and goes on while the machine sleeps.
        sleep: waits for seconds of that clock, about.
        ledger_seconds: what is assumed between ledgers before it can be measured.
        keeps_real_time: whether the rate is 1, as every real network's is; a local one's is measured.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = boot_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ledger_seconds: float = 5.0,
        keeps_real_time: bool = False,
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self._assumed_ledger_seconds = ledger_seconds
        self._keeps_real_time = keeps_real_time
        self._looked: float | None = None
        self._seen: deque[_Seen] = deque(maxlen=_WINDOW)
        self._doubted: list[_Seen] = []
        self._rate = 1.0
        self._offset = 0.0
        self._ledger_seconds = ledger_seconds

    @property
    def is_set(self) -> bool:
        """Whether a ledger has been seen: before, there is no time."""
        return bool(self._seen)

    def now(self) -> float:
        """Give the network time now, Unix seconds; 0 before a ledger has been seen.

        It may step back a little when a ledger corrects it, but never behind the last close time seen.
        """
        if not self._seen:
            return 0.0
        return max(self._offset + self._rate * self._monotonic(), self._seen[-1].close_time)

    def observe(self, ledger: int, close_time: int) -> None:
        """Take note of a closed ledger, as soon as it is seen.

        One seen before, or told by a node that lags, changes nothing. One that contradicts those seen
        counts only when three in a row agree: then those before were wrong, or the network was
        started anew.
        """
        at = self._monotonic()
        since = at - self._assumed_ledger_seconds if self._looked is None else self._looked
        self._looked = at
        seen = _Seen(since, at, ledger, close_time)
        last = self._seen[-1] if self._seen else None
        if last is None or _follows(last, seen):
            self._doubted.clear()
            self._seen.append(seen)
            self._fit()
        elif not _lags(last, seen):
            self._doubt(seen)

    @property
    def ledger_seconds(self) -> float:
        """Network seconds between ledgers, as measured; until two were seen, as assumed."""
        return self._ledger_seconds

    @property
    def rate(self) -> float:
        """Network seconds that pass in one: 1, or what a local network runs at."""
        return self._rate

    def is_stale(self) -> bool:
        """Tell whether no new ledger has been seen for three ledgers' time: then wait."""
        if not self._seen:
            return True
        silent = (self._monotonic() - self._seen[-1].at) * self._rate
        return silent > _STALE_LEDGERS * self._ledger_seconds

    async def sleep_until(self, moment: float) -> None:
        """Wait until a network time.

        In naps: the fit may change meanwhile, and a machine that slept wakes to another time.
        """
        while (left := moment - self.now()) > 0:
            await self._sleep(min(left / self._rate, _LONGEST_NAP_S))

    def _doubt(self, seen: _Seen) -> None:
        if self._doubted and not _follows(self._doubted[-1], seen):
            if _lags(self._doubted[-1], seen):
                return
            self._doubted.clear()
        self._doubted.append(seen)
        if len(self._doubted) == _DOUBTS:
            self._seen.clear()
            self._seen.extend(self._doubted)
            self._doubted.clear()
            self._rate, self._ledger_seconds = 1.0, self._assumed_ledger_seconds
            self._fit()

    def _fit(self) -> None:
        seen = list(self._seen)
        pairs = _pairs(seen)
        if pairs:
            self._ledger_seconds = statistics.median(
                (late.close_time - early.close_time) / (late.ledger - early.ledger) for early, late in pairs
            )
            self._rate = 1.0 if self._keeps_real_time else _rate(pairs)
        self._offset = max(one.close_time - self._rate * one.at for one in seen[-_RECENT:])


def _pairs(seen: Sequence[_Seen]) -> list[tuple[_Seen, _Seen]]:
    """Pair each ledger with one as far before it as half of what was seen allows, at most a span."""
    span = max(min(_SPAN, len(seen) // 2), 1)
    return list(zip(seen, seen[span:], strict=False))


def _rate(pairs: Sequence[tuple[_Seen, _Seen]]) -> float:
    """Give the rate that pairs of ledgers tell of; 1 where they may be of a real network."""
    apart = [(early, late) for early, late in pairs if late.at > early.at]
    if not apart:
        return 1.0
    slowest = statistics.median(_per_second(early, late, late.at - early.since) for early, late in apart)
    fastest = statistics.median(_per_second(early, late, late.since - early.at) for early, late in apart)
    if slowest > _REAL_TIME[1] or (fastest < _REAL_TIME[0] and len(apart) >= _SLOW_PAIRS):
        return statistics.median(_per_second(early, late, late.at - early.at) for early, late in apart)
    return 1.0


def _per_second(early: _Seen, late: _Seen, seconds: float) -> float:
    return (late.close_time - early.close_time) / seconds if seconds > 0 else math.inf


def _follows(early: _Seen, late: _Seen) -> bool:
    return late.ledger > early.ledger and late.close_time > early.close_time


def _lags(last: _Seen, seen: _Seen) -> bool:
    """Tell whether a ledger is the last one or one shortly before it, and fits."""
    if seen.ledger == last.ledger:
        return seen.close_time == last.close_time
    return last.ledger - _WINDOW <= seen.ledger < last.ledger and seen.close_time < last.close_time
