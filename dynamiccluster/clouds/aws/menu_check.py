"""What launches of a menu need, looked at without launching: for ``check-cloud``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.catalogue import Catalogue
from dynamiccluster.clouds.aws.check import Looks
from dynamiccluster.clouds.aws.fleet_check import check_fleets
from dynamiccluster.clouds.aws.menu import Menus
from dynamiccluster.clouds.aws.menu_map import chosen, patterns_of
from dynamiccluster.clouds.aws.request_map import ON_DEMAND, SPOT
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.wording import amount


def check_menu(
    resource: Resource,
    config: Mapping[str, Any],
    cluster_id: str,
    clock: Clock | None = None,
    calls: AwsCalls | None = None,
) -> Iterator[Finding]:
    """The credentials, what is on offer, and then everything that a launch of the offer first in line needs."""
    calls, clock = calls or AwsCalls(config), clock or SystemClock()
    first = Looks(resource, config, cluster_id, clock, calls)
    yield from first.credentials()
    if not first.account:
        return
    catalogue = Catalogue(calls, clock, resource.tenancy, {})
    menus = Menus(calls, clock, resource.tenancy, {resource.name: config}, catalogue)
    offers = menus.offers()
    types = catalogue.types(patterns_of(config))
    if types:
        for key, market in (("spot_fleet_types", SPOT), ("on_demand_types", ON_DEMAND)):
            yield from _entries(config[key], key, types)
            if config[key]:
                yield _market(market, [offer for offer in offers if offer.market == market])
    try:
        image = menus.image(config["image_id"])
    except DynamicClusterError:
        image = config["image_id"]  # the look at the image says what is wrong
    kind = _as_one_kind(config, _first(config, offers), image)
    yield from Looks(resource, kind, cluster_id, clock, calls).everything()
    spot = [offer for offer in offers if offer.market == SPOT]
    if resource.menu is not None and resource.menu.fleet and spot and not _per_node(config, cluster_id):
        yield from check_fleets(resource, {**config, "image_id": image}, cluster_id, calls, spot)


def _per_node(config: Mapping[str, Any], cluster_id: str) -> bool:
    """Whether the user data differ from node to node, which no fleet's do."""
    template = user_data(config, cluster_id)
    try:
        return template is not None and template.prepare().per_node
    except DynamicClusterError:  # the look at the user data says what is wrong
        return False


def _entries(kinds: tuple[str, ...], key: str, types: Mapping[str, Any]) -> Iterator[Finding]:
    for kind in kinds:
        if not chosen((kind,), types):
            yield Finding(f"{key}: {kind}", FindingState.WRONG, "there is no such type here", "Take it out, or another")


def _market(market: str, offers: list[Offer]) -> Finding:
    subject = f"offers, {market}"
    if not offers:
        return Finding(subject, FindingState.WRONG, "there are none", "Other types, zones or subnets")
    kinds = len({offer.instance_type for offer in offers})
    zones = ", ".join(sorted({offer.zone for offer in offers}))
    message = f"{amount(len(offers), 'offer')}: {amount(kinds, 'type')} in {zones}"
    unpriced = sorted({offer.instance_type for offer in offers if not offer.price_per_hour})
    if unpriced:
        fix = "Give prices or a pricing_file, or allow pricing:GetProducts: a price that is not known comes last"
        return Finding(subject, FindingState.UNKNOWN, f"{message}; no price of {', '.join(unpriced[:5])}", fix)
    return Finding(subject, FindingState.OK, message)


def _first(config: Mapping[str, Any], offers: tuple[Offer, ...]) -> Offer | None:
    """The cheapest offer of the market that is tried first."""
    market = SPOT if config["spot_fleet_types"] and config["try_spot_period"] >= 0 else ON_DEMAND
    return min(
        (offer for offer in offers if offer.market == market), key=lambda offer: offer.price_per_hour, default=None
    )


def _as_one_kind(config: Mapping[str, Any], offer: Offer | None, image: str) -> dict[str, Any]:
    """The menu's keys as those of a resource with one machine type have them."""
    named = next(iter((*config["spot_fleet_types"], *config["on_demand_types"]))).partition(":")[0]
    spot = offer is not None and offer.market == SPOT
    return {
        **config,
        "image_id": image,
        "instance_type": offer.instance_type if offer else named if "." in named else f"{named}.large",
        "availability_zone": offer.zone if offer else None,
        "spot_bid": (config["spot_bid"] or 0.0) if spot else None,
        "spot_fallback": "next",
        "capacity_reservation_id": None,
        "when_idle": "terminate",
    }
