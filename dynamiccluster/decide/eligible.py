"""Eligibility: which row classes and which resources may take a shape, worked out once per kind of shape.

Thousands of shapes differ in little that matters here. What a shape asks of the *kind* of a node (queue, account,
features, GPU type) and how its size *compares* with the sizes on offer put it into a lot; shapes of one lot have
the same candidates and the same misfits.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dynamiccluster.decide import match
from dynamiccluster.decide.rows import Bools
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Shape
from dynamiccluster.model.offer import Offer as CloudOffer
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Resource

ORDER = tuple(Refusal)
"""The later a refusal comes, the nearer was the resource to taking the job."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A resource as the packer sees it, or one choice of a resource that is a menu."""

    resource: Resource
    capacity: Capacity  # what its nodes really have
    row_class: int
    choices: tuple[Offer, ...] = ()  # of a menu, best first; what follows is of each of them
    chosen: CloudOffer | None = None  # what is launched
    alike: tuple[CloudOffer, ...] = ()  # of the same size, to be taken in turn
    tier: int = 0  # lower ones first, whatever they cost
    reckoned: float = 0.0  # what an hour is reckoned to cost, interruptions included
    spot: bool = False
    closed: bool = False  # sold out for the moment
    unaffordable: bool = False  # without a price where there is a budget

    @property
    def key(self) -> str:
        """What has room or not."""
        return f"{self.resource.name} {self.resource.offering}" if self.chosen else self.resource.name


@dataclass(frozen=True, slots=True)
class Kind:
    """Shapes that ask for the same kind of node, size apart."""

    number: int
    takes: Bools  # by row class
    ties: list[list[Offer]]  # in matching order; those equal but for node count and price stand together
    misfits: Mapping[str, Refusal]


@dataclass(frozen=True, slots=True)
class Lot:
    """Shapes of one kind whose size compares in the same way with every size on offer."""

    number: int
    kind: Kind
    ties: list[list[Offer]]  # offers that hold a piece, in matching order
    misfits: Mapping[str, Refusal]  # resources of the wrong kind or size, and why


