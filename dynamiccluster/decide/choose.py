"""Choosing: which sizes of node to buy for pieces of work of several shapes, so that all of it costs little.

This is bin packing with bins of several sizes and prices, in up to three dimensions. Nodes are filled greedily, each
time with what makes the most of a node's price, and the same filling is bought as often as it is needed. Then a few
nodes at a time are taken apart and bought anew in the hope of something cheaper. Pure and repeatable: the same
question has the same answer.

On small cases the cost is within 5 % of an exact solver's (``tests/unit/test_decide_choose.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamiccluster.model.capacity import Capacity

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Variety = np.random.Generator

TRIES = 320
"""How often some nodes are taken apart. Each try takes some 0.3 ms (2026)."""

MANY = 100
"""Among more nodes than this, fewer tries are made: each of them can save less and less of the whole."""

APART = (1, 2, 2, 3, 3, 4, 5, 6, 8, 12, 16)
"""How many nodes are taken apart at a time: mostly few, now and then many, as small ones may make one large one."""

FRUITLESS = 160
"""So many tries in a row without success are enough."""

FRUITLESS_EACH = 40
"""Or so many for each node, where there are few: there is soon nothing new to try."""

GOOD_ENOUGH = 1.01
"""Nobody looks for anything cheaper than this many times what is the least that it can cost."""

NEARLY = 0.98
"""A filling that makes so much of its price as the best one is bought along with it: filling anew costs time."""

BLUR = 0.7
"""When something cheaper is tried, fillings that make so much of their price may be taken for the best."""

BEST_SIZES = 3
"""For each shape, so many sizes are looked at that serve it alone at the lowest price, and as many of those that cost
the least; all others are out of the question soon anyway."""

ANY_SIZES = 8
"""The best sizes for the whole of the work that are looked at besides."""


SURCHARGES = (0.1, 1.0, 100.0)
"""What a node is said to cost besides, in prices of the dearest, where there may not be many: one after the other."""

FAR_BEYOND = 4
"""Where so many times more nodes are wanted than there may be, only the largest are of any use."""


class Size(NamedTuple):
    """A size of node on offer, and what one is reckoned to cost."""

    capacity: Capacity
    price: float  # above 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Equal nodes to buy."""

    size: int
    nodes: int
    pieces: tuple[tuple[int, int], ...]  # shape and how many of its pieces each of the nodes is meant for


class _Node(NamedTuple):
    size: int
    pieces: Ints  # by shape


def choose(
    needs: Sequence[Capacity],
    counts: Sequence[int],
    sizes: Sequence[Size],
    allowed: Bools,
    most_nodes: int | None = None,
) -> list[Batch]:
    """Nodes that together hold ``counts[i]`` pieces of ``needs[i]`` for each shape ``i``.

    ``allowed[i, j]``: whether shape ``i`` may use size ``j`` at all; what is too small is left out besides. Shapes that
    no size holds are left out. ``most_nodes``: larger nodes are preferred as far as it takes to keep to so many.
    """
    problem = _Problem(needs, sizes, allowed)
    left = np.array(counts, np.int64) * problem.usable.any(1)
    if not left.any():
        return []
    nodes = problem.solve(left)
    for part in SURCHARGES:
        if most_nodes is None or len(nodes) <= most_nodes:
            break
        if part is not SURCHARGES[-1] and len(nodes) > FAR_BEYOND * most_nodes:
            continue
        surcharge = part * float(problem.price.max())
        nodes = _Problem(needs, [size._replace(price=size.price + surcharge) for size in sizes], allowed).solve(left)
    return _batches(nodes)


def _batches(nodes: list[_Node]) -> list[Batch]:
    counted: dict[tuple[int, bytes], tuple[_Node, int]] = {}
    for node in nodes:
        key = (node.size, node.pieces.tobytes())
        counted[key] = (node, counted[key][1] + 1 if key in counted else 1)
    return [
        Batch(node.size, count, tuple((int(at), int(node.pieces[at])) for at in node.pieces.nonzero()[0]))
        for node, count in counted.values()
    ]


