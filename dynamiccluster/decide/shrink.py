"""Shrinking: which nodes are let go, and never one that runs a job or is about to.

A node leaves in steps, each proven before the next: idle long enough and not wanted -> held -> a view started
later shows it held and empty -> out of the scheduler -> terminated -> confirmed gone.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from dynamiccluster.decide import breaker
from dynamiccluster.decide.draft import ENGINE, SCHEDULER, Draft
from dynamiccluster.decide.grow import Need
from dynamiccluster.decide.lifecycle import NodeEvent, apply
from dynamiccluster.decide.switched import is_awaited
from dynamiccluster.model.host import Host
from dynamiccluster.model.resource import Provisioning, Resource, ResourceFlag
from dynamiccluster.model.worker_node import WORKING, HoldWhy, NodeState, WorkerNode

GOES_ON = frozenset({HoldWhy.SCALE_DOWN, HoldWhy.DRAIN, HoldWhy.DELETE, HoldWhy.FAULT, HoldWhy.RECLAIM, HoldWhy.RISK})
"""Holds that end in removal once the node is shown empty."""


BY_HAND = frozenset({HoldWhy.DELETE, HoldWhy.DRAIN, HoldWhy.RECLAIM, HoldWhy.RISK})
"""Those that do so with automatic mode off, too: an operator or the cloud has decided."""

DRAINS = frozenset({ResourceFlag.DRAINING, ResourceFlag.DRAINED})


def shrink(draft: Draft, need: Need) -> None:
    """Everything that makes nodes leave, in automatic mode."""
    _finish_holds(draft)
    _black_holes(draft, need)
    _drain(draft)
    _idle(draft, need)


def finish_in_manual_mode(draft: Draft) -> None:
    """With ``auto_mode`` off, only what an operator has asked for goes on."""
    for node in list(draft.nodes.values()):
        if node.state is NodeState.HELD and node.hold_why in BY_HAND:
            _finish_hold(draft, node)
        elif node.hold_why in (HoldWhy.SCALE_DOWN, HoldWhy.FAULT) and (
            node.state is NodeState.HELD or (node.state is NodeState.HOLDING and node.hold_confirmed_at)
        ):
            apply(draft, node.node_id, NodeEvent.RECALL, "automatic mode is off: released")
    _drain(draft, by_hand=True)
    clean_up_failed(draft, by_hand=True)


def clean_up_failed(draft: Draft, *, by_hand: bool = False) -> None:
    """Failed nodes leave: the jobs of one that the cloud or the scheduler calls dead go first, as configured.

    Only on a view that is later than the last try. ``by_hand``: only those that an operator wants deleted.
    """
    clock = draft.obs(ENGINE)
    for node in list(draft.nodes.values()):
        if node.state is not NodeState.FAILED or node.retry_obs > clock:
            continue
        if draft.hosts.started_at <= node.acted_at or (by_hand and node.hold_why is not HoldWhy.DELETE):
            continue
        dead = node.dead or draft.hosts.is_down(node.host_name)
        if is_awaited(draft.hosts, node.host_name):
            apply(draft, node.node_id, NodeEvent.REMOVE, node.reason)  # no job has begun there
        elif dead and draft.hosts.jobs_on(node.host_name):
            apply(draft, node.node_id, NodeEvent.EVACUATE, node.reason)
        elif dead or node.host_name not in draft.hosts.occupied:
            apply(draft, node.node_id, NodeEvent.REMOVE, node.reason)
        # else: the job list has work on it though it does not look alive: left alone until that is settled


def _finish_holds(draft: Draft) -> None:
    for node in list(draft.nodes.values()):
        if node.hold_why not in GOES_ON:
            continue
        if node.state is NodeState.HELD:
            _finish_hold(draft, node)
        elif node.state is NodeState.HOLDING and node.hold_why is HoldWhy.SCALE_DOWN and _has_work(draft, node):
            apply(draft, node.node_id, NodeEvent.RECALL, "a job was there first: released")


def _finish_hold(draft: Draft, node: WorkerNode) -> None:
    """A node shown held and empty goes, unless the reason for it is gone or the present view has work on it."""
    if node.hold_why is HoldWhy.DRAIN and draft.flag(node.resource) not in DRAINS:
        apply(draft, node.node_id, NodeEvent.RECALL, f"resource {node.resource} does not drain any more: released")
    elif node.host_name not in draft.hosts.occupied:
        apply(draft, node.node_id, NodeEvent.REMOVE, f"held and empty ({node.hold_why})")


def _has_work(draft: Draft, node: WorkerNode) -> bool:
    """Whether a view started after the hold was confirmed shows work on the node."""
    if not node.hold_confirmed_at or draft.hosts.started_at <= node.acted_at or node.action_id or node.todo:
        return False
    return node.host_name in draft.hosts.occupied


def _black_holes(draft: Draft, need: Need) -> None:
    """Nodes that are up and never get a job although jobs that fit them wait."""
    clock = draft.obs(SCHEDULER)
    for node in list(draft.nodes.values()):
        if node.state is not NodeState.IDLE or node.first_job_at or not node.joined_at:
            continue
        if node.tenancy not in draft.snapshot.clouds:
            continue
        resource = draft.resource(node.resource)
        limit_s = resource.timers.first_job_s
        if limit_s <= 0 or resource.provisioning is Provisioning.SCHEDULER:
            continue
        if node.node_id not in need.startable:  # what waits for the rest of a gang does not starve
            if node.starved_obs is not None:
                draft.put(replace(node, starved_obs=None))
        elif node.starved_obs is None:
            draft.put(replace(node, starved_obs=clock))
        elif clock - node.starved_obs >= limit_s:
            why = f"never got a job in {limit_s:.0f} s although jobs that fit it wait"
            apply(draft, node.node_id, NodeEvent.USELESS, why)
            breaker.failed(draft, node.resource, why, useless=True)


def _drain(draft: Draft, *, by_hand: bool = False) -> None:
    """Resources that drain, and nodes whose resource has left the configuration (``by_hand``: not these).

    A node that somebody else holds, or of which no view tells after our last command, is tried again later.
    """
    for node in list(draft.nodes.values()):
        if node.state not in WORKING or draft.flag(node.resource) is not ResourceFlag.DRAINING:
            continue
        if by_hand and node.resource not in draft.overrides:
            continue
        host = draft.hosts.by_name.get(node.host_name)
        if host is None or (host.hold and not host.hold.ours) or draft.hosts.started_at <= node.acted_at:
            continue
        if node.action_id or node.todo or node.tenancy not in draft.snapshot.clouds:
            continue  # without its cloud it could be taken out, but not ended
        apply(draft, node.node_id, NodeEvent.DRAIN, f"resource {node.resource} drains")
    counts: dict[str, int] = {}
    for node in draft.nodes.values():
        counts[node.resource] = counts.get(node.resource, 0) + 1
    for name, override in list(draft.overrides.items()):
        if override.flag is ResourceFlag.DRAINING and not counts.get(name):
            draft.overrides[name] = replace(override, flag=ResourceFlag.DRAINED)


def _idle(draft: Draft, need: Need) -> None:
    """Nodes idle for too long and wanted by nobody; the longest idle go first, never below the minimum."""
    hosts = draft.hosts
    if not hosts.started_at:
        return
    clock = draft.obs(SCHEDULER)
    waiting = _Waiting(draft, need)
    ready: dict[str, list[tuple[float, WorkerNode]]] = {}
    working: dict[str, int] = {}
    for node in draft.nodes.values():
        if node.state not in WORKING:
            continue
        working[node.resource] = working.get(node.resource, 0) + 1
        if node.state is not NodeState.IDLE or node.idle_since_obs is None or node.action_id or node.todo:
            continue
        if hosts.started_at <= node.acted_at or node.tenancy not in draft.snapshot.clouds:
            continue  # without its cloud it could be taken out, but not ended
        host = hosts.by_name.get(node.host_name)
        if host is None or host.hold is not None or host.kept or hosts.busy(host):
            continue  # an operator's own mark is left alone
        if node.node_id in need.wanted or _nominated(draft, node, clock, waiting):
            continue
        resource = draft.resource(node.resource)
        if resource.provisioning is Provisioning.SCHEDULER:
            continue  # it switches them off itself
        if _idle_left_s(node, host, resource, clock) <= 0:
            ready.setdefault(node.resource, []).append((node.idle_since_obs, node))
    for name, idle in ready.items():
        idle.sort(key=lambda entry: (entry[0], entry[1].node_id))
        for since_obs, node in idle[: max(0, working[name] - draft.resource(name).min_nodes)]:
            apply(draft, node.node_id, NodeEvent.SHRINK, f"idle for {clock - since_obs:.0f} s, no waiting job fits it")


class _Waiting:
    """Ids of the waiting jobs, gathered only if an idle node is nominated at all."""

    def __init__(self, draft: Draft, need: Need) -> None:
        self._draft = draft
        self._need = need

    @cached_property
    def job_ids(self) -> frozenset[str]:
        return frozenset(job.job_id for group in self._need.groups for job in group.jobs)

    @cached_property
    def incomplete(self) -> frozenset[str]:
        """Jobs some of whose nodes are not usable (yet, or any more)."""
        nodes, nominations = self._draft.nodes, self._draft.nominations
        return frozenset(
            nomination.job_id for node_id, nomination in nominations.items() if nodes[node_id].state not in WORKING
        )


def _nominated(draft: Draft, node: WorkerNode, clock: float, waiting: _Waiting) -> bool:
    """Whether the node is still kept for the job it was bought for.

    While that job waits: for a limited time from joining, and as long as other nodes of its gang are on their way or
    have failed and are being replaced.
    """
    nomination = draft.nominations.get(node.node_id)
    if nomination is None:
        return False
    in_time = nomination.until_obs == 0.0 or clock < nomination.until_obs
    if nomination.job_id in waiting.job_ids and (in_time or nomination.job_id in waiting.incomplete):
        return True
    del draft.nominations[node.node_id]
    return False


def _idle_left_s(node: WorkerNode, host: Host, resource: Resource, clock: float) -> float:
    """Observed seconds until the node may go: idle limit of resource and queues, and minimum lifetime."""
    limit_s = idle_limit_s(resource, host.queues or resource.queues)
    idle_left_s = limit_s - (clock - (node.idle_since_obs or 0.0))
    life_left_s = resource.timers.min_lifetime_s - (clock - node.joined_obs)
    return max(idle_left_s, life_left_s)


def idle_limit_s(resource: Resource, queues: frozenset[str]) -> float:
    """The idle limit of a node: the longest of those of its queues, else its resource's."""
    served = queues | ({resource.reservation.queue} if resource.reservation.queue else frozenset())
    limits = [limit_s for queue, limit_s in resource.queue_idle_s if queue in served]
    return max(limits, default=resource.timers.idle_s)
