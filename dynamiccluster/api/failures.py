"""Who has shown wrong credentials too often."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque

MOST = 10
WITHIN_S = 60.0
"""So many wrong tokens or passwords from one address within so long; then it is refused until some have aged."""

MOST_FOR_ACCOUNT = 5 * MOST
"""Wrong passwords for one account, from wherever. More than one address may show: nobody shuts others out alone."""

_REMEMBERED = 4096

_NETWORK = 64
"""Bits of an IPv6 address that count: the rest is its holder's to choose (RFC 4291, 2.5.1)."""


def origin(address: str) -> str:
    """Whoever is counted for an address: for IPv6 the network, as one machine has all of its addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address) or found.is_loopback:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK), strict=False))


class Failures:
    """Counts by whom, bounded in memory: the oldest are forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, whom: str, now: float) -> float:
        """Seconds until they may try again; 0 = now. ``now``: monotonic."""
        times = self._times.get(whom)
        if times is None:
            return 0.0
        while times and times[0] <= now - WITHIN_S:
            times.popleft()
        return times[0] + WITHIN_S - now if len(times) >= self._most else 0.0

    def failed(self, whom: str, now: float) -> None:
        times = self._times.setdefault(whom, deque(maxlen=self._most))
        times.append(now)
        self._times.move_to_end(whom)
        while len(self._times) > _REMEMBERED:
            self._times.popitem(last=False)

    def withdraw(self, whom: str, at: float) -> None:
        """One that was noted before it was known, at ``at``, was none."""
        times = self._times.get(whom)
        if times and at in times:
            times.remove(at)
