"""An event loop whose time runs at any speed, or jumps from timer to timer: the same engine, real or simulated.

``asyncio.Runner(loop_factory=lambda: PacedLoop(20.0))`` runs a programme twenty times as fast as life;
``PacedLoop(None)`` waits for nothing at all: whenever no callback is ready, its clock is put forward to the next
timer. All waiting in the programme must then be on the loop's timers; threads and sockets have no place there.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Mapping
from typing import Any


class _PacedSelector(selectors.BaseSelector):
    """Waits ``1/speed`` of the time it is asked to wait, or not at all.

    The loop's only way of waiting is :meth:`select` with the seconds to the next timer, so nothing else of
    asyncio needs to be touched.
    """

    def __init__(self, speed: float | None) -> None:
        self._inner = selectors.DefaultSelector()
        self._speed = speed
        self._began = time.monotonic()
        self._virtual_s = 0.0

    def time(self) -> float:
        """Seconds since the loop was made, on its own clock."""
        if self._speed is None:
            return self._virtual_s
        return (time.monotonic() - self._began) * self._speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._speed is not None:
            return self._inner.select(None if timeout is None else timeout / self._speed)
        ready = self._inner.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            if len(self._inner.get_map()) > 1:  # more than the loop's own wake-up pipe: somebody waits for a socket
                return self._inner.select(None)
            raise RuntimeError("everything waits and no timer is set: nothing can ever happen again on this loop")
        self._virtual_s += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.get_key(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class PacedLoop(asyncio.SelectorEventLoop):
    """An event loop whose :meth:`time` starts at 0 and runs at ``speed`` times real time; ``None``: virtual time.

    With virtual time a programme that waits while no timer is set raises ``RuntimeError`` instead of hanging.
    """

    def __init__(self, speed: float | None) -> None:
        self._paced = _PacedSelector(speed)
        super().__init__(self._paced)
        if speed is not None and not speed > 0:
            self.close()  # a loop that was never initialised cannot even be thrown away quietly
            raise ValueError(f"a speed is a number above 0, not {speed!r}")

    def time(self) -> float:
        return self._paced.time()


class PacedClock:
    """The :class:`~dynamiccluster.kit.clock.Clock` that belongs to a paced loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_at: float) -> None:
        self._loop = loop
        self._start_at = start_at

    def now(self) -> float:
        return self._start_at + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Somebody sets the machine's clock forward (or, below 0, back). Timers and ``monotonic`` do not notice."""
        self._start_at += seconds
