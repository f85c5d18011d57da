"""What can go wrong with EC2, call by call: the engine's word for it, and that the promises hold in every cell.

The cells: each fault, on the call that launches, lists or terminates. A fault of lists alone (half, stale) strikes
them while machines are launched, run, or are terminated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from ec2_rig import QUICK_S, Ec2Rig, aws
from ec2_site import Ec2Site, Fault, ec2_site
from engine_harness import on_virtual_time

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.worker_node import NodeState

RESOURCE = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering="t/any/c5.large/on-demand")
LAUNCH, LIST, TERMINATE = "RunInstances", "DescribeInstances", "TerminateInstances"
PHASES = (LAUNCH, LIST, TERMINATE)
FINE = None
STRIKES_S = 90.0
"""Some polls."""


@dataclass(frozen=True)
class Row:
    """``launch``, ``list_`` and ``terminate``: what the adapter raises of it. ``lists_only``: it has no other calls."""

    code: str
    launch: type[DynamicClusterError] | None
    list_: type[DynamicClusterError] | None
    terminate: type[DynamicClusterError] | None
    lists_only: bool = False

    def raised(self, phase: str) -> type[DynamicClusterError] | None:
        return {LAUNCH: self.launch, LIST: self.list_, TERMINATE: self.terminate}[phase]


TABLE = {
    "capacity": Row("InsufficientInstanceCapacity", CapacityError, CapacityError, CapacityError),
    "quota": Row("VcpuLimitExceeded", QuotaError, QuotaError, QuotaError),
    "throttle": Row("RequestLimitExceeded", ThrottledError, ThrottledError, ThrottledError),
    "auth": Row("UnauthorizedOperation", AuthError, AuthError, AuthError),
    "lost reply after success": Row("lost", UnknownOutcomeError, TransientError, TransientError),
    "slow": Row("hang", UnknownOutcomeError, TransientError, TransientError),
    "partial list": Row("half", FINE, TransientError, FINE, lists_only=True),
    "stale list": Row("stale", FINE, FINE, FINE, lists_only=True),
    "5xx storm": Row("InternalError", UnknownOutcomeError, TransientError, TransientError),
    "credentials rotated": Row("InvalidClientTokenId", AuthError, AuthError, AuthError),
    "clock skew": Row("RequestExpired", AuthError, AuthError, AuthError),
    "unheard of": Row("InvalidParameterCombination", BadConfigError, BadConfigError, BadConfigError),
}
CELLS = [(name, phase) for name in TABLE for phase in PHASES]
each_cell = pytest.mark.parametrize(("name", "phase"), CELLS, ids=[f"{name}-{phase}" for name, phase in CELLS])


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    running.hang_s = QUICK_S * 1.5
    return running


def strike(site: Ec2Site, row: Row, phase: str) -> None:
    times = 2 if row.code == "hang" else 1_000_000  # each takes its real time
    site.faults.append(Fault(LIST if row.lists_only else phase, row.code, times=times))


@each_cell
def test_what_the_adapter_raises(site: Ec2Site, name: str, phase: str) -> None:
    row = TABLE[name]
    cloud = aws(site, SystemClock())
    (machine,) = cloud.launch("before", RESOURCE, [NodeSpec("n0", "r-0")])
    cloud.list_instances()
    strike(site, row, phase)
    cloud = aws(site, SystemClock(), quick=row.code == "hang")
    act = {
        LAUNCH: lambda: cloud.launch("l", RESOURCE, [NodeSpec("n1", "r-1")]),
        LIST: cloud.list_instances,
        TERMINATE: lambda: cloud.terminate([machine.instance_id]),
    }[phase]
    expected = row.raised(phase)
    if row.lists_only and phase == TERMINATE:  # which asks first what is ours
        expected = TransientError if row.code == "half" else None
    if expected is None:
        act()
        return
    with pytest.raises(expected) as raised:
        act()
    assert type(raised.value) is expected
    if phase == LAUNCH:
        assert getattr(raised.value, "offering", "") == RESOURCE.offering
        site.faults.clear()
        cloud = aws(site, SystemClock())
        made = 2 if name in ("lost reply after success", "slow") else 1
        assert len(cloud.list_instances().instances) == made


@pytest.mark.parametrize("name", list(TABLE))
@on_virtual_time
async def test_promises_hold(site: Ec2Site, name: str) -> None:
    """Two nodes are launched, live, and are ended, and in each of the three phases the fault strikes for a while."""
    row = TABLE[name]
    rig = Ec2Rig(site, quick=row.code == "hang")
    rig.start()
    await rig.ready()
    strike(site, row, LAUNCH)
    assert (await rig.ask(CommandKind.LAUNCH, count=2)).code is ReplyCode.OK
    await asyncio.sleep(STRIKES_S)
    site.faults.clear()
    await rig.until(rig.settled)
    if not rig.nodes:  # refused for good: the next one works
        await rig.ask(CommandKind.RESET)
        assert (await rig.ask(CommandKind.LAUNCH, count=2)).code is ReplyCode.OK
        await rig.until(lambda: len(rig.nodes) == 2 and rig.settled())
    assert len(rig.nodes) == 2  # none twice (promise 2), never more than asked (3)
    await rig.until(lambda: set(rig.states()) == {NodeState.JOINING})

    strike(site, row, LIST)
    before = rig.states(), rig.recorded()
    await asyncio.sleep(STRIKES_S)
    assert (rig.states(), rig.recorded()) == before  # a failed poll changes nothing (4)
    assert not rig.cloud.called("terminate")
    site.faults.clear()

    strike(site, row, TERMINATE)
    for node in rig.nodes:
        await rig.ask(CommandKind.DELETE, node.node_id, force=True)
    await asyncio.sleep(STRIKES_S)
    site.faults.clear()
    await rig.until(lambda: not rig.nodes and not site.living())  # none is left (2), and nothing is stuck (5, 6)
    await rig.stop()
