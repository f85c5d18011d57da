"""Operators' commands: checked against the present picture, turned into events of the transition table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dynamiccluster.decide import breaker, learned, notices
from dynamiccluster.decide.draft import SCHEDULER, Draft
from dynamiccluster.decide.explain import SENTENCES
from dynamiccluster.decide.launch import launch
from dynamiccluster.decide.lifecycle import NodeEvent, apply
from dynamiccluster.decide.limits import open_ledger
from dynamiccluster.decide.menus import kind_to_launch
from dynamiccluster.decide.orphans import new_node_id, take_in_adopted, unclaimed_machine
from dynamiccluster.model.command import Command, CommandKind, CommandReply, ReplyCode
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.memory import Override
from dynamiccluster.model.offer import Notice, NoticeKind
from dynamiccluster.model.plan import Refusal
from dynamiccluster.model.resource import Provisioning, Resource, ResourceFlag
from dynamiccluster.model.wording import amount, unknown
from dynamiccluster.model.worker_node import COUNTED, NodeState, WorkerNode

S = NodeState
ERROR_STATES = frozenset({S.DOWN, S.FAILED, S.QUARANTINED})
ALLOWED = {
    CommandKind.HOLD: frozenset({S.IDLE, S.BUSY, S.HOLDING, S.HELD}),
    CommandKind.UNHOLD: frozenset({S.HOLDING, S.HELD, S.QUARANTINED}),
    CommandKind.VACATE: frozenset({S.IDLE, S.BUSY, S.HOLDING, S.HELD}),
    CommandKind.DELETE: frozenset({S.HELD, S.STARTING, S.CONFIGURING, S.JOINING}) | ERROR_STATES,
}
"""States in which a node command makes sense; a forced delete also holds a working node and removes it when empty."""

NODE_EVENTS = {
    CommandKind.HOLD: NodeEvent.OP_HOLD,
    CommandKind.UNHOLD: NodeEvent.OP_UNHOLD,
    CommandKind.VACATE: NodeEvent.OP_VACATE,
    CommandKind.DELETE: NodeEvent.OP_DELETE,
}

NOTICES = {CommandKind.RECLAIM: NoticeKind.RECLAIM, CommandKind.REBALANCE: NoticeKind.REBALANCE}

MODES = {
    CommandKind.AUTO_ON: ("auto_mode", True, "automatic mode on"),
    CommandKind.AUTO_OFF: ("auto_mode", False, "automatic mode off: nothing is launched or removed by itself"),
    CommandKind.OBSERVE_ON: ("observe_only", True, "observe-only: nothing is changed"),
    CommandKind.OBSERVE_OFF: ("observe_only", False, "observe-only ended"),
}


def obey(draft: Draft, command: Command) -> None:
    """Carry one command into the draft, answer it, and write both to the history."""
    if draft.memory.observe_only and command.kind not in (*MODES, CommandKind.ADOPT):
        reply = _no(command, ReplyCode.CONFLICT, "observe-only: nothing is changed until it is ended (observe off)")
    elif not draft.memory.looked and command.kind not in MODES:
        reply = _no(command, ReplyCode.CONFLICT, "nothing is changed before the cluster and its clouds have been seen")
    elif command.kind in MODES:
        field, value, text = MODES[command.kind]
        draft.memory = replace(draft.memory, **{field: value})  # type: ignore[arg-type]  # names stand in MODES
        if command.kind in (CommandKind.AUTO_ON, CommandKind.OBSERVE_OFF):
            text += f": {_what_now(draft)}"
        reply = _yes(command, text)
    elif command.kind in NODE_EVENTS:
        reply = _node_command(draft, command)
    elif command.kind in NOTICES:
        reply = _notice(draft, command)
    elif command.kind is CommandKind.ADOPT:
        reply = _adopt(draft, command)
    else:
        reply = _resource_command(draft, command)
    draft.replies.append(reply)
    node = find_node(draft, command.target)
    draft.event(
        EventKind.COMMAND,
        f"{command.kind} {command.target}".strip() + f": {reply.message}",
        node=node,
        resource=command.target if command.target in draft.policy.resources else "",
        actor=command.actor,
    )


def _what_now(draft: Draft) -> str:
    """What the engine does in the modes that are now set."""
    if draft.memory.observe_only:
        return "but the engine only observes (observe off)"
    return "the engine acts" if draft.auto else "but automatic mode is off, so only commands are carried out (auto on)"


def find_node(draft: Draft, name: str) -> WorkerNode | None:
    """A node by its id or its host name."""
    if name in draft.nodes:
        return draft.nodes[name]
    return next((node for node in draft.nodes.values() if name and node.host_name == name), None)


def _yes(command: Command, message: str, node_ids: tuple[str, ...] = ()) -> CommandReply:
    return CommandReply(command.command_id, ReplyCode.OK, message, node_ids)


def _no(command: Command, code: ReplyCode, message: str) -> CommandReply:
    return CommandReply(command.command_id, code, message)


def _no_node(command: Command) -> str:
    return f"there is no worker node {command.target!r} (`dynamiccluster nodes` lists them, by host name)"


def _node_command(draft: Draft, command: Command) -> CommandReply:
    node = find_node(draft, command.target)
    if node is None:
        return _no(command, ReplyCode.NOT_FOUND, _no_node(command))
    allowed = node.state in ALLOWED[command.kind]
    if command.kind is CommandKind.DELETE and not allowed:
        if command.force and node.state in (S.IDLE, S.BUSY, S.HOLDING):
            allowed = True
        else:
            return _no(command, ReplyCode.NOT_ALLOWED, _why_not_deleted(node))
    if not allowed:
        return _no(command, ReplyCode.NOT_ALLOWED, f"{node.host_name} is {node.state}: {command.kind} is not possible")
    reason = f"{command.kind} by {command.actor}"
    after = apply(draft, node.node_id, NODE_EVENTS[command.kind], reason, actor=command.actor)
    return _yes(command, f"{node.host_name or node.node_id} is now {after.state}", (node.node_id,))


def _notice(draft: Draft, command: Command) -> CommandReply:
    node = find_node(draft, command.target)
    if node is None:
        return _no(command, ReplyCode.NOT_FOUND, _no_node(command))
    notice = Notice(node.instance_id, NOTICES[command.kind])
    new = notices.noticed(draft, node, notice, command.actor)
    after = draft.nodes.get(node.node_id, node)
    said = "" if new else ", which was known"
    return _yes(command, f"{node.host_name or node.node_id} is now {after.state}{said}", (node.node_id,))


def _why_not_deleted(node: WorkerNode) -> str:
    if node.state in (S.IDLE, S.BUSY):
        return f"{node.host_name} is {node.state}: put it on hold first, or force (held now, removed when empty)"
    if node.state is S.HOLDING:
        return f"{node.host_name} is held but not shown empty yet: wait until it is held, or force"
    return f"{node.host_name or node.node_id} is {node.state}: delete is not possible"


def _resource_command(draft: Draft, command: Command) -> CommandReply:
    name = command.target
    if name not in draft.policy.resources:
        return _no(command, ReplyCode.NOT_FOUND, unknown("resource", name, draft.policy.resources))
    handlers: dict[CommandKind, Callable[[Draft, Command], CommandReply]] = {
        CommandKind.LAUNCH: _launch,
        CommandKind.FREEZE: _freeze,
        CommandKind.RESTORE: _restore,
        CommandKind.DRAIN: _drain,
        CommandKind.RESET: _reset,
    }
    return handlers[command.kind](draft, command)


def _launch(draft: Draft, command: Command) -> CommandReply:
    resource, offer = kind_to_launch(draft, command.target)
    if command.count < 1:
        return _no(command, ReplyCode.NOT_ALLOWED, "the number of nodes must be at least 1")
    if resource.provisioning is Provisioning.SCHEDULER:
        first = f"scontrol update nodename={resource.numbered(1)} state=POWER_UP"
        text = f"the scheduler itself picks the nodes of {resource.name}: have it switch one on (Slurm: {first})"
        return _no(command, ReplyCode.NOT_ALLOWED, text)
    if resource.capacity.cores < 1:
        return _no(command, ReplyCode.NOT_ALLOWED, f"{resource.name} {SENTENCES[Refusal.NO_SIZE]}")
    room, binding = open_ledger(draft).room(resource, command.count, by_hand=True)
    flag = draft.flag(resource.name)
    if room < command.count and flag is not ResourceFlag.NORMAL:
        return _no(command, ReplyCode.NOT_ALLOWED, f"{resource.name} is {flag}: restore it first")
    if binding is not None and room < command.count:
        return _no(command, ReplyCode.NOT_ALLOWED, _too_many(resource, command.count, room, binding))
    made = launch(draft, resource, command.count, f"asked for by {command.actor}", actor=command.actor, offer=offer)
    return _yes(command, f"launching {amount(len(made), 'node')} of {resource.name}", tuple(made))


def _too_many(resource: Resource, count: int, room: int, binding: Refusal) -> str:
    limit = f" ({resource.max_nodes})" if binding is Refusal.MAX_NODES else ""
    why = f"it {SENTENCES[binding]}{limit}"
    if room < 1:
        return f"no more nodes of {resource.name} can be launched now: {why}"
    return f"{count} nodes of {resource.name} are too many: {amount(room, 'more node')} can be launched now, then {why}"


def _freeze(draft: Draft, command: Command) -> CommandReply:
    name = command.target
    current = sum(1 for node in draft.nodes.values() if node.resource == name and node.state in COUNTED)
    draft.overrides[name] = Override(ResourceFlag.FROZEN, current, current)
    return _yes(command, f"{name} is frozen at {amount(current, 'node')}")


def _restore(draft: Draft, command: Command) -> CommandReply:
    draft.overrides.pop(command.target, None)
    known = draft.policy.resources[command.target]
    return _yes(command, f"{command.target} has its configured limits again: {known.min_nodes} to {known.max_nodes}")


def _drain(draft: Draft, command: Command) -> CommandReply:
    draft.overrides[command.target] = Override(ResourceFlag.DRAINING, 0, 0)
    return _yes(command, f"{command.target} drains: nothing is launched, nodes leave as they empty")


def _reset(draft: Draft, command: Command) -> CommandReply:
    breaker.reset(draft, draft.resource(command.target))
    learned.forget(draft, command.target)
    return _yes(command, f"{command.target}: failures, back-offs and learnt sizes forgotten")


def _adopt(draft: Draft, command: Command) -> CommandReply:
    """Take a host that the scheduler has already, and perhaps its machine, in as a node of ours."""
    resource = draft.policy.resources.get(command.resource)
    host = draft.hosts.by_name.get(command.target)
    if resource is None:
        return _no(command, ReplyCode.NOT_FOUND, unknown("resource", command.resource, draft.policy.resources))
    if host is None:
        return _no(command, ReplyCode.NOT_FOUND, f"the scheduler has no host {command.target!r}")
    if find_node(draft, command.target):
        return _no(command, ReplyCode.NOT_ALLOWED, f"{command.target} is a worker node of ours already")
    node_id = new_node_id(draft)
    node = WorkerNode(
        node_id=node_id,
        resource=resource.name,
        tenancy=resource.tenancy,
        launch_id=f"adopted-{node_id}",
        state=NodeState.JOINING,
        host_name=host.name,
        address=host.address,
        instance_id=command.instance_id or unclaimed_machine(draft, resource.tenancy, host.name),
        created_at=draft.now,
        state_since_at=draft.now,
        state_since_obs=draft.obs(SCHEDULER),
        billed_from_at=draft.now,
        adopted=True,
        reason=f"adopted by {command.actor}",
    )
    take_in_adopted(draft, node, command.actor)
    return _yes(command, f"{host.name} is now worker node {node_id} of {resource.name}", (node_id,))
