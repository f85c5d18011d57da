"""The draft: the one mutable thing of a tick. It starts as the snapshot and ends as the plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dynamiccluster.model.action import Action, ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import CommandReply
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.launch import Launch
from dynamiccluster.model.memory import Backoff, Breaker, Memory, Miss, Nomination, ObservedClock, Override
from dynamiccluster.model.occupancy import NO_HOSTS, Hosts
from dynamiccluster.model.plan import Demand, Plan, Refusal, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource, ResourceFlag
from dynamiccluster.model.worker_node import NodeState, WorkerNode

ENGINE = "engine"
SCHEDULER = "scheduler"

SOONEST_S = 0.5
"""A decision is not asked for sooner: whatever rounds to nothing must not turn into a busy loop."""


def cloud_source(tenancy: str) -> str:
    """The source name of a tenancy, as in clocks and source status."""
    return f"cloud:{tenancy}"


@dataclass(slots=True)
class Draft:
    """Working copies of what a tick may change. Untouched parts stay the snapshot's own objects."""

    snapshot: Snapshot
    policy: Policy
    now: float
    tick: int
    hosts: Hosts
    nodes: dict[str, WorkerNode]
    launches: dict[str, Launch]
    clocks: dict[str, ObservedClock]
    breakers: dict[str, Breaker]
    backoffs: dict[str, Backoff]
    nominations: dict[str, Nomination]
    overrides: dict[str, Override]
    misses: dict[str, Miss]
    open_actions: dict[str, str]
    step_retry_obs: dict[str, float]
    memory: Memory  # the scalar parts; the mappings above replace its own at the end
    changed_nodes: dict[str, WorkerNode] = field(default_factory=dict)
    changed_launches: dict[str, Launch] = field(default_factory=dict)
    forgotten_nodes: list[str] = field(default_factory=list)
    forgotten_launches: list[str] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    closed_actions: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    replies: list[CommandReply] = field(default_factory=list)
    proposals: list[str] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    demand: Demand = field(default_factory=Demand)
    shown_ids: frozenset[str] | None = None  # node ids that the views show; see ``orphans``, made when first needed
    switched_hosts: dict[str, Resource] | None = None  # see ``switched``, made when first needed
    declined: dict[str, tuple[str, Refusal]] = field(default_factory=dict)  # wanted hosts without hope: resource, why

    # -- reading -------------------------------------------------------------------------------------

    def obs(self, source: str) -> float:
        """Observed seconds of a source's clock so far."""
        clock = self.clocks.get(source)
        return clock.total_s if clock else 0.0

    @property
    def auto(self) -> bool:
        """Whether the engine launches and removes on its own account."""
        chosen = self.memory.auto_mode
        return self.policy.auto_mode if chosen is None else chosen

    def resource(self, name: str) -> Resource:
        """The resource with an operator's override applied; one that the configuration lost drains."""
        known = self.policy.resources.get(name)
        if known is None:
            return Resource(name=name, cloud="", tenancy="", capacity=Capacity())
        override = self.overrides.get(name)
        if override is None:
            return known
        return replace(known, min_nodes=override.min_nodes, max_nodes=override.max_nodes)

    def flag(self, name: str) -> ResourceFlag:
        """What an operator did to the resource; a resource that left the configuration drains."""
        if name not in self.policy.resources:
            return ResourceFlag.DRAINING
        override = self.overrides.get(name)
        return override.flag if override else ResourceFlag.NORMAL

    # -- changing ------------------------------------------------------------------------------------

    def put(self, node: WorkerNode) -> WorkerNode:
        """Replace a node's record (never its state: that is ``lifecycle.apply``)."""
        self.nodes[node.node_id] = node
        self.changed_nodes[node.node_id] = node
        return node

    def put_launch(self, launch: Launch) -> None:
        self.launches[launch.launch_id] = launch
        self.changed_launches[launch.launch_id] = launch

    def event(
        self,
        kind: EventKind,
        text: str,
        *,
        node: WorkerNode | None = None,
        resource: str = "",
        job_id: str = "",
        actor: str = "engine",
        from_state: NodeState | None = None,
        to_state: NodeState | None = None,
    ) -> None:
        self.events.append(
            Event(
                at=self.now,
                kind=kind,
                text=text,
                actor=actor,
                node_id=node.node_id if node else "",
                host_name=node.host_name if node else "",
                resource=resource or (node.resource if node else ""),
                job_id=job_id,
                from_state=from_state or "",
                to_state=to_state or "",
                tick=self.tick,
            )
        )

    def new_action_id(self) -> str:
        """Unique over restarts: the tick number is persisted and only grows."""
        return f"{self.memory.generation}-{self.tick}-{len(self.actions)}"

    def act_on_node(
        self, node: WorkerNode, kind: ActionKind, reason: str, actor: str = "engine", **more: object
    ) -> None:
        """Issue an action for one node and note on the node that it is in flight."""
        action = Action(
            action_id=self.new_action_id(),
            kind=kind,
            reason=reason,
            actor=actor,
            created_at=self.now,
            node_id=node.node_id,
            resource=node.resource,
            tenancy=node.tenancy,
            host_name=node.host_name,
            address=node.address,
            instance_id=node.instance_id,
            instance_name=node.instance_name,
            offer=node.offer if kind is ActionKind.HOST_ADD else None,
            mark=self._mark_of(node),
            **more,  # type: ignore[arg-type]  # only fields of Action are passed, by the callers in this room
        )
        self.actions.append(action)
        self.put(replace(node, action_id=action.action_id))

    def _mark_of(self, node: WorkerNode) -> str:
        """The text of our hold: what stands there, if it is ours (an older store may have worded it otherwise)."""
        host = self.hosts.by_name.get(node.host_name)
        if host is not None and host.hold is not None and host.hold.ours:
            return host.hold.mark
        return f"{self.policy.hold_mark_prefix}{node.host_name}"

    def act(self, action: Action) -> None:
        """Issue an action that belongs to no single node."""
        self.actions.append(action)
        self.open_actions[action.action_id] = action.kind

    def wake(self, at: float) -> None:
        """Ask for another decision at that time at the latest, though not sooner than in :data:`SOONEST_S`.

        Only for what the engine's own clock decides: the clocks of sources move when their views arrive, and these
        are decided upon anyway.
        """
        self.wakes.append(max(at, self.now + SOONEST_S))

    def miss(self, key: str, source: str, view_at: float) -> Miss:
        """Count one good view that missed something; the same view counts once."""
        known = self.misses.get(key)
        if known is None:
            known = Miss(count=1, since_obs=self.obs(source), view_at=view_at)
        elif view_at > known.view_at:
            known = replace(known, count=known.count + 1, view_at=view_at)
        self.misses[key] = known
        return known

    # -- ending --------------------------------------------------------------------------------------

    def to_plan(self, sentence: str) -> Plan:
        return Plan(
            memory=replace(
                self.memory,
                tick=self.tick,
                clocks=self.clocks,
                breakers=self.breakers,
                backoffs=self.backoffs,
                nominations=self.nominations,
                overrides=self.overrides,
                misses=self.misses,
                open_actions=self.open_actions,
                step_retry_obs=self.step_retry_obs,
            ),
            nodes=self.changed_nodes,
            launches=self.changed_launches,
            forgotten_nodes=tuple(self.forgotten_nodes),
            forgotten_launches=tuple(self.forgotten_launches),
            actions=tuple(self.actions),
            closed_actions=tuple(self.closed_actions),
            events=tuple(self.events),
            replies=tuple(self.replies),
            proposals=tuple(self.proposals),
            demand=self.demand,
            wake_at=min(self.wakes, default=None),
            sentence=sentence,
        )


