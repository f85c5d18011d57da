"""Packing: waiting jobs onto free, then coming, then new nodes, gangs all or nothing.

One pass serves segments (a shape and a number of its tasks) in the order given. What does not fit on nodes that
exist is bought from the resources in matching order, within the ledger. ``Packing`` says what became of every
group, which nodes are wanted, and why the rest got nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dynamiccluster.decide import match
from dynamiccluster.decide.demand import Group, Segment
from dynamiccluster.decide.limits import PLENTY, Ledger
from dynamiccluster.decide.rows import Bools, Found, Ints, Rows, Stage
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Shape
from dynamiccluster.model.plan import MISFITS, Refusal
from dynamiccluster.model.resource import Resource


@dataclass(slots=True)
class Outcome:
    """What became of one group. Counts are tasks."""

    on_free: int = 0
    on_coming: int = 0
    on_new: int = 0
    unplaced: int = 0
    new_nodes: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, Refusal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Purchase:
    """New nodes bought for the jobs of one group."""

    resource: str
    count: int
    group: int


@dataclass(slots=True)
class Packing:
    outcomes: list[Outcome]
    purchases: list[Purchase] = field(default_factory=list)
    limited: bool = False  # a limit, not the kind of resource, left some job without a place
    wanted: frozenset[str] = frozenset()  # node ids and host names that jobs were placed on
    recalled: frozenset[str] = frozenset()  # node ids held for scale-down that jobs were placed on


@dataclass(frozen=True, slots=True)
class Offer:
    """A resource as the packer sees it."""

    resource: Resource
    capacity: Capacity  # what its nodes really have
    kind: int  # its row class


class Packer:
    """One pass of packing. ``eligible`` answers which row classes may take a shape, by matching key."""

    def __init__(
        self,
        groups: Sequence[Group],
        rows: Rows,
        ledger: Ledger,
        offers: Sequence[Offer],
        eligibility: Eligibility,
    ) -> None:
        self._groups = groups
        self._rows = rows
        self._ledger = ledger
        self._offers = offers
        self._eligibility = eligibility
        self._packing = Packing([Outcome() for _ in groups])

    def run(self, segments: Sequence[Segment]) -> Packing:
        for segment in segments:
            if segment.tasks > 0:
                self._serve(segment)
        rows, packing = self._rows, self._packing
        packing.wanted = frozenset(rows.used(lambda stage: stage is not Stage.NEW))
        packing.recalled = frozenset(rows.used(lambda stage: stage is Stage.RECALLABLE))
        return packing

    def _serve(self, segment: Segment) -> None:
        shape = self._groups[segment.group].shape
        outcome = self._packing.outcomes[segment.group]
        left = segment.tasks
        if shape.hosts:
            outcome.unplaced += left
            return
        eligible, key = self._eligibility.of(shape)
        found = self._rows.find(shape, eligible, key, left)
        if len(found.rows):
            left -= self._place(shape, found, left, outcome)
        if left > 0:
            left -= self._buy(segment.group, shape, eligible, key, left, outcome)
        outcome.unplaced += left

    # -- on rows that exist ------------------------------------------------------------------------

    def _place(self, shape: Shape, found: Found, jobs: int, outcome: Outcome) -> int:
        """Place as many whole jobs as fit; how many."""
        if shape.exclusive and not shape.distinct and shape.chunks > 1:
            return self._place_one_by_one(shape, found, jobs, outcome)
        whole_jobs = _whole_jobs(shape, found.pieces, jobs)
        if whole_jobs:
            self._assign(shape, found, whole_jobs, outcome)
        return whole_jobs

    def _assign(self, shape: Shape, found: Found, jobs: int, outcome: Outcome) -> None:
        count = np.minimum(found.pieces, jobs) if shape.distinct else found.pieces
        before = np.cumsum(count) - count
        count = np.clip(jobs * shape.chunks - before, 0, count)
        taken = count > 0
        self._rows.take(shape, found.rows[taken], count[taken])
        self._book(shape, found.rows[taken], count[taken], jobs, outcome)

    def _book(self, shape: Shape, rows: Ints, pieces: Ints, jobs: int, outcome: Outcome) -> None:
        """Count jobs by the farthest stage they need; rows come nearest first."""
        upto = np.bincount(self._rows.stages(rows), weights=pieces, minlength=len(Stage)).cumsum()
        free = int(upto[Stage.RECALLABLE]) // shape.chunks
        coming = int(upto[Stage.COMING]) // shape.chunks
        outcome.on_free += min(free, jobs)
        outcome.on_coming += min(coming, jobs) - min(free, jobs)
        outcome.on_new += jobs - min(coming, jobs)

    def _place_one_by_one(self, shape: Shape, found: Found, jobs: int, outcome: Outcome) -> int:
        """Exclusive jobs of many pieces anywhere: each takes whole rows of its own."""
        placed = position = 0
        while placed < jobs:
            gathered, start = 0, position
            while position < len(found.rows) and gathered < shape.chunks:
                gathered += int(found.pieces[position])
                position += 1
            if gathered < shape.chunks:
                break
            mine = slice(start, position)
            self._rows.take(shape, found.rows[mine], found.pieces[mine])
            self._book(shape, found.rows[mine], found.pieces[mine], 1, outcome)
            placed += 1
        return placed

    # -- on new nodes ------------------------------------------------------------------------------

    def _buy(self, group: int, shape: Shape, eligible: Bools, key: int, jobs: int, outcome: Outcome) -> int:
        """Buy nodes for jobs that nothing existing holds; how many jobs got nodes."""
        offers = self._candidates(shape, outcome)
        if not offers:
            return 0
        served = 0
        if shape.chunks > 1:
            served += self._complete_one(group, shape, eligible, key, offers, outcome)
        for tie in self._ties(shape, offers):
            if served >= jobs:
                break
            served += self._buy_from_tie(group, shape, tie, jobs - served, outcome)
        while served < jobs and shape.chunks > 1 and self._span(group, shape, offers, outcome):
            served += 1
        if served < jobs and any(refusal not in MISFITS for refusal in outcome.refusals.values()):
            self._packing.limited = True
        return served

    def _candidates(self, shape: Shape, outcome: Outcome) -> list[Offer]:
        taking = []
        for offer, refused in zip(self._offers, self._eligibility.misfits(shape), strict=True):
            refusal = refused or match.too_small(shape, offer.capacity)
            if refusal:
                outcome.refusals[offer.resource.name] = refusal
            else:
                taking.append(offer)
        return taking

    def _ties(self, shape: Shape, offers: list[Offer]) -> list[list[Offer]]:
        """Candidates in matching order; those that only their node count tells apart stand together."""
        ordered = sorted(offers, key=lambda o: match.rank(shape, o.resource, self._ledger.nodes[o.resource.name]))
        ties: list[list[Offer]] = []
        for offer in ordered:
            last = ties[-1][0].resource if ties else None
            mine = match.rank(shape, offer.resource, 0)[:2]
            if last is not None and match.rank(shape, last, 0)[:2] == mine:
                ties[-1].append(offer)
            else:
                ties.append([offer])
        return ties

    def _buy_from_tie(self, group: int, shape: Shape, tie: list[Offer], jobs: int, outcome: Outcome) -> int:
        served = 0
        step = jobs if len(tie) == 1 else max(1, jobs // 64)
        open_offers = list(tie)
        while served < jobs and open_offers:
            open_offers.sort(key=lambda o: match.rank(shape, o.resource, self._ledger.nodes[o.resource.name]))
            offer = open_offers[0]
            got = self._buy_from(group, shape, offer, min(step, jobs - served), outcome)
            served += got
            if got == 0:
                open_offers.pop(0)
            elif len(open_offers) == 1 and served < jobs:
                step = jobs - served
        return served

    def _buy_from(self, group: int, shape: Shape, offer: Offer, jobs: int, outcome: Outcome) -> int:
        """Buy from one resource for at most ``jobs`` whole jobs, within its room."""
        gang = match.nodes_needed(shape, offer.capacity, 1)
        room, binding = self._ledger.room(offer.resource, gang)
        fitting = _jobs_in(shape, offer.capacity, room)
        bought = min(jobs, fitting)
        if bought < jobs and binding:
            outcome.refusals[offer.resource.name] = binding
        if bought <= 0:
            return 0
        nodes = match.nodes_needed(shape, offer.capacity, bought)
        self._new_rows(group, shape, offer, nodes, bought * shape.chunks, outcome)
        outcome.on_new += bought
        return bought

    def _new_rows(self, group: int, shape: Shape, offer: Offer, nodes: int, pieces: int, outcome: Outcome) -> None:
        name = offer.resource.name
        self._ledger.take(offer.resource, nodes)
        outcome.new_nodes[name] += nodes
        self._packing.purchases.append(Purchase(name, nodes, group))
        added = self._rows.add(name, offer.kind, Stage.NEW, offer.capacity, whole=True, count=nodes)
        each = np.full(nodes, pieces // nodes, np.int64)
        if shape.distinct or shape.exclusive:
            each[: pieces % nodes] += 1
        else:  # fill node by node, so that the last one keeps room for others
            per_node = match.pieces_per_node(shape, offer.capacity)
            each = np.clip(pieces - np.arange(nodes) * per_node, 0, per_node)
        taken = each > 0
        self._rows.take(shape, np.arange(added.start, added.stop)[taken], each[taken])

    def _complete_one(
        self, group: int, shape: Shape, eligible: Bools, key: int, offers: list[Offer], outcome: Outcome
    ) -> int:
        """One gang partly on rows that exist, the rest on new nodes of one resource."""
        if shape.exclusive and not shape.distinct:
            return 0
        found = self._rows.find(shape, eligible, key, 1)
        have = int(np.minimum(found.pieces, 1).sum() if shape.distinct else found.pieces.sum())
        if not have or have >= shape.chunks:
            return 0
        lacking = shape.chunks - have
        for tie in self._ties(shape, offers):
            for offer in tie:
                per_node = 1 if shape.distinct else match.pieces_per_node(shape, offer.capacity)
                nodes = -(-lacking // per_node)
                room, binding = self._ledger.room(offer.resource, nodes)
                if room < nodes:
                    if binding:
                        outcome.refusals[offer.resource.name] = binding
                    continue
                count = np.minimum(found.pieces, 1) if shape.distinct else found.pieces
                self._rows.take(shape, found.rows, count)
                self._new_rows(group, shape, offer, nodes, lacking, outcome)
                outcome.on_new += 1
                return 1
        return 0

    def _span(self, group: int, shape: Shape, offers: list[Offer], outcome: Outcome) -> bool:
        """One gang over new nodes of several resources, when no single one has the room."""
        lacking = shape.chunks
        shares: list[tuple[Offer, int, int]] = []
        for tie in self._ties(shape, offers):
            for offer in tie:
                if lacking <= 0:
                    break
                per_node = 1 if shape.distinct else match.pieces_per_node(shape, offer.capacity)
                nodes = -(-lacking // per_node)
                room, _ = self._ledger.room(offer.resource, nodes)
                share = min(room, nodes)
                if share > 0:
                    pieces = min(lacking, share * per_node)
                    shares.append((offer, share, pieces))
                    lacking -= pieces
        if lacking > 0 or not self._shares_fit_together(shares):
            return False
        for offer, nodes, pieces in shares:
            self._new_rows(group, shape, offer, nodes, pieces, outcome)
        outcome.on_new += 1
        return True

    def _shares_fit_together(self, shares: list[tuple[Offer, int, int]]) -> bool:
        """Limits that several resources share (quota, cluster, budget) must hold for the sum, too."""
        trial = self._ledger.copy()
        for offer, nodes, _ in shares:
            if trial.room(offer.resource, nodes)[0] < nodes:
                return False
            trial.take(offer.resource, nodes)
        return True


class Eligibility:
    """Which row classes and which resources may take a shape, remembered by what matters to matching."""

    def __init__(self, takes: Sequence[tuple[Host | None, Resource | None]], offers: Sequence[Offer]) -> None:
        self._takes = takes
        self._offers = offers
        self._keys: dict[object, tuple[Bools, int]] = {}
        self._misfits: dict[int, list[Refusal | None]] = {}

    def of(self, shape: Shape) -> tuple[Bools, int]:
        """The mask over row classes, and a small number that stands for it."""
        matching = (shape.queues, shape.account, shape.features, shape.gpu_type)
        found = self._keys.get(matching)
        if found is None:
            mask = np.fromiter(
                (_class_takes(shape, host, res) for host, res in self._takes), np.bool_, len(self._takes)
            )
            found = (mask, len(self._keys))
            self._keys[matching] = found
        return found

    def misfits(self, shape: Shape) -> list[Refusal | None]:
        """Per offer, why its kind is wrong for the shape, or ``None``."""
        _, key = self.of(shape)
        found = self._misfits.get(key)
        if found is None:
            found = [match.misfit(shape, offer.resource) for offer in self._offers]
            self._misfits[key] = found
        return found


def _class_takes(shape: Shape, host: Host | None, resource: Resource | None) -> bool:
    """A row class is a kind of host that exists, or a resource whose hosts do not exist yet."""
    if host is not None:
        return match.host_takes(shape, host, resource)
    return resource is not None and match.misfit(shape, resource) is None


def _whole_jobs(shape: Shape, pieces: Ints, jobs: int) -> int:
    """How many whole jobs these pieces hold, at most ``jobs``."""
    if not shape.distinct:
        return min(jobs, int(pieces.sum()) // shape.chunks)
    low, high = 0, jobs
    while low < high:  # the largest J for which J jobs find `chunks` rows each, no row twice for one job
        middle = (low + high + 1) // 2
        if int(np.minimum(pieces, middle).sum()) >= middle * shape.chunks:
            low = middle
        else:
            high = middle - 1
    return low


def _jobs_in(shape: Shape, capacity: Capacity, nodes: int) -> int:
    """How many whole jobs ``nodes`` empty nodes of this size hold."""
    if nodes <= 0:
        return 0
    per_node = match.pieces_per_node(shape, capacity)
    if shape.exclusive:
        per_job = shape.chunks if shape.distinct else -(-shape.chunks // per_node)
        return nodes // per_job
    if shape.distinct and nodes < shape.chunks:
        return 0
    return min(nodes * per_node // shape.chunks, PLENTY)
