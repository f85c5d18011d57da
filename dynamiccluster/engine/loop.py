"""The loop: one picture, one decision, one commit, then the actions. It owns all state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from dynamiccluster.checkers.base import Checker
from dynamiccluster.clouds.base import Cloud
from dynamiccluster.decide.offers import with_offers
from dynamiccluster.decide.tick import answer, decide
from dynamiccluster.engine import journal, recovery
from dynamiccluster.engine.actuator import Actuator, Hands, Probe, Redact
from dynamiccluster.engine.inbox import Asked, Inbox, answer_all
from dynamiccluster.engine.keeper import Keeper
from dynamiccluster.engine.oddities import digestible
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.engine.sources import Sources
from dynamiccluster.engine.waiting import happens
from dynamiccluster.errors import (
    DynamicClusterError,
    NotFoundError,
    StoreError,
    TransientError,
    UnknownOutcomeError,
    VersionConflictError,
)
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.kit.clock import Clock, SteadyClock
from dynamiccluster.kit.interpreter import collection_put_off
from dynamiccluster.model.action import Action
from dynamiccluster.model.command import Command, CommandReply
from dynamiccluster.model.event import NEWEST, Event, EventKind, EventQuery
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import JobAnswer, Plan, Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.worker_node import COUNTED
from dynamiccluster.names.base import Names
from dynamiccluster.plugins.scripts import Hooks
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.store.base import EventPage, Store

log = logging.getLogger(__name__)

Record = TypeVar("Record")

BESIDE_S = 0.1
"""After a decision that used a processor for longer, the next is made in a thread, so that the API keeps answering."""

REST = 3.0
MOST_REST_S = 0.5
"""After a decision the next one waits so many times as long as it computed, and so long at most: decisions take a
quarter of the time, whatever happens, and what has happened meanwhile is decided upon together."""

DECIDE_LIMIT_S = 60.0

NAMED = 5
"""Nodes that a warning about many of them names."""

STOP_S = 5.0
"""How long a tick under way may go on when the service is to stop. What it had begun is looked up at the next start."""


def _no_probe(step: str) -> None:
    """Crash tests put something here that ends the process at a named step."""


def _nobody(readmodel: ReadModel) -> None:
    """Nobody wants to know of each decision."""


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
        redact: Redact = str,
        decided: Callable[[ReadModel], None] = _nobody,
        computed: Callable[[], float] | None = None,
    ) -> None:
        """``word`` gives the random word of a fresh store (four characters, part of all its node ids). ``redact``
        hides secrets in what adapters say. ``decided`` is told what each tick has published; it must be quick.
        ``computed`` tells the seconds that a thread has computed so far; without it, the clock's count."""
        self._clock = SteadyClock(clock)
        self._bridge = bridge
        self._word = word
        self._probe = probe
        self._reloader = reloader
        self._redact = redact
        self._decided = decided
        self._computed = computed or self._clock.monotonic
        self._document = dict(document or {})
        self._configured = self._policy = _with_idempotence(policy, clouds)
        self._inbox = Inbox()
        hands = Hands(scheduler, clouds, policy.resources, checker, names, hooks, hook_timeout_s)
        self._actuator = Actuator(hands, bridge, self._clock, self._inbox.put_result, probe, redact)
        self._sources = Sources(bridge, self._clock, self._inbox, redact)
        self._stopping = asyncio.Event()
        self._keeper = Keeper(store, bridge, self._clock, self._stopping)
        self._reconfiguring = asyncio.Lock()
        self._polling = False
        self._decision_error = ""
        self._tick_s = 0.0
        self._computed_s = 0.0
        self._wake_at: float | None = None
        self._open: dict[str, Action] = {}
        self._snapshot = Snapshot(version=0, memory=Memory())
        self._readmodel = ReadModel(at=self._clock.now(), snapshot=self._snapshot, policy=self._policy)
        self._started_at = self._clock.now()

    # -- life --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until :meth:`stop`. Raises ``StoreError`` if the store cannot be read at the start, and
        ``VersionConflictError`` if another controller writes it."""
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._work(), name="engine")
        stopped = loop.create_task(self._stopping.wait(), name="engine stop")
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await asyncio.wait({work}, timeout=STOP_S)
        finally:
            self.stop()
            unfinished = not work.done()
            work.cancel()
            await asyncio.gather(work, stopped, return_exceptions=True)
            async with self._reconfiguring:
                self._polling = False
                await self._sources.stop()
            await self._actuator.stop()
            self._refuse(list(self._inbox.asked), TransientError("the service is stopping"))
        if unfinished:
            log.warning("a tick was still under way; the next start looks into what became of it")
        else:
            work.result()

    def stop(self) -> None:
        """Ask :meth:`run` to end. Nodes stay as they are; the next start goes on with them."""
        self._stopping.set()
        self._inbox.news.set()

    async def _work(self) -> None:
        await self._load()
        self._polling = True
        self._start_polling()
        while not self._stopping.is_set():
            await self._wait()
            if not self._stopping.is_set():
                await self._tick()
                await self._keeper.prune_when_due(self._clock.now())
                if self._computed_s:
                    await happens(self._stopping, min(REST * self._computed_s, MOST_REST_S))

    async def _load(self) -> None:
        stored = await self._keeper.load()
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
        self._note_lost_tenancies()

    def _note_lost_tenancies(self) -> None:
        """Say which nodes can neither be seen nor ended because their tenancy is not configured (any more)."""
        lost: dict[str, list[str]] = {}
        for node in self._snapshot.nodes.values():
            if node.tenancy not in self._actuator.hands.clouds and node.state in COUNTED:
                lost.setdefault(node.tenancy, []).append(node.host_name or node.node_id)
        for tenancy, names in sorted(lost.items()):
            named = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
            text = f"tenancy {tenancy!r} is not configured: its node(s) {named} can neither be seen nor ended"
            log.warning("%s", text)
            self._inbox.put_note(Event(self._clock.now(), EventKind.WARNING, text))

    def _start_polling(self) -> None:
        hands = self._actuator.hands
        self._sources.start(hands.scheduler, hands.clouds, self._policy)

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
        async with self._reconfiguring:
            await self._sources.stop()
            self._configured = self._policy = _with_idempotence(policy, clouds)
            self._document = dict(document)
            self._actuator.hands = Hands(scheduler, clouds, policy.resources, checker, names, hooks, hook_timeout_s)
            self._inbox.clouds = {name: view for name, view in self._inbox.clouds.items() if name in clouds}
            if self._polling:
                self._start_polling()
        self._inbox.put_note(Event(self._clock.now(), EventKind.SERVICE, "configuration reloaded", actor=actor))
        self._note_lost_tenancies()

    # -- ticks -------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Until there is news or the last plan's time has come; while the store fails, until it may be tried again
        or somebody asks for something."""
        inbox, pause_s = self._inbox, self._keeper.pause_s
        if pause_s:
            due_s = self._clock.monotonic() + pause_s
            while not inbox.asked and not self._stopping.is_set():
                inbox.news.clear()
                left_s = due_s - self._clock.monotonic()
                if left_s <= 0 or not await happens(inbox.news, left_s):
                    break
        elif not inbox.news.is_set():
            wake_at = self._wake_at
            await happens(inbox.news, None if wake_at is None else max(wake_at - self._clock.now(), 0.0))
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
        except Exception as error:  # noqa: BLE001 - outermost guard: this tick is skipped, its input stays for the next
            await self._decision_failed(error, snapshot, now)
            self._refuse(asked, TransientError(f"the decision failed: {type(error).__name__}: {error}"))
            return
        self._tick_s = self._clock.monotonic() - began
        self._decision_error = ""
        decided_events, plan = plan.events, replace(plan, events=(*notes, *plan.events))
        try:
            version = await self._commit(snapshot, plan, now)
        except VersionConflictError as error:
            self._refuse(asked, error)
            raise
        except StoreError as error:
            self._refuse(asked, UnknownOutcomeError(str(error)) if self._keeper.in_doubt else error)
            self._snapshot = replace(self._snapshot, memory=recovery.after_a_gap(self._snapshot.memory))
            return
        del inbox.results[:results]
        del inbox.asked[: len(asked)]
        del inbox.notes[: len(notes)]
        self._advance(snapshot, plan, version)
        self._publish(plan, now)
        self._tell_decided()
        journal.write(decided_events, plan.memory.tick)  # notes were logged where they were made
        log.log(logging.DEBUG if plan.empty else logging.INFO, "%s", plan.sentence)
        self._actuator.carry_out(plan.actions)
        answer_all(asked, plan)

    async def _decide(self, snapshot: Snapshot, now: float) -> Plan:
        policy = with_offers(self._configured, snapshot.clouds, snapshot.memory.offers)
        if policy != self._policy:
            self._policy = policy
            self._actuator.hands = replace(self._actuator.hands, resources=policy.resources)

        def undisturbed() -> Plan:
            began_s = self._computed()
            with collection_put_off():
                plan = decide(snapshot, policy, now)
            self._computed_s = self._computed() - began_s
            return plan

        if self._computed_s > BESIDE_S:
            return await self._bridge.call("decide", "decide", DECIDE_LIMIT_S, undisturbed)
        return undisturbed()

    async def _decision_failed(self, error: Exception, snapshot: Snapshot, now: float) -> None:
        """Say so, and set aside results that nobody could decide with: they would fail every tick to come."""
        text = f"{type(error).__name__}: {error}"
        trace = error if text != self._decision_error else None  # one traceback is enough
        pause_s = self._policy.scheduler_poll_s
        log.error("the decision failed (%s); the next one is tried in %.0f s", text, pause_s, exc_info=trace)
        self._decision_error = text
        self._wake_at = now + pause_s
        self._snapshot = replace(self._snapshot, memory=recovery.after_a_gap(self._snapshot.memory))
        if not snapshot.results:
            return
        policy = self._policy
        try:
            odd = await self._bridge.call(
                "decide", "look for odd results", DECIDE_LIMIT_S, lambda: digestible(snapshot, policy, now)
            )
        except DynamicClusterError as late:
            log.warning("no odd result was found: %s", late)
            return
        for position, replacement in sorted(odd.items(), reverse=True):
            result = self._inbox.results.pop(position)
            if replacement is not None:
                self._inbox.results.insert(position, replacement)
            text = f"the result of {result.kind} {result.action_id} could not be used and counts as unknown"
            log.error("%s: %a", text, result)
            self._inbox.put_note(Event(now, EventKind.WARNING, text, node_id=result.node_id, resource=result.resource))

    async def _commit(self, snapshot: Snapshot, plan: Plan, now: float) -> int:
        if self._keeper.quiet(snapshot, plan, now):
            return snapshot.version
        self._probe("before-commit")
        version = await self._keeper.commit(snapshot.version, plan, now)
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
            open_actions=dict(self._open),
            proposals=plan.proposals,
            sentence=plan.sentence,
            tick=plan.memory.tick,
            tick_s=self._tick_s,
            started_at=self._started_at,
        )

    def _tell_decided(self) -> None:
        try:
            self._decided(self._readmodel)
        except Exception:
            log.exception("whoever wants to know of each decision failed")

    # -- the door from outside -----------------------------------------------------------------------------

    @property
    def readmodel(self) -> ReadModel:
        return replace(
            self._readmodel,
            sources=self._sources.statuses,
            store_error=self._keeper.error,
            decision_error=self._decision_error,
            inbox_length=len(self._inbox),
        )

    async def command(self, command: Command) -> CommandReply:
        if self._stopping.is_set():
            raise TransientError("the service is stopping")
        if self._keeper.in_doubt:
            raise StoreError(self._keeper.error)
        return await self._inbox.ask(command)

    def nudge(self, source: str = "scheduler", *, note: str = "", actor: str = "") -> None:
        if note:
            self._inbox.put_note(Event(self._clock.now(), EventKind.COMMAND, note, actor=actor))
        self._sources.nudge(source)

    async def reload(self, actor: str) -> list[str]:
        return await self._reloader(actor) if self._reloader else ["this service was started without a file"]

    async def dry_run(self) -> Plan:
        snapshot, policy, now = self._picture(len(self._inbox.results), []), self._policy, self._clock.now()
        return await self._bridge.call("dry-run", "dry run", DECIDE_LIMIT_S, lambda: decide(snapshot, policy, now))

    def explain(self, job_id: str) -> JobAnswer | None:
        job = self._readmodel.jobs_by_id.get(job_id)
        if job is None:
            return None
        return answer(self._readmodel.snapshot, self._policy, self._clock.now(), self._readmodel.demand, job)

    async def events(self, query: EventQuery = NEWEST) -> EventPage:
        return await self._keeper.events(query)

    async def console_tail(self, node_id: str) -> str:
        node = self._readmodel.node(node_id)
        if node is None:
            raise NotFoundError(f"no worker node {node_id!r}")
        cloud = self._actuator.hands.clouds.get(node.tenancy)
        if cloud is None or not node.instance_id:
            return ""
        instance_id = node.instance_id
        group, name = f"cloud:{node.tenancy}/console", f"console of {node.host_name}"
        return self._redact(await self._bridge.call(group, name, 60.0, lambda: cloud.console_tail(instance_id)))

    def config_document(self) -> dict[str, object]:
        return dict(self._document)


def _merged(old: Mapping[str, Record], changed: Mapping[str, Record], gone: tuple[str, ...]) -> dict[str, Record]:
    merged = {**old, **changed}
    for key in gone:
        merged.pop(key, None)
    return merged


def _with_idempotence(policy: Policy, clouds: Mapping[str, Cloud]) -> Policy:
    return replace(policy, idempotent_clouds=frozenset(name for name, cloud in clouds.items() if cloud.idempotent))
