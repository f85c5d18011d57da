"""Jobs: ``/job`` and ``/api/v1/jobs``."""

from __future__ import annotations

from dynamiccluster.api import original_shapes, schemas
from dynamiccluster.api.declare import one_of, operation, word, words
from dynamiccluster.api.handlers.base import AFTER, LIMIT, OFFSET, ApiHandler
from dynamiccluster.api.pictures import original, rows
from dynamiccluster.api.pictures.jobs import job_detail, job_list
from dynamiccluster.api.pictures.service import unseen_scheduler
from dynamiccluster.api.problems import not_found, not_ready
from dynamiccluster.api.versions import Topic
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.job import Job, JobState, Wait

_HISTORY = 20

STATE = words("state", JobState, "only jobs in these states")
USER = word("user", "only of this user")
QUEUE = word("queue", "only jobs that name this queue")
ACCOUNT = word("account", "only of this account")
WAITS = {wait.name.lower().replace("_", "-"): wait for wait in Wait}
WAIT = one_of("wait", WAITS, "only pending jobs for which more nodes help, would not yet, or would not help")
TEXT = word("q", "only with this text in id, name, user, account, reason or queue")
SORT = one_of("sort", [sign + name for name in rows.JOB_SORTS for sign in ("", "-")], "a field, - before it: downwards")


class _JobHandler(ApiHandler):
    def find(self, job_id: str) -> Job:
        """The job with this id; 404 if the scheduler does not list it, 503 if it was never seen."""
        if unseen := unseen_scheduler(self.model):
            raise not_ready(unseen)
        job = self.model.jobs_by_id.get(job_id)
        if job is None:
            raise not_found("job", job_id, "the scheduler lists it no more, or never did")
        return job


class QueuedJobs(ApiHandler):
    """The original's list of queued jobs, whole, sent in pieces."""

    @operation("queued jobs", original_shapes.JOBS)
    async def get(self) -> None:
        await self.stream_list(original.job(job) for job in original.queued_jobs(self.model))


class QueuedJobOne(_JobHandler):
    @operation("one queued job", original_shapes.JOB, also=(503,))
    def get(self, job_id: str) -> None:
        job = self.find(job_id)
        if job.state is not JobState.PENDING:
            raise not_found("queued job", job_id)
        self.plain(original.job(job))


class Jobs(ApiHandler):
    @operation(
        "jobs, page by page",
        schemas.JobList,
        takes=(LIMIT, OFFSET, AFTER, STATE, USER, QUEUE, ACCOUNT, WAIT, TEXT, SORT),
    )
    def get(self) -> None:
        model, now = self.model, self.now
        wanted = rows.Wanted(
            states=self.asked(STATE),
            user=self.asked(USER),
            queue=self.asked(QUEUE),
            account=self.asked(ACCOUNT),
            wait=WAITS[waits].value if (waits := self.asked(WAIT)) else "",
            text=self.asked(TEXT).lower(),
            sort=self.asked(SORT),
        )
        window = self.window(wanted)
        version = self.context.versions.tag(model, Topic.JOBS)

        def make() -> schemas.JobList:
            found = self.context.cache.order((version, wanted), lambda: rows.jobs(model, wanted))
            part = rows.page(found, window, lambda job: job.job_id, rows.by_count)
            return job_list(model, now, part, version)

        self.versioned(make, Topic.JOBS)


class JobOne(_JobHandler):
    @operation(
        "one job, with `answer`: why it waits, who refused it, the limit that binds, the next try",
        schemas.JobDetail,
        also=(503, 504),
    )
    async def get(self, job_id: str) -> None:
        job = self.find(job_id)
        answer = self.context.service.explain(job_id)
        events = await self.within_limit(self.context.service.events(EventQuery(limit=_HISTORY, job_id=job_id)))
        self.answer(job_detail(job, answer, events, self.now))
