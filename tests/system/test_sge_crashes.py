"""``kill -9`` of the service, wherever it is, beside a real Grid Engine."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from rounds.kills import GENERAL, RESOURCES, SOME_STEPS, at_step, first_telling, live_through
from rounds.service import Service

from dynamiccluster.testing.sge_bed import SgeBed, sge_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(300), pytest.mark.xdist_group("sge-crashes")]


@pytest.fixture(scope="module")
def bed() -> Iterator[SgeBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with sge_bed("10.78.5.0/24") as made:
        yield made


@pytest.mark.parametrize("step", SOME_STEPS)
def test_killed_at_a_step(bed: SgeBed, tmp_path: pathlib.Path, step: str) -> None:
    service = Service(bed, tmp_path, f"kill{SOME_STEPS.index(step)}", RESOURCES, GENERAL)
    assert live_through(service, at_step(step, first_telling(step))), "it did not come to this step"
