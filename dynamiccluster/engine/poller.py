"""Pollers: one per source. A failed poll changes the source's age and error, never the last good view."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from dynamiccluster.engine.waiting import happens
from dynamiccluster.errors import ErrorClass, classify
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.retry import Pause
from dynamiccluster.model.view import CloudView, SchedulerView, SourceStatus

log = logging.getLogger(__name__)

SLOWEST_S = 60.0
"""A source that fails is asked less and less often, but at least so often (or at its own interval, if longer)."""

NUDGE_GAP_S = 0.5
"""The shortest time between the end of a poll and a nudged one: a storm of submissions is one nudge."""

TIMEOUT_S = 120.0
"""No answer within this is a failed poll; adapters have shorter limits inside."""

View = TypeVar("View", SchedulerView, CloudView)


class Poller(Generic[View]):
    """Asks one source again and again, and at once when nudged."""

    def __init__(
        self,
        status: SourceStatus,
        ask: Callable[[], View],
        interval_s: float,
        bridge: Bridge,
        clock: Clock,
        on_view: Callable[[View], None],
        on_note: Callable[[Event], None],
        redact: Callable[[str], str],
    ) -> None:
        self.status = status
        self._ask: Callable[[], View] = ask
        self._interval_s = interval_s
        self._bridge = bridge
        self._clock = clock
        self._on_view: Callable[[View], None] = on_view
        self._on_note = on_note
        self._redact = redact
        self._nudged = asyncio.Event()
        self._said: set[str] = set()

    def nudge(self) -> None:
        self._nudged.set()

    async def run(self) -> None:
        while True:
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001 - whatever an adapter does, the service goes on with its last view
                self._failed(error)
            pause_s = self._interval_s
            if self.status.failures:
                pause_s = Pause(pause_s, max(SLOWEST_S, pause_s)).after(self.status.failures)
            polled_at = self._clock.monotonic()
            if await happens(self._nudged, pause_s):
                early_s = NUDGE_GAP_S - (self._clock.monotonic() - polled_at)
                if early_s > 0:
                    await asyncio.sleep(early_s)
            self._nudged.clear()

    async def once(self) -> None:
        """One poll; raises what went wrong. The view's times are taken here, on the engine's own clock, so that they
        order with its actions."""
        source = self.status.source
        started_at = self._clock.now()
        # a cloud's lists, and the notices in them, do not wait behind launches that take minutes
        group = f"{source}/poll" if source.startswith("cloud:") else source
        view = await self._bridge.call(group, f"poll of {source}", TIMEOUT_S, self._ask)
        now = self._clock.now()
        view = replace(view, started_at=started_at, completed_at=now)
        if isinstance(view, SchedulerView):
            self._say_once(view.dropped)
        self._recovered(now)
        self._on_view(view)

    def _failed(self, error: Exception) -> None:
        kind = classify(error)
        unexpected = kind is ErrorClass.BUG
        failures = self.status.failures + 1
        text = self._redact(str(error) or type(error).__name__)
        trace = error if unexpected else None
        log.warning("%s: poll failed, %d in a row: %s", self.status.source, failures, text, exc_info=trace)
        now = self._clock.now()
        if failures == 1:
            self._on_note(Event(now, EventKind.SOURCE, f"{self.status.source} does not answer: {text}"))
        self.status = replace(self.status, last_try_at=now, failures=failures, error=text, error_class=kind.value)

    def _recovered(self, now: float) -> None:
        if self.status.failures:
            text = f"{self.status.source} answers again after {self.status.failures} failed poll(s)"
            log.info("%s", text)
            self._on_note(Event(now, EventKind.SOURCE, text))
        self.status = replace(self.status, last_good_at=now, last_try_at=now, failures=0, error="", error_class="")

    def _say_once(self, dropped: tuple[str, ...]) -> None:
        """Odd records are named when they turn up, not at every poll."""
        for sentence in dropped:
            if sentence not in self._said:
                log.warning("%s: left out: %s", self.status.source, sentence)
        self._said = set(dropped)
