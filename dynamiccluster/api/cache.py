"""Answers that were made already: several people who look at one picture cost as much as one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

T = TypeVar("T")

MOST_BYTES = 32 * 1024 * 1024
MOST_ORDERS = 12
"""Sorted lists kept: each holds a reference per job, 0.8 MB for 100,000."""


class Cache:
    """Forgets what was asked least recently. Keys name the version of the picture, so nothing is ever wrong."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._orders: OrderedDict[tuple[object, ...], object] = OrderedDict()

    def body(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The encoded answer with this key, made now if it is not known."""
        known = self.known(key)
        return self.keep(key, make()) if known is None else known

    def known(self, key: str) -> bytes | None:
        """The encoded answer with this key, if it is still kept."""
        if key in self._bodies:
            self._bodies.move_to_end(key)
        return self._bodies.get(key)

    def keep(self, key: str, made: bytes) -> bytes:
        """Keep an answer, as long as there is room; returns it."""
        self._bytes += len(made) - len(self._bodies.get(key, b"")) + (0 if key in self._bodies else len(key))
        self._bodies[key] = made
        while self._bytes > self._most and self._bodies:
            old, dropped = self._bodies.popitem(last=False)
            self._bytes -= len(dropped) + len(old)
        return made

    def order(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """A sorted list, made now if it is not known."""
        if key in self._orders:
            self._orders.move_to_end(key)
            return cast(T, self._orders[key])
        made = make()
        self._orders[key] = made
        while len(self._orders) > MOST_ORDERS:
            self._orders.popitem(last=False)
        return made
