"""Menus: resources that can be many kinds of machine, and which of a cloud's offers are taken for the waiting jobs.

Offers of one size and market are one *choice*. How choices rank is the menu's strategy; what is sold out is behind
what is not. Spot offers come first, others only for work that no spot offer holds, or that has waited for spot
capacity as long as the menu says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dynamiccluster.decide import breaker, interruptions, limits
from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.decide.eligible import Offer, in_turn
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.menu import Menu, OnDemandStrategy, SpotStrategy
from dynamiccluster.model.offer import SPOT
from dynamiccluster.model.offer import Offer as CloudOffer
from dynamiccluster.model.resource import Resource, ResourceFlag
from dynamiccluster.model.worker_node import COUNTED

UNKNOWN_PRICE = 1.0
"""Per core and hour, of an offer whose price nobody knows: dearer than any machine known, so that it comes last."""

LOST_H = 2.0
"""What an interruption is reckoned to cost, in hours of the machine: the work that is lost, and the next boot."""

ALIKE = 1.2
"""``diversified`` spreads over offers that cost at most this many times what the cheapest does."""

MOST_INSTEAD = 19
"""A launch names at most so many offers besides the one that was chosen."""

MOST_DEARER = 1.5
"""Each of them costs at most this many times what the chosen one does: about as much as the same cores with four times
the memory."""

PRIORITIES = 100_000
"""More than any priority: a step between ranks of what counts more."""


@dataclass(frozen=True, slots=True)
class _Graded:
    """An offer and what speaks for it."""

    offer: CloudOffer
    closed: bool
    unaffordable: bool
    tier: int
    reckoned: float  # what an hour is reckoned to cost
    nodes: int  # of this offering, there or on their way

    @property
    def order(self) -> tuple[bool, bool, int, float, int, str]:
        return (self.unaffordable, self.closed, self.tier, self.reckoned, self.nodes, self.offer.offering)


def choices(draft: Draft, resource: Resource) -> list[Offer]:
    """The choices of a menu, one for each size and market; row classes are to be filled in. Empty: nothing is told."""
    menu = resource.menu
    view = draft.snapshot.clouds.get(resource.tenancy)
    if menu is None or view is None:
        return []
    nodes = Counter(
        node.offer.offering for node in draft.nodes.values() if node.offer is not None and node.state in COUNTED
    )
    sizes: dict[tuple[Capacity, str, bool], list[_Graded]] = {}
    for offer in view.offers:
        if offer.resource == resource.name and offer.capacity.cores > 0 and _wanted(menu, offer):
            size = (offer.capacity, offer.gpu_type, offer.market == SPOT)
            sizes.setdefault(size, []).append(_graded(draft, resource, menu, offer, nodes[offer.offering]))
    found = [_choice(draft, resource, menu, graded) for graded in sizes.values()]
    if menu.fleet:
        found = _with_others(draft, resource, found, (one for graded in sizes.values() for one in graded))
    return sorted(found, key=lambda choice: (choice.tier, choice.reckoned, choice.key))


def best(draft: Draft, resource: Resource) -> CloudOffer | None:
    """What to launch when no job says what is needed: the best that is open, else the best of all."""
    found = choices(draft, resource)
    spot_first = in_turn(found, patient=not spot_is_short(draft, resource))
    return min(spot_first, key=lambda choice: choice.closed).chosen if spot_first else None


def kind_to_launch(draft: Draft, name: str) -> tuple[Resource, CloudOffer | None]:
    """The resource as it is to be launched when no job says what is needed, and its offer if it is a menu."""
    resource = draft.resource(name)
    if resource.menu is None:
        return resource, None
    offer = best(draft, resource)
    return resource.offered(offer), offer


def spot_is_short(draft: Draft, resource: Resource) -> bool:
    """Whether work has waited for spot capacity of this menu as long as it says."""
    known = draft.backoffs.get(breaker.spot_key(resource))
    return known is not None and draft.obs(ENGINE) >= known.until_obs


def waits_for_spot(draft: Draft, resource: Resource) -> bool:
    """Whether work that suits the resource goes nowhere worse: its spot instances were refused a short while ago."""
    known = draft.backoffs.get(breaker.spot_key(resource)) if resource.waits_s else None
    normal = draft.flag(resource.name) is ResourceFlag.NORMAL
    return known is not None and normal and draft.obs(ENGINE) < known.until_obs


def _wanted(menu: Menu, offer: CloudOffer) -> bool:
    return menu.try_spot_s >= 0 if offer.market == SPOT else menu.on_demand


def _graded(draft: Draft, resource: Resource, menu: Menu, offer: CloudOffer, nodes: int) -> _Graded:
    offered = resource.offered(offer)
    closed, unaffordable = breaker.gate(draft, offered) is not None, limits.unaffordable(draft, offered)
    price = offer.price_per_hour or UNKNOWN_PRICE * offer.capacity.cores
    if offer.market != SPOT:
        tier = offer.priority if menu.on_demand_strategy is OnDemandStrategy.PRIORITIZED else 0
        return _Graded(offer, closed, unaffordable, tier, price, nodes)
    rate = interruptions.rate_per_hour(draft, offer.offering)
    match menu.spot_strategy:
        case SpotStrategy.CAPACITY_OPTIMIZED:
            return _Graded(offer, closed, unaffordable, _rank(rate), price, nodes)
        case SpotStrategy.CAPACITY_OPTIMIZED_PRIORITIZED:
            return _Graded(offer, closed, unaffordable, _rank(rate) * PRIORITIES + offer.priority, price, nodes)
        case SpotStrategy.PRICE_CAPACITY_OPTIMIZED:
            return _Graded(offer, closed, unaffordable, 0, price * (1.0 + rate * LOST_H), nodes)
        case _:
            return _Graded(offer, closed, unaffordable, 0, price, nodes)


def _rank(rate: float) -> int:
    """Rates of interruption that differ by less than twice the usual one count as equal."""
    return int(math.log2(max(rate / interruptions.USUAL_PER_HOUR, 1.0)))


def _choice(draft: Draft, resource: Resource, menu: Menu, graded: Iterable[_Graded]) -> Offer:
    ranked = sorted(graded, key=lambda one: one.order)
    first = ranked[0]
    alike: tuple[CloudOffer, ...] = ()
    if menu.spot_strategy is SpotStrategy.DIVERSIFIED and first.offer.market == SPOT:
        near = [
            one for one in ranked if not (one.closed or one.unaffordable) and one.reckoned <= ALIKE * first.reckoned
        ]
        alike = tuple(one.offer for one in sorted(near, key=lambda one: (one.nodes, one.reckoned, one.offer.offering)))
    offered = resource.offered(first.offer)
    return Offer(
        offered,
        draft.memory.capacity_of(offered),
        row_class=-1,
        chosen=first.offer,
        alike=alike,
        tier=first.tier,
        reckoned=first.reckoned,
        spot=first.offer.market == SPOT,
        closed=first.closed,
        unaffordable=first.unaffordable,
    )


def _with_others(draft: Draft, resource: Resource, found: Iterable[Offer], every: Iterable[_Graded]) -> list[Offer]:
    """The choices, each spot one naming those of the spot offers that hold whatever it holds and break no limit that it
    keeps.

    Cores, GPUs and what counts against quotas are the same, memory is not less. A budget counts what was chosen, so
    that nothing dearer may come of it.
    """
    limits = draft.policy.limits
    dearer = 1.0 if limits.budget_per_hour or limits.budget_per_month else MOST_DEARER
    alike: dict[object, list[tuple[int, CloudOffer]]] = {}  # what must be the same -> memory and offer, in order
    for one in sorted(every, key=lambda one: one.order):
        if one.offer.market == SPOT and not (one.closed or one.unaffordable) and one.offer.price_per_hour > 0:
            size = draft.memory.capacity_of(resource.offered(one.offer))
            alike.setdefault(_alike(one.offer, size), []).append((size.memory_mib, one.offer))
    named: list[Offer] = []
    for choice in found:
        chosen = choice.chosen
        if chosen is not None and choice.spot and not choice.closed and not choice.unaffordable:
            instead = [
                other
                for memory_mib, other in alike.get(_alike(chosen, choice.capacity), ())
                if memory_mib >= choice.capacity.memory_mib
                and other.price_per_hour <= dearer * chosen.price_per_hour
                and other.offering != chosen.offering
            ]
            choice = replace(choice, chosen=replace(chosen, instead=tuple(instead[:MOST_INSTEAD])))
        named.append(choice)
    return named


def _alike(offer: CloudOffer, size: Capacity) -> tuple[object, ...]:
    """``size``: what its nodes really have."""
    return size.cores, size.gpus, offer.gpu_type, offer.quota_use.cores, offer.quota_use.gpus
