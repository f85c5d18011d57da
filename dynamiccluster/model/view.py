"""Views: complete pictures of one source, replaced only by a complete newer one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from dynamiccluster.model.host import Host
from dynamiccluster.model.instance import Instance
from dynamiccluster.model.job import Job
from dynamiccluster.model.occupancy import Hosts, index_hosts
from dynamiccluster.model.offer import Notice, Offer


@dataclass(frozen=True)
class SchedulerView:
    """The scheduler's jobs and hosts. Only a view *started* after a hold was confirmed can prove a host empty."""

    started_at: float
    completed_at: float
    jobs: tuple[Job, ...] = ()
    hosts: tuple[Host, ...] = ()
    stale_facets: tuple[str, ...] = ()  # optional facets that failed this time ("priorities", "reservations")
    dropped: tuple[str, ...] = ()  # odd records left out, one sentence each

    @cached_property
    def index(self) -> Hosts:
        """Made when first asked for: with 5,000 hosts in use that takes 4 ms, and one view serves several decisions."""
        return index_hosts(self.started_at, self.jobs, self.hosts)


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of a tenancy and what *everybody* uses of them, strangers included. ``None`` = no such limit known."""

    max_instances: int | None = None
    used_instances: int = 0
    max_cores: int | None = None
    used_cores: int = 0
    max_memory_mib: int | None = None
    used_memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class CloudView:
    """One tenancy's machines of ours, and a count of those that are not."""

    tenancy: str
    started_at: float
    completed_at: float
    instances: tuple[Instance, ...] = ()
    strangers: int = 0
    quota: Quota = field(default_factory=Quota)
    offers: tuple[Offer, ...] = ()  # of the resources of this tenancy; empty = the cloud does not tell
    notices: tuple[Notice, ...] = ()  # announced since the last view, or still in force


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is doing: for people and for the age shown beside every figure."""

    source: str  # "scheduler" or "cloud:TENANCY"
    last_good_at: float = 0.0
    last_try_at: float = 0.0
    failures: int = 0  # in a row
    error: str = ""  # of the last failed poll; "" when the last was good
    error_class: str = ""  # its class, in the words of errors.ErrorClass

    @property
    def ok(self) -> bool:
        return not self.error and self.last_good_at > 0
