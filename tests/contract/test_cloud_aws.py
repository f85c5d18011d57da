"""The contract of clouds on EC2, as moto and a behaving wrapper around it have it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs
from ec2_site import VCPUS, Ec2Site, Fault, ec2_site

from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.build import build
from dynamiccluster.clouds.base import AllOrNothing, Cloud
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.errors import CapacityError, UnknownOutcomeError
from dynamiccluster.kit.clock import SystemClock

BASE = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "instance_type": "c5.large",
}


def keys(site: Ec2Site, **more: Any) -> dict[str, Any]:
    return dict(AwsConfig.model_validate(BASE | {"endpoint_url": site.url} | more))


def cloud(site: Ec2Site, cluster_id: str = "ours", **more: Any) -> AwsCloud:
    return build("t", {"small": keys(site, **more)}, cluster_id, SystemClock())


@pytest.fixture
def site() -> Iterator[Ec2Site]:
    with ec2_site() as running:
        yield running


class AwsHarness:
    def __init__(self, site: Ec2Site) -> None:
        site.boot_s, site.stop_s, site.most_vcpus = 0.2, 0.2, MOST * VCPUS
        self.cloud: Cloud = cloud(site, "ours")
        self.other: Cloud = cloud(site, "theirs")

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class TestAws(CloudSuite):
    @pytest.fixture
    def harness(self, site: Ec2Site) -> Harness:
        return AwsHarness(site)


def test_a_lost_reply_is_an_unknown_outcome_and_the_same_launch_finds_its_machine(site: Ec2Site) -> None:
    ours = cloud(site)
    site.faults.append(Fault("RunInstances", "lost", times=1))
    with pytest.raises(UnknownOutcomeError):
        ours.launch("l", RESOURCE, specs("a-1"))
    (found,) = ours.list_instances().instances
    assert found.host_name == "a-1"
    (again,) = ours.launch("l", RESOURCE, specs("a-1"))
    assert again.instance_id == found.instance_id


def test_machines_that_are_of_use_only_together_come_together_or_not_at_all(site: Ec2Site) -> None:
    ours = cloud(site)
    assert isinstance(ours, AllOrNothing)
    site.stock = 2
    with pytest.raises(CapacityError):
        ours.launch_whole("l", RESOURCE, specs("a-1", "a-2", "a-3"))
    assert not ours.list_instances().instances
    made = ours.launch_whole("m", RESOURCE, specs("a-1", "a-2"))
    assert [one.host_name for one in made] == ["a-1", "a-2"]
    assert site.calls["RunInstances"] == 2
    assert {one.instance_id for one in ours.launch_whole("m", RESOURCE, specs("a-1", "a-2"))} == {
        one.instance_id for one in made
    }
