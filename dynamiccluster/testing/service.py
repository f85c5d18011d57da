"""A double of the running engine for tests of the REST API and the command line.

It keeps a small cluster in memory and obeys operators by the rules that the API promises: a command that is
answered with ``OK`` is in the next read model, and one that is not allowed changes nothing. It never launches,
polls or decides by itself.
"""

from __future__ import annotations

from dataclasses import replace

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.command import Command, CommandKind, CommandReply, ReplyCode
from dynamiccluster.model.event import NEWEST, Event, EventKind, EventQuery
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState
from dynamiccluster.model.memory import Memory, Override
from dynamiccluster.model.plan import JobAnswer, Plan
from dynamiccluster.model.resource import Resource, ResourceFlag
from dynamiccluster.model.worker_node import COUNTED, HoldWhy, NodeState, WorkerNode
from dynamiccluster.store.base import EventPage

HOLDABLE = frozenset({NodeState.IDLE, NodeState.BUSY, NodeState.HOLDING, NodeState.HELD})
BROKEN = frozenset({NodeState.DOWN, NodeState.FAILED, NodeState.QUARANTINED})
DELETABLE = BROKEN | {NodeState.HELD, NodeState.STARTING, NodeState.CONFIGURING, NodeState.JOINING}
WHILE_OBSERVING = frozenset(
    {
        CommandKind.AUTO_ON,
        CommandKind.AUTO_OFF,
        CommandKind.OBSERVE_ON,
        CommandKind.OBSERVE_OFF,
        CommandKind.ADOPT,
    }
)
"""All that observe-only mode lets pass; the rest is a conflict."""


