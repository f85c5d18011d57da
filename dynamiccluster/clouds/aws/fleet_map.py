"""Between a launch that names several offers and CreateFleet. Pure.

A fleet of the type ``instant`` is one request: EC2 takes the pool of machines (a type in a zone) that suits the
strategy best, of which it alone knows how deep it is, and answers at once. Its record is left as it is: to delete an
instant fleet ends its machines (API reference, "DeleteFleets").
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.aws.error_map import mapped
from dynamiccluster.clouds.aws.instance_map import ANY, CLUSTER_TAG, RESOURCE_TAG
from dynamiccluster.clouds.aws.request_map import ON_DEMAND, SPOT, offering_of, run_instances
from dynamiccluster.errors import (
    AuthError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.menu import SpotStrategy
from dynamiccluster.model.offer import Offer

USER_DATA = "LaunchTemplateSpecificationUserData"
"""The parameter in which a fleet's user data go, which older versions of the SDK do not know."""

NO_TEMPLATE = ("InvalidLaunchTemplateName.NotFound", "InvalidLaunchTemplateId.")
"""How error codes about a launch template that is not there (any more) begin."""

TEMPLATE_THERE = "InvalidLaunchTemplateName.AlreadyExists"
"""How the code of a launch template that is there already begins."""

_OF_A_REQUEST = frozenset(
    {
        "MinCount",
        "MaxCount",
        "ClientToken",
        "InstanceType",
        "TagSpecifications",
        "UserData",
        "SubnetId",
        "InstanceMarketOptions",
        "LaunchTemplate",
    }
)
"""Parameters of RunInstances that stand in the fleet's request, or nowhere, and not in its launch template."""

_PASSING = frozenset({"InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "Unavailable"})
_GRAVEST_FIRST = (AuthError, QuotaError, ThrottledError, CapacityError, TransientError, DynamicClusterError)


def template_of(cluster_id: str, resource: str, config: Mapping[str, Any], offer: Offer) -> dict[str, Any]:
    """The launch template's data: what all launches of a resource have in common, whichever offer is taken.

    User data are not in it: they may hold secrets, and a template stays. ``config``: with the image's own id.
    """
    request = run_instances(
        config,
        [_NOBODY],
        token="",
        tags={},
        user_data="",
        zone=offer.zone,
        instance_type=offer.instance_type,
        market=ON_DEMAND,
    )
    data = {key: value for key, value in request.items() if key not in _OF_A_REQUEST}
    placement = {key: value for key, value in data.pop("Placement", {}).items() if key != "AvailabilityZone"}
    if placement:
        data["Placement"] = placement
    if "NetworkInterfaces" in data:
        data["NetworkInterfaces"] = [
            {key: value for key, value in interface.items() if key != "SubnetId"}
            for interface in data["NetworkInterfaces"]
        ]
    ours = {**config["tags"], CLUSTER_TAG: cluster_id, RESOURCE_TAG: resource}
    tags = {
        "volume": {**config.get("volume_tags", {}), **ours},
        "network-interface": ours,
        "spot-instances-request": ours,
    }
    data["TagSpecifications"] = [{"ResourceType": kind, "Tags": tag_list(of)} for kind, of in tags.items()]
    return data


def template_name(cluster_id: str, data: Mapping[str, Any]) -> str:
    """The name of the template with these data: other data have another name, so that none is ever changed."""
    return f"{template_prefix(cluster_id)}{hashlib.sha256(_text(data).encode()).hexdigest()[:16]}"


def template_prefix(cluster_id: str) -> str:
    """How the names of an installation's templates begin."""
    return f"dynamiccluster-{cluster_id}-"


def create_template(cluster_id: str, data: Mapping[str, Any], site: Mapping[str, str]) -> dict[str, Any]:
    """Parameters for the launch template with these data. ``site``: the operator's own tags."""
    tags = tag_list({**site, CLUSTER_TAG: cluster_id})
    return {
        "LaunchTemplateName": template_name(cluster_id, data),
        "LaunchTemplateData": data,
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}],
    }


