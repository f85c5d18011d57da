"""The keeper of the store: commits plans, finds out what became of a commit that did not come back, prunes history."""

from __future__ import annotations

import asyncio
import logging

from dynamiccluster.engine.waiting import happens
from dynamiccluster.errors import DynamicClusterError, StoreError, UnknownOutcomeError, VersionConflictError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.plan import Plan, Snapshot
from dynamiccluster.model.retry import Pause
from dynamiccluster.store.base import EventPage, Store, Stored

log = logging.getLogger(__name__)

STORE_LIMIT_S = 60.0

STORE_PAUSE = Pause(2.0, 60.0)
"""How long to wait before a store that failed is tried again."""

QUIET_COMMIT_S = 60.0
"""Ticks that change nothing but the observed clocks are stored this often at most."""

HISTORY_S = 90 * 86400.0
"""Older events are dropped: a busy day writes some 50,000 of them, about 10 MB."""

PRUNE_EVERY_S = 86400.0


class Keeper:
    """The engine's side of the store. The bridge's group ``store`` must have one worker only: then whatever is asked
    of the store after a commit that hangs is answered after that commit has ended, one way or the other.
    """

    def __init__(self, store: Store, bridge: Bridge, clock: Clock, stopping: asyncio.Event) -> None:
        self._store = store
        self._bridge = bridge
        self._clock = clock
        self._stopping = stopping
        self._committed_at = 0.0
        self._prune_due_s = clock.monotonic() + PRUNE_EVERY_S / 24.0  # not in the rush of a start
        self.failures = 0  # in a row
        self.error = ""  # of the last commit; "" = it was good
        self.in_doubt = False  # a commit has not come back

    @property
    def pause_s(self) -> float:
        """How long to leave a store alone that fails; 0 while it works."""
        return STORE_PAUSE.after(self.failures) if self.failures else 0.0

    async def load(self) -> Stored:
        return await self._bridge.call("store", "load the store", STORE_LIMIT_S, self._store.load)

    def quiet(self, snapshot: Snapshot, plan: Plan, now: float) -> bool:
        """Whether the plan may stay unstored: it moves nothing but clocks, and losing that makes nothing older.

        Never after a failure, so that "the store works again" is always something that was seen.
        """
        looked = plan.memory.looked and not snapshot.memory.looked
        return plan.empty and not looked and not self.failures and now - self._committed_at < QUIET_COMMIT_S

    async def commit(self, expected_version: int, plan: Plan, now: float) -> int:
        """Store the plan and return the new version.

        :raises VersionConflictError: another controller has written the store.
        :raises StoreError: nothing of the plan was stored.
        """
        try:
            version = await self._commit(expected_version, plan)
        except VersionConflictError:
            raise
        except StoreError as error:
            self._failed(error)
            raise
        if self.failures:
            log.warning("the store works again after %d failure(s)", self.failures)
        self.failures, self.error = 0, ""
        self._committed_at = now
        return version

    async def _commit(self, expected_version: int, plan: Plan) -> int:
        commit = self._store.commit
        try:
            return await self._bridge.call("store", "commit", STORE_LIMIT_S, lambda: commit(expected_version, plan))
        except StoreError:
            raise
        except UnknownOutcomeError as error:
            self.in_doubt = True
            return await self._settled(expected_version, plan, error)
        except DynamicClusterError as error:
            raise StoreError(str(error)) from error
        except Exception as error:
            log.exception("the store failed unexpectedly")
            raise StoreError(f"{type(error).__name__}: {error}") from error

    async def _settled(self, expected_version: int, plan: Plan, why: DynamicClusterError) -> int:
        """What became of a commit that did not come back, once the store can be read again."""
        while True:
            self._failed(why)
            if await happens(self._stopping, self.pause_s):
                raise StoreError("the service stops while it is not known whether the last commit was stored")
            try:
                stored = await self.load()
            except DynamicClusterError as error:
                why = error
                continue
            self.in_doubt = False
            if stored.version == expected_version:
                raise StoreError(f"not stored: {why}")
            if stored.version == expected_version + 1 and stored.memory == plan.memory:
                return stored.version
            raise VersionConflictError(f"the store is at version {stored.version}: another controller has written it")

    def _failed(self, error: DynamicClusterError) -> None:
        self.failures += 1
        self.error = str(error)
        log.error("the store failed, %d in a row; nothing is done until it works: %s", self.failures, error)

    async def prune_when_due(self, now: float) -> None:
        """Once a day, drop history that is older than :data:`HISTORY_S`."""
        if self._clock.monotonic() < self._prune_due_s:
            return
        self._prune_due_s = self._clock.monotonic() + PRUNE_EVERY_S
        prune = self._store.prune
        try:
            dropped = await self._bridge.call(
                "store", "prune the history", STORE_LIMIT_S, lambda: prune(now - HISTORY_S)
            )
        except DynamicClusterError as error:
            log.warning("the history could not be pruned, tomorrow again: %s", error)
        else:
            log.info("%d event(s) older than %.0f days dropped", dropped, HISTORY_S / 86400.0)

    async def events(self, query: EventQuery) -> EventPage:
        events = self._store.events
        return await self._bridge.call(
            "history",
            "read the history",
            STORE_LIMIT_S,
            lambda: events(query),
        )
