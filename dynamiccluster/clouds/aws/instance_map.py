"""Between EC2's descriptions of instances and ours. Pure.

Everything an instance is found by is in the tags that its launch request carries, so that there is no moment in which
a machine exists without them. A request for several machines has one set of tags; which of its nodes a machine is
tells its launch index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.instance import Instance, InstanceState

CLUSTER_TAG = "dynamiccluster:cluster"
LAUNCH_TAG = "dynamiccluster:launch"
RESOURCE_TAG = "dynamiccluster:resource"
OFFERING_TAG = "dynamiccluster:offering"
NODE_TAG = "dynamiccluster:node."
"""With the launch index: ``NODE_ID HOST_NAME``."""

MOST_NODES = 40
"""Nodes of one request: EC2 takes 50 tags."""

_STATES = {
    "pending": InstanceState.PENDING,
    "running": InstanceState.ACTIVE,
    "shutting-down": InstanceState.TERMINATING,
    "stopping": InstanceState.STOPPED,
    "stopped": InstanceState.STOPPED,
    "terminated": InstanceState.GONE,
}


def tags_of(
    cluster_id: str, launch_id: str, resource: str, offering: str, specs: Sequence[NodeSpec], site: Mapping[str, str]
) -> dict[str, str]:
    """The tags of one request. ``site``: the operator's own, which cannot replace ours."""
    name = specs[0].host_name if len(specs) == 1 else specs[0].host_name.rpartition("-")[0] or specs[0].host_name
    ours = {
        CLUSTER_TAG: cluster_id,
        LAUNCH_TAG: launch_id,
        RESOURCE_TAG: resource,
        **({OFFERING_TAG: offering} if offering else {}),
        **{f"{NODE_TAG}{index}": f"{spec.node_id} {spec.host_name}" for index, spec in enumerate(specs)},
    }
    return {"Name": name, **site, **ours}


def tags_in(described: Mapping[str, Any]) -> dict[str, str]:
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in described.get("Tags", ())}


def cluster_of(described: Mapping[str, Any]) -> str:
    """Which installation a machine belongs to; "" = a stranger's."""
    return tags_in(described).get(CLUSTER_TAG, "")


def state_of(described: Mapping[str, Any]) -> InstanceState:
    return _STATES.get(str(described.get("State", {}).get("Name", "")), InstanceState.UNKNOWN)


def to_instance(described: Mapping[str, Any]) -> Instance:
    """One element of DescribeInstances."""
    tags = tags_in(described)
    node_id, host_name = _node(described, tags)
    reason = described.get("StateReason") or {}
    state = state_of(described)
    fault = str(reason.get("Message", "")) if state in (InstanceState.GONE, InstanceState.STOPPED) else ""
    return Instance(
        str(described["InstanceId"]),
        state,
        launch_id=tags.get(LAUNCH_TAG, ""),
        node_id=node_id,
        resource=tags.get(RESOURCE_TAG, ""),
        name=tags.get("Name", ""),
        host_name=host_name,
        address=str(described.get("PrivateIpAddress") or ""),
        created_at=_seconds(described.get("LaunchTime")),
        fault=fault,
        offering=tags.get(OFFERING_TAG, ""),
    )


def to_launched(described: Mapping[str, Any]) -> LaunchedInstance:
    """One element of the reply to RunInstances."""
    made = to_instance(described)
    return LaunchedInstance(
        made.instance_id,
        made.node_id,
        made.host_name or made.name,
        made.address,
        made.host_name,
        made.offering,
    )


def _node(described: Mapping[str, Any], tags: Mapping[str, str]) -> tuple[str, str]:
    """Which node of its launch a machine is: id and host name."""
    node_id, _, host_name = tags.get(f"{NODE_TAG}{described.get('AmiLaunchIndex', 0)}", "").partition(" ")
    return node_id, host_name


def _seconds(at: object) -> float:
    return at.timestamp() if isinstance(at, datetime) else 0.0
