"""THE transition table of worker nodes: the only place where a node's state is assigned.

Three voices drive it: what the cloud says of the instance, what the scheduler says of the host, and what came of
our own actions; besides them the deadlines, the planner and the operator. Every pair of state and event has an
answer: an edge (move), ``IGNORE`` (normal, nothing to do), or ``REFUSE`` (impossible: the node is quarantined
and a person decides; the tick goes on).

The prose of each state stands in ``lifecycle_page``, which draws ``docs/lifecycle.md`` from this table.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from dynamiccluster.decide import interruptions
from dynamiccluster.decide.draft import SCHEDULER, Draft, cloud_source
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.event import EventKind
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.worker_node import HoldWhy, NodeState, WorkerNode


class NodeEvent(StrEnum):
    """Everything that can be said about a node."""

    # what came of our actions
    LAUNCH_ACCEPTED = "launch accepted"
    LAUNCH_REFUSED = "launch refused"
    LAUNCH_UNKNOWN = "launch reply lost"
    LAUNCH_ABANDONED = "launch abandoned"
    STEPS_DONE = "steps done"
    STEP_FAILED = "step failed for good"
    HOLD_REFUSED = "hold refused"
    REMOVE_BUSY_HELD = "removal refused, jobs on a held host"
    REMOVE_BUSY_ALIVE = "removal refused, jobs on a living host"
    REMOVE_BUSY_DEAD = "removal refused, jobs on a dead host"
    # the cloud
    SEEN_PENDING = "instance pending"
    SEEN_ACTIVE = "instance active"
    SEEN_ERROR = "instance in error"
    SEEN_STOPPED = "instance stopped"
    SEEN_GONE = "instance gone"
    # the scheduler
    HOST_IDLE = "host idle"
    HOST_BUSY = "host busy"
    HOST_DOWN = "host down"
    HOST_MISSING = "host missing"
    HOST_HELD_EMPTY = "host held and empty"
    HOST_HELD_BUSY = "host held with jobs"
    HOST_UNHELD = "host no longer held"
    HOST_HELD_BY_OTHER = "host held by somebody else"
    HOST_OFF = "host switched off"
    HOST_WANTED = "host switched on anew"
    # time
    DEADLINE = "deadline passed"
    # what is announced, and the planner
    RECLAIM = "its cloud takes it away"
    AT_RISK = "its cloud may take it away"
    SHRINK = "idle long enough"
    DRAIN = "resource drains"
    USELESS = "never ran a job"
    RECALL = "needed again"
    REMOVE = "removal decided"
    EVACUATE = "jobs on a dead host"
    # the operator
    OP_HOLD = "operator: hold"
    OP_UNHOLD = "operator: unhold"
    OP_VACATE = "operator: vacate"
    OP_DELETE = "operator: delete"


class Answer(StrEnum):
    """Answers that move nothing."""

    IGNORE = "ignore"
    REFUSE = "refuse"


S = NodeState
E = NodeEvent
IGNORE = Answer.IGNORE
REFUSE = Answer.REFUSE

PLANNER = frozenset({E.SHRINK, E.DRAIN, E.USELESS, E.RECALL, E.REMOVE, E.EVACUATE})
OPERATOR = frozenset({E.OP_HOLD, E.OP_UNHOLD, E.OP_VACATE, E.OP_DELETE})


_COMING_LOST = {E.SEEN_ERROR: S.FAILED, E.SEEN_STOPPED: S.FAILED, E.SEEN_GONE: S.FAILED}

_SWITCHED = {
    E.HOST_OFF: S.REMOVING,  # the scheduler has let go of it by itself, and no job is on it
    E.HOST_WANTED: S.FAILED,  # and waits for another machine already: this one would never be let in
}

TABLE: dict[NodeState, dict[NodeEvent, NodeState]] = {
    S.REQUESTED: {
        E.LAUNCH_ACCEPTED: S.STARTING,
        E.LAUNCH_REFUSED: S.GONE,  # no machine came into being
        E.LAUNCH_UNKNOWN: S.UNSETTLED,
        E.SEEN_PENDING: S.STARTING,  # the list was faster than the reply
        E.SEEN_ACTIVE: S.STARTING,
        **_COMING_LOST,
    },
    S.UNSETTLED: {
        E.LAUNCH_ACCEPTED: S.STARTING,  # the repeated call of an idempotent cloud
        E.LAUNCH_REFUSED: S.GONE,  # so the first call had made nothing either
        E.LAUNCH_ABANDONED: S.GONE,
        E.SEEN_PENDING: S.STARTING,
        E.SEEN_ACTIVE: S.STARTING,
        **_COMING_LOST,
    },
    S.STARTING: {
        E.SEEN_ACTIVE: S.CONFIGURING,
        E.HOST_OFF: S.REMOVING,
        E.DEADLINE: S.FAILED,
        E.RECLAIM: S.REMOVING,
        E.OP_DELETE: S.REMOVING,
        **_COMING_LOST,
    },
    S.CONFIGURING: {
        E.STEPS_DONE: S.JOINING,
        E.STEP_FAILED: S.FAILED,
        E.HOST_OFF: S.REMOVING,
        E.DEADLINE: S.FAILED,
        E.RECLAIM: S.REMOVING,
        E.OP_DELETE: S.REMOVING,
        **_COMING_LOST,
    },
    S.JOINING: {
        E.HOST_IDLE: S.IDLE,
        E.HOST_BUSY: S.BUSY,
        E.HOST_HELD_BY_OTHER: S.IDLE,  # usable but for an operator's own mark, which is respected
        E.HOST_HELD_EMPTY: S.HOLDING,  # adopted while held by us
        E.HOST_HELD_BUSY: S.HOLDING,
        E.HOST_MISSING: S.CONFIGURING,  # the scheduler forgot it (restart): add it again
        E.HOST_OFF: S.REMOVING,
        E.DEADLINE: S.FAILED,
        E.RECLAIM: S.REMOVING,
        E.OP_DELETE: S.REMOVING,
        **_COMING_LOST,
    },
    S.IDLE: {
        E.HOST_BUSY: S.BUSY,
        E.HOST_DOWN: S.DOWN,
        E.HOST_MISSING: S.CONFIGURING,
        E.HOST_HELD_EMPTY: S.HOLDING,  # our mark, but no hold of ours is known: left over from before a crash
        E.HOST_HELD_BUSY: S.HOLDING,
        E.SHRINK: S.HOLDING,
        E.RECLAIM: S.HOLDING,
        E.AT_RISK: S.HOLDING,
        E.DRAIN: S.HOLDING,
        E.USELESS: S.HOLDING,
        E.OP_HOLD: S.HOLDING,
        E.OP_VACATE: S.HOLDING,
        E.OP_DELETE: S.HOLDING,
        E.SEEN_GONE: S.FAILED,
        E.SEEN_STOPPED: S.FAILED,
        **_SWITCHED,
    },
    S.BUSY: {
        E.HOST_IDLE: S.IDLE,
        E.HOST_DOWN: S.DOWN,
        E.HOST_MISSING: S.CONFIGURING,
        E.HOST_HELD_EMPTY: S.HOLDING,
        E.HOST_HELD_BUSY: S.HOLDING,
        E.RECLAIM: S.HOLDING,
        E.AT_RISK: S.HOLDING,
        E.DRAIN: S.HOLDING,
        E.OP_HOLD: S.HOLDING,
        E.OP_VACATE: S.HOLDING,
        E.OP_DELETE: S.HOLDING,
        E.SEEN_GONE: S.FAILED,
        E.SEEN_STOPPED: S.FAILED,
        **_SWITCHED,
    },
    S.HOLDING: {
        E.HOST_HELD_EMPTY: S.HELD,
        E.HOST_UNHELD: S.IDLE,  # somebody undid it: their word counts
        E.HOST_DOWN: S.DOWN,
        E.HOST_MISSING: S.DOWN,
        E.HOLD_REFUSED: S.IDLE,
        E.RECLAIM: S.HOLDING,
        E.RECALL: S.IDLE,
        E.OP_HOLD: S.HOLDING,
        E.OP_UNHOLD: S.IDLE,
        E.OP_VACATE: S.HOLDING,
        E.OP_DELETE: S.HOLDING,
        E.SEEN_GONE: S.FAILED,
        E.SEEN_STOPPED: S.FAILED,
        **_SWITCHED,
    },
    S.HELD: {
        E.HOST_HELD_BUSY: S.HOLDING,
        E.HOST_UNHELD: S.IDLE,
        E.HOST_DOWN: S.DOWN,
        E.HOST_MISSING: S.DOWN,
        E.RECLAIM: S.REMOVING,
        E.RECALL: S.IDLE,
        E.REMOVE: S.REMOVING,
        E.OP_HOLD: S.HOLDING,
        E.OP_UNHOLD: S.IDLE,
        E.OP_VACATE: S.HOLDING,
        E.OP_DELETE: S.REMOVING,
        E.SEEN_GONE: S.FAILED,
        E.SEEN_STOPPED: S.FAILED,
        **_SWITCHED,
    },
    S.DOWN: {
        E.HOST_IDLE: S.IDLE,
        E.HOST_BUSY: S.BUSY,
        E.HOST_HELD_EMPTY: S.HOLDING,
        E.HOST_HELD_BUSY: S.HOLDING,
        E.HOST_HELD_BY_OTHER: S.IDLE,
        E.DEADLINE: S.FAILED,
        E.OP_DELETE: S.FAILED,
        E.SEEN_GONE: S.FAILED,
        E.SEEN_STOPPED: S.FAILED,
        E.SEEN_ERROR: S.FAILED,
        **_SWITCHED,
    },
    S.FAILED: {
        E.HOST_IDLE: S.IDLE,  # late, but alive: rescued (only reported while the cloud does not call it dead)
        E.HOST_BUSY: S.BUSY,
        E.EVACUATE: S.EVACUATING,
        E.REMOVE: S.REMOVING,
        E.OP_DELETE: S.FAILED,  # in manual mode nothing else cleans it up
    },
    S.EVACUATING: {
        E.STEPS_DONE: S.REMOVING,
        E.HOST_IDLE: S.IDLE,  # it came back: what runs there now goes on
        E.HOST_BUSY: S.BUSY,
    },
    S.REMOVING: {
        E.STEPS_DONE: S.TERMINATING,
        E.REMOVE_BUSY_HELD: S.HOLDING,
        E.REMOVE_BUSY_ALIVE: S.BUSY,
        E.REMOVE_BUSY_DEAD: S.FAILED,
    },
    S.TERMINATING: {
        E.SEEN_GONE: S.FORGETTING,
        E.DEADLINE: S.TERMINATING,  # ask again
    },
    S.FORGETTING: {E.STEPS_DONE: S.GONE},
    S.QUARANTINED: {E.OP_DELETE: S.FAILED, E.OP_UNHOLD: S.IDLE, E.SEEN_GONE: S.FAILED},
    S.GONE: {},
}

IMPOSSIBLE: dict[NodeState, frozenset[NodeEvent]] = {
    S.REQUESTED: PLANNER,
    S.UNSETTLED: PLANNER,
    S.STARTING: PLANNER | {E.HOLD_REFUSED},
    S.CONFIGURING: PLANNER,
    S.JOINING: PLANNER,
    S.IDLE: frozenset({E.REMOVE, E.EVACUATE, E.LAUNCH_REFUSED, E.LAUNCH_ABANDONED}),
    S.BUSY: frozenset({E.SHRINK, E.REMOVE, E.EVACUATE, E.LAUNCH_REFUSED, E.LAUNCH_ABANDONED}),
    S.HOLDING: frozenset({E.REMOVE, E.EVACUATE, E.LAUNCH_REFUSED, E.LAUNCH_ABANDONED}),
    S.HELD: frozenset({E.SHRINK, E.EVACUATE, E.LAUNCH_REFUSED, E.LAUNCH_ABANDONED}),
    S.DOWN: frozenset({E.SHRINK, E.RECALL, E.REMOVE}),
}
"""Pairs that only a fault of ours, or a lying adapter, can bring about. Everything else not in the table is normal."""

DEADLINE_CLOCK: dict[NodeState, str] = {
    S.REQUESTED: "cloud",
    S.UNSETTLED: "cloud",
    S.STARTING: "cloud",
    S.TERMINATING: "cloud",
}
"""Which observed clock a state's age is read on; the scheduler's for all others."""

LEAVING_THE_SCHEDULER = frozenset({S.FAILED, S.EVACUATING, S.REMOVING})
"""Among these a node may go round (jobs that cannot be moved): failed tries count over the whole round."""

COUNTS_AS_LAUNCH = frozenset({S.REQUESTED, S.UNSETTLED, S.STARTING, S.CONFIGURING, S.JOINING})


def answer(state: NodeState, event: NodeEvent) -> NodeState | Answer:
    """What the table says to this pair. Total: there is an answer to every pair."""
    edge = TABLE[state].get(event)
    if edge is not None:
        return edge
    return REFUSE if event in IMPOSSIBLE.get(state, frozenset()) else IGNORE


def clock_of(state: NodeState, tenancy: str) -> str:
    """The source on whose observed clock ``state_since_obs`` is read."""
    return cloud_source(tenancy) if DEADLINE_CLOCK.get(state) == "cloud" else SCHEDULER


def age_s(draft: Draft, node: WorkerNode) -> float:
    """Observed seconds in the present state."""
    return draft.obs(clock_of(node.state, node.tenancy)) - node.state_since_obs


def steps_on_entry(state: NodeState, policy: Policy) -> tuple[ActionKind, ...]:
    """The steps that entering a state brings with it."""
    match state:
        case S.CONFIGURING:
            return policy.join_steps
        case S.HOLDING:
            return (ActionKind.HOLD,)
        case S.EVACUATING:
            return (ActionKind.EVACUATE,)
        case S.REMOVING:
            return policy.remove_steps
        case S.TERMINATING:
            return (ActionKind.TERMINATE,)
        case S.FORGETTING:
            return policy.forget_steps
        case _:
            return ()


_HOLD_WHY = {
    E.SHRINK: HoldWhy.SCALE_DOWN,
    E.DRAIN: HoldWhy.DRAIN,
    E.USELESS: HoldWhy.FAULT,
    E.RECLAIM: HoldWhy.RECLAIM,
    E.AT_RISK: HoldWhy.RISK,
    E.OP_HOLD: HoldWhy.OPERATOR,
    E.OP_VACATE: HoldWhy.VACATE,
    E.OP_DELETE: HoldWhy.DELETE,
    E.HOST_HELD_EMPTY: HoldWhy.SCALE_DOWN,
    E.HOST_HELD_BUSY: HoldWhy.SCALE_DOWN,
}


def apply(
    draft: Draft, node_id: str, event: NodeEvent, reason: str, *, actor: str = "engine", **changes: object
) -> WorkerNode:
    """Let the table answer; returns the node's record afterwards. ``changes`` go in only when the node moves.

    A move is written to the history with its reason. A refused pair quarantines the node.
    """
    node = draft.nodes[node_id]
    to = answer(node.state, event)
    if to is IGNORE:
        return node
    if to is REFUSE:
        draft.event(
            EventKind.WARNING,
            f"impossible: {event} while {node.state}; the node is left alone until somebody looks ({reason})",
            node=node,
        )
        return _enter(draft, node, S.QUARANTINED, f"{event} while {node.state}", actor)
    return _enter(draft, node, NodeState(to), reason, actor, event, **changes)


def _enter(
    draft: Draft,
    node: WorkerNode,
    state: NodeState,
    reason: str,
    actor: str,
    event: NodeEvent | None = None,
    **changes: object,
) -> WorkerNode:
    came_from = node.state
    todo = steps_on_entry(state, draft.policy)
    if state is S.CONFIGURING and came_from is not S.STARTING:
        todo = (ActionKind.HOST_ADD,)  # only the scheduler forgot it; hooks and checks have been
    elif state is S.CONFIGURING and node.adopted:
        todo = tuple(step for step in todo if step in (ActionKind.NAME_ADD, ActionKind.HOST_ADD))
    hold_why, confirmed_at = node.hold_why, node.hold_confirmed_at
    if state is S.HOLDING:
        if event in _HOLD_WHY and not (came_from is S.DOWN and hold_why is not HoldWhy.NONE):
            hold_why = _HOLD_WHY[event]
        if came_from in (S.HOLDING, S.HELD, S.REMOVING) and confirmed_at:
            todo = ()  # it is held already
        else:
            confirmed_at = 0.0
        if event in (E.OP_VACATE, E.RECLAIM):
            todo = (*todo, ActionKind.VACATE)
    elif state in (S.IDLE, S.BUSY):
        if event in (E.RECALL, E.OP_UNHOLD):
            todo = (ActionKind.RELEASE,)
        hold_why, confirmed_at = HoldWhy.NONE, 0.0
    elif state is S.FAILED and event is E.OP_DELETE:
        hold_why = HoldWhy.DELETE
    fresh_launch_clock = state is S.CONFIGURING and came_from in (S.IDLE, S.BUSY)
    spent = 0.0 if fresh_launch_clock else node.launch_spent_s
    if came_from in COUNTS_AS_LAUNCH and state in COUNTS_AS_LAUNCH:
        spent += age_s(draft, node)
    moved = replace(
        node,
        state=state,
        state_since_at=draft.now,
        state_since_obs=draft.obs(clock_of(state, node.tenancy)),
        launch_spent_s=spent,
        todo=todo,
        hold_why=hold_why,
        hold_confirmed_at=confirmed_at,
        unseen=_unseen(node, state),
        idle_since_obs=None if state is not S.IDLE else draft.obs(SCHEDULER),
        attempts=node.attempts if {came_from, state} <= LEAVING_THE_SCHEDULER else 0,
        retry_obs=0.0,
        reason=reason,
        **changes,  # type: ignore[arg-type]  # only fields of WorkerNode are passed, by the callers in this room
    )
    draft.put(moved)
    draft.event(EventKind.NODE, reason, node=moved, actor=actor, from_state=came_from, to_state=state)
    if state is S.GONE:
        interruptions.ended(draft, moved)
        _forget(draft, moved)
    return moved


def _unseen(node: WorkerNode, state: NodeState) -> bool:
    """Whether nobody knows why the node never became usable: its console may tell."""
    if state is S.FAILED and node.state in COUNTS_AS_LAUNCH:
        return True
    return node.unseen and state not in (S.IDLE, S.BUSY)


MISSED = ("instance", "stopped", "host", "unheld", "silent")
"""What is counted as missed of a node; see ``facts``."""


def _forget(draft: Draft, node: WorkerNode) -> None:
    del draft.nodes[node.node_id]
    draft.changed_nodes.pop(node.node_id, None)
    draft.forgotten_nodes.append(node.node_id)
    draft.nominations.pop(node.node_id, None)
    for what in MISSED:
        draft.misses.pop(f"{what}:{node.node_id}", None)
