"""A node that dies under its jobs is told, by the engine as it runs: who looks at the present only never sees one."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from engine_harness import Rig, on_virtual_time

from dynamiccluster.model.worker_node import NodeState
from dynamiccluster.plugins.notify import Notifier
from dynamiccluster.testing.runner import FakeRunner

TELL = "/opt/site/tell"


async def told_within(rig: Rig, seconds: float, strike: Callable[[], None], every_s: float = 15.0) -> list[list[str]]:
    """Turn, title and text of what is told of lost nodes by a notifier that looks every so often.

    ``strike`` comes between the fourth look and the fifth.
    """
    runner = FakeRunner()
    runner.on([TELL])
    notifier = Notifier(script=[TELL], clock=rig.clock, runner=runner)
    for look in range(round(seconds / every_s)):
        notifier.observe(rig.engine.readmodel)
        if look == 4:
            strike()
        await rig.sleep(every_s)
    words = [word for call in runner.calls for word in json.loads(call.stdin or "")["words"]]
    return [[word["turn"], word["title"], word["text"]] for word in words if word["kind"] == "node-lost"]


@pytest.mark.parametrize("by_cloud", [True, False], ids=["the cloud says it", "only the scheduler sees it"])
@on_virtual_time
async def test_a_node_that_dies_under_its_job_is_told_and_when_it_is_over(by_cloud: bool) -> None:
    async with Rig() as rig:
        rig.submit(run_s=5000.0)
        await rig.until(lambda: any(node.state is NodeState.BUSY for node in rig.nodes))
        (node,) = rig.nodes
        told = await told_within(rig, 2400.0, lambda: rig.site.tenancies["t"].kill(node.instance_id, by_cloud))
    assert [turn for turn, _, _ in told] == ["begin", "end"]
    assert told[0][1] == f"{node.host_name} was lost with 1 job(s)"
    assert "on it ran" in told[0][2]


@on_virtual_time
async def test_a_node_that_leaves_as_it_should_is_not_lost() -> None:
    async with Rig() as rig:
        rig.submit(run_s=200.0)
        await rig.until(lambda: any(node.state is NodeState.BUSY for node in rig.nodes))
        assert await told_within(rig, 1500.0, lambda: None, every_s=1.0) == []
        assert not rig.nodes
