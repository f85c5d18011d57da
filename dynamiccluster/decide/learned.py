"""What nodes of a resource really have, where that is less than configured: learnt, doubted, forgotten.

Declared memory is not usable memory, so the last joined node's word counts. But one odd node must not decide for
ever: what was learnt is tried again when jobs wait that only the configured size would hold, and it says nothing
about another configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dynamiccluster.decide import match
from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.job import Shape
from dynamiccluster.model.memory import Learned, learned_key
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.retry import Pause

DOUBT = Pause(1800.0, 86400.0)
"""How old the word of the last node must be before a node is launched to see whether it still holds. That node costs
money and may be of no use: half an hour is some three boots, and where nodes are simply smaller than configured it
soon happens once a day only."""


def learn(draft: Draft, resource: Resource, real: Capacity) -> None:
    """Take in what a node that has just joined really has."""
    key = learned_key(resource)
    known = draft.memory.learned.get(key)
    if not resource.capacity.holds(real) or real == resource.capacity:
        if known is not None:
            forget(draft, key)
        return
    same = known is not None and known.configured == resource.capacity
    doubts = known.doubts if known and same else 0
    if not (same and known and known.real == real):
        draft.event(
            EventKind.RESOURCE,
            f"{resource.name}: nodes have {real.cores} cores, {real.memory_mib} MiB, {real.gpus} GPUs, less than "
            "configured; planned with that from now on",
            resource=resource.name,
        )
    _put(draft, key, Learned(resource.capacity, real, draft.obs(ENGINE), doubts))


def forget(draft: Draft, name: str) -> None:
    """Plan with the configured size again. ``name``: of a resource, or of one size of a menu."""
    learned = {key: known for key, known in draft.memory.learned.items() if key != name and key.split(" ")[0] != name}
    draft.memory = replace(draft.memory, learned=learned)


def smaller(draft: Draft) -> list[Resource]:
    """Resources that are planned smaller than configured."""
    resources, memory = draft.policy.resources, draft.memory
    return [
        resources[name]
        for name in memory.learned
        if name in resources and memory.capacity_of(resources[name]) != resources[name].capacity
    ]


def would_hold(resource: Resource, shape: Shape) -> bool:
    """Whether a node of the configured size would hold a piece of the job."""
    return match.misfit(shape, resource) is None and match.too_small(shape, resource.capacity) is None


def doubt(draft: Draft, waiting: Iterable[Shape]) -> None:
    """Try the configured size again where jobs wait for it and the last node's word is old; drop what is outdated."""
    resources, memory = draft.policy.resources, draft.memory
    for name, known in memory.learned.items():
        menu, of_menu, _ = name.partition(" ")
        if of_menu:
            if menu not in resources or draft.obs(ENGINE) - known.learnt_obs >= DOUBT.max_s:
                forget(draft, name)  # of a menu's many sizes, each is simply tried again after a day
        elif name not in resources or known.configured != resources[name].capacity:
            forget(draft, name)
    clock = draft.obs(ENGINE)
    due = [
        resource
        for resource in smaller(draft)
        if clock - memory.learned[resource.name].learnt_obs >= DOUBT.after(memory.learned[resource.name].doubts + 1)
    ]
    if not due:
        return
    for shape in waiting:
        for resource in [resource for resource in due if _only_configured(draft, resource, shape)]:
            due.remove(resource)
            known = memory.learned[resource.name]
            _put(draft, resource.name, replace(known, doubts=known.doubts + 1, doubted=True))
            draft.event(
                EventKind.RESOURCE,
                f"{resource.name}: jobs wait that need more than its last node had; planned as configured again",
                resource=resource.name,
            )


def _only_configured(draft: Draft, resource: Resource, shape: Shape) -> bool:
    return would_hold(resource, shape) and match.too_small(shape, draft.memory.capacity_of(resource)) is not None


def _put(draft: Draft, name: str, entry: Learned) -> None:
    draft.memory = replace(draft.memory, learned={**draft.memory.learned, name: entry})
