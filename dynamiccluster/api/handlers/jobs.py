"""Jobs: ``/job`` and ``/api/v1/jobs``."""

from __future__ import annotations

from dynamiccluster.api.handlers.base import MAX_PAGE, ApiHandler
from dynamiccluster.api.pictures import original
from dynamiccluster.api.pictures.jobs import job_detail, job_list
from dynamiccluster.api.pictures.service import unseen_scheduler
from dynamiccluster.api.problems import not_found, not_ready
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.job import Job, JobState

_HISTORY = 20


class _JobHandler(ApiHandler):
    def find(self, job_id: str) -> Job:
        """The job with this id; 404 if the scheduler does not list it, 503 if it was never seen."""
        if unseen := unseen_scheduler(self.model):
            raise not_ready(unseen)
        job = self.model.jobs_by_id.get(job_id)
        if job is None:
            raise not_found("job", job_id)
        return job


class QueuedJobs(ApiHandler):
    """The original's list of queued jobs, whole, sent in pieces."""

    async def get(self) -> None:
        await self.stream_list(original.job(job) for job in original.queued_jobs(self.model))


class QueuedJobOne(_JobHandler):
    def get(self, job_id: str) -> None:
        job = self.find(job_id)
        if job.state is not JobState.PENDING:
            raise not_found("queued job", job_id)
        self.plain(original.job(job))


class Jobs(ApiHandler):
    takes = frozenset({"limit", "after", "state", "user", "queue"})

    def get(self) -> None:
        limit = self.number("limit", 500, 1, MAX_PAGE)
        states, user, queue = self.words_of("state", JobState), self.word("user"), self.word("queue")
        self.answer(job_list(self.model, self.now, states, user, queue, limit, self.word("after")))


class JobOne(_JobHandler):
    async def get(self, job_id: str) -> None:
        job = self.find(job_id)
        answer = self.context.service.explain(job_id)
        events = await self.within_limit(self.context.service.events(EventQuery(limit=_HISTORY, job_id=job_id)))
        self.answer(job_detail(job, answer, events, self.now))
