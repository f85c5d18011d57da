"""The contract of clouds on processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_suite import MOST, RESOURCE, SERIALS, CloudSuite, Harness, specs

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.testing.slurm_bed import SlurmBed, slurm_bed, why_not


class LocalHarness:
    """Processes without networks of their own: needs no root."""

    def __init__(self, directory: Path) -> None:
        def cloud(cluster_id: str) -> Cloud:
            return LocalCloud(
                SubprocessRunner(),
                SystemClock(),
                cluster_id,
                "t",
                state_dir=str(directory),
                worker_command=["/bin/sh", "-c", "echo this is {name} with {cores} cores; exec sleep 600"],
                max_instances=MOST,
            )

        self.cloud = cloud("ours")
        self.other = cloud("theirs")

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def clear(self) -> None:
        for cloud in (self.cloud, self.other):
            cloud.terminate([instance.instance_id for instance in cloud.list_instances().instances])


class BedHarness(LocalHarness):
    """Workers of a real Slurm, each in a network namespace of its own."""

    def __init__(self, bed: SlurmBed) -> None:
        state = f"instances-{next(SERIALS)}"
        self.cloud = bed.cloud("ours", max_instances=MOST, state=state)
        self.other = bed.cloud("theirs", max_instances=MOST, state=state)


@pytest.fixture(scope="module")
def bed() -> Iterator[SlurmBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with slurm_bed("10.77.2.0/24") as running:
        yield running


class TestLocal(CloudSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[Harness]:
        local = LocalHarness(tmp_path)
        yield local
        local.clear()

    def test_the_list_says_in_which_offering_a_machine_is(self, harness: Harness) -> None:
        harness.cloud.launch("launch-1", RESOURCE, specs("small-a"))
        assert [one.offering for one in harness.cloud.list_instances().instances] == [RESOURCE.offering]


@pytest.mark.system
class TestLocalWithNetworks(CloudSuite):
    @pytest.fixture
    def harness(self, bed: SlurmBed) -> Iterator[Harness]:
        local = BedHarness(bed)
        yield local
        local.clear()
