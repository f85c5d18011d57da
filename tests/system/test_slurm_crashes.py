"""``kill -9`` of the service, wherever it is, beside a real Slurm."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from rounds.kills import GENERAL, RESOURCES, SOME_STEPS, at_step, first_telling, live_through
from rounds.service import Service
from slurm_harness import RELEASES, bed_or_skip, on_both

from dynamiccluster.testing.slurm_bed import SlurmBed

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=RELEASES)
def bed(request: pytest.FixtureRequest) -> Iterator[SlurmBed]:
    with bed_or_skip(request.param, "10.77.5.0/24") as made:
        yield made


@on_both("step", SOME_STEPS, newer=("before-commit", "after-call:launch", "before-record"))
def test_killed_at_a_step(bed: SlurmBed, tmp_path: pathlib.Path, step: str) -> None:
    service = Service(bed, tmp_path, f"kill{SOME_STEPS.index(step)}", RESOURCES, GENERAL)
    assert live_through(service, at_step(step, first_telling(step))), "it did not come to this step"
