"""Demand: the waiting jobs, grouped by shape, in the order in which they are served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.view import SchedulerView

Ints = npt.NDArray[np.int64]

EXACT_JOBS = 2_000
"""Up to so many waiting records the priority order is kept job by job where a limit binds."""

FIRST_BAND = 2_048
"""Beyond that, the queue is cut into bands of priority, served one after the other: fine where nodes are handed out,
coarser towards the end, where hardly anything is left to hand out (every fourth band is twice as long)."""


BY_SCHEDULER = "by the scheduler"
"""The class of waiting jobs whose nodes the scheduler picks itself."""


class Group(NamedTuple):
    """Waiting jobs of one shape, highest priority first. A tuple, because there are many."""

    shape: Shape
    jobs: list[Job]
    tasks: int  # what could start now, array throttles observed


class Segment(NamedTuple):
    """A run of one group's jobs that is served together. A tuple, because there are many."""

    group: int  # index into the groups
    tasks: int


_NO_INTS = np.zeros(0, np.int64)


@dataclass(slots=True)
class Queue:
    """The view's jobs, sorted out."""

    groups: list[Group] = field(default_factory=list)  # in order of their first job's priority
    owners: Ints = field(default_factory=_NO_INTS.copy)  # the group of every record, highest priority first
    tasks: Ints = field(default_factory=_NO_INTS.copy)  # startable tasks of every record, in the same order
    not_yet: list[str] = field(default_factory=list)  # job ids
    no: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    foreign: int = 0  # waiting jobs of queues that are not monitored
    by_scheduler: list[str] = field(default_factory=list)  # it picks their nodes itself; see ``switched``
    gangs: bool = False  # whether there are jobs that start only together with others


_PRIORITY = attrgetter("priority")
_SHAPE = attrgetter("shape")
_TASKS = attrgetter("tasks")
_THROTTLE = attrgetter("throttle")
_GANG = attrgetter("gang")


def sort_out(view: SchedulerView | None, policy: Policy, picked: frozenset[str] = frozenset()) -> Queue:
    """Group the jobs that more nodes would help; keep the others by the class of their reason.

    ``picked``: queues whose nodes the scheduler picks itself. Jobs of these alone ask nothing of us.
    """
    queue = Queue()
    if view is None:
        return queue
    pending, helps = JobState.PENDING, Wait.HELPS
    waiting = [job for job in view.jobs if job.state is pending]
    helped = [job for job in waiting if job.wait is helps]
    queue.gangs = any(map(_GANG, helped))
    queue.stuck = [job.job_id for job in waiting if job.stuck]
    if len(helped) < len(waiting):
        for job in waiting:
            if job.wait is Wait.NOT_YET:
                queue.not_yet.append(job.job_id)
            elif job.wait is Wait.NO:
                queue.no.append(job.job_id)
    _group(*_startable(*_of_use(helped, queue, frozenset(policy.queues), picked), queue), queue)
    return queue


MOST = 1 << 20
"""More pieces per job, or cores or GPUs per piece, are a slip of the pen; so are 1 EiB of memory. Beyond such amounts
sums of them would not fit into 64 bits."""

MOST_TASKS = 1 << 20
"""An array of more waiting tasks is planned as one of so many: no limit would allow nodes for more."""


def sane(shape: Shape) -> bool:
    """Whether the amounts can be meant. What users ask for comes here as they typed it."""
    chunk = shape.chunk
    return (
        1 <= shape.chunks <= MOST
        and 0 <= chunk.cores <= MOST
        and 0 <= chunk.gpus <= MOST
        and 0 <= chunk.memory_mib <= MOST * MOST
        and 0 <= shape.memory_per_host_mib <= MOST * MOST
    )


class _Waiting(NamedTuple):
    """Records that may get nodes, and the number of each one's shape."""

    jobs: list[Job]
    shapes: list[Shape]
    owners: Ints


def _of_use(jobs: list[Job], queue: Queue, monitored: frozenset[str], picked: frozenset[str]) -> _Waiting:
    """Without the jobs of queues that are not monitored, or not for us to serve, and those that ask for nonsense."""
    shapes, owners = _by_shape(jobs)
    foreign = [bool(monitored) and monitored.isdisjoint(shape.queues) for shape in shapes]
    theirs = [bool(picked and shape.queues) and picked.issuperset(shape.queues) for shape in shapes]
    absurd = [not sane(shape) for shape in shapes]
    if not any(foreign) and not any(absurd) and not any(theirs):
        return _Waiting(jobs, shapes, owners)
    keep = []
    for index, number in enumerate(owners.tolist()):
        if foreign[number]:
            queue.foreign += 1
        elif theirs[number]:
            queue.by_scheduler.append(jobs[index].job_id)
        elif absurd[number]:
            queue.no.append(jobs[index].job_id)
        else:
            keep.append(index)
    return _Waiting([jobs[index] for index in keep], shapes, owners[keep])


