"""Worker nodes, with the two other voices beside each: its host and its instance."""

from __future__ import annotations

from collections.abc import Mapping

from dynamiccluster.api import schemas
from dynamiccluster.api.pictures import rows
from dynamiccluster.api.pictures.common import action_doc, age, capacity_doc, history
from dynamiccluster.api.schemas import instant
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.host import Host
from dynamiccluster.model.instance import Instance
from dynamiccluster.model.worker_node import ORIGINAL_NAME, ORIGINAL_NUMBER, WorkerNode
from dynamiccluster.store.base import EventPage


def used_cores_of(model: ReadModel, node: WorkerNode) -> int:
    """Cores in use as the host list says; a host that is busy without a figure counts whole."""
    host = model.hosts_by_name.get(node.host_name)
    if host is None:
        return 0
    if host.used.cores:
        return host.used.cores
    return host.total.cores if host.busy or model.jobs_by_host.get(host.name) else 0


def instance_of(model: ReadModel, node: WorkerNode) -> Instance | None:
    """The machine behind a node in its tenancy's last good view; ``None`` if it is not listed there."""
    machines = model.once("machines by id", lambda: _machines(model))
    return machines.get((node.tenancy, node.instance_id)) if node.instance_id else None


def _machines(model: ReadModel) -> Mapping[tuple[str, str], Instance]:
    return {(name, one.instance_id): one for name, view in model.snapshot.clouds.items() for one in view.instances}


def node_doc(model: ReadModel, node: WorkerNode, now: float) -> schemas.NodeDoc:
    machine = instance_of(model, node)
    return schemas.NodeDoc(
        node_id=node.node_id,
        host_name=node.host_name,
        resource=node.resource,
        tenancy=node.tenancy,
        state=node.state.value,
        original_state=ORIGINAL_NAME[ORIGINAL_NUMBER[node.state]],
        original_number=ORIGINAL_NUMBER[node.state],
        state_since_at=instant(node.state_since_at),
        in_state_s=age(node.state_since_at, now) if node.state_since_at else 0.0,
        reason=node.reason,
        hold_why=node.hold_why.value,
        address=node.address,
        instance_id=node.instance_id,
        instance_name=node.instance_name,
        cloud_state=machine.state.value if machine else "",
        capacity=capacity_doc(model.capacity_of(node)),
        used_cores=used_cores_of(model, node),
        jobs=list(model.jobs_by_host.get(node.host_name, ())),
        adopted=node.adopted,
        created_at=instant(node.created_at),
        joined_at=instant(node.joined_at),
        first_job_at=instant(node.first_job_at),
        price_per_hour=model.price_of(node),
    )


def host_doc(host: Host) -> schemas.HostDoc:
    return schemas.HostDoc(
        state=host.state.value,
        detail=host.detail,
        total=capacity_doc(host.total),
        used=capacity_doc(host.used),
        jobs=list(host.jobs),
        hold_mark=host.hold.mark if host.hold else "",
        hold_ours=bool(host.hold and host.hold.ours),
        features=sorted(host.features),
        queues=sorted(host.queues),
    )


def instance_doc(instance: Instance) -> schemas.InstanceDoc:
    return schemas.InstanceDoc(
        instance_id=instance.instance_id,
        state=instance.state.value,
        name=instance.name,
        address=instance.address,
        created_at=instant(instance.created_at),
        offering=instance.offering,
        fault=instance.fault,
    )


def node_detail(model: ReadModel, node: WorkerNode, events: EventPage, now: float) -> schemas.NodeDetail:
    host = model.hosts_by_name.get(node.host_name)
    instance = instance_of(model, node)
    action = model.open_actions.get(node.action_id)
    nomination = model.snapshot.memory.nominations.get(node.node_id)
    return schemas.NodeDetail(
        **dict(node_doc(model, node, now)),
        launch_id=node.launch_id,
        steps_to_do=[step.value for step in node.todo],
        failed_attempts=node.attempts,
        nominated_for=nomination.job_id if nomination else "",
        host=host_doc(host) if host else None,
        instance=instance_doc(instance) if instance else None,
        action=action_doc(action) if action else None,
        history=history(events),
    )


def node_list(model: ReadModel, now: float, found: rows.Page[WorkerNode], version: str) -> schemas.NodeList:
    return schemas.NodeList(
        nodes=[node_doc(model, node, now) for node in found.rows],
        total=found.total,
        next=found.next,
        counts=dict(found.counts),
        version=version,
        as_of_at=instant(now),
    )


def first_nodes(model: ReadModel, now: float, most: int) -> schemas.NodeList:
    """The first page in the order of ids."""
    found = rows.nodes(model, rows.Wanted())
    return node_list(model, now, rows.page(found, rows.Window(most), lambda node: node.node_id, rows.by_name), "")
