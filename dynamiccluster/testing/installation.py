"""One installation of a world: engines that live and die, one after another, on the same store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.hosts import BatchHost
from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.site import Site
from dynamiccluster.engine.loop import Engine
from dynamiccluster.kit.pace import PacedClock
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import Command, CommandKind
from dynamiccluster.model.event import EventQuery
from dynamiccluster.model.job import JobState, Shape
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.worker_node import NodeState
from dynamiccluster.schedulers.simulated import SimulatedScheduler
from dynamiccluster.store.memory import MemoryStore
from dynamiccluster.testing.bridge import InlineBridge
from dynamiccluster.testing.faults import Fault, FaultKind, Faults
from dynamiccluster.testing.flaky_cloud import FlakyCloud
from dynamiccluster.testing.flaky_scheduler import FlakyScheduler
from dynamiccluster.testing.flaky_store import FlakyStore
from dynamiccluster.testing.invariants import Breach, Invariants
from dynamiccluster.testing.setting import InstallationSetting, TenancySetting
from dynamiccluster.testing.witness import WitnessedCloud, WitnessedScheduler, WitnessedStore

T = TypeVar("T")

ENDS = (FaultKind.CRASH, FaultKind.CRASH_STORE_LOST, FaultKind.STOP)

REMOVAL_STEPS = ("hold", "host-remove", "terminate")
"""Between any two steps of a removal a job may arrive that fits the very node."""

LEAVING = frozenset({NodeState.HOLDING, NodeState.HELD, NodeState.REMOVING, NodeState.TERMINATING})

INTRUDES = 0.3
"""Share of the removal steps at which one does."""

EXPLAIN_EVERY = 40
"""So many commits apart, waiting jobs are asked about (promise 7)."""

OWNER: ContextVar[set[asyncio.Task[Any]] | None] = ContextVar("owner", default=None)
"""The tasks of one life of an engine: whoever is born of it dies with it."""


class SimulatedCrash(BaseException):
    """The process dies here. Not an ``Exception``: nothing of the engine may survive it by handling it."""


def owned_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T] | Generator[Any, None, T], **more: Any
) -> asyncio.Future[T]:
    """A task factory that notes whose task it is."""
    task: asyncio.Task[T] = asyncio.Task(coro, loop=loop, **more)
    owner = OWNER.get()
    if owner is not None:
        owner.add(task)
    return task


@dataclass(frozen=True)
class Surroundings:
    """What all installations of a world share."""

    loop: asyncio.AbstractEventLoop
    clock: PacedClock
    site: Site
    faults: Faults
    schedule: Sequence[Fault]
    tenancies: Sequence[TenancySetting]
    span_s: float  # faults and arrivals end then
    over: asyncio.Event
    broken: Callable[[Breach], None]


class Installation:
    """Starts an engine, ends it as the schedule says, starts the next, until the world is over."""

    def __init__(self, around: Surroundings, setting: InstallationSetting, rng: random.Random) -> None:
        self.cluster_id = setting.cluster_id
        self.policy = setting.policy
        self.commits = 0
        self.crashes = 0
        self._around = around
        self._setting = setting
        self._rng = rng
        self._began_s = around.loop.time()
        self._store = MemoryStore()
        self._queue = around.site.queues[setting.cluster_id]
        self._intruders: dict[object, Shape] = {}
        self._engine: Engine | None = None
        self._steps_to_live: int | None = None
        self._dead = asyncio.Event()
        self.invariants = Invariants(
            self.cluster_id,
            around.site,
            setting.policy,
            around.broken,
            lambda target: around.site.now - self._elapsed_s() + around.faults.last_s(target),
        )

    def tail(self, lines: int = 60) -> list[str]:
        """The last events of this installation, oldest first."""
        page = self._store.events(EventQuery(limit=lines))
        return [
            f"{event.at - self._around.clock.now() + self._elapsed_s():9.0f} s {self.cluster_id} "
            f"{event.host_name or event.resource or event.kind}: {event.from_state}->{event.to_state} {event.text}"
            for _, event in reversed(page.events)
        ]

    async def live(self) -> None:
        """One engine after another."""
        ends = [f for f in self._around.schedule if f.kind in ENDS and f.target == self.cluster_id]
        for fault in ends:
            if fault.until_s > self._elapsed_s() and not self._around.over.is_set():
                await self._one_life(fault)
                if fault.kind is FaultKind.CRASH_STORE_LOST:
                    self._store = MemoryStore()
                await self._sleep_until(fault.until_s)
        if not self._around.over.is_set():
            await self._one_life(None)

    # -- lives ------------------------------------------------------------------------------------------------

    async def _one_life(self, end: Fault | None) -> None:
        self._dead = asyncio.Event()
        self._steps_to_live = None
        tasks: set[asyncio.Task[Any]] = set()
        token = OWNER.set(tasks)
        try:
            engine, bridge = self._build()
            self._engine = engine
            run = asyncio.create_task(engine.run())
            chores = asyncio.create_task(self._let_it_act(engine))
        finally:
            OWNER.reset(token)
        await self._until_the_end(run, end)
        if end is not None and end.kind is not FaultKind.STOP and not self._around.over.is_set():
            self.crashes += 1
            self._dead.set()
            bridge.kill()
        elif not run.done():
            engine.stop()
            await asyncio.wait({run}, timeout=600.0)
            if not run.done():
                self._around.broken(Breach(5, self._around.site.now, self.cluster_id, "the engine does not stop"))
        self._dead.set()
        self._engine = None
        chores.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._judge_end(error)

    async def _until_the_end(self, run: asyncio.Task[None], end: Fault | None) -> None:
        """Wait until this life is to end, or has ended by itself."""
        crash = asyncio.create_task(self._dead.wait())
        over = asyncio.create_task(self._around.over.wait())
        waiting: set[asyncio.Task[Any]] = {run, crash, over}
        try:
            if end is None:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                return
            start_s = max(0.0, end.from_s - self._elapsed_s())
            done, _ = await asyncio.wait(waiting, timeout=start_s, return_when=asyncio.FIRST_COMPLETED)
            if not done and end.kind is not FaultKind.STOP:
                self._steps_to_live = int(end.amount)
                await asyncio.wait(waiting, timeout=300.0, return_when=asyncio.FIRST_COMPLETED)
            if run.done() and not self._dead.is_set() and not run.exception():
                self._judge_end(RuntimeError("it returned"))
        finally:
            crash.cancel()
            over.cancel()

    def _judge_end(self, error: BaseException) -> None:
        """Promise 5: an engine ends when it is told to, or killed, and for no other reason."""
        errors = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        for each in errors:
            if isinstance(each, BaseExceptionGroup):
                self._judge_end(each)
            elif not isinstance(each, (SimulatedCrash, asyncio.CancelledError)):
                self._around.broken(Breach(5, self._around.site.now, self.cluster_id, f"the engine died: {each!r}"))

    def _build(self) -> tuple[Engine, InlineBridge]:
        around, cluster_id = self._around, self.cluster_id
        bridge = InlineBridge(random.Random(self._rng.random()), stalls=self._stalls, delivered=self._delivered)
        scheduler = FlakyScheduler(
            SimulatedScheduler(around.site, around.clock, cluster_id),
            around.faults,
            f"scheduler:{cluster_id}",
            self._later,
        )
        clouds = {
            tenancy.name: WitnessedCloud(
                FlakyCloud(
                    SimulatedCloud(
                        around.site,
                        tenancy.name,
                        around.clock,
                        cluster_id,
                        idempotent=tenancy.idempotent,
                        tags_nodes=tenancy.tags_nodes,
                    ),
                    around.faults,
                    f"cloud:{tenancy.name}",
                    self._later,
                ),
                self.invariants,
                lambda: bridge.answering,
            )
            for tenancy in around.tenancies
        }
        store = WitnessedStore(
            FlakyStore(self._store, around.faults, cluster_id), self.invariants, lambda plan: self._after_commit(plan)
        )
        engine = Engine(
            self._setting.policy,
            WitnessedScheduler(scheduler, self.invariants),
            clouds,
            store,
            around.clock,
            bridge,
            word=self._word,
            probe=self._probe,
        )
        return engine, bridge

    def _delivered(self, name: str, result: object) -> None:
        """The engine gets an answer: of a list, or that a hold is in force."""
        verb, _, host_name = name.partition(" ")
        if verb == ActionKind.HOLD:
            with self._around.site.at(self._around.clock):
                self._queue.acknowledged(host_name)
        self.invariants.delivered(name, result)

    def _word(self) -> str:
        return "".join(self._rng.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(4))

    def _later(self, delay_s: float, function: Callable[[], None]) -> None:
        self._around.loop.call_later(delay_s, function)

    def _stalls(self, group: str) -> bool:
        struck = self._around.faults.strikes(FaultKind.STALL, self.cluster_id)
        if struck:
            self._around.faults.note(FaultKind.STALL, group)
        return struck

    # -- what happens to a living engine ----------------------------------------------------------------------

    def _probe(self, step: str) -> None:
        """Called by the engine at its named steps."""
        if self._dead.is_set():
            raise SimulatedCrash
        if self._steps_to_live is not None:
            self._steps_to_live -= 1
            if self._steps_to_live < 0:
                self._dead.set()
                raise SimulatedCrash
        if step.endswith(REMOVAL_STEPS) and self._rng.random() < INTRUDES:
            self._intrude()

    def _intrude(self) -> None:
        """A job arrives that fits a node which is just being removed."""
        names = {node.host_name for node in self.invariants.nodes.values() if node.state in LEAVING}
        with self._around.site.at(self._around.clock):
            leaving = [host for host in self._queue.hosts.values() if host.name in names]
            if leaving and self._elapsed_s() < self._around.span_s:
                shape = self._fitting(self._rng.choice(leaving))
                self._queue.submit(JobRequest(shape, 120.0, name="intruder", priority=1000.0))
                self._queue.schedule_now()

    def _fitting(self, host: BatchHost) -> Shape:
        mine = host.attributes
        shape = self._intruders.get(mine)
        if shape is None:
            wanted = mine.reservation
            queue = wanted.queue or min(mine.queues, default="batch")
            features = ((wanted.property,),) if wanted.property else ()
            whole = Capacity(mine.capacity.cores)  # no host that is in use can take it instead
            shape = Shape(queues=(queue,), account=wanted.account, chunk=whole, features=features)
            self._intruders[mine] = shape
        return shape

    def _after_commit(self, plan: Plan) -> None:
        self.commits += 1
        engine = self._engine
        if engine is not None and self.commits % EXPLAIN_EVERY == 0:
            self._ask_about_jobs(engine)

    def _ask_about_jobs(self, engine: Engine) -> None:
        """Promises 4 and 7 on the engine's present picture."""
        snapshot = engine.readmodel.snapshot
        self.invariants.shows(snapshot.scheduler, snapshot.clouds.values())
        if snapshot.scheduler is None:
            return
        waiting = [job for job in snapshot.scheduler.jobs if job.state is JobState.PENDING]
        for job in waiting[:20]:
            answer = engine.explain(job.job_id)
            if answer is None or not answer.summary:
                self.invariants.broken(7, f"no answer why job {job.job_id!r} waits")

    async def _let_it_act(self, engine: Engine) -> None:
        """After a first start on a cluster with hosts the engine only observes, until an administrator has looked."""
        number = 0
        while True:
            await asyncio.sleep(300.0)
            if engine.readmodel.snapshot.memory.observe_only:
                number += 1
                await engine.command(Command(f"{self.cluster_id}-{number}", CommandKind.OBSERVE_OFF, "admin"))

    def _elapsed_s(self) -> float:
        return self._around.loop.time() - self._began_s

    async def _sleep_until(self, at_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, at_s - self._elapsed_s())):
                await self._around.over.wait()
        except TimeoutError:
            return
