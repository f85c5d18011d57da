"""Lists of nodes and jobs: filtered, searched, sorted, and cut into pages."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.model.worker_node import ORIGINAL_NAME, ORIGINAL_NUMBER, WorkerNode

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted; empty filters let everything pass."""

    states: frozenset[str] = frozenset()
    wait: str = ""
    resource: str = ""
    user: str = ""
    queue: str = ""
    account: str = ""
    text: str = ""  # lower case, to be found in any of the searched fields
    sort: str = ""  # a field, "-" before it: downwards; "": by id


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of the rows: from ``offset``, or after the row with the id ``after``."""

    limit: int = 500
    offset: int = 0
    after: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    rows: Sequence[T]
    counts: Mapping[str, int]
    total: int  # that match
    next: str  # goes into ``after``; "" = no more


def page(found: Found[T], window: Window, name: Callable[[T], str], key: Callable[[str], Any]) -> Page[T]:
    """The rows must be in the order of ids where ``after`` is used."""
    rows, start = found.rows, window.offset
    if window.after:
        start = bisect.bisect_right(rows, key(window.after), key=lambda row: key(name(row)))
    part = rows[start : start + window.limit]
    more = bool(part) and start + len(part) < len(rows)
    return Page(part, found.counts, len(rows), name(part[-1]) if more else "")


def by_name(text: str) -> str:
    return text


def by_count(text: str) -> tuple[int, str]:
    """Ids as people count (9 before 10), array records beside each other."""
    return len(text) - len(text.lstrip("0123456789")), text


# --- nodes ------------------------------------------------------------------------------------------------

Key = Callable[[ReadModel, Any], Any]


def _used_cores(model: ReadModel, node: WorkerNode) -> int:
    host = model.hosts_by_name.get(node.host_name)
    return host.used.cores if host else 0


def _price(model: ReadModel, node: WorkerNode) -> float:
    return model.price_of(node)


NODE_SORTS: Mapping[str, Key] = {
    "node_id": lambda _, node: node.node_id,
    "host_name": lambda _, node: node.host_name,
    "resource": lambda _, node: node.resource,
    "state": lambda _, node: (ORIGINAL_NUMBER[node.state], node.state.value),
    "state_since_at": lambda _, node: node.state_since_at,
    "address": lambda _, node: node.address,
    "cores": lambda model, node: model.capacity_of(node).cores,
    "used_cores": _used_cores,
    "price_per_hour": _price,
    "created_at": lambda _, node: node.created_at,
    "instance_name": lambda _, node: node.instance_name,
    "jobs": lambda model, node: len(model.jobs_by_host.get(node.host_name, ())),
}


def state_words(node: WorkerNode) -> frozenset[str]:
    """Our state, and the original's by name and number."""
    number = ORIGINAL_NUMBER[node.state]
    return frozenset({node.state.value, str(number), ORIGINAL_NAME[number].lower()})


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """All rows that match, sorted; and how many there are in each state when the wanted states are left out."""

    rows: Sequence[T]
    counts: Mapping[str, int]


def nodes(model: ReadModel, wanted: Wanted) -> Found[WorkerNode]:
    found = model.once("nodes by id", lambda: sorted(model.snapshot.nodes.values(), key=lambda node: node.node_id))
    if wanted.resource:
        found = [node for node in found if node.resource == wanted.resource]
    if wanted.text:
        found = [node for node in found if wanted.text in _node_text(node)]
    if wanted.resource or wanted.text:
        counts: Mapping[str, int] = Counter(node.state.value for node in found)
    else:
        counts = model.nodes_by_state
    if wanted.states:
        found = [node for node in found if wanted.states & state_words(node)]
    return Found(_sorted(model, found, wanted.sort, NODE_SORTS), counts)


def _node_text(node: WorkerNode) -> str:
    parts = (node.node_id, node.host_name, node.address, node.instance_id, node.instance_name, node.resource)
    return "\n".join(parts).lower()


# --- jobs -------------------------------------------------------------------------------------------------

JOB_SORTS: Mapping[str, Key] = {
    "job_id": lambda _, job: by_count(job.job_id),
    "name": lambda _, job: job.name,
    "user": lambda _, job: job.user,
    "state": lambda _, job: job.state.value,
    "wait": lambda _, job: job.wait.value,
    "priority": lambda _, job: job.priority,
    "queue": lambda _, job: job.shape.queues,
    "account": lambda _, job: job.shape.account,
    "cores": lambda _, job: job.shape.cores,
    "memory": lambda _, job: job.shape.chunk.memory_mib * max(1, job.shape.chunks),
    "walltime": lambda _, job: job.shape.walltime_s,
    "submitted_at": lambda _, job: job.submitted_at,
}


def jobs(model: ReadModel, wanted: Wanted) -> Found[Job]:
    view = model.snapshot.scheduler
    everything = model.once(
        "jobs by id", lambda: sorted(view.jobs if view else (), key=lambda job: by_count(job.job_id))
    )
    found = everything
    if wanted.user:
        found = [job for job in found if job.user == wanted.user]
    if wanted.queue:
        found = [job for job in found if wanted.queue in job.shape.queues]
    if wanted.account:
        found = [job for job in found if job.shape.account == wanted.account]
    if wanted.wait:
        found = [job for job in found if job.state is JobState.PENDING and job.wait.value == wanted.wait]
    if wanted.text:
        found = [job for job in found if wanted.text in _job_text(job)]
    counts = model.jobs_by_state if found is everything else Counter(job.state.value for job in found)
    if wanted.states:
        found = [job for job in found if job.state.value in wanted.states]
    return Found(_sorted(model, found, wanted.sort, JOB_SORTS), counts)


def _job_text(job: Job) -> str:
    return "\n".join((job.job_id, job.name, job.user, job.shape.account, job.reason, *job.shape.queues)).lower()


def _sorted(model: ReadModel, rows: Sequence[T], sort: str, sorts: Mapping[str, Key]) -> Sequence[T]:
    """``rows`` come in the order of their ids; those that are equal in the wanted order keep it."""
    if not sort:
        return rows
    key = sorts[sort.removeprefix("-")]
    return sorted(rows, key=lambda row: key(model, row), reverse=sort.startswith("-"))
