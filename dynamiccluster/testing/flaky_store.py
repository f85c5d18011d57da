"""A store on a bad day, around any other."""

from __future__ import annotations

from dynamiccluster.errors import StoreError
from dynamiccluster.model.event import NEWEST, EventQuery
from dynamiccluster.model.plan import Plan
from dynamiccluster.store.base import EventPage, Store, Stored
from dynamiccluster.testing.faults import FaultKind, Faults


class FlakyStore:
    """Cannot be written while a ``commit-fails`` fault of ``target`` strikes; nothing of such a plan is stored."""

    def __init__(self, inner: Store, faults: Faults, target: str) -> None:
        self._inner = inner
        self._faults = faults
        self._target = target

    def load(self) -> Stored:
        return self._inner.load()

    def commit(self, expected_version: int, plan: Plan) -> int:
        if self._faults.strikes(FaultKind.COMMIT_FAILS, self._target):
            raise StoreError("no space left on device")
        return self._inner.commit(expected_version, plan)

    def events(self, query: EventQuery = NEWEST) -> EventPage:
        return self._inner.events(query)

    def prune(self, events_before_at: float) -> int:
        return self._inner.prune(events_before_at)

    def close(self) -> None:
        self._inner.close()
