"""Notices: what clouds, or agents on machines, say is about to happen to a machine.

A machine that will be taken away gets no new jobs, its jobs are requeued while there is time, nodes for them are
launched at once, and its offering is left alone for a while. One that is only at risk is drained where the resource
says so.
"""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide import breaker, interruptions
from dynamiccluster.decide.draft import ENGINE, Draft
from dynamiccluster.decide.lifecycle import Answer, NodeEvent, age_s, answer, apply
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.job import OCCUPYING, JobState, Wait
from dynamiccluster.model.offer import Notice, NoticeKind
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.model.worker_node import HoldWhy, NodeState, WorkerNode

KEPT_S = 86400.0
"""How long a notice is known of a machine that is still there: clouds repeat them until the machine is gone."""

EARLY = "early "
"""Before the key of a reclaim that came while there was nothing to be done about it: the node was down, or not bound to
its machine yet. It is heeded as soon as there is."""

EARLY_S = 900.0
"""How long: reclaims come true within minutes."""

DISPLACED_S = 600.0
"""How long nodes are launched for the jobs of a machine that is to be taken away, while they still run there."""


def take_in(draft: Draft) -> None:
    """Notices of the clouds' last views; each counts once."""
    _forget_old(draft)
    _heed_early(draft)
    by_instance = {node.instance_id: node for node in draft.nodes.values() if node.instance_id}
    for view in draft.snapshot.clouds.values():
        for notice in view.notices:
            node = by_instance.get(notice.instance_id)
            if node is not None and node.tenancy == view.tenancy:
                noticed(draft, draft.nodes[node.node_id], notice)


def noticed(draft: Draft, node: WorkerNode, notice: Notice, actor: str = "engine") -> bool:
    """Act on a notice about a node; ``False`` if it was known already."""
    key = f"{notice.kind} {node.node_id}"
    if key in draft.memory.noticed:
        return False
    first = EARLY + key not in draft.memory.noticed
    early = notice.kind is NoticeKind.RECLAIM and answer(node.state, NodeEvent.RECLAIM) is Answer.IGNORE
    _remember(draft, EARLY + key if early else key)
    if not first:
        return False
    left_s = notice.due_at - draft.now
    due = f" in {left_s:.0f} s" if notice.due_at and left_s > 0 else ""
    if notice.kind is NoticeKind.RECLAIM:
        _reclaimed(draft, node, notice, f"its cloud takes it away{due}", actor)
        return True
    why = "its cloud says that it may be taken away soon"
    if draft.resource(node.resource).drain_at_risk:
        apply(draft, node.node_id, NodeEvent.AT_RISK, why, actor=actor)
    else:
        draft.event(EventKind.NODE, f"{why}; it is kept", node=node, actor=actor)
    return True


def _heed_early(draft: Draft) -> None:
    """Reclaims of nodes about which something can be done by now."""
    for key in [key for key in draft.memory.noticed if key.startswith(EARLY)]:
        kind, _, node_id = key.removeprefix(EARLY).partition(" ")
        if answer(draft.nodes[node_id].state, NodeEvent.RECLAIM) is not Answer.IGNORE:
            _remember(draft, f"{kind} {node_id}")
            draft.memory = replace(
                draft.memory, noticed={known: at for known, at in draft.memory.noticed.items() if known != key}
            )
            apply(draft, node_id, NodeEvent.RECLAIM, "its cloud takes it away, as it has said")


def _remember(draft: Draft, key: str) -> None:
    draft.memory = replace(draft.memory, noticed={**draft.memory.noticed, key: draft.obs(ENGINE)})


def _reclaimed(draft: Draft, node: WorkerNode, notice: Notice, why: str, actor: str) -> None:
    resource = draft.resource(node.resource).offered(node.offer)
    offering = notice.offering or resource.offering
    if offering:
        interruptions.interrupted(draft, offering)
        age_s = draft.now - (node.billed_from_at or node.created_at)
        breaker.reclaimed(draft, resource, offering, age_s)
    apply(draft, node.node_id, NodeEvent.RECLAIM, why, actor=actor)


def with_displaced(draft: Draft) -> SchedulerView | None:
    """The scheduler's view in which jobs that will lose all their hosts wait again: nodes for them take minutes, and
    so they are launched before the jobs are requeued. Jobs that keep some of their hosts are left until they wait.

    Not for ever: a job that cannot be moved, on a machine that is not taken away after all, needs no other node.
    """
    view = draft.snapshot.scheduler
    leaving = {
        node.host_name
        for node in draft.nodes.values()
        if node.hold_why is HoldWhy.RECLAIM and node.state is NodeState.HOLDING and age_s(draft, node) < DISPLACED_S
    }
    if view is None or not leaving:
        return view
    jobs = tuple(
        replace(job, state=JobState.PENDING, wait=Wait.HELPS, hosts=())
        if job.hosts and job.state in OCCUPYING and leaving.issuperset(job.hosts)
        else job
        for job in view.jobs
    )
    return replace(view, jobs=jobs)


def _forget_old(draft: Draft) -> None:
    clock, known = draft.obs(ENGINE), draft.memory.noticed
    kept = {
        key: at
        for key, at in known.items()
        if key.rpartition(" ")[2] in draft.nodes and clock - at < (EARLY_S if key.startswith(EARLY) else KEPT_S)
    }  # a node that stays a day after the notice was not meant
    if len(kept) != len(known):
        draft.memory = replace(draft.memory, noticed=kept)
