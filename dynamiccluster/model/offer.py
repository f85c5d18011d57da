"""What a cloud says of its kinds of machine, and what it announces about machines that run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dynamiccluster.model.capacity import Capacity

SPOT = "spot"
"""The market of machines that can be taken away."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One machine that a resource can be: what it has and costs.

    A resource with one kind of machine has at most one offer, which tells what its configuration leaves open. A
    resource that is a menu has one for each machine type, zone and market.
    """

    resource: str
    capacity: Capacity
    offering: str = ""  # TENANCY/ZONE/TYPE/MARKET: what runs out of capacity together, and what a launch is told
    gpu_type: str = ""
    price_per_hour: float = 0.0  # 0 = not known
    instance_type: str = ""
    zone: str = ""
    market: str = ""  # "spot" or "on-demand"; "" = there is no such difference
    priority: int = 0  # among the offers of one menu, lower is better; before the price
    billed: Capacity | None = None  # what it uses of the cloud's quota; None = as much as jobs may use of it
    instead: tuple[Offer, ...] = ()  # of a chosen one: what does as well, the best first; the cloud takes its pick

    @property
    def alone(self) -> Offer:
        """The same, without what does as well."""
        return replace(self, instead=()) if self.instead else self

    def named(self, offering: str) -> Offer | None:
        """Which of it and what does as well has that name."""
        return next((one for one in (self, *self.instead) if one.offering == offering), None)

    @property
    def quota_use(self) -> Capacity:
        return self.billed or self.capacity


class NoticeKind(StrEnum):
    """What a cloud says is about to happen to a machine."""

    RECLAIM = "reclaim"  # it will be taken away within minutes
    REBALANCE = "rebalance"  # it is at elevated risk of being taken away


@dataclass(frozen=True, slots=True)
class Notice:
    """An announcement about one machine. Repeated ones are one: (``instance_id``, ``kind``) is its identity."""

    instance_id: str
    kind: NoticeKind
    due_at: float = 0.0  # when it will happen; 0 = not said
    offering: str = ""
