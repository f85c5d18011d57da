"""Small pictures for tests of ``decide``: everything has a default that means "ordinary", tests name what matters.

All clocks stand at :data:`OBS` observed seconds and do not move unless a test moves them, so that ages can be
written as ``OBS - 600``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dynamiccluster.decide.draft import Draft, start
from dynamiccluster.decide.tick import decide
from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.memory import Memory, ObservedClock
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.model.view import CloudView, SchedulerView
from dynamiccluster.model.worker_node import COMING, NodeState, WorkerNode

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
OBS = 10_000.0
VIEW_AT = NOW - 2.0
MARK = "dynamiccluster:c1:"


def resource(name: str = "r", cores: int = 4, memory_mib: int = 8192, **more: Any) -> Resource:
    """A resource of tenancy ``t``; ``gpus``, and ``queue``, ``account``, ``prop`` for its reservation."""
    gpus = more.pop("gpus", 0)
    reservation = Reservation(more.pop("queue", ""), more.pop("account", ""), more.pop("prop", ""))
    fields: dict[str, Any] = {"cloud": "simulated", "tenancy": "t", "max_nodes": 10, **more}
    return Resource(name=name, capacity=Capacity(cores, memory_mib, gpus), reservation=reservation, **fields)


def shape(cores: int = 1, memory_mib: int = 0, gpus: int = 0, **more: Any) -> Shape:
    return Shape(chunk=Capacity(cores, memory_mib, gpus), **{"queues": ("q",), **more})


def job(job_id: str = "1", wants: Shape | None = None, **more: Any) -> Job:
    """A waiting job that more nodes would help."""
    fields: dict[str, Any] = {"state": JobState.PENDING, "wait": Wait.HELPS, "reason": "Resources", **more}
    return Job(job_id=job_id, shape=wants or shape(), **fields)


def jobs(count: int, wants: Shape | None = None, first: int = 1, **more: Any) -> list[Job]:
    wants = wants or shape()
    return [job(str(first + i), wants, **more) for i in range(count)]


def running(job_id: str, *hosts: str, wants: Shape | None = None, **more: Any) -> Job:
    return job(job_id, wants, state=JobState.RUNNING, wait=Wait.NO, hosts=hosts, **more)


def host(name: str, cores: int = 4, memory_mib: int = 8192, **more: Any) -> Host:
    """A host that is up and free; ``used`` cores, ``used_mib``, ``gpus``, and ``held`` by a mark."""
    used = Capacity(more.pop("used", 0), more.pop("used_mib", 0), more.pop("used_gpus", 0))
    held = more.pop("held", None)
    hold = Hold(held, ours=held.startswith(MARK)) if held else None
    total = Capacity(cores, memory_mib, more.pop("gpus", 0))
    fields: dict[str, Any] = {"state": HostState.UP, "hold": hold, "busy": used.cores > 0, **more}
    return Host(name=name, total=total, used=used, **fields)


def node(node_id: str = "n1", state: NodeState = NodeState.IDLE, of: str = "r", **more: Any) -> WorkerNode:
    """A worker node in a state, as it would have come there a long time ago."""
    bound = state not in (NodeState.REQUESTED, NodeState.UNSETTLED)
    fields: dict[str, Any] = {
        "tenancy": "t",
        "launch_id": f"c1-{node_id}",
        "host_name": f"{of}-{node_id}",
        "instance_id": f"i-{node_id}" if bound else "",
        "instance_name": f"{of}-{node_id}",
        "created_at": NOW - 5000.0,
        "state_since_at": NOW - 100.0,
        "state_since_obs": OBS - 100.0,
    }
    if state not in COMING:
        fields |= {"joined_at": NOW - 4000.0, "joined_obs": OBS - 4000.0, "first_job_at": NOW - 3900.0}
    if state is NodeState.IDLE:
        fields["idle_since_obs"] = OBS - 100.0
    return WorkerNode(node_id=node_id, resource=of, state=state, **(fields | more))


def launch_of(*nodes: WorkerNode, state: LaunchState = LaunchState.SETTLED, **more: Any) -> Launch:
    """The launch that these nodes came from (they share the first one's launch id)."""
    head = nodes[0]
    fields: dict[str, Any] = {
        "requested_at": NOW - 5000.0,
        "closed_at": NOW - 4900.0 if state is not LaunchState.OPEN else 0.0,
        **more,
    }
    return Launch(head.launch_id, head.resource, head.tenancy, tuple(n.node_id for n in nodes), state, **fields)


def instance_of(n: WorkerNode, state: InstanceState = InstanceState.ACTIVE, **more: Any) -> Instance:
    fields: dict[str, Any] = {
        "launch_id": n.launch_id,
        "node_id": n.node_id,
        "resource": n.resource,
        "name": n.instance_name,
        "host_name": n.host_name,
        **more,
    }
    return Instance(instance_id=n.instance_id or f"i-{n.node_id}", state=state, **fields)


def host_of(n: WorkerNode, **more: Any) -> Host:
    return host(n.host_name, **more)


def scheduler_view(jobs: Iterable[Job] = (), hosts: Iterable[Host] = (), at: float = VIEW_AT) -> SchedulerView:
    return SchedulerView(started_at=at, completed_at=at + 1.0, jobs=tuple(jobs), hosts=tuple(hosts))


def cloud_view(instances: Iterable[Instance] = (), at: float = VIEW_AT, tenancy: str = "t", **more: Any) -> CloudView:
    return CloudView(tenancy=tenancy, started_at=at, completed_at=at + 1.0, instances=tuple(instances), **more)


def memory(**more: Any) -> Memory:
    """A service that has run for a while; clocks stand still."""
    clocks = {
        "engine": ObservedClock(OBS, NOW),
        "scheduler": ObservedClock(OBS, VIEW_AT + 1.0),
        "cloud:t": ObservedClock(OBS, VIEW_AT + 1.0),
        **more.pop("clocks", {}),
    }
    return Memory(**{"generation": "abcd", "tick": 7, "looked": True, "clocks": clocks, **more})


def policy(*resources: Resource, **more: Any) -> Policy:
    named = {r.name: r for r in resources or (resource(),)}
    return Policy(**{"cluster_id": "c1", "resources": named, "declare_shapes": False, **more})


def picture(
    nodes: Iterable[WorkerNode] = (),
    jobs: Iterable[Job] = (),
    hosts: Iterable[Host] | None = None,
    instances: Iterable[Instance] | None = None,
    **more: Any,
) -> Snapshot:
    """A snapshot. Unless told otherwise, every bound node has its active instance, and every node its free host."""
    nodes = list(nodes)
    if hosts is None:
        hosts = [host_of(n) for n in nodes if n.state not in COMING]
    if instances is None:
        instances = [instance_of(n) for n in nodes if n.instance_id]
    fields: dict[str, Any] = {
        "memory": memory(),
        "scheduler": scheduler_view(jobs, hosts),
        "clouds": {"t": cloud_view(instances)},
        "launches": {n.launch_id: launch_of(n) for n in nodes},
        **more,
    }
    return Snapshot(version=1, nodes={n.node_id: n for n in nodes}, **fields)


def draft(snapshot: Snapshot | None = None, rules: Policy | None = None, now: float = NOW) -> Draft:
    return start(snapshot or picture(), rules or policy(), now)


def plan(snapshot: Snapshot, rules: Policy | None = None, now: float = NOW) -> Plan:
    return decide(snapshot, rules or policy(), now)


def launches(decided: Plan) -> dict[str, int]:
    """Nodes asked for, by resource."""
    counts: dict[str, int] = {}
    for action in decided.actions:
        if action.kind is ActionKind.LAUNCH:
            counts[action.resource] = counts.get(action.resource, 0) + len(action.specs)
    return counts


def actions(decided: Plan, kind: ActionKind) -> list[Action]:
    return [action for action in decided.actions if action.kind is kind]


def after(snapshot: Snapshot, decided: Plan, **more: Any) -> Snapshot:
    """The snapshot of the next tick if nothing new came in: the plan is stored, the views are the same."""
    nodes: Mapping[str, WorkerNode] = {**snapshot.nodes, **decided.nodes}
    known: Mapping[str, Launch] = {**snapshot.launches, **decided.launches}
    return replace(
        snapshot,
        version=snapshot.version + 1,
        memory=decided.memory,
        nodes={name: n for name, n in nodes.items() if name not in decided.forgotten_nodes},
        launches={name: n for name, n in known.items() if name not in decided.forgotten_launches},
        results=(),
        commands=(),
        **more,
    )
