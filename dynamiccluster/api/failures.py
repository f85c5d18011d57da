"""Who has shown wrong credentials too often."""

from __future__ import annotations

from collections import OrderedDict, deque

MOST = 10
WITHIN_S = 60.0
"""So many wrong tokens from one address within so long; then none of its tokens is looked at until some have aged."""

_ADDRESSES = 4096


class Failures:
    """Counts per address, bounded in memory: the oldest addresses are forgotten first."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0 = now. ``now``: monotonic."""
        times = self._times.get(address)
        if times is None:
            return 0.0
        while times and times[0] <= now - WITHIN_S:
            times.popleft()
        return times[0] + WITHIN_S - now if len(times) >= MOST else 0.0

    def failed(self, address: str, now: float) -> None:
        times = self._times.setdefault(address, deque(maxlen=MOST))
        times.append(now)
        self._times.move_to_end(address)
        while len(self._times) > _ADDRESSES:
            self._times.popitem(last=False)
