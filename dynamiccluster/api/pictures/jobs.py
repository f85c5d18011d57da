"""Jobs, and the answer that every waiting job has."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from dynamiccluster.api import schemas
from dynamiccluster.api.pictures.common import age, capacity_doc, history
from dynamiccluster.api.schemas import instant
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.model.plan import JobAnswer
from dynamiccluster.store.base import EventPage


def job_doc(job: Job, now: float) -> schemas.JobDoc:
    return schemas.JobDoc(**_fields(job, now))


def _fields(job: Job, now: float) -> dict[str, object]:
    shape = job.shape
    pending = job.state is JobState.PENDING
    return {
        "job_id": job.job_id,
        "name": job.name,
        "user": job.user,
        "state": job.state.value,
        "wait": job.wait.value if pending else "",
        "reason": job.reason,
        "queues": list(shape.queues),
        "account": shape.account,
        "features": [list(group) for group in shape.features],
        "cores": shape.cores,
        "chunk": capacity_doc(shape.chunk),
        "chunks": shape.chunks,
        "distinct_hosts": shape.distinct,
        "exclusive": shape.exclusive,
        "gpu_type": shape.gpu_type,
        "walltime_s": shape.walltime_s,
        "priority": job.priority,
        "submitted_at": instant(job.submitted_at),
        "waited_s": age(job.submitted_at, now) if pending and job.submitted_at else 0.0,
        "started_at": instant(job.started_at),
        "eligible_at": instant(job.eligible_at),
        "tasks": job.tasks,
        "throttle": job.throttle,
        "running_tasks": job.running_tasks,
        "hosts": list(job.hosts),
        "rerunnable": job.rerunnable,
    }


def job_detail(job: Job, answer: JobAnswer | None, events: EventPage, now: float) -> schemas.JobDetail:
    told = None
    if answer is not None:
        told = schemas.AnswerDoc(
            summary=answer.summary,
            wait=answer.wait,
            refusals=dict(answer.refusals),
            limit=answer.limit,
            earliest_retry_at=instant(answer.earliest_retry_at),
            nodes=list(answer.nodes),
        )
    return schemas.JobDetail(**_fields(job, now), answer=told, history=history(events))


def in_order(job_id: str) -> tuple[int, str]:
    """Sort key: by number as people count (9 before 10), array records beside each other."""
    digits = len(job_id) - len(job_id.lstrip("0123456789"))
    return digits, job_id


def job_list(
    model: ReadModel, now: float, states: frozenset[str], user: str, queue: str, limit: int, after: str
) -> schemas.JobList:
    """A page in the order of job ids; empty filters let everything pass."""
    found = [job for job in _jobs(model) if _passes(job, states, user, queue)]
    border = in_order(after)
    rest = [job for job in found if in_order(job.job_id) > border] if after else found
    page = heapq.nsmallest(limit, rest, key=lambda job: in_order(job.job_id))
    return schemas.JobList(
        jobs=[job_doc(job, now) for job in page],
        total=len(found),
        next=page[-1].job_id if len(page) < len(rest) else "",
    )


def _jobs(model: ReadModel) -> Iterator[Job]:
    view = model.snapshot.scheduler
    yield from view.jobs if view else ()


def _passes(job: Job, states: frozenset[str], user: str, queue: str) -> bool:
    return (
        (not states or job.state.value in states)
        and (not user or job.user == user)
        and (not queue or queue in job.shape.queues)
    )
