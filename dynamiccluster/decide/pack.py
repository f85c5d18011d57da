"""Packing: waiting jobs onto free, then coming, then new nodes, gangs all or nothing.

One pass serves segments (a shape and a number of its tasks) in the order given. What does not fit on nodes that
exist is bought from the resources in matching order, within the ledger. ``Packing`` says what became of every
group, which nodes are wanted, and why the rest got nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dynamiccluster.decide import match
from dynamiccluster.decide.counsel import Advice, Card, Counsel, mixes
from dynamiccluster.decide.demand import Group, Segment
from dynamiccluster.decide.eligible import Eligibility, Lot, Offer
from dynamiccluster.decide.limits import Ledger
from dynamiccluster.decide.packing import Outcome, Packing, Purchase, pieces_of_one_job, shares_of
from dynamiccluster.decide.rows import Found, Ints, Need, Rows, Stage
from dynamiccluster.model.job import Shape
from dynamiccluster.model.plan import Refusal


@dataclass(slots=True)
class _Ask:
    """A group as this pass sees it: looked up once, used by each of its segments."""

    group: int
    shape: Shape
    need: Need
    lot: Lot
    outcome: Outcome
    refusals: dict[str, Refusal]
    together: _Ask | None = None  # the whole job as one piece, where it pays memory on every host it uses
    done_with: int = -1  # number of rows among which nothing was left for it; more come only by buying


@dataclass(slots=True)
class _Open:
    """A lot's candidates that may still have room."""

    ties: list[list[Offer]]
    full_seen: int = 0  # how many full resources these have been sifted by


