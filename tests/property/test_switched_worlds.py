"""Days on which the scheduler picks the nodes itself: whatever goes wrong, jobs end, and nothing is left or doubled."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from switched_queue import SUSPEND_S, SwitchedQueue

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.machines import Kind, Mishap, TenancyLimits, Window
from dynamiccluster.embedded.site import Site
from dynamiccluster.engine.loop import Engine
from dynamiccluster.kit.pace import PacedClock, PacedLoop
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import JobState
from dynamiccluster.model.policy import FailurePolicy, Limits, Policy
from dynamiccluster.model.resource import Provisioning, Resource, Timers
from dynamiccluster.store.memory import MemoryStore
from dynamiccluster.testing.bridge import InlineBridge
from dynamiccluster.testing.installation import OWNER, SimulatedCrash, owned_task

HOUR_S = 3600.0
BAD_S, CALM_S = 8 * HOUR_S, 10 * HOUR_S
MISHAPS = (Mishap.SOLD_OUT, Mishap.THROTTLED, Mishap.BUILD_ERROR, Mishap.SLOW, Mishap.NEVER_BOOTS, Mishap.NEVER_JOINS)


class World:
    """One site, one queue, engines one after another on one store."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.clock = PacedClock(self.loop, 1_798_000_000.0)
        self.site = Site(seed, 1_798_000_000.0, self.loop.time())
        resources = [
            Resource(
                name,
                "simulated",
                "t",
                Capacity(4, 8192),
                max_nodes=rng.randint(2, 5),
                priority=number,
                queues=frozenset({"cloud"}),
                name_prefix=name,
                timers=Timers(launch_s=900.0, boot_s=600.0),
                provisioning=Provisioning.SCHEDULER,
                max_starting=rng.choice((0, 0, 2)),
            )
            for number, name in enumerate(("first", "second"))
        ]
        windows = [
            Window(rng.choice(MISHAPS), rng.choice(("", "first", "second")), at, at + rng.uniform(600.0, 3600.0))
            for at in (rng.uniform(0.0, BAD_S) for _ in range(6))
        ]
        limits = TenancyLimits(max_instances=rng.choice((None, 3, 5)))
        self.tenancy = self.site.add_tenancy("t", {r.name: Kind() for r in resources}, limits, windows)
        self.queue = SwitchedQueue(self.site, self.clock, resources)
        self.site.queues["c1"] = self.queue  # type: ignore[assignment]  # machines report to it in the same way
        self.policy = Policy(
            "c1",
            {one.name: one for one in resources},
            scheduler_poll_s=20.0,
            cloud_poll_s=30.0,
            limits=Limits(
                max_nodes=rng.choice((0, 0, 3)), launches_per_minute=rng.choice((0.0, 0.0, 4.0)), launch_batch=2
            ),
            failure=FailurePolicy(breaker_failures=2, breaker_open_s=600.0, breaker_max_s=1200.0),
            declare_shapes=rng.random() < 0.5,
        )
        self.store = MemoryStore()
        self.steps_to_live = 10**9
        self.bad = True
        self.lives = 0
        self.doubles: list[str] = []
        self.errors: list[str] = []
        self.loop.set_task_factory(owned_task)  # type: ignore[arg-type]  # as in testing.world

    def widest(self) -> int:
        """A job that the limits leave room for."""
        limits = (self.policy.limits.max_nodes, self.tenancy.limits.max_instances)
        return min([2, *(limit for limit in limits if limit)])

    async def live(self) -> None:
        """The bad hours, then calm ones."""
        people = asyncio.create_task(self._people())
        while self.loop.time() < BAD_S:
            await self._one_life(min(self.rng.expovariate(1 / 5400.0), BAD_S - self.loop.time() + 1.0))
        self.bad = self.queue.away = False
        await people
        await self._one_life(CALM_S)

    async def _one_life(self, seconds: float) -> None:
        self.lives += 1
        bridge = InlineBridge(random.Random(self.rng.random()), stalls=self._stalls)
        cloud = SimulatedCloud(self.site, "t", self.clock, "c1", idempotent=False, tags_nodes=True)
        launch = cloud.launch

        def noted(launch_id: str, resource: Resource, specs: tuple[NodeSpec, ...]):  # type: ignore[no-untyped-def]
            made = launch(launch_id, resource, specs)
            self._look_for_doubles()
            return made

        cloud.launch = noted  # type: ignore[method-assign, assignment]  # it is this world's own
        word = "".join(self.rng.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(4))
        engine = Engine(
            self.policy, self.queue, {"t": cloud}, self.store, self.clock, bridge, word=lambda: word, probe=self._probe
        )
        self.steps_to_live = self.rng.randint(20, 400) if self.bad and self.rng.random() < 0.7 else 10**9
        self.dead = asyncio.Event()
        tasks: set[asyncio.Task[Any]] = set()
        token = OWNER.set(tasks)
        try:
            run = asyncio.create_task(engine.run())
        finally:
            OWNER.reset(token)
        dead = asyncio.create_task(self.dead.wait())
        await asyncio.wait({run, dead}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        dead.cancel()
        self.dead.set()
        bridge.kill()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and not isinstance(task.exception(), SimulatedCrash | None):
                self.errors.append(repr(task.exception()))
        if self.bad:
            await asyncio.sleep(self.rng.uniform(1.0, 900.0))

    def _probe(self, step: str) -> None:
        """From the appointed step on the process is dead: it says nothing more, and its calls come to nothing."""
        self.steps_to_live -= 1
        if self.steps_to_live < 0 or self.dead.is_set():
            self.dead.set()
            raise SimulatedCrash

    def _stalls(self, group: str) -> bool:
        return self.bad and self.rng.random() < 0.02

    def _look_for_doubles(self) -> None:
        wanted = [m.host_name for m in self.tenancy.machines.values() if m.exists and not m.terminate_asked_at]
        self.doubles += [name for name, count in Counter(wanted).items() if count > 1]

    async def _people(self) -> None:
        """They submit jobs; machines die; slurmctld goes and comes."""
        while self.loop.time() < BAD_S:
            await asyncio.sleep(self.rng.expovariate(1 / 300.0))
            with self.site.at(self.clock):
                if self.rng.random() < 0.6:
                    self.queue.submit(self.rng.randint(1, self.widest()), self.rng.uniform(10.0, 1800.0))
                if self.rng.random() < 0.08:
                    self.queue.away = not self.queue.away
                if self.tenancy.machines and self.rng.random() < 0.1:
                    self.tenancy.kill(self.rng.choice(sorted(self.tenancy.machines)), self.rng.random() < 0.5)


@pytest.mark.parametrize("seed", range(1, 5))
def test_whatever_goes_wrong_jobs_end_and_nothing_is_left_or_doubled(seed: int) -> None:
    async def day() -> World:
        world = World(seed)
        await world.live()
        return world

    with asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
        world = runner.run(day())
    queue = world.queue
    assert queue.breaches == []
    assert world.doubles == []
    assert world.errors == []
    assert len(queue.jobs) > 20
    assert world.lives > 2
    unfinished = {job.job_id: job for job in queue.jobs.values() if job.state is not JobState.DONE}
    assert unfinished == {}
    assert [m for m in world.tenancy.machines.values() if m.exists] == []
    beyond = {f"dynamiccluster:c1:{limit}" for limit in ("cluster-nodes", "quota")}  # more than could be launched
    assert {host.name: host for host in queue.hosts.values() if not host.free and host.mark not in beyond} == {}
    assert any(host.free for host in queue.hosts.values())
    assert world.store.load().nodes == {}
    assert SUSPEND_S < CALM_S  # or machines would rightly be there
