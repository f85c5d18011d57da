"""Jobs, and the answer that every waiting job has."""

from __future__ import annotations

from dynamiccluster.api import schemas
from dynamiccluster.api.pictures import rows
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


def job_list(model: ReadModel, now: float, found: rows.Page[Job], version: str) -> schemas.JobList:
    return schemas.JobList(
        jobs=[job_doc(job, now) for job in found.rows],
        total=found.total,
        next=found.next,
        counts=dict(found.counts),
        version=version,
        as_of_at=instant(now),
    )


def first_jobs(model: ReadModel, now: float, most: int) -> schemas.JobList:
    """The first page in the order of ids."""
    found = rows.jobs(model, rows.Wanted())
    return job_list(model, now, rows.page(found, rows.Window(most), lambda job: job.job_id, rows.by_count), "")
