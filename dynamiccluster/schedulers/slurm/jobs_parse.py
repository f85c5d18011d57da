"""From the text of one ``squeue`` to jobs. Pure.

Job names may hold any character, line ends and column marks included, so that a user could write a whole false
record into one. Therefore the columns are asked for with a *token* between them that is drawn anew for each poll:
no name that is in the queue already can contain it. Within the groups between two tokens, whose values Slurm
itself makes or checks, ``|`` separates. Groups that many jobs share (status, shape) are read once per text.
"""

from __future__ import annotations

import contextlib
import gc
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dynamiccluster.model.job import OCCUPYING, Job, JobState, Shape, Wait
from dynamiccluster.schedulers.slurm.reasons import BEGIN_REASON, STATES, STUCK_REASON, wait_of
from dynamiccluster.schedulers.slurm.shape_parse import (
    NOTHING,
    SHAPE_FIELDS,
    Kind,
    host_names,
    parse_shape,
    plain,
)

_STATUS_FIELDS = ("State", "Reason", "Requeue", "Licenses", "Dependency", "Reservation", "QOS", "UserName")
_PLACE_FIELDS = ("StartTime", "NodeList")
_GROUPS = (
    ("JobArrayID",),
    ("SubmitTime",),
    ("PriorityLong",),
    _STATUS_FIELDS,
    ("EligibleTime",),
    _PLACE_FIELDS,
    SHAPE_FIELDS,
    ("Name",),
)
_COMMENT_GROUP = ("admin_comment",)

