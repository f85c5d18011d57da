"""Figures over time, for charts: in three resolutions, bounded in memory, kept in one file over restarts."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamiccluster.api.schemas_watch import HistoryDoc

COUNTS = ("launched", "removed")
"""Figures that add up over time; all others show the last state."""

FIGURES = (
    *("waiting_tasks", "waiting_cores", "unplaced_tasks", "pending_jobs", "running_jobs"),
    *("busy_cores", "idle_cores", "booting_cores", "other_cores", "nodes"),
    *("nodes_starting", "nodes_idle", "nodes_busy", "nodes_vacating", "nodes_deleting", "nodes_error"),
    *COUNTS,
    *("cost_per_hour", "spent"),
)

TIERS = ((10.0, 720), (60.0, 2880), (600.0, 5040))
"""Seconds per row, and rows kept: two hours, two days, five weeks. Some 8,600 rows, about 3 MB."""

GAP_STEPS = 2.5
"""A longer silence is shown as a gap rather than as a line that nobody measured."""

_FORMAT = 1


@dataclass(slots=True)
class Row:
    at: float
    values: dict[str, float | None]
    resources: dict[str, tuple[float, float]]  # nodes, cores

    def merge(self, newer: Row) -> None:
        for name, value in newer.values.items():
            old = self.values.get(name)
            self.values[name] = old + value if name in COUNTS and old is not None and value is not None else value
        self.resources = newer.resources


Rows = list[list[Row]]


@dataclass(slots=True)
class Tier:
    step_s: float
    rows: deque[Row]

    def reaches(self, at: float) -> bool:
        """Whether nothing since then was forgotten."""
        return len(self.rows) != self.rows.maxlen or self.rows[0].at <= at

    def add(self, row: Row) -> None:
        at = math.floor(row.at / self.step_s) * self.step_s
        if self.rows and self.rows[-1].at >= at:  # the same step, or a clock set back
            self.rows[-1].merge(row)
        else:
            self.rows.append(Row(at, dict(row.values), dict(row.resources)))


@dataclass(slots=True)
class Series:
    tiers: list[Tier] = field(default_factory=lambda: [Tier(step, deque(maxlen=most)) for step, most in TIERS])

    def add(self, at: float, values: Mapping[str, float | None], resources: Mapping[str, tuple[float, float]]) -> None:
        for tier in self.tiers:
            tier.add(Row(at, dict(values), dict(resources)))

    def between(self, since: float, until: float, points: int) -> HistoryDoc:
        """At most about ``points`` rows, from the finest tier that reaches so far back."""
        known = [tier.rows[0].at for tier in self.tiers if tier.rows]
        fine = [tier for tier in self.tiers if (until - since) / tier.step_s <= points] or self.tiers[-1:]
        reach = [tier for tier in fine if tier.reaches(since)]
        tier = (reach or fine)[0]
        width_s = tier.step_s * max(1, math.ceil((until - since) / tier.step_s / points))
        wide = Tier(width_s, deque())
        for row in tier.rows:
            if since - tier.step_s < row.at <= until:
                wide.add(row)
        return _columns(_with_gaps(list(wide.rows), width_s), width_s, since, until, min(known, default=None))

    def rows(self) -> Rows:
        """Everything, as it is now, for :func:`dumped`."""
        return [list(tier.rows) for tier in self.tiers]

    def load(self, raw: bytes) -> None:
        """:raises ValueError: it is not what :func:`dumped` made; nothing is taken then."""
        found = json.loads(raw)
        if not isinstance(found, dict) or found.get("format") != _FORMAT or len(found.get("tiers", ())) != len(TIERS):
            raise ValueError("another format")
        try:
            tiers = [[_row(one) for one in rows] for rows in found["tiers"]]
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("a damaged row") from error
        for tier, rows in zip(self.tiers, tiers, strict=True):
            tier.rows.extend(rows)


def dumped(rows: Rows) -> bytes:
    """As a file; may run in another thread."""
    tiers = [[[row.at, row.values, row.resources] for row in tier] for tier in rows]
    return json.dumps({"format": _FORMAT, "tiers": tiers}, separators=(",", ":")).encode()


def _row(one: Any) -> Row:
    at, values, resources = one
    numbers = {str(name): None if value is None else float(value) for name, value in values.items()}
    return Row(float(at), numbers, {str(name): (float(pair[0]), float(pair[1])) for name, pair in resources.items()})


def _with_gaps(rows: list[Row], step_s: float) -> list[Row]:
    found: list[Row] = []
    for row in rows:
        if found and row.at - found[-1].at > GAP_STEPS * step_s:
            found.append(Row(found[-1].at + step_s, {}, {}))
        found.append(row)
    return found


def _columns(rows: list[Row], step_s: float, since: float, until: float, oldest: float | None) -> HistoryDoc:
    names = sorted({name for row in rows for name in row.resources})
    nothing = (None, None)
    return HistoryDoc(
        step_s=step_s,
        since=since,
        until=until,
        oldest=oldest,
        at=[row.at for row in rows],
        series={name: [row.values.get(name) for row in rows] for name in FIGURES},
        resources={
            name: {
                "nodes": [row.resources.get(name, nothing)[0] for row in rows],
                "cores": [row.resources.get(name, nothing)[1] for row in rows],
            }
            for name in names
        },
    )
