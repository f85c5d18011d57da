"""Resources: the kinds of node that can be had, one per entry of the ``cloud:`` section."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.menu import Menu
from dynamiccluster.model.offer import Offer


class ResourceFlag(StrEnum):
    """What an operator has done to a resource; the numbers are the original's (:data:`FLAG_NUMBER`)."""

    NORMAL = "normal"
    FROZEN = "frozen"  # min = max = what there was
    DRAINING = "draining"  # min = max = 0, nodes leave as they empty
    DRAINED = "drained"  # draining, and empty


class Provisioning(StrEnum):
    """Who decides when a node of a resource is launched."""

    DEMAND = "demand"  # we, from the waiting jobs
    SCHEDULER = "scheduler"  # it gives hosts without machines to jobs, and asks for their machines (power saving)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Whom the nodes of a resource are for. Empty = anybody (seed: deployment guide, cloud variables)."""

    queue: str = ""
    account: str = ""
    property: str = ""

    def __bool__(self) -> bool:
        return bool(self.queue or self.account or self.property)


@dataclass(frozen=True, slots=True)
class Timers:
    """Time limits of a node's life, in observed seconds. ``docs/clocks.md`` has the table."""

    idle_s: float = 600.0  # idle -> removed
    down_s: float = 480.0  # down and empty -> removed (soft)
    down_hard_s: float = 1800.0  # down -> removed whatever jobs it lists (hard)
    launch_s: float = 1200.0  # launch request -> usable in the scheduler, launch and join together
    boot_s: float = 600.0  # launch request -> the cloud says active; 0 = only ``launch_s`` counts
    first_job_s: float = 1800.0  # usable -> first job, counted only while jobs that fit it wait; 0 = off
    min_lifetime_s: float = 0.0  # usable -> earliest removal for idleness
    terminate_s: float = 120.0  # terminate call -> repeated if the machine is still there


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of node one can get."""

    name: str
    cloud: str  # adapter type: "local", "aws", ...
    tenancy: str  # which account or project pays; resources of one tenancy share quota and one list call
    capacity: Capacity
    min_nodes: int = 0
    max_nodes: int = 0
    priority: int = 0  # lower is better
    reservation: Reservation = field(default_factory=Reservation)
    features: frozenset[str] = frozenset()
    gpu_type: str = ""
    queues: frozenset[str] = frozenset()  # where its nodes serve; empty = every queue
    price_per_hour: float = 0.0
    name_prefix: str = ""  # instance and host names: PREFIX-XXXXXXXX
    timers: Timers = field(default_factory=Timers)
    queue_idle_s: tuple[tuple[str, float], ...] = ()  # idle limits per queue, the longest that applies wins
    max_starting: int = 0  # nodes on their way at the same time; 0 = no limit of its own
    provisioning: Provisioning = Provisioning.DEMAND
    offering: str = ""  # zone/type/market, key of the capacity back-off; "" = this resource alone
    drain_at_risk: bool = False  # whether a machine is let go that the cloud says it may take away
    waits_s: float = 0.0  # while its spot instances are sold out, work that suits it goes nowhere worse for so long
    menu: Menu | None = None  # it is one of many kinds of machine, chosen for each demand among the cloud's offers
    billed: Capacity | None = None  # what a node uses of the cloud's quota; None = as much as jobs may use of it
    any_of: tuple[Offer, ...] = ()  # of one that is launched: whichever of these the cloud takes; empty = ``offering``

    @property
    def word(self) -> str:
        """A feature that all of its nodes have and no others: for demands that this resource is known to meet."""
        return f"resource:{self.name}"

    @property
    def quota_use(self) -> Capacity:
        return self.billed or self.capacity

    @property
    def unpriced(self) -> bool:
        """Whether it costs what nobody knows. Where the configuration has the word, no price is nothing."""
        return self.menu is not None and self.menu.priced and not self.billable

    @property
    def billable(self) -> bool:
        return self.price_per_hour > 0

    def offered(self, offer: Offer | None) -> Resource:
        """The resource as this one of its offers; itself without one."""
        if offer is None:
            return self
        return replace(
            self,
            capacity=offer.capacity,
            gpu_type=offer.gpu_type,
            price_per_hour=offer.price_per_hour or self.price_per_hour,
            offering=offer.offering,
            billed=offer.billed,
            any_of=(offer.alone, *offer.instead) if offer.instead else (),
        )

    def numbered(self, number: int) -> str:
        """The name of the ``number``-th host (from 1) where the scheduler provisions: PREFIX-0007."""
        return f"{self.name_prefix or self.name}-{number:04d}"

    def number_of(self, host_name: str) -> int:
        """The number in such a name; 0 for any other name."""
        prefix, _, digits = host_name.rpartition("-")
        if not (digits.isascii() and digits.isdigit()) or prefix != (self.name_prefix or self.name) or len(digits) > 9:
            return 0
        number = int(digits)
        return number if digits == f"{number:04d}" else 0
