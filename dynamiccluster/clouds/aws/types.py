"""What EC2 says of machine types, for those who have no resource yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls

_AT_ONCE = 100


def described_types(region: str, patterns: Sequence[str], endpoint_url: str | None = None) -> list[dict[str, Any]]:
    """The elements of DescribeInstanceTypes for these names and patterns (``c5a.*``), with the SDK's own credentials.

    Raises what asking EC2 may raise.
    """
    calls = AwsCalls(
        {
            "region_name": region,
            "endpoint_url": endpoint_url,
            "validate_certs": True,
            **dict.fromkeys(("access_key_id", "secret_access_key", "profile_name", "proxy", "proxy_port")),
        }
    )
    ec2 = calls.client("ec2")
    found: list[dict[str, Any]] = []
    for first in range(0, len(patterns), _AT_ONCE):
        filters = [{"Name": "instance-type", "Values": list(patterns[first : first + _AT_ONCE])}]
        found += calls.pages(ec2.describe_instance_types, "InstanceTypes", Filters=filters)
    return found
