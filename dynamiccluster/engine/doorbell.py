"""A file that hooks touch when the queue has changed, for hooks that must never wait for anybody.

A batch system runs its submit hook while it holds its locks, so the hook may neither connect nor wait. It writes one
byte into a plain file, whether or not somebody looks, and the service looks at the time of the last change: one
``stat`` per second. No storm of submissions can fill anything, and nothing happens if the service is down or hangs.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.blocking import Bridge

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the file is looked at."""

SETTLE_S = 0.3
"""So long after a change it is rung: the hook runs before the job is in the queue, by some milliseconds (seen with
Slurm 22.05.8)."""

GROUP = "doorbell"
_TIMEOUT_S = 5.0
_MODE = 0o660


class Doorbell:
    """Calls ``ring`` after the file at ``path`` was written to."""

    def __init__(self, path: str, bridge: Bridge, ring: Callable[[], None]) -> None:
        self._path = path
        self._bridge = bridge
        self._ring = ring
        self._problem = ""

    async def run(self) -> None:
        """Look until cancelled. A file that is not there is made, for its owner and group; one that is there is left
        as it is. A change from before the start does not count."""
        await self._ask(self._make)
        seen = await self._ask(self._changed)
        while True:
            await asyncio.sleep(LOOK_S)
            changed = await self._ask(self._changed)
            if changed is None or changed == seen:
                continue
            if seen is not None:
                await asyncio.sleep(SETTLE_S)
                self._ring()
            seen = changed

    async def _ask(self, function: Callable[[], int | None]) -> int | None:
        try:
            answer = await self._bridge.call(GROUP, f"look at {self._path}", _TIMEOUT_S, function)
        except (DynamicClusterError, OSError) as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("doorbell %s: %s", self._path, error)
            return None
        self._problem = ""
        return answer

    def _make(self) -> None:
        """One byte long: to write it again takes no room, should the disk be full one day."""
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        except FileExistsError:
            return
        try:
            os.write(file, b"0")
            os.fchmod(file, _MODE)
        finally:
            os.close(file)

    def _changed(self) -> int:
        return os.stat(self._path).st_mtime_ns
