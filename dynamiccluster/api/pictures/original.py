"""Answers of the original's paths: its field names and numbers, filled from our model.

What the original knew and we do not ask of a cloud (key names, security groups, ...) is null, as it was there
for machines that it had not asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dynamiccluster.api.pictures.resources import FLAG_NUMBER, limits_of, nodes_of
from dynamiccluster.api.redact import redact
from dynamiccluster.api.schemas import printable
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.worker_node import COUNTED, ORIGINAL_NUMBER, NodeState, WorkerNode

INSTANCE_NUMBER = {
    InstanceState.GONE: 0,
    InstanceState.PENDING: 1,
    InstanceState.ACTIVE: 3,
    InstanceState.TERMINATING: 5,
    InstanceState.STOPPED: 6,
    InstanceState.ERROR: 6,
    InstanceState.UNKNOWN: 7,
}
READY = 4  # an active machine whose node has joined the scheduler

JOB_NUMBER = {JobState.PENDING: 0, JobState.STARTING: 1, JobState.RUNNING: 1}
OTHER_JOB = 2

Instances = Mapping[tuple[str, str], Instance]
"""Every machine listed, by tenancy and instance id."""


def instances(model: ReadModel) -> Instances:
    views = model.snapshot.clouds.items()
    return {(tenancy, one.instance_id): one for tenancy, view in views for one in view.instances}


def worker_node(model: ReadModel, node: WorkerNode, now: float, listed: Instances) -> dict[str, object]:
    instance = listed.get((node.tenancy, node.instance_id))
    host = model.hosts_by_name.get(node.host_name)
    amount = model.capacity_of(node)
    return {
        "hostname": printable(node.host_name),
        "type": "Virtual" if node.instance_id or not node.adopted else "Physical",
        "jobs": [printable(job_id) for job_id in model.jobs_by_host.get(node.host_name, ())],
        "state": ORIGINAL_NUMBER[node.state],
        "state_start_time": node.state_since_at,
        "num_proc": amount.cores,
        "extra_attributes": {
            "node_id": node.node_id,
            "memory_mib": amount.memory_mib,
            "gpus": amount.gpus,
            "scheduler_state": printable(host.detail or host.state.value) if host else None,
            "reason": printable(node.reason),
        },
        "time_in_current_state": max(0.0, now - node.state_since_at) if node.state_since_at else 0,
        "instance": _instance(model, node, instance, amount.cores) if node.instance_id else None,
    }


def _instance(model: ReadModel, node: WorkerNode, instance: Instance | None, cores: int) -> dict[str, object]:
    view = model.snapshot.clouds.get(node.tenancy)
    number = INSTANCE_NUMBER[instance.state] if instance else INSTANCE_NUMBER[InstanceState.UNKNOWN]
    if number == INSTANCE_NUMBER[InstanceState.ACTIVE] and node.joined_at:
        number = READY
    return {
        "uuid": printable(node.instance_id),
        "instance_name": printable(node.instance_name),
        "state": number,
        "ip": printable(node.address) or None,
        "dns_name": printable(node.host_name) or None,
        "vcpu_number": cores,
        "flavor": None,
        "key_name": None,
        "security_groups": None,
        "availability_zone": printable(instance.offering) or None if instance else None,
        "image_uuid": None,
        "subnet_id": None,
        "creation_time": (instance.created_at if instance else 0.0) or node.created_at,
        "cloud_resource": node.resource,
        "last_update_time": view.completed_at if view else 0,
        "tasked": bool(node.action_id),
        "last_task_result": -1,
        "spot_id": None,
        "spot_state": None,
        "spot_price": 0,
    }


def worker_nodes(model: ReadModel, now: float, number: int | None) -> list[Callable[[], dict[str, object]]]:
    """The nodes, each to be worked out when its turn to be sent has come. ``number`` filters by state."""
    found = sorted(
        (
            node
            for node in model.snapshot.nodes.values()
            if node.state is not NodeState.GONE and (number is None or ORIGINAL_NUMBER[node.state] == number)
        ),
        key=lambda node: node.node_id,
    )
    listed = instances(model)

    def later(node: WorkerNode) -> Callable[[], dict[str, object]]:
        return lambda: worker_node(model, node, now, listed)

    return [later(node) for node in found]


def job(one: Job) -> dict[str, object]:
    shape = one.shape
    return {
        "jobid": printable(one.job_id),
        "priority": one.priority,
        "name": printable(one.name),
        "owner": printable(one.user),
        "state": JOB_NUMBER.get(one.state, OTHER_JOB),
        "queue": printable(shape.queues[0]) if shape.queues else None,
        "property": [printable(word) for group in shape.features for word in group] or None,
        "account": printable(shape.account) or None,
        "requested_cores": shape.cores,
        "cores_per_node": shape.chunk.cores,
        "requested_mem": f"{shape.chunk.memory_mib}mb" if shape.chunk.memory_mib else None,
        "requested_walltime": _clock(shape.walltime_s) if shape.walltime_s else None,
        "creation_time": one.submitted_at,
        "extra_attributes": {"reason": printable(one.reason), "wait": one.wait.value, "tasks": one.tasks},
    }


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def queued_jobs(model: ReadModel) -> list[Job]:
    view = model.snapshot.scheduler
    return [one for one in view.jobs if one.state is JobState.PENDING] if view else []


def resource(
    model: ReadModel, one: Resource, config: Mapping[str, object], now: float, listed: Instances
) -> dict[str, object]:
    nodes = [node for node in nodes_of(model, one.name) if node.state is not NodeState.GONE]
    current = sum(node.state in COUNTED for node in nodes)
    flag, smallest, largest = limits_of(model, one, current)
    return {
        "name": one.name,
        "priority": one.priority,
        "type": one.cloud,
        "min_num": smallest,
        "max_num": largest,
        "current_num": current,
        "cores_per_node": model.snapshot.memory.capacity_of(one).cores,
        "flag": FLAG_NUMBER[flag],
        "reservation_queue": one.reservation.queue or None,
        "reservation_account": one.reservation.account or None,
        "reservation_property": one.reservation.property or None,
        "config": _config(config, one.name),
        "worker_nodes": [worker_node(model, node, now, listed) for node in nodes],
    }


def _config(document: Mapping[str, object], name: str) -> object:
    cloud = document.get("cloud")
    entry = cloud.get(name) if isinstance(cloud, Mapping) else None
    return redact(entry.get("config", {})) if isinstance(entry, Mapping) else {}
