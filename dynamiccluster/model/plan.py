"""Snapshot and plan: what ``decide`` gets and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.model.action import Action, ActionResult
from dynamiccluster.model.command import Command, CommandReply
from dynamiccluster.model.event import Event
from dynamiccluster.model.job import Job, Shape
from dynamiccluster.model.launch import Launch
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.view import CloudView, SchedulerView
from dynamiccluster.model.worker_node import WorkerNode


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One picture of everything, taken once per tick."""

    version: int  # of the store; a commit expects it
    memory: Memory
    nodes: Mapping[str, WorkerNode] = field(default_factory=dict)
    launches: Mapping[str, Launch] = field(default_factory=dict)
    scheduler: SchedulerView | None = None  # last good; None = never seen
    clouds: Mapping[str, CloudView] = field(default_factory=dict)  # tenancy -> last good
    results: tuple[ActionResult, ...] = ()
    commands: tuple[Command, ...] = ()


class Refusal(StrEnum):
    """Why a resource gets no node for a job. The first that applies, in this order."""

    QUEUE = "queue"
    ACCOUNT = "account"
    PROPERTY = "property"
    FEATURES = "features"
    GPU_TYPE = "gpu-type"
    NO_SIZE = "no-size"  # the configuration does not say what a node has, and the cloud has not told it yet
    CORES = "cores"
    MEMORY = "memory"
    GPUS = "gpus"
    CLOSED = "closed"  # breaker open, or a trial is under way
    SOLD_OUT = "sold-out"  # capacity or quota back-off
    THROTTLED = "throttled"
    FAILING = "failing"  # the last launch was refused without a reason of these kinds; a short pause
    FROZEN = "frozen"
    DRAINING = "draining"
    MAX_NODES = "max-nodes"
    MAX_STARTING = "max-starting"
    CLUSTER_NODES = "cluster-nodes"
    CLUSTER_CORES = "cluster-cores"
    QUOTA = "quota"
    SPOT_FIRST = "spot-first"  # a better resource is sold out, and work waits for its spot instances
    NO_PRICE = "no-price"  # there is a budget, and nobody knows what this offer of a menu costs
    BUDGET_HOUR = "budget-hour"
    BUDGET_MONTH = "budget-month"
    LAUNCH_RATE = "launch-rate"
    NO_VIEW = "no-view"  # the tenancy has not been seen yet
    COMPONENTS = "components"  # another component of the same job gets none
    AUTO_OFF = "auto-off"
    BY_SCHEDULER = "by-scheduler"  # the scheduler itself picks the nodes of this resource


MISFITS = frozenset(
    {
        Refusal.BY_SCHEDULER,
        Refusal.QUEUE,
        Refusal.ACCOUNT,
        Refusal.PROPERTY,
        Refusal.FEATURES,
        Refusal.GPU_TYPE,
        Refusal.NO_SIZE,
        Refusal.CORES,
        Refusal.MEMORY,
        Refusal.GPUS,
    }
)
"""Refusals that no waiting will change: the resource is of the wrong kind."""


@dataclass(frozen=True, slots=True)
class ShapeReport:
    """What the plan did about the waiting jobs of one shape. Counts are jobs (array tasks)."""

    shape: Shape
    job_ids: tuple[str, ...]  # the records behind it, in the order in which they are served
    waiting: int  # tasks that more nodes would help
    on_free: int = 0  # fit onto nodes that are up
    on_coming: int = 0  # fit onto nodes that are on their way
    on_new: int = 0  # nodes are launched for them now
    unplaced: int = 0
    new_nodes: Mapping[str, int] = field(default_factory=dict)  # resource -> nodes first used by this shape
    refusals: Mapping[str, Refusal] = field(default_factory=dict)  # resource -> why not (more)
    never: bool = False  # no resource and no host could ever hold it


@dataclass(frozen=True, slots=True)
class Demand:
    """The waiting work as the plan understood it."""

    reports: tuple[ShapeReport, ...] = ()
    held_back: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # class ("no", "not yet", "by the scheduler") -> job ids
    waiting_tasks: int = 0
    waiting_cores: int = 0
    unplaced_tasks: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be stored and done, and why."""

    memory: Memory
    nodes: Mapping[str, WorkerNode] = field(default_factory=dict)  # changed records only
    launches: Mapping[str, Launch] = field(default_factory=dict)  # changed records only
    forgotten_nodes: tuple[str, ...] = ()  # records to drop
    forgotten_launches: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    closed_actions: tuple[str, ...] = ()  # whose results were taken in
    events: tuple[Event, ...] = ()
    replies: tuple[CommandReply, ...] = ()
    proposals: tuple[str, ...] = ()  # observe-only: what would have been done, one sentence each
    demand: Demand = field(default_factory=Demand)
    wake_at: float | None = None
    sentence: str = ""  # one line for the log

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store or do beyond the clocks."""
        return not (
            self.nodes
            or self.launches
            or self.forgotten_nodes
            or self.forgotten_launches
            or self.actions
            or self.closed_actions
            or self.events
            or self.replies
        )


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """The answer that every waiting job has (promise 7)."""

    job: Job
    summary: str  # one sentence
    wait: str
    refusals: Mapping[str, str] = field(default_factory=dict)  # resource -> sentence
    limit: str = ""  # the limit that binds
    earliest_retry_at: float = 0.0  # 0 = not known
    nodes: tuple[str, ...] = ()  # host names of nodes that are meant for it
