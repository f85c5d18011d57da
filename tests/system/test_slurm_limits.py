"""The service beside a real Slurm with slurmdbd: only as many nodes as limits, licences and GPUs let jobs use."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from rounds.service import Service, kind, running, until_declared
from slurm_harness import RELEASES, bed_or_skip

from dynamiccluster.testing.bed import JobState
from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("slurm-accounting")]
LIMITS = (
    ("account", "chem", "GrpTRES=cpu=4"),
    ("account", "phys"),
    ("account", "orga", "parent=chem"),
    ("qos", "two", "MaxJobsPerUser=2"),
    ("qos", "gpus", "GrpTRES=gres/gpu=2"),
)
"""Two cores per job, so that a limit of 4 cores lets two run."""


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.82.1.0/24", "--accounting") as made:
        for words in LIMITS:
            made.run("sacctmgr", "-iQ", "add", *words)
        for account in ("chem", "phys", "orga"):
            made.run("sacctmgr", "-iQ", "add", "user", "root", f"account={account}")
        made.run("sacctmgr", "-iQ", "modify", "user", "root", "set", "qos+=two,gpus")
        yield made


@pytest.fixture
def service(bed: SlurmBed, tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    """One node per job, idle for long enough that none leaves before the next poll."""
    resources = {"pair": kind(2, 2000, 8), "gpu": kind(2, 2000, 3, features=["gpu"], priority=9)}
    resources["gpu"]["capacity"] |= {"gpus": 2, "gpu_type": "a100"}
    with running(Service(bed, tmp_path, request.node.originalname[-12:].strip("_"), resources)) as made:
        until_declared(made)
        yield made


def ten(bed: SlurmBed, *words: str, count: int = 10, seconds: float = 6) -> list[str]:
    return [bed.sbatch("-c2", *words, wrap=f"sleep {seconds}") for _ in range(count)]


def at_most(service: Service, machines: int, jobs: list[str]) -> None:
    """Of these jobs two have run, and there never were more machines than that takes."""

    def over() -> bool:
        assert len(service.living) <= machines, service.scene()
        return sum(service.job(job_id).state is JobState.COMPLETED for job_id in jobs) >= 2

    service.until(over, 60, "two have run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-A", "chem"), ("limit GrpTRES cpu=4 of account chem", "AssocGrpCpuLimit")),
        (("-A", "orga"), ("limit GrpTRES cpu=4 of account chem", "AssocGrpCpuLimit")),  # the account above
        (("-A", "phys", "--qos=two"), ("limit MaxJobsPU=2 of QOS two", "QOSMaxJobsPerUserLimit")),
    ],
)
def test_of_ten_jobs_of_which_a_limit_lets_two_run_two_get_nodes(
    bed: SlurmBed, service: Service, words: tuple[str, ...], said: tuple[str, str]
) -> None:
    jobs = ten(bed, *words)
    service.until(lambda: len(service.living) == 2, 15, "two nodes")

    def explained() -> bool:
        summary = service.explain(jobs[-1])["summary"]  # ours, or Slurm's own once it has looked
        return "more nodes do not give" in summary and any(words in summary for words in said)

    service.until(explained, 15, f"the last job is told why: {service.explain(jobs[-1])}")
    at_most(service, 2, jobs)
    bed.cancel(*jobs)


def test_others_are_not_held_up_by_a_limit(bed: SlurmBed, service: Service) -> None:
    limited = ten(bed, "-A", "chem", count=6, seconds=30)
    free = ten(bed, "-A", "phys", count=3, seconds=1)
    service.until(lambda: len(service.living) == 5, 20, "five nodes")
    done = JobState.COMPLETED
    service.until(lambda: all(service.job(job_id).state is done for job_id in free), 60, "those without limit are done")
    bed.cancel(*limited)


def test_an_array_gets_nodes_for_the_tasks_that_may_run(bed: SlurmBed, service: Service) -> None:
    array = bed.sbatch("-c2", "-A", "chem", "-a", "1-10", wrap="sleep 5")
    service.until(lambda: len(service.living) == 2, 15, "two nodes")
    service.until(lambda: sum(job.state is JobState.COMPLETED for job in service.tasks(array)) >= 3, 60, "three ran")
    assert len(service.machines) == 2
    bed.cancel(array)


def test_a_licence_that_is_taken_launches_nothing(bed: SlurmBed, service: Service) -> None:
    jobs = ten(bed, "-A", "phys", "-L", "matlab:1", count=4, seconds=3)
    service.until(lambda: len(service.living) == 1, 15, "one node for the one licence")
    service.until(lambda: all(service.job(job_id).state is JobState.COMPLETED for job_id in jobs), 60, "one after one")
    assert len(service.machines) == 1


def test_gpus_in_every_wording_and_their_limit(bed: SlurmBed, service: Service) -> None:
    show = "echo $CUDA_VISIBLE_DEVICES"
    any_, typed, per_task = (
        bed.sbatch("-A", "phys", "--gpus=1", wrap=show),
        bed.sbatch("-A", "phys", "--gpus=a100:2", wrap=show),
        bed.sbatch("-A", "phys", "-n2", "--gpus-per-task=1", wrap=show),
    )
    done = JobState.COMPLETED
    wanted = (any_, typed, per_task)
    service.until(lambda: all(service.job(job_id).state is done for job_id in wanted), 60, "all ran")
    assert [len(bed.output_of(job_id).strip().split(",")) for job_id in wanted] == [1, 2, 2]
    assert {one.resource for one in service.machines} == {"gpu"}
    service.until(lambda: not service.living, 30, "they leave")
    before = len(service.machines)
    limited = ten(bed, "-A", "phys", "--qos=gpus", "--gpus=2", count=3, seconds=3)
    service.until(lambda: len(service.living) == 1, 15, "a node for the one job that the QOS lets run")
    assert "limit GrpTRES gres/gpu=2 of QOS gpus" in service.explain(limited[-1])["summary"]
    service.until(lambda: all(service.job(job_id).state is done for job_id in limited), 60, "one after one")
    assert len(service.machines) == before + 1
