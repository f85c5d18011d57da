"""Counsel: which nodes of the menus are to be bought, worked out for all of the waiting work before any is bought.

The packer buys for one group of jobs after the other. What it buys of a menu for one of them has room for others, so
the menu's sizes are chosen for all of them together, and the packer is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dynamiccluster.decide import match
from dynamiccluster.decide.choose import Size, choose
from dynamiccluster.decide.demand import Group
from dynamiccluster.decide.eligible import Eligibility, Offer
from dynamiccluster.decide.limits import Ledger
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape
from dynamiccluster.model.resource import Resource

BOTHER = 0.002
"""What each node costs besides its price, as a part of the middle price: among equally dear ones, few large nodes are
less bother than many small ones."""


MOST_LEAVES = 8
"""Of a menu, a gang that is spread over several offers looks at so many."""


@dataclass(slots=True)
class Advice:
    """Nodes of one choice that were thought of for the pieces of some groups."""

    choice: Offer
    pieces: Mapping[int, int]  # group -> pieces on each node
    nodes: int  # still to be bought


@dataclass(slots=True)
class Counsel:
    """What to buy of each menu. The packer takes from it as it buys."""

    advice: dict[str, list[Advice]] = field(default_factory=dict)  # menu
    _by_group: dict[tuple[str, int], list[Advice]] = field(default_factory=dict)

    def add(self, menu: str, advice: Advice) -> None:
        self.advice.setdefault(menu, []).append(advice)
        for group in advice.pieces:
            self._by_group.setdefault((menu, group), []).append(advice)

    def for_group(self, menu: str, group: int) -> Advice | None:
        """The next nodes that are meant for this group; ``None`` when there are none (any more)."""
        known = self._by_group.get((menu, group))
        while known and known[-1].nodes <= 0:
            known.pop()
        return known[-1] if known else None

    def copy(self) -> Counsel:
        twin = Counsel()
        for menu, known in self.advice.items():
            for advice in known:
                twin.add(menu, Advice(advice.choice, advice.pieces, advice.nodes))
        return twin


class Card:
    """The menus as one pass of packing sees them."""

    def __init__(self, ledger: Ledger, counsel: Counsel, survey: dict[tuple[str, int], int] | None) -> None:
        self.counsel = counsel
        self.survey = survey  # menu and group -> jobs; where it is asked for, nothing is bought
        self._ledger = ledger
        self._ranked: dict[tuple[str, int, int], list[Offer]] = {}  # by menu, group and number of jobs

    def by_cost(self, group: int, shape: Shape, menu: Offer, jobs: int) -> list[Offer]:
        """The menu's choices, the least cost of nodes for so many jobs first."""
        key = (menu.resource.name, group, jobs)
        if key not in self._ranked:
            self._ranked[key] = sorted(
                menu.choices,
                key=lambda choice: (
                    choice.closed,
                    choice.tier,
                    choice.reckoned * match.nodes_needed(shape, choice.capacity, jobs),
                    choice.reckoned,
                    choice.key,
                ),
            )
        return self._ranked[key]

    def leaves(self, group: int, shape: Shape, offers: Iterable[Offer]) -> Iterator[Offer]:
        """What a gang may be spread over: resources, and of menus the choices that suit it best."""
        for offer in offers:
            if offer.choices:
                yield from self.by_cost(group, shape, offer, 1)[:MOST_LEAVES]
            else:
                yield offer

    def in_turn(self, offer: Offer, nodes: int) -> list[tuple[Offer, int]]:
        """Diversified menus spread nodes over offers of the same size, where the limits allow what these cost."""
        if len(offer.alike) < 2 or nodes < 2:
            return [(offer, nodes)]
        parts: list[tuple[Offer, int]] = []
        share = -(-nodes // len(offer.alike))
        ledger = self._ledger.copy()
        for other in offer.alike:
            part = replace(offer, resource=offer.resource.offered(other), chosen=other)
            count = min(share, nodes, ledger.room(part.resource)[0])
            if count > 0:
                ledger.take(part.resource, count)
                parts.append((part, count))
                nodes -= count
        return parts if not nodes else [(offer, nodes + sum(count for _, count in parts))]


def mixes(shape: Shape) -> bool:
    """Whether its jobs share nodes with others in the simplest way: one piece each, which goes anywhere."""
    return shape.chunks == 1 and not shape.exclusive


def take_counsel(
    survey: Mapping[tuple[str, int], int], groups: Sequence[Group], eligibility: Eligibility, ledger: Ledger
) -> Counsel:
    """``survey``: of each menu, how many jobs of each group its nodes are wanted for."""
    counsel = Counsel()
    menus: dict[str, list[tuple[int, int]]] = {}
    for (menu, group), jobs in sorted(survey.items()):
        menus.setdefault(menu, []).append((group, jobs))
    for menu, wanted in menus.items():
        _advise(counsel, menu, wanted, groups, eligibility, ledger)
    return counsel


def _advise(
    counsel: Counsel,
    menu: str,
    wanted: Sequence[tuple[int, int]],
    groups: Sequence[Group],
    eligibility: Eligibility,
    ledger: Ledger,
) -> None:
    of_group = [_choices(eligibility, groups[group].shape, menu) for group, _ in wanted]
    found = {choice.key: choice for choices in of_group for choice in choices}
    if not found:
        return
    column = {key: at for at, key in enumerate(found)}
    allowed = np.zeros((len(wanted), len(found)), np.bool_)
    for row, choices in enumerate(of_group):
        for choice in choices:
            allowed[row, column[choice.key]] = True
    prices = [choice.reckoned for choice in found.values()]
    bother = BOTHER * float(np.median(prices))
    sizes = [Size(choice.capacity, max(choice.reckoned, 1e-6) + bother) for choice in found.values()]
    offered = list(found.values())
    needs = [_need(groups[group].shape) for group, _ in wanted]
    most = _most_nodes(ledger, offered[0].resource)
    for batch in choose(needs, [jobs for _, jobs in wanted], sizes, allowed, most):
        pieces = {wanted[row][0]: count for row, count in batch.pieces}
        counsel.add(menu, Advice(offered[batch.size], pieces, batch.nodes))


def _choices(eligibility: Eligibility, shape: Shape, menu: str) -> list[Offer]:
    """Those of the lowest tier that are open."""
    for tie in eligibility.lot(shape).ties:
        for offer in tie:
            if offer.choices and offer.resource.name == menu:
                still = [choice for choice in offer.choices if not choice.closed]
                lowest = min((choice.tier for choice in still), default=0)
                return [choice for choice in still if choice.tier == lowest]
    return []


def _need(shape: Shape) -> Capacity:
    return shape.chunk + Capacity(memory_mib=shape.memory_per_host_mib)


def _most_nodes(ledger: Ledger, resource: Resource) -> int | None:
    """How many nodes of whatever size there may be; ``None`` if nobody says so."""
    limits = ledger.draft.policy.limits
    bounds = [resource.max_nodes - ledger.nodes[resource.name]]
    if limits.max_nodes:
        bounds.append(limits.max_nodes - ledger.total)
    return max(min(bounds), 1)
