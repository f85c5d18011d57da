"""The one clock. Nothing else in the package asks the operating system for the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
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


def iso(at: float) -> str:
    """``at`` as ISO 8601 in UTC with milliseconds, as in REST answers and logs; "" for 0 (never)."""
    if at <= 0:
        return ""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def month(at: float) -> str:
    """The UTC month of ``at`` as ``2026-11``."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m")


def pause(seconds: float) -> None:
    """Wait in the foreground: for command line verbs that look again and again, never for the service."""
    time.sleep(seconds)
