"""The read model: one immutable picture for everybody who only looks (REST, plug-ins, dashboard)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, cast

from dynamiccluster.model.action import Action
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Job
from dynamiccluster.model.plan import Demand, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.view import SourceStatus
from dynamiccluster.model.worker_node import COUNTED, WorkerNode

T = TypeVar("T")


_OF_THE_SCHEDULER = frozenset({"jobs_by_id", "hosts_by_name", "jobs_by_state"})
_JOBS_BY_ID = "jobs by id"


class Lookups:
    """What is found by name in one snapshot. Each table is made when it is first asked for: with 100,000 jobs that
    takes some 10 ms."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.made: dict[str, tuple[Policy, object]] = {}

    def take_over(self, older: Lookups) -> None:
        """Tables that only the scheduler's view makes, if it is the same that ``older`` has seen."""
        if older.snapshot.scheduler is self.snapshot.scheduler:
            for name in _OF_THE_SCHEDULER & older.__dict__.keys():
                self.__dict__.setdefault(name, older.__dict__[name])
            if _JOBS_BY_ID in older.made:
                self.made.setdefault(_JOBS_BY_ID, older.made[_JOBS_BY_ID])

    @cached_property
    def jobs_by_id(self) -> Mapping[str, Job]:
        view = self.snapshot.scheduler
        return {job.job_id: job for job in view.jobs} if view else {}

    @cached_property
    def hosts_by_name(self) -> Mapping[str, Host]:
        view = self.snapshot.scheduler
        return {host.name: host for host in view.hosts} if view else {}

    @cached_property
    def nodes_by_resource(self) -> Mapping[str, tuple[WorkerNode, ...]]:
        found: dict[str, list[WorkerNode]] = {}
        for node in self.snapshot.nodes.values():
            found.setdefault(node.resource, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def nodes_by_state(self) -> Mapping[str, int]:
        return Counter(node.state.value for node in self.snapshot.nodes.values())

    @cached_property
    def jobs_by_state(self) -> Mapping[str, int]:
        view = self.snapshot.scheduler
        return Counter(job.state.value for job in view.jobs) if view else {}


@dataclass(frozen=True)
class ReadModel:
    """The state after the last commit. Replaced whole after each tick, never changed."""

    at: float  # when the tick decided
    snapshot: Snapshot  # committed nodes, launches and memory; last good views
    policy: Policy
    demand: Demand = field(default_factory=Demand)
    sources: Mapping[str, SourceStatus] = field(default_factory=dict)
    open_actions: Mapping[str, Action] = field(default_factory=dict)
    proposals: tuple[str, ...] = ()
    sentence: str = ""
    tick: int = 0
    tick_s: float = 0.0  # how long the last decision took
    started_at: float = 0.0  # of the service
    store_error: str = ""  # why the last commit failed; "" = it did not
    decision_error: str = ""  # why the last decision failed; "" = it did not
    inbox_length: int = 0
    lookups: Lookups | None = field(default=None, repr=False, compare=False)  # made here; shared by later copies

    def __post_init__(self) -> None:
        if self.lookups is None or self.lookups.snapshot is not self.snapshot:
            object.__setattr__(self, "lookups", Lookups(self.snapshot))

    @property
    def _lookups(self) -> Lookups:
        return self.lookups or Lookups(self.snapshot)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, made once for this snapshot and policy however often it is asked for."""
        made = self._lookups.made
        known = made.get(name)
        if known is None or known[0] is not self.policy:
            known = made[name] = (self.policy, make())
        return cast(T, known[1])

    @property
    def jobs_by_id(self) -> Mapping[str, Job]:
        return self._lookups.jobs_by_id

    @property
    def hosts_by_name(self) -> Mapping[str, Host]:
        return self._lookups.hosts_by_name

    @property
    def nodes_by_resource(self) -> Mapping[str, tuple[WorkerNode, ...]]:
        return self._lookups.nodes_by_resource

    @property
    def nodes_by_state(self) -> Mapping[str, int]:
        return self._lookups.nodes_by_state

    @property
    def jobs_by_state(self) -> Mapping[str, int]:
        """How many jobs the scheduler lists in each of our states."""
        return self._lookups.jobs_by_state

    @property
    def jobs_by_host(self) -> Mapping[str, tuple[str, ...]]:
        """Job ids per host, as the job list and the host list together say."""
        view = self.snapshot.scheduler
        return view.index.job_ids if view else {}

    def capacity_of(self, node: WorkerNode) -> Capacity:
        """What the node has: as its host says, else as nodes of its resource turned out, else as configured."""
        host = self.hosts_by_name.get(node.host_name)
        if host is not None and host.total.cores and not host.template:
            return host.total
        resource = self.policy.resources.get(node.resource)
        return self.snapshot.memory.capacity_of(resource.offered(node.offer)) if resource else Capacity()

    def price_of(self, node: WorkerNode) -> float:
        """What the node costs in an hour: nodes of a menu each have a price of their own."""
        kind = node.offer or self.policy.resources.get(node.resource)
        return kind.price_per_hour if kind else 0.0

    @property
    def nodes_by_tenancy(self) -> Mapping[str, int]:
        """How many nodes need their tenancy, of each tenancy; those of launches without an answer are among them."""
        return Counter(node.tenancy for node in self.snapshot.nodes.values() if node.state in COUNTED)

    def node(self, name_or_id: str) -> WorkerNode | None:
        """The worker node with this node id or, failing that, host name."""
        found = self.snapshot.nodes.get(name_or_id)
        if found:
            return found
        return next((node for node in self.snapshot.nodes.values() if node.host_name == name_or_id), None)
