"""The thread bridge without threads: calls run inline, on the loop's own (virtual) time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from dynamiccluster.errors import DynamicClusterError, UnknownOutcomeError

T = TypeVar("T")

log = logging.getLogger(__name__)


SLOW_SHARE = 0.2
SLOW_FACTOR = 15.0
"""One answer in five comes so much later: what it tells of may have changed since."""


class InlineBridge:
    """Implements ``kit.blocking.Bridge``. A call takes effect after the first part of its latency and is answered
    after the second.

    Where ``stalls(group)`` says so, the latency is beyond the time limit: either before the call has reached anybody
    (the command is killed and never takes effect) or after. ``delivered`` is told of every result at the moment the
    caller gets it.
    """

    def __init__(
        self,
        rng: random.Random,
        latency_s: tuple[float, float] = (0.05, 1.5),
        stalls: Callable[[str], bool] | None = None,
        delivered: Callable[[str, object], None] | None = None,
    ) -> None:
        self._rng = rng
        self._latency_s = latency_s
        self._stalls = stalls
        self._delivered = delivered
        self._dead = False
        self.answering = True  # whether the call that takes effect at this moment will be answered

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], T]) -> T:
        if group == "store":  # local, and guarded by crash tests at the engine's own steps
            return function()
        before_s, after_s = self._rng.uniform(*self._latency_s), self._rng.uniform(*self._latency_s)
        if self._stalls is not None and self._stalls(group):
            if self._rng.random() < 0.5:
                await asyncio.sleep(timeout_s)
                raise UnknownOutcomeError(f"{name} was not started within {timeout_s:g} s")
            after_s = timeout_s
        elif self._rng.random() < SLOW_SHARE:
            after_s = min(after_s * SLOW_FACTOR, timeout_s / 2)
        await self._under_way(before_s, function)
        self.answering = after_s < timeout_s
        try:
            result = function()
        except DynamicClusterError:
            await self._answer(name, after_s, timeout_s)
            raise
        await self._answer(name, after_s, timeout_s)
        if self._delivered is not None:
            self._delivered(name, result)
        return result

    def kill(self) -> None:
        """The process dies: of the calls under way some have left the machine and take effect, unheard."""
        self._dead = True

    @staticmethod
    async def _answer(name: str, after_s: float, timeout_s: float) -> None:
        await asyncio.sleep(min(after_s, timeout_s))
        if after_s >= timeout_s:
            raise UnknownOutcomeError(f"{name} did not answer within {timeout_s:g} s")

    async def _under_way(self, seconds: float, function: Callable[[], object]) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if self._dead and self._rng.random() < 0.5:
                self._unheard(function)
            raise

    def _unheard(self, function: Callable[[], object]) -> None:
        with suppress(DynamicClusterError):
            function()
