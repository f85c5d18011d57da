"""An adapter for ``nova_site``, as configured by a site."""

from __future__ import annotations

from typing import Any

from nova_neighbours import SECRET
from nova_site import NovaSite

from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.build import build
from dynamiccluster.config.schema_cloud_openstack import OpenstackConfig
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

RESOURCE = Resource("small", "any", "t", Capacity(1, 1000), max_nodes=5)

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


def cloud(site: NovaSite, cluster_id: str = "ours", clock: Clock | None = None, **more: Any) -> OpenstackCloud:
    return build("t", {"small": keys(site.url, **more)}, cluster_id, clock or SystemClock())


def specs(*names: str) -> list[NodeSpec]:
    return [NodeSpec(f"id-{name}", name) for name in names]
