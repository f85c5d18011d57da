"""From records to jobs. Pure.

Each element of an array is a record of its own. Those that wait for the same reason become one job with that many
tasks, named after the array, so that its slot limit can be kept; those that run stay single.
"""

from __future__ import annotations

import contextlib
import gc
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dynamiccluster.model.job import OCCUPYING, Job, JobState, Shape, Wait
from dynamiccluster.schedulers.lsf import reasons
from dynamiccluster.schedulers.lsf.record import Record, Request, Unreadable
from dynamiccluster.schedulers.lsf.shape_parse import Rules, parse_shape
from dynamiccluster.schedulers.lsf.times_parse import future, past

START_TIME = "The job has a specified start time"

LOST_AND_FOUND = "lost_and_found"
"""Where jobs are said to be whose host was removed under them (seen)."""

_MOST_DROPPED = 20
"""So many odd records are told one by one; the rest is a number."""

_ARRAY_LINE = re.compile(r"(\d{1,18}) .*\[[\d,:-]*\](?:%(\d{1,9}))?\s+\S+(?:\s+\d+){8}\s*")


_INDEX = re.compile(r"\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Queue:
    """What one list of jobs says."""

    jobs: tuple[Job, ...]
    dropped: tuple[str, ...]
    unknown_reasons: frozenset[str]
    arrays_wait: bool  # whether some element waits that a slot limit could hold back


def make_jobs(
    records: Iterable[Record | Unreadable], rules: Rules, now: float, known_hosts: Collection[str] = ()
) -> Queue:
    """The jobs of ``records``, and a sentence for each that could not be read.

    ``now``: when they were asked for. ``known_hosts``: names of the hosts there are.

    :raises ValueError: the list was cut off, or none of it can be read.
    """
    reader = _Reader(rules, now, known_hosts)
    with _collector_paused():
        for record in records:
            if isinstance(record, Unreadable):
                reader.dropped.append(f"a job was left out: {record.what}")
            else:
                reader.add(record)
    if reader.dropped and not reader.jobs:
        raise ValueError(f"none of {len(reader.dropped)} jobs can be read: {reader.dropped[0]}")
    return reader.queue()


def parse_slot_limits(text: str) -> dict[str, int]:
    """Slot limits by array, from ``bjobs -u all -A -w``; an array that is listed twice has none.

    The name, which its owner chooses, stands in the middle: so a line counts by its ends only.
    """
    limits: dict[str, int] = {}
    for line in text.splitlines():
        found = _ARRAY_LINE.fullmatch(line)
        if found is not None:
            limits[found[1]] = 0 if found[1] in limits else int(found[2] or 0)
    return limits


def limit_arrays(jobs: tuple[Job, ...], limits: Mapping[str, int]) -> tuple[Job, ...]:
    """The jobs, with what :func:`parse_slot_limits` says."""
    if not any(limits.values()):
        return jobs
    running: Counter[str] = Counter()
    for job in jobs:
        if "[" in job.job_id and job.state in OCCUPYING:
            running[job.job_id.partition("[")[0]] += 1
    limited = []
    for job in jobs:
        array = job.job_id.partition("[")[0]
        limit = limits.get(array, 0) if job.state is JobState.PENDING else 0
        limited.append(replace(job, throttle=limit, running_tasks=running[array]) if limit else job)
    return tuple(limited)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """All that is made here is kept, so looking for garbage is in vain."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Reader:
    """Makes jobs of records one after the other; keeps what many have in common."""

    def __init__(self, rules: Rules, now: float, known_hosts: Collection[str]) -> None:
        self._rules = rules
        self._now = now
        self._known_hosts = known_hosts
        self._shapes: dict[Request, Shape] = {}
        self._same_shapes: dict[Shape, Shape] = {}
        self._instants: dict[str, float] = {}
        self._waits: dict[tuple[str, bool], tuple[Wait, str]] = {}
        self._places: dict[str, int] = {}  # id -> index in ``jobs``
        self._waiting: dict[tuple[str, int, Wait, str], list[int]] = {}  # elements that wait alike
        self._unknown: set[str] = set()
        self.jobs: list[Job] = []
        self.dropped: list[str] = []

    def add(self, record: Record) -> None:
        try:
            job = self._job(record)
        except (ValueError, OverflowError) as error:
            self.dropped.append(f"a job was left out: {record.job_id}: {error}")
            return
        before = self._places.setdefault(job.job_id, len(self.jobs))
        if before < len(self.jobs):
            self.dropped.append(f"a job was left out: {job.job_id} is listed twice")
            if self.jobs[before].state not in OCCUPYING and job.state in OCCUPYING:
                self.jobs[before] = job  # what runs is never hidden by what does not
            return
        if job.state is JobState.PENDING and job.job_id[-1] == "]":
            key = (job.job_id.partition("[")[0], id(job.shape), job.wait, job.reason)
            self._waiting.setdefault(key, []).append(len(self.jobs))
        self.jobs.append(job)

    def queue(self) -> Queue:
        arrays_wait = any(wait is Wait.HELPS for _, _, wait, _ in self._waiting)
        jobs = self._with_arrays() if self._waiting else self.jobs
        dropped = self.dropped[:_MOST_DROPPED]
        if len(self.dropped) > _MOST_DROPPED:
            dropped.append(f"{len(self.dropped) - _MOST_DROPPED} more jobs were left out")
        return Queue(tuple(jobs), tuple(dropped), frozenset(self._unknown), arrays_wait)

    def _with_arrays(self) -> list[Job]:
        """With one job for the elements of an array that wait alike, in the place of the first of them."""
        merged: dict[int, Job | None] = {}
        named: set[str] = set()
        for (array, _, _, _), places in self._waiting.items():
            if any(self.jobs[at].state is not JobState.PENDING for at in places):
                continue
            first = self.jobs[places[0]]
            job_id = array if array not in named else first.job_id  # the rest of the array keeps an element's id
            named.add(array)
            merged.update(dict.fromkeys(places))
            merged[places[0]] = replace(first, job_id=job_id, name=_INDEX.sub("", first.name), tasks=len(places))
        jobs = (merged.get(at, job) for at, job in enumerate(self.jobs))
        return [job for job in jobs if job is not None]

    def _job(self, record: Record) -> Job:
        state = reasons.STATES.get(record.state, JobState.UNKNOWN)
        shape = self._shapes.get(record.request) or self._shape(record.request)
        submitted_at = self._past(record.submitted)
        if state is not JobState.PENDING:
            hosts = tuple(name for name in record.hosts if name != LOST_AND_FOUND)
            return Job(
                record.job_id,
                state,
                shape,
                record.name,
                record.user,
                _priority(record),
                submitted_at,
                started_at=self._past(record.started),
                hosts=hosts,
            )
        wait, reason = self._wait(record)
        eligible_at = future(record.begins, self._now) if record.begins and wait is not Wait.NO else 0.0
        if wait is Wait.HELPS and eligible_at > self._now:
            wait, reason = Wait.NOT_YET, START_TIME  # it has not been judged since
        elif wait is Wait.HELPS:
            eligible_at = 0.0
        if wait is Wait.HELPS and shape.hosts:
            wait, reason = Wait.NO, f"{reason} (on {', '.join(shape.hosts)})"
        return Job(
            record.job_id,
            state,
            shape,
            record.name,
            record.user,
            _priority(record),
            submitted_at,
            wait,
            reason,
            eligible_at=eligible_at,
        )

    def _wait(self, record: Record) -> tuple[Wait, str]:
        element = record.job_id[-1] == "]"
        key = (record.reasons, element)
        known = self._waits.get(key)
        if known is None:
            wait, reason, unknown = reasons.wait_of(reasons.reasons_in(record.reasons), element=element)
            self._unknown |= unknown
            known = self._waits[key] = (wait, reason)
        if record.state in reasons.HELD_STATES:
            return Wait.NO, known[1] if known[0] is Wait.NO else record.state
        return known

    def _shape(self, request: Request) -> Shape:
        shape = parse_shape(request, self._rules, self._known_hosts)
        shape = self._shapes[request] = self._same_shapes.setdefault(shape, shape)
        return shape

    def _past(self, text: str) -> float:
        known = self._instants.get(text)
        if known is None:
            known = self._instants[text] = past(text, self._now)
        return known


def _priority(record: Record) -> float:
    """A user's or administrator's number where there is one. All else is the order of the list, which is LSF's own."""
    return float(record.priority) if record.priority.isdecimal() and len(record.priority) < 16 else 0.0
