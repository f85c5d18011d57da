"""What somebody should look at first: one list for the dashboard, the command line and notifications. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.memory import BreakerState
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.worker_node import COUNTED, NodeState, WorkerNode


class Severity(StrEnum):
    """From the most urgent down."""

    CRITICAL = "critical"  # nothing goes on, or jobs are in danger
    WARNING = "warning"  # something does not work; the rest goes on
    INFO = "info"  # a limit binds, or a pause passes by itself


class AttentionKind(StrEnum):
    STORE = "store"
    DECISION = "decision"
    MODE = "mode"
    SOURCE = "source"  # does not answer
    CREDENTIALS = "credentials"  # a source or a launch was refused for who we are
    STALE = "stale"  # was not asked for longer than it should be
    BREAKER = "breaker"
    BACKOFF = "backoff"
    BUDGET = "budget"
    LIMIT = "limit"
    NODE = "node"
    NODE_LOST = "node-lost"  # is down while jobs are listed on it
    JOB = "job"  # can never run
    PROPOSAL = "proposal"


@dataclass(frozen=True, slots=True)
class Attention:
    """``key`` stays the same while the cause does, whatever its figures: who notifies tells it once."""

    key: str
    severity: Severity
    kind: AttentionKind
    title: str
    text: str
    node_id: str = ""
    resource: str = ""
    source: str = ""
    count: int = 1
    since_at: float = 0.0  # 0 = not known


BROKEN = {
    NodeState.DOWN: Severity.WARNING,
    NodeState.FAILED: Severity.WARNING,
    NodeState.QUARANTINED: Severity.CRITICAL,
}
"""States that need a look, and how badly."""

STALE_POLLS = 6
"""A source that was not even tried for so many intervals is stale: its poller hangs."""

STALE_S = 180.0
"""And at least so long: a poll may take up to two minutes by itself."""

NAMED = 5
"""Nodes or jobs named in one entry; the entry says how many there are."""

BINDING = {
    Refusal.BUDGET_HOUR: (AttentionKind.BUDGET, Severity.WARNING, "The hourly budget is reached"),
    Refusal.NO_PRICE: (AttentionKind.BUDGET, Severity.WARNING, "There is a budget, and prices are not known"),
    Refusal.BUDGET_MONTH: (AttentionKind.BUDGET, Severity.CRITICAL, "The monthly budget is reached"),
    Refusal.CLUSTER_NODES: (
        AttentionKind.LIMIT,
        Severity.WARNING,
        "The limit of nodes of the whole installation is reached",
    ),
    Refusal.CLUSTER_CORES: (
        AttentionKind.LIMIT,
        Severity.WARNING,
        "The limit of cores of the whole installation is reached",
    ),
    Refusal.QUOTA: (AttentionKind.LIMIT, Severity.WARNING, "The cloud's quota is reached"),
    Refusal.MAX_NODES: (AttentionKind.LIMIT, Severity.INFO, "The maximum of a resource is reached"),
}
"""Limits that keep jobs waiting though a resource would fit them."""


def attention(model: ReadModel, now: float) -> tuple[Attention, ...]:
    """The most urgent first; of one urgency, causes before consequences."""
    found = [*_service(model), *_sources(model, now), *_resources(model, now), *_limits(model), *_nodes(model)]
    order = list(Severity)
    return tuple(sorted([*found, *_demand(model)], key=lambda one: order.index(one.severity)))


def _service(model: ReadModel) -> Iterator[Attention]:
    critical, warning, memory = Severity.CRITICAL, Severity.WARNING, model.snapshot.memory
    if model.store_error:
        text = f"Nothing is launched or removed until it does: {model.store_error}"
        yield Attention("store", critical, AttentionKind.STORE, "The store does not work", text)
    if model.decision_error:
        text = f"The log says more: {model.decision_error}"
        yield Attention("decision", critical, AttentionKind.DECISION, "Decisions fail", text)
    if memory.observe_only:
        text = f"Nothing is changed; the plan lists {len(model.proposals)} proposal(s)."
        yield Attention("mode:observe", warning, AttentionKind.MODE, "Observe-only", text)
    elif not (model.policy.auto_mode if memory.auto_mode is None else memory.auto_mode):
        text = "Nodes are launched and removed only when an operator says so."
        yield Attention("mode:auto", warning, AttentionKind.MODE, "Automatic mode is off", text)


def _sources(model: ReadModel, now: float) -> Iterator[Attention]:
    for name, status in sorted(model.sources.items(), key=lambda item: (item[0] != "scheduler", item[0])):
        if status.error:
            auth = status.error_class == ErrorClass.AUTH.value
            grave = auth or name == "scheduler" or not status.last_good_at
            yield Attention(
                f"source:{name}",
                Severity.CRITICAL if grave else Severity.WARNING,
                AttentionKind.CREDENTIALS if auth else AttentionKind.SOURCE,
                f"{_source(name)} {'refuses our credentials' if auth else 'does not answer'}",
                status.error,
                source=name,
                count=max(1, status.failures),
                since_at=status.last_good_at,
            )
            continue
        interval_s = model.policy.scheduler_poll_s if name == "scheduler" else model.policy.cloud_poll_s
        if status.last_try_at and now - status.last_try_at > max(STALE_S, STALE_POLLS * interval_s):
            yield Attention(
                f"stale:{name}",
                Severity.WARNING,
                AttentionKind.STALE,
                f"{_source(name)} was not asked in time",
                f"It was asked {now - status.last_try_at:.0f} s ago and should be asked every {interval_s:.0f} s.",
                source=name,
                since_at=status.last_good_at,
            )


def _resources(model: ReadModel, now: float) -> Iterator[Attention]:
    memory = model.snapshot.memory
    for name in model.policy.resources:
        breaker = memory.breakers.get(name)
        if breaker is not None and breaker.state is not BreakerState.CLOSED:
            trial = breaker.state is BreakerState.HALF_OPEN
            yield Attention(
                f"breaker:{name}",
                Severity.WARNING,
                AttentionKind.BREAKER,
                f"{name} is {'being tried again' if trial else 'closed'} after failures",
                breaker.error or "its nodes kept failing",
                resource=name,
                count=max(1, breaker.failures + breaker.useless),
            )
    for scope, backoff in sorted(memory.backoffs.items()):
        if backoff.until_at <= now:
            continue
        auth = backoff.error_class == ErrorClass.AUTH.value
        yield Attention(
            f"backoff:{scope}",
            Severity.CRITICAL if auth else Severity.INFO,
            AttentionKind.CREDENTIALS if auth else AttentionKind.BACKOFF,
            _paused(scope),
            backoff.error,
            resource=_resource_of(scope),
            count=backoff.count,
        )


def _resource_of(scope: str) -> str:
    """The resource that a back-off is of, if it is of one."""
    kind, _, name = scope.partition(":")
    return {"resource": name, "launch": name, "unfit": name.partition(" ")[0]}.get(kind, "")


def _source(name: str) -> str:
    """A source in words."""
    kind, _, tenancy = name.partition(":")
    return f"The cloud of tenancy {tenancy}" if tenancy else f"The {kind}"


def _paused(scope: str) -> str:
    """What pauses, in words: the scope of a back-off as ``decide/breaker`` names it."""
    kind, _, name = scope.partition(":")
    match kind:
        case "resource":
            return f"{name} pauses"
        case "launch":
            return f"Launches of {name} pause"
        case "spot":
            return f"Spot machines of {name} pause"
        case "market":
            tenancy, _, market = name.rpartition("/")
            return f"The {market} machines of tenancy {tenancy} pause"
        case "unfit":
            resource, _, offering = name.partition(" ")
            return f"The offering {offering} of {resource} pauses"
        case _:
            return f"The {kind} {name} pauses"


def _limits(model: ReadModel) -> Iterator[Attention]:
    waiting: dict[Refusal, int] = defaultdict(int)
    resources: dict[Refusal, set[str]] = defaultdict(set)
    for report in model.demand.reports:
        if not report.unplaced:
            continue
        for name, refusal in report.refusals.items():
            resources[refusal].add(name)
        for refusal in set(report.refusals.values()):
            waiting[refusal] += report.unplaced
    for refusal, (kind, severity, title) in BINDING.items():
        if waiting[refusal]:
            names = sorted(resources[refusal])
            yield Attention(
                f"limit:{refusal.value}",
                severity,
                kind,
                title,
                f"{waiting[refusal]} task(s) wait that could run in {', '.join(names[:NAMED])}.",
                resource=names[0] if len(names) == 1 else "",
                count=waiting[refusal],
            )
    spend, limits = model.snapshot.memory.spend, model.policy.limits
    if limits.budget_per_month and spend.amount >= limits.budget_per_month and not waiting[Refusal.BUDGET_MONTH]:
        text = f"{spend.amount:.2f} of {limits.budget_per_month:.2f} in {spend.month}: nothing more is launched."
        key = f"limit:{Refusal.BUDGET_MONTH.value}"
        yield Attention(key, Severity.CRITICAL, AttentionKind.BUDGET, "The monthly budget is spent", text)


def _nodes(model: ReadModel) -> Iterator[Attention]:
    broken: dict[NodeState, list[WorkerNode]] = defaultdict(list)
    for node in model.snapshot.nodes.values():
        if node.state not in BROKEN:
            continue
        jobs = model.jobs_by_host.get(node.host_name, ())
        if not jobs:
            broken[node.state].append(node)
            continue
        yield node_lost(node, jobs, f"is {node.state.value}", node.state_since_at)
    for state, nodes in sorted(broken.items()):
        nodes.sort(key=lambda node: node.state_since_at)
        names = ", ".join(node.host_name or node.node_id for node in nodes[:NAMED])
        more = f" and {len(nodes) - NAMED} more" if len(nodes) > NAMED else ""
        yield Attention(
            f"node:{state.value}",
            BROKEN[state],
            AttentionKind.NODE,
            f"{len(nodes)} node(s) {state.value}",
            f"{names}{more}: {nodes[0].reason}",
            node_id=nodes[0].node_id if len(nodes) == 1 else "",
            resource=nodes[0].resource if len({node.resource for node in nodes}) == 1 else "",
            count=len(nodes),
            since_at=nodes[0].state_since_at,
        )
    lost = [
        node
        for node in model.snapshot.nodes.values()
        if node.state in COUNTED and node.resource not in model.policy.resources
    ]
    if lost:
        names = ", ".join(sorted({node.resource for node in lost})[:NAMED])
        text = f"{len(lost)} node(s) belong to resources that are not configured any more: {names}"
        yield Attention(
            "node:unconfigured", Severity.WARNING, AttentionKind.NODE, "Nodes without a resource", text, count=len(lost)
        )


def node_lost(node: WorkerNode, jobs: Sequence[str], how: str, since_at: float) -> Attention:
    """A node that is lost while these jobs run on it. ``how``: what has become of it, as in "is down"."""
    more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
    return Attention(
        f"node-lost:{node.node_id}",
        Severity.CRITICAL,
        AttentionKind.NODE_LOST,
        f"{node.host_name or node.node_id} {how} with {len(jobs)} job(s)",
        f"{node.reason or 'it was lost'}; on it ran {', '.join(jobs[:NAMED])}{more}",
        node_id=node.node_id,
        resource=node.resource,
        count=len(jobs),
        since_at=since_at,
    )


def _demand(model: ReadModel) -> Iterator[Attention]:
    never = [report for report in model.demand.reports if report.never]
    if never:
        jobs = [job_id for report in never for job_id in report.job_ids[:NAMED]][:NAMED]
        count = sum(report.waiting for report in never)
        text = f"They will wait for ever unless a resource is added or changed: {', '.join(jobs)}"
        title = f"{count} job(s) fit no resource"
        yield Attention("job:never", Severity.WARNING, AttentionKind.JOB, title, text, count=count)
    if model.proposals and not model.snapshot.memory.observe_only:
        count = len(model.proposals)
        yield Attention(
            "proposal", Severity.INFO, AttentionKind.PROPOSAL, f"{count} proposal(s)", model.proposals[0], count=count
        )
