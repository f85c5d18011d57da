"""From the keys of ``type: aws`` to the adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamiccluster.clouds.agreement import agreed
from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.notices import Notices
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.kit.clock import Clock

_SHARED = (
    "region_name",
    "access_key_id",
    "secret_access_key",
    "profile_name",
    "endpoint_url",
    "proxy",
    "proxy_port",
    "validate_certs",
    "notices_queue_url",
)


def build(tenancy: str, configs: Mapping[str, Mapping[str, Any]], cluster_id: str, clock: Clock) -> AwsCloud:
    """:raises BadConfigError: resources of one tenancy disagree."""
    shared = agreed(tenancy, _SHARED, configs)
    calls = AwsCalls(shared)
    queue = shared["notices_queue_url"]
    templates = {name: user_data(config, cluster_id) for name, config in configs.items()}
    return AwsCloud(
        clock,
        cluster_id,
        tenancy,
        calls,
        configs,
        {name: template for name, template in templates.items() if template is not None},
        Notices(calls, clock, queue) if queue else None,
    )
