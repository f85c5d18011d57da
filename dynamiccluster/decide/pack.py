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
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Resource


@dataclass(slots=True)
class Outcome:
    """What became of one group. Counts are tasks."""

    on_free: int = 0
    on_coming: int = 0
    on_new: int = 0
    unplaced: int = 0
    new_nodes: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, Refusal] = field(default_factory=dict)  # limits only; misfits stand in ``Eligibility``


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


@dataclass(slots=True)
class _Plan:
    """A group's candidates that may still have room."""

    ties: list[list[Offer]]
    full_seen: int = 0  # how many full resources these have been sifted by


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
        self._plans: dict[int, _Plan] = {}
        self._dead: dict[int, int] = {}  # group -> number of rows among which, and with no offer open, nothing was left
        self._full: dict[str, Refusal] = {}  # resources without room for even one node; room never comes back

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
        if shape.hosts or self._dead.get(segment.group) == self._rows.size:
            outcome.unplaced += left
            return
        eligible, key = self._eligibility.of(shape)
        found = self._rows.find(shape, eligible, key, left)
        if len(found.rows):
            left -= self._place(shape, found, left, outcome)
        if left > 0:
            left -= self._buy(segment.group, shape, eligible, key, left, outcome)
        outcome.unplaced += left
        if left == segment.tasks and not self._plans[segment.group].ties:
            self._dead[segment.group] = self._rows.size

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
        ties = self._open_ties(group, shape, outcome)
        served = 0
        if ties and shape.chunks > 1:
            served += self._complete_one(group, shape, eligible, key, ties, outcome)
        for tie in ties:
            if served >= jobs:
                break
            served += self._buy_from_tie(group, shape, tie, jobs - served, outcome)
        while ties and served < jobs and shape.chunks > 1 and self._span(group, shape, ties, outcome):
            served += 1
        if served < jobs and outcome.refusals:
            self._packing.limited = True
        return served

    def _open_ties(self, group: int, shape: Shape, outcome: Outcome) -> list[list[Offer]]:
        """Candidates that have room, in matching order; those equal but for node count and price stand together."""
        plan = self._plans.get(group)
        if plan is None:
            plan = self._plans[group] = _Plan(self._eligibility.candidates(shape))
        if plan.full_seen < len(self._full):
            plan.full_seen = len(self._full)
            for tie in plan.ties:
                for offer in tie:
                    if offer.resource.name in self._full:
                        outcome.refusals[offer.resource.name] = self._full[offer.resource.name]
            still = [[offer for offer in tie if offer.resource.name not in self._full] for tie in plan.ties]
            plan.ties = [tie for tie in still if tie]
        return plan.ties

    def _room(self, offer: Offer, gang: int, outcome: Outcome, wanted: int) -> int:
        """Nodes that may be bought; notes the limit that binds if they are fewer than wanted."""
        room, binding = self._ledger.room(offer.resource, gang)
        if room < wanted and binding:
            outcome.refusals[offer.resource.name] = binding
            if room == 0:
                self._full[offer.resource.name] = binding
        return room

    def _buy_from_tie(self, group: int, shape: Shape, tie: list[Offer], jobs: int, outcome: Outcome) -> int:
        served = 0
        step = jobs if len(tie) == 1 else max(1, jobs // 64)
        open_offers = list(tie)
        while served < jobs and open_offers:
            if len(open_offers) > 1:
                open_offers.sort(key=lambda offer: match.tie_break(offer.resource, self._ledger.nodes))
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
        room = self._room(offer, gang, outcome, match.nodes_needed(shape, offer.capacity, jobs))
        bought = min(jobs, _jobs_in(shape, offer.capacity, room))
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
        self, group: int, shape: Shape, eligible: Bools, key: int, ties: list[list[Offer]], outcome: Outcome
    ) -> int:
        """One gang partly on rows that exist, the rest on new nodes of one resource."""
        if shape.exclusive and not shape.distinct:
            return 0
        found = self._rows.find(shape, eligible, key, 1)
        have = int(np.minimum(found.pieces, 1).sum() if shape.distinct else found.pieces.sum())
        if not have or have >= shape.chunks:
            return 0
        lacking = shape.chunks - have
        for tie in ties:
            for offer in sorted(tie, key=lambda offer: match.tie_break(offer.resource, self._ledger.nodes)):
                per_node = 1 if shape.distinct else match.pieces_per_node(shape, offer.capacity)
                nodes = -(-lacking // per_node)
                if self._room(offer, nodes, outcome, nodes) < nodes:
                    continue
                count = np.minimum(found.pieces, 1) if shape.distinct else found.pieces
                self._rows.take(shape, found.rows, count)
                self._new_rows(group, shape, offer, nodes, lacking, outcome)
                outcome.on_new += 1
                return 1
        return 0

    def _span(self, group: int, shape: Shape, ties: list[list[Offer]], outcome: Outcome) -> bool:
        """One gang over new nodes of several resources, when no single one has the room."""
        lacking = shape.chunks
        shares: list[tuple[Offer, int, int]] = []
        for tie in ties:
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
        self._kinds: dict[int, tuple[list[list[Offer]], dict[str, Refusal]]] = {}

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

    def candidates(self, shape: Shape) -> list[list[Offer]]:
        """Offers that could hold the shape, in matching order, equals together."""
        ties, _ = self._kinds_for(shape)
        fitting = [[offer for offer in tie if match.too_small(shape, offer.capacity) is None] for tie in ties]
        return [tie for tie in fitting if tie]

    def misfits(self, shape: Shape) -> dict[str, Refusal]:
        """The resources that are of the wrong kind or size, and why."""
        ties, misfits = self._kinds_for(shape)
        refusals = dict(misfits)
        for tie in ties:
            for offer in tie:
                refusal = match.too_small(shape, offer.capacity)
                if refusal:
                    refusals[offer.resource.name] = refusal
        return refusals

    def _kinds_for(self, shape: Shape) -> tuple[list[list[Offer]], dict[str, Refusal]]:
        """Offers of the right kind, size apart, in matching order; and why the others are not."""
        _, key = self.of(shape)
        known = self._kinds.get(key)
        if known is None:
            ties: dict[tuple[int, int], list[Offer]] = {}
            misfits: dict[str, Refusal] = {}
            for offer in self._offers:
                refusal = match.misfit(shape, offer.resource)
                if refusal:
                    misfits[offer.resource.name] = refusal
                else:
                    ties.setdefault(match.preference(offer.resource), []).append(offer)
            known = self._kinds[key] = ([ties[preference] for preference in sorted(ties)], misfits)
        return known


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
