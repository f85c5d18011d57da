"""How long one decision takes: from job objects in hand to the plan, reasons and all."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.decide.tick import decide
from dynamiccluster.kit.interpreter import collection_put_off
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.memory import Memory, ObservedClock
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.model.view import CloudView, SchedulerView
from dynamiccluster.model.worker_node import NodeState, WorkerNode

ROWS = (
    *((jobs, nodes, min(jobs // 20, 500)) for jobs in (1_000, 10_000, 100_000) for nodes in (0, 1_000, 10_000)),
    (100_000, 10_000, 20_000),
    *((1_000_000, nodes, 500) for nodes in (0, 1_000, 10_000)),
)
"""Jobs, nodes, shapes."""

REPEATS = 5
QUEUES = ("short", "long", "big", "gpu")
ACCOUNTS = ("physics", "chem", "bio", "")
START_AT = 1_800_000_000.0


def rows() -> Iterator[dict[str, object]]:
    for jobs, nodes, shapes in ROWS:
        snapshot, policy = picture(jobs, nodes, shapes)
        check(decide(snapshot, policy, START_AT + 10), jobs)
        yield {
            "name": "decide",
            "jobs": jobs,
            "nodes": nodes,
            "shapes": shapes,
            "seconds": round(min(timed(snapshot, policy) for _ in range(REPEATS)), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def check(plan: Plan, jobs: int) -> None:
    """A benchmark that leaves out demand or reasons measures something else."""
    reports = plan.demand.reports
    assert sum(report.waiting for report in reports) == jobs
    assert all(report.refusals for report in reports if report.unplaced)


def timed(snapshot: Snapshot, policy: Policy) -> float:
    """CPU seconds: other work on the machine does not count. Garbage is collected when the service does it: after."""
    began = time.process_time()
    with collection_put_off():
        decide(snapshot, policy, START_AT + 10)
    return time.process_time() - began


def picture(jobs: int, nodes: int, shapes: int, seed: int = 1) -> tuple[Snapshot, Policy]:
    """A queue of ``jobs`` in ``shapes`` kinds beside ``nodes`` nodes with random free capacity, 50 resources."""
    rng = random.Random(seed)
    resources = {f"r{i}": _resource(rng, i) for i in range(50)}
    kinds = [_shape(rng) for _ in range(shapes)]
    listed = tuple(
        Job(
            f"{i}",
            JobState.PENDING,
            kinds[i % shapes] if i < shapes else rng.choice(kinds),
            user="u",
            priority=float(rng.randrange(1_000_000)),
            wait=Wait.HELPS,
            reason="Priority",
        )
        for i in range(jobs)
    )
    named = list(resources.values())
    records, hosts, instances = {}, [], []
    for i in range(nodes):
        kind = rng.choice(named)
        node_id = f"n{i:05}"
        host_name = f"{kind.name}-{node_id}"
        used_cores = rng.randint(0, kind.capacity.cores)
        share = used_cores / kind.capacity.cores
        used = Capacity(used_cores, int(kind.capacity.memory_mib * share * rng.random()), 0)
        hosts.append(Host(host_name, HostState.UP, kind.capacity, used, busy=used_cores > 0, features=kind.features))
        instances.append(Instance(f"i-{i}", InstanceState.ACTIVE, node_id=node_id, resource=kind.name))
        state = NodeState.BUSY if used_cores else NodeState.IDLE
        records[node_id] = WorkerNode(
            node_id,
            kind.name,
            "t",
            "L",
            state,
            host_name,
            instance_id=f"i-{i}",
            joined_at=1.0,
            first_job_at=1.0,
            idle_since_obs=990.0,
        )
    clocks = {name: ObservedClock(1000.0, START_AT) for name in ("engine", "scheduler", "cloud:t")}
    snapshot = Snapshot(
        version=1,
        memory=Memory(generation="abcd", looked=True, clocks=clocks),
        nodes=records,
        scheduler=SchedulerView(START_AT + 5, START_AT + 6, listed, tuple(hosts)),
        clouds={"t": CloudView("t", START_AT + 5, START_AT + 6, tuple(instances))},
    )
    return snapshot, Policy(cluster_id="bench", resources=resources, declare_shapes=False)


def _resource(rng: random.Random, number: int) -> Resource:
    cores = rng.choice((4, 8, 16, 32, 64, 96))
    reservation = Reservation(
        queue=rng.choice((*QUEUES, "", "", "")), account=rng.choice(("physics", "", "", "", "")), property=""
    )
    return Resource(
        name=f"r{number}",
        cloud="simulated",
        tenancy="t",
        capacity=Capacity(cores, cores * rng.choice((2048, 4096, 8192)), rng.choice((0, 0, 0, 4))),
        max_nodes=250,
        priority=rng.randrange(5),
        reservation=reservation,
        features=frozenset(rng.sample(("avx", "ib", "ssd", "big"), 2)),
        price_per_hour=cores * 0.05,
    )


def _shape(rng: random.Random) -> Shape:
    cores = rng.choice((1, 1, 1, 2, 4, 8, 16, 32))
    chunks = rng.choice((1, 1, 1, 1, 1, 2, 4, 8))
    return Shape(
        queues=(rng.choice(QUEUES),),
        account=rng.choice(ACCOUNTS),
        chunk=Capacity(cores, cores * rng.randrange(256, 4096), 0),
        chunks=chunks,
        distinct=chunks > 1,
        exclusive=rng.random() < 0.02,
        features=rng.choice(((), (), (), (("avx",),), (("ib", "ssd"),))),
    )
