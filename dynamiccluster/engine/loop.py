"""The loop: one picture, one decision, one commit, then the actions. It owns all state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from dynamiccluster.checkers.base import Checker
from dynamiccluster.clouds.base import Cloud
from dynamiccluster.decide.tick import answer, decide
from dynamiccluster.engine import recovery
from dynamiccluster.engine.actuator import Actuator, Hands, Probe
from dynamiccluster.engine.inbox import Asked, Inbox
from dynamiccluster.engine.poller import Poller
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import NotFoundError, StoreError, TransientError, VersionConflictError
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock, SteadyClock
from dynamiccluster.model.action import Action
from dynamiccluster.model.command import Command, CommandReply
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import JobAnswer, Plan, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.retry import Pause
from dynamiccluster.model.view import CloudView, SchedulerView, SourceStatus
from dynamiccluster.names.base import Names
from dynamiccluster.plugins.scripts import Hooks
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.store.base import EventPage, Store

log = logging.getLogger(__name__)

Record = TypeVar("Record")

STORE_LIMIT_S = 60.0
STORE_PAUSE = Pause(2.0, 60.0)
"""How long to wait before a store that failed is tried again."""

BESIDE_S = 0.1
"""A decision that took longer than this is next time made in a thread, so that the API keeps answering."""

QUIET_COMMIT_S = 60.0
"""Ticks that change nothing but the observed clocks are stored this often at most."""


def _no_probe(step: str) -> None:
    """Crash tests put something here that ends the process at a named step."""


class Engine:
    """Implements :class:`dynamiccluster.engine.service.Service`."""

    def __init__(
        self,
        policy: Policy,
        scheduler: Scheduler,
        clouds: Mapping[str, Cloud],
        store: Store,
        clock: Clock,
        bridge: Bridge,
        *,
        checker: Checker | None = None,
        names: Names | None = None,
        hooks: Hooks | None = None,
        hook_timeout_s: float = 60.0,
        word: Callable[[], str],
        probe: Probe = _no_probe,
        reloader: Callable[[str], Awaitable[list[str]]] | None = None,
        document: Mapping[str, object] | None = None,
    ) -> None:
        """``word`` gives the random word of a fresh store (four characters, part of all its node ids)."""
        self._clock = SteadyClock(clock)
        self._bridge = bridge
        self._store = store
        self._word = word
        self._probe = probe
        self._reloader = reloader
        self._document = dict(document or {})
        self._policy = _with_idempotence(policy, clouds)
        self._inbox = Inbox()
        hands = Hands(scheduler, clouds, policy.resources, checker, names, hooks, hook_timeout_s)
        self._actuator = Actuator(hands, bridge, self._clock, self._inbox.put_result, probe)
        self._pollers: dict[str, Poller[SchedulerView] | Poller[CloudView]] = {}
        self._poller_tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._committed_at = 0.0
        self._tick_s = 0.0
        self._store_failures = 0
        self._wake_at: float | None = None
        self._open: dict[str, Action] = {}
        self._snapshot = Snapshot(version=0, memory=Memory())
        self._readmodel = ReadModel(at=self._clock.now(), snapshot=self._snapshot, policy=self._policy)
        self._started_at = self._clock.now()

    # -- life --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until :meth:`stop`. Raises ``StoreError`` if the store cannot be read at the start, and
        ``VersionConflictError`` if another controller writes it."""
        await self._load()
        self._start_pollers()
        try:
            while not self._stopping.is_set():
                await self._wait()
                if not self._stopping.is_set():
                    await self._tick()
        finally:
            await self._stop_pollers()
            await self._actuator.stop()
            for asked in self._inbox.asked:
                if not asked.reply.done():
                    asked.reply.set_exception(TransientError("the service is stopping"))

    def stop(self) -> None:
        """Ask :meth:`run` to end. Nodes stay as they are; the next start goes on with them."""
        self._stopping.set()
        self._inbox.news.set()

    async def _load(self) -> None:
        stored = await self._bridge.call("store", "load the store", STORE_LIMIT_S, self._store.load)
        now = self._clock.now()
        memory = recovery.memory_on_this_clock(stored.memory, now)
        if not memory.generation:
            memory = replace(memory, generation=self._word())
        self._snapshot = Snapshot(
            version=stored.version,
            memory=memory,
            nodes=recovery.on_this_clock(stored.nodes, now),
            launches=recovery.launches_on_this_clock(stored.launches, now),
        )
        self._open = {action.action_id: action for action in stored.open_actions}
        self._inbox.results += recovery.lost_replies(stored.open_actions, now)
        known = f"{len(stored.nodes)} node(s), {len(stored.open_actions)} action(s) without a recorded reply"
        self._inbox.put_note(Event(now, EventKind.SERVICE, f"started; the store knows {known}"))
        self._publish(Plan(memory=memory), now)

    def _start_pollers(self) -> None:
        policy, hands, inbox = self._policy, self._actuator.hands, self._inbox
        pollers: dict[str, Poller[SchedulerView] | Poller[CloudView]] = {
            "scheduler": Poller(
                "scheduler",
                hands.scheduler.poll,
                policy.scheduler_poll_s,
                self._bridge,
                self._clock,
                inbox.put_scheduler,
                inbox.put_note,
            )
        }
        for tenancy, cloud in hands.clouds.items():
            source = f"cloud:{tenancy}"
            pollers[source] = Poller(
                source,
                cloud.list_instances,
                policy.cloud_poll_s,
                self._bridge,
                self._clock,
                inbox.put_cloud,
                inbox.put_note,
            )
        self._pollers = pollers
        loop = asyncio.get_running_loop()
        self._poller_tasks = [loop.create_task(poller.run()) for poller in pollers.values()]

    async def _stop_pollers(self) -> None:
        for task in self._poller_tasks:
            task.cancel()
        await asyncio.gather(*self._poller_tasks, return_exceptions=True)
        self._poller_tasks = []

    async def reconfigure(
        self,
        policy: Policy,
        scheduler: Scheduler,
        clouds: Mapping[str, Cloud],
        *,
        checker: Checker | None,
        names: Names | None,
        hooks: Hooks | None,
        hook_timeout_s: float,
        document: Mapping[str, object],
        actor: str,
    ) -> None:
        """Put a new configuration in force between two ticks. Nodes, views and memory stay."""
        await self._stop_pollers()
        self._policy = _with_idempotence(policy, clouds)
        self._document = dict(document)
        self._actuator.hands = Hands(scheduler, clouds, policy.resources, checker, names, hooks, hook_timeout_s)
        self._inbox.clouds = {name: view for name, view in self._inbox.clouds.items() if name in clouds}
        self._start_pollers()
        self._inbox.put_note(Event(self._clock.now(), EventKind.SERVICE, "configuration reloaded", actor=actor))

    # -- ticks -------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Until there is news or the last plan's time has come."""
        inbox = self._inbox
        if self._store_failures:
            pause_s = STORE_PAUSE.after(self._store_failures)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
        elif not inbox.news.is_set():
            wake_at = self._wake_at
            timeout_s = None if wake_at is None else max(wake_at - self._clock.now(), 0.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(inbox.news.wait(), timeout_s)
        inbox.news.clear()

    def _picture(self, results: int, asked: list[Asked]) -> Snapshot:
        inbox = self._inbox
        return replace(
            self._snapshot,
            scheduler=inbox.scheduler,
            clouds=dict(inbox.clouds),
            results=tuple(inbox.results[:results]),
            commands=tuple(one.command for one in asked),
        )

    async def _tick(self) -> None:
        inbox = self._inbox
        results, asked, notes = len(inbox.results), list(inbox.asked), list(inbox.notes)
        snapshot = self._picture(results, asked)
        now = self._clock.now()
        began = self._clock.monotonic()
        try:
            plan = await self._decide(snapshot, now)
        except Exception as error:
            # outermost guard: this tick is skipped, everything it was given stays for the next one
            log.exception("the decision failed; the next one is tried in %.0f s", self._policy.scheduler_poll_s)
            self._wake_at = now + self._policy.scheduler_poll_s
            self._refuse(asked, TransientError(f"the decision failed: {type(error).__name__}: {error}"))
            return
        self._tick_s = self._clock.monotonic() - began
        plan = replace(plan, events=(*notes, *plan.events))
        try:
            version = await self._commit(snapshot, plan, now)
        except VersionConflictError:
            raise
        except StoreError as error:
            self._store_failures += 1
            log.error("the store failed, %d in a row; nothing is done until it works: %s", self._store_failures, error)  # noqa: TRY400 - expected kind, no traceback wanted
            self._readmodel = replace(self._readmodel, store_error=str(error))
            self._refuse(asked, error)
            return
        self._store_failures = 0
        del inbox.results[:results]
        del inbox.asked[: len(asked)]
        del inbox.notes[: len(notes)]
        self._advance(snapshot, plan, version)
        self._publish(plan, now)
        log.log(logging.DEBUG if plan.empty else logging.INFO, "%s", plan.sentence)
        self._actuator.carry_out(plan.actions)
        replies = {reply.command_id: reply for reply in plan.replies}
        for one in asked:
            if not one.reply.done():
                one.reply.set_result(replies[one.command.command_id])

    async def _decide(self, snapshot: Snapshot, now: float) -> Plan:
        policy = self._policy
        if self._tick_s > BESIDE_S:
            return await self._bridge.call("decide", "decide", STORE_LIMIT_S, lambda: decide(snapshot, policy, now))
        return decide(snapshot, policy, now)

    async def _commit(self, snapshot: Snapshot, plan: Plan, now: float) -> int:
        """Store the plan. Ticks that only move clocks are stored now and then: losing them makes nothing older."""
        looked = plan.memory.looked and not snapshot.memory.looked
        if plan.empty and not looked and now - self._committed_at < QUIET_COMMIT_S:
            return snapshot.version
        self._probe("before-commit")
        commit = self._store.commit
        version = await self._bridge.call("store", "commit", STORE_LIMIT_S, lambda: commit(snapshot.version, plan))
        self._committed_at = now
        self._probe("after-commit")
        return version

    def _advance(self, snapshot: Snapshot, plan: Plan, version: int) -> None:
        nodes = _merged(snapshot.nodes, plan.nodes, plan.forgotten_nodes)
        launches = _merged(snapshot.launches, plan.launches, plan.forgotten_launches)
        self._snapshot = replace(
            snapshot, version=version, memory=plan.memory, nodes=nodes, launches=launches, results=(), commands=()
        )
        for action_id in plan.closed_actions:
            self._open.pop(action_id, None)
        for action in plan.actions:
            self._open[action.action_id] = action
        self._wake_at = plan.wake_at

    def _refuse(self, asked: list[Asked], error: Exception) -> None:
        """Whoever asked is told; the command is not kept for later."""
        for one in asked:
            if not one.reply.done():
                one.reply.set_exception(error)
        del self._inbox.asked[: len(asked)]

    def _publish(self, plan: Plan, now: float) -> None:
        self._readmodel = ReadModel(
            at=now,
            snapshot=self._snapshot,
            policy=self._policy,
            demand=plan.demand,
            sources={name: poller.status for name, poller in self._pollers.items()},
            open_actions=dict(self._open),
            proposals=plan.proposals,
            sentence=plan.sentence,
            tick=plan.memory.tick,
            tick_s=self._tick_s,
            started_at=self._started_at,
            inbox_length=len(self._inbox),
        )

    # -- the door from outside -----------------------------------------------------------------------------

    @property
    def readmodel(self) -> ReadModel:
        sources: Mapping[str, SourceStatus] = {name: poller.status for name, poller in self._pollers.items()}
        return replace(self._readmodel, sources=sources, inbox_length=len(self._inbox))

    async def command(self, command: Command) -> CommandReply:
        if self._stopping.is_set():
            raise TransientError("the service is stopping")
        return await self._inbox.ask(command)

    def nudge(self, source: str = "scheduler") -> None:
        poller = self._pollers.get(source)
        if poller is None:
            raise NotFoundError(f"no source {source!r}; there are {', '.join(sorted(self._pollers))}")
        poller.nudge()

    async def reload(self, actor: str) -> list[str]:
        return await self._reloader(actor) if self._reloader else ["this service was started without a file"]

    def dry_run(self) -> Plan:
        return decide(self._picture(len(self._inbox.results), []), self._policy, self._clock.now())

    def explain(self, job_id: str) -> JobAnswer | None:
        job = self._readmodel.jobs_by_id.get(job_id)
        if job is None:
            return None
        return answer(self._readmodel.snapshot, self._policy, self._clock.now(), self._readmodel.demand, job)

    async def events(
        self,
        limit: int = 100,
        before: int = 0,
        node_id: str = "",
        resource: str = "",
        job_id: str = "",
        kind: str = "",
        since_at: float = 0.0,
    ) -> EventPage:
        return await self._bridge.call(
            "history",
            "read the history",
            STORE_LIMIT_S,
            lambda: self._store.events(limit, before, node_id, resource, job_id, kind, since_at),
        )

    async def console_tail(self, node_id: str) -> str:
        node = self._readmodel.node(node_id)
        if node is None:
            raise NotFoundError(f"no worker node {node_id!r}")
        cloud = self._actuator.hands.clouds.get(node.tenancy)
        if cloud is None or not node.instance_id:
            return ""
        instance_id = node.instance_id
        return await self._bridge.call(
            f"cloud:{node.tenancy}", f"console of {node.host_name}", 60.0, lambda: cloud.console_tail(instance_id)
        )

    def config_document(self) -> dict[str, object]:
        return dict(self._document)


def _merged(old: Mapping[str, Record], changed: Mapping[str, Record], gone: tuple[str, ...]) -> dict[str, Record]:
    merged = {**old, **changed}
    for key in gone:
        merged.pop(key, None)
    return merged


def _with_idempotence(policy: Policy, clouds: Mapping[str, Cloud]) -> Policy:
    return replace(policy, idempotent_clouds=frozenset(name for name, cloud in clouds.items() if cloud.idempotent))
