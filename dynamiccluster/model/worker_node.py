"""Worker nodes: what *we* intend, one record per machine we asked for or adopted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.offer import Offer


class NodeState(StrEnum):
    """Where a worker node is in its life. :mod:`dynamiccluster.decide.lifecycle` has the table and the prose."""

    REQUESTED = "requested"  # the intent is stored; the launch call is not answered yet
    UNSETTLED = "unsettled"  # the reply was lost: the machine may or may not exist
    STARTING = "starting"  # the cloud accepted; the machine is being built
    CONFIGURING = "configuring"  # the machine runs; checks, name, and adding to the scheduler, step by step
    JOINING = "joining"  # the scheduler knows it; waiting until it is usable
    IDLE = "idle"
    BUSY = "busy"
    HOLDING = "holding"  # asked the scheduler to keep new jobs away; not yet shown held and empty
    HELD = "held"  # shown held and empty by a view started after the hold was confirmed
    DOWN = "down"  # the scheduler says down
    FAILED = "failed"  # never became usable, or was lost; waits for its end
    EVACUATING = "evacuating"  # dead with jobs: they are being requeued or deleted as configured
    REMOVING = "removing"  # being taken out of the scheduler
    TERMINATING = "terminating"  # being ended in the cloud, until confirmed gone
    FORGETTING = "forgetting"  # gone; name and hooks are being cleaned up
    QUARANTINED = "quarantined"  # something impossible happened: left alone until a person decides
    GONE = "gone"


class HoldWhy(StrEnum):
    """Why a node is held; decides what may end the hold."""

    NONE = ""
    SCALE_DOWN = "scale-down"  # reversible when demand returns
    OPERATOR = "operator"  # only an operator undoes it
    VACATE = "vacate"  # operator: also moves its jobs away
    DRAIN = "drain"  # the resource drains: held, then removed
    DELETE = "delete"  # operator asked for deletion: held, then removed
    FAULT = "fault"  # it proved useless (black hole): held, then removed
    RECLAIM = "reclaim"  # its cloud takes it away: held, its jobs moved away, then removed
    RISK = "risk"  # its cloud says that it may soon: held, then removed


@dataclass(frozen=True, slots=True)
class WorkerNode:
    """One worker node of ours. Records are replaced, never changed; state is assigned in ``decide/lifecycle`` only."""

    node_id: str
    resource: str
    tenancy: str
    launch_id: str
    state: NodeState
    host_name: str = ""
    address: str = ""
    instance_id: str = ""
    instance_name: str = ""
    created_at: float = 0.0
    state_since_at: float = 0.0  # for people
    state_since_obs: float = 0.0  # on the clock that the state's deadline is measured with
    launch_spent_s: float = 0.0  # observed seconds of earlier states that count against ``launch_s``
    hold_why: HoldWhy = HoldWhy.NONE
    hold_confirmed_at: float = 0.0  # when the scheduler acknowledged the hold; 0 = not yet
    acted_at: float = 0.0  # end of our last scheduler command, or lost launch request: older views say nothing about it
    idle_since_obs: float | None = None  # on the scheduler's clock; None = not known to be idle
    joined_at: float = 0.0  # first usable; 0 = never
    joined_obs: float = 0.0  # the same on the scheduler's clock
    first_job_at: float = 0.0  # 0 = has never run a job
    starved_obs: float | None = None  # since when jobs that fit it wait while it never ran one
    billed_from_at: float = 0.0
    todo: tuple[ActionKind, ...] = ()  # steps still to do in this state, the first one is next
    action_id: str = ""  # the one action in flight for this node, "" = none
    attempts: int = 0  # failed tries of the present step
    retry_obs: float = 0.0  # engine clock before which the step is not tried again
    dead: bool = False  # the cloud calls it stopped or gone
    adopted: bool = False
    reason: str = ""  # why it is in this state, one sentence
    unseen: bool = False  # it failed on its way: what its console said last is kept before its machine is ended
    offer: Offer | None = None  # what was chosen from a menu: its size and its price; None = as its resource


ORIGINAL_NUMBER = {
    NodeState.GONE: 0,
    NodeState.REQUESTED: 1,
    NodeState.UNSETTLED: 1,
    NodeState.STARTING: 1,
    NodeState.CONFIGURING: 1,
    NodeState.JOINING: 1,
    NodeState.IDLE: 2,
    NodeState.BUSY: 3,
    NodeState.DOWN: 4,
    NodeState.FAILED: 4,
    NodeState.EVACUATING: 4,
    NodeState.QUARANTINED: 4,
    NodeState.REMOVING: 5,
    NodeState.TERMINATING: 5,
    NodeState.FORGETTING: 5,
    NodeState.HOLDING: 6,
    NodeState.HELD: 7,
}
"""The eight states of the original's REST, dashboard and Graphite: 0 Inexistent 1 Starting 2 Idle 3 Busy
4 Error 5 Deleting 6 Holding 7 Held."""

ORIGINAL_NAME = ("Inexistent", "Starting", "Idle", "Busy", "Error", "Deleting", "Holding", "Held")

ORIGINAL_GROUP = {1: "starting", 5: "deleting", 3: "busy", 2: "idle", 6: "vacating", 7: "vacating", 4: "error"}
"""The numbers of :data:`ORIGINAL_NUMBER` as the original's graphs call them: holding and held are both "vacating"."""

COMING = frozenset(
    {NodeState.REQUESTED, NodeState.UNSETTLED, NodeState.STARTING, NodeState.CONFIGURING, NodeState.JOINING}
)
"""On the way: counted as capacity that will arrive, and against every limit."""

WORKING = frozenset({NodeState.IDLE, NodeState.BUSY})
"""Usable in the scheduler, under nobody's hold."""

COUNTED = frozenset(NodeState) - {NodeState.GONE, NodeState.FORGETTING}
"""States that count against ``max_nodes``, quota and budget."""
