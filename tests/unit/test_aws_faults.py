"""What can go wrong with EC2, call by call, for one kind of machine, a menu, and fleets: rows ``aws`` of the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cloud_faults import LAUNCH, LIST, TERMINATE, Row, cells, go_through, named, rows
from ec2_rig import KEYS, QUICK_S, Ec2Rig, aws, calls, rules
from ec2_site import Ec2Site, Fault, ec2_site
from engine_harness import Tap, on_virtual_time

from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.config.schema_cloud_xspot import XspotConfig
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.menu import Menu
from dynamiccluster.model.resource import Resource

CALLS = {LAUNCH: ("RunInstances", "CreateFleet"), LIST: ("DescribeInstances",), TERMINATE: ("TerminateInstances",)}
OFFERING = {"aws": "t/any/c5.large/on-demand", "xspot": "t/us-east-1a/c5.large/on-demand"}
MENU: dict[str, Any] = {
    "on_demand_types": ["c5.large"],
    "spot_fleet_types": ["c5.large", "m5.large"],
    "availability_zones": ["us-east-1a"],
    "prices": {"c5.large": 0.085},
}


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    running.hang_s = QUICK_S * 1.5
    return running


def made(kind: str, site: Ec2Site, clock: Clock, *, quick: bool = False) -> AwsCloud:
    if kind == "aws":
        return aws(site, clock, quick=quick)
    kept = {key: value for key, value in KEYS.items() if key != "instance_type"}
    by = {"launch_by": "fleet"} if kind == "fleet" else {}
    keys = dict(XspotConfig.model_validate(kept | MENU | by | {"endpoint_url": site.url}))
    return AwsCloud(clock, "c1", "t", calls(site, quick=quick), {"r": keys}, {})


def strike(site: Ec2Site, row: Row, phase: str) -> None:
    times = 1 if row.how == "hang" else 1_000_000  # each takes its real time
    site.faults += [Fault(call, row.how, times=times) for call in CALLS[LIST if row.lists_only else phase]]


@pytest.mark.parametrize("cell", cells("aws"), ids=named)
@pytest.mark.parametrize("kind", ["aws", "xspot"])
def test_what_the_adapter_raises(site: Ec2Site, kind: str, cell: tuple[str, str]) -> None:
    name, phase = cell
    row = rows(kind)[name]
    resource = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering=OFFERING[kind])
    cloud = made(kind, site, SystemClock())
    (machine,) = cloud.launch("before", resource, [NodeSpec("n0", "r-0")])
    cloud.list_instances()
    cloud = made(kind, site, SystemClock(), quick=row.how == "hang")
    strike(site, row, phase)
    act = {
        LAUNCH: lambda: cloud.launch("l", resource, [NodeSpec("n1", "r-1")]),
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
    if phase == LAUNCH:
        assert getattr(raised.value, "offering", "") == resource.offering
        site.faults.clear()
        machines = 2 if name in ("lost reply after success", "slow") else 1
        assert len(made(kind, site, SystemClock()).list_instances().instances) == machines


@pytest.mark.parametrize("name", list(rows("aws")))
@pytest.mark.parametrize("kind", ["aws", "xspot", "fleet"])
@on_virtual_time
async def test_promises_hold(site: Ec2Site, kind: str, name: str) -> None:
    row = rows(kind)[name]
    policy = rules()
    if kind != "aws":
        chosen = Menu(try_spot_s=15.0, fleet=kind == "fleet")
        menu = replace(policy.resources["r"], capacity=Capacity(), offering="", menu=chosen)
        policy = replace(policy, resources={"r": menu})
    rig = Ec2Rig(site, policy=policy)
    rig.cloud = Tap(made(kind, site, rig.clock, quick=row.how == "hang"))
    await go_through(rig, row, lambda phase: strike(site, row, phase), site.faults.clear)
    assert ("CreateFleet" in site.calls) is (kind == "fleet")
