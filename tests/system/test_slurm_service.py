"""The service as a process beside a real Slurm: jobs come, the cluster grows and shrinks, and nothing is left."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator

import pytest
from rounds.mixed import resources, round_of_mixed_jobs
from rounds.races import lanes, race
from rounds.service import Service, kind, running, until_declared
from slurm_harness import RELEASES, bed_or_skip

from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.77.4.0/24") as made:
        yield made


@pytest.mark.parametrize("least", [0, 1])
def test_mixed_jobs_on_an_empty_cluster(bed: SlurmBed, tmp_path: pathlib.Path, least: int) -> None:
    service = Service(bed, tmp_path, f"round{least}", resources(bed, least))
    assert not service.leftovers()
    with running(service):
        print(round_of_mixed_jobs(service, least))  # noqa: T201 - the measurement


def test_nodes_whose_job_was_cancelled_leave_without_ever_having_worked(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "unused", {"pair": kind(2, 1000, 3)}, {"nomination_s": 120})
    with running(service):
        until_declared(service)
        job_id = bed.sbatch("-N2", "-n2", wrap="true")
        service.until(lambda: len(service.machines) == 2, 15, "two are launched")
        bed.cancel(job_id)
        service.until(lambda: sum(host.up for host in bed.hosts().values()) == 2, 20, "both join")
        service.until(lambda: not service.leftovers(), 20, "both leave after the idle limit of 4 s")
        assert service.job(job_id).word == "CANCELLED"


def test_jobs_that_come_while_their_node_is_being_let_go(bed: SlurmBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "races", lanes(bed, 4))
    with running(service):
        tally = race(service, 10, random.Random(1))
        assert tally.problems == []
        assert len(tally.waits_s) == 10
        print(f"{len(service.machines)} machines; {tally}")  # noqa: T201 - the measurement
