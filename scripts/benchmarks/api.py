"""How the REST API answers, and whether decisions wait for it, while a large cluster churns.

Engine, store and server are real, on loopback; the cluster and the cloud are lists in memory that change at every
poll, as a simulation of 5,000 machines in the same process would be what is measured. Clients are another process.
Windows with and without clients take turns, so that both see the same life.

``cpu_ms``: the service's CPU time per request, which other work on the machine does not change.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from decide import picture

from dynamiccluster.api.server import ApiServer, ApiSettings
from dynamiccluster.api.tokens import Role, make_token
from dynamiccluster.engine.loop import Engine
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.kit.clock import SystemClock, processor_s
from dynamiccluster.kit.interpreter import keep_collections_short, share_time_finely
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.policy import Limits
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView, SchedulerView
from dynamiccluster.model.worker_node import NodeState
from dynamiccluster.store.sql import SqlStore

ROWS = ((5_000, 2_000, 200), (5_000, 10_000, 200))
"""Nodes, waiting jobs, requests per second."""

WINDOWS = 2
WINDOW_S = 10.0

CHANGED = 100
"""Nodes that begin or end a job between two polls: with 5,000 nodes and a poll every two seconds, jobs of about two
minutes."""

POLL_S = 2.0


def rows() -> Iterator[dict[str, object]]:
    for nodes, jobs, rate in ROWS:
        yield asyncio.run(measured(nodes, jobs, rate))


class TimedEngine(Engine):
    """Notes how long each tick takes from its begin until everybody can see it, in wall time."""

    ticks: list[float]

    async def _tick(self) -> None:
        began_s = time.perf_counter()
        await super()._tick()
        self.ticks.append(time.perf_counter() - began_s)


class Cluster:
    """A scheduler and a cloud that do at once what they are told. Implements both contracts."""

    idempotent = True

    def __init__(self, snapshot: Snapshot, clock: SystemClock) -> None:
        view = snapshot.scheduler
        assert view is not None
        self.clock, self.rng = clock, random.Random(1)
        self.waiting = view.jobs
        self.hosts = {host.name: replace(host, jobs=(), busy=False, used=Capacity()) for host in view.hosts}
        self.instances = {one.instance_id: one for one in snapshot.clouds["t"].instances}
        self.running: dict[str, Job] = {}
        for name in [name for name in self.hosts if self.rng.random() < 0.9]:
            self.turn(name)

    def turn(self, name: str) -> None:
        """A job begins on an idle host, or ends on a busy one."""
        host = self.hosts[name]
        if host.busy:
            del self.running[name]
            self.hosts[name] = replace(host, jobs=(), busy=False, used=Capacity())
        else:
            shape = self.rng.choice(self.waiting).shape
            job = Job(f"9{self.rng.randrange(10**8)}", JobState.RUNNING, shape, "sim", "ada", hosts=(name,))
            self.running[name] = replace(job, started_at=self.clock.now())
            self.hosts[name] = replace(host, jobs=(job.job_id,), busy=True, used=host.total)

    def poll(self) -> SchedulerView:
        names = list(self.hosts)
        for name in self.rng.sample(names, min(CHANGED, len(names))):
            if self.hosts[name].hold is None:
                self.turn(name)
        jobs = (*self.waiting, *self.running.values())
        now = self.clock.now()
        return SchedulerView(now, now, jobs, tuple(self.hosts.values()))

    def list_instances(self) -> CloudView:
        now = self.clock.now()
        return CloudView("t", now, now, tuple(self.instances.values()))

    def launch(self, launch_id: str, kind: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        found = []
        for spec in specs:
            one = Instance(
                f"i-{spec.node_id}", InstanceState.ACTIVE, launch_id, spec.node_id, kind.name, address="10.0.0.1"
            )
            self.instances[one.instance_id] = one
            found.append(
                LaunchedInstance(one.instance_id, spec.node_id, spec.host_name, "10.0.0.1", spec.host_name, "")
            )
        return tuple(found)

    def terminate(self, instance_ids: Sequence[str]) -> None:
        for one in instance_ids:
            self.instances.pop(one, None)

    def console_tail(self, instance_id: str) -> str:
        return ""

    def declare(self, resources: Sequence[Resource]) -> None: ...

    def add(self, host_name: str, address: str, kind: Resource) -> None:
        self.hosts[host_name] = Host(host_name, HostState.UP, kind.capacity, Capacity(), features=kind.features)

    def hold(self, host_name: str, mark: str) -> None:
        self.hosts[host_name] = replace(self.hosts[host_name], hold=Hold(mark, True))

    def release(self, host_name: str, mark: str) -> None:
        self.hosts[host_name] = replace(self.hosts[host_name], hold=None)

    def remove(self, host_name: str) -> None:
        if self.hosts.pop(host_name, None) and host_name in self.running:
            del self.running[host_name]

    def find(self, host_name: str) -> Host | None:
        return self.hosts.get(host_name)

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None: ...

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None: ...

    def unstick(self, job_ids: Sequence[str]) -> None: ...

    def withdraw(self, host_names: Sequence[str], mark: str) -> None: ...

    def offer(self, host_names: Sequence[str]) -> None: ...

    def tell_reason(self, text: str, job_ids: Sequence[str]) -> None: ...


async def measured(nodes: int, jobs: int, rate: int) -> dict[str, object]:
    share_time_finely()
    clock = SystemClock()
    snapshot, policy = picture(jobs, nodes, jobs // 20)
    policy = replace(
        policy, limits=Limits(max_nodes=nodes), observe_first=False, scheduler_poll_s=POLL_S, cloud_poll_s=POLL_S
    )
    cluster = Cluster(snapshot, clock)
    with tempfile.TemporaryDirectory() as folder:
        secret, kept = make_token("bench", Role.ADMIN)
        tokens = Path(folder) / "tokens"
        tokens.write_text(kept.line() + "\n")
        tokens.chmod(0o600)
        store = SqlStore(Path(folder) / "store.db")
        store.commit(0, Plan(memory=replace(snapshot.memory, observe_only=False), nodes=snapshot.nodes))
        bridge = ThreadBridge({"scheduler": 2, "cloud": 2, "store": 1, "decide": 1})
        engine = TimedEngine(
            policy, cluster, {"t": cluster}, store, clock, bridge, word=lambda: "abcd", computed=processor_s
        )
        engine.ticks = []
        server = ApiServer(engine, ApiSettings(port=0, tokens_file=str(tokens)), clock, bridge)
        await server.start()
        work = asyncio.create_task(engine.run())
        collections = asyncio.create_task(keep_collections_short())  # as the service does
        async with asyncio.timeout(60.0):
            while len(engine.ticks) < 5:
                await asyncio.sleep(0.2)
        quiet: list[float] = []
        busy: list[float] = []
        answers: list[dict[str, Any]] = []
        cpu_quiet_s = cpu_busy_s = quiet_s = busy_s = 0.0
        first = engine.readmodel.snapshot.version
        for _ in range(WINDOWS):
            engine.ticks.clear()
            at_s, cpu_s = time.perf_counter(), time.process_time()
            await asyncio.sleep(WINDOW_S)
            quiet_s, cpu_quiet_s = quiet_s + time.perf_counter() - at_s, cpu_quiet_s + time.process_time() - cpu_s
            quiet += engine.ticks
            engine.ticks.clear()
            at_s, cpu_s = time.perf_counter(), time.process_time()
            answers.append(await clients(server.port, secret, rate))
            busy_s, cpu_busy_s = busy_s + time.perf_counter() - at_s, cpu_busy_s + time.process_time() - cpu_s
            busy += engine.ticks
        shown = engine.readmodel
        collections.cancel()
        engine.stop()
        await work
        await server.stop()
        bridge.close()
        store.close()
    states = [node.state for node in shown.snapshot.nodes.values()]
    assert NodeState.BUSY in states
    assert shown.snapshot.version > first
    return {
        "name": "api",
        "jobs": len(shown.jobs_by_id),
        "nodes": len(states),
        "shapes": jobs // 20,
        "seconds": 2 * WINDOWS * WINDOW_S,
        "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **figures(answers, quiet, busy),
        "cpu_ms": milliseconds(
            (cpu_busy_s - cpu_quiet_s / quiet_s * busy_s) / sum(sum(one["statuses"].values()) for one in answers)
        ),
        "cpu_quiet": f"{cpu_quiet_s / quiet_s:.0%}",
    }


async def clients(port: int, secret: str, rate: int) -> dict[str, Any]:
    told = json.dumps({"port": port, "token": secret, "rate": rate, "seconds": WINDOW_S})
    command = (sys.executable, str(Path(__file__).with_name("api_load.py")), told)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found: dict[str, Any] = json.loads(output)
    return found


def figures(answers: list[dict[str, Any]], quiet: list[float], busy: list[float]) -> dict[str, object]:
    reads: list[float] = []
    changes: list[float] = []
    slowest: dict[str, list[float]] = {}
    statuses: dict[str, int] = {}
    for answer in answers:
        for name, taken in answer["taken"].items():
            (changes if name in ("hold", "unhold") else reads).extend(taken)
            slowest.setdefault(name, []).extend(taken)
        for status, count in answer["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    worst = max(slowest, key=lambda name: centile(slowest[name], 99))
    asked = sum(statuses.values()) / sum(answer["seconds"] for answer in answers)
    return {
        "per_s": round(asked),
        "p50_ms": milliseconds(centile(reads, 50)),
        "p99_ms": milliseconds(centile(reads, 99)),
        "max_ms": milliseconds(max(reads)),
        "worst": f"{worst} {milliseconds(centile(slowest[worst], 99))}",
        "change_p99_ms": milliseconds(centile(changes, 99)),
        "tick_ms": milliseconds(statistics.mean(quiet)),
        "tick_loaded_ms": milliseconds(statistics.mean(busy)),
        "ticks": f"{len(quiet)}/{len(busy)}",
        "statuses": statuses,
    }


def centile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] if values else 0.0


def milliseconds(seconds: float) -> float:
    return round(1000.0 * seconds, 1)
