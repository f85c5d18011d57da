"""What keeps waiting jobs from starting though their reasons do not say so: asks Slurm and hands it to pure rules."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dynamiccluster.errors import DynamicClusterError, NotFoundError
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.schedulers.slurm.calls import SlurmCalls
from dynamiccluster.schedulers.slurm.components import lower_incomplete
from dynamiccluster.schedulers.slurm.jobs_parse import Queue
from dynamiccluster.schedulers.slurm.licences_parse import parse_licences
from dynamiccluster.schedulers.slurm.limits import give_out, lower_alike
from dynamiccluster.schedulers.slurm.limits_parse import Limits, parse_limits
from dynamiccluster.schedulers.slurm.nodes_parse import Config, Partitions
from dynamiccluster.schedulers.slurm.requeues_parse import RESTARTS_FORMAT, mark_requeued, perhaps_requeued
from dynamiccluster.schedulers.slurm.reservations import lower_reserved, mark_reserved
from dynamiccluster.schedulers.slurm.reservations_parse import Reservation, parse_reservations

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

MOST_NAMED = 200
"""Jobs or users named in one question; of more, all are asked for."""

_USER = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Seen:
    """Jobs and hosts with everything taken into account."""

    jobs: tuple[Job, ...]
    hosts: tuple[Host, ...]
    stale: tuple[str, ...]  # what could not be asked this time


class Hindrances:
    """One question about reservations per poll, and one more each while limits are enforced and jobs wait, while a
    waiting job asks for a licence, and while a job looks as if it had been requeued.

    ``lead_s``: how long a new node takes to come, reckoned generously.
    """

    def __init__(self, calls: SlurmCalls, lead_s: float) -> None:
        self._calls = calls
        self._lead_s = lead_s
        self._failing: set[str] = set()

    def look(self, queue: Queue, hosts: Sequence[Host], config: Config, partitions: Partitions, now: float) -> Seen:
        """``hosts``: with templates, as Slurm told them."""
        stale: list[str] = []
        reservations = self._reservations(stale)
        queue = replace(queue, jobs=lower_reserved(queue, reservations, hosts, now, self._lead_s))
        queue = replace(queue, jobs=self._within_limits(queue, config, partitions, stale))
        jobs = lower_incomplete(self._mark_requeued(queue.jobs, config.requeue_wait_s, now))
        return Seen(jobs, mark_reserved(hosts, reservations or (), now), tuple(stale))

    def _reservations(self, stale: list[str]) -> tuple[Reservation, ...] | None:
        return self._asked(
            "reservations", lambda: parse_reservations(self._calls.ask("-o", "show", "reservation")), stale
        )

    def _within_limits(self, queue: Queue, config: Config, partitions: Partitions, stale: list[str]) -> tuple[Job, ...]:
        limits: Limits | None = None
        waiting = [job for job in queue.jobs if job.wait is Wait.HELPS and job.state is JobState.PENDING]
        if config.limits_enforced and waiting:
            users = {job.user for job in waiting}
            limits = self._asked("limits", lambda: parse_limits(self._ask_limits(users)), stale)
        if limits is None:
            queue = replace(queue, jobs=lower_alike(queue))
        free = parse_licences(self._calls.ask("-o", "show", "licenses")) if queue.licences else {}
        if limits is None and not queue.licences:
            return queue.jobs
        return give_out(queue, limits or Limits(), partitions.qos, free)

    def _ask_limits(self, users: set[str]) -> str:
        """All accounts and QOS, but only these users: there may be ten thousand."""
        named = len(users) <= MOST_NAMED and all(_USER.fullmatch(user) for user in users)
        only = (f"users={','.join(sorted(users))}",) if named else ()
        return self._calls.ask("-o", "show", "assoc_mgr", "flags=assoc,qos", *only)

    def _asked(self, what: str, ask: Callable[[], Answer], stale: list[str]) -> Answer | None:
        """An answer that a poll can do without. That there is none is logged once."""
        try:
            answer = ask()
        except (DynamicClusterError, ValueError) as error:
            if what not in self._failing:
                self._failing.add(what)
                log.warning("%s cannot be read: %s", what, error)
            stale.append(what)
            return None
        self._failing.discard(what)
        return answer

    def _mark_requeued(self, jobs: tuple[Job, ...], requeue_wait_s: float, now: float) -> tuple[Job, ...]:
        """Show as stuck the jobs that wait for the two minutes after a requeue to pass, ours or Slurm's own."""
        suspects = list(
            dict.fromkeys(job_id.partition("+")[0] for job_id in perhaps_requeued(jobs, requeue_wait_s, now))
        )
        if not suspects:
            return jobs
        only = ("-j", ",".join(suspects)) if len(suspects) <= MOST_NAMED else ()
        try:
            restarts = self._calls.ask_jobs("-h", "-a", "-t", "PENDING", *only, "-O", RESTARTS_FORMAT)
        except NotFoundError:
            return jobs  # none of them is there any more
        return mark_requeued(jobs, restarts, requeue_wait_s, now)
