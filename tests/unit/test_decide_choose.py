"""Choosing sizes of nodes: everything has its place, and the cost is near an exact solver's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from dynamiccluster.decide.choose import Batch, Size, choose
from dynamiccluster.model.capacity import Capacity

Need = tuple[int, int, int]


def chosen(needs: Sequence[Need], counts: Sequence[int], sizes: Sequence[Size], most: int | None = None) -> list[Batch]:
    allowed = np.ones((len(needs), len(sizes)), np.bool_)
    return choose([Capacity(*need) for need in needs], counts, sizes, allowed, most)


def cost(batches: Sequence[Batch], sizes: Sequence[Size]) -> float:
    return sum(batch.nodes * sizes[batch.size].price for batch in batches)


# -- the exact answer ---------------------------------------------------------------------------------------


def fillings(needs: Sequence[Need], counts: Sequence[int], room: Need) -> list[tuple[int, ...]]:
    """Every way to fill an empty node to which nothing can be added."""
    found: list[tuple[int, ...]] = []

    def fill(shape: int, left: Need, taken: tuple[int, ...]) -> None:
        if shape == len(needs):
            more = any(
                taken[at] < counts[at] and all(a >= b for a, b in zip(left, need, strict=True))
                for at, need in enumerate(needs)
            )
            if any(taken) and not more:
                found.append(taken)
            return
        most = min([counts[shape], *(a // b for a, b in zip(left, needs[shape], strict=True) if b)])
        for count in range(most, -1, -1):
            after = tuple(a - count * b for a, b in zip(left, needs[shape], strict=True))
            fill(shape + 1, after, (*taken, count))  # type: ignore[arg-type]  # three numbers, as before

    fill(0, room, ())
    return found


def least_cost(needs: Sequence[Need], counts: Sequence[int], sizes: Sequence[Size]) -> float:
    """By a solver of mixed-integer programs over all fillings."""
    columns, prices = [], []
    for size in sizes:
        has = (size.capacity.cores, size.capacity.memory_mib, size.capacity.gpus)
        ways = fillings(needs, counts, has)
        columns += ways
        prices += [size.price] * len(ways)
    enough = LinearConstraint(np.array(columns).T, lb=np.array(counts))
    solved = milp(np.array(prices), integrality=np.ones(len(prices)), constraints=enough, bounds=Bounds(0, np.inf))
    assert solved.status == 0
    return float(solved.fun)


def small_case(seed: int) -> tuple[list[Need], list[int], list[Size]]:
    """Sizes as clouds have them (2, 4 or 8 GiB a core, some with GPUs), and a few shapes with a few jobs each."""
    rng = random.Random(seed)
    sizes = [
        Size(Capacity(cores, cores * gib * 1024), cores * per_core * rng.uniform(0.7, 1.1))
        for gib, per_core in rng.sample([(2, 0.040), (4, 0.048), (8, 0.063)], rng.randint(1, 3))
        for cores in rng.sample([2, 4, 8, 16, 32], rng.randint(1, 3))
    ]
    if rng.random() < 0.3:
        sizes.append(Size(Capacity(16, 65536, 2), 3.1))
    largest = max(size.capacity.cores for size in sizes)
    needs, counts = [], []
    for _ in range(rng.randint(2, 4)):
        cores = rng.choice([cores for cores in (1, 2, 3, 4, 6, 8) if cores <= largest])
        gpus = rng.choice([0, 1]) if sizes[-1].capacity.gpus and cores <= 16 else 0
        there = [size.capacity for size in sizes if size.capacity.cores >= cores and size.capacity.gpus >= gpus]
        memory_mib = min(max(size.memory_mib for size in there), rng.choice([512, 2048, 4096, 12000, 30000]))
        needs.append((cores, memory_mib, gpus))
        counts.append(rng.randint(1, 12))
    return needs, counts, sizes


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_small_cases_cost_at_most_5_percent_more_than_the_least(first: int) -> None:
    for seed in range(first, first + 10):
        needs, counts, sizes = small_case(seed)
        assert cost(chosen(needs, counts, sizes), sizes) <= 1.05 * least_cost(needs, counts, sizes) + 1e-9, seed


# -- what always holds --------------------------------------------------------------------------------------

NEED = st.tuples(st.integers(0, 9), st.integers(0, 40000), st.integers(0, 2))
SIZE = st.builds(
    Size, st.builds(Capacity, st.integers(1, 32), st.integers(1, 131072), st.integers(0, 4)), st.floats(0.01, 9.0)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NEED, st.integers(0, 30)), max_size=6), st.lists(SIZE, max_size=5))
def test_every_piece_that_some_size_holds_has_a_place(work: list[tuple[Need, int]], sizes: list[Size]) -> None:
    needs, counts = [need for need, _ in work], [count for _, count in work]
    batches = chosen(needs, counts, sizes)
    placed = [0] * len(needs)
    for batch in batches:
        assert batch.nodes > 0
        assert batch.pieces
        taken = Capacity()
        for at, pieces in batch.pieces:
            assert pieces > 0
            placed[at] += pieces * batch.nodes
            taken += Capacity(*needs[at]) * pieces
        assert sizes[batch.size].capacity.holds(taken)
    for at, need in enumerate(needs):
        fits = any(need) and any(size.capacity.holds(Capacity(*need)) for size in sizes)
        if any(need):
            assert placed[at] == (counts[at] if fits else 0)
    assert batches == chosen(needs, counts, sizes)


def test_forbidden_sizes_are_not_taken() -> None:
    sizes = [Size(Capacity(4, 8192), 0.1), Size(Capacity(4, 8192), 0.5)]
    allowed = np.array([[False, True]])
    assert choose([Capacity(4, 100)], [2], sizes, allowed) == [Batch(1, 2, ((0, 1),))]
    assert choose([Capacity(4, 100)], [2], sizes, np.array([[False, False]])) == []


def test_the_fewer_nodes_there_may_be_the_larger_they_are() -> None:
    sizes = [Size(Capacity(2 * 2**n, 8192 * 2**n), 0.1 * 2.1**n) for n in range(5)]
    nodes = [sum(batch.nodes for batch in chosen([(2, 4096, 0)], [64], sizes, most)) for most in (None, 64, 20, 4, 1)]
    assert nodes[0] == 64
    assert all(one >= other for one, other in pairwise(nodes))
    assert nodes[-1] == 4
