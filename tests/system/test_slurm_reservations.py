"""The service beside a real Slurm: windows that nothing may start in, and jobs that come later, together or again."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rounds.service import Service, kind, running, until_declared
from slurm_harness import RELEASES, bed_or_skip

from dynamiccluster.errors import TransientError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource
from dynamiccluster.testing.bed import JobState
from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("slurm-reservations")]
PREEMPTION = """
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=urgent Nodes=nodes_main PriorityTier=10 PreemptMode=OFF State=UP
PartitionName=cheap Nodes=nodes_main PriorityTier=1 PreemptMode=REQUEUE State=UP
"""
DONE, WAITING, RUNNING = JobState.COMPLETED, JobState.WAITING, JobState.RUNNING


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.77.5.0/24") as made:
        with (made.prefix / "etc" / "slurm.conf").open("a") as conf:
            conf.write(PREEMPTION)
        made.stop_head()
        made.start_head()
        yield made


@pytest.fixture
def service(bed: SlurmBed, tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    resources = {
        "pair": kind(2, 2000, 4, features=["std"]),
        "big": kind(4, 4000, 1, features=["bigmem"], priority=2),
    }
    made = Service(bed, tmp_path, request.node.originalname[-12:].strip("_"), resources)
    with running(made):
        until_declared(made)
        yield made


@contextmanager
def reservation(bed: SlurmBed, name: str, start: str, *words: str, minutes: int = 10) -> Iterator[None]:
    window = (f"starttime={start}", f"duration={minutes}", "users=root")
    bed.run("scontrol", "create", "reservation", f"reservationname={name}", *window, *words)
    try:
        yield
    finally:
        bed.run("scontrol", "delete", f"reservationname={name}")


def watch(service: Service, seconds: float, machines: int) -> None:
    """For so long there are no more machines than so many."""
    end = time.monotonic() + seconds

    def over() -> bool:
        assert len(service.living) <= machines, service.scene()
        return time.monotonic() > end

    service.until(over, seconds + 5, "time passes")


def test_nothing_starts_that_would_run_into_a_maintenance_window(bed: SlurmBed, service: Service) -> None:
    with reservation(bed, "maint", "now+60minutes", "nodes=ALL", "flags=MAINT,IGNORE_JOBS"):
        wide = bed.sbatch("-N3", "-n3", "-c2", "-t", "58", wrap="true")  # 2 min are too few for nodes to come
        long = bed.sbatch("-t", "90", wrap="true")
        default = bed.sbatch(wrap="true")  # one day
        watch(service, 6, 0)
        for job_id in (wide, long, default):
            summary = service.explain(job_id)["summary"]
            assert "reservation maint" in summary or "Reserved for maintenance" in summary, summary
        assert any("which ends at" in service.explain(job_id)["summary"] for job_id in (wide, long, default))
        short = bed.sbatch("-t", "30", wrap="true")
        service.until(lambda: service.job(short).state is DONE, 40, "what ends in time is served")
        assert {one.resource for one in service.machines} == {"pair"}
        assert len(service.machines) == 1
    service.until(lambda: all(service.job(j).state is DONE for j in (wide, long, default)), 60, "all run without it")


def test_a_window_of_one_node_keeps_jobs_from_that_node_only(bed: SlurmBed, service: Service) -> None:
    first = bed.sbatch("-c2", wrap="sleep 15")
    service.until(lambda: service.job(first).state is RUNNING, 30, "a node")
    (host,) = service.job(first).hosts
    with reservation(bed, "one", "now+30minutes", f"nodes={host}", "flags=IGNORE_JOBS"):
        service.until(lambda: service.job(first).state is DONE, 30, "it is free")
        long = bed.sbatch("-c2", "-t", "60", wrap="true")
        service.until(lambda: service.job(long).state is DONE, 40, "the long one gets another node")
        assert service.job(long).hosts != (host,)
        service.until(lambda: service.living == [host], 30, "the other one leaves")
        watch(service, 8, 1)  # twice the idle limit
        assert service.living == [host]  # somebody wants it


def test_a_job_in_a_reservation_counts_while_it_is_in_force(bed: SlurmBed, service: Service) -> None:
    with reservation(bed, "later", "now+40", "nodes=ALL", "flags=IGNORE_JOBS"):
        inside = bed.sbatch("-c2", "--reservation=later", wrap="sleep 1")
        watch(service, 5, 0)
        assert (
            "has not begun" in service.explain(inside)["summary"] or "Reservation" in service.explain(inside)["summary"]
        )
        service.until(lambda: service.job(inside).state is DONE, 90, "it runs once the reservation has begun")
        assert len(service.machines) == 1
        outside = bed.sbatch("-c2", wrap="true")
        watch(service, 5, 1)
        assert service.job(outside).state is WAITING
    service.until(lambda: service.job(outside).state is DONE, 60, "the other runs after it")


def test_a_begin_time_counts_when_it_has_come(bed: SlurmBed, service: Service) -> None:
    job_id = bed.sbatch("--begin=now+10", wrap="true")
    submitted = time.monotonic()
    watch(service, 6, 0)
    service.until(lambda: bool(service.machines), 15, "its node is launched")
    assert 9 <= time.monotonic() - submitted <= 16
    service.until(lambda: service.job(job_id).state is DONE, 40, "it ran")


def test_components_get_nodes_together_or_not_at_all(bed: SlurmBed, service: Service) -> None:
    first = bed.sbatch("-C", "bigmem", "-c4", wrap="sleep 12")
    service.until(lambda: service.job(first).state is RUNNING, 40, "the only big node is in use")
    both = bed.sbatch("-c2", "-C", "std", ":", "-c4", "-C", "bigmem", wrap="hostname")
    watch(service, 6, 1)  # no node for the small component while there is none for the big one
    service.until(lambda: bool(bed.output_of(both)), 60, "both components run")
    assert sorted(one.resource for one in service.machines) == ["big", "pair"]


def test_a_node_that_is_planned_for_a_job_is_deleted_only_when_slurm_survives_it(bed: SlurmBed) -> None:
    """Without the service: slurmctld 22.05.8 dies if such a node goes before the next round of its backfill."""
    (head,) = bed.head_processes()
    scheduler, cloud = bed.scheduler("planned"), bed.cloud("planned", state="instances-planned")
    names = ["plan-00000001", "plan-00000002"]
    resource = Resource("plan", "local", "local", Capacity(2, 2000), max_nodes=2, features=frozenset({"plan"}))
    scheduler.declare([resource])
    specs = [NodeSpec(f"n-{name}", name) for name in names]
    for machine in cloud.launch("l-planned", resource, specs):
        scheduler.add(machine.host_name, machine.address, resource)
    try:
        _until(lambda: sum(host.up for host in bed.hosts().values()) == 2, "both are up")
        busy = bed.sbatch("-C", "plan", "-c2", "-t", "5", wrap="sleep 300")
        pair = bed.sbatch("-C", "plan", "-N2", "-n2", "-c2", wrap="true")
        _until(lambda: any("PLANNED" in host.word for host in bed.hosts().values()), "one waits for the other")
        bed.cancel(busy, pair)
        (planned,) = (name for name, host in bed.hosts().items() if "PLANNED" in host.word)
        scheduler.hold(planned, f"dynamiccluster:planned:{planned}")
        with pytest.raises(TransientError, match="would end slurmctld"):
            scheduler.remove(planned)
        _until(lambda: "PLANNED" not in bed.hosts()[planned].word, "the next round has come")
        scheduler.remove(planned)
        end = time.monotonic() + 7  # longer than from one round to the next
        _until(lambda: time.monotonic() > end, "another round")
        assert bed.head_processes() == [head]
    finally:
        bed.cancel(*(job.job_id for job in bed.jobs() if job.state in (WAITING, RUNNING)))
        cloud.terminate([instance.instance_id for instance in cloud.list_instances().instances])
        for name in bed.hosts():
            bed.forget_host(name)


def _until(holds: Callable[[], bool], what: str, limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.3)


def test_a_preempted_job_is_demand_again_and_launches_once(bed: SlurmBed, service: Service) -> None:
    cheap = [bed.sbatch("-p", "cheap", "-c2", "--requeue", wrap="sleep 8") for _ in range(4)]
    service.until(lambda: all(service.job(job_id).state is RUNNING for job_id in cheap), 40, "the cluster is full")
    urgent = bed.sbatch("-p", "urgent", "-c2", "-C", "std", wrap="sleep 1")
    service.until(lambda: service.job(urgent).state is DONE, 40, "the urgent one takes a place")
    service.until(lambda: all(service.job(job_id).state is DONE for job_id in cheap), 60, "all have run")
    assert len(service.restarts) == 1
    assert service.restarts < set(cheap)
    assert len(service.machines) <= 5  # the four pairs, and one node for the job that lost its place


def test_a_requeued_job_on_hold_is_no_demand(bed: SlurmBed, service: Service) -> None:
    job_id = bed.sbatch("-c2", "--requeue", wrap="sleep 2")
    service.until(lambda: service.job(job_id).state is RUNNING, 40, "it runs")
    bed.run("scontrol", "requeuehold", job_id)
    service.until(lambda: service.job(job_id).state is WAITING, 20, "it is back")
    service.until(lambda: not service.living, 30, "its node leaves")
    watch(service, 4, 0)
    bed.run("scontrol", "release", job_id)
    service.until(lambda: service.job(job_id).state is DONE, 60, "released, it gets a node")
