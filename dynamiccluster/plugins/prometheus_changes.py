"""What has happened between two read models: nodes asked for, joined, ended unused; jobs that have begun."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.job import JobState
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.model.worker_node import NodeState, WorkerNode

BEGUN = frozenset({JobState.RUNNING, JobState.SUSPENDED, JobState.COMPLETING, JobState.DONE})


@dataclass(frozen=True, slots=True)
class NodeChanges:
    """Resource names, and seconds from request to use."""

    launched: tuple[str, ...] = ()
    never_joined: tuple[str, ...] = ()
    joined: tuple[tuple[str, float], ...] = ()


@dataclass
class NodeWatch:
    """Compares the worker nodes of each read model with the last one's. The first look counts nothing."""

    before: Mapping[str, WorkerNode] | None = None

    def look(self, readmodel: ReadModel) -> NodeChanges:
        now, before = readmodel.snapshot.nodes, self.before
        if not readmodel.tick:
            return NodeChanges()  # what the store knew is not in it yet
        self.before = now
        if before is None or now is before:
            return NodeChanges()
        fresh = [node for node_id, node in now.items() if node_id not in before and not node.adopted]
        left = [node for node_id, node in before.items() if _gone(now.get(node_id)) and not _gone(node)]
        return NodeChanges(
            launched=tuple(node.resource for node in fresh),
            never_joined=tuple(node.resource for node in left if not node.joined_at and not node.adopted),
            joined=tuple(
                (node.resource, node.joined_at - node.created_at)
                for node_id, node in now.items()
                if node.joined_at and not node.adopted and not (node_id in before and before[node_id].joined_at)
            ),
        )


def _gone(node: WorkerNode | None) -> bool:
    return node is None or node.state is NodeState.GONE


@dataclass
class JobWatch:
    """Finds jobs that have begun. Cost: one look at each job of a new view, so it belongs in a thread.

    Jobs that begin and are forgotten by the scheduler between two looks are not seen.
    """

    begun: frozenset[str] | None = None
    view: SchedulerView | None = field(default=None, repr=False)

    def look(self, readmodel: ReadModel) -> Iterator[tuple[str, float]]:
        """First queue and waiting time (s) of each record that has begun since the last look."""
        view = readmodel.snapshot.scheduler
        if view is None or view is self.view:
            return
        self.view = view
        known, found = self.begun, []
        self.begun = frozenset(job.job_id for job in view.jobs if job.state in BEGUN)
        if known is not None:
            found = [job for job in view.jobs if job.job_id in self.begun and job.job_id not in known]
        for job in found:
            if job.submitted_at and job.started_at >= job.submitted_at:
                yield (job.shape.queues[0] if job.shape.queues else ""), job.started_at - job.submitted_at
