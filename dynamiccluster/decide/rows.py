"""Rows: free capacity of every node there is, will be, or might be, in arrays.

Cost follows distinct shapes times windows of rows, not jobs times nodes: a job only ever looks at so many rows as it
takes to place it, and a shape that found no room is not looked at again with more of the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FIRST_WINDOW = 128
"""Rows looked at in one go; each further window of a search is four times as long."""


class Stage(IntEnum):
    """How near a row is to running a job; rows are filled in this order."""

    FREE = 0  # up
    RECALLABLE = 1  # held for scale-down, can be released
    COMING = 2  # on its way
    NEW = 3  # launched by this very decision


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that take pieces of a shape, and how many each."""

    rows: Ints
    pieces: Ints


class Rows:
    """Growable columns. A row's class says who may use it; see ``eligible``."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.size = 0
        self._cores = np.zeros(256, np.int64)
        self._memory = np.zeros(256, np.int64)
        self._gpus = np.zeros(256, np.int64)
        self._class = np.zeros(256, np.int64)
        self._stage = np.zeros(256, np.int64)
        self._whole = np.zeros(256, np.bool_)
        self._used = np.zeros(256, np.bool_)
        self._live: Ints = np.zeros(0, np.int64)
        self._live_upto = 0  # rows below this are in ``_live`` if they still have cores
        self._taken_since_compaction = 0
        self.names: list[str] = []  # node id, host name, or resource of a new row
        self._no_room: dict[tuple[int, bool], list[_Fruitless]] = {}

    # -- filling -----------------------------------------------------------------------------------

    def add(self, name: str, kind: int, stage: Stage, free: Capacity, *, whole: bool, count: int = 1) -> range:
        """Append ``count`` equal rows; their indices."""
        start, end = self.size, self.size + count
        while end > len(self._cores):
            self._grow()
        here = slice(start, end)
        self._cores[here], self._memory[here], self._gpus[here] = free.cores, free.memory_mib, free.gpus
        self._class[here], self._stage[here], self._whole[here], self._used[here] = kind, int(stage), whole, False
        self.names.extend([name] * count)
        self.size = end
        return range(start, end)

    def load(self, columns: list[tuple[str, int, Stage, Capacity, bool]]) -> None:
        """Append many rows, those in use first within each stage, so that empty nodes stay empty."""
        columns.sort(key=lambda row: (row[2], row[4]))
        count = len(columns)
        while count > len(self._cores) - self.size:
            self._grow()
        here = slice(self.size, self.size + count)
        self._cores[here] = [row[3].cores for row in columns]
        self._memory[here] = [row[3].memory_mib for row in columns]
        self._gpus[here] = [row[3].gpus for row in columns]
        self._class[here] = [row[1] for row in columns]
        self._stage[here] = [row[2] for row in columns]
        self._whole[here] = [row[4] for row in columns]
        self.names.extend(row[0] for row in columns)
        self.size += count

    def copy(self) -> Rows:
        twin = Rows(self.classes)
        twin.size, twin.names = self.size, list(self.names)
        for column in ("_cores", "_memory", "_gpus", "_class", "_stage", "_whole", "_used"):
            setattr(twin, column, getattr(self, column).copy())
        return twin

    def _grow(self) -> None:
        for column in ("_cores", "_memory", "_gpus", "_class", "_stage", "_whole", "_used"):
            old = getattr(self, column)
            setattr(self, column, np.concatenate([old, np.zeros(len(old), old.dtype)]))

    # -- looking -----------------------------------------------------------------------------------

    def find(self, shape: Shape, eligible: Bools, key: int, jobs: int) -> Found:
        """Rows that take pieces of ``jobs`` jobs, in order, just enough of them (or all there are)."""
        need = _Need.of(shape)
        start = self._searched_upto(key, need)
        if start >= self.size:
            return _NOTHING
        cap = jobs if shape.distinct else jobs * shape.chunks
        wanted = jobs * shape.chunks
        rows: list[Ints] = []
        pieces: list[Ints] = []
        total = 0
        for window in self._windows(start):
            fits = eligible[self._class[window]]
            fits &= self._cores[window] >= need.cores
            fits &= self._memory[window] >= need.memory_first
            if need.gpus:
                fits &= self._gpus[window] >= need.gpus
            if shape.exclusive:
                fits &= self._whole[window]
            found = window[fits]
            if not found.size:
                continue
            count = self._pieces(found, need, cap, shape)
            rows.append(found)
            pieces.append(count)
            total += int(count.sum())
            if total >= wanted:
                break
        if not rows:
            known = self._no_room.setdefault((key, shape.exclusive), [])
            known[:] = [old for old in known if not need.is_within(old)]
            known.append(_Fruitless(need.cores, need.memory_first, need.gpus, self.size))
            return _NOTHING
        return Found(np.concatenate(rows), np.concatenate(pieces))

    def _pieces(self, rows: Ints, need: _Need, cap: int, shape: Shape) -> Ints:
        if shape.exclusive and shape.distinct:
            return np.ones(len(rows), np.int64)
        count = np.full(len(rows), cap, np.int64)
        if cap > 1:
            if need.cores:
                np.minimum(count, self._cores[rows] // need.cores, out=count)
            if need.memory_each:
                np.minimum(count, (self._memory[rows] - need.memory_once) // need.memory_each, out=count)
            if need.gpus:
                np.minimum(count, self._gpus[rows] // need.gpus, out=count)
        return count

    def _windows(self, first_row: int) -> Iterator[Ints]:
        """Rows with cores left, nearest stage first: loaded in that order, and only new ones come later."""
        if self._live_upto < self.size or self._taken_since_compaction > max(64, len(self._live) // 4):
            self._live = np.flatnonzero(self._cores[: self.size] > 0)
            self._live_upto = self.size
            self._taken_since_compaction = 0
        begin = int(np.searchsorted(self._live, first_row)) if first_row else 0
        length = FIRST_WINDOW
        while begin < len(self._live):
            yield self._live[begin : begin + length]
            begin, length = begin + length, length * 4

    def _searched_upto(self, key: int, need: _Need) -> int:
        """Rows below this are known to hold nothing for the need: something no larger was sought there in vain.

        Free capacity only ever shrinks, and what fits no exclusive job may still fit another, not the other way round.
        """
        upto = 0
        for exclusive in (False, True) if need.exclusive else (False,):
            for known in self._no_room.get((key, exclusive), ()):
                if known.upto > upto and need.is_at_least(known):
                    upto = known.upto
        return upto

    # -- taking ------------------------------------------------------------------------------------

    def take(self, shape: Shape, rows: Ints, pieces: Ints) -> None:
        """Use up ``pieces`` pieces of the shape on each of ``rows``."""
        need = _Need.of(shape)
        self._used[rows] = True
        self._whole[rows] = False
        if shape.exclusive:
            self._cores[rows] = self._memory[rows] = self._gpus[rows] = 0
        else:
            self._cores[rows] -= pieces * need.cores
            self._memory[rows] -= pieces * need.memory_each + need.memory_once
            self._gpus[rows] -= pieces * need.gpus
        self._taken_since_compaction += len(rows)

    def stages(self, rows: Ints) -> Ints:
        return self._stage[rows]

    def used(self, wanted: Callable[[Stage], bool]) -> list[str]:
        """Names of the rows of some stages that jobs were placed on."""
        marks = self._used[: self.size]
        return [self.names[row] for row in np.flatnonzero(marks) if wanted(Stage(int(self._stage[row])))]


@dataclass(frozen=True, slots=True)
class _Fruitless:
    """A search that found nothing: for how much, and among which rows."""

    cores: int
    memory_mib: int
    gpus: int
    upto: int


@dataclass(frozen=True, slots=True)
class _Need:
    """What a piece takes of a row."""

    cores: int
    memory_each: int
    memory_once: int
    gpus: int
    exclusive: bool

    @property
    def memory_first(self) -> int:
        return self.memory_each + self.memory_once

    def is_at_least(self, known: _Fruitless) -> bool:
        return self.cores >= known.cores and self.memory_first >= known.memory_mib and self.gpus >= known.gpus

    def is_within(self, known: _Fruitless) -> bool:
        return self.cores <= known.cores and self.memory_first <= known.memory_mib and self.gpus <= known.gpus

    @staticmethod
    def of(shape: Shape) -> _Need:
        per_host = shape.memory_per_host_mib
        if shape.distinct or shape.chunks == 1:
            return _Need(shape.chunk.cores, shape.chunk.memory_mib + per_host, 0, shape.chunk.gpus, shape.exclusive)
        return _Need(shape.chunk.cores, shape.chunk.memory_mib, per_host, shape.chunk.gpus, shape.exclusive)


_NOTHING = Found(np.zeros(0, np.int64), np.zeros(0, np.int64))
