"""Between nova's descriptions of servers and ours. Pure.

Everything a server is found by is in the metadata of the request that makes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from dynamiccluster.clouds.openstack.error_map import fault_of
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.instance import Instance, InstanceState

CLUSTER, LAUNCH, RESOURCE, NODE, OFFERING = (
    f"dynamiccluster:{word}" for word in ("cluster", "launch", "resource", "node", "offering")
)

SERVER_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")

NOT_TOLD = "UNKNOWN"
"""Status of a server whose cell does not answer: nova then tells neither its name nor its metadata."""

_STATES = {
    "BUILD": InstanceState.PENDING,
    "ACTIVE": InstanceState.ACTIVE,
    "PASSWORD": InstanceState.ACTIVE,
    "MIGRATING": InstanceState.ACTIVE,
    "VERIFY_RESIZE": InstanceState.ACTIVE,
    "SHUTOFF": InstanceState.STOPPED,
    "SUSPENDED": InstanceState.STOPPED,
    "PAUSED": InstanceState.STOPPED,
    "SHELVED": InstanceState.STOPPED,
    "SHELVED_OFFLOADED": InstanceState.STOPPED,
    "ERROR": InstanceState.ERROR,
    "DELETED": InstanceState.GONE,
    "SOFT_DELETED": InstanceState.GONE,
}
"""Compute API guide, "Server status". The others (REBOOT, REBUILD, RESCUE ...) exist and pass."""


def metadata_of(
    cluster_id: str, launch_id: str, resource: str, offering: str, spec: NodeSpec, site: Mapping[str, str]
) -> dict[str, str]:
    """The metadata of one request. ``site``: the operator's own, which cannot replace ours."""
    ours = {CLUSTER: cluster_id, LAUNCH: launch_id, RESOURCE: resource, NODE: spec.node_id}
    return {**site, **ours, **({OFFERING: offering} if offering else {})}


def metadata_in(server: Mapping[str, Any]) -> Mapping[str, str]:
    found = server.get("metadata")
    return found if isinstance(found, Mapping) else {}


def cluster_of(server: Mapping[str, Any]) -> str:
    """Which installation a server belongs to; "" = a stranger's."""
    return str(metadata_in(server).get(CLUSTER, ""))


def resource_of(server: Mapping[str, Any]) -> str:
    return str(metadata_in(server).get(RESOURCE, ""))


def state_of(server: Mapping[str, Any]) -> InstanceState:
    if server.get("OS-EXT-STS:task_state") in ("deleting", "soft-deleting"):
        return InstanceState.TERMINATING
    return _STATES.get(str(server.get("status", "")), InstanceState.UNKNOWN)


def to_instance(server: Mapping[str, Any], networks: Iterable[str] = (), *, floating: str | None = None) -> Instance:
    """One server. ``networks``: names of the resource's networks, the first of which has the node's address.

    ``floating``: it is to have a floating IP, which is the node's address: this one, if nova does not tell. Until it is
    known ("") the server is not ready.
    """
    metadata = metadata_in(server)
    fault, fault_class = fault_of(server)
    state = state_of(server)
    name = str(server.get("name") or "")
    address = _address(server, tuple(networks), floating=floating is not None) or floating or ""
    if floating is not None and not address and state is InstanceState.ACTIVE:
        state = InstanceState.PENDING
    return Instance(
        str(server["id"]),
        state,
        launch_id=str(metadata.get(LAUNCH, "")),
        node_id=str(metadata.get(NODE, "")),
        resource=resource_of(server),
        name=name,
        host_name=name,
        address=address,
        created_at=seconds(server.get("created")),
        fault=fault,
        fault_class=fault_class,
        offering=str(metadata.get(OFFERING, "")),
    )


def _address(server: Mapping[str, Any], networks: tuple[str, ...], *, floating: bool) -> str:
    """IPv4 before IPv6, and the resource's first network before the others; "" while it has none."""
    found = server.get("addresses")
    if not isinstance(found, Mapping):
        return ""
    names = [name for name in networks if name in found] + [name for name in found if name not in networks]
    wanted = "floating" if floating else "fixed"
    usable = [
        (entry.get("version") != 4, str(entry.get("addr", "")))
        for name in names
        for entry in found[name]
        if entry.get("OS-EXT-IPS:type", "fixed") == wanted
    ]
    return min(usable, key=lambda one: one[0])[1] if usable else ""


def has_floating(server: Mapping[str, Any]) -> bool:
    return bool(_address(server, (), floating=True))


def seconds(text: object) -> float:
    """``2026-11-20T07:36:47Z`` as epoch seconds; 0 if it is none."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
