"""The whole engine on virtual time with the EC2 adapter, against the stand-in of ``ec2_site``. Nothing joins: what is
looked at is machines, and what is recorded of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ec2_site import Ec2Site
from engine_harness import Tap, TestBridge, TestStore, policy, resource

from dynamiccluster.clouds.aws import calls as aws_calls
from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.embedded.jobs import JobRequest
from dynamiccluster.embedded.site import Site
from dynamiccluster.engine.loop import Engine
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.pace import PacedClock
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import Command, CommandKind, CommandReply
from dynamiccluster.model.job import Shape
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Timers
from dynamiccluster.model.worker_node import WorkerNode
from dynamiccluster.schedulers.simulated import SimulatedScheduler

KEYS = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "instance_type": "c5.large",
}
LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
QUICK_S = 0.5
_CALLS: dict[tuple[str, bool], AwsCalls] = {}


def config(site: Ec2Site, **more: Any) -> dict[str, Any]:
    return dict(AwsConfig.model_validate(KEYS | {"endpoint_url": site.url} | more))


def calls(site: Ec2Site, *, quick: bool = False) -> AwsCalls:
    """Clients are slow to make: one set for each site. ``quick``: they wait :data:`QUICK_S` for an answer."""
    made = _CALLS.get((site.url, quick))
    if made is None:
        made = _CALLS[site.url, quick] = AwsCalls(config(site))
        with pytest.MonkeyPatch.context() as patch:
            if quick:
                patch.setattr(aws_calls, "READ_TIMEOUT_S", QUICK_S)
            made.client("ec2")
            made.client("service-quotas")
    return made


def aws(site: Ec2Site, clock: Clock, cluster_id: str = "c1", *, quick: bool = False, **more: Any) -> AwsCloud:
    return AwsCloud(clock, cluster_id, "t", calls(site, quick=quick), {"r": config(site, **more)}, {})


def rules() -> Policy:
    """One resource of large machines, which may be long on their way: no scheduler ever sees them."""
    timers = Timers(launch_s=1e6, boot_s=1e5, idle_s=1e6)
    kind = resource("r", cores=2, max_nodes=400, timers=timers, offering="t/any/c5.large/on-demand")
    return policy(replace(kind, cloud="aws"))


class Ec2Rig:
    """Engines, one after another, on one store and one region."""

    neighbours: Mapping[str, Tap] = {}
    """Other clouds of the installation, by tenancy."""

    beside = ""
    """The resource that they have: its nodes are not among those looked at."""

    def __init__(
        self,
        site: Ec2Site,
        seed: int = 1,
        *,
        quick: bool = False,
        keys: dict[str, Any] | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.ec2 = site
        self.rng = random.Random(seed)
        self.store = TestStore()
        self.number = 0
        loop = asyncio.get_running_loop()
        self.clock = PacedClock(loop, time.time())
        site.now = self.clock.now
        self._site = Site(1, self.clock.now(), loop.time())
        self.queue = self._site.add_queue("c1")
        self.cloud = Tap(aws(site, self.clock, quick=quick, **(keys or {})))
        self.rules = policy or rules()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.bridge = TestBridge()
        self.engine = Engine(
            self.rules,
            SimulatedScheduler(self._site, self.clock, "c1"),
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
        with self._site.at(self.clock):
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
        """Instances that nodes stand for, by EC2's own ids."""
        return Counter(node.instance_id.partition("+")[0] for node in self.nodes if node.instance_id)

    def settled(self) -> bool:
        """What exists is what is recorded, and nothing is open."""
        recorded, stored = self.recorded(), self.store.load()
        return not stored.open_actions and set(recorded) == self.ec2.living() and len(recorded) == len(self.nodes)

    async def end_all(self) -> None:
        """Have every node ended; nothing of it is left."""
        for node in self.nodes:
            await self.ask(CommandKind.DELETE, node.node_id, force=True)
        await self.until(lambda: not self.nodes and not self.ec2.living())