def _startable(jobs: list[Job], shapes: list[Shape], owners: Ints, queue: Queue) -> tuple[_Waiting, Ints]:
    """The jobs of which something may start, and how many tasks of each."""
    tasks = list(map(_TASKS, jobs))
    if tasks.count(1) == len(tasks) and not any(map(_THROTTLE, jobs)):
        return _Waiting(jobs, shapes, owners), np.ones(len(jobs), np.int64)
    tasks = [min(job.startable_tasks, MOST_TASKS) for job in jobs]  # arrays among them
    queue.not_yet += [job.job_id for job, count in zip(jobs, tasks, strict=True) if count <= 0]
    keep = [index for index, count in enumerate(tasks) if count > 0]
    return _Waiting([jobs[index] for index in keep], shapes, owners[keep]), np.array(tasks, np.int64)[keep]


def _group(waiting: _Waiting, tasks: Ints, queue: Queue) -> None:
    """Sort by priority (equal ones stay in the scheduler's order) and give every group its jobs in that order."""
    jobs, shapes, owners = waiting
    order = np.argsort(-_priorities(jobs), kind="stable")
    owners = owners[order]
    first = np.full(len(shapes), len(jobs))
    np.minimum.at(first, owners, np.arange(len(jobs)))
    ranked = np.argsort(first)[: np.count_nonzero(first < len(jobs))]  # groups by their first job
    renumbered = np.zeros(len(shapes), np.int64)
    renumbered[ranked] = np.arange(len(ranked))
    queue.owners, queue.tasks = renumbered[owners], tasks[order]
    sorted_jobs = [jobs[index] for index in order[np.argsort(queue.owners, kind="stable")].tolist()]
    totals = np.bincount(queue.owners, weights=queue.tasks).astype(np.int64).tolist()
    start = 0
    for number, length, total in zip(ranked.tolist(), np.bincount(queue.owners).tolist(), totals, strict=True):
        queue.groups.append(Group(shapes[number], sorted_jobs[start : start + length], total))
        start += length


HIGHEST = 1e300
"""Priorities beyond this are as good as this: a whole number can be larger than any floating-point one."""


def _priorities(jobs: list[Job]) -> npt.NDArray[np.float64]:
    try:
        return np.fromiter(map(_PRIORITY, jobs), float, len(jobs))
    except OverflowError:
        return np.array([float(min(max(job.priority, -HIGHEST), HIGHEST)) for job in jobs])


def _by_shape(jobs: Sequence[Job]) -> tuple[list[Shape], Ints]:
    """The different shapes, and the number of each job's. Shapes are compared once per object, not once per job."""
    each = list(map(_SHAPE, jobs))
    identities = list(map(id, each))
    numbers: dict[Shape, int] = {}
    number_of = {
        identity: numbers.setdefault(shape, len(numbers))
        for identity, shape in dict(zip(identities, each, strict=True)).items()
    }
    return list(numbers), np.fromiter(map(number_of.__getitem__, identities), np.int64, len(jobs))


def whole(queue: Queue) -> Iterator[Segment]:
    """Every group in one piece: right as long as no limit binds."""
    return (Segment(index, group.tasks) for index, group in enumerate(queue.groups) if group.tasks)


def by_priority(queue: Queue) -> list[Segment]:
    """The groups cut into runs, in priority order over all of them: for when a limit binds."""
    owners, tasks = queue.owners, queue.tasks
    if len(owners) <= EXACT_JOBS:
        return _runs(owners, tasks)
    segments: list[Segment] = []
    for band in _bands(len(owners)):
        sums = np.bincount(owners[band], weights=tasks[band]).astype(np.int64)
        found, first = np.unique(owners[band], return_index=True)
        in_order = found[np.argsort(first)]
        segments += map(Segment, in_order.tolist(), sums[in_order].tolist())
    return segments


def _bands(count: int) -> Iterator[slice]:
    start, length, cut = 0, FIRST_BAND, 0
    while start < count:
        yield slice(start, start + length)
        start, cut = start + length, cut + 1
        if cut % 4 == 0:
            length *= 2


def _runs(owners: Ints, tasks: Ints) -> list[Segment]:
    if not len(owners):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(owners)) + 1))
    return list(map(Segment, owners[starts].tolist(), np.add.reduceat(tasks, starts).tolist()))
