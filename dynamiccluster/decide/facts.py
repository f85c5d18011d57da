"""Facts: the three voices of every node, turned into events for the transition table.

What is *not* said changes nothing: a failed poll leaves the old view in place, and a view that started before our
last command on a node ended says nothing about that node. Nothing is believed gone at the first miss.
"""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide import breaker
from dynamiccluster.decide.draft import SCHEDULER, Draft, cloud_source
from dynamiccluster.decide.learned import learn
from dynamiccluster.decide.lifecycle import NodeEvent, age_s, apply
from dynamiccluster.decide.offers import given
from dynamiccluster.decide.switched import is_awaited, power_speaks
from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.occupancy import Hosts
from dynamiccluster.model.view import CloudView
from dynamiccluster.model.worker_node import COMING, WORKING, HoldWhy, NodeState, WorkerNode

_HOST_SPEAKS = frozenset(
    {
        NodeState.CONFIGURING,
        NodeState.JOINING,
        NodeState.IDLE,
        NodeState.BUSY,
        NodeState.HOLDING,
        NodeState.HELD,
        NodeState.DOWN,
        NodeState.FAILED,
        NodeState.EVACUATING,
    }
)
"""States in which the scheduler's word matters."""

_CLOUD_SPEAKS = frozenset(NodeState) - {
    NodeState.GONE,
    NodeState.FORGETTING,
    NodeState.FAILED,
    NodeState.EVACUATING,
    NodeState.REMOVING,
}
"""States in which the cloud's word matters; in the others the node is on its way out already."""


def take_in(draft: Draft) -> None:
    """Let both sources and the clock speak about every node."""
    hosts = draft.hosts
    instances = _bind_instances(draft)
    for node_id in list(draft.nodes):
        _cloud_speaks(draft, node_id, instances.get(node_id), hosts)
        if hosts.started_at and node_id in draft.nodes:
            _scheduler_speaks(draft, draft.nodes[node_id], hosts)
        if node_id in draft.nodes:
            _clock_speaks(draft, draft.nodes[node_id], hosts)


# -- the cloud ---------------------------------------------------------------------------------------


def _bind_instances(draft: Draft) -> dict[str, Instance]:
    """Which instance belongs to which node; what belongs to none goes to :mod:`decide.orphans`.

    Only a node's own tenancy speaks of its machine: ids of others may be the same, or older lists of the same account.
    What is gone is not a node's that waits for its machine: ids may be taken anew, and what they meant has ended.
    """
    by_instance = {(node.tenancy, node.instance_id): node.node_id for node in draft.nodes.values() if node.instance_id}
    bound: dict[str, Instance] = {}
    unnamed: list[Instance] = []
    for view in draft.snapshot.clouds.values():
        for instance in view.instances:
            node_id = by_instance.get((view.tenancy, instance.instance_id))
            named = draft.nodes.get(instance.node_id)
            if node_id is None and named is not None and not named.instance_id and named.tenancy == view.tenancy:
                if instance.state is InstanceState.GONE:
                    continue
                node_id = named.node_id
            if node_id is not None:
                bound[node_id] = instance
            elif not instance.node_id and instance.launch_id in draft.launches:
                unnamed.append(instance)
    for instance in unnamed:  # clouds without a tag per machine: any node of this launch that waits
        for node_id in draft.launches[instance.launch_id].node_ids:
            node = draft.nodes.get(node_id)
            if node and node.state is NodeState.UNSETTLED and not node.instance_id and node_id not in bound:
                bound[node_id] = instance
                break
    return bound


_WORD = {
    InstanceState.PENDING: NodeEvent.SEEN_PENDING,
    InstanceState.ACTIVE: NodeEvent.SEEN_ACTIVE,
    InstanceState.STOPPED: NodeEvent.SEEN_STOPPED,
    InstanceState.ERROR: NodeEvent.SEEN_ERROR,
    InstanceState.GONE: NodeEvent.SEEN_GONE,
}


