"""The contract of schedulers on the embedded one."""

from __future__ import annotations

import pytest
from scheduler_suite import CLUSTER, RESOURCE, SERIALS, Harness, SchedulerSuite

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.machines import Kind
from dynamiccluster.embedded.site import Site
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.simulated import SimulatedScheduler


class HandClock:
    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s


class SimulatedHarness:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.site = Site(1, self.clock.now())
        self.queue = self.site.add_queue(CLUSTER)
        self.site.add_tenancy("t", {"small": Kind()})
        self.cloud = SimulatedCloud(self.site, "t", self.clock, CLUSTER)
        self.scheduler: Scheduler = SimulatedScheduler(self.site, self.clock, CLUSTER)
        self.ids: dict[str, str] = {}

    def boot(self, name: str) -> str:
        serial = next(SERIALS)
        (machine,) = self.cloud.launch(f"l{serial}", RESOURCE, [NodeSpec(f"n{serial}", name)])
        self.ids[name] = machine.instance_id
        return machine.address

    def resolve(self, name: str, address: str) -> None:
        """Not needed here."""

    def crash(self, name: str) -> None:
        self.cloud.terminate([self.ids[name]])

    def submit(self, shape: Shape, run_s: float) -> str:
        with self.site.at(self.clock):
            return self.queue.submit(JobRequest(shape, run_s))

    def hold_as_somebody(self, name: str, text: str) -> None:
        with self.site.at(self.clock):
            self.queue.hold(name, text)

    def wait(self, seconds: float) -> None:
        self.clock.elapsed_s += seconds * 20  # its machines take a minute to boot


class TestSimulated(SchedulerSuite):
    @pytest.fixture
    def harness(self) -> Harness:
        return SimulatedHarness()
