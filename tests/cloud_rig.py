"""The whole engine on virtual time with one cloud. Nothing joins: what is looked at is machines, and what is recorded
of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from engine_harness import Tap, TestBridge, TestStore, resource
from engine_harness import policy as policy_of

from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.site import Site
from dynamiccluster.engine.loop import Engine
from dynamiccluster.kit.pace import PacedClock
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import Command, CommandKind, CommandReply
from dynamiccluster.model.job import Shape
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Timers
from dynamiccluster.model.worker_node import WorkerNode
from dynamiccluster.schedulers.simulated import SimulatedScheduler

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


class Place(Protocol):
    """Where machines are."""

    def living(self) -> set[str]:
        """Those that exist, by the cloud's own ids."""
        ...


def rules(cores: int = 2, **more: Any) -> Policy:
    """One resource whose machines may be long on their way: no scheduler ever sees them."""
    timers = Timers(launch_s=1e6, boot_s=1e5, idle_s=1e6)
    return policy_of(resource("r", cores=cores, max_nodes=400, timers=timers, **more))


class CloudRig:
    """Engines, one after another, on one store and one cloud. ``cloud`` is set before the first start."""

    neighbours: Mapping[str, Tap] = {}
    """Other clouds of the installation, by tenancy."""

    beside = ""
    """The resource that they have: its nodes are not among those looked at."""

    cloud: Tap

    def __init__(self, place: Place, seed: int = 1, policy: Policy | None = None) -> None:
        self.place = place
        self.rng = random.Random(seed)
        self.store = TestStore()
        self.number = 0
        loop = asyncio.get_running_loop()
        self.clock = PacedClock(loop, time.time())
        self.site = Site(1, self.clock.now(), loop.time())
        self.queue = self.site.add_queue("c1")
        self.rules = policy or rules()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.bridge = TestBridge()
        self.engine = Engine(
            self.rules,
            SimulatedScheduler(self.site, self.clock, "c1"),
            {"t": self.cloud, **self.neighbours},  # type: ignore[dict-item]  # a tap passes every call on
            self.store,
            self.clock,
            self.bridge,
            word=lambda: "".join(self.rng.choices(LETTERS, k=4)),
        )
        self.task = asyncio.create_task(self.engine.run())

    async def kill(self) -> None:
        """The process dies here; what has left it may take effect or not."""
        assert self.task is not None
        self.bridge.kill()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def stop(self) -> None:
        self.engine.stop()
        assert self.task is not None
        await self.task

    async def until(self, holds: Callable[[], object], within_s: float = 7200.0) -> None:
        assert self.task is not None
        last_s = asyncio.get_running_loop().time() + within_s
        while not holds():
            if self.task.done():
                self.task.result()
            if asyncio.get_running_loop().time() > last_s:
                raise AssertionError(f"not within {within_s:g} s: {self.states()}; {self.store.texts()[-8:]}")
            await asyncio.sleep(2.0)

    async def ask(self, kind: CommandKind, target: str = "r", **more: Any) -> CommandReply:
        self.number += 1
        return await self.engine.command(Command(f"cmd{self.number}", kind, "ada", target=target, **more))

    def submit(self, cores: int, count: int = 1) -> None:
        with self.site.at(self.clock):
            for _ in range(count):
                self.queue.submit(JobRequest(Shape(queues=("batch",), chunk=Capacity(cores)), 1000.0))

    async def ready(self) -> None:
        """Until commands are taken."""
        await self.until(lambda: self.engine.readmodel.tick > 1 and self.engine.readmodel.snapshot.clouds)

    # -- pictures ----------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[WorkerNode]:
        return [node for node in self.store.load().nodes.values() if node.resource != self.beside]

    def states(self) -> Counter[str]:
        return Counter(str(node.state) for node in self.nodes)

    def recorded(self) -> Counter[str]:
        """Machines that nodes stand for, by the cloud's own ids."""
        return Counter(node.instance_id.partition("+")[0] for node in self.nodes if node.instance_id)

    def settled(self) -> bool:
        """What exists is what is recorded, and nothing is open."""
        recorded, stored = self.recorded(), self.store.load()
        return not stored.open_actions and set(recorded) == self.place.living() and len(recorded) == len(self.nodes)

    async def end_all(self) -> None:
        """Have every node ended; nothing of it is left."""
        for node in self.nodes:
            await self.ask(CommandKind.DELETE, node.node_id, force=True)
        await self.until(lambda: not self.nodes and not self.place.living())
