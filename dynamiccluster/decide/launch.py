"""Launching: the records of new nodes, and the requests for their machines. The caller has checked the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dynamiccluster.decide.draft import Draft, cloud_source
from dynamiccluster.decide.orphans import new_node_ids, request
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.memory import BreakerState
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.worker_node import NodeState, WorkerNode


def launch(
    draft: Draft, resource: Resource, count: int, reason: str, *, actor: str = "engine", offer: Offer | None = None
) -> list[str]:
    """Create so many nodes and their launch requests; the ids of the new nodes."""
    node_ids = new_node_ids(draft, count)
    launch_nodes(draft, resource, node_ids, reason, actor=actor, offer=offer)
    return node_ids


def launch_hosts(draft: Draft, resource: Resource, host_names: Sequence[str], reason: str) -> None:
    """Create nodes for these very hosts, which the scheduler waits for."""
    launch_nodes(draft, resource, new_node_ids(draft, len(host_names)), reason, host_names=host_names)


def launch_nodes(
    draft: Draft,
    resource: Resource,
    node_ids: Sequence[str],
    reason: str,
    *,
    actor: str = "engine",
    host_names: Sequence[str] = (),
    offer: Offer | None = None,
    whole: bool = False,
) -> None:
    """Create the nodes of these ids and their launch requests. Without ``host_names`` they are named by their ids.

    ``offer``: what was chosen, where the resource is a menu. ``whole``: they are of use only together, and of one kind.
    """
    if offer is not None and whole:
        offer = offer.alone
    names = host_names or [f"{resource.name_prefix or resource.name}-{node_id}" for node_id in node_ids]
    batch = draft.policy.limits.launch_batch or len(node_ids)
    for start in range(0, len(node_ids), batch):
        ids = node_ids[start : start + batch]
        record = Launch(
            launch_id=f"{draft.policy.cluster_id}-{ids[0]}",
            resource=resource.name,
            tenancy=resource.tenancy,
            node_ids=tuple(ids),
            state=LaunchState.OPEN,
            requested_at=draft.now,
            offer=offer,
            whole=whole and len(node_ids) <= batch,
        )
        draft.put_launch(record)
        action_id = draft.new_action_id()
        nodes = [
            _new_node(draft, resource, node_id, name, record, action_id, reason)
            for node_id, name in zip(ids, names[start : start + batch], strict=True)
        ]
        request(draft, record, nodes, action_id, reason, actor)
        for node in nodes:
            draft.event(EventKind.NODE, f"launch decided {reason}", node=node, actor=actor, to_state=node.state)
    known = draft.breakers.get(resource.name)
    if known and known.state is BreakerState.HALF_OPEN:
        draft.breakers[resource.name] = replace(known, trial_node=node_ids[0])


def _new_node(
    draft: Draft, resource: Resource, node_id: str, name: str, record: Launch, action_id: str, reason: str
) -> WorkerNode:
    node = WorkerNode(
        node_id=node_id,
        resource=resource.name,
        tenancy=resource.tenancy,
        launch_id=record.launch_id,
        state=NodeState.REQUESTED,
        host_name=name,
        instance_name=name,
        created_at=draft.now,
        state_since_at=draft.now,
        state_since_obs=draft.obs(cloud_source(resource.tenancy)),
        action_id=action_id,
        reason=reason,
        offer=record.offer and record.offer.alone,
    )
    return draft.put(node)
