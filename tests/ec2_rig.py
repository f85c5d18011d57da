"""The whole engine on virtual time with the EC2 adapter, against the stand-in of ``ec2_site``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cloud_rig
import pytest
from cloud_rig import CloudRig
from ec2_site import Ec2Site
from engine_harness import Tap

from dynamiccluster.clouds.aws import calls as aws_calls
from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.policy import Policy

KEYS = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "instance_type": "c5.large",
}
QUICK_S = 0.5
_CALLS: dict[tuple[str, bool], AwsCalls] = {}


def config(site: Ec2Site, **more: Any) -> dict[str, Any]:
    return dict(AwsConfig.model_validate(KEYS | {"endpoint_url": site.url} | more))


def calls(site: Ec2Site, *, quick: bool = False) -> AwsCalls:
    """Clients are slow to make: one set for each site. ``quick``: they wait :data:`QUICK_S` for an answer."""
    made = _CALLS.get((site.url, quick))
    if made is None:
        made = _CALLS[site.url, quick] = AwsCalls(config(site))
        with pytest.MonkeyPatch.context() as patch:
            if quick:
                patch.setattr(aws_calls, "READ_TIMEOUT_S", QUICK_S)
            made.client("ec2")
            made.client("service-quotas")
    return made


def aws(site: Ec2Site, clock: Clock, cluster_id: str = "c1", *, quick: bool = False, **more: Any) -> AwsCloud:
    return AwsCloud(clock, cluster_id, "t", calls(site, quick=quick), {"r": config(site, **more)}, {})


def rules() -> Policy:
    """As elsewhere, and what is launched is told by its offering."""
    found = cloud_rig.rules(offering="t/any/c5.large/on-demand")
    return replace(found, resources={"r": replace(found.resources["r"], cloud="aws")})


class Ec2Rig(CloudRig):
    """Engines, one after another, on one store and one region."""

    def __init__(
        self,
        site: Ec2Site,
        seed: int = 1,
        *,
        quick: bool = False,
        keys: dict[str, Any] | None = None,
        policy: Policy | None = None,
    ) -> None:
        super().__init__(site, seed, policy or rules())
        site.now = self.clock.now
        self.cloud = Tap(aws(site, self.clock, quick=quick, **(keys or {})))
