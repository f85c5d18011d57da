"""The contract of clouds on a real nova."""

from __future__ import annotations

import pytest
from cloud_suite import MOST, CloudSuite, Harness
from openstack_site import cloud

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.kit.clock import pause
from dynamiccluster.testing.openstack_bed import OpenstackBed

pytestmark = [pytest.mark.system, pytest.mark.openstack, pytest.mark.timeout(1500)]


class NovaHarness:
    """Two installations in one project."""

    def __init__(self, bed: OpenstackBed) -> None:
        bed.quota(instances=MOST)
        self.cloud: Cloud = cloud(bed, "ours")
        self.other: Cloud = cloud(bed, "theirs")

    def wait(self, seconds: float) -> None:
        pause(seconds)


class TestNova(CloudSuite):
    counts_late = True  # it counts what its conductor has written down

    @pytest.fixture
    def harness(self, openstack: OpenstackBed) -> Harness:
        return NovaHarness(openstack)
