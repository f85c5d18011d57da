"""How a resource that can be many kinds of machine chooses among its offers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SpotStrategy(StrEnum):
    """Which spot offers are preferred (names: EC2 User Guide, "Allocation strategies for Spot Instances")."""

    LOWEST_PRICE = "lowest-price"
    DIVERSIFIED = "diversified"  # spread over the offers that cost little more than the cheapest
    CAPACITY_OPTIMIZED = "capacity-optimized"  # least interrupted first, whatever it costs
    CAPACITY_OPTIMIZED_PRIORITIZED = "capacity-optimized-prioritized"  # the same, priorities decide among equals
    PRICE_CAPACITY_OPTIMIZED = "price-capacity-optimized"  # price, made dearer by expected interruptions


CAPACITY_AWARE = frozenset(
    {
        SpotStrategy.CAPACITY_OPTIMIZED,
        SpotStrategy.CAPACITY_OPTIMIZED_PRIORITIZED,
        SpotStrategy.PRICE_CAPACITY_OPTIMIZED,
    }
)
"""Strategies that rest on how much there is of what, which the cloud knows best."""


class OnDemandStrategy(StrEnum):
    LOWEST_PRICE = "lowest-price"
    PRIORITIZED = "prioritized"  # the menu's priorities first, price among equals


@dataclass(frozen=True, slots=True)
class Menu:
    """What a menu's configuration says of the choice; the choices themselves are the cloud's offers."""

    spot_strategy: SpotStrategy = SpotStrategy.CAPACITY_OPTIMIZED
    on_demand_strategy: OnDemandStrategy = OnDemandStrategy.PRIORITIZED
    try_spot_s: float = 15.0  # after so long without spot capacity for waiting work, on-demand; negative = never spot
    spot_settle_s: float = 60.0  # a spot node counts as stable from this age on: an end before says that spot is scarce
    priced: bool = True  # whether the cloud tells what its offers cost; else the configuration does, and 0 is nothing
    fleet: bool = False  # a spot launch names several offers, of which the cloud takes the one it has most of
    on_demand: bool = True  # whether on-demand offers may be taken at all (spot_fallback: none)
