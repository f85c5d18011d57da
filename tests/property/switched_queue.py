"""A scheduler that switches its hosts on and off by itself, with the manners of Slurm 22.05.8's power saving.

It is also its own adapter, and stands in a :class:`~dynamiccluster.embedded.site.Site` as the queue of cluster ``c1``,
so that the site's machines report to it. ``breaches`` says what must never have happened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from dynamiccluster.embedded.jobs import Cause
from dynamiccluster.embedded.rules import Daemon
from dynamiccluster.embedded.site import Site
from dynamiccluster.errors import BusyError, TransientError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.host import Hold, Host, HostState, Power
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView

RESUME_S, SUSPEND_S, SUSPENDING_S, DEAD_S, REQUEUE_S, PASS_S = 1500.0, 300.0, 60.0, 60.0, 121.0, 5.0
OURS = "dynamiccluster:c1:"
STATES = {
    Power.WANTED: HostState.JOINING,
    Power.ON: HostState.UP,
    Power.LEAVING: HostState.UNKNOWN,
    Power.OFF: HostState.UNKNOWN,
}


@dataclass
class SwitchedHost:
    name: str
    resource: Resource
    power: Power = Power.OFF
    since_at: float = 0.0
    down: bool = False
    mark: str = ""
    daemon: str = ""  # id of the machine whose daemon was let in
    jobs: list[str] = field(default_factory=list)

    @property
    def free(self) -> bool:
        return not self.jobs and not self.down and not self.mark and self.power in (Power.ON, Power.OFF)


@dataclass
class SwitchedJob:
    job_id: str
    width: int
    run_s: float
    submitted_at: float
    eligible_at: float
    state: JobState = JobState.PENDING
    hosts: tuple[str, ...] = ()
    starts: int = 0
    requeues: int = 0
    serial: int = 0  # tells one placement from the next


class SwitchedQueue:
    def __init__(self, site: Site, clock: Clock, resources: Sequence[Resource]) -> None:
        self.site, self.clock = site, clock
        self.hosts = {
            name: SwitchedHost(name, resource)
            for resource in sorted(resources, key=lambda one: one.priority)
            for name in (resource.numbered(number) for number in range(1, resource.max_nodes + 1))
        }
        self.jobs: dict[str, SwitchedJob] = {}
        self.breaches: list[str] = []
        self.away = False
        site.agenda.after(PASS_S, self._pass)

    @property
    def now(self) -> float:
        return self.site.agenda.now

    # -- what happens by itself ------------------------------------------------------------------------------

    def submit(self, width: int, run_s: float) -> None:
        job_id = str(len(self.jobs) + 1)
        self.jobs[job_id] = SwitchedJob(job_id, width, run_s, self.now, self.now)

    def _pass(self) -> None:
        self.site.agenda.after(PASS_S, self._pass)
        for job in self.jobs.values():
            if job.state is JobState.PENDING and job.eligible_at <= self.now:
                self._place(job)
            elif job.state is JobState.STARTING and all(self.hosts[name].power is Power.ON for name in job.hosts):
                job.state = JobState.RUNNING
                job.starts += 1
                self.site.agenda.after(job.run_s, partial(self._ended, job, job.serial))
        for host in self.hosts.values():
            if host.power is Power.ON and not host.jobs and self.now - host.since_at > SUSPEND_S:
                self._suspend(host)

    def _place(self, job: SwitchedJob) -> None:
        free = sorted((host for host in self.hosts.values() if host.free), key=lambda host: host.power is Power.OFF)
        if len(free) < job.width:
            return
        job.state, job.hosts, job.serial = JobState.STARTING, tuple(h.name for h in free[: job.width]), job.serial + 1
        for host in free[: job.width]:
            host.jobs.append(job.job_id)
            if host.power is Power.OFF:
                self._switch(host, Power.WANTED)
                self.site.agenda.after(RESUME_S, partial(self._give_up, host, host.since_at))

    def _ended(self, job: SwitchedJob, serial: int) -> None:
        if job.serial == serial and job.state is JobState.RUNNING:
            self._leave(job)
            job.state = JobState.DONE

    def _leave(self, job: SwitchedJob) -> None:
        for name in job.hosts:
            host = self.hosts[name]
            host.jobs.remove(job.job_id)
            if host.power is Power.ON:
                host.since_at = self.now
        job.hosts, job.serial = (), job.serial + 1

    def _requeue_on(self, host: SwitchedHost) -> None:
        for job_id in list(host.jobs):
            job = self.jobs[job_id]
            self._leave(job)
            job.state, job.requeues = JobState.PENDING, job.requeues + 1
            job.submitted_at, job.eligible_at = self.now, self.now + REQUEUE_S

    def _switch(self, host: SwitchedHost, power: Power) -> None:
        host.power, host.since_at = power, self.now

    def _give_up(self, host: SwitchedHost, wanted_at: float) -> None:
        if host.power is Power.WANTED and host.since_at == wanted_at:
            self._requeue_on(host)
            self._switch(host, Power.OFF)
            host.down = True

    def _suspend(self, host: SwitchedHost) -> None:
        self._switch(host, Power.LEAVING)
        host.mark = ""
        self.site.agenda.after(SUSPENDING_S, partial(self._off, host, host.since_at))

    def _off(self, host: SwitchedHost, since_at: float) -> None:
        if host.power is Power.LEAVING and host.since_at == since_at:
            self._switch(host, Power.OFF)

    def daemon_up(self, name: str, daemon: Daemon) -> None:
        host = self.hosts.get(name)
        if host is None or host.power is Power.LEAVING:
            return
        if host.power is not Power.ON:
            self._switch(host, Power.ON)
        host.daemon, host.down = daemon.machine_id, False

    def daemon_lost(self, name: str, machine_id: str, cause: Cause) -> None:
        host = self.hosts.get(name)
        if host is None or host.daemon != machine_id:
            return
        running = [job_id for job_id in host.jobs if self.jobs[job_id].state is JobState.RUNNING]
        if cause is Cause.TERMINATED and host.power is Power.ON and not host.down and running:
            self.breaches.append(f"{name} was ended under {running}")
        host.daemon = ""
        self.site.agenda.after(DEAD_S, partial(self._dead, host))

    def _dead(self, host: SwitchedHost) -> None:
        if host.power is Power.ON and not host.daemon:
            self._requeue_on(host)
            host.down, host.since_at = True, self.now

    # -- the adapter -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _there(self):  # type: ignore[no-untyped-def]  # a context manager without value
        with self.site.at(self.clock):
            if self.away:
                raise TransientError("slurmctld is away")
            yield

    def poll(self) -> SchedulerView:
        started_at = self.clock.now()
        with self._there():
            jobs = tuple(self._shown_job(job) for job in self.jobs.values() if job.state is not JobState.DONE)
            hosts = tuple(self._shown(host) for host in self.hosts.values())
        return SchedulerView(started_at, self.clock.now(), jobs, hosts)

    def _shown_job(self, job: SwitchedJob) -> Job:
        early = job.eligible_at > self.now
        return Job(
            job.job_id,
            job.state,
            Shape(queues=("cloud",), chunks=job.width, distinct=True),
            submitted_at=job.submitted_at,
            wait=Wait.NOT_YET if early else Wait.HELPS,
            reason="BeginTime" if early else "Resources",
            eligible_at=job.eligible_at if early else 0.0,
            hosts=job.hosts,
            stuck=early and job.state is JobState.PENDING,
        )

    def _shown(self, host: SwitchedHost) -> Host:
        power = Power.GIVEN_UP if host.down and host.power is Power.OFF and not host.mark else host.power
        return Host(
            host.name,
            HostState.DOWN if host.down else STATES[host.power],
            host.resource.capacity,
            host.resource.capacity if host.jobs else type(host.resource.capacity)(),
            busy=bool(host.jobs),
            queues=frozenset({"cloud"}),
            hold=Hold(host.mark, host.mark.startswith(OURS)) if host.mark else None,
            detail=str(power),
            power=power,
        )

    def declare(self, resources: Sequence[Resource]) -> None:
        """They stand in its file."""

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        with self._there():
            assert host_name in self.hosts

    def hold(self, host_name: str, mark: str) -> None:
        with self._there():
            self._drain(self.hosts[host_name], mark)

    def release(self, host_name: str, mark: str) -> None:
        with self._there():
            self.hosts[host_name].mark = ""

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        with self._there():
            self._requeue_on(self.hosts[host_name])

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        with self._there():
            host = self.hosts[host_name]
            if host.daemon and any(self.jobs[job_id].state is JobState.RUNNING for job_id in host.jobs):
                self.breaches.append(f"{host_name} lives, and was evacuated")
            self._requeue_on(host)
            host.down = True

    def remove(self, host_name: str) -> None:
        self.withdraw([host_name], f"{OURS}removed")

    def withdraw(self, host_names: Sequence[str], mark: str) -> None:
        with self._there():
            hosts = [self.hosts[name] for name in host_names]
            for host in hosts:
                self._drain(host, mark)
            going = [host for host in hosts if host.power in (Power.WANTED, Power.ON)]
            for host in going:
                if not host.jobs:
                    self._suspend(host)
            busy = [host.name for host in going if host.jobs]
        if busy:
            raise BusyError(f"jobs on {busy}")

    def _drain(self, host: SwitchedHost, mark: str) -> None:
        host.mark = host.mark or mark
        if host.power is Power.WANTED:
            self._requeue_on(host)

    def offer(self, host_names: Sequence[str]) -> None:
        with self._there():
            for host in (self.hosts[name] for name in host_names):
                if host.power is Power.OFF and (not host.mark or host.mark.startswith(OURS)):
                    host.mark, host.down = "", False

    def unstick(self, job_ids: Sequence[str]) -> None:
        with self._there():
            for job_id in job_ids:
                job = self.jobs[job_id]
                job.eligible_at = min(job.eligible_at, self.now)

    def find(self, host_name: str) -> Host | None:
        with self._there():
            host = self.hosts.get(host_name)
            return self._shown(host) if host else None