class ServiceDouble:
    """Implements :class:`dynamiccluster.engine.service.Service` in memory."""

    def __init__(self, readmodel: ReadModel, clock: Clock, config: dict[str, object] | None = None) -> None:
        self.readmodel = readmodel
        self.clock = clock
        self.config = config or {}
        self.history: list[Event] = []
        self.commands: list[Command] = []
        self.nudges: list[str] = []
        self.notes: list[tuple[str, str]] = []
        self.reloads: list[str] = []
        self.reload_problems: list[str] = []
        self.consoles: dict[str, str] = {}
        self.plan: Plan | None = None  # what a dry run shows; None = nothing to do
        self.failure: BaseException | None = None  # raised by everything that leaves the read model

    # --- Service ------------------------------------------------------------------------------------------

    async def command(self, command: Command) -> CommandReply:
        self._fail()
        self.commands.append(command)
        if self.memory.observe_only and command.kind not in WHILE_OBSERVING:
            return self._reply(command, ReplyCode.CONFLICT, "observe-only: nothing is changed; turn it off first")
        match command.kind:
            case CommandKind.HOLD | CommandKind.UNHOLD | CommandKind.VACATE | CommandKind.DELETE:
                return self._node_command(command)
            case CommandKind.RECLAIM | CommandKind.REBALANCE:
                node = self.readmodel.node(command.target)
                if node is None:
                    return self._reply(command, ReplyCode.NOT_FOUND, f"there is no worker node {command.target}")
                return self._reply(command, ReplyCode.OK, f"{node.host_name} is noticed", (node.node_id,))
            case CommandKind.ADOPT:
                return self._adopt(command)
            case CommandKind.AUTO_ON | CommandKind.AUTO_OFF:
                self._remember(replace(self.memory, auto_mode=command.kind is CommandKind.AUTO_ON))
                return self._reply(command, ReplyCode.OK, f"automatic mode is {command.kind.removeprefix('auto-')}")
            case CommandKind.OBSERVE_ON | CommandKind.OBSERVE_OFF:
                self._remember(replace(self.memory, observe_only=command.kind is CommandKind.OBSERVE_ON))
                return self._reply(command, ReplyCode.OK, f"observe-only is {command.kind.removeprefix('observe-')}")
            case _:
                return self._resource_command(command)

    def nudge(self, source: str = "scheduler", *, note: str = "", actor: str = "") -> None:
        self.nudges.append(source)
        if note:
            self.notes.append((actor, note))

    async def reload(self, actor: str) -> list[str]:
        self._fail()
        self.reloads.append(actor)
        return list(self.reload_problems)

    async def dry_run(self) -> Plan:
        self._fail()
        if self.plan is not None:
            return self.plan
        return Plan(memory=self.memory, demand=self.readmodel.demand, sentence="a dry run launches nothing")

    def explain(self, job_id: str) -> JobAnswer | None:
        job = self.readmodel.jobs_by_id.get(job_id)
        if job is None:
            return None
        if job.state is not JobState.PENDING:
            return JobAnswer(job, f"it runs on {', '.join(job.hosts)}", "", nodes=job.hosts)
        refusals = {name: f"{name} is at its maximum" for name in self.readmodel.policy.resources}
        return JobAnswer(job, "it waits for a node", job.wait.value, refusals=refusals, limit="max-nodes")

    async def events(self, query: EventQuery = NEWEST) -> EventPage:
        self._fail()
        found = [(number, event) for number, event in enumerate(self.history, start=1) if query.wants(number, event)]
        newest = found[::-1][: query.limit]
        return EventPage(tuple(newest), next_before=newest[-1][0] if len(found) > len(newest) else 0)

    async def console_tail(self, node_id: str) -> str:
        self._fail()
        return self.consoles.get(node_id, "")

    def config_document(self) -> dict[str, object]:
        return self.config

    # --- what commands do ---------------------------------------------------------------------------------

    @property
    def memory(self) -> Memory:
        return self.readmodel.snapshot.memory

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _node_command(self, command: Command) -> CommandReply:
        node = self.readmodel.node(command.target)
        if node is None:
            return self._reply(command, ReplyCode.NOT_FOUND, f"there is no worker node {command.target}")
        match command.kind:
            case CommandKind.HOLD:
                allowed, state, why = node.state in HOLDABLE, NodeState.HOLDING, HoldWhy.OPERATOR
            case CommandKind.VACATE:
                allowed, state, why = node.state in HOLDABLE, NodeState.HOLDING, HoldWhy.VACATE
            case CommandKind.UNHOLD:
                allowed = node.state in {NodeState.HOLDING, NodeState.HELD}
                state, why = NodeState.IDLE, HoldWhy.NONE
            case _:
                allowed, state, why = node.state in DELETABLE, NodeState.REMOVING, HoldWhy.DELETE
        if not allowed:
            hint = ", put it on hold first" if command.kind is CommandKind.DELETE else ""
            text = f"{command.kind.value} is not allowed while {node.host_name} is {node.state.value}{hint}"
            return self._reply(command, ReplyCode.NOT_ALLOWED, text)
        self.put(replace(node, state=state, hold_why=why, state_since_at=self.clock.now()))
        return self._reply(command, ReplyCode.OK, f"{node.host_name} is {state.value}", (node.node_id,))

    def _resource_command(self, command: Command) -> CommandReply:
        resource = self.readmodel.policy.resources.get(command.target)
        if resource is None:
            return self._reply(command, ReplyCode.NOT_FOUND, f"there is no resource {command.target}")
        name = resource.name
        current = self._counted(name)
        overrides, breakers = dict(self.memory.overrides), dict(self.memory.breakers)
        match command.kind:
            case CommandKind.LAUNCH:
                return self._launch(command, resource, current)
            case CommandKind.FREEZE:
                overrides[name] = Override(ResourceFlag.FROZEN, current, current)
            case CommandKind.DRAIN:
                overrides[name] = Override(ResourceFlag.DRAINING, 0, 0)
            case CommandKind.RESTORE:
                overrides.pop(name, None)
            case _:
                breakers.pop(name, None)
        self._remember(replace(self.memory, overrides=overrides, breakers=breakers))
        return self._reply(command, ReplyCode.OK, f"{command.kind.value} {name}")

    def _counted(self, resource: str) -> int:
        return sum(n.resource == resource and n.state in COUNTED for n in self.readmodel.snapshot.nodes.values())

    def _launch(self, command: Command, resource: Resource, current: int) -> CommandReply:
        if current + command.count > resource.max_nodes:
            text = f"{command.count} more would exceed the maximum of {resource.max_nodes}"
            return self._reply(command, ReplyCode.NOT_ALLOWED, text)
        serial = self.memory.next_serial
        made = []
        for number in range(serial, serial + command.count):
            node_id = f"n{number}"
            made.append(node_id)
            self.put(
                WorkerNode(
                    node_id,
                    resource.name,
                    resource.tenancy,
                    f"l{serial}",
                    NodeState.REQUESTED,
                    host_name=f"{resource.name_prefix}-{number:08d}",
                    created_at=self.clock.now(),
                    state_since_at=self.clock.now(),
                    reason=f"launched by {command.actor}",
                )
            )
        self._remember(replace(self.memory, next_serial=serial + command.count))
        return self._reply(command, ReplyCode.OK, f"launching {command.count} of {resource.name}", tuple(made))

    def _adopt(self, command: Command) -> CommandReply:
        host = self.readmodel.hosts_by_name.get(command.target)
        resource = self.readmodel.policy.resources.get(command.resource)
        if host is None or resource is None:
            return self._reply(command, ReplyCode.NOT_FOUND, "no such host or resource")
        if self.readmodel.node(command.target):
            return self._reply(command, ReplyCode.NOT_ALLOWED, f"{command.target} is a worker node already")
        number = self.memory.next_serial
        state = NodeState.IDLE if host.state is HostState.UP else NodeState.DOWN
        self._remember(replace(self.memory, next_serial=number + 1))
        self.put(
            WorkerNode(
                f"n{number}",
                resource.name,
                resource.tenancy,
                "",
                state,
                host_name=host.name,
                instance_id=command.instance_id,
                adopted=True,
            )
        )
        return self._reply(command, ReplyCode.OK, f"{host.name} is adopted", (f"n{number}",))

    # --- the picture --------------------------------------------------------------------------------------

    def put(self, node: WorkerNode) -> None:
        """Publish a read model in which this node is as given."""
        nodes = {**self.readmodel.snapshot.nodes, node.node_id: node}
        self.readmodel = replace(self.readmodel, snapshot=replace(self.readmodel.snapshot, nodes=nodes))

    def _remember(self, memory: Memory) -> None:
        self.readmodel = replace(self.readmodel, snapshot=replace(self.readmodel.snapshot, memory=memory))

    def _reply(self, command: Command, code: ReplyCode, text: str, node_ids: tuple[str, ...] = ()) -> CommandReply:
        node = self.readmodel.node(command.target)
        self.history.append(
            Event(
                self.clock.now(),
                EventKind.COMMAND,
                f"{command.kind.value} {command.target}: {text}",
                actor=command.actor,
                node_id=node.node_id if node else "",
                host_name=node.host_name if node else "",
                resource=command.target if command.target in self.readmodel.policy.resources else "",
            )
        )
        return CommandReply(command.command_id, code, text, node_ids)
