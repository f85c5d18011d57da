"""What clouds tell of their machines fills in what the configuration leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dynamiccluster.model.offer import Offer
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView


def with_offers(policy: Policy, clouds: Mapping[str, CloudView]) -> Policy:
    """The policy with size, GPU type and price of each resource; what is configured wins. The same object if nothing
    is filled in.

    ``clouds``: by tenancy. A resource whose size nobody has told keeps 0 cores, and is given no jobs.
    """
    told = {offer.resource: offer for view in clouds.values() for offer in view.offers}
    resources = {
        name: _filled(resource, told[name]) if name in told and resource.tenancy in clouds else resource
        for name, resource in policy.resources.items()
    }
    return policy if resources == policy.resources else replace(policy, resources=resources)


def _filled(resource: Resource, offer: Offer) -> Resource:
    known = resource.capacity.cores > 0
    return replace(
        resource,
        capacity=resource.capacity if known else offer.capacity,
        gpu_type=resource.gpu_type or ("" if known else offer.gpu_type),
        price_per_hour=resource.price_per_hour or offer.price_per_hour,
    )
