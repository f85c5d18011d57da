"""A store that lives in this process only: for simulations and tests. It keeps the same contract as the real one."""

from __future__ import annotations

from dynamiccluster.errors import VersionConflictError
from dynamiccluster.model.action import Action
from dynamiccluster.model.event import NEWEST, Event, EventQuery
from dynamiccluster.model.launch import Launch
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.worker_node import WorkerNode
from dynamiccluster.store.base import EventPage, Stored


class MemoryStore:
    """Implements :class:`~dynamiccluster.store.base.Store`. It survives a simulated crash of the engine, because the
    engine's state is only what :meth:`load` returns. Records are frozen, so nothing is copied but the tables."""

    def __init__(self) -> None:
        self._version = 0
        self._memory = Memory()
        self._nodes: dict[str, WorkerNode] = {}
        self._launches: dict[str, Launch] = {}
        self._actions: dict[str, Action] = {}
        self._events: list[tuple[int, Event]] = []
        self._serial = 0

    def load(self) -> Stored:
        return Stored(
            version=self._version,
            memory=self._memory,
            nodes=dict(self._nodes),
            launches=dict(self._launches),
            open_actions=tuple(self._actions.values()),
            fresh=self._version == 0,
        )

    def commit(self, expected_version: int, plan: Plan) -> int:
        if expected_version != self._version:
            raise VersionConflictError(
                f"the store is at version {self._version}, not {expected_version}: another controller has written it"
            )
        self._memory = plan.memory
        self._nodes.update(plan.nodes)
        self._launches.update(plan.launches)
        for action in plan.actions:
            self._actions[action.action_id] = action
        for event in plan.events:
            self._serial += 1
            self._events.append((self._serial, event))
        for node_id in plan.forgotten_nodes:
            self._nodes.pop(node_id, None)
        for launch_id in plan.forgotten_launches:
            self._launches.pop(launch_id, None)
        for action_id in plan.closed_actions:
            self._actions.pop(action_id, None)
        self._version += 1
        return self._version

    def events(self, query: EventQuery = NEWEST) -> EventPage:
        limit = max(1, query.limit)
        found: list[tuple[int, Event]] = []
        for serial, event in reversed(self._events):
            if query.wants(serial, event):
                if len(found) == limit:
                    return EventPage(tuple(found), next_before=found[-1][0])
                found.append((serial, event))
        return EventPage(tuple(found))

    def prune(self, events_before_at: float) -> int:
        kept = [(serial, event) for serial, event in self._events if event.at >= events_before_at]
        dropped = len(self._events) - len(kept)
        self._events = kept
        return dropped

    def close(self) -> None:
        """Nothing to let go of: what was committed can still be loaded."""
