"""Hosts by name, and who works on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import OCCUPYING, Job


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts by name, and the work on them as the job list and the host list *together* say."""

    started_at: float  # of the view; 0 = the scheduler has not been seen
    by_name: Mapping[str, Host]  # without templates
    occupied: frozenset[str]
    job_ids: Mapping[str, tuple[str, ...]]

    def busy(self, host: Host) -> bool:
        return host.name in self.occupied

    def is_down(self, host_name: str) -> bool:
        host = self.by_name.get(host_name)
        return host is not None and host.state is HostState.DOWN

    def jobs_on(self, host_name: str) -> tuple[str, ...]:
        return self.job_ids.get(host_name, ())


NO_HOSTS = Hosts(0.0, {}, frozenset(), {})
"""Of a scheduler that has not been seen."""


def index_hosts(started_at: float, jobs: Iterable[Job], hosts: Iterable[Host]) -> Hosts:
    """The index of one view of a scheduler."""
    job_ids: dict[str, dict[str, None]] = {}
    for job in jobs:
        if job.hosts and job.state in OCCUPYING:
            for name in job.hosts:
                job_ids.setdefault(name, {})[job.job_id] = None
    in_use = []
    by_name = {}
    for host in hosts:
        if not host.template:
            by_name[host.name] = host
        if host.busy or host.jobs or host.used.cores:
            in_use.append(host.name)
            for job_id in host.jobs:
                job_ids.setdefault(host.name, {})[job_id] = None
    return Hosts(
        started_at=started_at,
        by_name=by_name,
        occupied=frozenset(job_ids).union(in_use),
        job_ids={name: tuple(ids) for name, ids in job_ids.items()},
    )
