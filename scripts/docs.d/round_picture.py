"""Draws a round: demand, nodes and jobs over one time axis, as SVG. No library is needed for some rectangles."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, TOP, GAP = 960, 118, 26, 92, 44
ROW, BAR, CHART = 15, 11, 120
INK, FAINT, GRID = "#2b3440", "#7b8794", "#e3e8ee"
KINDS = {
    "coming": ("#f2b65a", "on its way"),
    "idle": ("#b8d8ba", "idle"),
    "busy": ("#3f8f5b", "busy"),
    "leaving": ("#b7bdc6", "leaving"),
}
WAITING, RUNNING, SUPPLY = "#e07a5f", "#3d6fa5", INK
_KIND_OF = {
    **dict.fromkeys(("requested", "unsettled", "starting", "configuring", "joining"), "coming"),
    "idle": "idle",
    "busy": "busy",
    **dict.fromkeys(("holding", "held", "removing", "terminating", "forgetting", "failed"), "leaving"),
}


@dataclass
class Job:
    name: str
    submitted_at: float
    started_at: float
    ended_at: float
    cores: int
    nodes: int = 1


@dataclass(frozen=True)
class Round:
    """``events``: of nodes, oldest first, as the REST API gives them. ``cores``: of a node, by resource."""

    events: Sequence[Mapping[str, Any]]
    jobs: Sequence[Job]
    cores: Mapping[str, int]


@dataclass(frozen=True)
class Span:
    begin: float
    end: float
    kind: str


def seconds(instant: Any) -> float:
    """Of a time as the REST API writes it."""
    if isinstance(instant, int | float):
        return float(instant)
    return datetime.datetime.fromisoformat(instant).timestamp()


def lives(events: Iterable[Mapping[str, Any]]) -> dict[str, list[Span]]:
    """What each node went through, by host name, in order of birth."""
    found: dict[str, list[Span]] = {}
    state: dict[str, tuple[float, str]] = {}
    for event in events:
        name, at, to_state = event["host_name"], seconds(event["at"]), event["to_state"]
        if not to_state:
            continue
        spans = found.setdefault(name, [])
        if name in state:
            begin, kind = state.pop(name)
            if spans and spans[-1].kind == kind:
                begin = spans.pop().begin
            spans.append(Span(begin, at, kind))
        kind = _KIND_OF.get(to_state)
        if kind:
            state[name] = at, kind
    return found


def draw(seen: Round) -> str:
    """The picture."""
    nodes = lives(seen.events)
    begin = min(job.submitted_at for job in seen.jobs)
    end = max(max(span.end for spans in nodes.values() for span in spans), max(job.ended_at for job in seen.jobs))
    axis = _Axis(begin - 1, end + 1)
    nodes_top = TOP + CHART + GAP
    jobs_top = nodes_top + ROW * len(nodes) + GAP
    bottom = jobs_top + ROW * len(seen.jobs)
    parts = [
        *_legend(),
        *axis.grid(TOP, bottom),
        *_chart(seen, nodes, axis),
        _heading(nodes_top, "Worker nodes, from the service's history"),
        *_node_rows(nodes, nodes_top, axis),
        _heading(jobs_top, "Jobs, as Slurm tells them"),
        *_job_rows(seen.jobs, jobs_top, axis),
    ]
    height = bottom + 40
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="11" role="img">',
            "<title>One round: demand, worker nodes and jobs over time</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(LEFT, 20, "One round on a real Slurm: two waves of jobs, and the nodes that came and went", size=15),
            *parts,
            "</svg>\n",
        ]
    )


class _Axis:
    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end

    def x(self, at: float) -> float:
        share = (min(max(at, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def grid(self, top: float, bottom: float) -> Iterator[str]:
        length = self.end - self.begin
        step = next(step for step in (5, 10, 20, 30, 60, 120, 300, 600, 3600) if length / step <= 13)
        for number in range(int(length // step) + 1):
            x = self.x(self.begin + 1 + number * step)
            yield f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom + 6}" stroke="{GRID}"/>'
            yield _text(x, bottom + 20, f"{number * step} s", FAINT, anchor="middle")


def _chart(seen: Round, nodes: Mapping[str, list[Span]], axis: _Axis) -> Iterator[str]:
    """Cores that wait, above those that run; the line is what the nodes that are up offer."""
    waiting = _steps((job.submitted_at, job.started_at, job.cores) for job in seen.jobs)
    working = _steps((job.started_at, job.ended_at, job.cores) for job in seen.jobs)
    resource_of = {event["host_name"]: event["resource"] for event in seen.events}
    supply = _steps(
        (span.begin, span.end, seen.cores[resource_of[name]])
        for name, spans in nodes.items()
        for span in spans
        if span.kind in ("idle", "busy")
    )
    moments = sorted({at for steps in (waiting, working, supply) for at, _ in steps} | {axis.begin, axis.end})
    both = [(at, _at(waiting, at) + _at(working, at)) for at in moments]
    most = max(max(value for _, value in both), max(value for _, value in supply), 1)

    def y(value: float) -> float:
        return round(TOP + CHART - CHART * value / most, 1)

    def line(points: Sequence[tuple[float, float]]) -> list[str]:
        corners, before = [], 0.0
        for at, value in points:
            corners += [f"{axis.x(at)},{y(before)}", f"{axis.x(at)},{y(value)}"]
            before = value
        return corners

    floor = [f"{axis.x(axis.end)},{y(0)}", f"{axis.x(axis.begin)},{y(0)}"]
    last = (axis.end, 0.0)
    yield _heading(TOP, "Cores")
    for value in range(0, int(most) + 1, 10):
        yield _text(LEFT - 8, y(value) + 4, str(value), FAINT, anchor="end")
        yield f'<line x1="{LEFT}" y1="{y(value)}" x2="{WIDTH - RIGHT}" y2="{y(value)}" stroke="{GRID}"/>'
    yield f'<polygon points="{" ".join([*line(both), *floor])}" fill="{WAITING}" fill-opacity="0.75"/>'
    yield f'<polygon points="{" ".join([*line(working), *floor])}" fill="{RUNNING}"/>'
    corners = " ".join(line([(axis.begin, 0.0), *supply, last]))
    yield f'<polyline points="{corners}" fill="none" stroke="{SUPPLY}" stroke-width="1.8"/>'


def _steps(spans: Iterable[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """The sum over spans (begin, end, amount), as it changes."""
    changes: dict[float, float] = {}
    for begin, end, amount in spans:
        changes[begin] = changes.get(begin, 0) + amount
        changes[end] = changes.get(end, 0) - amount
    total, found = 0.0, []
    for at in sorted(changes):
        total += changes[at]
        found.append((at, total))
    return found


def _at(steps: Sequence[tuple[float, float]], at: float) -> float:
    return next((value for begin, value in reversed(steps) if begin <= at), 0.0)


def _node_rows(nodes: Mapping[str, list[Span]], top: float, axis: _Axis) -> Iterator[str]:
    for number, (name, spans) in enumerate(nodes.items()):
        y = top + ROW * number
        yield _text(LEFT - 8, y + 9, name, anchor="end")
        for span in spans:
            yield _bar(axis, span.begin, span.end, y, KINDS[span.kind][0])


def _job_rows(jobs: Sequence[Job], top: float, axis: _Axis) -> Iterator[str]:
    for number, job in enumerate(jobs):
        y = top + ROW * number
        size = f"{job.nodes} x {job.cores // job.nodes}" if job.nodes > 1 else str(job.cores)
        yield _text(LEFT - 8, y + 9, f"{job.name}: {size} cores", anchor="end")
        yield _bar(axis, job.submitted_at, job.started_at, y, WAITING, 0.75)
        yield _bar(axis, job.started_at, job.ended_at, y, RUNNING)


def _legend() -> Iterator[str]:
    entries = [(WAITING, "waiting"), (RUNNING, "running"), (SUPPLY, "cores of nodes that are up"), *KINDS.values()]
    x = float(LEFT)
    for colour, word in entries:
        shape = f'y="{38 if colour != SUPPLY else 43}" height="{BAR if colour != SUPPLY else 2}"'
        yield f'<rect x="{x}" {shape} width="14" fill="{colour}"/>'
        yield _text(x + 19, 48, word)
        x += 40 + 6.2 * len(word)


def _bar(axis: _Axis, begin: float, end: float, y: float, colour: str, opacity: float = 1) -> str:
    x, width = axis.x(begin), max(0.0, round(axis.x(end) - axis.x(begin), 1))
    return f'<rect x="{x}" y="{y}" width="{width}" height="{BAR}" fill="{colour}" fill-opacity="{opacity}"/>'


def _heading(top: float, text: str) -> str:
    return _text(LEFT, top - 8, text, size=12, weight="bold")


def _text(
    x: float, y: float, text: str, fill: str = INK, *, anchor: str = "start", size: int = 11, weight: str = "normal"
) -> str:
    style = f'fill="{fill}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'
