"""From the keys of ``type: openstack`` to the adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.clouds.agreement import agreed
from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.calls import SHARED, OpenstackCalls
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.kit.clock import Clock


def build(tenancy: str, configs: Mapping[str, Mapping[str, Any]], cluster_id: str, clock: Clock) -> OpenstackCloud:
    """:raises BadConfigError: resources of one tenancy disagree."""
    calls = OpenstackCalls(agreed(tenancy, SHARED, configs))
    templates = {name: user_data(config, cluster_id) for name, config in configs.items()}
    return OpenstackCloud(
        clock,
        cluster_id,
        tenancy,
        calls,
        configs,
        {name: template for name, template in templates.items() if template is not None},
    )
