"""The service as a process beside a real Slurm: jobs come, the cluster grows and shrinks, and nothing is left.

What is asserted is read from Slurm, the kernel and the cloud's own files; the service is asked for reasons only.
"""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from slurm_races import lanes, race
from slurm_service import (
    Service,
    most_at_once,
    namespaces_of,
    nodes_of,
    running,
    until_declared,
    worker_processes,
)

from dynamiccluster.testing.slurm_bed import SlurmBed, slurm_bed, why_not

OLD = "dc-template-feedface-0001"
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def bed() -> Iterator[SlurmBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with slurm_bed("10.77.4.0/24") as made:
        yield made


def kind(cores: int, memory_mib: int, most: int, least: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "quantity": {"min": least, "max": most},
        "capacity": {"cores": cores, "memory_mib": memory_mib},
        **more,
    }


# -- the round ---------------------------------------------------------------------------------------


def submit_twenty(bed: SlurmBed) -> tuple[dict[str, str], dict[str, str]]:
    """Names of the jobs that can run, and of those that cannot, by id."""

    def submit(name: str, *words: str, wrap: str = "srun hostname") -> str:
        return bed.sbatch("-J", name, *words, wrap=wrap)

    runs = {
        submit("serial", wrap="hostname"): "serial",
        submit("threads", "-c2", wrap="sleep 2"): "threads",
        submit("tasks", "-n6"): "tasks",
        submit("multi", "-N2", "-n4"): "multi",
        submit("multi3", "-N3", "--ntasks-per-node=1"): "multi3",
        submit("exclusive", "--exclusive", "-N2", "-n2"): "exclusive",
        submit("memory", "--mem=3500", wrap="hostname"): "memory",
        submit("memory-per-cpu", "-c2", "--mem-per-cpu=1500"): "memory-per-cpu",
        submit("whole-memory", "--mem=0", wrap="hostname"): "whole-memory",
        submit("feature", "-C", "bigmem", wrap="hostname"): "feature",
        submit("either", "-C", "std|bigmem", wrap="hostname"): "either",
        submit("large", "-c8", "--mem=12000", wrap="hostname"): "large",
        submit("long", "-p", "long", wrap="hostname"): "long",
        submit("licence", "-L", "matlab:1", wrap="sleep 1"): "licence",
        submit("new\nline|and|bars", wrap="hostname"): "hostile",
        submit("array", "-a", "0-5%2", wrap="sleep 1"): "array",
        submit("first", wrap="sleep 2"): "first",
    }
    first = next(job_id for job_id, name in runs.items() if name == "first")
    runs[submit("after", "-d", f"afterok:{first}", wrap="hostname")] = "after"
    held = submit("held", "-H", wrap="hostname")
    return runs, {held: "held", submit("after-held", "-d", f"afterok:{held}", wrap="hostname"): "after-held"}


@pytest.mark.parametrize("least", [0, 1])
def test_twenty_jobs_on_an_empty_cluster(bed: SlurmBed, tmp_path: pathlib.Path, least: int) -> None:
    resources = {
        "small": kind(4, 4000, 4, least, features=["std"], queues=["main"], priority=1),
        "big": kind(8, 16000, 2, features=["bigmem"], queues=["main"], priority=2),
        "long": kind(2, 2000, 2, reservation={"queue": "long"}, priority=3),
    }
    service = Service(bed, tmp_path, f"round{least}", resources)
    assert not service.leftovers()
    with running(service):
        until_declared(service)
        service.until(lambda: len(idle(bed)) == least, 40, "the minimum is there")
        runs, stays = submit_twenty(bed)
        assert len(runs) + len(stays) == 20
        # as if an earlier configuration had had such a resource: sbatch accepts what nobody can run
        bed.run(
            "scontrol", "create", f"nodename={OLD}", "state=FUTURE", "CPUs=64", "RealMemory=9000", "Feature=queue_main"
        )
        stays[never := bed.sbatch("-c", "64", wrap="hostname")] = "never"
        took_s = service.until(lambda: service.waiting_or_running() == set(stays), 150, "all that can run has ended")
        wrong = {
            runs[job.get("ArrayJobId", job_id)]: job["JobState"]
            for job_id, job in service.seen.items()
            if job.get("ArrayJobId", job_id) in runs and job["JobState"] != "COMPLETED"
        }
        assert wrong == {}
        assert {job.get("ArrayJobId", job_id) for job_id, job in service.seen.items()} == {*runs, *stays}
        by_name = {name: job_id for job_id, name in runs.items()}
        assert len(set(bed.output_of(by_name["multi3"]).split())) == 3
        assert len(bed.output_of(by_name["tasks"]).split()) == 6
        assert sum(job.get("ArrayJobId") == by_name["array"] for job in service.seen.values()) == 6

        held = next(job_id for job_id, name in stays.items() if name == "held")
        assert "JobHeldUser" in explain(service, held)["summary"]
        answer = explain(service, never)
        assert "never" in answer["summary"]
        assert set(answer["refusals"]) == set(resources), answer
        bed.run("scancel", never)
        bed.run("scontrol", "delete", f"nodename={OLD}")

        def at_minimum() -> bool:
            there = (len(nodes_of(bed)), len(namespaces_of(bed)), len([m for m in service.machines if not m.ended_at]))
            return there == (least, least, least) and (least > 0 or not worker_processes(bed))

        shrank_s = service.until(at_minimum, 60, "back at its minimum")
        assert service.waiting_or_running() == set(stays) - {never}
        most = {name: most_at_once(service.machines, name) for name in resources}
        assert all(0 < number <= resources[name]["quantity"]["max"] for name, number in most.items()), most
        assert not service.restarts
        waits_s = [round(wait_s) for wait_s in service.waits_s()]
        print(f"all ended after {took_s:.0f} s, minimum {shrank_s:.0f} s later; waits {waits_s}; most nodes {most}")  # noqa: T201 - the measurement


def idle(bed: SlurmBed) -> list[str]:
    return [name for name, node in nodes_of(bed).items() if node["State"].startswith("IDLE")]


def explain(service: Service, job_id: str) -> dict[str, Any]:
    """What ``dynamiccluster explain`` is told."""
    answer: dict[str, Any] = service.client.get("api", "v1", "jobs", job_id)["answer"]
    return answer


def test_nodes_whose_job_was_cancelled_leave_without_ever_having_worked(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "unused", {"pair": kind(2, 1000, 3)}, {"nomination_s": 120})
    with running(service):
        until_declared(service)
        job_id = bed.sbatch("-N2", "-n2", wrap="true")
        service.until(lambda: len(service.machines) == 2, 15, "two are launched")
        bed.run("scancel", job_id)
        service.until(lambda: len(idle(bed)) == 2, 20, "both join")
        service.until(lambda: not service.leftovers(), 20, "both leave after the idle limit of 4 s")
        assert service.seen[job_id]["JobState"] == "CANCELLED"


# -- races -------------------------------------------------------------------------------------------


def test_jobs_that_come_while_their_node_is_being_let_go(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "races", lanes(4))
    with running(service):
        until_declared(service)
        tally = race(service, 10, random.Random(1))
        assert tally.problems == []
        assert len(tally.waits_s) == 14
        waits_s = sorted(round(wait_s, 1) for wait_s in tally.waits_s)
        print(f"{len(service.machines)} machines; met {dict(tally.met)}; sbatch to end {waits_s}")  # noqa: T201 - the measurement
