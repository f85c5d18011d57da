"""Every shape of job on nodes that the Slurm adapter and the local cloud made, on a real Slurm that begins empty."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from slurm_harness import RELEASES, bed_or_skip

from dynamiccluster.errors import BadConfigError, DynamicClusterError, TransientError
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.job import JobState, Wait
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler
from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
CLUSTER = "system"
SMALL = Resource("small", "local", "local", Capacity(4, 4000), max_nodes=4, features=frozenset({"std"}))
BIG = Resource("big", "local", "local", Capacity(8, 16000), max_nodes=2, features=frozenset({"bigmem"}))
LONG = Resource("long", "local", "local", Capacity(2, 2000), max_nodes=2, reservation=Reservation(queue="long"))


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.77.3.0/24") as running:
        yield running


@pytest.fixture
def nodes(bed: SlurmBed) -> Iterator[Nodes]:
    made = Nodes(bed)
    yield made
    jobs = [job.job_id for job in made.scheduler.poll().jobs]
    if jobs:
        bed.run("scancel", *jobs)
    made.end()


class Nodes:
    """What the engine would do, without its thinking."""

    def __init__(self, bed: SlurmBed) -> None:
        self.scheduler = bed.scheduler(CLUSTER)
        self.cloud = bed.cloud(CLUSTER)
        self.launches = 0

    def start(self, resource: Resource, count: int) -> None:
        stamp = f"{resource.name}-{os.getpid()}-{time.monotonic_ns()}"
        specs = [NodeSpec(f"n-{stamp}-{at}", f"{resource.name}-{at:08d}") for at in range(count)]
        for machine in self.cloud.launch(f"l-{stamp}", resource, specs):
            self.scheduler.add(machine.host_name, machine.address, resource)

    def end(self) -> None:
        """Hold, look again, remove, terminate, look again."""
        names = [host.name for host in self.scheduler.poll().hosts if not host.template]
        for name in names:
            self.scheduler.hold(name, f"dynamiccluster:{CLUSTER}:{name}")
        until(self.scheduler, lambda view: not any(host.busy for host in view.hosts))
        for name in names:
            self.scheduler.remove(name)
        self.cloud.terminate([instance.instance_id for instance in self.cloud.list_instances().instances])
        assert not [host for host in self.scheduler.poll().hosts if not host.template]
        for _ in range(50):
            if all(instance.state is InstanceState.GONE for instance in self.cloud.list_instances().instances):
                return
            time.sleep(0.1)
        raise AssertionError(self.cloud.list_instances())


def until(scheduler: SlurmScheduler, holds: Callable[[SchedulerView], bool], limit_s: float = 90) -> SchedulerView:
    end = time.monotonic() + limit_s
    while True:
        view = scheduler.poll()
        if holds(view):
            return view
        assert time.monotonic() < end, view
        time.sleep(0.5)


def all_up(count: int) -> Callable[[SchedulerView], bool]:
    return lambda view: sum(host.state is HostState.UP for host in view.hosts if not host.template) == count


def test_twenty_mixed_jobs_run_on_an_empty_cluster(bed: SlurmBed, nodes: Nodes) -> None:
    nodes.scheduler.declare([SMALL, BIG, LONG])
    runnable = {
        bed.sbatch("-J", "serial", wrap="hostname"): 1,
        bed.sbatch("-J", "serial2", "-c2", wrap="sleep 1"): 0,
        bed.sbatch("-J", "tasks", "-n6", wrap="srun hostname"): 6,
        bed.sbatch("-J", "multi", "-N2", "-n4", wrap="srun hostname"): 4,
        bed.sbatch("-J", "multi3", "-N3", "--ntasks-per-node=1", wrap="srun hostname"): 3,
        bed.sbatch("-J", "exclusive", "--exclusive", "-N2", "-n2", wrap="srun hostname"): 2,
        bed.sbatch("-J", "memory", "--mem=3500", wrap="hostname"): 1,
        bed.sbatch("-J", "memory-per-cpu", "-c2", "--mem-per-cpu=1500", wrap="hostname"): 1,
        bed.sbatch("-J", "whole-memory", "--mem=0", wrap="hostname"): 1,
        bed.sbatch("-J", "feature", "-C", "bigmem", wrap="hostname"): 1,
        bed.sbatch("-J", "either", "-C", "std|bigmem", wrap="hostname"): 1,
        bed.sbatch("-J", "big", "-c8", "--mem=12000", wrap="hostname"): 1,
        bed.sbatch("-J", "queue", "-p", "long", wrap="hostname"): 1,
        bed.sbatch("-J", "licence", "-L", "matlab:1", wrap="hostname"): 1,
        bed.sbatch("-J", "new\nline|and|bars", wrap="hostname"): 1,
        bed.sbatch("-J", "soon", "--begin=now+10", wrap="hostname"): 1,
    }
    array = bed.sbatch("-J", "array", "-a", "0-5%2", wrap="sleep 1")
    first = bed.sbatch("-J", "first", wrap="sleep 2")
    after = bed.sbatch("-J", "after", "-d", f"afterok:{first}", wrap="hostname")
    held = bed.sbatch("-J", "held", "-H", wrap="hostname")
    view = until(nodes.scheduler, lambda view: not any(job.reason == "None" for job in view.jobs))
    assert len(view.jobs) == 20
    by_id = {job.job_id: job for job in view.jobs}
    assert by_id[held].wait is Wait.NO
    assert by_id[after].wait is Wait.NO
    assert (by_id[array].tasks, by_id[array].throttle) == (6, 2)
    soon = next(job for job in view.jobs if job.name == "soon")
    assert soon.wait is Wait.NOT_YET
    assert soon.eligible_at > soon.submitted_at
    others = [job for job in view.jobs if job.job_id not in (held, after, soon.job_id)]
    assert {job.name for job in others if job.wait is not Wait.HELPS} == set()

    for resource, count in ((SMALL, 3), (BIG, 1), (LONG, 1)):
        nodes.start(resource, count)
    until(nodes.scheduler, all_up(5), 30)
    until(nodes.scheduler, lambda view: {job.job_id for job in view.jobs} == {held}, 150)
    states = bed.completed()
    for job_id, lines in runnable.items():
        assert states[job_id] == "COMPLETED", (job_id, bed.output_of(job_id))
        assert len(bed.output_of(job_id).splitlines()) == lines, bed.output_of(job_id)
    assert states[after] == "COMPLETED"
    spread = next(job_id for job_id in runnable if states[job_id] and runnable[job_id] == 3)
    assert len(set(bed.output_of(spread).split())) == 3


def test_a_node_that_registers_by_itself_is_put_right(bed: SlurmBed, nodes: Nodes) -> None:
    nodes.scheduler.declare([LONG])
    spool, conf = bed.prefix / "spool", bed.facts["slurm_conf"]
    start = f"mkdir -p {spool}/{{name}}; SLURM_CONF={conf} exec {bed.prefix}/bin/machine slurmd -D -b -Z -N {{name}}"
    nodes.cloud = bed.cloud(CLUSTER, worker_command=["/bin/sh", "-c", start])
    (machine,) = nodes.cloud.launch(f"l-{time.monotonic_ns()}", LONG, [NodeSpec("n1", "self-00000000")])
    until(nodes.scheduler, all_up(1), 30)
    nodes.scheduler.add(machine.host_name, machine.address, LONG)
    host = nodes.scheduler.find("self-00000000")
    assert host is not None
    assert "long" in host.queues
    assert "main" not in host.queues
    job = bed.sbatch("-p", "long", wrap="hostname")
    until(nodes.scheduler, lambda view: not view.jobs)
    assert bed.output_of(job).strip() == "self-00000000"


def test_a_leftover_under_the_same_name_is_corrected(bed: SlurmBed, nodes: Nodes) -> None:
    nodes.scheduler.add("left-00000000", "10.77.3.200", SMALL)
    nodes.scheduler.add("left-00000000", "10.77.3.201", BIG)
    host = nodes.scheduler.find("left-00000000")
    assert host is not None
    assert (host.total, host.address, host.state) == (BIG.capacity, "10.77.3.201", HostState.JOINING)
    assert "bigmem" in host.features


def test_slurm_that_has_no_room_or_no_such_gpus_is_found_out(bed: SlurmBed, nodes: Nodes) -> None:
    with contextlib.suppress(DynamicClusterError):  # 24.11 says that there is no room, 22.05 does not
        bed.run("scontrol", "create", "nodename=filler-[1-1000]", "state=FUTURE", "CPUs=1")
    try:
        with pytest.raises(BadConfigError, match="MaxNodeCount"):
            nodes.scheduler.add("late-00000000", "10.77.3.202", SMALL)
        with pytest.raises(BadConfigError, match="MaxNodeCount"):
            nodes.scheduler.declare([replace(SMALL, capacity=Capacity(3, 3000))])
    finally:
        names = [host.name for host in nodes.scheduler.poll().hosts if host.name.startswith("filler-")]
        bed.run("scontrol", "delete", f"nodename={','.join(names)}")


def test_a_dead_worker_is_seen_by_cloud_and_scheduler(bed: SlurmBed, nodes: Nodes) -> None:
    nodes.start(SMALL, 1)
    until(nodes.scheduler, all_up(1), 30)
    (instance,) = [
        instance for instance in nodes.cloud.list_instances().instances if instance.state is InstanceState.ACTIVE
    ]
    again = bed.cloud(CLUSTER)  # a service that was started anew
    assert [found for found in again.list_instances().instances if found.state is InstanceState.ACTIVE] == [instance]
    pid = int((bed.prefix / "instances" / f"{instance.instance_id}.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    found = next(i for i in nodes.cloud.list_instances().instances if i.instance_id == instance.instance_id)
    assert found.state is InstanceState.STOPPED
    until(nodes.scheduler, lambda view: any(h.state is HostState.DOWN for h in view.hosts if not h.template), 60)


def test_without_slurmctld_a_poll_fails_and_says_so(bed: SlurmBed, nodes: Nodes) -> None:
    nodes.scheduler.declare([SMALL])
    pid = int((bed.prefix / "run" / "slurmctld.pid").read_text())
    os.kill(pid, signal.SIGSTOP)  # it hangs: worse than being dead
    try:
        with pytest.raises((TransientError, DynamicClusterError), match=r"contact|timed out|did not end"):
            nodes.scheduler.poll()
    finally:
        os.kill(pid, signal.SIGCONT)
    until(nodes.scheduler, lambda view: not any(job.state is JobState.UNKNOWN for job in view.jobs))


@pytest.mark.parametrize("release", RELEASES)
def test_nothing_is_left_of_a_bed(release: str) -> None:
    with bed_or_skip(release, "10.77.9.0/24") as bed:
        nodes = Nodes(bed)
        nodes.start(SMALL, 2)
        namespace = str(bed.facts["namespace"])
        listed = SubprocessRunner().run(("ip", "netns", "list"), timeout_s=10).stdout
        assert listed.count(namespace) == 3
    listed = SubprocessRunner().run(("ip", "netns", "list"), timeout_s=10).stdout
    assert namespace not in listed
    assert not bed.prefix.exists()
