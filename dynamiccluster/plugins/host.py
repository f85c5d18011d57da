"""Runs the plug-ins beside the engine, so that none of them can hold it up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.retry import Pause
from dynamiccluster.plugins.base import Plugin

log = logging.getLogger(__name__)

GROUP = "plugin"
"""First word of the bridge's groups, ``plugin:NAME``. The bridge is to give each of them one worker."""

TIMEOUT_S = 20.0
"""How long one look may take: enough for a slow network, short beside the usual minute between two looks."""

LONGEST_PAUSE_S = 900.0
"""How rarely a plug-in that keeps failing is tried at least."""


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """How a plug-in is doing, for people."""

    name: str
    last_good_at: float = 0.0
    last_try_at: float = 0.0
    failures: int = 0  # in a row
    error: str = ""  # of the last failed look; "" when the last was good
    cut_off: bool = False  # its last look has not come back in time, and still has not


class PluginHost:
    """All plug-ins of a service. A failing one is logged once, shown in :attr:`status`, and tried again later."""

    def __init__(
        self,
        plugins: Mapping[str, Plugin],
        bridge: Bridge,
        clock: Clock,
        *,
        timeout_s: float = TIMEOUT_S,
        redact: Callable[[str], str] = str,
    ) -> None:
        """``redact`` hides secrets in what plug-ins say: receivers have passwords, and addresses that are secret."""
        self._plugins = dict(plugins)
        self._bridge = bridge
        self._clock = clock
        self._timeout_s = timeout_s
        self._redact = redact
        self._status = {name: PluginStatus(name) for name in plugins}
        self._inside: set[str] = set()  # whose look has begun and not come back; changed by the threads themselves

    @property
    def status(self) -> tuple[PluginStatus, ...]:
        return tuple(
            replace(status, cut_off=bool(status.error) and name in self._inside)
            for name, status in self._status.items()
        )

    async def run(self, readmodel: Callable[[], ReadModel]) -> None:
        """Let every plug-in look at ``readmodel()`` at its own pace, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, plugin in self._plugins.items():
                group.create_task(self._watch(name, plugin, readmodel), name=f"{GROUP}:{name}")

    async def close(self) -> None:
        """Tell every plug-in that the service stops. Takes no longer than one time limit."""
        calls = (self._call(name, "close", plugin.close) for name, plugin in self._plugins.items())
        for name, error in zip(self._plugins, await asyncio.gather(*calls, return_exceptions=True), strict=True):
            if isinstance(error, Exception):
                log.warning("plug-in %s did not close: %s", name, _said(error))

    async def _watch(self, name: str, plugin: Plugin, readmodel: Callable[[], ReadModel]) -> None:
        loop = asyncio.get_running_loop()
        pause = Pause(plugin.interval_s, max(plugin.interval_s, LONGEST_PAUSE_S))
        while True:
            began = loop.time()
            await self._look(name, plugin, readmodel())
            failures = self._status[name].failures
            wait_s = pause.after(failures) if failures else plugin.interval_s
            await asyncio.sleep(max(1.0, began + wait_s - loop.time()))

    async def _look(self, name: str, plugin: Plugin, picture: ReadModel) -> None:
        before = replace(self._status[name], last_try_at=self._clock.now())

        was_inside = name in self._inside

        def look() -> None:
            self._inside.add(name)
            try:
                plugin.observe(picture)
            finally:
                self._inside.discard(name)

        try:
            await self._call(name, "observe", look)
        except Exception as error:  # it may raise anything, and drops only itself
            if not before.failures:
                ours = isinstance(error, DynamicClusterError)
                log.warning("plug-in %s failed: %s", name, _said(error), exc_info=None if ours else error)
            # while an earlier look is not back, why that was cut off says more than that no other was begun
            said = before.error if was_inside else self._redact(_said(error))
            self._status[name] = replace(before, failures=before.failures + 1, error=said)
        else:
            if before.failures:
                log.info("plug-in %s works again after %d failures", name, before.failures)
            self._status[name] = replace(before, failures=0, error="", last_good_at=before.last_try_at)

    async def _call(self, name: str, verb: str, function: Callable[[], None]) -> None:
        await self._bridge.call(f"{GROUP}:{name}", f"{verb} of plug-in {name}", self._timeout_s, function)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, DynamicClusterError) else f"{type(error).__name__}: {error}"