class Packer:
    """One pass of packing."""

    def __init__(
        self,
        groups: Sequence[Group],
        rows: Rows,
        ledger: Ledger,
        eligibility: Eligibility,
        counsel: Counsel | None = None,
        survey: dict[tuple[str, int], int] | None = None,
    ) -> None:
        """``counsel``: what to buy of menus. ``survey``: instead of buying of menus, note what they are wanted for."""
        self._card = Card(ledger, counsel or Counsel(), survey)
        self._groups = groups
        self._rows = rows
        self._ledger = ledger
        self._eligibility = eligibility
        self._packing = Packing([Outcome() for _ in groups])
        self._asks: list[_Ask | None] = [None] * len(groups)
        self._open: dict[int, _Open] = {}  # lot number
        self._full: dict[str, Refusal] = {}  # offers without room for even one node; room never comes back

    def run(self, segments: Iterable[Segment], *, until_limited: bool = False) -> Packing:
        """Serve the segments. ``until_limited`` stops when a limit binds: the caller then asks in another order."""
        packing = self._packing
        for segment in segments:
            self._serve(segment)
            if until_limited and packing.limited:
                return packing
        self._note_limits()
        rows = self._rows
        packing.wanted = frozenset(rows.used(Stage.FREE, Stage.RECALLABLE, Stage.COMING))
        packing.startable = frozenset(rows.startable())
        packing.recalled = frozenset(rows.used(Stage.RECALLABLE))
        return packing

    def _serve(self, segment: Segment) -> None:
        ask = self._asks[segment.group] or self._new_ask(segment.group)
        left = segment.tasks
        if ask.done_with != self._rows.size and not ask.shape.hosts:
            left -= self._place(ask, left)
            if left:
                left -= self._buy(ask, left)
            if left == segment.tasks and not self._candidates(ask.lot):
                ask.done_with = self._rows.size
        ask.outcome.unplaced += left

    def _new_ask(self, group: int) -> _Ask:
        shape = self._groups[group].shape
        ask = self._asks[group] = self._ask_for(group, shape)
        if shape.memory_per_host_mib and shape.chunks > 1 and not shape.distinct and not shape.exclusive:
            ask.together = self._ask_for(group, match.in_one_piece(shape), ask)
        return ask

    def _ask_for(self, group: int, shape: Shape, other: _Ask | None = None) -> _Ask:
        lot = self._eligibility.lot(shape)
        need = Need.of(shape, lot.kind.takes, lot.kind.number)
        refusals = other.refusals if other else {}
        return _Ask(group, shape, need, lot, self._packing.outcomes[group], refusals)

    def _note_limits(self) -> None:
        """Give every group that lacks a place the limits that its candidates have reached."""
        of_lot: dict[int, dict[str, Refusal]] = {}
        for ask in self._asks:
            if ask is None or not ask.outcome.unplaced:
                continue
            shared = of_lot.get(ask.lot.number)
            if shared is None:
                names = [offer.resource.name for tie in ask.lot.ties for offer in tie]
                shared = of_lot[ask.lot.number] = {name: self._full[name] for name in names if name in self._full}
            ask.outcome.refusals = {**shared, **ask.refusals} if ask.refusals else shared

    # -- on rows that exist ------------------------------------------------------------------------

    def _place(self, ask: _Ask, jobs: int) -> int:
        """Place as many whole jobs as fit; how many."""
        shape, need, rows = ask.shape, ask.need, self._rows
        if jobs == 1 and shape.chunks == 1:  # most segments of a mixed queue: no arrays for a single answer
            row = rows.first(need)
            if row < 0:
                return 0
            rows.take(need, row, 1)
            if rows.stage(row) == Stage.FREE:
                rows.could_start(row)
            self._count(ask.outcome, Stage(rows.stage(row)), 1)
            return 1
        if ask.together:
            placed = self._place(ask.together, jobs)
            while placed < jobs and self._place_one(ask):
                placed += 1
            return placed
        if shape.exclusive and not shape.distinct and shape.chunks > 1:
            placed = 0
            while placed < jobs and self._place_one(ask):
                placed += 1
            return placed
        found = rows.find(need, jobs)
        whole_jobs = _whole_jobs(need, found, jobs)
        if whole_jobs:
            self._assign(ask, found, whole_jobs)
        return whole_jobs

    def _place_one(self, ask: _Ask) -> bool:
        """One job that shares none of its hosts' costs with the next: alone on them, or paying memory on each."""
        found = self._rows.find(ask.need, 1)
        if found.total < ask.need.chunks:
            return False
        self._assign(ask, found, 1)
        return True

    def _assign(self, ask: _Ask, found: Found, jobs: int) -> None:
        """Fill the rows in order with the pieces of so many jobs."""
        need = ask.need
        count = np.minimum(found.pieces, jobs) if need.distinct else found.pieces
        wanted = jobs * need.chunks
        upto = count.cumsum()
        last = int(upto.searchsorted(wanted))
        rows, count = found.rows[: last + 1], count[: last + 1].copy()
        count[last] -= int(upto[last]) - wanted
        self._rows.take(need, rows, count)
        self._book(ask, rows, count, jobs)

    def _book(self, ask: _Ask, rows: Ints, pieces: Ints, jobs: int) -> None:
        """Count jobs by the farthest stage they need; rows come nearest first."""
        nearest, farthest = self._rows.stage(int(rows[0])), self._rows.stage(int(rows[-1]))
        if farthest == Stage.FREE:
            self._rows.could_start(rows)
        if nearest == farthest:
            self._count(ask.outcome, Stage(nearest), jobs)
            return
        upto = np.bincount(self._rows.stages(rows), weights=pieces, minlength=len(Stage)).cumsum()
        before = 0
        for stage in (Stage.RECALLABLE, Stage.COMING):
            served = min(int(upto[stage]) // ask.shape.chunks, jobs)
            self._count(ask.outcome, stage, served - before)
            before = served
        self._count(ask.outcome, Stage.NEW, jobs - before)

    @staticmethod
    def _count(outcome: Outcome, stage: Stage, jobs: int) -> None:
        if stage is Stage.NEW:
            outcome.on_new += jobs
        elif stage is Stage.COMING:
            outcome.on_coming += jobs
        else:
            outcome.on_free += jobs

    # -- on new nodes ------------------------------------------------------------------------------

    def _buy(self, ask: _Ask, jobs: int) -> int:
        """Buy nodes for jobs that nothing existing holds; how many jobs got nodes."""
        ties = self._candidates(ask.lot)
        gang = bool(ties) and ask.shape.chunks > 1
        served = self._gang_by_gang(ask, ties, jobs, span=False) if gang else 0
        for tie in ties:
            if served >= jobs:
                break
            served += self._buy_from_tie(ask, tie, jobs - served)
        if gang and served < jobs:
            served += self._gang_by_gang(ask, ties, jobs - served, span=True)
        if served < jobs and ask.lot.ties:
            self._packing.limited = True  # it has candidates, and they refused it
        return served

    def _gang_by_gang(self, ask: _Ask, ties: list[list[Offer]], jobs: int, *, span: bool) -> int:
        """Gangs that no resource takes alone; how many. What is bought for one may have room for the next."""
        served = 0
        while served < jobs and (self._complete(ask, ties) or (span and self._span(ask, ties))):
            served += 1
            if served < jobs:
                served += self._place(ask, jobs - served)
        return served

    def _candidates(self, lot: Lot) -> list[list[Offer]]:
        """Offers that have room, in matching order; those equal but for node count and price stand together."""
        known = self._open.get(lot.number)
        if known is None:
            known = self._open[lot.number] = _Open(lot.ties)
        if known.full_seen < len(self._full):
            known.full_seen = len(self._full)
            still = [[offer for offer in tie if not self._has_no_room(offer)] for tie in known.ties]
            known.ties = [tie for tie in still if tie]
        return known.ties

    def _has_no_room(self, offer: Offer) -> bool:
        full = self._full
        return offer.key in full or (bool(offer.choices) and all(choice.key in full for choice in offer.choices))

    def _room(self, ask: _Ask, offer: Offer, gang: int, wanted: int) -> int:
        """Nodes that may be bought; notes the limit that binds if they are fewer than wanted."""
        room, binding = self._ledger.room(offer.resource, gang)
        if room < wanted and binding:
            ask.refusals[offer.resource.name] = binding
            if room == 0:
                self._full[offer.key] = binding
        return room

    def _by_tie_break(self, tie: list[Offer]) -> list[Offer]:
        if len(tie) == 1:
            return tie
        return sorted(tie, key=lambda offer: match.tie_break(offer.resource, self._ledger.nodes))

    def _buy_from_tie(self, ask: _Ask, tie: list[Offer], jobs: int) -> int:
        """Buy from equal offers in turn, always from the one with the fewest nodes."""
        served = 0
        step = jobs if len(tie) == 1 else max(1, jobs // 64)  # large demand is spread in large steps
        offers = list(tie)
        while served < jobs and offers:
            offers = self._by_tie_break(offers)
            got = self._buy_from(ask, offers[0], min(step, jobs - served))
            served += got
            if got == 0:
                offers = offers[1:]
            elif len(offers) == 1:
                step = jobs - served
        return served

    def _buy_from(self, ask: _Ask, offer: Offer, jobs: int) -> int:
        """Buy from one resource for at most ``jobs`` whole jobs, within its room."""
        if offer.choices:
            return self._buy_from_menu(ask, offer, jobs)
        if ask.together:
            if match.too_small(ask.together.shape, offer.capacity) is None:
                ask = ask.together
            else:
                jobs = 1  # it spans hosts and pays memory on each: no two share one
        shape = ask.shape
        gang = match.nodes_needed(shape, offer.capacity, 1)
        room = self._room(ask, offer, gang, match.nodes_needed(shape, offer.capacity, jobs))
        bought = min(jobs, match.jobs_in(shape, offer.capacity, room))
        if bought <= 0:
            return 0
        nodes = match.nodes_needed(shape, offer.capacity, bought)
        self._new_rows(ask, offer, nodes, bought * shape.chunks)
        ask.outcome.on_new += bought
        return bought

    # -- of menus ----------------------------------------------------------------------------------

    def _buy_from_menu(self, ask: _Ask, menu: Offer, jobs: int) -> int:
        """Buy what was advised, and for what is left whatever holds it at the lowest price."""
        name, card = menu.resource.name, self._card
        if card.survey is not None and mixes(ask.shape):
            if not any(self._room(ask, choice, 1, 1) for choice in menu.choices):
                return 0
            card.survey[name, ask.group] = card.survey.get((name, ask.group), 0) + jobs
            ask.outcome.on_new += jobs
            return jobs
        advised = card.counsel.for_group(name, ask.group)
        while advised is not None:
            served = self._buy_advised(ask, advised, jobs)
            if served:
                return served
            advised.nodes = 0  # there is no room for it
            advised = card.counsel.for_group(name, ask.group)
        for choice in card.by_cost(ask.group, ask.shape, menu, jobs):
            served = self._buy_from(ask, choice, jobs) if choice.key not in self._full else 0
            if served:
                return served
        return 0

    def _buy_advised(self, ask: _Ask, advised: Advice, jobs: int) -> int:
        each, choice = advised.pieces[ask.group], advised.choice
        if choice.key in self._full or match.pieces_per_node(ask.shape, choice.capacity) < each:
            return 0
        nodes = min(advised.nodes, -(-jobs // each))
        nodes = min(nodes, self._room(ask, choice, 1, nodes))
        if nodes <= 0:
            return 0
        advised.nodes -= nodes
        served = min(jobs, nodes * each)
        self._new_rows(ask, choice, nodes, served, each)
        ask.outcome.on_new += served
        return served

    def _new_rows(self, ask: _Ask, offer: Offer, nodes: int, pieces: int, each: int = 0) -> None:
        """``each``: so many pieces per node, where more would fit."""
        for part, count in self._card.in_turn(offer, nodes):
            taken = min(pieces, count * (each or pieces))
            self._new_rows_of(ask, part, count, taken, each)
            pieces -= taken

    def _new_rows_of(self, ask: _Ask, offer: Offer, nodes: int, pieces: int, each: int) -> None:
        shape, name = ask.shape, offer.resource.name
        self._ledger.take(offer.resource, nodes)
        bought = ask.outcome.new_nodes
        bought[name] = bought.get(name, 0) + nodes
        self._packing.purchases.append(Purchase(name, nodes, ask.group, offer.chosen))
        added = self._rows.add(name, offer.row_class, offer.capacity, nodes)
        if nodes == 1:
            self._rows.take(ask.need, added.start, pieces)
            return
        per_node = match.pieces_per_node(shape, offer.capacity)
        if shape.distinct:
            per_node = min(per_node, max(1, pieces // shape.chunks))  # one piece of each job
        per_node = each or per_node
        # node by node, as rows that exist are filled, so that the last one keeps room for others
        on_each = np.clip(pieces - np.arange(nodes) * per_node, 0, per_node)
        self._rows.take(ask.need, np.arange(added.start, added.stop), on_each)

    def _complete(self, ask: _Ask, ties: list[list[Offer]]) -> bool:
        """One gang partly on rows that exist, the rest on new nodes of one resource."""
        shape, part = ask.shape, self._rows.find(ask.need, 1)
        lacking = shape.chunks - part.total
        if not part.total or lacking <= 0:
            return False
        for tie in ties:
            for offer in self._card.leaves(ask.group, ask.shape, self._by_tie_break(tie)):
                nodes = -(-lacking // pieces_of_one_job(shape, offer))
                if self._room(ask, offer, nodes, nodes) >= nodes:
                    self._book_gang(ask, part, [(offer, nodes, lacking)])
                    return True
        return False

    def _span(self, ask: _Ask, ties: list[list[Offer]]) -> bool:
        """One gang over rows that exist and new nodes of several resources, when no single one has the room."""
        part = self._rows.find(ask.need, 1)
        lacking = ask.shape.chunks - part.total
        offers = [offer for tie in ties for offer in self._card.leaves(ask.group, ask.shape, self._by_tie_break(tie))]
        if lacking <= 0 or not shares_of(ask.shape, lacking, offers, self._ledger):
            return False
        # limits that resources share (quota, cluster, budget) must hold for the sum, too
        shares = shares_of(ask.shape, lacking, offers, self._ledger.copy(), book=True)
        if shares:
            self._book_gang(ask, part, shares)
        return bool(shares)

    def _book_gang(self, ask: _Ask, part: Found, shares: list[tuple[Offer, int, int]]) -> None:
        self._rows.take(ask.need, part.rows, part.pieces)
        for offer, nodes, pieces in shares:
            self._new_rows(ask, offer, nodes, pieces)
        ask.outcome.on_new += 1


def _whole_jobs(need: Need, found: Found, jobs: int) -> int:
    """How many whole jobs these pieces hold, at most ``jobs``."""
    if not need.distinct or need.chunks == 1 or jobs == 1 or found.total < need.chunks:
        return min(jobs, found.total // need.chunks)
    low, high = 0, min(jobs, found.total // need.chunks)
    while low < high:  # the largest J for which J jobs find `chunks` rows each, no row twice for one job
        middle = (low + high + 1) // 2
        if int(np.minimum(found.pieces, middle).sum()) >= middle * need.chunks:
            low = middle
        else:
            high = middle - 1
    return low
