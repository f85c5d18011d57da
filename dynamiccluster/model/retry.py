"""The one retry policy: pauses that double up to a limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pause:
    """How long to wait after the n-th failure in a row."""

    first_s: float
    max_s: float

    def after(self, failures: int) -> float:
        """Seconds to wait after ``failures`` (at least 1) failures in a row."""
        return min(self.max_s, self.first_s * 2.0 ** min(max(failures - 1, 0), 30))
