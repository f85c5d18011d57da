"""Launches while the process dies at random moments and replies are lost: for a test, and at length for the soak."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

import pytest
from ec2_rig import KEYS, Ec2Rig, calls, rules
from ec2_site import Ec2Site, Fault
from engine_harness import Tap, policy

from dynamiccluster.clouds.aws import written
from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.config.schema_cloud_xspot import XspotConfig
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.menu import Menu

LONGEST_LIFE_S = 12.0
BETWEEN_S = 5.0
MOST_AT_ONCE = 3
MOST_ALIVE = 40
MOST_WARM = 4
CODES = ("lost", "InternalError", "InsufficientInstanceCapacity", "RequestLimitExceeded")


@dataclass
class Tally:
    launches: int = 0
    machines: int = 0
    deaths: int = 0
    faults: int = 0

    def __str__(self) -> str:
        return f"{self.launches} launches, {self.machines} machines, {self.deaths} deaths, {self.faults} faults"


async def launch_and_die(site: Ec2Site, launches: int, seed: int, *, warm: bool = False, fleets: bool = False) -> Tally:
    """So many launches, each with a death of the process within seconds. In between it comes to rest sometimes, and
    then what exists is what is recorded; in the end everything is ended, and nothing is left. ``warm``: but a few
    stopped machines, which are taken for launches before others. ``fleets``: EC2 chooses among types and zones.

    :raises AssertionError: it is not so.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(written, "BLIND_S", 0.0)  # here lists are not late, and nobody lives for so long
        rig = Ec2Rig(site, seed, keys={"when_idle": "stop", "warm_max": MOST_WARM} if warm else {})
        return await _launch_and_die(site, launches, random.Random(seed), menu_rig(site, seed) if fleets else rig)


def menu_rig(site: Ec2Site, seed: int = 1) -> Ec2Rig:
    """A menu ``r`` of spot machines in two zones, asked for by fleets."""
    keys = KEYS | {"spot_fleet_types": ["c5.large", "c5d.large", "m5.large"], "endpoint_url": site.url}
    zones = {"availability_zones": ["us-east-1a", "us-east-1b"]}
    config = dict(XspotConfig.model_validate({key: keys[key] for key in keys if key != "instance_type"} | zones))
    menu = replace(rules().resources["r"], capacity=Capacity(), offering="", menu=Menu(fleet=True, priced=False))
    rig = Ec2Rig(site, seed, policy=policy(menu))
    rig.cloud = Tap(AwsCloud(rig.clock, "c1", "t", calls(site), {"r": config}, {}))
    return rig


async def _launch_and_die(site: Ec2Site, launches: int, rng: random.Random, rig: Ec2Rig) -> Tally:
    tally = Tally()
    while tally.launches < launches:
        rig.start()
        await rig.ready()
        if rng.random() < 0.3:
            call = rng.choice(("RunInstances", *(("CreateFleet",) if site.calls.get("CreateFleet") else ())))
            site.faults[:] = [Fault(call, rng.choice(CODES), times=1)]
            tally.faults += 1
        for _ in range(rng.randint(1, 2)):
            reply = await rig.ask(CommandKind.LAUNCH, count=rng.randint(1, MOST_AT_ONCE))
            tally.launches += reply.code is ReplyCode.OK
            await asyncio.sleep(rng.uniform(0.0, 0.2))
        if reply.code is not ReplyCode.OK or rng.random() < 0.1 or len(rig.nodes) > MOST_ALIVE:
            site.faults.clear()
            await _rest(rig, site)
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
    await _rest(rig, site)
    await rig.end_all()
    await rig.stop()
    tally.machines = site.made()
    return tally


async def _rest(rig: Ec2Rig, site: Ec2Site) -> None:
    await rig.until(rig.settled)
    recorded = rig.recorded()
    assert set(recorded) == site.living(), "instances found are not those recorded"
    assert set(recorded.values()) <= {1}, "a node stands for two instances, or two for one"
