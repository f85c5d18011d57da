"""Which waiting jobs are only waiting because Slurm has put them back into the queue. Pure.

A job that is requeued, by anybody or because its node has failed, is as if submitted at that moment and may not
begin before its old credential has expired: begin time = submit time + ``cred_expire`` + 1 s, which is 121 s unless
``AuthInfo`` says otherwise (seen with 22.05.8; ``batch_requeue_fini`` in ``job_mgr.c``). A user's own
``--begin=now+2minutes`` can look the same, but such a job has never been started.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dynamiccluster.model.job import Job, JobState, Wait

RESTARTS_FORMAT = "JobArrayID:|,RestartCnt:|"
"""The value of ``squeue -O`` that :func:`mark_requeued` reads."""


def perhaps_requeued(jobs: Iterable[Job], requeue_wait_s: float, now: float) -> list[str]:
    """Ids of the jobs whose times look like a requeue; to be told from users' wishes by their restarts."""
    return [job.job_id for job in jobs if _may_be(job, requeue_wait_s, now)]


def mark_requeued(jobs: Sequence[Job], restarts: str, requeue_wait_s: float, now: float) -> tuple[Job, ...]:
    """The jobs, those shown as stuck that were requeued. ``restarts``: the answer about the suspects."""
    started_before = set()
    for line in restarts.splitlines():
        job_id, _, number = line.partition("|")
        if number.rstrip("|").isdigit() and int(number.rstrip("|")) > 0:
            started_before.add(_plain(job_id))
    if not started_before:
        return tuple(jobs)
    return tuple(
        replace(job, stuck=True) if _plain(job.job_id) in started_before and _may_be(job, requeue_wait_s, now) else job
        for job in jobs
    )


def _may_be(job: Job, requeue_wait_s: float, now: float) -> bool:
    if job.wait is not Wait.NOT_YET or job.state is not JobState.PENDING or job.eligible_at <= now:
        return False
    # one second less where the job was submitted and requeued within the same second
    return requeue_wait_s - 1 <= job.eligible_at - job.submitted_at <= requeue_wait_s


def _plain(job_id: str) -> str:
    """Without the number of a component, and without the list of waiting tasks, which the poll leaves out."""
    plain = job_id.partition("+")[0]
    return plain.partition("_")[0] if "[" in plain else plain