def start(snapshot: Snapshot, policy: Policy, now: float) -> Draft:
    """A draft of one tick: clocks moved by what was observed since the last one, nothing else changed."""
    memory = snapshot.memory
    return Draft(
        snapshot=snapshot,
        policy=policy,
        now=now,
        tick=memory.tick + 1,
        hosts=snapshot.scheduler.index if snapshot.scheduler else NO_HOSTS,
        nodes=dict(snapshot.nodes),
        launches=dict(snapshot.launches),
        clocks=_moved_clocks(snapshot, policy, now),
        breakers=dict(memory.breakers),
        backoffs=dict(memory.backoffs),
        nominations=dict(memory.nominations),
        overrides=dict(memory.overrides),
        misses=dict(memory.misses),
        open_actions=dict(memory.open_actions),
        step_retry_obs=dict(memory.step_retry_obs),
        memory=memory,
    )


STEP_CAP_POLLS = 3
"""A gap between two good views counts as at most so many poll intervals of observed time."""


def _moved_clocks(snapshot: Snapshot, policy: Policy, now: float) -> dict[str, ObservedClock]:
    clocks = dict(snapshot.memory.clocks)
    readings: list[tuple[str, float, float]] = [(ENGINE, now, max(policy.provision_interval_s, policy.cloud_poll_s))]
    if snapshot.scheduler:
        readings.append((SCHEDULER, snapshot.scheduler.completed_at, policy.scheduler_poll_s * STEP_CAP_POLLS))
    for tenancy, view in snapshot.clouds.items():
        readings.append((cloud_source(tenancy), view.completed_at, policy.cloud_poll_s * STEP_CAP_POLLS))
    for source, at, cap in readings:
        clocks[source] = _moved(clocks.get(source), at, cap)
    return clocks


def _moved(clock: ObservedClock | None, at: float, cap_s: float) -> ObservedClock:
    if clock is None or clock.last_at == 0.0:
        return ObservedClock(total_s=clock.total_s if clock else 0.0, last_at=at)
    if at == clock.last_at:
        return clock
    # a wall clock set back starts a new count from there: it must neither stop nor rewind the observed time
    return ObservedClock(total_s=clock.total_s + min(max(at - clock.last_at, 0.0), cap_s), last_at=at)
