"""The witness: stands between one engine and its adapters, and compares what it asks with what is really so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dynamiccluster.clouds.base import AllOrNothing, Cloud
from dynamiccluster.errors import DynamicClusterError, UnknownOutcomeError
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.event import NEWEST, EventQuery
from dynamiccluster.model.host import Host
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView, SchedulerView
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.store.base import EventPage, Store, Stored
from dynamiccluster.testing.invariants import Invariants


class WitnessedScheduler:
    """A scheduler adapter whose every command is checked when it goes out."""

    def __init__(self, inner: Scheduler, invariants: Invariants) -> None:
        self._inner = inner
        self._invariants = invariants

    def poll(self) -> SchedulerView:
        return self._inner.poll()

    def declare(self, resources: Sequence[Resource]) -> None:
        self._inner.declare(resources)

    def add(self, host_name: str, address: str, resource: Resource) -> None:
        self._invariants.touches_host("add", host_name)
        self._inner.add(host_name, address, resource)

    def hold(self, host_name: str, mark: str) -> None:
        self._invariants.touches_host("hold", host_name)
        self._inner.hold(host_name, mark)

    def release(self, host_name: str, mark: str) -> None:
        self._invariants.touches_host("release", host_name)
        self._inner.release(host_name, mark)

    def vacate(self, host_name: str, job_ids: Sequence[str]) -> None:
        self._invariants.touches_host("vacate", host_name)
        self._inner.vacate(host_name, job_ids)

    def evacuate(self, host_name: str, job_ids: Sequence[str], delete_jobs: bool) -> None:
        self._invariants.touches_host("evacuate", host_name)
        self._inner.evacuate(host_name, job_ids, delete_jobs)

    def remove(self, host_name: str) -> None:
        self._invariants.touches_host("remove", host_name)
        self._inner.remove(host_name)

    def unstick(self, job_ids: Sequence[str]) -> None:
        self._inner.unstick(job_ids)

    def find(self, host_name: str) -> Host | None:
        return self._inner.find(host_name)


class WitnessedCloud:
    """A cloud adapter whose every command is checked when it goes out."""

    def __init__(self, inner: Cloud, invariants: Invariants, answering: Callable[[], bool]) -> None:
        self.tenancy = inner.tenancy
        self.idempotent = inner.idempotent
        self._inner = inner
        self._invariants = invariants
        self._answering = answering

    def list_instances(self) -> CloudView:
        return self._inner.list_instances()

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        return self._launch(launch_id, lambda: self._inner.launch(launch_id, resource, specs))

    def launch_whole(
        self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]
    ) -> tuple[LaunchedInstance, ...]:
        inner = self._inner
        if not isinstance(inner, AllOrNothing):
            return self.launch(launch_id, resource, specs)
        return self._launch(launch_id, lambda: inner.launch_whole(launch_id, resource, specs))

    def _launch(
        self, launch_id: str, launch: Callable[[], tuple[LaunchedInstance, ...]]
    ) -> tuple[LaunchedInstance, ...]:
        self._invariants.launch_asked(self.tenancy, launch_id)
        try:
            made = launch()
        except UnknownOutcomeError:
            raise
        except DynamicClusterError:
            self._answered(launch_id)
            raise
        self._answered(launch_id)
        return made

    def _answered(self, launch_id: str) -> None:
        if self._answering():
            self._invariants.launch_answered(launch_id)

    def terminate(self, instance_ids: Sequence[str]) -> None:
        self._invariants.terminate_asked(self.tenancy, instance_ids)
        self._inner.terminate(instance_ids)

    def console_tail(self, instance_id: str) -> str:
        return self._inner.console_tail(instance_id)


class WitnessedStore:
    """A store whose every successful commit is checked."""

    def __init__(self, inner: Store, invariants: Invariants, committed: Callable[[Plan], None]) -> None:
        self._inner = inner
        self._invariants = invariants
        self._committed = committed

    def load(self) -> Stored:
        stored = self._inner.load()
        self._invariants.loaded(stored)
        return stored

    def commit(self, expected_version: int, plan: Plan) -> int:
        version = self._inner.commit(expected_version, plan)
        self._invariants.committed(plan)
        self._committed(plan)
        return version

    def events(self, query: EventQuery = NEWEST) -> EventPage:
        return self._inner.events(query)

    def prune(self, events_before_at: float) -> int:
        return self._inner.prune(events_before_at)

    def close(self) -> None:
        self._inner.close()