class Eligibility:
    """Answers by lot, remembered for one tick."""

    def __init__(
        self,
        takes: Sequence[tuple[Host | None, Resource | None]],
        offers: Sequence[Offer],
        impatient: frozenset[str] = frozenset(),
        waiting: frozenset[str] = frozenset(),
    ) -> None:
        """``impatient``: menus that no longer wait for spot capacity. ``waiting``: resources whose spot instances are
        waited for, so that nothing worse is taken."""
        self._takes = takes
        self._offers = offers
        self._impatient = impatient
        self._waiting = waiting
        sizes = [each.capacity for offer in offers for each in offer.choices or (offer,)]
        self._cores = sorted({size.cores for size in sizes})
        self._memory_mib = sorted({size.memory_mib for size in sizes})
        self._gpus = sorted({size.gpus for size in sizes})
        # how long hosts are free is all that a job's time limit is compared with
        self._free_for_s = sorted({host.free_for_s for host, _ in takes if host is not None and host.free_for_s})
        self._kinds: dict[object, Kind] = {}
        self._lots: dict[tuple[int, int, int, int], Lot] = {}

    def lot(self, shape: Shape) -> Lot:
        """The lot that the shape belongs to."""
        kind = self._kind(shape)
        chunk = shape.chunk
        # what lies between the same two sizes on offer is too large for the same offers
        place = (
            kind.number,
            bisect_left(self._cores, chunk.cores),
            bisect_left(self._memory_mib, chunk.memory_mib + shape.memory_per_host_mib),
            bisect_left(self._gpus, chunk.gpus),
        )
        found = self._lots.get(place)
        if found is None:
            found = self._lots[place] = self._new_lot(shape, kind)
        return found

    def choices(self, shape: Shape, menu: str) -> list[Offer]:
        """Of a menu those that hold the shape, what is not sold out first."""
        offers = (offer for tie in self.lot(shape).ties for offer in tie if offer.resource.name == menu)
        return sorted((each for offer in offers for each in offer.choices), key=lambda each: each.closed)

    def _kind(self, shape: Shape) -> Kind:
        ends = bisect_left(self._free_for_s, shape.walltime_s) if shape.walltime_s else len(self._free_for_s)
        matching = (shape.queues, shape.account, shape.features, shape.gpu_type, ends)
        found = self._kinds.get(matching)
        if found is None:
            found = self._kinds[matching] = self._new_kind(shape)
        return found

    def _new_kind(self, shape: Shape) -> Kind:
        takes = np.fromiter((_takes(shape, host, res) for host, res in self._takes), np.bool_, len(self._takes))
        ties: dict[tuple[int, int], list[Offer]] = {}
        misfits: dict[str, Refusal] = {}
        for offer in self._offers:
            if offer.resource.menu is not None:
                offer, refusal = _of_menu(offer, lambda choice: match.misfit(shape, choice.resource))
            else:
                refusal = match.misfit(shape, offer.resource)
            if refusal:
                misfits[offer.resource.name] = refusal
            else:
                ties.setdefault(match.preference(offer.resource), []).append(offer)
        return Kind(len(self._kinds), takes, [ties[preference] for preference in sorted(ties)], misfits)

    def _new_lot(self, shape: Shape, kind: Kind) -> Lot:
        misfits = dict(kind.misfits)
        ties: list[list[Offer]] = []
        for tie in kind.ties:
            fitting = []
            for offer in tie:
                if offer.choices:
                    offer, refusal = _of_menu(offer, lambda choice: match.too_small(shape, choice.capacity))
                    patient = offer.resource.name not in self._impatient
                    offer = replace(offer, choices=in_turn(offer.choices, patient=patient))
                else:
                    refusal = match.too_small(shape, offer.capacity)
                if refusal:
                    misfits[offer.resource.name] = refusal
                else:
                    fitting.append(offer)
            if fitting:
                ties.append(fitting)
        for number, tie in enumerate(ties):
            if any(offer.resource.name in self._waiting for offer in tie):
                worse = [offer.resource.name for later in ties[number + 1 :] for offer in later]
                misfits |= dict.fromkeys(worse, Refusal.SPOT_FIRST)
                ties = ties[: number + 1]
                break
        return Lot(len(self._lots), kind, ties, misfits)


def _of_menu(offer: Offer, refuses: Callable[[Offer], Refusal | None]) -> tuple[Offer, Refusal | None]:
    """The menu with those of its choices that do, or why the one that comes nearest does not."""
    answers = [(refuses(choice), choice) for choice in offer.choices]
    left = tuple(choice for refusal, choice in answers if refusal is None)
    if left:
        return replace(offer, choices=left), None
    return offer, max((refusal for refusal, _ in answers if refusal), key=ORDER.index, default=Refusal.NO_SIZE)


def in_turn(fitting: Sequence[Offer], *, patient: bool) -> tuple[Offer, ...]:
    """Of the choices that hold a shape those whose turn it is: spot, and the others when there is none to be had.

    ``patient``: it is worth waiting for spot capacity. What has no price where there is a budget has no turn beside
    what has one.
    """
    fitting = [choice for choice in fitting if not choice.unaffordable] or fitting
    spot = tuple(choice for choice in fitting if choice.spot)
    others = tuple(choice for choice in fitting if not choice.spot)
    if not others or any(not choice.closed for choice in spot) or (spot and patient):
        return spot
    return others


def _takes(shape: Shape, host: Host | None, resource: Resource | None) -> bool:
    """A row class is a kind of host that exists, or a resource whose hosts do not exist yet."""
    if host is not None:
        return match.host_takes(shape, host, resource)
    return resource is not None and match.misfit(shape, resource) is None
