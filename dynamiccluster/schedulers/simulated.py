"""The scheduler adapter of the embedded site."""

from __future__ import annotations

from collections.abc import Sequence

from dynamiccluster.embedded.hosts import BatchHost, HostAttributes
from dynamiccluster.embedded.jobs import BatchJob, Cause
from dynamiccluster.embedded.queue import BatchQueue
from dynamiccluster.embedded.site import Site
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView


class SimulatedScheduler:
    """Implements ``schedulers/base`` on one queue of a :class:`~dynamiccluster.embedded.site.Site`. Always honest."""

    def __init__(self, site: Site, clock: Clock, cluster_id: str) -> None:
        self._site = site
        self._clock = clock
        self._our_prefix = f"dynamiccluster:{cluster_id}:"
        self._queue: BatchQueue = site.queues[cluster_id]
        self._shown: tuple[int, tuple[Job, ...], tuple[Host, ...]] = (-1, (), ())

    def poll(self) -> SchedulerView:
        started_at = self._clock.now()
        with self._site.at(self._clock):
            version, jobs, hosts = self._shown
            if version != self._queue.version:
                jobs = tuple(_job(job) for job in self._queue.jobs.values() if job.tasks > 0)
                hosts = tuple(self._host(host) for host in self._queue.hosts.values())
                self._shown = (self._queue.version, jobs, hosts)
        return SchedulerView(started_at, self._clock.now(), jobs, hosts)

    def declare(self, resources: Sequence[Resource]) -> None:
        """Nothing to do: this scheduler takes jobs of any shape."""

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        words = {resource.reservation.property} if resource.reservation.property else set()
        attributes = HostAttributes(
            resource.capacity,
            resource.features | words,
            resource.gpu_type,
            resource.queues,
            resource.reservation,
            resource.name,
        )
        with self._site.at(self._clock):
            self._queue.add_host(host_name, address, attributes)

    def hold(self, host_name: str, mark: str) -> None:
        with self._site.at(self._clock):
            self._queue.hold(host_name, mark)

    def release(self, host_name: str, mark: str) -> None:
        with self._site.at(self._clock):
            self._queue.release(host_name, mark)

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        with self._site.at(self._clock):
            self._queue.requeue(self._still_on(host_name, job_ids), Cause.VACATED)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        with self._site.at(self._clock):
            if not delete_jobs:
                self._queue.requeue(self._still_on(host_name, job_ids), Cause.EVACUATED)
            self._queue.delete(self._still_on(host_name, job_ids))  # these may not be rerun, or are to be deleted

    def _still_on(self, host_name: str, job_ids: Sequence[str]) -> list[str]:
        host = self._queue.hosts.get(host_name)
        return [job_id for job_id in job_ids if host is not None and job_id in host.runs]

    def remove(self, host_name: str) -> None:
        with self._site.at(self._clock):
            self._queue.remove_host(host_name)

    def unstick(self, job_ids: Sequence[str]) -> None:
        with self._site.at(self._clock):
            self._queue.unstick(job_ids)

    def find(self, host_name: str) -> Host | None:
        with self._site.at(self._clock):
            host = self._queue.hosts.get(host_name)
            return self._host(host) if host is not None else None

    def _host(self, host: BatchHost) -> Host:
        if host.picture is None:
            jobs = self._queue.jobs
            shown = [job_id for job_id in host.runs if not jobs[job_id].hidden]
            used = host.used if len(shown) == len(host.runs) else sum((host.runs[each] for each in shown), Capacity())
            hold = Hold(host.mark, host.mark.startswith(self._our_prefix)) if host.mark else None
            host.picture = Host(
                host.name,
                host.state,
                host.attributes.capacity,
                used,
                tuple(shown),
                bool(shown),
                host.attributes.features,
                host.attributes.gpu_type,
                host.attributes.queues,
                hold,
                host.address,
                detail=host.state.value + ("+drain" if host.mark else ""),
            )
        return host.picture


def _job(job: BatchJob) -> Job:
    if job.picture is None:
        request = job.request
        waiting = job.hidden or job.state is JobState.PENDING
        job.picture = Job(
            job.job_id,
            JobState.PENDING if waiting else job.state,
            request.shape,
            request.name,
            request.user,
            request.priority,
            job.submitted_at,
            job.wait,
            (job.reason or "Priority") if waiting else "",
            job.tasks,
            request.throttle,
            job.running_tasks,
            job.eligible_at if waiting and job.reason == "BeginTime" else 0.0,
            0.0 if waiting else job.started_at,
            () if waiting else tuple(job.placement),
            request.rerunnable,
            job.stuck,
        )
    return job.picture
