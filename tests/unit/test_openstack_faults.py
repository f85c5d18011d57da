"""What can go wrong with OpenStack, call by call: the rows ``openstack`` of ``cloud_faults``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud_faults import LAUNCH, LIST, TERMINATE, Row, cells, go_through, named, rows
from engine_harness import on_virtual_time
from nova_rig import NovaRig, launch_and_die, openstack
from nova_site import Fault, NovaSite, nova_site

from dynamiccluster.clouds.openstack import calls
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

RESOURCE = Resource("r", "nova", "t", Capacity(1, 1000), max_nodes=5)
CALLS = {LAUNCH: ("POST", "/servers$"), LIST: ("GET", "/servers/detail"), TERMINATE: ("DELETE", "/servers/")}
OF_KEYSTONE = ("credentials rotated", "Keystone down")
TOKENS = ("POST", "/auth/tokens")
SKEW_S = 7200.0


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[NovaSite]:
    with nova_site() as running:
        running.hang_s = 1.4
        monkeypatch.setattr(calls, "READ_TIMEOUT_S", 1.0)
        yield running


def strike(site: NovaSite, name: str, row: Row, phase: str) -> None:
    if row.how == "old tokens":  # by this machine's clock
        site.token_s = -SKEW_S
        site.tokens.clear()
        return
    times = 2 if row.how == "hang" else 1_000_000  # each takes its real time
    at = TOKENS if name in OF_KEYSTONE else CALLS[LIST if row.lists_only else phase]
    site.faults.append(Fault(*at, row.how, times=times))
    if at is TOKENS:
        site.tokens.clear()


def calm(site: NovaSite) -> None:
    site.faults.clear()
    site.token_s = 3600.0


@pytest.mark.parametrize("cell", cells("openstack"), ids=named)
def test_what_the_adapter_raises(site: NovaSite, cell: tuple[str, str]) -> None:
    name, phase = cell
    row = rows("openstack")[name]
    cloud = openstack(site, SystemClock())
    (machine,) = cloud.launch("before", RESOURCE, [NodeSpec("n0", "r-0")])
    cloud.list_instances()
    strike(site, name, row, phase)
    act = {
        LAUNCH: lambda: cloud.launch("l", RESOURCE, [NodeSpec("n1", "r-1")]),
        LIST: cloud.list_instances,
        TERMINATE: lambda: cloud.terminate([machine.instance_id]),
    }[phase]
    expected = row.raised(phase)
    if expected is None:
        act()
        return
    with pytest.raises(expected) as raised:
        act()
    assert type(raised.value) is expected
    calm(site)
    if phase == LAUNCH:
        made = 2 if name in ("lost reply after success", "slow") else 1
        assert len(openstack(site, SystemClock()).list_instances().instances) == made


@pytest.mark.parametrize("name", list(rows("openstack")))
@on_virtual_time
async def test_promises_hold(site: NovaSite, name: str) -> None:
    row = rows("openstack")[name]
    await go_through(NovaRig(site), row, lambda phase: strike(site, name, row, phase), lambda: calm(site))


@on_virtual_time
async def test_instances_found_are_instances_recorded(site: NovaSite) -> None:
    """The process dies at random moments, and replies are lost."""
    tally = await launch_and_die(site, 20, seed=1)
    assert tally.launches >= 20
    assert tally.deaths > 5
    assert site.made > 10
