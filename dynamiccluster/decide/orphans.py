"""Machines that carry our cluster id but belong to no node: settled, adopted, or swept.

* The launch is known and its reply was lost: the machine is bound by ``facts``; if nothing appears in time the
  launch is abandoned here.
* The launch is known and over: a late or left-over machine. It is swept after ``orphan_polls`` good lists.
* The launch is not known at all: our store was lost. It is adopted.

Machines without our cluster id never come this far: adapters only count them.
"""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.decide.draft import ENGINE, Draft, cloud_source
from dynamiccluster.decide.offers import offer_named
from dynamiccluster.decide.results import abandon, close
from dynamiccluster.model.action import Action, ActionKind, NodeSpec
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.host import HostState
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.launch import Launch, LaunchState
from dynamiccluster.model.view import CloudView
from dynamiccluster.model.worker_node import NodeState, WorkerNode

ENDED = frozenset({InstanceState.TERMINATING, InstanceState.GONE})


def settle(draft: Draft, *, act: bool) -> None:
    """Lost launches: repeated where that is idempotent (only with ``act``), abandoned when nothing appears."""
    for launch in list(draft.launches.values()):
        if launch.state is not LaunchState.OPEN:
            _forget_old(draft, launch)
            continue
        unsettled = [
            node
            for node in (draft.nodes.get(node_id) for node_id in launch.node_ids)
            if node and node.state in (NodeState.UNSETTLED, NodeState.REQUESTED)
        ]
        if not unsettled:
            if not any(action_id in draft.open_actions for action_id in _launch_actions(draft, launch)):
                close(draft, launch, LaunchState.SETTLED)
            continue
        if any(node.state is NodeState.REQUESTED or node.action_id for node in unsettled):
            continue
        _relaunch_or_wait(draft, launch, unsettled, act=act)


def _launch_actions(draft: Draft, launch: Launch) -> list[str]:
    return [draft.nodes[node_id].action_id for node_id in launch.node_ids if node_id in draft.nodes]


def _relaunch_or_wait(draft: Draft, launch: Launch, unsettled: list[WorkerNode], *, act: bool) -> None:
    view = draft.snapshot.clouds.get(launch.tenancy)
    rules = draft.policy.failure
    source = cloud_source(launch.tenancy)
    since_at = max(max(node.state_since_at, node.acted_at) for node in unsettled)  # of the last repeat
    if view is not None and view.started_at > since_at:
        missed = draft.miss(f"settle:{launch.launch_id}", source, view.started_at)
        if missed.count >= rules.settle_polls and draft.obs(source) - missed.since_obs >= rules.settle_s:
            abandon(draft, launch, f"its reply was lost and {missed.count} lists of the cloud do not show it")
            return
    key = f"relaunch:{launch.launch_id}"
    due_obs = draft.step_retry_obs.get(key)
    if launch.tenancy not in draft.policy.idempotent_clouds or due_obs is None or not act:
        return
    if len(unsettled) < len(launch.node_ids):
        return  # a repeat must be the same request, and some of its machines are settled already
    if due_obs > draft.obs(ENGINE):
        draft.wake(draft.now + due_obs - draft.obs(ENGINE))
        return
    del draft.step_retry_obs[key]
    if launch.resource in draft.policy.resources:
        action_id = draft.new_action_id()
        again = [draft.put(replace(draft.nodes[node.node_id], action_id=action_id)) for node in unsettled]
        request(draft, launch, again, action_id, "the first reply was lost")


def request(
    draft: Draft, launch: Launch, nodes: list[WorkerNode], action_id: str, reason: str, actor: str = "engine"
) -> None:
    """Issue (or repeat, under the same launch id) the request for the machines of one launch.

    The nodes carry ``action_id`` already.
    """
    draft.act(
        Action(
            action_id=action_id,
            kind=ActionKind.LAUNCH,
            reason=reason,
            actor=actor,
            created_at=draft.now,
            resource=launch.resource,
            tenancy=launch.tenancy,
            launch_id=launch.launch_id,
            specs=tuple(NodeSpec(node.node_id, node.host_name) for node in nodes),
            offer=launch.offer,
            whole=launch.whole,
        )
    )


