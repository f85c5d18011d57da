"""Demand: the waiting jobs, grouped by shape, in the order in which they are served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
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

FIRST_BAND = 512
"""Beyond that, the queue is cut into bands of priority, served one after the other: fine where nodes are handed out,
coarser towards the end, where hardly anything is left to hand out (every fourth band is twice as long)."""


@dataclass(slots=True)
class Group:
    """Waiting jobs of one shape, highest priority first."""

    shape: Shape
    jobs: list[Job] = field(default_factory=list)
    tasks: int = 0  # what could start now, array throttles observed
    head_priority: float = 0.0


class Segment(NamedTuple):
    """A run of one group's jobs that is served together. A tuple, because there are many."""

    group: int  # index into the groups
    tasks: int


@dataclass(slots=True)
class Queue:
    """The view's jobs, sorted out."""

    groups: list[Group] = field(default_factory=list)  # in order of their first job's priority
    not_yet: list[str] = field(default_factory=list)  # job ids
    no: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    foreign: int = 0  # waiting jobs of queues that are not monitored


_PRIORITY = attrgetter("priority")
_TASKS = attrgetter("tasks")
_THROTTLE = attrgetter("throttle")


def sort_out(view: SchedulerView | None, policy: Policy) -> Queue:
    """Group the jobs that more nodes would help; keep the others by the class of their reason."""
    queue = Queue()
    if view is None:
        return queue
    monitored = frozenset(policy.queues)
    by_identity: dict[int, list[Job]] = {}
    pending, helps = JobState.PENDING, Wait.HELPS
    for job in view.jobs:
        if job.state is not pending:
            continue
        if job.stuck:
            queue.stuck.append(job.job_id)
        if job.wait is helps:
            found = by_identity.get(id(job.shape))
            if found is None:
                by_identity[id(job.shape)] = [job]
            else:
                found.append(job)
        elif job.wait is Wait.NOT_YET:
            queue.not_yet.append(job.job_id)
        else:
            queue.no.append(job.job_id)
    for group in _merged(by_identity):
        if monitored and monitored.isdisjoint(group.shape.queues):
            queue.foreign += len(group.jobs)
            continue
        _fill(group, queue)
        if group.jobs:
            queue.groups.append(group)
    queue.groups.sort(key=lambda group: -group.head_priority)
    return queue


def _merged(by_identity: dict[int, list[Job]]) -> list[Group]:
    """Equal shapes that are not the same object belong together all the same."""
    by_shape: dict[Shape, Group] = {}
    for jobs in by_identity.values():
        group = by_shape.setdefault(jobs[0].shape, Group(jobs[0].shape))
        group.jobs.extend(jobs)
    return list(by_shape.values())


def _fill(group: Group, queue: Queue) -> None:
    tasks = list(map(_TASKS, group.jobs))
    if tasks.count(1) != len(tasks) or any(map(_THROTTLE, group.jobs)):
        throttled = [job for job in group.jobs if job.startable_tasks <= 0]
        if throttled:
            queue.not_yet.extend(job.job_id for job in throttled)
            group.jobs = [job for job in group.jobs if job.startable_tasks > 0]
        group.tasks = sum(job.startable_tasks for job in group.jobs)
    else:
        group.tasks = len(group.jobs)
    if group.jobs:
        group.jobs.sort(key=_PRIORITY, reverse=True)  # stable: equal priorities stay in the scheduler's order
        group.head_priority = group.jobs[0].priority


def whole(groups: Sequence[Group]) -> list[Segment]:
    """Every group in one piece: right as long as no limit binds."""
    return [Segment(index, group.tasks) for index, group in enumerate(groups)]


def by_priority(groups: Sequence[Group]) -> list[Segment]:
    """The groups cut into runs, in priority order over all of them: for when a limit binds."""
    lengths = [len(group.jobs) for group in groups]
    if not lengths:
        return []
    listed = chain.from_iterable(group.jobs for group in groups)
    priorities = np.fromiter(map(_PRIORITY, listed), float, sum(lengths))
    tasks = np.concatenate([_tasks_of(group) for group in groups])
    owner: Ints = np.repeat(np.arange(len(groups), dtype=np.int64), lengths)
    order = np.argsort(-priorities, kind="stable")
    if len(order) <= EXACT_JOBS:
        return _runs(owner[order], tasks[order])
    segments: list[Segment] = []
    for band in _bands(order):
        counts = np.bincount(owner[band], weights=tasks[band], minlength=0)
        _, first = np.unique(owner[band], return_index=True)
        for position in np.sort(first):
            group = int(owner[band[position]])
            segments.append(Segment(group, int(counts[group])))
    return segments


def _tasks_of(group: Group) -> Ints:
    if group.tasks == len(group.jobs):  # one task each, the usual case
        return np.ones(len(group.jobs), np.int64)
    return np.fromiter((job.startable_tasks for job in group.jobs), np.int64, len(group.jobs))


def _bands(order: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    bands, start, length = [], 0, FIRST_BAND
    while start < len(order):
        bands.append(order[start : start + length])
        start += length
        if len(bands) % 4 == 0:
            length *= 2
    return bands


def _runs(owner: Ints, tasks: Ints) -> list[Segment]:
    cuts = np.flatnonzero(np.diff(owner)) + 1
    starts = np.concatenate(([0], cuts))
    sums = np.add.reduceat(tasks, starts)
    return [Segment(int(owner[start]), int(total)) for start, total in zip(starts, sums, strict=True)]
