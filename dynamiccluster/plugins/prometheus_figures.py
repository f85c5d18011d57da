"""What a read model says, as Prometheus' metric families: pure, made anew for each scrape.

Names follow Prometheus' "Metric and label naming": base units, a unit as suffix, ``_total`` for what only grows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from dynamiccluster import __version__
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.job import JobState
from dynamiccluster.model.memory import BreakerState
from dynamiccluster.model.worker_node import COUNTED, ORIGINAL_NAME, ORIGINAL_NUMBER
from dynamiccluster.plugins.host import PluginStatus

PREFIX = "dynamiccluster_"


def families(readmodel: ReadModel, plugins: Iterable[PluginStatus], now: float) -> Iterator[Metric]:
    """Every gauge. A source that was never seen has no figures of its own: nothing is not zero."""
    yield InfoMetricFamily(
        f"{PREFIX}build",
        "Version and cluster.",
        value={"version": __version__, "cluster_id": readmodel.policy.cluster_id},
    )
    yield from _service(readmodel, now)
    yield from _nodes(readmodel)
    yield from _resources(readmodel)
    yield from _jobs(readmodel)
    yield from _sources(readmodel, now)
    yield from _tenancies(readmodel)
    yield from _money(readmodel)
    up = _gauge("plugin_up", "Whether the last look of the plug-in went well.", "plugin")
    for status in plugins:
        up.add_metric([status.name], 0.0 if status.error else 1.0)
    yield up


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=labels)


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _service(readmodel: ReadModel, now: float) -> Iterator[Metric]:
    memory, policy = readmodel.snapshot.memory, readmodel.policy
    auto = policy.auto_mode if memory.auto_mode is None else memory.auto_mode
    yield _one("start_time_seconds", "When the service was started, in seconds since 1970.", readmodel.started_at)
    yield _one("decision_age_seconds", "Time since the last decision.", max(0.0, now - readmodel.at))
    yield _one("auto_mode", "Whether nodes are launched and removed without being told to.", auto)
    yield _one("observe_only", "Whether the service only says what it would do.", memory.observe_only)
    yield _one("store_up", "Whether the last commit went well.", not readmodel.store_error)
    yield _one("decision_up", "Whether the last decision went well.", not readmodel.decision_error)
    yield _one("inbox_length", "News that wait for the next decision.", readmodel.inbox_length)
    kinds = Counter(str(action.kind) for action in readmodel.open_actions.values())
    actions = _gauge("open_actions", "Actions whose result is not known yet.", "kind")
    for kind, count in sorted(kinds.items()):
        actions.add_metric([kind], count)
    yield actions


def _nodes(readmodel: ReadModel) -> Iterator[Metric]:
    nodes = _gauge("nodes", "Worker nodes by the eight states of the REST API.", "resource", "state")
    cores = _gauge("cores", "Cores of worker nodes by the eight states of the REST API.", "resource", "state")
    count: Counter[tuple[str, str]] = Counter()
    size: Counter[tuple[str, str]] = Counter()
    for node in readmodel.snapshot.nodes.values():
        key = node.resource, ORIGINAL_NAME[ORIGINAL_NUMBER[node.state]].lower()
        count[key] += 1
        size[key] += readmodel.capacity_of(node).cores
    states = [name.lower() for name in ORIGINAL_NAME[1:]]
    for resource in sorted({*readmodel.policy.resources, *(name for name, _ in count)}):
        for state in states:  # zeros too: a line that ends cannot be told from a service that ended
            nodes.add_metric([resource, state], count[resource, state])
            cores.add_metric([resource, state], size[resource, state])
    yield nodes
    yield cores


def _resources(readmodel: ReadModel) -> Iterator[Metric]:
    memory = readmodel.snapshot.memory
    least = _gauge("resource_min_nodes", "Fewest nodes, as configured or as an operator has set it.", "resource")
    most = _gauge("resource_max_nodes", "Most nodes, as configured or as an operator has set it.", "resource")
    flag = _gauge("resource_flag", "1 for the flag that an operator has set.", "resource", "flag")
    breaker = _gauge("resource_breaker", "1 for the state of its breaker.", "resource", "state")
    price = _gauge("resource_price_per_hour", "Price of one node.", "resource")
    for name, resource in sorted(readmodel.policy.resources.items()):
        override = memory.overrides.get(name)
        least.add_metric([name], override.min_nodes if override else resource.min_nodes)
        most.add_metric([name], override.max_nodes if override else resource.max_nodes)
        flag.add_metric([name, override.flag.value if override else "normal"], 1)
        known = memory.breakers.get(name)
        for state in BreakerState:
            breaker.add_metric([name, state.value], (known.state if known else BreakerState.CLOSED) is state)
        price.add_metric([name], resource.price_per_hour)
    yield from (least, most, flag, breaker, price)
    pauses = _gauge("backoffs", "Offerings, tenancies and resources that are paused after a refusal.", "error_class")
    for word, count in sorted(Counter(one.error_class or "other" for one in memory.backoffs.values()).items()):
        pauses.add_metric([word], count)
    yield pauses


def _jobs(readmodel: ReadModel) -> Iterator[Metric]:
    view, demand = readmodel.snapshot.scheduler, readmodel.demand
    if view is None:
        return
    tasks: Counter[JobState] = Counter()
    for job in view.jobs:
        tasks[job.state] += job.tasks
    jobs = _gauge("jobs", "Jobs in the queue by state, each task of an array counted.", "state")
    for state in JobState:
        jobs.add_metric([state.value], tasks[state])
    yield jobs
    yield _one("demand_tasks", "Waiting jobs that more nodes would help.", demand.waiting_tasks)
    yield _one("demand_cores", "Cores of waiting jobs that more nodes would help.", demand.waiting_cores)
    yield _one(
        "demand_unplaced_tasks", "Waiting jobs for which no node is up, coming or bought.", demand.unplaced_tasks
    )
    held = _gauge("demand_held_back", "Waiting jobs that more nodes would not help (yet).", "why")
    for why, ids in sorted(demand.held_back.items()):
        held.add_metric([why], len(ids))
    yield held


def _sources(readmodel: ReadModel, now: float) -> Iterator[Metric]:
    up = _gauge("source_up", "Whether the last poll of the source went well.", "source")
    old = _gauge("source_age_seconds", "Age of what is known of the source.", "source")
    failures = _gauge("source_failures", "Failed polls of the source in a row.", "source")
    for name, status in sorted(readmodel.sources.items()):
        up.add_metric([name], status.ok)
        failures.add_metric([name], status.failures)
        if status.last_good_at:
            old.add_metric([name], max(0.0, now - status.last_good_at))
    yield from (up, old, failures)


def _tenancies(readmodel: ReadModel) -> Iterator[Metric]:
    ours = _gauge("instances", "Machines with our mark in the last view of the tenancy.", "tenancy")
    others = _gauge("stranger_instances", "Machines of others in the last view of the tenancy.", "tenancy")
    limit = _gauge("quota_limit", "Limit of the tenancy.", "tenancy", "what")
    used = _gauge("quota_used", "What everybody uses of the tenancy's limit.", "tenancy", "what")
    for name, view in sorted(readmodel.snapshot.clouds.items()):
        ours.add_metric([name], len(view.instances))
        others.add_metric([name], view.strangers)
        quota = view.quota
        rows = (
            ("instances", quota.max_instances, quota.used_instances),
            ("cores", quota.max_cores, quota.used_cores),
            ("memory_mib", quota.max_memory_mib, quota.used_memory_mib),
        )
        for what, most, now_used in rows:
            if most is not None:
                limit.add_metric([name, what], most)
                used.add_metric([name, what], now_used)
    yield from (ours, others, limit, used)
    orphans = sum(key.startswith("orphan:") for key in readmodel.snapshot.memory.misses)
    yield _one("orphans", "Machines with our mark that no worker node accounts for, not yet ended.", orphans)


def _money(readmodel: ReadModel) -> Iterator[Metric]:
    memory, limits = readmodel.snapshot.memory, readmodel.policy.limits
    counted = (node for node in readmodel.snapshot.nodes.values() if node.state in COUNTED)
    yield _one("cost_per_hour", "What all nodes cost now.", sum(map(readmodel.price_of, counted)))
    spent = CounterMetricFamily(f"{PREFIX}cost", "Money spent since the month began.", labels=["month"])
    if memory.spend.month:
        spent.add_metric([memory.spend.month], memory.spend.amount)
    yield spent
    budget = _gauge("budget", "Budget, where there is one.", "period")
    for period, amount in (("hour", limits.budget_per_hour), ("month", limits.budget_per_month)):
        if amount:
            budget.add_metric([period], amount)
    yield budget
