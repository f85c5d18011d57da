"""``kill -9`` of the service, wherever it is, beside the LSF double."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest
from rounds.kills import GENERAL, RESOURCES, SOME_STEPS, at_step, first_telling, live_through
from rounds.service import Service

from dynamiccluster.testing.bed import SWITCH
from dynamiccluster.testing.lsf_bed import LsfBed, lsf_bed

pytestmark = [pytest.mark.system, pytest.mark.timeout(300), pytest.mark.xdist_group("lsf-crashes")]


@pytest.fixture(scope="module")
def bed() -> Iterator[LsfBed]:
    if os.environ.get(SWITCH) != "1":
        pytest.skip(f"takes minutes: set {SWITCH}=1")
    with lsf_bed("10.80.13.0/24" if os.geteuid() == 0 else "") as made:
        yield made


@pytest.mark.parametrize("step", SOME_STEPS)
def test_killed_at_a_step(bed: LsfBed, tmp_path: pathlib.Path, step: str) -> None:
    service = Service(bed, tmp_path, f"kill{SOME_STEPS.index(step)}", RESOURCES, GENERAL)
    assert live_through(service, at_step(step, first_telling(step))), "it did not come to this step"
