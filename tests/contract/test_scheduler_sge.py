"""The contract of schedulers on a real Grid Engine, and on the small one of the unit tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fake_sge import GUIDE, FakeSge, changes
from scheduler_suite import (
    CLUSTER,
    RESOURCE,
    SERIAL,
    SERIALS,
    Harness,
    SchedulerSuite,
    host,
    is_up,
    job,
    join,
    mark,
    runs,
    until,
)

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.errors import BusyError
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState, Shape, Wait
from dynamiccluster.model.resource import Reservation
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.sge.adapter import SgeScheduler
from dynamiccluster.testing.sge_bed import SgeBed, sge_bed, why_not


class SgeHarness:
    def __init__(self, bed: SgeBed) -> None:
        self.bed = bed
        self.scheduler: Scheduler = bed.scheduler(CLUSTER)
        self.names = bed.names(CLUSTER)
        self.machines: dict[str, tuple[LocalCloud, LaunchedInstance]] = {}
        self.resolved: set[str] = set()

    def boot(self, name: str) -> str:
        """A name that comes again must keep its address: qmaster remembers it for minutes."""
        serial = next(SERIALS)
        first = 10 * int(name.rpartition("-")[2])
        cloud = self.bed.cloud(CLUSTER, state=f"instances-{serial}", first=first)
        (machine,) = cloud.launch(f"l{serial}", RESOURCE, [NodeSpec(f"n{serial}", name)])
        self.machines[name] = (cloud, machine)
        return machine.address

    def resolve(self, name: str, address: str) -> None:
        self.names.add(name, address)
        self.resolved.add(name)

    def crash(self, name: str) -> None:
        cloud, machine = self.machines[name]
        cloud.terminate([machine.instance_id])
        self.bed.cut(machine.address)

    def submit(self, shape: Shape, run_s: float) -> str:
        slots = shape.chunk.cores * shape.chunks
        words = ["-q", ",".join(shape.queues), "-l", f"h_vmem={shape.chunk.memory_mib // shape.chunk.cores}M"]
        if slots > 1:
            words += ["-pe", f"per{shape.chunk.cores}" if shape.distinct else "smp", str(slots)]
        for group in shape.features:
            words += ["-l", group[0]]
        return self.bed.qsub(*words, script=f"sleep {run_s:g}")

    def hold_as_somebody(self, name: str, text: str) -> str:
        self.bed.run("qmod", "-d", f"*@{name}")
        return "disabled"  # nothing keeps the text

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def clear(self) -> None:
        """Leave the bed as it was before the test."""
        self.bed.cancel(*dict.fromkeys(job.job_id.partition(".")[0] for job in self.scheduler.poll().jobs))
        for name in self.machines:
            self.crash(name)
        for left in self.scheduler.poll().hosts:
            if not left.template:
                self.scheduler.evacuate(left.name, left.jobs, delete_jobs=True)
                self.scheduler.remove(left.name)
        for name in self.resolved:
            self.names.remove(name)


@pytest.fixture(scope="module")
def bed() -> Iterator[SgeBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with sge_bed("10.78.1.0/24") as running:
        yield running


@pytest.mark.system
@pytest.mark.timeout(180)
class TestSge(SchedulerSuite):
    @pytest.fixture
    def harness(self, bed: SgeBed) -> Iterator[Harness]:
        sge = SgeHarness(bed)
        sge.scheduler.declare([RESOURCE])
        yield sge
        sge.clear()


class FakeHarness:
    def __init__(self) -> None:
        self.sge = FakeSge()
        # with the guide's commands as they are printed
        self.scheduler: Scheduler = SgeScheduler(self.sge.runner, self.sge.clock, CLUSTER, templates=GUIDE)
        self.addresses = itertools.count(10)

    def boot(self, name: str) -> str:
        self.sge.boot(name)
        return f"10.77.1.{next(self.addresses)}"

    def resolve(self, name: str, address: str) -> None:
        self.sge.known_names.add(name)

    def crash(self, name: str) -> None:
        self.sge.crash(name)

    def submit(self, shape: Shape, run_s: float) -> str:
        slots = shape.chunk.cores * shape.chunks
        rule = ("per4" if shape.distinct else "smp") if slots > 1 else ""
        words = tuple((group[0], "TRUE") for group in shape.features)
        return self.sge.submit(slots, rule, run_s, resources=words, queues=shape.queues)

    def hold_as_somebody(self, name: str, text: str) -> str:
        self.sge.runner.run(("qmod", "-d", f"*@{name}"), timeout_s=1)
        return "disabled"

    def wait(self, seconds: float) -> None:
        self.sge.pass_time(seconds)


class TestFakeSge(SchedulerSuite):
    @pytest.fixture
    def harness(self) -> Harness:
        fake = FakeHarness()
        fake.scheduler.declare([RESOURCE])
        return fake

    # -- what Grid Engine alone gives reason for -------------------------------------------------------------

    def test_nothing_that_ends_qmaster_is_asked_for(self, harness: Harness) -> None:
        sge = of(harness)
        join(harness, "small-1")
        lost = harness.submit(SERIAL, 300)
        until(harness, runs(lost))
        harness.crash("small-1")
        harness.wait(1)
        harness.scheduler.evacuate("small-1", [lost], delete_jobs=True)
        assert sge.deadly == []
        assert not sge.jobs

    def test_a_dead_host_is_given_no_more_jobs(self, harness: Harness) -> None:
        join(harness, "small-1")
        lost = harness.submit(SERIAL, 300)
        until(harness, runs(lost))
        harness.crash("small-1")
        harness.scheduler.evacuate("small-1", [lost], delete_jobs=True)
        later = harness.submit(SERIAL, 300)
        harness.wait(2)
        found = job(harness.scheduler.poll(), later)
        assert found is not None
        assert found.state is JobState.PENDING

    def test_a_refused_removal_changes_nothing(self, harness: Harness) -> None:
        sge = of(harness)
        join(harness, "small-1")
        until(harness, runs(harness.submit(SERIAL, 300)))
        sge.runner.calls.clear()
        with pytest.raises(BusyError):
            harness.scheduler.remove("small-1")
        assert changes(sge) == []

    def test_a_machine_that_lives_on_does_not_come_back(self, harness: Harness) -> None:
        sge = of(harness)
        join(harness, "small-1")
        harness.scheduler.hold("small-1", mark("n1"))
        harness.scheduler.remove("small-1")
        harness.wait(3)
        assert host(harness.scheduler.poll(), "small-1") is None
        assert "small-1" not in (*sge.admin, *sge.groups["@allhosts"], *sge.queues["main"].slots)

    def test_after_a_restart_of_qmaster_nobody_is_dead(self, harness: Harness) -> None:
        join(harness, "small-1")
        of(harness).hosts["small-1"].heard_at = 1.0
        found = host(harness.scheduler.poll(), "small-1")
        assert found is not None
        assert found.state is HostState.UNKNOWN

    def test_a_node_for_one_queue_serves_no_other(self, harness: Harness) -> None:
        resource = replace(RESOURCE, reservation=Reservation(queue="long"))
        harness.scheduler.declare([resource])
        harness.resolve("long-1", "10.77.1.99")
        harness.scheduler.add("long-1", harness.boot("long-1"), resource)
        until(harness, is_up("long-1"))
        elsewhere = harness.submit(SERIAL, 300)
        here = harness.submit(replace(SERIAL, queues=("long",)), 300)
        view = until(harness, runs(here))
        waiting = job(view, elsewhere)
        assert waiting is not None
        assert waiting.state is JobState.PENDING

    def test_what_no_node_gives_is_no_demand(self, harness: Harness) -> None:
        sge = of(harness)
        held, odd, licence = (
            sge.submit(state="hqw"),
            sge.submit(resources=(("nowhere", "1"),)),
            sge.submit(resources=(("matlab", "2"),)),
        )
        harness.wait(2)
        waits = {found.job_id: found.wait for found in harness.scheduler.poll().jobs}
        assert waits == {held: Wait.NO, odd: Wait.NO, licence: Wait.NO}


def of(harness: Harness) -> FakeSge:
    assert isinstance(harness, FakeHarness)
    return harness.sge