_TASKS = re.compile(r"\[([\d,:-]*)(?:%(\d+))?(\.\.\.)?\]?$")
_JOB_ID = re.compile(r"\d+(_(\d+|\[[\d,:%.-]*\]?))?(\+\d+)?")
_REQUEST_AT = SHAPE_FIELDS.index("tres-alloc")
_MOST_DROPPED = 20
"""So many odd records are told one by one; the rest is a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """What many jobs have in common besides their shape. One object for all that show the same words."""

    state: JobState
    reason: str  # Slurm's own word
    shown_reason: str  # "" unless it waits
    wait: Wait
    known: bool
    stuck: bool
    node_limit: bool
    rerunnable: bool
    licences: str
    reservation: str
    qos: str
    user: str


@dataclass(frozen=True, slots=True)
class Queue:
    """What one text of ``squeue`` says."""

    jobs: tuple[Job, ...]
    dropped: tuple[str, ...]
    licences: Mapping[int, str]  # index in ``jobs`` -> licences asked for, of waiting jobs that nodes would help
    unknown_reasons: frozenset[str]
    statuses: Sequence[Status] = ()  # of each job
    requests: Sequence[str] = field(default=(), repr=False)  # of each job: its TRES, ``cpu=1,mem=100M,node=1``


def output_format(token: str, comments: bool = False) -> str:
    """The value of ``squeue -O`` that :func:`parse_jobs` reads. ``comments``: with what administrators wrote."""
    groups = (*_GROUPS, _COMMENT_GROUP) if comments else _GROUPS
    return ",".join(f"{name}:{token if name is group[-1] else '|'}" for group in groups for name in group)


def parse_jobs(
    text: str,
    token: str,
    kinds: Iterable[Kind] = (),
    memory_counts: bool = True,
    max_nodes: Mapping[str, int] | None = None,
    now: float = 0.0,
    comments: bool = False,
) -> Queue:
    """The jobs in ``text``, and a sentence for each record that could not be read.

    What the reasons hide (licences, limits, reservations) is looked for elsewhere.

    ``kinds`` and ``memory_counts``: see :func:`~dynamiccluster.schedulers.slurm.shape_parse.parse_shape`.
    ``max_nodes``: ``MaxNodes`` of the partitions that have one. Times are epoch seconds (``SLURM_TIME_FORMAT=%s``).
    ``now``: when the text was asked for. ``comments``: as in :func:`output_format`.

    :raises ValueError: the text was cut off, or none of its records can be read.
    """
    reader = _Reader(tuple(kinds), memory_counts, max_nodes or {}, now)
    with _collector_paused():
        reader.read(_records(text, token, comments))
    if reader.dropped and not reader.jobs:
        raise ValueError(f"none of {len(reader.dropped)} jobs can be read: {reader.dropped[0]}")
    return reader.queue()


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """All that is made here is kept, so looking for garbage is in vain: a third of the time at 100,000 jobs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _records(text: str, token: str, comments: bool) -> Iterable[Sequence[str]]:
    """The values of each record, nine unless the record is damaged: of each group and the comment.

    :raises ValueError: the text was cut off.
    """
    values = ("\n" + text).split(token)
    if values.pop() != "\n":
        raise ValueError("the list of jobs was cut off")
    size = len(_GROUPS) + comments
    if len(values) % size == 0 and all(value.startswith("\n") for value in values[::size]):
        columns: list[Iterable[str]] = [values[at::size] for at in range(size)]
        if not comments:
            columns.append([""] * (len(values) // size))
        return zip(*columns, strict=True)
    records = [record.split(token) for record in ("\n" + text).split(token + "\n")[:-1]]
    return records if comments else [[*record, ""] for record in records]


class _Draft:
    """A job while it is written. It has the memory layout of :class:`Job` and becomes one by its ``__class__``.

    A frozen dataclass sets each field through a call: 2.2 us per job, against 0.7 us this way, which is a third of
    the time that reading a queue of 100,000 jobs takes (CPython 3.11). Python refuses the change of class if the
    layouts ever differ.
    """

    __slots__ = Job.__slots__

    def __init__(
        self,
        job_id: str,
        status: Status,
        shape: Shape,
        name: str,
        comment: str,
        priority: float,
        submitted_at: float,
        wait: Wait,
        reason: str,
        eligible_at: float,
        started_at: float,
        hosts: tuple[str, ...],
    ) -> None:
        self.job_id = job_id
        self.state = status.state
        self.shape = shape
        self.name = name
        self.user = status.user
        self.priority = priority
        self.submitted_at = submitted_at
        self.wait = wait
        self.reason = reason
        self.tasks = 1
        self.throttle = 0
        self.running_tasks = 0
        self.eligible_at = eligible_at
        self.started_at = started_at
        self.hosts = hosts
        self.rerunnable = status.rerunnable
        self.stuck = status.stuck
        self.gang = ""
        self.comment = comment


def waiting_otherwise(job: Job, wait: Wait, reason: str, eligible_at: float = 0.0) -> Job:
    """The job with another class and reason; four times as fast as ``dataclasses.replace``, for whole queues."""
    twin: Any = _Draft.__new__(_Draft)
    for name in _Draft.__slots__:
        setattr(twin, name, getattr(job, name))
    twin.wait, twin.reason, twin.eligible_at = wait, reason, eligible_at
    twin.__class__ = Job
    changed: Job = twin
    return changed


class _Reader:
    """Reads records one after the other; caches what many have in common."""

    def __init__(self, kinds: Sequence[Kind], memory_counts: bool, max_nodes: Mapping[str, int], now: float) -> None:
        self._kinds = kinds
        self._memory_counts = memory_counts
        self._max_nodes = max_nodes
        self._now = now
        self._shapes: dict[str, Shape] = {}
        self._same_shapes: dict[Shape, Shape] = {}
        self._statuses: dict[str, Status] = {}
        self._arrays: list[int] = []  # indices of jobs whose id shows an array
        self._status_of: list[Status] = []
        self._request_of: list[str] = []
        self._requests: dict[str, str] = {}  # by shape text
        self.jobs: list[Job] = []
        self.dropped: list[str] = []

    def read(self, records: Iterable[Sequence[str]]) -> None:
        shapes, statuses = self._shapes, self._statuses
        jobs, status_of, request_of, now = self.jobs, self._status_of, self._request_of, self._now
        requests = self._requests
        pending, helps, not_yet, no = JobState.PENDING, Wait.HELPS, Wait.NOT_YET, Wait.NO
        nowhere: tuple[str, ...] = ()
        for record in records:
            try:
                shown, submitted, priority, status_text, eligible, place, shape_text, name, comment = record
                status = statuses.get(status_text) or self._status(status_text)
                shape = shapes.get(shape_text) or self._shape(shape_text)
                shown = shown[1:] if shown[0] == "\n" else shown
                reason, eligible_at, started_at, hosts = status.shown_reason, 0.0, 0.0, nowhere
                if status.state is pending:
                    wait = status.wait
                    if wait is not no and (shape.hosts or priority == "0" or status.node_limit):
                        wait = self._finally(status, shape, priority)
                    if wait is not no and eligible != submitted:
                        eligible_at = float(plain(eligible) or 0)
                        if wait is helps and eligible_at > now > 0:
                            wait, reason = not_yet, BEGIN_REASON  # the reason is that of the moment of submission
                        elif wait is helps:
                            eligible_at = 0.0
                        elif status.reason == BEGIN_REASON and 0 < eligible_at <= now:
                            wait, eligible_at = helps, 0.0  # Slurm takes up to a minute to notice
                else:
                    wait = no
                    started_at, hosts = _place(place)
                job: Any = _Draft(
                    shown,
                    status,
                    shape,
                    name,
                    "" if comment in NOTHING else comment,
                    float(priority),
                    float(submitted) if submitted != "N/A" else 0.0,
                    wait,
                    reason,
                    eligible_at,
                    started_at,
                    hosts,
                )
                job.__class__ = Job
                if not shown.isdigit():
                    job = _part(job)
                    self._arrays.append(len(jobs))
            except ValueError as error:
                self.dropped.append(f"a job was left out: {error}; the record begins {'|'.join(record)[:80]!r}")
            else:
                jobs.append(job)
                status_of.append(status)
                request_of.append(requests[shape_text])

    def queue(self) -> Queue:
        self._count_arrays()
        dropped = self.dropped[:_MOST_DROPPED]
        if len(self.dropped) > _MOST_DROPPED:
            dropped.append(f"{len(self.dropped) - _MOST_DROPPED} more jobs were left out")
        unknown = frozenset(status.reason for status in self._statuses.values() if not status.known)
        jobs, licences = tuple(self.jobs), self._licences()
        return Queue(jobs, tuple(dropped), licences, unknown, self._status_of, self._request_of)

    def _licences(self) -> dict[int, str]:
        if not any(status.licences for status in self._statuses.values()):
            return {}
        return {
            index: status.licences
            for index, (job, status) in enumerate(zip(self.jobs, self._status_of, strict=True))
            if status.licences and job.state is JobState.PENDING and job.wait is Wait.HELPS
        }

    def _status(self, text: str) -> Status:
        fields = text.split("|")
        if len(fields) != len(_STATUS_FIELDS):
            raise ValueError(f"{len(fields)} columns of status instead of {len(_STATUS_FIELDS)}")
        word, reason, requeue, licences, dependency, reservation, qos, user = fields
        state = STATES.get(word, JobState.UNKNOWN)
        waits, shown = state is JobState.PENDING, reason
        wait = wait_of(word, reason) if waits else Wait.NO
        known = wait is not None
        wait = wait or Wait.HELPS  # a word we do not know: better a node too many than a job that waits for ever
        if wait is not Wait.NO and ("(unfulfilled)" in dependency or "(failed)" in dependency):
            wait, shown = Wait.NO, f"{reason} (dependency {dependency})"
        status = self._statuses[text] = Status(
            state,
            reason,
            shown if waits else "",
            wait,
            known,
            waits and reason == STUCK_REASON,
            reason == "PartitionNodeLimit",
            requeue != "0",
            plain(licences),
            plain(reservation),
            plain(qos),
            user,
        )
        return status

    def _shape(self, text: str) -> Shape:
        fields = text.split("|")
        if len(fields) > len(SHAPE_FIELDS):  # a constraint may hold "|" itself; its neighbours may not
            at, surplus = SHAPE_FIELDS.index("Feature"), len(fields) - len(SHAPE_FIELDS)
            fields[at : at + surplus + 1] = ["|".join(fields[at : at + surplus + 1])]
        if len(fields) != len(SHAPE_FIELDS):
            raise ValueError(f"{len(fields)} columns of shape instead of {len(SHAPE_FIELDS)}")
        self._requests[text] = fields[_REQUEST_AT]
        shape = parse_shape(fields, self._kinds, self._memory_counts)
        shape = self._shapes[text] = self._same_shapes.setdefault(shape, shape)
        return shape

    def _finally(self, status: Status, shape: Shape, priority: str) -> Wait:
        """The class, with what the reason alone does not show."""
        if shape.hosts:
            return Wait.NO  # it asks for these very hosts
        if priority == "0" and not status.stuck:
            return Wait.NO  # held, whatever the reason says
        if status.node_limit:
            nodes = shape.chunks if shape.distinct else 1
            if shape.queues and all(nodes > self._max_nodes.get(queue, nodes) for queue in shape.queues):
                return Wait.NO  # beyond MaxNodes, not only beyond the nodes there are
        return status.wait

    def _count_arrays(self) -> None:
        """Waiting tasks, throttle, and how many tasks of the same array run, for records of arrays."""
        running: Counter[str] = Counter()
        for index in self._arrays:
            job = self.jobs[index]
            if job.state in OCCUPYING:
                running[job.job_id.partition("_")[0]] += 1
        taken: set[str] = set()
        for index in self._arrays:
            job = self.jobs[index]
            found = _TASKS.search(job.job_id)
            if found is None:
                continue
            array = job.job_id.partition("_")[0]
            shown = array if array not in taken else job.job_id  # the same id for the rest as tasks start
            taken.add(array)
            throttle = int(found[2] or 0)
            self.jobs[index] = replace(
                job,
                job_id=shown,
                tasks=tasks_in(found[1]),
                throttle=throttle,
                running_tasks=running[array],
            )


def _place(text: str) -> tuple[float, tuple[str, ...]]:
    """When and where a job runs."""
    started, bar, hosts = text.partition("|")
    if not bar:
        raise ValueError("no column for its nodes")
    return float(plain(started) or 0), host_names(hosts)


def _part(job: Job) -> Job:
    """A job whose id is not a plain number: of an array, or a component."""
    if not _JOB_ID.fullmatch(job.job_id):
        raise ValueError(f"odd job id {job.job_id[:60]!r}")
    whole, plus, _ = job.job_id.partition("+")
    return replace(job, gang=whole) if plus else job


def tasks_in(text: str) -> int:
    """How many tasks ``0,3-9,20-40:5`` names.

    :raises ValueError: it is no such list.
    """
    total = 0
    for part in text.split(","):
        if not part:
            continue
        span, _, step = part.partition(":")
        low, dash, high = span.partition("-")
        total += (int(high) - int(low)) // int(step or 1) + 1 if dash else 1
    return max(1, total)