def create_fleet(
    config: Mapping[str, Any],
    offers: Sequence[Offer],
    *,
    template: str,
    token: str,
    tags: Mapping[str, str],
    user_data: str,
) -> dict[str, Any]:
    """Parameters for one request for one spot machine, which is any of these offers. ``tags``: of the machine."""
    strategy = SpotStrategy(config["spot_allocation_strategy"])
    ranks = {priority: float(rank) for rank, priority in enumerate(sorted({offer.priority for offer in offers}))}
    prioritized = strategy is SpotStrategy.CAPACITY_OPTIMIZED_PRIORITIZED
    overrides: list[dict[str, Any]] = []
    pools: set[tuple[str, str]] = set()
    for offer in offers:
        subnet = subnet_of(config, offer.zone)
        pool = offer.instance_type, subnet or offer.zone
        if pool in pools:  # a subnet whose zone is not known; EC2 refuses a fleet that names a pool twice
            continue
        pools.add(pool)
        override: dict[str, Any] = {"InstanceType": offer.instance_type}
        override |= {"SubnetId": subnet} if subnet else {"AvailabilityZone": offer.zone}
        if config["spot_bid"]:
            override["MaxPrice"] = f"{config['spot_bid']:.4f}"
        if prioritized:  # the smaller the better, there as here
            override["Priority"] = ranks[offer.priority]
        overrides.append(override)
    launch_template = {"LaunchTemplateName": template, "Version": "1"}
    if user_data:
        launch_template[USER_DATA] = b64encode(user_data.encode()).decode()
    return {
        "Type": "instant",
        "ClientToken": token,
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": SPOT},
        "SpotOptions": {"AllocationStrategy": str(strategy)},
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": launch_template, "Overrides": overrides}],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": tag_list(tags)},
            {"ResourceType": "fleet", "Tags": tag_list({**config["tags"], CLUSTER_TAG: tags[CLUSTER_TAG]})},
        ],
    }


def made_of(
    reply: Mapping[str, Any], config: Mapping[str, Any], offers: Sequence[Offer], tenancy: str
) -> tuple[str, str]:
    """Id and offering of the machine that came of the request; empty ones if none came. The offering may be none of
    those that were asked for, or "" if the reply does not tell."""
    for item in reply.get("Instances") or ():
        for instance_id in item.get("InstanceIds") or ():
            return str(instance_id), _offering(item, config, offers, tenancy)
    return "", ""


def refused_by(
    reply: Mapping[str, Any], config: Mapping[str, Any], offers: Sequence[Offer], tenancy: str
) -> dict[str, DynamicClusterError]:
    """Offering -> why no machine came of it, in our words; "" stands for what cannot be told."""
    found: dict[str, DynamicClusterError] = {}
    for item in reply.get("Errors") or ():
        code, message = str(item.get("ErrorCode", "")), str(item.get("ErrorMessage", ""))
        error = mapped(code, 503 if code in _PASSING else 400, message, launching=False)
        name = _offering(item, config, offers, tenancy)
        if any(offer.offering == name for offer in offers):
            error.offering = name
        found.setdefault(name, error)
    return found


def sold_out_of(refused: Mapping[str, DynamicClusterError]) -> tuple[str, ...]:
    """Those that are short of machines."""
    return tuple(name for name, error in refused.items() if name and isinstance(error, CapacityError))


def nothing(refused: Mapping[str, DynamicClusterError], offers: Sequence[Offer]) -> DynamicClusterError:
    """What to raise when no machine came. A lack of capacity is one of everything that was asked for.

    A reply that tells neither machines nor errors tells nothing: the list must. ``offers``: the chosen one first.
    """
    chosen = refused.get(offers[0].offering)
    for kind in _GRAVEST_FIRST:
        for error in (*([chosen] if chosen else []), *refused.values()):
            if isinstance(error, kind):
                if isinstance(error, CapacityError):
                    error.sold_out = tuple(offer.offering for offer in offers)
                return error
    return UnknownOutcomeError("EC2 says neither which machine it made nor why it made none")


def subnet_of(config: Mapping[str, Any], zone: str) -> str:
    """Of the resource in this zone; "" = the zone's default."""
    return str(config["subnets"].get(zone) or config.get("subnet_id") or "")


def any_offering(tenancy: str) -> str:
    """The offering tag of a machine that was asked for by several offers: what it is says its description."""
    return offering_of(tenancy, ANY, ANY, SPOT)


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


_NOBODY = NodeSpec("n", "n")


def _offering(item: Mapping[str, Any], config: Mapping[str, Any], offers: Sequence[Offer], tenancy: str) -> str:
    """Of a machine or an error in the reply, by type, and zone or subnet. "" if these do not stand in it."""
    override = (item.get("LaunchTemplateAndOverrides") or {}).get("Overrides") or {}
    kind = str(item.get("InstanceType") or override.get("InstanceType") or "")
    zone = str(item.get("AvailabilityZone") or override.get("AvailabilityZone") or "")
    subnet = str(item.get("SubnetId") or override.get("SubnetId") or "")
    if not zone and subnet:
        zone = next((offer.zone for offer in offers if subnet_of(config, offer.zone) == subnet), "")
    return offering_of(tenancy, zone, kind, SPOT) if kind and zone else ""


def _text(value: Any) -> str:
    """The same text for the same data, in whatever order they were put together."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text, value)) + "]"
    return repr(value)