def _forget_old(draft: Draft, launch: Launch) -> None:
    """Drop the memory of a launch when no late machine can come of it any more."""
    if draft.now - launch.closed_at > draft.policy.tombstone_s and not any(
        node_id in draft.nodes for node_id in launch.node_ids
    ):
        del draft.launches[launch.launch_id]
        draft.changed_launches.pop(launch.launch_id, None)
        draft.forgotten_launches.append(launch.launch_id)


def sweep_and_adopt(draft: Draft) -> None:
    """Deal with machines of ours that no node claims."""
    claimed = {node.instance_id for node in draft.nodes.values() if node.instance_id}
    waiting = {node.launch_id for node in draft.nodes.values() if not node.instance_id}
    unbound = {  # adopted by an operator by their host name, before their machines were seen
        (node.tenancy, node.host_name): node for node in draft.nodes.values() if node.adopted and not node.instance_id
    }
    seen: set[str] = set()
    for view in draft.snapshot.clouds.values():
        for instance in view.instances:
            if instance.instance_id in claimed or instance.state in ENDED:
                continue
            if instance.launch_id in waiting and _waits(draft, instance.node_id):
                continue  # will be bound to a node that still waits for it
            adopted = unbound.pop((view.tenancy, instance.host_name or instance.name), None)
            if adopted:
                draft.put(replace(adopted, instance_id=instance.instance_id, instance_name=instance.name))
                continue
            seen.add(f"orphan:{instance.instance_id}")
            _unclaimed(draft, view, instance)
    for key in [key for key in draft.misses if key.startswith("orphan:") and key not in seen]:
        del draft.misses[key]


def _waits(draft: Draft, node_id: str) -> bool:
    """Whether that node, or any node if the machine names none, may still be waiting for its machine."""
    return not node_id or (node_id in draft.nodes and not draft.nodes[node_id].instance_id)


def _unclaimed(draft: Draft, view: CloudView, instance: Instance) -> None:
    key = f"orphan:{instance.instance_id}"
    counted = draft.miss(key, cloud_source(view.tenancy), view.started_at)
    if counted.count < draft.policy.failure.orphan_polls:
        return
    launch = draft.launches.get(instance.launch_id)
    known = launch is not None and not (launch.adopted and instance.node_id not in launch.node_ids)
    if known and not _in_use(draft, instance):
        _sweep(draft, view, instance)
    else:
        _adopt(draft, view, instance)
        del draft.misses[key]


def _in_use(draft: Draft, instance: Instance) -> bool:
    """Whether the scheduler has a host of this name that no node of ours claims, up or with jobs: then the machine
    is adopted, held and removed like any other, however it came about."""
    name = instance.host_name or instance.name
    if any(node.host_name == name for node in draft.nodes.values()):
        return False
    host = draft.hosts.by_name.get(name)
    return name in draft.hosts.occupied or (host is not None and host.state is HostState.UP)


def _sweep(draft: Draft, view: CloudView, instance: Instance) -> None:
    """End a machine that nobody uses: its node is gone, and no other host of its name is in use."""
    retry = f"sweep:{instance.instance_id}"
    clock = draft.obs(ENGINE)
    if draft.step_retry_obs.get(retry, 0.0) > clock:
        return
    draft.step_retry_obs[retry] = clock + draft.policy.failure.step_retry_max_s
    why = f"machine {instance.instance_id} of launch {instance.launch_id}, which is over, showed up: swept"
    draft.event(EventKind.WARNING, why, resource=instance.resource)
    draft.act(
        Action(
            action_id=draft.new_action_id(),
            kind=ActionKind.TERMINATE,
            reason=why,
            created_at=draft.now,
            resource=instance.resource,
            tenancy=view.tenancy,
            launch_id=instance.launch_id,
            instance_id=instance.instance_id,
            instance_name=instance.name,
            host_name=instance.host_name,
            address=instance.address,
        )
    )


