"""The service as a process beside the LSF double: the rounds of every scheduler."""

from __future__ import annotations

import os
import pathlib
import random
from collections.abc import Iterator

import pytest
from rounds import faults
from rounds.mixed import resources, round_of_mixed_jobs
from rounds.races import lanes, race
from rounds.service import Service, running

from dynamiccluster.testing.bed import SWITCH
from dynamiccluster.testing.lsf_bed import LsfBed, lsf_bed

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("lsf-service")]


@pytest.fixture(scope="module")
def bed() -> Iterator[LsfBed]:
    if os.environ.get(SWITCH) != "1":
        pytest.skip(f"takes minutes: set {SWITCH}=1")
    with lsf_bed("10.80.12.0/24" if os.geteuid() == 0 else "") as made:
        yield made


@pytest.mark.parametrize("least", [0, 1])
def test_mixed_jobs_on_an_empty_cluster(bed: LsfBed, tmp_path: pathlib.Path, least: int) -> None:
    service = Service(bed, tmp_path, f"round{least}", resources(bed, least))
    assert not service.leftovers()
    with running(service):
        print(round_of_mixed_jobs(service, least))  # noqa: T201 - the measurement


def test_jobs_that_come_while_their_node_is_being_let_go(bed: LsfBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "races", lanes(bed, 3))
    with running(service):
        tally = race(service, 6, random.Random(1))
        assert tally.problems == []
        assert len(tally.waits_s) == 6
        print(f"{len(service.machines)} machines; {tally}")  # noqa: T201 - the measurement


@pytest.mark.parametrize("name", faults.FAULTS)
def test_faults_around_the_service(bed: LsfBed, tmp_path: pathlib.Path, name: str) -> None:
    print(faults.run(bed, tmp_path, name))  # noqa: T201 - the measurement
