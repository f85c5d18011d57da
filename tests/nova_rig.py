"""The engine on virtual time with the OpenStack adapter, against ``nova_site``."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import Any

import cloud_rig
from cloud_rig import CloudRig
from engine_harness import Tap
from nova_cloud import keys
from nova_site import Fault, NovaSite

from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.calls import OpenstackCalls
from dynamiccluster.kit.clock import Clock
from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.policy import Policy

LONGEST_LIFE_S = 12.0
BETWEEN_S = 5.0
MOST_AT_ONCE = 3
MOST_ALIVE = 40
FAULTS: tuple[str | int, ...] = ("lost", 500, 429, "exc_quota_instances")
_CALLS: dict[str, OpenstackCalls] = {}


def openstack(site: NovaSite, clock: Clock) -> OpenstackCloud:
    """Of resource ``r``, with one connection for each site."""
    config = keys(site.url)
    calls = _CALLS.setdefault(site.url, OpenstackCalls(config))
    return OpenstackCloud(clock, "c1", "t", calls, {"r": config}, {})


def rules() -> Policy:
    """As elsewhere, and what is launched is told by its offering."""
    found = cloud_rig.rules(cores=1, offering="t/any/t.nano")
    return replace(found, resources={"r": replace(found.resources["r"], cloud="nova")})


class NovaRig(CloudRig):
    """Engines, one after another, on one store and one project."""

    def __init__(self, site: NovaSite, seed: int = 1) -> None:
        super().__init__(site, seed, rules())
        site.now = self.clock.now
        self.cloud = Tap(openstack(site, self.clock))


@dataclass
class Tally:
    launches: int = 0
    deaths: int = 0
    faults: int = 0


async def launch_and_die(site: NovaSite, launches: int, seed: int) -> Tally:
    """So many launches, each with a death of the process within seconds. In between it comes to rest sometimes, and
    then what exists is what is recorded; in the end everything is ended, and nothing is left.

    :raises AssertionError: it is not so.
    """
    rng, tally = random.Random(seed), Tally()
    rig = NovaRig(site, seed)
    while tally.launches < launches:
        rig.start()
        await rig.ready()
        if rng.random() < 0.3:
            site.faults[:] = [Fault("POST", "/servers$", rng.choice(FAULTS), times=1)]
            tally.faults += 1
        code: Any = None
        for _ in range(rng.randint(1, 2)):
            code = (await rig.ask(CommandKind.LAUNCH, count=rng.randint(1, MOST_AT_ONCE))).code
            tally.launches += code is ReplyCode.OK
            await asyncio.sleep(rng.uniform(0.0, 0.2))
        if code is not ReplyCode.OK or rng.random() < 0.1 or len(rig.nodes) > MOST_ALIVE:
            site.faults.clear()
            await at_rest(rig, site)
            await rig.ask(CommandKind.RESET)
            await rig.end_all()
            await rig.stop()
        else:
            await asyncio.sleep(rng.uniform(0.0, LONGEST_LIFE_S))
            await rig.kill()
            tally.deaths += 1
            await asyncio.sleep(rng.uniform(0.0, BETWEEN_S))
    site.faults.clear()
    rig.start()
    await rig.ready()
    await at_rest(rig, site)
    await rig.end_all()
    await rig.stop()
    return tally


async def at_rest(rig: NovaRig, site: NovaSite) -> None:
    await rig.until(rig.settled)
    recorded = rig.recorded()
    assert set(recorded) == site.living(), "servers found are not those recorded"
    assert set(recorded.values()) <= {1}, "a node stands for two servers, or two for one"
