"""What the configuration says of resources that are a choice among many machines."""

from __future__ import annotations

from dynamiccluster.config.schema_cloud import CloudResource
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_xspot import XspotResource, no_fleet_for
from dynamiccluster.model.menu import Menu, SpotStrategy

_SETTLE_S = 60.0
"""X-Spot's default, which 0 stands for too."""


def menu_of(item: CloudResource) -> Menu | None:
    """How one of its machines is chosen; ``None`` for a resource with one kind of machine."""
    match item:
        case XspotResource():
            return _of_types(item)
        case AwsResource():
            return _of_zones(item)
        case _:
            return None


def _of_types(item: XspotResource) -> Menu:
    config = item.config
    return Menu(
        spot_strategy=config.spot_allocation_strategy,
        on_demand_strategy=config.on_demand_allocation_strategy,
        try_spot_s=config.try_spot_period if config.spot_fleet_types else -1.0,
        spot_settle_s=max(0.0, config.spot_delay_period or _SETTLE_S),
        fleet=bool(config.spot_fleet_types) and config.launch_by != "instances" and not any(no_fleet_for(config)),
        on_demand=bool(config.on_demand_types),
    )


def _of_zones(item: AwsResource) -> Menu | None:
    """One machine type in several zones, or in both markets."""
    config = item.config
    spot, both = config.spot_bid is not None, config.spot_bid is not None and config.spot_fallback == "on-demand"
    if not both and (config.availability_zone or len(config.subnets) < 2):
        return None
    return Menu(
        spot_strategy=SpotStrategy.PRICE_CAPACITY_OPTIMIZED,
        try_spot_s=config.spot_timeout if spot else -1.0,
        spot_settle_s=0.0,
        priced=False,
        on_demand=both or not spot,
    )


FOR_EVER_S = 10 * 365 * 86400.0
"""Longer than any job waits."""


def waits_of(item: CloudResource) -> float:
    """How long work waits for spot instances that are refused before it goes to a worse resource."""
    if not isinstance(item, AwsResource) or item.config.spot_bid is None:
        return 0.0
    waits = {"next": item.config.spot_timeout, "none": FOR_EVER_S, "on-demand": 0.0}
    return waits[item.config.spot_fallback]


def own_timers(item: XspotResource) -> dict[str, float]:
    """Timers that X-Spot's keys give, where the resource's own do not."""
    given = {"boot_s": item.config.booting_timeout, "idle_s": item.config.idle_time}
    return {key: value for key, value in given.items() if value is not None and getattr(item.timers, key) is None}
