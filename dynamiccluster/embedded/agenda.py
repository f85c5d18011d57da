"""The agenda: what will happen at the site, in time order."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Agenda:
    """Happenings by instant; those of one instant keep the order in which they were entered.

    There is no cancelling: a happening checks for itself whether it still applies.
    """

    def __init__(self, started_at: float) -> None:
        self.now = started_at
        self._serial = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, when_at: float, happening: Callable[[], None]) -> None:
        """Let ``happening`` take place at ``when_at``; an instant of the past means "next"."""
        self._serial += 1
        heapq.heappush(self._heap, (when_at, self._serial, happening))

    def after(self, delay_s: float, happening: Callable[[], None]) -> None:
        """Let ``happening`` take place ``delay_s`` seconds from now."""
        self.at(self.now + delay_s, happening)

    def advance(self, now: float) -> None:
        """Work off everything up to and including ``now``. An earlier instant than the last one changes nothing."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when_at, _, happening = heapq.heappop(heap)
            self.now = max(self.now, when_at)
            happening()
        self.now = max(self.now, now)
