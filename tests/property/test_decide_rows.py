"""The search through rows remembers where nothing was found; it must find what a search from scratch finds."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from builders import shape
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamiccluster.decide import rows as subject
from dynamiccluster.decide.rows import Need, Row, Rows, Stage
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape

TAKES = [np.array([True, True]), np.array([True, False])]


@dataclass
class Model:
    """Rows as plain lists, searched from the start every time."""

    free: list[list[int]] = field(default_factory=list)  # cores, memory, GPUs
    classes: list[int] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)

    def find(self, wants: Shape, kind: int, jobs: int) -> tuple[list[int], list[int]]:
        rows, pieces, wanted = [], [], jobs * wants.chunks
        for row in range(len(self.free)):
            count = self.pieces(wants, kind, row, jobs if wants.distinct else wanted)
            if count:
                rows.append(row)
                pieces.append(count)
        return rows, pieces

    def pieces(self, wants: Shape, kind: int, row: int, cap: int) -> int:
        cores, memory, gpus = self.free[row]
        once = wants.memory_per_host_mib
        if not TAKES[kind][self.classes[row]] or cores < 1 or (wants.exclusive and not self.whole[row]):
            return 0
        each = wants.chunk.memory_mib
        if wants.distinct or wants.chunks == 1:
            each, once = each + once, 0
        if cores < wants.chunk.cores or memory < each + once or gpus < wants.chunk.gpus:
            return 0
        if wants.exclusive and (wants.distinct or wants.chunks == 1):
            return 1
        bounds = [cap]
        if wants.chunk.cores:
            bounds.append(cores // wants.chunk.cores)
        if each:
            bounds.append((memory - once) // each)
        if wants.chunk.gpus:
            bounds.append(gpus // wants.chunk.gpus)
        return min(bounds)

    def take(self, wants: Shape, row: int, pieces: int) -> None:
        self.whole[row] = False
        if wants.exclusive:
            self.free[row] = [0, 0, 0]
            return
        once = wants.memory_per_host_mib
        each = wants.chunk.memory_mib
        if wants.distinct or wants.chunks == 1:
            each, once = each + once, 0
        self.free[row][0] -= pieces * wants.chunk.cores
        self.free[row][1] -= pieces * each + once
        self.free[row][2] -= pieces * wants.chunk.gpus


kinds_of_need = st.tuples(
    st.builds(
        shape,
        st.integers(0, 4),
        st.sampled_from((0, 0, 100, 300)),
        st.sampled_from((0, 0, 1)),
        chunks=st.sampled_from((1, 1, 3)),
        distinct=st.booleans(),
        exclusive=st.booleans(),
        memory_per_host_mib=st.sampled_from((0, 50)),
    ),
    st.integers(0, 1),
)
capacities = st.builds(Capacity, st.integers(0, 4), st.sampled_from((100, 500)), st.integers(0, 2))


@settings(max_examples=200)
@given(st.data())
def test_a_search_that_remembers_finds_what_one_from_scratch_finds(data) -> None:
    worth, window = subject.WORTH_TELLING, subject.FIRST_WINDOW
    subject.WORTH_TELLING, subject.FIRST_WINDOW = 1, 2  # so that a few rows are a long way
    try:
        _walk(data)
    finally:
        subject.WORTH_TELLING, subject.FIRST_WINDOW = worth, window


def _walk(data: st.DataObject) -> None:
    loaded = data.draw(st.lists(st.tuples(capacities, st.integers(0, 1), st.booleans()), max_size=12))
    rows, model = Rows(), Model()
    rows.load(
        [Row(f"{i:02}", kind, Stage.FREE, c.cores, c.memory_mib, c.gpus, w) for i, (c, kind, w) in enumerate(loaded)]
    )
    for capacity, kind, whole in sorted(loaded, key=lambda row: row[2]):  # those in use first
        model.free.append([capacity.cores, capacity.memory_mib, capacity.gpus])
        model.classes.append(kind)
        model.whole.append(whole)
    asked = data.draw(st.lists(kinds_of_need, min_size=1, max_size=4))
    needs = [Need.of(wants, TAKES[kind], kind) for wants, kind in asked]
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.integers(0, 4)) == 0:
            capacity = data.draw(capacities)
            rows.add("new", 0, capacity, 2)
            for _ in range(2):
                model.free.append([capacity.cores, capacity.memory_mib, capacity.gpus])
                model.classes.append(0)
                model.whole.append(True)
            continue
        number = data.draw(st.integers(0, len(asked) - 1))
        (wants, kind), need = asked[number], needs[number]
        jobs = data.draw(st.integers(1, 4))
        expected = model.find(wants, kind, jobs)
        if jobs == 1 and wants.chunks == 1 and data.draw(st.booleans()):
            assert rows.first(need) == (expected[0][0] if expected[0] else -1)
            continue
        found = rows.find(need, jobs)
        count = len(found.rows)
        assert (found.rows.tolist(), found.pieces.tolist()) == (expected[0][:count], expected[1][:count])
        assert found.total == sum(expected[1][:count])
        assert found.total >= jobs * wants.chunks or count == len(expected[0])
        for row, pieces in zip(found.rows.tolist(), found.pieces.tolist(), strict=True):
            if data.draw(st.booleans()):
                rows.take(need, row, pieces)
                model.take(wants, row, pieces)
