"""Waiting jobs that nodes alone would not start, because something that the whole cluster shares is used up. Pure.

Licences and the like that stand at the host ``global`` are given out among the waiting jobs in the order of their
priority; so are the slots that a parallel environment may give to all of its jobs together, and what is left of
resource quotas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dynamiccluster.model.job import OCCUPYING, Job, JobState, Wait
from dynamiccluster.schedulers.sge.jobs_parse import Queue
from dynamiccluster.schedulers.sge.quotas_parse import Quota
from dynamiccluster.schedulers.sge.request_parse import Request
from dynamiccluster.schedulers.sge.site_parse import Site

_ENVIRONMENT, _QUOTA = "pe:", "quota:"


def lower_unserved(
    queue: Queue, jobs: tuple[Job, ...], site: Site, left: Mapping[str, float], quotas: Sequence[Quota] = ()
) -> tuple[Job, ...]:
    """The jobs, those beyond what is left with ``Wait.NO`` and the reason. ``jobs`` are those of ``queue``, in order.

    ``left``: what the cluster has left of what it shares, as ``qhost`` says.
    """
    if not quotas and not any(request.draws for request in queue.requests.values()):
        return jobs
    pools = dict(left)
    for environment in site.environments.values():
        pools[f"{_ENVIRONMENT}{environment.name}"] = float(environment.slots)
    for at, quota in enumerate(quotas):
        pools[f"{_QUOTA}{at}"] = quota.left
    waiting = []
    for at, request in queue.requests.items():
        if jobs[at].state is JobState.PENDING:
            waiting.append(at)
        elif jobs[at].state in OCCUPYING:  # licences in use are not among those left
            for name, amount in request.draws:
                if name.startswith(_ENVIRONMENT) and name in pools:
                    pools[name] -= amount
    quotas_of = _Quotas(quotas)
    lowered = list(jobs)
    for at in sorted(waiting, key=lambda at: -jobs[at].priority):
        if jobs[at].wait is Wait.HELPS:
            request = queue.requests[at]
            draws = (*request.draws, *quotas_of.draws(jobs[at].user, request)) if quotas else request.draws
            lowered[at] = _served(jobs[at], draws, pools, quotas)
    return tuple(lowered)


class _Quotas:
    """Which quotas bind a job, found once for all jobs of one user that ask for the same."""

    def __init__(self, quotas: Sequence[Quota]) -> None:
        self._quotas = quotas
        self._known: dict[tuple[str, int], tuple[tuple[str, float], ...]] = {}

    def draws(self, user: str, request: Request) -> tuple[tuple[str, float], ...]:
        key = (user, id(request))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = tuple(self._binding(user, request))
        return found

    def _binding(self, user: str, request: Request) -> list[tuple[str, float]]:
        environment = next(
            (name[len(_ENVIRONMENT) :] for name, _ in request.draws if name.startswith(_ENVIRONMENT)), ""
        )
        amounts = {"slots": float(request.slots), **dict(request.draws)}
        return [
            (f"{_QUOTA}{at}", amounts[quota.resource])
            for at, quota in enumerate(self._quotas)
            if quota.resource in amounts and quota.binds(user, request.asked.project, request.shape.queues, environment)
        ]


def _served(job: Job, draws: Sequence[tuple[str, float]], pools: dict[str, float], quotas: Sequence[Quota]) -> Job:
    """The job, with what is left given to it. Of an array so many tasks as there is enough for."""
    tasks = job.startable_tasks
    scarce = ""
    for name, amount in draws:
        if amount > 0 and name in pools:
            enough = int(pools[name] // amount) if pools[name] > 0 else 0
            if enough < tasks:
                tasks, scarce = enough, name
    if tasks <= 0 < job.startable_tasks:
        what = _shown(scarce, quotas)
        return replace(job, wait=Wait.NO, reason=f"it waits for {what}, of which {max(pools[scarce], 0):g} are left")
    for name, amount in draws:
        if name in pools:
            pools[name] -= amount * tasks
    if tasks < job.startable_tasks:
        return replace(job, throttle=job.running_tasks + tasks)
    return job


def _shown(name: str, quotas: Sequence[Quota]) -> str:
    if name.startswith(_ENVIRONMENT):
        return f"slots of the parallel environment {name[len(_ENVIRONMENT) :]}"
    if name.startswith(_QUOTA):
        quota = quotas[int(name[len(_QUOTA) :])]
        return f"{quota.resource} under the quota {quota.rule}"
    return name
