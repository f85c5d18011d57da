"""Nodes that are lost while jobs run on them. Pure.

The list of what needs attention shows the present, where such a node is seldom seen with its jobs: the scheduler puts
them back into the queue when it calls the node down, and a machine that its cloud calls gone is cleaned up within one
decision. So what ran where at the last look is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dynamiccluster.engine.attention import Attention, node_lost
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.model.worker_node import NodeState

LOST = frozenset({NodeState.DOWN, NodeState.FAILED, NodeState.EVACUATING, NodeState.QUARANTINED})
LEAVING = frozenset({NodeState.REMOVING, NodeState.TERMINATING, NodeState.FORGETTING})

SHOWN_S = 600.0
"""How long a node that has left is still shown as lost: its jobs begin again elsewhere, and somebody may wonder why."""


@dataclass(frozen=True, slots=True)
class LostNodes:
    """What is known of earlier looks. Replaced by each."""

    working: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # node -> its jobs when it last was well
    lost: Mapping[str, Attention] = field(default_factory=dict)

    def look(self, model: ReadModel, now: float, found: Iterable[Attention]) -> tuple[LostNodes, tuple[Attention, ...]]:
        """What is known now, and what needs attention: ``found`` and the nodes that are lost."""
        working, lost = {}, dict(self.lost)
        for node_id, node in model.snapshot.nodes.items():
            jobs = self.working.get(node_id, ())
            if node.state in LOST or (node.state in LEAVING and node.dead):
                if jobs and node_id not in lost:
                    lost[node_id] = node_lost(node, jobs, "was lost", now)
                working[node_id] = jobs
            elif node.state not in LEAVING:
                lost.pop(node_id, None)  # it came back
                working[node_id] = model.jobs_by_host.get(node.host_name, ())
        for node_id, one in self.lost.items():
            if node_id not in model.snapshot.nodes and now - one.since_at >= SHOWN_S:
                del lost[node_id]
        known = {node_id: jobs for node_id, jobs in working.items() if jobs}
        by_key = {one.key: one for one in (*lost.values(), *found)}
        return replace(self, working=known, lost=lost), tuple(by_key.values())
