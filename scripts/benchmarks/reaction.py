"""How long it takes from a submit hook's nudge to the launch call that reaches the cloud.

Everything is real but the cluster and the cloud: event loop, threads, clock, and the SQL store with its ``fsync``.
What a batch system's own commands take (a tenth of a second or so for ``squeue``) comes on top.
"""

from __future__ import annotations

import asyncio
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.rules import QueueRules
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import palette
from dynamiccluster.engine.loop import Engine
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.simulated import SimulatedScheduler
from dynamiccluster.store.sql import SqlStore

ROWS = ((1,), (100,), (1_000,))
"""Jobs that are submitted just before the nudge, to a cluster without nodes."""

REPEATS = 20
RESOURCES = 10
NEVER_S = 3600.0
PHASE_S = 0.6
"""Nudges come up to so long after a poll, evenly spread: the engine makes those wait that come within half a second."""


def rows() -> Iterator[dict[str, object]]:
    for (jobs,) in ROWS:
        shapes, taken = asyncio.run(distribution(jobs))
        yield {
            "name": "reaction",
            "jobs": jobs,
            "nodes": 0,
            "shapes": shapes,
            "seconds": round(max(taken), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "min": round(min(taken), 4),
            "median": round(statistics.median(taken), 4),
            "max": round(max(taken), 4),
        }


async def distribution(jobs: int) -> tuple[int, list[float]]:
    """How many shapes the jobs had, and the seconds of each try."""
    rng = random.Random(1)
    shapes = palette(policy().resources.values(), rng)
    taken = []
    for number in range(REPEATS):
        requests = [JobRequest(rng.choice(shapes), 600.0) for _ in range(jobs)]
        taken.append(await reaction(requests, PHASE_S * number / REPEATS))
    return min(len(shapes), jobs), taken


def policy() -> Policy:
    resources = {
        f"r{number}": Resource(f"r{number}", "simulated", "t", Capacity(8, 32_000), max_nodes=200, priority=number)
        for number in range(RESOURCES)
    }
    return Policy("c1", resources, observe_first=False, scheduler_poll_s=NEVER_S, cloud_poll_s=NEVER_S)


async def reaction(requests: list[JobRequest], phase_s: float) -> float:
    """Seconds from the nudge to the launch call. The nudge comes ``phase_s`` after a poll."""
    clock = SystemClock()
    site = Site(1, clock.now(), clock.monotonic())
    queue = site.add_queue("c1", QueueRules(pass_s=0.0))
    site.add_tenancy("t")
    cloud = Watched(site, clock)
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(Path(folder) / "store.db")
        bridge = ThreadBridge({"scheduler": 2, "cloud": 2, "store": 1})
        scheduler = SimulatedScheduler(site, clock, "c1")
        engine = Engine(policy(), scheduler, {"t": cloud}, store, clock, bridge, word=lambda: "abcd")
        work = asyncio.create_task(engine.run())
        while len(engine.readmodel.snapshot.clouds) < 1 or engine.readmodel.snapshot.scheduler is None:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.6)  # the tick that this has led to is over
        engine.nudge()
        await asyncio.sleep(0.1)  # the poll, too
        with site.at(clock):
            for request in requests:
                queue.submit(request)
        await asyncio.sleep(phase_s)
        nudged_s = time.perf_counter()
        engine.nudge()
        async with asyncio.timeout(30.0):
            while not cloud.called_s:
                await asyncio.sleep(0.001)
        engine.stop()
        await work
        bridge.close()
        store.close()
    return cloud.called_s - nudged_s


class Watched(SimulatedCloud):
    """Notes when the first launch call arrives."""

    def __init__(self, site: Site, clock: SystemClock) -> None:
        super().__init__(site, "t", clock, "c1")
        self.called_s = 0.0

    def launch(self, *arguments: Any) -> Any:
        self.called_s = self.called_s or time.perf_counter()
        return super().launch(*arguments)
