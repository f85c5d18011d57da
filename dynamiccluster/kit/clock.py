"""The one clock. Nothing else in the package asks the operating system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970-01-01 UTC. May jump when the machine's clock is set."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps. For measuring short durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class SteadyClock:
    """A clock that follows another one but never goes back: ``now()`` orders what happened in one process.

    When the other clock is set back, this one goes on at half its pace until it has been caught up with. When it
    is set forward, this one follows.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said = clock.now()
        self._said_at = clock.monotonic()

    def now(self) -> float:
        wall, tick = self._clock.now(), self._clock.monotonic()
        if wall < self._said:
            wall = self._said + max(tick - self._said_at, 0.0) / 2.0
        self._said, self._said_at = wall, tick
        return wall

    def monotonic(self) -> float:
        return self._clock.monotonic()


@lru_cache(maxsize=32_768)
def iso(at: float) -> str:
    """``at`` as ISO 8601 in UTC with milliseconds, as in REST answers and logs; "" for 0 (never).

    The same instants are written again and again: pages of nodes and jobs tell since when.
    """
    if at <= 0:
        return ""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def processor_s() -> float:
    """Seconds of a processor that this thread has used: what a computation costs, whoever else wants the processor."""
    return time.thread_time()


def month(at: float) -> str:
    """The UTC month of ``at`` as ``2026-11``."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m")


def pause(seconds: float) -> None:
    """Wait in the foreground: for command line verbs that look again and again, never for the service."""
    time.sleep(seconds)
