"""One small made-up cluster with something in every state, for tests of everything that only shows."""

from __future__ import annotations

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.kit.clock import Clock, month
from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, Memory, Spend
from dynamiccluster.model.plan import Demand, Refusal, ShapeReport, Snapshot
from dynamiccluster.model.policy import Limits, Policy
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.model.view import CloudView, Quota, SchedulerView, SourceStatus
from dynamiccluster.model.worker_node import HoldWhy, NodeState, WorkerNode
from dynamiccluster.testing.service import ServiceDouble

HOSTILE = "[red]evil[/red]\x1b[2J<script>alert(1)</script>\u202e\udc80"
"""What a user may put into a job's name: markup, terminal codes, HTML, direction marks and a broken byte."""

_FOUR = Capacity(4, 8192)
_SMALL = Shape(queues=("batch",), account="physics", chunk=Capacity(4, 4096), walltime_s=3600)


def _resources() -> dict[str, Resource]:
    return {
        "fast": Resource(
            "fast",
            "simulated",
            "lab",
            _FOUR,
            min_nodes=1,
            max_nodes=9,
            priority=1,
            reservation=Reservation(account="physics"),
            price_per_hour=0.5,
            name_prefix="dc-fast",
            offering="zone-1/large",
        ),
        "slow": Resource("slow", "simulated", "lab", _FOUR, max_nodes=2, priority=2, name_prefix="dc-slow"),
    }


def _nodes(now: float) -> dict[str, WorkerNode]:
    states = (
        ("n1", NodeState.IDLE),
        ("n2", NodeState.BUSY),
        ("n3", NodeState.HELD),
        ("n4", NodeState.STARTING),
        ("n5", NodeState.DOWN),
        ("n6", NodeState.TERMINATING),
        ("n7", NodeState.HOLDING),
    )
    return {
        node_id: WorkerNode(
            node_id,
            "fast",
            "lab",
            "l1",
            state,
            host_name=f"dc-fast-0000000{node_id[1]}",
            address=f"10.0.0.{node_id[1]}",
            instance_id=f"i-{node_id}",
            instance_name=f"dc-fast-0000000{node_id[1]}",
            created_at=now - 900,
            state_since_at=now - 120,
            billed_from_at=now - 900,
            hold_why=HoldWhy.OPERATOR if state in {NodeState.HELD, NodeState.HOLDING} else HoldWhy.NONE,
            reason=f"it is {state.value}",
            action_id="a1" if state is NodeState.TERMINATING else "",
        )
        for node_id, state in states
    }


def _jobs(now: float) -> tuple[Job, ...]:
    return (
        Job("100", JobState.RUNNING, _SMALL, "mesh", "ada", started_at=now - 60, hosts=("dc-fast-00000002",)),
        Job("101", JobState.PENDING, _SMALL, HOSTILE, "bob", 5.0, now - 300, Wait.HELPS, "Resources"),
        Job("102_[1-9]", JobState.PENDING, _SMALL, "sweep", "ada", 4.0, now - 200, Wait.HELPS, "Resources", tasks=9),
        Job("103", JobState.PENDING, _SMALL, "later", "ada", 1.0, now - 100, Wait.NO, "JobHeldUser"),
    )


def _hosts() -> tuple[Host, ...]:
    def host(number: int, state: HostState = HostState.UP, used: int = 0, hold: Hold | None = None) -> Host:
        return Host(f"dc-fast-0000000{number}", state, _FOUR, Capacity(used, used * 1024), hold=hold)

    mark = Hold("dynamiccluster:testing:n3", True)
    return (
        host(1),
        Host("dc-fast-00000002", HostState.UP, _FOUR, Capacity(4, 4096), jobs=("100",), busy=True),
        host(3, hold=mark),
        host(5, HostState.DOWN),
        host(7, used=2, hold=mark),
        Host("oldnode", HostState.UP, _FOUR),
    )


def _memory(now: float) -> Memory:
    return Memory(
        generation="g",
        next_serial=8,
        tick=41,
        breakers={"slow": Breaker(BreakerState.OPEN, 5, 1, 0.0, now + 1200, error="boot time ran out")},
        backoffs={"offering:zone-1/large": Backoff(0.0, now + 180, 1, "capacity", "no more machines of this kind")},
        spend=Spend(month(now), 12.5, now),
    )


def example_readmodel(now: float) -> ReadModel:
    """A cluster of two resources, seven nodes of ours, one host of somebody else's, four jobs."""
    nodes = _nodes(now)
    instances = tuple(
        Instance(node.instance_id, InstanceState.ACTIVE, "l1", node.node_id, "fast", created_at=now - 900)
        for node in nodes.values()
    )
    report = ShapeReport(_SMALL, ("101", "102_[1-9]"), 10, unplaced=10, refusals={"slow": Refusal.CLOSED})
    return ReadModel(
        at=now,
        snapshot=Snapshot(
            version=41,
            memory=_memory(now),
            nodes=nodes,
            scheduler=SchedulerView(now - 3, now - 2, _jobs(now), _hosts()),
            clouds={"lab": CloudView("lab", now - 12, now - 11, instances, 3, Quota(10, 9, 40, 36))},
        ),
        policy=Policy("testing", _resources(), limits=Limits(budget_per_hour=10.0, budget_per_month=500.0)),
        demand=Demand((report,), {Wait.NO.value: ("103",)}, 10, 40, 10),
        sources={
            "scheduler": SourceStatus("scheduler", now - 2, now - 2),
            "cloud:lab": SourceStatus("cloud:lab", now - 11, now - 1, 1, "time-out after 30 s"),
        },
        open_actions={"a1": Action("a1", ActionKind.TERMINATE, "idle for 600 s", node_id="n6", resource="fast")},
        sentence="10 tasks wait, nothing launched: slow is closed",
        tick=41,
        tick_s=0.004,
        started_at=now - 3600,
    )


def example_service(clock: Clock) -> ServiceDouble:
    """The double with the example cluster, some history, and a configuration in which a secret has slipped in."""
    now = clock.now()
    config: dict[str, object] = {
        "dynamic-cluster": {"cluster_id": "testing", "admin-server": {"port": 8001}},
        "cluster": {"type": "torque", "config": {"queue_to_monitor": ["batch"]}},
        "cloud": {
            "fast": {"type": "simulated", "config": {"key_name": "ops", "password": "hunter2"}},
            "slow": {"type": "simulated", "config": {"aws_secret_access_key": "hunter2"}},
        },
    }
    service = ServiceDouble(example_readmodel(now), clock, config)
    service.history = [
        Event(now - 900, EventKind.NODE, "launched", node_id="n1", host_name="dc-fast-00000001", resource="fast"),
        Event(now - 120, EventKind.NODE, "idle", node_id="n1", host_name="dc-fast-00000001", resource="fast"),
        Event(now - 60, EventKind.JOB, f"101 {HOSTILE} waits", job_id="101"),
    ]
    service.consoles["n1"] = "boot: ready\nlogin: \x1b[2J"
    return service
