"""What becomes of waiting jobs once queue, nodes and Maui have all been heard. Pure functions."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, JobState, Shape, Wait


def plain_id(job_id: str) -> str:
    """Without the number of a part: parts of one request are jobs of their own here, and one job to Torque."""
    return job_id.partition("+")[0]


def maui_id(job_id: str) -> str:
    """How Maui calls it: without the server's name."""
    return plain_id(job_id).partition(".")[0]


def estimate_priorities(jobs: list[Job], unlisted: Sequence[int]) -> None:
    """Give jobs that Maui does not list (it has deferred them) the priority of the listed one next to them in time.

    Of the same queue if there is one, since queues have priorities of their own. Changes ``jobs``.
    """
    by_queue: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    skip = set(unlisted)
    for at, job in enumerate(jobs):
        if job.state is JobState.PENDING and job.wait is Wait.HELPS and at not in skip:
            by_queue.setdefault(job.shape.queues, []).append((job.submitted_at, job.priority))
            by_queue.setdefault((), []).append((job.submitted_at, job.priority))
    for listed in by_queue.values():
        listed.sort()
    for at in unlisted:
        job = jobs[at]
        listed = by_queue.get(job.shape.queues) or by_queue.get((), [])
        if listed:
            jobs[at] = replace(job, priority=_nearest(listed, job.submitted_at))


def _nearest(listed: Sequence[tuple[float, float]], submitted_at: float) -> float:
    at = bisect.bisect_left(listed, (submitted_at, float("-inf")))
    around = listed[max(0, at - 1) : at + 1]
    return min(around, key=lambda each: abs(each[0] - submitted_at))[1]


def settle_named(jobs: list[Job], hosts: Mapping[str, Host]) -> None:
    """Jobs that demand certain hosts. No launch can give them those; the rest of such a job is worth a node only
    while the named host could take its part at once. Changes ``jobs``."""
    hopeless: dict[str, str] = {}
    for at, job in enumerate(jobs):
        if job.shape.hosts and job.state is JobState.PENDING and job.wait is Wait.HELPS:
            (name,) = job.shape.hosts
            jobs[at] = replace(job, wait=Wait.NO, reason=f"demands the host {name}")
            host = hosts.get(name)
            if host is None or not _usable(host) or not _pieces(job.shape, host):
                hopeless[plain_id(job.job_id)] = f"another part of it demands the host {name}"
    if hopeless:
        for at, job in enumerate(jobs):
            reason = hopeless.get(plain_id(job.job_id))
            if reason and job.wait is Wait.HELPS:
                jobs[at] = replace(job, wait=Wait.NO, reason=reason)


def block(jobs: list[Job], blocked: Mapping[str, str]) -> None:
    """Jobs of which Maui has said why it does not run them. Changes ``jobs``."""
    if not blocked:
        return
    for at, job in enumerate(jobs):
        reason = blocked.get(plain_id(job.job_id))
        if reason and job.wait is Wait.HELPS:
            jobs[at] = replace(job, wait=Wait.NO, reason=reason)


def mark_stuck(
    jobs: list[Job], unlisted: Iterable[int], hosts: Iterable[Host], now: float, known_after_s: float
) -> None:
    """Mark the jobs that there is room for and that Maui does not even consider. Changes ``jobs``.

    It defers what cannot run for an hour, nodes that come meanwhile notwithstanding. Before there is room, lifting
    that would be in vain, and after 24 times it holds a job for good (DEFERCOUNT).
    """
    free = [host for host in hosts if _usable(host)]
    if not free:
        return
    verdicts: dict[Shape, bool] = {}
    for at in unlisted:
        job = jobs[at]
        if job.wait is not Wait.HELPS or now - job.submitted_at < known_after_s:
            continue
        fits = verdicts.get(job.shape)
        if fits is None:
            fits = verdicts[job.shape] = _fits(job.shape, free)
        if fits:
            jobs[at] = replace(job, stuck=True)


def _usable(host: Host) -> bool:
    return host.state is HostState.UP and host.hold is None and not host.template


def _fits(shape: Shape, hosts: Iterable[Host]) -> bool:
    left = shape.chunks
    for host in hosts:
        left -= min(_pieces(shape, host), 1) if shape.distinct else _pieces(shape, host)
        if left <= 0:
            return True
    return False


def _pieces(shape: Shape, host: Host) -> int:
    if shape.exclusive and host.busy:
        return 0
    if not all(any(word in host.features for word in group) for group in shape.features):
        return 0
    free, need = host.total - host.used, shape.chunk
    counts = [free.cores // need.cores] if need.cores else []
    if need.memory_mib and host.total.memory_mib:
        counts.append(free.memory_mib // need.memory_mib)
    if need.gpus:
        counts.append(free.gpus // need.gpus)
    return max(0, min(counts, default=1))