def _cloud_speaks(draft: Draft, node_id: str, instance: Instance | None, hosts: Hosts) -> None:
    node = draft.nodes[node_id]
    if node.state not in _CLOUD_SPEAKS:
        return
    view = draft.snapshot.clouds.get(node.tenancy)
    if instance is None:
        if view is not None:
            _instance_missed(draft, node, view, hosts)
        return
    if draft.misses:
        draft.misses.pop(f"instance:{node_id}", None)
        if instance.state is not InstanceState.STOPPED:
            draft.misses.pop(f"stopped:{node_id}", None)
    if instance.state is InstanceState.ACTIVE and node.state in WORKING:
        return
    offer = given(draft, node, instance.offering) if node.state in COMING else node.offer
    new_address = bool(instance.address) and instance.address != node.address and node.state in COMING
    if not node.instance_id or new_address or offer is not node.offer:
        node = draft.put(
            replace(
                node,
                instance_id=instance.instance_id,
                instance_name=instance.name or node.instance_name,
                address=instance.address or node.address,
                host_name=instance.host_name or node.host_name,
                billed_from_at=node.billed_from_at or draft.now,
                offer=offer,
            )
        )
    word = _WORD.get(instance.state)
    if word is None:
        return  # TERMINATING and UNKNOWN: it exists and costs; wait for something definite
    if word is NodeEvent.SEEN_ACTIVE and node.state in (NodeState.REQUESTED, NodeState.UNSETTLED):
        node = apply(draft, node_id, word, f"found in the cloud's list as {instance.instance_id}")
    if word in (NodeEvent.SEEN_STOPPED, NodeEvent.SEEN_GONE, NodeEvent.SEEN_ERROR):
        why = f"the cloud says {instance.state}" + (f": {instance.fault}" if instance.fault else "")
        if word is NodeEvent.SEEN_STOPPED and view and _in_use(node) and not _really_stopped(draft, node, view, why):
            return
        _lost(draft, node, word, why, instance)
    else:
        apply(draft, node_id, word, f"the cloud says {instance.state}")


def _instance_missed(draft: Draft, node: WorkerNode, view: CloudView, hosts: Hosts) -> None:
    """Missing once is a rumour; missing often enough, long enough, and without another witness's denial is gone."""
    if not node.instance_id or view.started_at <= node.state_since_at:
        return
    rules = draft.policy.failure
    source = cloud_source(node.tenancy)
    missed = draft.miss(f"instance:{node.node_id}", source, view.started_at)
    if missed.count < rules.missing_polls:
        return
    long_enough = draft.obs(source) - missed.since_obs >= rules.missing_s
    if node.state is NodeState.TERMINATING:
        if long_enough or missed.count >= 2 * rules.missing_polls:
            apply(draft, node.node_id, NodeEvent.SEEN_GONE, f"gone: missing from {missed.count} lists after terminate")
    elif long_enough and not _host_denies(node, hosts):
        _lost(draft, node, NodeEvent.SEEN_GONE, f"missing from {missed.count} lists of the cloud")


def _host_denies(node: WorkerNode, hosts: Hosts) -> bool:
    """Whether the scheduler calls the host up: then the cloud's list alone is not believed."""
    return _in_use(node) and _is_up(node, hosts)


def _in_use(node: WorkerNode) -> bool:
    return node.state in WORKING or node.state in (NodeState.HOLDING, NodeState.HELD)


def _really_stopped(draft: Draft, node: WorkerNode, view: CloudView, why: str) -> bool:
    """Jobs may run there, and who says "stopped" may have asked in vain, or mean a pause of a minute: as with a machine
    that is missing, it takes several lists, some time, and no scheduler that calls the host up."""
    key, source, rules = f"stopped:{node.node_id}", cloud_source(node.tenancy), draft.policy.failure
    first = key not in draft.misses
    said = draft.miss(key, source, view.started_at)
    denied = _host_denies(node, draft.hosts)
    if first and denied:
        draft.event(EventKind.WARNING, f"{why}; the scheduler says that its host is up: left alone for now", node=node)
    return said.count >= rules.missing_polls and draft.obs(source) - said.since_obs >= rules.missing_s and not denied


def _lost(draft: Draft, node: WorkerNode, word: NodeEvent, why: str, instance: Instance | None = None) -> None:
    """A node is lost. On its way, that counts against its resource: as a refused launch where the cloud accepted the
    request and says afterwards that there was no room for it, else as a failure."""
    before = node.state
    after = apply(draft, node.node_id, word, why)
    if after.state is NodeState.FAILED and before is not NodeState.FAILED:
        draft.put(replace(after, dead=word is not NodeEvent.SEEN_ERROR))  # in error it may still be running
        if before not in COMING:
            return
        if instance is not None and instance.fault_class in (ErrorClass.CAPACITY, ErrorClass.QUOTA):
            resource = draft.resource(node.resource).offered(node.offer)
            breaker.launch_refused(draft, resource, instance.fault_class, why, instance.offering or resource.offering)
        else:
            breaker.failed(draft, node.resource, why)


# -- the scheduler -----------------------------------------------------------------------------------


