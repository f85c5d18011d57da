"""What reservations mean for waiting jobs and for hosts. Pure.

A job that would still run when somebody else's reservation begins may not start on its nodes, and Slurm tells so
only of the jobs that it has looked at. Where the reservation takes all nodes to come as well, nothing is launched
for such a job until the reservation has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.schedulers.slurm.jobs_parse import Queue, Status, waiting_otherwise
from dynamiccluster.schedulers.slurm.nodes_parse import RESERVED_HOLDS
from dynamiccluster.schedulers.slurm.reservations_parse import Reservation


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What reservations do to the jobs of one kind."""

    wait: Wait
    said: str = ""
    until_at: float = 0.0
    queues: tuple[str, ...] = ()  # more of them


_UNTOUCHED = _Verdict(Wait.HELPS)


def lower_reserved(
    queue: Queue, reservations: Sequence[Reservation] | None, hosts: Iterable[Host], now: float, lead_s: float
) -> tuple[Job, ...]:
    """The jobs, of which those that a reservation keeps from starting wait, and those in one that is in force have
    its hosts as a queue of theirs.

    ``reservations``: ``None`` if they are not known; then no job in one is served. ``hosts``: with templates.
    ``lead_s``: how long a node takes to come; a job is served if it could end in time even then.
    """
    judge = _Judge(reservations, hosts, now, lead_s)
    if not judge.matters(queue.statuses):
        return queue.jobs
    jobs = list(queue.jobs)
    verdicts: dict[tuple[Status, str, tuple[str, ...], int], _Verdict] = {}
    shapes: dict[tuple[int, tuple[str, ...]], Shape] = {}
    for index, (job, status) in enumerate(zip(jobs, queue.statuses, strict=True)):
        if job.state is not JobState.PENDING or job.wait is not Wait.HELPS:
            continue
        shape = job.shape
        key = (status, shape.account, shape.queues, shape.walltime_s)
        verdict = verdicts.get(key)
        if verdict is None:
            verdict = verdicts[key] = judge.verdict(status, shape)
        if verdict is _UNTOUCHED:
            continue
        if verdict.wait is Wait.HELPS:
            same = (id(shape), verdict.queues)
            if same not in shapes:
                shapes[same] = replace(shape, queues=shape.queues + verdict.queues)
            jobs[index] = replace(job, shape=shapes[same])
        else:
            said = f"{job.reason} ({verdict.said})"
            jobs[index] = waiting_otherwise(job, verdict.wait, said, verdict.until_at)
    return tuple(jobs)


def mark_reserved(hosts: Sequence[Host], reservations: Sequence[Reservation], now: float) -> tuple[Host, ...]:
    """The hosts, those of reservations open to whoever may use them: now to the jobs in the reservation only, before
    to jobs that end in time."""
    by_host: dict[str, list[Reservation]] = {}
    cores = {host.name: host.total.cores for host in hosts}
    for reservation in reservations:
        if reservation.ends_at <= now or reservation.free_choice or _partly(reservation, cores):
            continue
        for name in reservation.hosts & cores.keys():
            by_host.setdefault(name, []).append(reservation)
    if not by_host:
        return tuple(hosts)
    return tuple(_marked(host, by_host[host.name], now) if host.name in by_host else host for host in hosts)


def _marked(host: Host, reservations: Sequence[Reservation], now: float) -> Host:
    active = [one for one in reservations if _in_force(one, now)]
    ahead = [one.starts_at - now for one in reservations if not _in_force(one, now)]
    wanted = [one.name for one in reservations if "SPEC_NODES" in one.flags and not one.grows and not one.maintenance]
    if active:
        queues = frozenset(_queue_of(one) for one in active)
        kept = f"reservation {', '.join(sorted(one.name for one in active))}"
        hold = None if host.hold is not None and host.hold.mark in RESERVED_HOLDS else host.hold
        host = replace(host, queues=queues, kept=kept, hold=hold)
    elif wanted:
        host = replace(host, kept=f"reservation {', '.join(sorted(wanted))}")
    if ahead:
        host = replace(host, free_for_s=max(1.0, min(ahead)))
    return host


