"""Tells users where they look why their jobs wait: in the queue itself, by way of the scheduler.

Built in, and made only where the site asks for it (``reason_in_admin_comment`` for Slurm). It watches like any
plug-in, so that a queue that cannot be written to holds up nobody; and it only writes what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from dynamiccluster.decide.tick import answers
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.job import OCCUPYING, Job, JobState
from dynamiccluster.schedulers.base import TellsReasons

MOST_JOBS = 2000
"""So many waiting jobs are explained per look; of more, those follow at the next."""

MOST_WRITES = 5
MOST_NAMED = 200
"""Commands per look, and jobs per command: some ten milliseconds of the scheduler's time."""

LEAST_WAIT_S = 10.0
"""What starts within this needs no explanation."""

LONGEST = 200
"""Characters of a reason."""


class ReasonsInQueue:
    """Implements ``plugins/base``. ``mark``: what our texts begin with; texts of others are left alone.

    The text goes when the job starts, that of an array with its first task. A job that is over before that could be
    seen keeps its last one.
    """

    def __init__(self, scheduler: TellsReasons, mark: str, interval_s: float) -> None:
        self._scheduler = scheduler
        self._mark = mark
        self.interval_s = interval_s
        self._view_at = 0.0
        self._next = 0  # where the next look begins in a long queue

    def observe(self, readmodel: ReadModel) -> None:
        view = readmodel.snapshot.scheduler
        if view is None or view.started_at == self._view_at:
            return  # it would be written again what the next view will show
        self._view_at = view.started_at
        waiting = [job for job in view.jobs if self._is_ours_to_tell(job, readmodel.at)]
        started = [job for job in view.jobs if job.comment.startswith(self._mark) and _has_begun(job)]
        explained = self._some(waiting)
        said = answers(readmodel.snapshot, readmodel.policy, readmodel.at, readmodel.demand, explained)
        wanted: dict[str, list[str]] = {}
        for job, answer in zip(explained, said, strict=True):
            text = self._text(answer.summary)
            if text != job.comment:
                wanted.setdefault(text, []).append(job.job_id)
        if started:
            wanted[""] = [job.job_id for job in started]
        for text, job_ids in islice(_portions(wanted), MOST_WRITES):
            self._scheduler.tell_reason(text, job_ids)

    def close(self) -> None:
        """Texts stay: the next start goes on with them."""

    def _is_ours_to_tell(self, job: Job, now: float) -> bool:
        if job.state is not JobState.PENDING or job.running_tasks or now - job.submitted_at < LEAST_WAIT_S:
            return False
        return not job.comment or job.comment.startswith(self._mark)

    def _some(self, jobs: Sequence[Job]) -> Sequence[Job]:
        if len(jobs) <= MOST_JOBS:
            self._next = 0
            return jobs
        first = self._next % len(jobs)
        self._next = first + MOST_JOBS
        return [*jobs[first : first + MOST_JOBS], *jobs[: max(0, first + MOST_JOBS - len(jobs))]]

    def _text(self, summary: str) -> str:
        """On one line, as the scheduler will show it."""
        plain = " ".join("".join(letter if letter.isprintable() else " " for letter in summary).split())
        return f"{self._mark}{plain}"[:LONGEST].rstrip()


def reasons_in_queue(scheduler: object, wanted: bool, cluster_id: str, interval_s: float) -> dict[str, ReasonsInQueue]:
    """The plug-in under its name, where the site wants it and the scheduler can."""
    if not wanted or not isinstance(scheduler, TellsReasons):
        return {}
    return {"reasons in the queue": ReasonsInQueue(scheduler, f"dynamiccluster:{cluster_id}: ", max(1.0, interval_s))}


def _has_begun(job: Job) -> bool:
    return job.state in OCCUPYING or job.running_tasks > 0


def _portions(wanted: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, Sequence[str]]]:
    """What concerns most jobs first."""
    for text in sorted(wanted, key=lambda text: (-len(wanted[text]), text)):
        job_ids = wanted[text]
        for at in range(0, len(job_ids), MOST_NAMED):
            yield text, job_ids[at : at + MOST_NAMED]