def _scheduler_speaks(draft: Draft, node: WorkerNode, hosts: Hosts) -> None:
    if power_speaks(draft, node, hosts):
        return
    if node.state not in _HOST_SPEAKS or hosts.started_at <= node.acted_at or node.dead:
        return
    if node.state is NodeState.FAILED and node.hold_why is HoldWhy.DELETE:
        return  # an operator wants it gone: it is not rescued
    host = hosts.by_name.get(node.host_name)
    if node.state is NodeState.CONFIGURING:
        if host is not None:
            _added_after_all(draft, node)
        return
    if host is None:
        _host_missed(draft, node, hosts)
        return
    if draft.misses:
        draft.misses.pop(f"host:{node.node_id}", None)
    busy = hosts.busy(host)
    if busy and not node.first_job_at and not is_awaited(hosts, node.host_name):
        node = draft.put(replace(node, first_job_at=draft.now, starved_obs=None))
        breaker.worked(draft, node.resource)
        draft.nominations.pop(node.node_id, None)
    if host.state is HostState.DOWN:
        apply(draft, node.node_id, NodeEvent.HOST_DOWN, f"the scheduler says {host.detail or 'down'}")
        return
    if host.state is not HostState.UP:
        _silent(draft, node, busy=busy)
        return
    if draft.misses:
        draft.misses.pop(f"silent:{node.node_id}", None)
    if host.hold is None and node.state is (NodeState.BUSY if busy else NodeState.IDLE):
        return
    event, why = _usable_event(draft, node, host, busy)
    if event is None:
        return
    was = node.state
    node = apply(draft, node.node_id, event, why)
    if was is NodeState.JOINING and node.state in WORKING and host.hold is not None and host.hold.ours:
        draft.put(replace(node, todo=(ActionKind.RELEASE,)))
        node = draft.nodes[node.node_id]
    if was is NodeState.JOINING and node.state is not NodeState.JOINING:
        _joined(draft, node, host)


def _silent(draft: Draft, node: WorkerNode, *, busy: bool) -> None:
    """A node in use whose host is neither up nor down, and empty: after the soft down limit it counts as down."""
    if node.state not in WORKING or busy:
        return
    missed = draft.miss(f"silent:{node.node_id}", SCHEDULER, draft.hosts.started_at)
    silent_s = draft.obs(SCHEDULER) - missed.since_obs
    if silent_s >= draft.resource(node.resource).timers.down_s:
        draft.misses.pop(f"silent:{node.node_id}")
        apply(draft, node.node_id, NodeEvent.HOST_DOWN, f"has not answered the scheduler for {silent_s:.0f} s")


def _added_after_all(draft: Draft, node: WorkerNode) -> None:
    """The scheduler lists a host whose adding was never acknowledged: the step is done."""
    if node.todo[:1] == (ActionKind.HOST_ADD,) and node.attempts and not node.action_id:
        draft.put(replace(node, todo=node.todo[1:], attempts=0, retry_obs=0.0))


def _usable_event(draft: Draft, node: WorkerNode, host: Host, busy: bool) -> tuple[NodeEvent | None, str]:
    """What an up host means to its node. Hold marks count only when no command of ours is on its way."""
    settled = not node.action_id and not node.todo
    if host.hold is None and node.state is NodeState.DOWN and node.hold_why is not HoldWhy.NONE:
        return NodeEvent.HOST_HELD_BUSY, f"back, and still to be held ({node.hold_why})"
    if host.hold is None:
        if node.state in (NodeState.HOLDING, NodeState.HELD):
            if not settled or not node.hold_confirmed_at:
                return None, ""
            missed = draft.miss(f"unheld:{node.node_id}", SCHEDULER, hosts_view_at(draft))
            if missed.count < draft.policy.failure.host_missing_polls:
                return None, ""
            draft.misses.pop(f"unheld:{node.node_id}")
            return NodeEvent.HOST_UNHELD, "somebody released it"
        return (NodeEvent.HOST_BUSY, "jobs run on it") if busy else (NodeEvent.HOST_IDLE, "usable, no jobs")
    draft.misses.pop(f"unheld:{node.node_id}", None)
    if not host.hold.ours:
        if node.state in WORKING:
            return (NodeEvent.HOST_BUSY, "jobs run on it") if busy else (NodeEvent.HOST_IDLE, "no jobs")
        return NodeEvent.HOST_HELD_BY_OTHER, f"held by {host.hold.who or 'somebody else'}: {host.hold.mark}"
    if not settled:
        return None, ""
    if node.state is NodeState.HOLDING and not node.hold_confirmed_at:
        return None, ""
    if node.state is NodeState.JOINING and not node.adopted:
        # nobody has asked for this hold: it was meant for an earlier node of the same name
        return NodeEvent.HOST_BUSY if busy else NodeEvent.HOST_IDLE, "usable, but for a mark of a former node"
    if busy:
        return NodeEvent.HOST_HELD_BUSY, "held, jobs still run on it"
    return NodeEvent.HOST_HELD_EMPTY, "held, and a later view shows it empty"


