"""The contract of schedulers on a real HTCondor, and on one that behaves as the real one was seen to."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from scheduler_suite import CLUSTER, RESOURCE, SERIALS, Harness, SchedulerSuite

from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.htcondor.adapter import HtcondorScheduler
from dynamiccluster.schedulers.htcondor.classads import Evaluator
from dynamiccluster.testing.htcondor_bed import HtcondorBed, htcondor_bed, why_not
from dynamiccluster.testing.htcondor_double import HtcondorDouble, Machine


def requirements(shape: Shape) -> str:
    groups = (" || ".join(f"TARGET.{word} =?= true" for word in group) for group in shape.features)
    return " && ".join(f"({group})" for group in groups) or "true"


class HtcondorHarness:
    def __init__(self, bed: HtcondorBed) -> None:
        self.bed = bed
        self.scheduler: Scheduler = bed.scheduler(CLUSTER)
        self.cloud = bed.cloud(CLUSTER)
        self.names = bed.names(CLUSTER)
        self.ids: dict[str, str] = {}

    def boot(self, name: str) -> str:
        serial = next(SERIALS)
        (machine,) = self.cloud.launch(f"l{serial}", RESOURCE, [NodeSpec(f"n{serial}", name)])
        self.ids[name] = machine.instance_id
        return machine.address

    def resolve(self, name: str, address: str) -> None:
        self.names.remove(name)
        self.names.add(name, address)

    def crash(self, name: str) -> None:
        self.cloud.terminate([self.ids[name]])
        self.names.remove(name)

    def submit(self, shape: Shape, run_s: float) -> str:
        words = [f"request_cpus = {shape.chunk.cores}", f"request_memory = {shape.chunk.memory_mib}"]
        if shape.features:
            words.append(f"requirements = {requirements(shape)}")
        if shape.chunks > 1:
            words += ["universe = parallel", f"machine_count = {shape.chunks}"]
        return self.bed.condor_submit(*words, script=f"sleep {run_s:g}")

    def hold_as_somebody(self, name: str, text: str) -> None:
        self.bed.run("inside", "condor_drain", "-reason", text, f"{name}.{self.bed.facts['domain']}")
        for _ in range(20):  # the collector hears of it a moment later
            if self.bed.hosts()[name].held:
                return
            time.sleep(0.25)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def clear(self) -> None:
        """Leave the bed as it was before the test."""
        jobs = [job.job_id for job in self.scheduler.poll().jobs]
        self.bed.cancel(*jobs)
        for job_id in jobs:
            self.bed.runner.run((self.bed.program("condor_rm"), "-forcex", job_id), timeout_s=30)
        self.cloud.terminate(list(self.ids.values()))
        for name in self.ids:
            self.names.remove(name)
        for host in self.scheduler.poll().hosts:
            self.bed.forget_host(host.name)


class DoubleHarness:
    """The same with machines and jobs in memory, and a time of their own."""

    def __init__(self) -> None:
        self.pool = HtcondorDouble()
        self.scheduler: Scheduler = HtcondorScheduler(
            self.pool, self.pool, CLUSTER, find_evaluator=lambda: Evaluator(None)
        )

    def boot(self, name: str) -> str:
        address = f"10.79.1.{next(SERIALS) % 200 + 10}"
        size = RESOURCE.capacity
        features = tuple(RESOURCE.features)
        machine = Machine(name, address, size.cores, size.memory_mib, features, began_at=self.pool.now())
        self.pool.machines[name] = machine
        return address

    def resolve(self, name: str, address: str) -> None:
        """Names are of no matter in memory."""

    def crash(self, name: str) -> None:
        self.pool.machines[name].alive = False

    def submit(self, shape: Shape, run_s: float) -> str:
        return self.pool.submit(
            run_s=run_s,
            cores=shape.chunk.cores,
            memory_mib=shape.chunk.memory_mib,
            machines=shape.chunks,
            requirements=requirements(shape),
            features=tuple(word for group in shape.features for word in group),
        )

    def hold_as_somebody(self, name: str, text: str) -> None:
        self.pool.machines[name].drained = text
        self.pool.wait(1)

    def wait(self, seconds: float) -> None:
        self.pool.wait(seconds)


class TestHtcondorDouble(SchedulerSuite):
    spreads_gangs = False

    @pytest.fixture
    def harness(self) -> Harness:
        double = DoubleHarness()
        double.scheduler.declare([RESOURCE])
        return double


@pytest.fixture(scope="module")
def bed() -> Iterator[HtcondorBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with htcondor_bed("10.79.1.0/24") as running:
        yield running


@pytest.mark.system
@pytest.mark.timeout(240)
class TestHtcondor(SchedulerSuite):
    spreads_gangs = False

    @pytest.fixture
    def harness(self, bed: HtcondorBed) -> Iterator[Harness]:
        htcondor = HtcondorHarness(bed)
        htcondor.scheduler.declare([RESOURCE])
        yield htcondor
        htcondor.clear()
