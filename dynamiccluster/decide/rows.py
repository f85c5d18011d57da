"""Rows: free capacity of every node there is, will be, or might be, in arrays.

Cost follows distinct shapes times windows of rows, not jobs times nodes: a job only ever looks at so many rows as it
takes to place it, and never again at rows that had nothing for it, because free capacity only ever shrinks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FIRST_WINDOW = 512
"""Rows looked at in one go; each further window of a search is four times as long. Up to about this length an array
operation costs the same however short the array is (1 microsecond, 2026)."""


WORTH_TELLING = 128
"""Rows passed in vain that are worth remembering for other needs: to walk a longer list costs more than to look."""


class Stage(IntEnum):
    """How near a row is to running a job; rows are filled in this order."""

    FREE = 0  # up
    RECALLABLE = 1  # held for scale-down, can be released
    COMING = 2  # on its way
    NEW = 3  # launched by this very decision


class Row(NamedTuple):
    """A node or host that exists or is on its way, as it is loaded. A tuple, because there are many."""

    name: str  # node id, or name of a host that is not ours
    row_class: int
    stage: Stage
    cores: int  # free, like the next two
    memory_mib: int
    gpus: int
    whole: bool  # nothing runs there


@dataclass(slots=True)
class Need:
    """What one piece of a shape takes of a row, and which rows it may use. One per group and pass."""

    takes: Bools  # by row class
    kind: int  # small number that stands for ``takes``
    cores: int
    memory_each: int
    memory_once: int
    gpus: int
    chunks: int
    distinct: bool
    exclusive: bool
    begin: int = 0  # rows below hold nothing for it

    @staticmethod
    def of(shape: Shape, takes: Bools, kind: int) -> Need:
        chunk, per_host = shape.chunk, shape.memory_per_host_mib
        host_each = shape.distinct or shape.chunks == 1  # then every piece pays for its host
        return Need(
            takes,
            kind,
            chunk.cores,
            chunk.memory_mib + per_host if host_each else chunk.memory_mib,
            0 if host_each else per_host,
            chunk.gpus,
            shape.chunks,
            shape.distinct,
            shape.exclusive,
        )

    @property
    def memory_first(self) -> int:
        return self.memory_each + self.memory_once

    def is_at_least(self, known: _Fruitless) -> bool:
        return self.cores >= known.cores and self.memory_first >= known.memory_mib and self.gpus >= known.gpus

    def is_within(self, known: _Fruitless) -> bool:
        return self.cores <= known.cores and self.memory_first <= known.memory_mib and self.gpus <= known.gpus


@dataclass(frozen=True, slots=True)
class _Fruitless:
    """A search that found nothing: for how much, and among which rows."""

    cores: int
    memory_mib: int
    gpus: int
    upto: int


class Found(NamedTuple):
    """Rows that take pieces of a shape, nearest stage first, and how many each. A tuple, because there are many."""

    rows: Ints
    pieces: Ints
    total: int


_NO_ROWS = np.zeros(0, np.int64)
_NOTHING = Found(_NO_ROWS, _NO_ROWS, 0)
_COLUMNS = ("_cores", "_memory", "_gpus", "_class", "_stage", "_whole", "_used", "_startable")


class Rows:
    """Growable columns, nearest stage first: loaded in that order, and only new ones come later."""

    def __init__(self) -> None:
        self.size = 0
        self._cores = np.zeros(256, np.int64)
        self._memory = np.zeros(256, np.int64)
        self._gpus = np.zeros(256, np.int64)
        self._class = np.zeros(256, np.int64)
        self._stage = np.zeros(256, np.int64)
        self._whole = np.zeros(256, np.bool_)
        self._used = np.zeros(256, np.bool_)
        self._startable = np.zeros(256, np.bool_)
        self._names: list[str] = []
        self._no_room: dict[tuple[int, bool], list[_Fruitless]] = {}

    # -- filling -----------------------------------------------------------------------------------

    def add(self, name: str, row_class: int, free: Capacity, count: int) -> range:
        """Append ``count`` equal new nodes of the resource ``name``; their indices."""
        here = self._make_room(count)
        self._cores[here], self._memory[here], self._gpus[here] = free.cores, free.memory_mib, free.gpus
        self._class[here], self._stage[here], self._whole[here] = row_class, Stage.NEW, True
        self._names.extend([name] * count)
        return range(here.start, here.stop)

    def load(self, rows: list[Row]) -> None:
        """Append many rows: by stage, those in use first so that empty nodes stay empty, then by name."""
        if not rows:
            return
        rows = sorted(rows)  # by name: the order of the lists they come from must not matter
        rows.sort(key=lambda row: 2 * row[2] + row[6])
        names, classes, stages, cores, memory, gpus, whole = zip(*rows, strict=True)
        here = self._make_room(len(rows))
        self._cores[here], self._memory[here], self._gpus[here] = cores, memory, gpus
        self._class[here], self._stage[here], self._whole[here] = classes, stages, whole
        self._names.extend(names)

    def copy(self) -> Rows:
        twin = Rows()
        twin.size, twin._names = self.size, list(self._names)
        for column in _COLUMNS:
            setattr(twin, column, getattr(self, column).copy())
        return twin

    def _make_room(self, count: int) -> slice:
        start, self.size = self.size, self.size + count
        while self.size > len(self._cores):
            for column in _COLUMNS:
                old = getattr(self, column)
                setattr(self, column, np.concatenate([old, np.zeros(len(old), old.dtype)]))
        return slice(start, self.size)

    # -- looking -----------------------------------------------------------------------------------

    def first(self, need: Need) -> int:
        """The nearest row that takes a piece; -1 if there is none."""
        for fitting in self._search(need):
            return int(fitting[0])
        return -1

    def find(self, need: Need, jobs: int) -> Found:
        """Rows that take pieces of ``jobs`` jobs, in order, just enough of them (or all there are)."""
        wanted = jobs * need.chunks
        cap = jobs if need.distinct else wanted
        rows: list[Ints] = []
        pieces: list[Ints] = []
        total = 0
        for fitting in self._search(need):
            fitting = fitting[: wanted - total]  # each of them takes at least one piece
            count = self._pieces(fitting, need, cap)
            rows.append(fitting)
            pieces.append(count)
            total += int(count.sum())
            if total >= wanted:
                break
        if not rows:
            return _NOTHING
        if len(rows) == 1:
            return Found(rows[0], pieces[0], total)
        return Found(np.concatenate(rows), np.concatenate(pieces), total)

    def _search(self, need: Need) -> Iterator[Ints]:
        """Rows that take at least one piece, window by window."""
        start = need.begin = need.begin or self._searched_upto(need)
        length, barren = FIRST_WINDOW, True
        cores, memory = max(need.cores, 1), need.memory_first
        while start < self.size:
            window = slice(start, min(start + length, self.size))
            fits = self._cores[window] >= cores
            if memory:
                fits &= self._memory[window] >= memory
            if need.gpus:
                fits &= self._gpus[window] >= need.gpus
            if need.exclusive:
                fits &= self._whole[window]
            fitting = fits.nonzero()[0]
            if fitting.size:
                fitting += start
                fitting = fitting[need.takes[self._class[fitting]]]
                if fitting.size:
                    if barren:
                        barren = False
                        self._nothing_below(int(fitting[0]), need)
                    yield fitting
            start, length = start + length, length * 4
        if barren:
            self._nothing_below(self.size, need)

    def _nothing_below(self, row: int, need: Need) -> None:
        """Remember where the search may begin next time; a long way also for others that need no less."""
        passed, need.begin = row - need.begin, row
        if passed >= WORTH_TELLING:
            known = self._no_room.setdefault((need.kind, need.exclusive), [])
            known[:] = [old for old in known if old.upto > row or not need.is_within(old)]
            known.append(_Fruitless(need.cores, need.memory_first, need.gpus, row))

    def _searched_upto(self, need: Need) -> int:
        """Rows below this hold nothing for the need: something no larger was sought there in vain.

        What fits no other job may not fit an exclusive one either; it is not so the other way round.
        """
        upto = 0
        for exclusive in (False, True) if need.exclusive else (False,):
            for known in self._no_room.get((need.kind, exclusive), ()):
                if known.upto > upto and need.is_at_least(known):
                    upto = known.upto
        return upto

    def _pieces(self, rows: Ints, need: Need, cap: int) -> Ints:
        if need.exclusive and (need.distinct or need.chunks == 1):
            return np.ones(len(rows), np.int64)
        if cap == 1 or not need.cores:
            count = np.full(len(rows), cap, np.int64)
        else:
            count = np.minimum(self._cores[rows] // need.cores, cap)
        if cap > 1 and need.memory_each:
            np.minimum(count, (self._memory[rows] - need.memory_once) // need.memory_each, out=count)
        if cap > 1 and need.gpus:
            np.minimum(count, self._gpus[rows] // need.gpus, out=count)
        return count

    # -- taking ------------------------------------------------------------------------------------

    def take(self, need: Need, rows: Ints | int, pieces: Ints | int) -> None:
        """Use up ``pieces`` pieces on each of ``rows`` (or on one row)."""
        self._used[rows] = True
        self._whole[rows] = False
        if need.exclusive:
            self._cores[rows] = self._memory[rows] = self._gpus[rows] = 0
            return
        self._cores[rows] -= pieces * need.cores
        self._memory[rows] -= pieces * need.memory_each + need.memory_once
        if need.gpus:
            self._gpus[rows] -= pieces * need.gpus

    def stage(self, row: int) -> int:
        return int(self._stage[row])

    def stages(self, rows: Ints) -> Ints:
        return self._stage[rows]

    def could_start(self, rows: Ints | int) -> None:
        """Note that a whole job was placed on these rows alone, all of them up: nothing keeps it from starting."""
        self._startable[rows] = True

    def startable(self) -> list[str]:
        return [self._names[row] for row in np.flatnonzero(self._startable[: self.size])]

    def used(self, *stages: Stage) -> list[str]:
        """Names of the rows of these stages that jobs were placed on."""
        marks = self._used[: self.size] & np.isin(self._stage[: self.size], stages)
        return [self._names[row] for row in marks.nonzero()[0].tolist()]
