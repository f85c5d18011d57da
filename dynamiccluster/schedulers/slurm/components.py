"""Heterogeneous jobs: components that start together or not at all. Pure.

Slurm shows each component as a job of its own, ``48+0`` and ``48+1``, with a reason of its own (seen with 22.05.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dynamiccluster.model.job import Job, JobState, Wait

_ORDER = (Wait.HELPS, Wait.NOT_YET, Wait.NO)


def lower_incomplete(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """The jobs, of which components wait as the least hopeful component of their job does."""
    parts: dict[str, list[int]] = {}
    for index, job in enumerate(jobs):
        if job.gang and job.state is JobState.PENDING:
            parts.setdefault(job.gang, []).append(index)
    if not parts:
        return tuple(jobs)
    lowered = list(jobs)
    for members in parts.values():
        worst = max((jobs[index] for index in members), key=lambda job: _ORDER.index(job.wait))
        eligible_at = max(jobs[index].eligible_at for index in members)
        for index in members:
            job = jobs[index]
            if _ORDER.index(job.wait) < _ORDER.index(worst.wait):
                said = f"{job.reason} (component {worst.job_id}: {worst.reason})"
                lowered[index] = replace(job, wait=worst.wait, reason=said, eligible_at=eligible_at)
    return tuple(lowered)
