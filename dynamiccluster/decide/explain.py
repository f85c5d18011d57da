"""Answers: why a job waits, which resources refused it, which limit binds, when it is tried again.

The answers are read off the plan's own report, so they cannot drift from what was decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from dynamiccluster.decide import breaker
from dynamiccluster.decide.demand import BY_SCHEDULER, sane
from dynamiccluster.decide.draft import Draft
from dynamiccluster.decide.switched import is_awaited, refusals_of
from dynamiccluster.model.job import OCCUPYING, Job, JobState, Wait
from dynamiccluster.model.plan import MISFITS, Demand, JobAnswer, Refusal, ShapeReport
from dynamiccluster.model.worker_node import WorkerNode

SENTENCES: dict[Refusal, str] = {
    Refusal.BY_SCHEDULER: "gets its nodes when the scheduler itself picks them for a job",
    Refusal.QUEUE: "is reserved for, or serves, another queue",
    Refusal.ACCOUNT: "is reserved for another account",
    Refusal.PROPERTY: "is reserved for jobs that ask for its property",
    Refusal.FEATURES: "does not have the features the job asks for",
    Refusal.GPU_TYPE: "has another type of GPU",
    Refusal.NO_SIZE: "is of a size that its cloud has not told yet",
    Refusal.CORES: "has too few cores per node",
    Refusal.MEMORY: "has too little memory per node",
    Refusal.GPUS: "has too few GPUs per node",
    Refusal.CLOSED: "is closed after repeated failures",
    Refusal.SOLD_OUT: "is sold out or over its quota for the moment",
    Refusal.THROTTLED: "must wait: its cloud asked us to slow down",
    Refusal.FAILING: "must wait: its last launch failed, it is tried again soon",
    Refusal.FROZEN: "is frozen by an operator",
    Refusal.DRAINING: "is being drained",
    Refusal.MAX_NODES: "has its maximum number of nodes",
    Refusal.MAX_STARTING: "has as many nodes on their way as it may",
    Refusal.CLUSTER_NODES: "would exceed the node limit of the whole cluster",
    Refusal.CLUSTER_CORES: "would exceed the core limit of the whole cluster",
    Refusal.QUOTA: "would exceed the quota of its tenancy",
    Refusal.SPOT_FIRST: "is not used while work waits for the spot instances of a better one",
    Refusal.NO_PRICE: "has no known price, and there is a budget to keep to",
    Refusal.BUDGET_HOUR: "would exceed the budget per hour",
    Refusal.BUDGET_MONTH: "would exceed the budget of this month",
    Refusal.LAUNCH_RATE: "must wait for the launch rate",
    Refusal.NO_VIEW: "has not been seen yet: its cloud has not answered since the start",
    Refusal.COMPONENTS: "cannot give all components of the job their nodes, and these start together or not at all",
    Refusal.AUTO_OFF: "would get nodes, but automatic mode is off or the service only observes",
}

ORDER = tuple(SENTENCES)


class Rank(NamedTuple):
    """Where a job stands in the plan's report."""

    report: ShapeReport  # of its shape
    number: int  # among the jobs of the report, in the order in which they are served


def ranks(demand: Demand, job_ids: Collection[str]) -> dict[str, Rank]:
    """Where these jobs stand; those that the plan did not serve are missing."""
    return {
        job_id: Rank(report, number)
        for report in demand.reports
        for number, job_id in enumerate(report.job_ids)
        if job_id in job_ids
    }


def answer(draft: Draft, demand: Demand, job: Job, known: Mapping[str, Rank] | None = None) -> JobAnswer:
    """Why this job waits, or where it runs. ``known``: its rank, from :func:`ranks` for many jobs at once."""
    if job.state is JobState.STARTING and any(is_awaited(draft.hosts, name) for name in job.hosts):
        return _awaited(draft, job)
    if job.state in OCCUPYING:
        return JobAnswer(job, f"{job.state} on {', '.join(job.hosts) or 'hosts not named'}", "", nodes=job.hosts)
    if job.state is not JobState.PENDING:
        return JobAnswer(job, f"the scheduler calls it {job.state}", "")
    if job.wait is not Wait.HELPS or (job.throttle and not job.startable_tasks):
        return _held_back(job)
    rank = (ranks(demand, (job.job_id,)) if known is None else known).get(job.job_id)
    if not sane(job.shape):
        return JobAnswer(job, "asks for amounts that make no sense, so nothing is launched for it", str(Wait.NO))
    if rank is None and job.job_id in demand.held_back.get(BY_SCHEDULER, ()):
        return _by_scheduler(draft, job)
    if rank is None:
        return JobAnswer(job, f"its queue ({', '.join(job.shape.queues) or 'none'}) is not monitored", str(job.wait))
    report = rank.report
    nominees = _nominees(draft.nodes, draft, job)
    refusals = {name: SENTENCES[refusal] for name, refusal in report.refusals.items()}
    place = _place(rank)
    if place == "unplaced":
        return _unplaced(draft, job, report, refusals)
    said = {
        "free": "fits on nodes that are up: the scheduler can start it",
        "coming": "waits for nodes that are on their way",
        "new": "nodes are being launched for it",
    }[place]
    return JobAnswer(job, said, str(job.wait), refusals=refusals, nodes=nominees)


