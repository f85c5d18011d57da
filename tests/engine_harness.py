"""The whole engine on virtual time for tests: one embedded site, taps on everything foreign, a store that can fail.

``@on_virtual_time`` turns an ``async def`` test into one that runs on a loop which never really waits. Inside,
``async with Rig(...) as rig`` starts the engine and stops it in the end; between, time goes on with ``rig.sleep``
and ``rig.until``.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.site import Site
from dynamiccluster.engine.loop import Engine
from dynamiccluster.errors import StoreError, UnknownOutcomeError
from dynamiccluster.kit.pace import PacedClock, PacedLoop
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import Command, CommandKind, CommandReply
from dynamiccluster.model.event import Event, EventQuery
from dynamiccluster.model.job import JobState, Shape
from dynamiccluster.model.plan import Plan
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Resource, Timers
from dynamiccluster.model.worker_node import NodeState, WorkerNode
from dynamiccluster.schedulers.simulated import SimulatedScheduler
from dynamiccluster.store.memory import MemoryStore
from dynamiccluster.testing.bridge import InlineBridge

T = TypeVar("T")
START_AT = 1_798_000_000.0


def on_virtual_time(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test on a loop whose time jumps from timer to timer."""

    @functools.wraps(test)
    def run(*args: Any, **more: Any) -> None:
        with asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
            runner.run(test(*args, **more))

    return run


def resource(name: str = "r", tenancy: str = "t", cores: int = 4, **more: Any) -> Resource:
    fields: dict[str, Any] = {
        "max_nodes": 5,
        "name_prefix": name,
        "timers": Timers(idle_s=300.0, first_job_s=900.0),
        **more,
    }
    return Resource(name, "simulated", tenancy, Capacity(cores, cores * 2048), **fields)


def policy(*resources: Resource, **more: Any) -> Policy:
    named = {one.name: one for one in resources or (resource(),)}
    return Policy("c1", named, **{"observe_first": False, "declare_shapes": False, **more})


class Tap:
    """Passes every call on and notes it. ``fails[NAME]`` is raised instead, ``says[NAME]`` is answered instead, and
    ``before[NAME]`` is called first."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: list[tuple[Any, ...]] = []
        self.fails: dict[str, BaseException] = {}
        self.says: dict[str, Any] = {}
        self.before: dict[str, Callable[[], None]] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if not callable(value):
            return value

        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            if name in self.before:
                self.before[name]()
            if name in self.fails:
                raise self.fails[name]
            return self.says[name] if name in self.says else value(*arguments)

        return call

    def called(self, name: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == name]


class TestStore(MemoryStore):
    """Fails to commit while ``failure`` is set."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None
        self.tries: list[float] = []  # when commits were tried, on the loop's clock
        self.plans: list[Plan] = []

    def commit(self, expected_version: int, plan: Plan) -> int:
        self.tries.append(asyncio.get_running_loop().time())
        if self.failure is not None:
            raise self.failure
        version = super().commit(expected_version, plan)
        self.plans.append(plan)
        return version

    def texts(self) -> list[str]:
        """The history, oldest first."""
        return [event.text for _, event in reversed(self.events(EventQuery(limit=100_000)).events)]

    def history(self) -> list[Event]:
        return [event for _, event in reversed(self.events(EventQuery(limit=100_000)).events)]


