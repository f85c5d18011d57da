"""Everything around the service fails, beside a real HTCondor: its central manager, its daemons, its answers."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from rounds import faults

from dynamiccluster.testing.htcondor_bed import HtcondorBed, htcondor_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("htcondor-faults")]


@pytest.fixture(scope="module")
def bed() -> Iterator[HtcondorBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with htcondor_bed("10.79.6.0/24") as made:
        yield made


@pytest.mark.parametrize("name", faults.FAULTS)
def test_ends_in_a_sane_cluster(bed: HtcondorBed, tmp_path: pathlib.Path, name: str) -> None:
    print(faults.run(bed, tmp_path, name))  # noqa: T201 - the measurement