def _adopt(draft: Draft, view: CloudView, instance: Instance) -> None:
    node_id = instance.node_id if instance.node_id and instance.node_id not in draft.nodes else new_node_id(draft)
    node = WorkerNode(
        node_id=node_id,
        resource=instance.resource,
        tenancy=view.tenancy,
        launch_id=instance.launch_id or f"adopted-{node_id}",
        state=NodeState.STARTING,
        host_name=instance.host_name or instance.name,
        address=instance.address,
        instance_id=instance.instance_id,
        instance_name=instance.name,
        created_at=instance.created_at or draft.now,
        state_since_at=draft.now,
        state_since_obs=draft.obs(cloud_source(view.tenancy)),
        billed_from_at=instance.created_at or draft.now,
        adopted=True,
        reason="adopted: it carries our cluster id and our store does not know it",
        offer=offer_named(draft, instance.resource, view.tenancy, instance.offering),
    )
    take_in_adopted(draft, node, "engine")


def unclaimed_machine(draft: Draft, tenancy: str, host_name: str) -> str:
    """The instance id of the machine of this name that no node of ours claims; "" if there is none (yet)."""
    view = draft.snapshot.clouds.get(tenancy)
    claimed = {node.instance_id for node in draft.nodes.values()}
    for instance in view.instances if view else ():
        named = host_name in (instance.host_name, instance.name)
        if named and instance.instance_id not in claimed and instance.state not in ENDED:
            return instance.instance_id
    return ""


def take_in_adopted(draft: Draft, node: WorkerNode, actor: str) -> None:
    """Put a node into the books that no launch of ours has made, with a launch record that says so."""
    known = draft.launches.get(node.launch_id)
    draft.put_launch(
        Launch(
            launch_id=node.launch_id,
            resource=node.resource,
            tenancy=node.tenancy,
            node_ids=(*(known.node_ids if known else ()), node.node_id),
            state=LaunchState.SETTLED,
            requested_at=node.created_at,
            closed_at=draft.now,
            adopted=True,
        )
    )
    draft.put(node)
    draft.event(EventKind.NODE, node.reason, node=node, actor=actor, to_state=node.state)


def new_node_id(draft: Draft) -> str:
    """The next node id: this store's word and a serial number, eight characters for the first 1,048,576 nodes."""
    return new_node_ids(draft, 1)[0]


def new_node_ids(draft: Draft, count: int) -> list[str]:
    """The next ids. At once, because the memory is replaced each time (thousands of nodes in one decision)."""
    node_ids: list[str] = []
    if not count:
        return node_ids
    if draft.shown_ids is None:
        draft.shown_ids = _shown_ids(draft)
    serial = draft.memory.next_serial
    while len(node_ids) < count:
        node_id = f"{draft.memory.generation}{_base32(serial):0>4}"
        serial += 1
        if node_id not in draft.nodes and node_id not in draft.shown_ids:
            node_ids.append(node_id)
    draft.memory = replace(draft.memory, next_serial=serial)
    return node_ids


def _shown_ids(draft: Draft) -> frozenset[str]:
    """Ids of this store's word that machines and hosts bear: a store restored from a backup has forgotten them."""
    names = set(draft.hosts.by_name)
    for view in draft.snapshot.clouds.values():
        for instance in view.instances:
            names.update((instance.node_id, instance.name, instance.host_name, instance.launch_id))
    tails = {name.partition(".")[0].rpartition("-")[2] for name in names}
    return frozenset(tail for tail in tails if tail.startswith(draft.memory.generation))


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter that reads like another


def _base32(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 32)
        digits = _ALPHABET[digit] + digits
    return digits or "0"
