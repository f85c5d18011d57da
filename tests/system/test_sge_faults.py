"""Everything around the service fails, beside a real Grid Engine: its qmaster, its daemons, its answers, our store."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from rounds import faults

from dynamiccluster.testing.sge_bed import SgeBed, sge_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(300), pytest.mark.xdist_group("sge-faults")]


@pytest.fixture(scope="module")
def bed() -> Iterator[SgeBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with sge_bed("10.78.6.0/24") as made:
        yield made


@pytest.mark.parametrize("name", faults.FAULTS)
def test_ends_in_a_sane_cluster(bed: SgeBed, tmp_path: pathlib.Path, name: str) -> None:
    print(faults.run(bed, tmp_path, name))  # noqa: T201 - the measurement
