"""Jobs that Maui has given up on: which they are, why, and what to do about it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from dynamiccluster.errors import BadConfigError, DynamicClusterError, NotFoundError
from dynamiccluster.model.job import Job
from dynamiccluster.schedulers.torque.jobs_parse import Queue
from dynamiccluster.schedulers.torque.maui import Maui
from dynamiccluster.schedulers.torque.maui_parse import Verdict
from dynamiccluster.schedulers.torque.waiting import block, maui_id, plain_id

log = logging.getLogger(__name__)

_JOB_ID = re.compile(r"\d+(\[\d*\])?(\.[A-Za-z0-9_.-]+)?(\+\d+)?")
_AT_ONCE = 50
"""Jobs per call, at two commands each. The others stay marked and get their turn a minute later."""


class Unsticking:
    """Remembers which jobs Maui does not run for reasons that nodes do not cure, until it lists them again.

    Only a job that Maui itself has deferred (or, after 24 times, held) for lack of nodes is released, because
    ``releasehold -a`` would lift a user's hold as well.
    """

    def __init__(self, maui: Maui) -> None:
        self._maui = maui
        self._blocked: dict[str, str] = {}

    def look_at(self, job_ids: Sequence[str]) -> None:
        """Release those that wait for nothing but nodes.

        :raises TransientError: Maui does not answer.
        """
        for job_id in list(dict.fromkeys(plain_id(each) for each in require_job_ids(job_ids)))[:_AT_ONCE]:
            name = maui_id(job_id)
            try:
                verdict, why = self._maui.verdict(name)
            except BadConfigError as error:
                log.warning("jobs that Maui has deferred cannot be released: %s", error)
                return
            except DynamicClusterError as error:
                if "cannot locate job" in str(error) or isinstance(error, NotFoundError):
                    continue
                raise
            if verdict is Verdict.GIVEN_UP:
                self._maui.release_hold(name)
            elif verdict is Verdict.BLOCKED:
                self._blocked[job_id] = f"Maui: {why}"

    def forget_listed(self, queue: Queue) -> None:
        """Maui considers a job again, or it is gone: what it said before is over."""
        if self._blocked:
            unlisted = {plain_id(queue.jobs[at].job_id) for at in queue.unlisted}
            self._blocked = {job_id: why for job_id, why in self._blocked.items() if job_id in unlisted}

    def block(self, jobs: list[Job]) -> None:
        block(jobs, self._blocked)


def require_job_ids(job_ids: Sequence[str]) -> Sequence[str]:
    """:raises BadConfigError: one of them is not the id of a job."""
    for job_id in job_ids:
        if not _JOB_ID.fullmatch(job_id):
            raise BadConfigError(f"{job_id[:100]!r} is not the id of a job")
    return job_ids