class _Problem:
    """Shapes and sizes as arrays."""

    def __init__(self, needs: Sequence[Capacity], sizes: Sequence[Size], allowed: Bools) -> None:
        self.need = np.array([(need.cores, need.memory_mib, need.gpus) for need in needs], np.int64).reshape(-1, 3)
        has = [(size.capacity.cores, size.capacity.memory_mib, size.capacity.gpus) for size in sizes]
        self.capacity = np.array(has, np.int64).reshape(-1, 3)
        self.price = np.array([size.price for size in sizes], np.float64)
        asked = np.maximum(self.need, 1)[:, None, :]
        held = np.where(self.need[:, None, :] > 0, self.capacity[None, :, :] // asked, np.iinfo(np.int64).max)
        self.per_node = held.min(2) * allowed  # by shape and size
        self.usable = self.per_node > 0
        with np.errstate(divide="ignore"):
            alone = np.where(self.usable, self.price[None, :] / np.maximum(self.per_node, 1), np.inf)
        self.alone = alone
        self.value = np.where(np.isfinite(alone.min(1, initial=np.inf)), alone.min(1, initial=np.inf), 0.0)
        each = np.maximum(self.capacity.max(0, initial=1), 1)
        self.share: Floats = (self.need / each).max(1, initial=0.0)  # of the largest size, in its scarcest dimension
        self.looked_at = np.arange(len(sizes))

    def solve(self, left: Ints) -> list[_Node]:
        """Nodes for so many pieces of each shape, all of which some size holds."""
        self.looked_at = self._promising(left)
        nodes = self._greedy(left, None)
        return self._improved(nodes, left)

    def _promising(self, left: Ints) -> Ints:
        """Sizes that are worth a look."""
        shapes = left.nonzero()[0]
        best = min(BEST_SIZES, len(self.price))
        chosen = set(np.argsort(self.alone[shapes], axis=1, kind="stable")[:, :best].ravel().tolist())
        costs = np.where(self.usable[shapes], self.price[None, :], np.inf)
        chosen.update(np.argsort(costs, axis=1, kind="stable")[:, :best].ravel().tolist())
        total = np.maximum(self.need[shapes].T @ left[shapes], 1)
        nodes = (total[None, :] / np.maximum(self.capacity, 1e-9)).max(1)
        chosen.update(np.argsort(self.price * nodes, kind="stable")[:ANY_SIZES].tolist())
        return np.array(sorted(at for at in chosen if self.usable[shapes, at].any()), np.int64)

    # -- greedily ----------------------------------------------------------------------------------

    def _greedy(self, wanted: Ints, rng: Variety | None) -> list[_Node]:
        """Nodes for all of it; ``rng`` makes for variety."""
        at = wanted.nonzero()[0]
        left, need, value = wanted[at].copy(), self.need[at], self.value[at]
        if rng is not None:
            value = value * rng.uniform(0.7, 1.4, len(at))
        sizes = self.looked_at[self.usable[np.ix_(at, self.looked_at)].any(0)]
        capacity, price, usable = self.capacity[sizes], self.price[sizes], self.usable[np.ix_(at, sizes)]
        orders = self._orders(at, value, rng)
        made: list[_Node] = []
        cost, best_cost, best = 0.0, np.inf, made
        while left.any():
            rest = need.T @ left
            whole = (capacity >= rest).all(1) & usable[left > 0].all(0)
            if whole.any():  # one node may take all that is left
                size = int(np.where(whole, price, np.inf).argmin())
                if cost + price[size] < best_cost:
                    best_cost, best = cost + price[size], [*made, self._node(at, int(sizes[size]), left)]
            filled = [_fill(order, need, left, capacity, usable) for order in orders]
            filled.append(_fill(orders[0], need, left, capacity, usable, _evenly(need, left, capacity, usable)))
            if rng is not None:
                some = rng.integers(0, left + 1)
                filled.append(_fill(orders[0], need, some, capacity, usable))
                filled[-1] = _fill(orders[0], need, left, capacity, usable, filled[-1])
            everything = np.concatenate(filled, axis=1)
            efficiency = (value @ everything) / np.tile(price, len(filled))
            if rng is not None:
                efficiency *= rng.uniform(BLUR, 1.0, len(efficiency))
            for size, taken in _best_of(everything, efficiency, left):
                used = taken > 0
                times = int((left[used] // taken[used]).min())
                left -= taken * times
                size %= len(sizes)
                cost += float(price[size]) * times
                made.extend([self._node(at, int(sizes[size]), taken)] * times)
            if cost >= best_cost:
                return best
        return made

    def _orders(self, at: Ints, value: Floats, rng: Variety | None) -> list[list[int]]:
        if rng is not None:
            return [rng.permutation(len(at)).tolist()]
        share = np.maximum(self.share[at], 1e-12)
        return [
            np.lexsort((at, -share)).tolist(),  # large ones first
            np.lexsort((at, -value / share)).tolist(),  # dear ones first
        ]

    def _node(self, at: Ints, size: int, pieces: Ints) -> _Node:
        everything = np.zeros(len(self.need), np.int64)
        everything[at] = pieces
        return _Node(size, everything)

    # -- and better --------------------------------------------------------------------------------

    def _improved(self, nodes: list[_Node], wanted: Ints) -> list[_Node]:
        """Take a few nodes apart and buy what is cheaper for what was on them, again and again."""
        rng = np.random.Generator(np.random.PCG64(len(nodes)))  # the same question must have the same answer
        cost = sum(float(self.price[node.size]) for node in nodes)
        enough = self._least(wanted) * GOOD_ENOUGH
        fruitless = 0
        for _ in range(int(TRIES * min(1.0, MANY / len(nodes)))):
            if cost <= enough or fruitless >= min(FRUITLESS, FRUITLESS_EACH * len(nodes)):
                break
            count = min(len(nodes), APART[int(rng.integers(len(APART)))])
            apart = rng.permutation(len(nodes))[:count].tolist()
            old = sum(float(self.price[nodes[at].size]) for at in apart)
            freed = np.sum([nodes[at].pieces for at in apart], axis=0)
            new = self._greedy(freed, rng)
            change = sum(float(self.price[node.size]) for node in new) - old
            fruitless = 0 if change < -1e-9 else fruitless + 1
            if change <= 1e-9:
                for at in sorted(apart, reverse=True):
                    nodes[at] = nodes[-1]
                    nodes.pop()
                nodes.extend(new)
                cost += change
        return nodes

    def _least(self, wanted: Ints) -> float:
        """What all of it costs at least: every amount at the best price that any size has for it."""
        with np.errstate(divide="ignore"):
            each = (self.price[:, None] / self.capacity).min(0)
        total = self.need.T @ wanted
        return float(max((amount * price for amount, price in zip(total, each, strict=True) if amount), default=0.0))


def _best_of(taken: Ints, efficiency: Floats, left: Ints) -> Iterator[tuple[int, Ints]]:
    """Fillings that make the most of a node's price: the best, and those nearly as good while what is left, which the
    caller diminishes, still holds them."""
    for at in np.argsort(-efficiency, kind="stable").tolist():
        if efficiency[at] < NEARLY * efficiency.max():
            return
        if (taken[:, at] <= left).all():
            yield at, taken[:, at]


def _evenly(need: Ints, left: Ints, capacity: Ints, usable: Bools) -> Ints:
    """Pieces of every shape in proportion to what is left of it, so that those that need much of different things come
    together on a node."""
    asked = (need * left[:, None]).T @ usable  # by dimension and size
    part = np.minimum((capacity.T / np.maximum(asked, 1e-9)).min(0), 1.0)
    taken: Ints = np.floor(part[None, :] * left[:, None] + 1e-9).astype(np.int64) * usable
    return taken


def _fill(order: list[int], need: Ints, left: Ints, capacity: Ints, usable: Bools, before: Ints | None = None) -> Ints:
    """How many pieces of each shape a node of each size takes, shapes served in this order.

    ``before``: what is on it already, which counts.
    """
    taken = np.zeros((len(left), len(capacity)), np.int64) if before is None else before.copy()
    rooms = list(capacity.T.copy())
    if before is not None:
        for room, each in zip(rooms, need.T, strict=True):
            room -= each @ taken
    needs, lefts = need.tolist(), left.tolist()
    waiting = need[left > 0, :2]
    least_cores, least_memory = waiting.min(0).tolist() if len(waiting) else (0, 0)
    for at in order:
        if not lefts[at]:
            continue
        most = (lefts[at] - taken[at]) * usable[at]
        for room, each in zip(rooms, needs[at], strict=True):
            if each:
                np.minimum(most, room // each, out=most)
        if not most.any():
            continue
        taken[at] += most
        for room, each in zip(rooms, needs[at], strict=True):
            if each:
                room -= most * each
        if not ((rooms[0] >= max(least_cores, 1)) & (rooms[1] >= least_memory)).any():
            break  # every node is full
    return taken
