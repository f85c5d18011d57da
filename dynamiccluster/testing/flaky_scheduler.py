"""A scheduler adapter on a bad day, around any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.testing.faults import FaultKind, Faults
from dynamiccluster.testing.flaky import FlakyCalls, Later
from dynamiccluster.testing.hostile import odd_host, odd_job

LATEST_S = 60.0
"""A command that was killed at its time limit has reached the scheduler by then, or never does."""


class FlakyScheduler:
    """Fails, loses replies, forgets and invents, as the faults of ``target`` say; otherwise like ``inner``.

    A late ``add`` is not simulated: commands are local processes, and a killed one leaves no half-made host behind.
    """

    def __init__(self, inner: Scheduler, faults: Faults, target: str, later: Later) -> None:
        self._inner = inner
        self._calls = FlakyCalls(faults, target, later, LATEST_S)
        self._rng = faults.rng
        self._unseen_holds: dict[str, int] = {}  # host -> views that still show it without its hold
        self._unseen_hosts: dict[str, int] = {}
        self._odd = 0

    def poll(self) -> SchedulerView:
        self._calls.before_list()
        view = self._inner.poll()
        if self._unseen_holds or self._unseen_hosts:
            view = replace(view, hosts=self._forgetful(view.hosts))
        if self._calls.strikes(FaultKind.UNKNOWN_WORDS):
            view = replace(
                view,
                jobs=tuple(self._unknown_job(job) for job in view.jobs),
                hosts=tuple(self._unknown_host(host) for host in view.hosts),
            )
        if self._calls.strikes(FaultKind.ODD_RECORDS):
            self._odd += 1
            jobs, hosts = list(view.jobs), list(view.hosts)
            jobs.insert(self._rng.randint(0, len(jobs)), odd_job(self._rng, self._odd))
            hosts.insert(self._rng.randint(0, len(hosts)), odd_host(self._rng, self._odd))
            view = replace(view, jobs=tuple(jobs), hosts=tuple(hosts))
        return view

    def declare(self, resources: Sequence[Resource]) -> None:
        self._calls.act("declare", lambda: self._inner.declare(resources))

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        self._calls.act("add", lambda: self._inner.add(host_name, address, resource), can_be_late=False)
        if self._calls.strikes(FaultKind.LAG):
            self._unseen_hosts[host_name] = 1

    def hold(self, host_name: str, mark: str) -> None:
        self._calls.act("hold", lambda: self._inner.hold(host_name, mark))
        if self._calls.strikes(FaultKind.HOLD_UNSEEN):
            self._unseen_holds[host_name] = self._rng.randint(1, 2)

    def release(self, host_name: str, mark: str) -> None:
        self._calls.act("release", lambda: self._inner.release(host_name, mark))

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        self._calls.act("vacate", lambda: self._inner.vacate(host_name, job_ids), can_be_late=False)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        self._calls.act("evacuate", lambda: self._inner.evacuate(host_name, job_ids, delete_jobs), can_be_late=False)

    def remove(self, host_name: str) -> None:
        self._calls.act("remove", lambda: self._inner.remove(host_name))

    def unstick(self, job_ids: Sequence[str]) -> None:
        self._calls.act("unstick", lambda: self._inner.unstick(job_ids))

    def find(self, host_name: str) -> Host | None:
        self._calls.before_list()
        return self._inner.find(host_name)

    def _forgetful(self, hosts: Sequence[Host]) -> tuple[Host, ...]:
        shown = tuple(
            replace(host, hold=None) if host.name in self._unseen_holds else host
            for host in hosts
            if host.name not in self._unseen_hosts
        )
        for left in (self._unseen_holds, self._unseen_hosts):
            for name in list(left):
                left[name] -= 1
                if left[name] <= 0:
                    del left[name]
        return shown

    def _unknown_job(self, job: Job) -> Job:
        if self._rng.random() < 0.2:
            return replace(job, state=JobState.UNKNOWN, reason="Frobnicating")
        return job

    def _unknown_host(self, host: Host) -> Host:
        if self._rng.random() < 0.2:
            return replace(host, state=HostState.UNKNOWN, detail="frobnicating*")
        return host
