"""What clouds tell of their machines fills in what the configuration leaves open, and is remembered over a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dynamiccluster.decide.draft import Draft
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView
from dynamiccluster.model.worker_node import WorkerNode


def with_offers(
    policy: Policy, clouds: Mapping[str, CloudView], remembered: Mapping[str, Offer] | None = None
) -> Policy:
    """The policy with size, GPU type and price of each resource; what is configured wins. The same object if nothing
    is filled in.

    ``clouds``: by tenancy. ``remembered``: what counts of those that have not told anything (yet). A resource whose
    size nobody has told keeps 0 cores, and is given no jobs. A menu is shown with the most that any of its offers has;
    its nodes have what was chosen for them.
    """
    told = {**(remembered or {}), **_told(policy, clouds)}
    resources = {
        name: _filled(resource, told[name]) if name in told else resource for name, resource in policy.resources.items()
    }
    return policy if resources == policy.resources else replace(policy, resources=resources)


def remember(draft: Draft) -> None:
    """Keep what is told for the time after the next start, when no cloud has answered yet: machines cost and are added
    to the scheduler then, too."""
    known = draft.memory.offers
    told = {**known, **_told(draft.policy, draft.snapshot.clouds)}
    kept = {name: offer for name, offer in told.items() if name in draft.policy.resources}
    if kept != known:
        draft.memory = replace(draft.memory, offers=kept)


def offer_named(draft: Draft, resource: str, tenancy: str, offering: str) -> Offer | None:
    """The offer of this name in the tenancy's last list, for machines that turn up."""
    known = draft.policy.resources.get(resource)
    view = draft.snapshot.clouds.get(tenancy)
    if known is None or known.menu is None or view is None or not offering:
        return None
    return next((offer for offer in view.offers if offer.resource == resource and offer.offering == offering), None)


def given(draft: Draft, node: WorkerNode, offering: str) -> Offer | None:
    """What a node of a menu is, now that its cloud has said in which offering its machine was placed.

    One that was not asked for is no larger, for all we know, than what was.
    """
    chosen = node.offer
    if chosen is None or not offering or offering == chosen.offering:
        return chosen
    launch = draft.launches.get(node.launch_id)
    asked = launch.offer.named(offering) if launch and launch.offer else None
    known = asked or offer_named(draft, node.resource, node.tenancy, offering)
    return known.alone if known else replace(chosen, offering=offering)


def _told(policy: Policy, clouds: Mapping[str, CloudView]) -> dict[str, Offer]:
    found: dict[str, list[Offer]] = {}
    for tenancy, view in clouds.items():
        for offer in view.offers:
            known = policy.resources.get(offer.resource)
            if known is not None and known.tenancy == tenancy:
                found.setdefault(offer.resource, []).append(offer)
    return {
        name: offers[-1] if policy.resources[name].menu is None else _most(name, offers)
        for name, offers in found.items()
    }


def _most(name: str, offers: Iterable[Offer]) -> Offer:
    """What no node of a menu exceeds."""
    sizes = [offer.capacity for offer in offers]
    types = {offer.gpu_type for offer in offers if offer.gpu_type}
    most = Capacity(
        max(size.cores for size in sizes), max(size.memory_mib for size in sizes), max(size.gpus for size in sizes)
    )
    return Offer(name, most, gpu_type=types.pop() if len(types) == 1 else "")


def _filled(resource: Resource, offer: Offer) -> Resource:
    known = resource.capacity.cores > 0
    if resource.menu is None and offer.quota_use != resource.capacity:
        # the quota is in the cloud's own figures, whatever the configuration leaves to the jobs
        resource = replace(resource, billed=offer.quota_use)
    return replace(
        resource,
        capacity=resource.capacity if known else offer.capacity,
        gpu_type=resource.gpu_type or ("" if known else offer.gpu_type),
        price_per_hour=resource.price_per_hour or offer.price_per_hour,
    )