def _awaited(draft: Draft, job: Job) -> JobAnswer:
    """The scheduler has given it hosts that have no machines yet."""
    states = {node.host_name: str(node.state) for node in draft.nodes.values()}
    told = [f"{name} ({states.get(name, 'not launched yet')})" for name in job.hosts if is_awaited(draft.hosts, name)]
    return JobAnswer(job, f"waits for machines of hosts it was given: {', '.join(told)}", "", nodes=job.hosts)


def _by_scheduler(draft: Draft, job: Job) -> JobAnswer:
    """The scheduler picks the nodes of its queues from those that are offered."""
    found = refusals_of(draft, job.shape)
    refusals = {name: SENTENCES[refusal] for name, refusal in found.items()}
    said = "waits for the scheduler, which itself picks the nodes of its queue(s)"
    limits = [refusal for refusal in found.values() if refusal not in MISFITS]
    if Refusal.BY_SCHEDULER in found.values() or not limits:
        return JobAnswer(job, said, str(job.wait), refusals)
    retries = [breaker.retry_at(draft, draft.resource(name)) for name in found]
    return JobAnswer(
        job,
        f"{said}; for the moment there are none",
        str(job.wait),
        refusals,
        limit=str(min(limits, key=ORDER.index)),
        earliest_retry_at=min((at for at in retries if at > 0), default=0.0),
    )


def _held_back(job: Job) -> JobAnswer:
    if job.throttle and not job.startable_tasks:
        return JobAnswer(job, f"its array's own throttle of {job.throttle} tasks is used up", str(Wait.NOT_YET))
    if job.wait is Wait.NOT_YET:
        return JobAnswer(
            job,
            f"cannot start yet ({job.reason}); nothing is launched for it before it can",
            str(job.wait),
            earliest_retry_at=job.eligible_at,
        )
    return JobAnswer(job, f"waits for something that more nodes do not give: {job.reason}", str(job.wait))


def _place(rank: Rank) -> str:
    """Where the plan put this job: jobs of a shape are served in the report's order."""
    report = rank.report
    tasks_before = rank.number * report.waiting / max(len(report.job_ids), 1)
    for place, count in (("free", report.on_free), ("coming", report.on_coming), ("new", report.on_new)):
        if tasks_before < count:
            return place
        tasks_before -= count
    return "unplaced" if report.unplaced else "new"


def _unplaced(draft: Draft, job: Job, report: ShapeReport, refusals: Mapping[str, str]) -> JobAnswer:
    if job.shape.hosts:
        said = f"asks for the very host(s) {', '.join(job.shape.hosts)}, which no launch can provide"
        return JobAnswer(job, said, str(job.wait), refusals)
    if report.never:
        return JobAnswer(job, "can never run here: no resource and no host can hold it", str(job.wait), refusals)
    limits = [refusal for refusal in report.refusals.values() if refusal not in MISFITS]
    if not limits:
        return JobAnswer(job, "waits for hosts that exist but are in use; no resource fits it", str(job.wait), refusals)
    binding = min(limits, key=ORDER.index)
    retries = [
        breaker.retry_at(draft, draft.resource(name))
        for name, refusal in report.refusals.items()
        if refusal not in MISFITS
    ]
    known = [at for at in retries if at > 0]
    names = ", ".join(name for name, refusal in report.refusals.items() if refusal is binding)
    return JobAnswer(
        job,
        f"waits because of a limit: {names} {SENTENCES[binding]}",
        str(job.wait),
        refusals,
        limit=str(binding),
        earliest_retry_at=min(known, default=0.0),
    )


def _nominees(nodes: Mapping[str, WorkerNode], draft: Draft, job: Job) -> tuple[str, ...]:
    return tuple(
        nodes[node_id].host_name
        for node_id, nomination in draft.nominations.items()
        if nomination.job_id == job.job_id and node_id in nodes
    )
