"""What can go wrong with OpenStack, call by call: the engine's word for it, and that the promises hold in every cell.

The cells: each fault, on the call that launches, lists or terminates. A fault of lists alone (half, stale) strikes
them while machines are launched, run, or are terminated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from engine_harness import on_virtual_time
from nova_rig import NovaRig, launch_and_die, openstack
from nova_site import Fault, NovaSite, nova_site

from dynamiccluster.clouds.openstack import calls
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

RESOURCE = Resource("r", "nova", "t", Capacity(1, 1000), max_nodes=5)
LAUNCH, LIST, TERMINATE = ("POST", "/servers$"), ("GET", "/servers/detail"), ("DELETE", "/servers/")
PHASES = {"launch": LAUNCH, "list": LIST, "terminate": TERMINATE}
FINE = None
STRIKES_S = 90.0
"""Some polls."""


@dataclass(frozen=True)
class Row:
    """``launch``, ``list`` and ``terminate``: what the adapter raises of it. ``at``: calls that it strikes instead."""

    says: str | int | tuple[int, str]
    launch: type[DynamicClusterError] | None
    list: type[DynamicClusterError] | None
    terminate: type[DynamicClusterError] | None
    at: tuple[str, str] | None = None


TABLE = {
    "capacity": Row((409, "No more IP addresses available."), CapacityError, CapacityError, CapacityError),
    "quota": Row("exc_quota_instances", QuotaError, QuotaError, QuotaError),
    "throttle": Row(429, ThrottledError, ThrottledError, ThrottledError),
    "forbidden": Row("exc_forbidden_admin_call", AuthError, AuthError, AuthError),
    "lost reply after success": Row("lost", UnknownOutcomeError, TransientError, TransientError),
    "slow": Row("hang", UnknownOutcomeError, TransientError, TransientError),
    "partial list": Row("half", FINE, TransientError, FINE, LIST),
    "stale list": Row("stale", FINE, FINE, FINE, LIST),
    "5xx storm": Row(503, UnknownOutcomeError, TransientError, TransientError),
    "neutron down": Row("exc_down_neutron_create", UnknownOutcomeError, TransientError, TransientError),
    "credentials rotated": Row("exc_auth_bad_password", AuthError, AuthError, AuthError, ("POST", "/auth/tokens")),
    "Keystone down": Row(503, TransientError, TransientError, TransientError, ("POST", "/auth/tokens")),
    "unheard of": Row(400, BadConfigError, BadConfigError, BadConfigError),
}
CELLS = [(name, phase) for name in TABLE for phase in PHASES]
each_cell = pytest.mark.parametrize(("name", "phase"), CELLS, ids=[f"{name}-{phase}" for name, phase in CELLS])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[NovaSite]:
    with nova_site() as running:
        running.hang_s = 1.4
        monkeypatch.setattr(calls, "READ_TIMEOUT_S", 1.0)
        yield running


def strike(site: NovaSite, row: Row, phase: str) -> None:
    times = 2 if row.says == "hang" else 1_000_000  # each takes its real time
    site.faults.append(Fault(*(row.at or PHASES[phase]), row.says, times=times))
    if row.at and "tokens" in row.at[1]:
        site.tokens.clear()


@each_cell
def test_what_the_adapter_raises(site: NovaSite, name: str, phase: str) -> None:
    row = TABLE[name]
    cloud = openstack(site, SystemClock())
    (machine,) = cloud.launch("before", RESOURCE, [NodeSpec("n0", "r-0")])
    cloud.list_instances()
    strike(site, row, phase)
    act = {
        "launch": lambda: cloud.launch("l", RESOURCE, [NodeSpec("n1", "r-1")]),
        "list": cloud.list_instances,
        "terminate": lambda: cloud.terminate([machine.instance_id]),
    }[phase]
    expected = getattr(row, phase)
    if expected is None:
        act()
        return
    with pytest.raises(expected) as raised:
        act()
    assert type(raised.value) is expected
    site.faults.clear()
    if phase == "launch":
        made = 2 if name in ("lost reply after success", "slow") else 1
        assert len(openstack(site, SystemClock()).list_instances().instances) == made


@pytest.mark.parametrize("name", list(TABLE))
@on_virtual_time
async def test_promises_hold(site: NovaSite, name: str) -> None:
    """Two nodes are launched, live, and are ended, and in each of the three phases the fault strikes for a while."""
    row = TABLE[name]
    rig = NovaRig(site)
    rig.start()
    await rig.ready()
    strike(site, row, "launch")
    assert (await rig.ask(CommandKind.LAUNCH, count=2)).code is ReplyCode.OK
    await asyncio.sleep(STRIKES_S)
    site.faults.clear()
    await rig.until(rig.settled)
    if not rig.nodes:  # refused for good: the next one works
        await rig.ask(CommandKind.RESET)
        assert (await rig.ask(CommandKind.LAUNCH, count=2)).code is ReplyCode.OK
        await rig.until(lambda: len(rig.nodes) == 2 and rig.settled())
    assert 1 <= len(rig.nodes) <= 2  # none twice (promise 2), never more than asked (3)
    await rig.until(lambda: set(rig.states()) == {NodeState.JOINING})

    strike(site, row, "list")
    before = rig.states(), rig.recorded()
    await asyncio.sleep(STRIKES_S)
    assert (rig.states(), rig.recorded()) == before  # a failed poll changes nothing (4)
    assert not rig.cloud.called("terminate")
    site.faults.clear()

    strike(site, row, "terminate")
    for node in rig.nodes:
        await rig.ask(CommandKind.DELETE, node.node_id, force=True)
    await asyncio.sleep(STRIKES_S)
    site.faults.clear()
    await rig.until(lambda: not rig.nodes and not site.living())  # none is left (2), and nothing is stuck (5, 6)
    await rig.stop()


@on_virtual_time
async def test_instances_found_are_instances_recorded(site: NovaSite) -> None:
    """The process dies at random moments, and replies are lost."""
    tally = await launch_and_die(site, 20, seed=1)
    assert tally.launches >= 20
    assert tally.deaths > 5
    assert site.made > 10
