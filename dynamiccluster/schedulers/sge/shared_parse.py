"""Waiting jobs that nodes alone would not start, because something that the whole cluster shares is used up. Pure.

Licences and the like that stand at the host ``global`` are given out among the waiting jobs in the order of their
priority; so are the slots that a parallel environment may give to all of its jobs together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dynamiccluster.model.job import OCCUPYING, Job, JobState, Wait
from dynamiccluster.schedulers.sge.jobs_parse import Queue
from dynamiccluster.schedulers.sge.site_parse import Site


def lower_unserved(queue: Queue, jobs: tuple[Job, ...], site: Site, left: Mapping[str, float]) -> tuple[Job, ...]:
    """The jobs, those beyond what is left with ``Wait.NO`` and the reason. ``jobs`` are those of ``queue``, in order.

    ``left``: what the cluster has left of what it shares, as ``qhost`` says.
    """
    if not queue.draws:
        return jobs
    pools = dict(left)
    for environment in site.environments.values():
        pools[f"pe:{environment.name}"] = float(environment.slots)
    waiting = []
    for at, request in queue.draws.items():
        if jobs[at].state is JobState.PENDING:
            waiting.append(at)
        elif jobs[at].state in OCCUPYING:  # licences in use are not among those left
            for name, amount in request.draws:
                if name.startswith("pe:") and name in pools:
                    pools[name] -= amount
    lowered = list(jobs)
    for at in sorted(waiting, key=lambda at: -jobs[at].priority):
        if jobs[at].wait is Wait.HELPS:
            lowered[at] = _served(jobs[at], queue.draws[at].draws, pools)
    return tuple(lowered)


def _served(job: Job, draws: tuple[tuple[str, float], ...], pools: dict[str, float]) -> Job:
    """The job, with what is left given to it. Of an array so many tasks as there is enough for."""
    tasks = job.startable_tasks
    scarce = ""
    for name, amount in draws:
        if amount > 0 and name in pools:
            enough = int(pools[name] // amount) if pools[name] > 0 else 0
            if enough < tasks:
                tasks, scarce = enough, name
    if tasks <= 0 < job.startable_tasks:
        what = f"slots of the parallel environment {scarce[3:]}" if scarce.startswith("pe:") else scarce
        return replace(job, wait=Wait.NO, reason=f"it waits for {what}, of which {max(pools[scarce], 0):g} are left")
    for name, amount in draws:
        if name in pools:
            pools[name] -= amount * tasks
    if tasks < job.startable_tasks:
        return replace(job, throttle=job.running_tasks + tasks)
    return job
