"""Gangs of several jobs: components of one job that start together or not at all, each of a shape of its own.

The packer knows shapes, not gangs. So it packs first; if a component got no place, all components of that job are
left out, and it packs again what is left. The first of several goes alone, as those behind it may find places then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from dynamiccluster.decide.demand import Group, Queue
from dynamiccluster.decide.eligible import Eligibility
from dynamiccluster.decide.limits import Ledger
from dynamiccluster.decide.packing import Packing
from dynamiccluster.model.job import Job
from dynamiccluster.model.plan import Refusal

ONE_BY_ONE = 6
"""After so many passes all that lack a place are left out at once: each pass costs as much as the first."""

MOST_PASSES = 10
"""Then no gang is served at all in this decision."""

Pack = Callable[[Queue], tuple[Packing, Ledger]]


@dataclass(slots=True)
class Packed:
    """What became of a queue with gangs."""

    queue: Queue  # without those left out
    packing: Packing
    ledger: Ledger
    left_out: dict[int, list[Job]] = field(default_factory=dict)  # by group
    refusals: dict[int, dict[str, Refusal]] = field(default_factory=dict)  # by group, of the passes before


def pack_gangs(queue: Queue, pack: Pack) -> Packed:
    """Pack until no gang has only a part of its places."""
    packed = Packed(queue, *pack(queue))
    if not queue.gangs:
        return packed
    for number in range(1, MOST_PASSES + 1):
        broken = _broken(packed)
        if not broken:
            break
        if number <= ONE_BY_ONE:
            broken = broken[:1]
        elif number == MOST_PASSES:
            broken = [job.gang for group in queue.groups for job in group.jobs if job.gang]
        for index, outcome in enumerate(packed.packing.outcomes):
            if outcome.refusals:
                packed.refusals.setdefault(index, {}).update(outcome.refusals)
        packed.queue = _without(packed, frozenset(broken))
        packed.packing, packed.ledger = pack(packed.queue)
    return packed


def for_report(queue: Queue, packed: Packed, eligibility: Eligibility) -> Queue:
    """The whole queue, those left out last in their groups, and counted as without a place in the outcomes."""
    if not packed.left_out:
        return queue
    groups = list(queue.groups)
    for index, jobs in packed.left_out.items():
        group, outcome = groups[index], packed.packing.outcomes[index]
        names = [offer.resource.name for tie in eligibility.lot(group.shape).ties for offer in tie]
        known = {**packed.refusals.get(index, {}), **outcome.refusals}
        outcome.unplaced += sum(job.startable_tasks for job in jobs)
        outcome.refusals = {**dict.fromkeys(names, Refusal.COMPONENTS), **known}
        groups[index] = group._replace(jobs=[*packed.queue.groups[index].jobs, *jobs])
    return replace(queue, groups=groups)


def _broken(packed: Packed) -> list[str]:
    """Gangs of which some job has no place, those of the highest priority first."""
    found: dict[str, float] = {}
    for group, outcome in zip(packed.queue.groups, packed.packing.outcomes, strict=True):
        for job in _unplaced(group, outcome.unplaced):
            if job.gang:
                found[job.gang] = max(job.priority, found.get(job.gang, job.priority))
    return sorted(found, key=lambda gang: (-found[gang], gang))


def _unplaced(group: Group, tasks: int) -> Iterator[Job]:
    """The jobs behind the last so many tasks of a group: they are served in order."""
    for job in reversed(group.jobs):
        if tasks <= 0:
            return
        yield job
        tasks -= job.startable_tasks


def _without(packed: Packed, gangs: frozenset[str]) -> Queue:
    queue = packed.queue
    groups, keep = list(queue.groups), np.ones(len(queue.owners), np.bool_)
    for index, group in enumerate(groups):
        gone = [at for at, job in enumerate(group.jobs) if job.gang in gangs]
        if not gone:
            continue
        keep[np.flatnonzero(queue.owners == index)[gone]] = False
        left_out = [group.jobs[at] for at in gone]
        packed.left_out.setdefault(index, []).extend(left_out)
        jobs = [job for job in group.jobs if job.gang not in gangs]
        groups[index] = Group(group.shape, jobs, group.tasks - sum(job.startable_tasks for job in left_out))
    return replace(queue, groups=groups, owners=queue.owners[keep], tasks=queue.tasks[keep])
