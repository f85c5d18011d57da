"""The contract of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dynamiccluster.model.action import Action
from dynamiccluster.model.event import NEWEST, Event, EventQuery
from dynamiccluster.model.launch import Launch
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.worker_node import WorkerNode


@dataclass(frozen=True, slots=True)
class Stored:
    """Everything the engine needs to go on where it stopped."""

    version: int
    memory: Memory
    nodes: Mapping[str, WorkerNode] = field(default_factory=dict)
    launches: Mapping[str, Launch] = field(default_factory=dict)
    open_actions: tuple[Action, ...] = ()  # committed, without a result taken in
    fresh: bool = False  # nothing was ever committed here


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of history, newest first. ``next_before`` goes into the next call; 0 = no more."""

    events: tuple[tuple[int, Event], ...]  # (sequence number, event)
    next_before: int = 0


class Store(Protocol):
    """``tests/contract/test_store.py`` is this text as a test. Synchronous; called from one thread at a time
    (the engine's for ``load``/``commit``), history reads may come from another thread at the same time."""

    def load(self) -> Stored:
        """The last committed state; a store never written is ``fresh`` with version 0 and an empty memory."""
        ...

    def commit(self, expected_version: int, plan: Plan) -> int:
        """Store one plan in one transaction and return the new version (``expected_version + 1``).

        In it: ``plan.memory``, upsert of ``plan.nodes`` and ``plan.launches``, removal of the forgotten,
        insertion of ``plan.actions`` as open, closing of ``plan.closed_actions``, appending of ``plan.events``.
        ``VersionConflictError`` if the version has moved, ``StoreError`` if it cannot be written: then nothing
        of the plan is stored.
        """
        ...

    def events(self, query: EventQuery = NEWEST) -> EventPage:
        """History, newest first, filtered by everything given. ``node_id`` matches node id or host name."""
        ...

    def prune(self, events_before_at: float) -> int:
        """Drop history older than that; the number of dropped events."""
        ...

    def close(self) -> None: ...