class TestBridge(InlineBridge):
    """As the simulation's, and the store has latency, too: a commit that takes longer than its limit is unknown, and
    whether it takes effect is up to ``late_commit_s``."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__(random.Random(1), latency_s=(0.05, 0.1))
        self.store_s = 0.02
        self.hang: set[str] = set()  # names of calls that do not come back
        self.takes_effect = False  # whether a hanging call has taken effect
        self.asked: list[tuple[str, str]] = []

    async def call(self, group: str, name: str, timeout_s: float, function: Callable[[], T]) -> T:
        self.asked.append((group, name))
        if name in self.hang:
            if self.takes_effect:
                function()
            await asyncio.sleep(timeout_s)
            raise UnknownOutcomeError(f"{name} did not answer within {timeout_s:g} s")
        if group == "store":
            await asyncio.sleep(self.store_s)
            return function()
        return await super().call(group, name, timeout_s, function)


class Rig:
    """One installation: a site, its taps, a store, and an engine that may be ended and started again."""

    def __init__(self, rules: Policy | None = None, store: TestStore | None = None, **more: Any) -> None:
        loop = asyncio.get_running_loop()
        self.rules = rules or policy()
        self.clock = PacedClock(loop, START_AT)
        self.site = Site(1, START_AT, loop.time())
        self.queue = self.site.add_queue("c1")
        self.store = store or TestStore()
        self.scheduler = Tap(SimulatedScheduler(self.site, self.clock, "c1"))
        self.clouds: dict[str, Tap] = {}
        for one in self.rules.resources.values():
            self.add_tenancy(one.tenancy)
        self.more = more
        self.words = iter(("abcd", "efgh", "jkmn", "pqrs"))
        self.number = 0
        self.start_engine()

    def add_tenancy(self, name: str) -> None:
        if name not in self.clouds:
            self.site.add_tenancy(name)
            self.clouds[name] = Tap(SimulatedCloud(self.site, name, self.clock, "c1"))

    @property
    def cloud(self) -> Tap:
        return next(iter(self.clouds.values()))

    # -- life --------------------------------------------------------------------------------------------------

    def start_engine(self) -> Engine:
        """A new engine on the same store and site; :meth:`run` sets it going."""
        self.bridge = TestBridge()
        self.engine = Engine(
            self.rules,
            self.scheduler,  # type: ignore[arg-type]  # a tap passes every call on
            self.clouds,  # type: ignore[arg-type]  # as above
            self.store,
            self.clock,
            self.bridge,
            word=lambda: next(self.words),
            **self.more,
        )
        return self.engine

    def run(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.engine.run())
        return self.task

    async def __aenter__(self) -> Rig:
        self.run()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.engine.stop()
        if error is None:
            await self.task
        else:  # the test's own failure is what counts
            await asyncio.gather(self.task, return_exceptions=True)

    async def kill(self) -> None:
        """The process dies here: nothing more of it happens."""
        self.bridge.kill()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    # -- time --------------------------------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def until(self, holds: Callable[[], object], within_s: float = 3600.0) -> None:
        """Let time go on until ``holds()``."""
        loop = asyncio.get_running_loop()
        last_s = loop.time() + within_s
        while not holds():
            if self.task.done():
                self.task.result()
                raise AssertionError("the engine has ended")
            if loop.time() > last_s:
                raise AssertionError(f"not within {within_s:g} s; nodes {self.states()}; {self.store.texts()[-8:]}")
            await asyncio.sleep(0.25)

    # -- people and pictures -------------------------------------------------------------------------------------

    def submit(self, cores: int = 4, run_s: float = 60.0, count: int = 1) -> None:
        with self.site.at(self.clock):
            for _ in range(count):
                self.queue.submit(JobRequest(Shape(queues=("batch",), chunk=Capacity(cores)), run_s))

    async def ask(self, kind: CommandKind, target: str = "", **more: Any) -> CommandReply:
        self.number += 1
        return await self.engine.command(Command(f"cmd{self.number}", kind, "ada", target=target, **more))

    @property
    def nodes(self) -> list[WorkerNode]:
        return list(self.engine.readmodel.snapshot.nodes.values())

    def states(self) -> list[NodeState]:
        return [node.state for node in self.nodes]

    def ended(self) -> int:
        """Jobs that have run to their end."""
        with self.site.at(self.clock):
            return len(self.queue.ended)

    def running(self) -> int:
        with self.site.at(self.clock):
            return sum(job.state is JobState.RUNNING for job in self.queue.jobs.values())

    def machines(self) -> int:
        """Machines that exist, whoever knows of them."""
        with self.site.at(self.clock):
            return sum(one.exists for each in self.site.tenancies.values() for one in each.machines.values())

    def built(self) -> int:
        return sum(each.built for each in self.site.tenancies.values())

    async def a_node(self, state: NodeState = NodeState.BUSY, run_s: float = 100_000.0) -> WorkerNode:
        """One node in that state, with a long job on it if it is busy."""
        self.submit(run_s=run_s)
        await self.until(lambda: state in self.states())
        return next(node for node in self.nodes if node.state is state)

    @contextmanager
    def store_fails(self, error: Exception | None = None) -> Iterator[None]:
        self.store.failure = error or StoreError("the disk is full")
        try:
            yield
        finally:
            self.store.failure = None

    def suspend(self, seconds: float) -> None:
        """The whole machine sleeps: neither timers nor threads go on, and then it is so much later."""
        asyncio.get_running_loop()._paced._virtual_s += seconds  # type: ignore[attr-defined]  # the loop's own clock
