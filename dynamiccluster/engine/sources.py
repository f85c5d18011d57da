"""The sources: one poller for the scheduler and one for each tenancy, all replaced together on reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.engine.inbox import Inbox
from dynamiccluster.engine.poller import Poller
from dynamiccluster.errors import NotFoundError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.view import CloudView, SchedulerView, SourceStatus
from dynamiccluster.schedulers.base import Scheduler


class Sources:
    """Pollers with their tasks. Views and notes go to the inbox."""

    def __init__(self, bridge: Bridge, clock: Clock, inbox: Inbox, redact: Callable[[str], str]) -> None:
        self._bridge = bridge
        self._clock = clock
        self._inbox = inbox
        self._redact = redact
        self._pollers: dict[str, Poller[SchedulerView] | Poller[CloudView]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, scheduler: Scheduler, clouds: Mapping[str, Cloud], policy: Policy) -> None:
        """Poll these from now on. What is known of a source that stays is kept, also while nothing is running."""
        known = {name: poller.status for name, poller in self._pollers.items()}
        bridge, clock, inbox = self._bridge, self._clock, self._inbox
        self._pollers = {
            "scheduler": Poller(
                known.get("scheduler", SourceStatus("scheduler")),
                scheduler.poll,
                policy.scheduler_poll_s,
                bridge,
                clock,
                inbox.put_scheduler,
                inbox.put_note,
                self._redact,
            )
        }
        for tenancy, cloud in clouds.items():
            source = f"cloud:{tenancy}"
            self._pollers[source] = Poller(
                known.get(source, SourceStatus(source)),
                cloud.list_instances,
                policy.cloud_poll_s,
                bridge,
                clock,
                inbox.put_cloud,
                inbox.put_note,
                self._redact,
            )
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(poller.run(), name=f"poll {name}") for name, poller in self._pollers.items()]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def statuses(self) -> dict[str, SourceStatus]:
        return {name: poller.status for name, poller in self._pollers.items()}

    def nudge(self, source: str) -> None:
        poller = self._pollers.get(source)
        if poller is None:
            raise NotFoundError(f"no source {source!r}; there are {', '.join(sorted(self._pollers))}")
        poller.nudge()
