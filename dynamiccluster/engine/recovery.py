"""Recovery: going on where the last process stopped, by the same path as always.

Every action that was committed and has no result gets one: *unknown*. The transition table does the rest: launches
are looked up, everything else is repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dynamiccluster.errors import ErrorClass
from dynamiccluster.model.action import Action, ActionResult, Outcome
from dynamiccluster.model.launch import Launch
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.worker_node import WorkerNode

WHY = "the service ended before the reply was recorded"


def lost_replies(open_actions: Iterable[Action], now: float) -> list[ActionResult]:
    """A result for each action whose reply nobody took in."""
    return [
        ActionResult(
            action_id=action.action_id,
            kind=action.kind,
            outcome=Outcome.UNKNOWN,
            finished_at=now,
            error_class=ErrorClass.UNKNOWN_OUTCOME,
            message=WHY,
            node_id=action.node_id,
            launch_id=action.launch_id,
            resource=action.resource,
            cut_off=True,
        )
        for action in open_actions
    ]


def on_this_clock(nodes: Mapping[str, WorkerNode], now: float) -> dict[str, WorkerNode]:
    """Nodes whose times order with this process's: every view from now on is later than all that was done before,
    even if the machine's clock was set back in between."""
    return {
        node_id: replace(node, acted_at=0.0, state_since_at=min(node.state_since_at, now))
        for node_id, node in nodes.items()
    }


def memory_on_this_clock(memory: Memory, now: float) -> Memory:
    """Memory for the first tick of this process, which also pays for the time since the last one."""
    misses = {key: replace(miss, view_at=min(miss.view_at, now)) for key, miss in memory.misses.items()}
    return after_a_gap(replace(memory, misses=misses))


def after_a_gap(memory: Memory) -> Memory:
    """Memory for the first tick after some time without any: machines have cost money all the while."""
    return replace(memory, spend=replace(memory.spend, away=True))


def launches_on_this_clock(launches: Mapping[str, Launch], now: float) -> dict[str, Launch]:
    return {key: replace(launch, closed_at=min(launch.closed_at, now)) for key, launch in launches.items()}
