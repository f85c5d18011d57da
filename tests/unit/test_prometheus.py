"""What Prometheus is told: the present picture, and what happened between two of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import CapacityError
from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Shape
from dynamiccluster.model.memory import Backoff, Breaker, BreakerState, Memory, Miss, Override, Spend
from dynamiccluster.model.plan import Demand, Snapshot
from dynamiccluster.model.policy import Limits, Policy
from dynamiccluster.model.resource import Resource, ResourceFlag
from dynamiccluster.model.view import CloudView, Quota, SchedulerView, SourceStatus
from dynamiccluster.model.worker_node import NodeState, WorkerNode
from dynamiccluster.plugins.host import PluginStatus
from dynamiccluster.plugins.prometheus import MeteredBridge, Meters, PrometheusExporter

ROOT = Path(__file__).resolve().parents[2]
NOW = 10_000.0
HOSTILE = 'a"b\\c\nd'

SMALL = Resource("small", "simulated", "t", Capacity(4), min_nodes=1, max_nodes=9, price_per_hour=0.5)
POLICY = Policy("lab", {"small": SMALL}, limits=Limits(budget_per_hour=7.0))


def node(node_id: str, state: NodeState, **more: Any) -> WorkerNode:
    return WorkerNode(node_id, "small", "t", "l", state, host_name=f"h-{node_id}", created_at=NOW - 100, **more)


def picture(*nodes: WorkerNode, jobs: tuple[Job, ...] | None = (), tick: int = 1, **more: Any) -> ReadModel:
    view = None if jobs is None else SchedulerView(NOW - 1, NOW - 0.5, jobs)
    memory = more.pop("memory", Memory())
    clouds = more.pop("clouds", {})
    snapshot = Snapshot(1, memory, {one.node_id: one for one in nodes}, scheduler=view, clouds=clouds)
    return ReadModel(NOW - 2, snapshot, more.pop("policy", POLICY), tick=tick, **more)


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Name and label values (in the order of the labels' names) -> value; what cannot be parsed raises."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name.removeprefix("dynamiccluster_"), tuple(value for _, value in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


class StillClock:
    """Stands until it is moved."""

    at = NOW

    def now(self) -> float:
        return self.at

    monotonic = now


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def exporter(clock: StillClock) -> PrometheusExporter:
    return PrometheusExporter(clock)


def test_the_present_picture(exporter: PrometheusExporter) -> None:
    memory = Memory(
        observe_only=True,
        breakers={"small": Breaker(BreakerState.OPEN)},
        backoffs={"offering:x": Backoff(1.0, 1.0, error_class="capacity")},
        overrides={"small": Override(ResourceFlag.FROZEN, 2, 3)},
        misses={"orphan:i-1": Miss(1, 0.0), "instance:n": Miss(1, 0.0)},
        spend=Spend("2026-11", 12.5, NOW),
    )
    queue = (
        Job("1", JobState.PENDING, Shape(), tasks=5),
        Job("2", JobState.PENDING, Shape()),
        Job("3", JobState.RUNNING, Shape()),
    )
    model = picture(
        node("a", NodeState.BUSY),
        node("b", NodeState.JOINING),
        node("c", NodeState.CONFIGURING),
        node("d", NodeState.GONE),
        jobs=queue,
        memory=memory,
        demand=Demand(waiting_tasks=6, waiting_cores=24, unplaced_tasks=2, held_back={"no": ("7", "8")}),
        sources={"scheduler": SourceStatus("scheduler", NOW - 30, NOW, 2, "no answer")},
        clouds={"t": CloudView("t", NOW, NOW, strangers=3, quota=Quota(max_cores=100, used_cores=40))},
        open_actions={"x": Action("x", ActionKind.LAUNCH, "wanted", resource="small")},
        store_error="disk full",
        started_at=NOW - 500,
    )
    found = samples(exporter.text(model, [PluginStatus("graphite", error="no"), PluginStatus("site")]))
    wanted = {
        ("nodes", ("small", "busy")): 1,
        ("nodes", ("small", "starting")): 2,
        ("nodes", ("small", "idle")): 0,
        ("cores", ("small", "starting")): 8,
        ("resource_min_nodes", ("small",)): 2,
        ("resource_max_nodes", ("small",)): 3,
        ("resource_flag", ("frozen", "small")): 1,
        ("resource_breaker", ("small", "open")): 1,
        ("resource_breaker", ("small", "closed")): 0,
        ("backoffs", ("capacity",)): 1,
        ("jobs", ("pending",)): 6,
        ("jobs", ("running",)): 1,
        ("jobs", ("suspended",)): 0,
        ("demand_tasks", ()): 6,
        ("demand_cores", ()): 24,
        ("demand_unplaced_tasks", ()): 2,
        ("demand_held_back", ("no",)): 2,
        ("source_up", ("scheduler",)): 0,
        ("source_age_seconds", ("scheduler",)): 30,
        ("source_failures", ("scheduler",)): 2,
        ("stranger_instances", ("t",)): 3,
        ("quota_limit", ("t", "cores")): 100,
        ("quota_used", ("t", "cores")): 40,
        ("orphans", ()): 1,
        ("open_actions", ("launch",)): 1,
        ("store_up", ()): 0,
        ("decision_up", ()): 1,
        ("observe_only", ()): 1,
        ("decision_age_seconds", ()): 2,
        ("cost_per_hour", ()): 1.5,
        ("cost_total", ("2026-11",)): 12.5,
        ("budget", ("hour",)): 7,
        ("plugin_up", ("graphite",)): 0,
        ("plugin_up", ("site",)): 1,
        ("start_time_seconds", ()): NOW - 500,
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert ("quota_limit", ("t", "instances")) not in found


def test_a_queue_that_was_never_seen_is_not_an_empty_one(exporter: PrometheusExporter) -> None:
    names = {name for name, _ in samples(exporter.text(picture(jobs=None)))}
    assert "nodes" in names
    assert not {"jobs", "demand_tasks", "demand_cores"} & names


def test_names_from_outside_stay_inside_their_label(exporter: PrometheusExporter) -> None:
    policy = replace(POLICY, resources={HOSTILE: replace(SMALL, name=HOSTILE)})
    found = samples(exporter.text(picture(policy=policy, sources={HOSTILE: SourceStatus(HOSTILE, NOW)})))
    assert found["resource_max_nodes", (HOSTILE,)] == 9
    assert found["source_up", (HOSTILE,)] == 1


def test_nodes_are_counted_as_they_come_join_and_fail(exporter: PrometheusExporter) -> None:
    def told() -> dict[str, float]:
        found = samples(exporter.text(picture()))
        names = ("nodes_launched_total", "nodes_never_joined_total", "join_seconds_count", "join_seconds_sum")
        return {name: found.get((name, ("small",)), 0.0) for name in names}

    old = node("old", NodeState.IDLE, joined_at=NOW - 50)
    exporter.decided(picture(tick=0))  # what the store knew is not in it yet
    exporter.decided(picture(old))
    assert told() == dict.fromkeys(told(), 0.0)  # it joined before this service began to look
    good, bad, adopted = (
        node("good", NodeState.REQUESTED),
        node("bad", NodeState.REQUESTED),
        node("adopted", NodeState.IDLE, joined_at=NOW, adopted=True),
    )
    exporter.decided(picture(old, good, bad, adopted))
    exporter.decided(picture(old, replace(good, state=NodeState.IDLE, joined_at=NOW - 40), bad, adopted))
    assert told() == {
        "nodes_launched_total": 2,
        "nodes_never_joined_total": 0,
        "join_seconds_count": 1,
        "join_seconds_sum": 60,
    }
    joined = replace(good, state=NodeState.BUSY, joined_at=NOW - 40)
    exporter.decided(picture(joined, replace(bad, state=NodeState.GONE)))
    exporter.decided(picture(joined))  # nobody is counted twice
    assert told()["nodes_never_joined_total"] == 1
    assert told()["join_seconds_count"] == 1


def test_jobs_are_counted_once_when_they_have_begun(exporter: PrometheusExporter) -> None:
    def job(job_id: str, state: JobState, queue: str = "main", waited_s: float = 0.0) -> Job:
        return Job(job_id, state, Shape(queues=(queue,)), submitted_at=NOW - 100, started_at=NOW - 100 + waited_s)

    first = job("1", JobState.RUNNING, waited_s=10)
    exporter.observe(picture(jobs=(first, job("2", JobState.PENDING))))
    begun = (first, job("2", JobState.COMPLETING, waited_s=70), job("3", JobState.RUNNING, "gpu", 20))
    exporter.observe(picture(jobs=begun))
    exporter.observe(picture(jobs=begun))
    found = samples(exporter.text(picture()))
    assert found["queue_wait_seconds_sum", ("main",)] == 70
    assert found["queue_wait_seconds_count", ("main",)] == 1
    assert found["queue_wait_seconds_sum", ("gpu",)] == 20


class LateBridge:
    """Takes half a second for each call."""

    def __init__(self, clock: StillClock) -> None:
        self.clock = clock

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], Any]) -> Any:
        self.clock.at += 0.5
        return function()


def test_calls_are_counted_by_what_they_came_to(clock: StillClock) -> None:
    meters = Meters()
    bridge = MeteredBridge(LateBridge(clock), meters, clock)

    def sold_out() -> None:
        raise CapacityError("none left")

    async def calls() -> None:
        assert await bridge.call("cloud:t", "poll of cloud:t", 9.0, lambda: 42) == 42
        with pytest.raises(CapacityError):
            await bridge.call("cloud:t", "launch h-1", 9.0, sold_out)
        with pytest.raises(ZeroDivisionError):
            await bridge.call("store", "commit", 9.0, lambda: 1 / 0)

    asyncio.run(calls())
    value = meters.registry.get_sample_value
    outcomes = [("cloud:t", "poll", "ok"), ("cloud:t", "launch", "capacity"), ("store", "commit", "bug")]
    for group, verb, outcome in outcomes:
        labels = {"group": group, "verb": verb}
        assert value("dynamiccluster_calls_total", labels | {"outcome": outcome}) == 1
        assert value("dynamiccluster_call_seconds_sum", labels) == 0.5


@pytest.mark.parametrize("file", ["grafana/dynamic-cluster.json", "prometheus/dynamic-cluster.rules.yaml"])
def test_board_and_alerts_ask_for_figures_that_there_are(exporter: PrometheusExporter, file: str) -> None:
    """A panel or an alert of a figure that is called otherwise stays silent for ever."""
    text = exporter.text(picture(), ()).decode()
    there = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE):
        there |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    used = set(re.findall(r"\bdynamiccluster_\w+", (ROOT / "config" / file).read_text("utf-8")))
    assert len(used) > 8
    assert used - there == set()