def hosts_view_at(draft: Draft) -> float:
    """``started_at`` of the scheduler's view; 0 if there is none."""
    return draft.snapshot.scheduler.started_at if draft.snapshot.scheduler else 0.0


def _host_missed(draft: Draft, node: WorkerNode, hosts: Hosts) -> None:
    if node.state is NodeState.FAILED or node.action_id or node.todo:
        return
    if node.host_name in hosts.occupied:
        return  # the job list has it: its record was odd, or left out
    missed = draft.miss(f"host:{node.node_id}", SCHEDULER, hosts.started_at)
    if missed.count >= draft.policy.failure.host_missing_polls:
        draft.misses.pop(f"host:{node.node_id}")
        apply(draft, node.node_id, NodeEvent.HOST_MISSING, f"missing from {missed.count} host lists of the scheduler")


def _joined(draft: Draft, node: WorkerNode, host: Host) -> None:
    """First time usable: the resource works, and what the node really has is learnt."""
    took_s = draft.now - node.created_at
    first = node.joined_at == 0.0
    draft.put(
        replace(
            node,
            joined_at=node.joined_at or draft.now,
            joined_obs=node.joined_obs if not first else draft.obs(SCHEDULER),
        )
    )
    breaker.succeeded(draft, node.resource)
    if first and not node.adopted:
        draft.event(EventKind.NODE, f"joined {took_s:.0f} s after its launch was decided", node=node)
    nomination = draft.nominations.get(node.node_id)
    if nomination and nomination.until_obs == 0.0:
        draft.nominations[node.node_id] = replace(
            nomination, until_obs=draft.obs(SCHEDULER) + draft.policy.nomination_s
        )
    known = draft.policy.resources.get(node.resource)
    if known and host.total.cores > 0 and host.total.memory_mib > 0:
        learn(draft, known.offered(node.offer), host.total)


# -- the clock ---------------------------------------------------------------------------------------


def _clock_speaks(draft: Draft, node: WorkerNode, hosts: Hosts) -> None:
    if node.state in WORKING:
        return  # most nodes, and without a deadline
    limit_s = deadline_s(draft, node, hosts)
    if limit_s is None:
        return
    if age_s(draft, node) < limit_s:
        return
    match node.state:
        case NodeState.CONFIGURING | NodeState.JOINING if _is_about_to_join(node, hosts):
            return
        case NodeState.STARTING | NodeState.CONFIGURING | NodeState.JOINING:
            host = hosts.by_name.get(node.host_name)
            says = f"; the scheduler says {host.detail}" if host is not None and host.detail else ""
            why = f"not usable in time ({node.state} for {age_s(draft, node):.0f} observed seconds{says})"
            apply(draft, node.node_id, NodeEvent.DEADLINE, why)
            breaker.failed(draft, node.resource, why)
        case NodeState.DOWN:
            why = f"down for {age_s(draft, node):.0f} observed seconds"
            apply(draft, node.node_id, NodeEvent.DEADLINE, why)
        case _:
            why = f"still there {age_s(draft, node):.0f} observed seconds after terminate: asked again"
            apply(draft, node.node_id, NodeEvent.DEADLINE, why)


def _is_about_to_join(node: WorkerNode, hosts: Hosts) -> bool:
    busy = node.host_name in hosts.occupied and not is_awaited(hosts, node.host_name)
    return busy or _is_up(node, hosts)


def _is_up(node: WorkerNode, hosts: Hosts) -> bool:
    host = hosts.by_name.get(node.host_name)
    return host is not None and host.state is HostState.UP


def deadline_s(draft: Draft, node: WorkerNode, hosts: Hosts) -> float | None:
    """How many observed seconds the node may stay in its state; ``None`` = as long as it takes."""
    timers = draft.resource(node.resource).timers
    match node.state:
        case NodeState.STARTING:
            left_s = timers.launch_s - node.launch_spent_s
            return min(left_s, timers.boot_s) if timers.boot_s > 0 else left_s
        case NodeState.CONFIGURING | NodeState.JOINING:
            return timers.launch_s - node.launch_spent_s
        case NodeState.DOWN:
            host = hosts.by_name.get(node.host_name)
            if node.hold_why in (HoldWhy.OPERATOR, HoldWhy.VACATE) or (host and host.hold and not host.hold.ours):
                return None  # somebody works on it
            if host is not None and host.state is not HostState.DOWN:
                return None  # unknown is left alone
            return timers.down_hard_s if node.host_name in hosts.occupied else timers.down_s
        case NodeState.TERMINATING:
            return timers.terminate_s if not node.todo and not node.action_id else None
        case _:
            return None
