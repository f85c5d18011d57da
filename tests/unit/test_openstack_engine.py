"""The traps of nova as the whole engine meets them: what it accepts and cannot give is ended, and asked for later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from engine_harness import on_virtual_time, policy
from nova_rig import NovaRig, rules
from nova_site import NovaSite, nova_site

from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.resource import Timers
from dynamiccluster.model.worker_node import NodeState


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


def in_error(site: NovaSite) -> int:
    return sum(server["status"] == "ERROR" for server in site.servers.values())


@on_virtual_time
async def test_a_burst_over_the_quota_leaves_nothing_in_error_and_closes_nothing(site: NovaSite) -> None:
    site.most, site.burst, site.boot_s = 2, True, 30.0
    rig = NovaRig(site)
    rig.start()
    await rig.ready()
    site.most = 6
    await asyncio.sleep(60.0)  # a poll has shown room for six, and then there is less
    site.most = 2
    assert (await rig.ask(CommandKind.LAUNCH, count=5)).code is ReplyCode.OK
    await rig.until(lambda: site.made == 5)
    await asyncio.sleep(120.0)
    await rig.until(lambda: not in_error(site) and rig.settled())
    assert set(rig.states()) == {NodeState.JOINING}
    assert len(site.living()) == 2
    snapshot = rig.engine.readmodel.snapshot
    assert not snapshot.memory.breakers
    assert [known.error_class for known in snapshot.memory.backoffs.values()] == ["quota"]
    await rig.end_all()
    await rig.stop()


@on_virtual_time
async def test_a_build_that_never_ends_is_ended_when_its_time_is_over(site: NovaSite) -> None:
    site.stuck = True
    rig = NovaRig(site)
    quick = rules().resources["r"]
    rig.rules = policy(replace(quick, timers=Timers(launch_s=1200.0, boot_s=600.0, idle_s=1e6)))
    rig.start()
    await rig.ready()
    assert (await rig.ask(CommandKind.LAUNCH, count=1)).code is ReplyCode.OK
    await asyncio.sleep(500.0)
    assert len(site.living()) == 1
    await rig.until(lambda: not site.living() and not rig.nodes)
    await rig.stop()
