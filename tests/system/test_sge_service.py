"""The service as a process beside a real Grid Engine: the rounds of every scheduler."""

from __future__ import annotations

import pathlib
import random
from collections.abc import Iterator

import pytest
from rounds.mixed import resources, round_of_mixed_jobs
from rounds.races import lanes, race
from rounds.service import Service, running

from dynamiccluster.testing.sge_bed import SgeBed, sge_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("sge-service")]


@pytest.fixture(scope="module")
def bed() -> Iterator[SgeBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with sge_bed("10.78.4.0/24") as made:
        yield made


@pytest.mark.parametrize("least", [0, 1])
def test_mixed_jobs_on_an_empty_cluster(bed: SgeBed, tmp_path: pathlib.Path, least: int) -> None:
    service = Service(bed, tmp_path, f"round{least}", resources(bed, least))
    assert not service.leftovers()
    with running(service):
        print(round_of_mixed_jobs(service, least))  # noqa: T201 - the measurement


def test_jobs_that_come_while_their_node_is_being_let_go(bed: SgeBed, tmp_path: pathlib.Path) -> None:
    service = Service(bed, tmp_path, "races", lanes(bed, 3))
    with running(service):
        tally = race(service, 6, random.Random(1))
        assert tally.problems == []
        assert len(tally.waits_s) == 6
        print(f"{len(service.machines)} machines; {tally}")  # noqa: T201 - the measurement
