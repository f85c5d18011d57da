"""Licences: jobs that wait for one, though their reason says something else. Pure.

A job behind others shows ``Priority`` even if no licence is left for it (seen with 22.05.8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from dynamiccluster.model.job import Job, Wait
from dynamiccluster.schedulers.slurm.jobs_parse import Queue


def parse_licences(text: str) -> dict[str, int]:
    """Free licences by name, from ``scontrol -o show licenses``."""
    free: dict[str, int] = {}
    for line in text.splitlines():
        values = dict(part.partition("=")[::2] for part in line.split())
        try:
            free[values["LicenseName"]] = int(values["Free"]) - int(values.get("Reserved") or 0)
        except (KeyError, ValueError):
            continue  # an unknown licence counts as none free
    return free


def lower_unlicensed(queue: Queue, free: Mapping[str, int]) -> tuple[Job, ...]:
    """The jobs, of which those are set to "would not help" for which no licence is left.

    Free licences are given out in the order of priority, as Slurm will.
    """
    jobs = list(queue.jobs)
    left = dict(free)
    for index in sorted(queue.licences, key=lambda index: -jobs[index].priority):
        job = jobs[index]
        wanted = _licences(queue.licences[index])
        tasks = min((left.get(name, 0) // number for name, number in wanted.items()), default=job.tasks)
        if tasks <= 0:
            reason = f"{job.reason} (no free licence of {queue.licences[index]})"
            jobs[index] = replace(job, wait=Wait.NO, reason=reason)
            continue
        tasks = min(tasks, max(1, job.startable_tasks))
        for name, number in wanted.items():
            left[name] -= number * tasks
        if tasks < job.startable_tasks:
            jobs[index] = replace(job, throttle=job.running_tasks + tasks)
    return tuple(jobs)


def _licences(text: str) -> dict[str, int]:
    """``matlab:2,ansys@server`` as numbers by name; of alternatives (``a|b``) each is asked for."""
    wanted: dict[str, int] = {}
    for part in re.split(r"[,|;]", text):
        name, _, number = part.partition(":")
        if name:
            wanted[name] = max(1, int(number)) if number.isdigit() else 1
    return wanted
