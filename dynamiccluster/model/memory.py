"""Memory: what the engine remembers between ticks besides nodes and launches. Persisted with every plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource, ResourceFlag


@dataclass(frozen=True, slots=True)
class ObservedClock:
    """Seconds during which a source was really watched.

    It moves only when a newer good view arrives, by the time between the two views but at most ``step_cap_s``
    of that source: failed polls, downtime of the service and jumps of the wall clock age nothing in one leap.
    """

    total_s: float = 0.0
    last_at: float = 0.0  # ``completed_at`` of the view that moved it last


class BreakerState(StrEnum):
    CLOSED = "closed"  # normal
    OPEN = "open"  # too many failures: nothing is launched
    HALF_OPEN = "half-open"  # one trial node is allowed


@dataclass(frozen=True, slots=True)
class Breaker:
    """Failure memory of one resource: "it keeps failing" (not "it is sold out", which is :class:`Backoff`)."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0  # in a row: launches refused, nodes that never joined; a join ends the row
    opened_count: int = 0  # in a row; doubles the waiting time
    retry_obs: float = 0.0  # engine clock: when OPEN becomes HALF_OPEN
    retry_at: float = 0.0  # the same as wall time, for people
    trial_node: str = ""
    error: str = ""
    useless: int = 0  # in a row: nodes that joined and never got a job; a first job ends the row


@dataclass(frozen=True, slots=True)
class Backoff:
    """*Sold out* or *over quota* for one offering, throttling of one tenancy, a pause after a failed launch. Always
    expires."""

    until_obs: float  # engine clock
    until_at: float  # for people
    count: int = 1  # in a row; doubles the waiting time
    error_class: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Nomination:
    """A new node is kept for the work it was bought for until it had a job or this runs out."""

    until_obs: float  # scheduler clock; 0 = starts when the node joins
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """What an operator did to a resource's limits; survives restarts, undone by ``restore``."""

    flag: ResourceFlag
    min_nodes: int
    max_nodes: int


@dataclass(frozen=True, slots=True)
class Miss:
    """How often, and since when, something expected was not in a good view."""

    count: int
    since_obs: float
    view_at: float = 0.0  # ``started_at`` of the last view that missed it: one view counts once


@dataclass(frozen=True, slots=True)
class Learned:
    """What the last node of a resource that joined really had, where that was less than configured."""

    configured: Capacity = Capacity()  # at that time: it says nothing about another configuration
    real: Capacity = Capacity()
    learnt_obs: float = 0.0  # engine clock, of the last node that confirmed it
    doubts: int = 0  # how often the configured size was tried again; each time it takes longer
    doubted: bool = False  # being tried again: the configured size counts until the next node joins


@dataclass(frozen=True, slots=True)
class Interruptions:
    """How often machines of one offering were taken away. Both figures fade with time."""

    count: float = 0.0
    node_hours: float = 0.0  # of those that have ended
    as_of_obs: float = 0.0  # engine clock


@dataclass(frozen=True, slots=True)
class Spend:
    """Money so far. Accrues also over a restart: machines cost while we are away."""

    month: str = ""  # "2026-11"
    amount: float = 0.0
    as_of_at: float = 0.0
    away: bool = False  # no tick was stored since then though time went on: all of it counts


@dataclass(frozen=True, slots=True)
class Memory:
    generation: str = ""  # random word of this store, part of new node ids
    next_serial: int = 1
    tick: int = 0
    observe_only: bool = False
    looked: bool = False  # every source was seen once, so that the first-start rule has been applied
    auto_mode: bool | None = None  # None = as configured
    clocks: Mapping[str, ObservedClock] = field(default_factory=dict)  # source ("engine", "scheduler", "cloud:T")
    breakers: Mapping[str, Breaker] = field(default_factory=dict)  # resource
    backoffs: Mapping[str, Backoff] = field(
        default_factory=dict
    )  # "launch:N", "offering:X", "unfit:N X" ...; see breaker
    nominations: Mapping[str, Nomination] = field(default_factory=dict)  # node id
    overrides: Mapping[str, Override] = field(default_factory=dict)  # resource
    misses: Mapping[str, Miss] = field(default_factory=dict)  # "instance:NODE", "stopped:NODE", "orphan:INSTANCE"...
    rate_tokens: float | None = None  # launch-rate bucket; None = full
    rate_as_of_obs: float = 0.0
    spend: Spend = field(default_factory=Spend)
    learned: Mapping[str, Learned] = field(default_factory=dict)  # by ``learned_key``
    offers: Mapping[str, Offer] = field(default_factory=dict)  # resource -> what its cloud told last; see decide/offers
    interruptions: Mapping[str, Interruptions] = field(default_factory=dict)  # offering
    noticed: Mapping[str, float] = field(default_factory=dict)  # "KIND NODE" -> engine clock, see decide/notices
    declared: str = ""  # fingerprint of the shapes last declared to the scheduler with success
    open_actions: Mapping[str, str] = field(default_factory=dict)  # action id -> kind, for actions of no single node
    step_retry_obs: Mapping[str, float] = field(
        default_factory=dict
    )  # "declare", "unstick", "sweep:ID" -> engine clock
    unstuck: Mapping[str, float] = field(default_factory=dict)  # job id -> engine clock of the last release
    switched: Mapping[str, float] = field(default_factory=dict)  # host -> end of our last word on its power; 0 = open

    def capacity_of(self, resource: Resource) -> Capacity:
        """What a new node of the resource will have: as learnt under the present configuration, else as configured."""
        known = self.learned.get(learned_key(resource))
        if known is None or known.doubted or known.configured != resource.capacity:
            return resource.capacity
        return known.real


def learned_key(resource: Resource) -> str:
    """Under which name is remembered what its nodes really have: of a menu, each size for itself."""
    if resource.menu is None:
        return resource.name
    size = resource.capacity
    return f"{resource.name} {size.cores}/{size.memory_mib}/{size.gpus}"