def _partly(reservation: Reservation, cores: Mapping[str, int]) -> bool:
    """Whether it keeps some cores of its hosts only; which, is not told."""
    known = [cores[name] for name in reservation.hosts if name in cores]
    return bool(reservation.cores) and len(known) == len(reservation.hosts) and reservation.cores < sum(known)


def _in_force(reservation: Reservation, now: float) -> bool:
    return reservation.active or reservation.starts_at <= now


def _queue_of(reservation: Reservation) -> str:
    """The name under which a reservation's hosts find its jobs; no partition's name has a blank."""
    return f"reservation {reservation.name}"


class _Judge:
    """Reservations as they concern jobs."""

    def __init__(
        self, reservations: Sequence[Reservation] | None, hosts: Iterable[Host], now: float, lead_s: float
    ) -> None:
        self._known = reservations is not None
        self._by_name = {one.name: one for one in reservations or () if one.ends_at > now}
        self._now = now
        self._lead_s = lead_s
        self._covered = {one.name: _covered_queues(one, hosts) for one in self._by_name.values() if one.grows}

    def matters(self, statuses: Iterable[Status]) -> bool:
        return bool(self._covered) or any(status.reservation for status in set(statuses))

    def verdict(self, status: Status, shape: Shape) -> _Verdict:
        queues: tuple[str, ...] = ()
        own = [name for name in status.reservation.split(",") if name]
        if own:
            inside = self._inside(own, shape)
            if inside.wait is not Wait.HELPS:
                return inside
            queues = inside.queues
        for name, covered in self._covered.items():
            reservation = self._by_name[name]
            if name in own or _invited(reservation, status.user, shape.account):
                continue
            if covered is not None and not covered.issuperset(shape.queues):
                continue
            ends_at = self._now + self._lead_s + shape.walltime_s if shape.walltime_s else float("inf")
            if ends_at > reservation.starts_at:
                said = f"would run into reservation {name}, which ends at {_time(reservation.ends_at)}"
                return _Verdict(Wait.NOT_YET, said, reservation.ends_at)
        return _Verdict(Wait.HELPS, queues=queues) if queues else _UNTOUCHED

    def _inside(self, own: Sequence[str], shape: Shape) -> _Verdict:
        """A job that is to run in one of these reservations."""
        there = [self._by_name[name] for name in own if name in self._by_name]
        if not there:
            return _Verdict(
                Wait.NO, f"in reservation {','.join(own)}" + (", which is not there" if self._known else "")
            )
        usable = [one for one in there if _in_force(one, self._now) or "FLEX" in one.flags]
        if not usable:
            first = min(there, key=lambda one: one.starts_at)
            return _Verdict(Wait.NOT_YET, f"its reservation {first.name} has not begun", first.starts_at)
        growing = [one for one in usable if one.free_choice or self._reaches(one, shape)]
        if not growing:
            return _Verdict(Wait.NO, f"waits for the nodes of its reservation {usable[0].name}")
        return _Verdict(Wait.HELPS, queues=tuple(_queue_of(one) for one in growing))

    def _reaches(self, reservation: Reservation, shape: Shape) -> bool:
        if not reservation.grows:
            return False
        covered = self._covered[reservation.name]
        return covered is None or not covered.isdisjoint(shape.queues)


def _covered_queues(reservation: Reservation, hosts: Iterable[Host]) -> frozenset[str] | None:
    """Queues in which every node, also one to come, belongs to the reservation; ``None`` for all queues.

    Templates stand for the nodes to come: if no node of a queue is outside the reservation, none will be.
    """
    if "ALL_NODES" in reservation.flags:
        return None
    inside: set[str] = {reservation.partition}
    outside: set[str] = set()
    for host in hosts:
        (inside if host.name in reservation.hosts else outside).update(host.queues)
    return frozenset(inside - (outside - {reservation.partition}))


def _invited(reservation: Reservation, user: str, account: str) -> bool:
    """Whether the jobs of this user may run in it without asking."""
    return "MAGNETIC" in reservation.flags and (user in reservation.users or account in reservation.accounts)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
