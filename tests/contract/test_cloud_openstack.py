"""The contract of clouds on OpenStack, as its double has it; ``tests/system`` has the same on a real nova."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs
from nova_site import SECRET, Fault, NovaSite, nova_site

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.build import build
from dynamiccluster.config.schema_cloud_openstack import OpenstackConfig
from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.kit.clock import SystemClock

BASE = {
    "username": "hpc",
    "password": SECRET,
    "project": "burst",
    "image_uuid": "tiny",
    "flavor": "t.nano",
    "networks": ["private"],
}


def keys(url: str, **more: Any) -> dict[str, Any]:
    return dict(OpenstackConfig.model_validate(BASE | {"auth_url": f"{url}/identity/v3"} | more))


def cloud(site: NovaSite, cluster_id: str = "ours", **more: Any) -> OpenstackCloud:
    return build("t", {"small": keys(site.url, **more)}, cluster_id, SystemClock())


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


class NovaHarness:
    def __init__(self, site: NovaSite) -> None:
        site.boot_s, site.stop_s, site.most = 0.2, 0.2, MOST
        self.cloud: Cloud = cloud(site, "ours")
        self.other: Cloud = cloud(site, "theirs")

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class TestOpenstack(CloudSuite):
    @pytest.fixture
    def harness(self, site: NovaSite) -> Harness:
        return NovaHarness(site)


def test_a_lost_reply_is_an_unknown_outcome_and_the_list_has_its_machine(site: NovaSite) -> None:
    ours = cloud(site)
    site.faults.append(Fault("POST", "/servers$", "lost", times=1))
    with pytest.raises(UnknownOutcomeError):
        ours.launch("l", RESOURCE, specs("a-1"))
    (found,) = ours.list_instances().instances
    assert (found.launch_id, found.node_id, found.host_name) == ("l", "id-a-1", "a-1")
