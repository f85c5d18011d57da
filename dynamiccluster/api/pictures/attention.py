"""What somebody should look at first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dynamiccluster.api.pictures.resources import cost_doc
from dynamiccluster.api.pictures.service import auto_mode
from dynamiccluster.api.schemas import instant
from dynamiccluster.api.schemas_watch import AttentionDoc
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.memory import BreakerState
from dynamiccluster.model.worker_node import NodeState, WorkerNode

CRITICAL, WARNING, INFO = "critical", "warning", "info"
_ORDER = (CRITICAL, WARNING, INFO)

BROKEN = {NodeState.DOWN: WARNING, NodeState.FAILED: WARNING, NodeState.QUARANTINED: CRITICAL}
"""States that need a look, and how badly."""

NAMED = 5
"""Nodes or jobs named in one entry; the entry says how many there are."""


def attention(model: ReadModel, now: float) -> list[AttentionDoc]:
    """The most urgent first; of one urgency, in the order in which causes come before consequences."""
    found = [*_service(model), *_sources(model), *_resources(model, now), *_nodes(model), *_demand(model)]
    return sorted(found, key=lambda one: _ORDER.index(one.severity))


def _service(model: ReadModel) -> Iterator[AttentionDoc]:
    if model.store_error:
        yield AttentionDoc(
            severity=CRITICAL,
            kind="store",
            title="The store does not work",
            text=f"Nothing is launched or removed until it does: {model.store_error}",
        )
    if model.decision_error:
        yield AttentionDoc(
            severity=CRITICAL,
            kind="decision",
            title="Decisions fail",
            text=f"The log says more: {model.decision_error}",
        )
    if model.snapshot.memory.observe_only:
        yield AttentionDoc(
            severity=WARNING,
            kind="mode",
            title="Observe-only",
            text=f"Nothing is changed; {len(model.proposals)} proposal(s) are listed in the plan.",
            count=max(1, len(model.proposals)),
        )
    elif not auto_mode(model):
        yield AttentionDoc(
            severity=WARNING,
            kind="mode",
            title="Automatic mode is off",
            text="Nodes are launched and removed only when an operator says so.",
        )


def _sources(model: ReadModel) -> Iterator[AttentionDoc]:
    for name, status in sorted(model.sources.items(), key=lambda item: (item[0] != "scheduler", item[0])):
        if status.error:
            yield AttentionDoc(
                severity=CRITICAL if name == "scheduler" or not status.last_good_at else WARNING,
                kind="source",
                title=f"{name} does not answer",
                text=status.error,
                source=name,
                count=max(1, status.failures),
                since_at=instant(status.last_good_at),
            )


def _resources(model: ReadModel, now: float) -> Iterator[AttentionDoc]:
    memory = model.snapshot.memory
    for name in model.policy.resources:
        breaker = memory.breakers.get(name)
        if breaker is not None and breaker.state is not BreakerState.CLOSED:
            trial = breaker.state is BreakerState.HALF_OPEN
            yield AttentionDoc(
                severity=WARNING,
                kind="breaker",
                title=f"{name} is {'being tried again' if trial else 'closed'} after failures",
                text=breaker.error or "its nodes kept failing",
                resource=name,
                count=max(1, breaker.failures + breaker.useless),
            )
    for scope, backoff in sorted(memory.backoffs.items()):
        if backoff.until_at > now:
            yield AttentionDoc(
                severity=INFO,
                kind="backoff",
                title=f"{scope} pauses until {instant(backoff.until_at)}",
                text=backoff.error,
                resource=scope.partition(":")[2] if scope.startswith(("resource:", "launch:")) else "",
                count=backoff.count,
            )
    costs = cost_doc(model, now)
    words = {
        "budget_per_hour": (WARNING, "The hourly budget is used up", costs.cost_per_hour, costs.budget_per_hour),
        "budget_per_month": (CRITICAL, "The monthly budget is spent", costs.spent, costs.budget_per_month),
        "forecast": (INFO, "The forecast is beyond the monthly budget", costs.forecast, costs.budget_per_month),
    }
    for name in costs.beyond_budget:
        severity, title, value, limit = words[name]
        yield AttentionDoc(severity=severity, kind="budget", title=title, text=f"{value:.2f} of {limit or 0.0:.2f}")


def _nodes(model: ReadModel) -> Iterator[AttentionDoc]:
    broken: dict[NodeState, list[WorkerNode]] = defaultdict(list)
    for node in model.snapshot.nodes.values():
        if node.state in BROKEN:
            broken[node.state].append(node)
    for state, nodes in sorted(broken.items()):
        nodes.sort(key=lambda node: node.state_since_at)
        names = ", ".join(node.host_name or node.node_id for node in nodes[:NAMED])
        more = f" and {len(nodes) - NAMED} more" if len(nodes) > NAMED else ""
        yield AttentionDoc(
            severity=BROKEN[state],
            kind="node",
            title=f"{len(nodes)} node(s) {state.value}",
            text=f"{names}{more}: {nodes[0].reason}",
            node_id=nodes[0].node_id if len(nodes) == 1 else "",
            resource=nodes[0].resource if len({node.resource for node in nodes}) == 1 else "",
            count=len(nodes),
            since_at=instant(nodes[0].state_since_at),
        )


def _demand(model: ReadModel) -> Iterator[AttentionDoc]:
    never = [report for report in model.demand.reports if report.never]
    if never:
        jobs = [job_id for report in never for job_id in report.job_ids[:NAMED]][:NAMED]
        count = sum(report.waiting for report in never)
        yield AttentionDoc(
            severity=WARNING,
            kind="job",
            title=f"{count} job(s) fit no resource",
            text=f"They will wait for ever unless a resource is added or changed: {', '.join(jobs)}",
            count=count,
        )
    if model.proposals and not model.snapshot.memory.observe_only:
        yield AttentionDoc(
            severity=INFO,
            kind="proposal",
            title=f"{len(model.proposals)} proposal(s)",
            text=model.proposals[0],
            count=len(model.proposals),
        )
