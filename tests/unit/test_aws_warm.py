"""Warm nodes on EC2: stopped instead of terminated, and taken before new ones are made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from ec2_rig import Ec2Rig, aws, config
from ec2_site import Ec2Site, Fault, HandClock, ec2_site
from engine_harness import Tap, on_virtual_time

from dynamiccluster.clouds.aws.build import build
from dynamiccluster.clouds.aws.instance_map import PARKED_TAG, renamed, tags_in, to_instance
from dynamiccluster.clouds.aws.written import BLIND_S
from dynamiccluster.errors import QuotaError, UnknownOutcomeError
from dynamiccluster.model.action import LaunchedInstance, NodeSpec, PartialLaunch
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.command import CommandKind
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.resource import Resource

RESOURCE = Resource("r", "aws", "t", Capacity(2, 2000), max_nodes=5, offering="t/any/c5.large/on-demand")
AT = 1_795_000_000.0


class Place:
    """A region, and a cloud that keeps machines there."""

    def __init__(self, site: Ec2Site, **keys: Any) -> None:
        self.site = site
        self.clock = HandClock(AT)
        self.cloud = aws(site, self.clock, **{"when_idle": "stop", **keys})
        self.clock.at += BLIND_S
        self.ec2 = boto3.client(
            "ec2", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", endpoint_url=site.url
        )

    def launch(self, launch_id: str, number: int, resource: Resource = RESOURCE) -> tuple[LaunchedInstance, ...]:
        specs = [NodeSpec(f"{launch_id}{at}", f"r-{launch_id}{at}") for at in range(number)]
        return self.cloud.launch(launch_id, resource, specs)

    def real(self) -> dict[str, str]:
        """What EC2 itself says."""
        return {
            one["InstanceId"]: one["State"]["Name"]
            for reservation in self.ec2.describe_instances()["Reservations"]
            for one in reservation["Instances"]
        }

    def seen(self) -> dict[str, InstanceState]:
        return {one.instance_id: one.state for one in self.cloud.list_instances().instances}


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    return running


def test_an_ended_machine_is_stopped_and_gone_to_the_engine(site: Ec2Site) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    for _ in range(2):
        place.cloud.terminate([machine.instance_id])
        assert place.real() == {machine.instance_id: "stopped"}
        assert place.seen() == {machine.instance_id: InstanceState.GONE}


def test_it_is_started_for_the_next_launch_under_another_id(site: Ec2Site) -> None:
    place = Place(site)
    _, second, third = place.launch("a", 3)
    place.cloud.terminate([second.instance_id, third.instance_id])
    again = place.launch("b", 3)
    assert site.made() == 4
    warm = {f"{second.instance_id}+1", f"{third.instance_id}+1"}
    assert {one.instance_id for one in again[:2]} == warm
    assert [one.host_name for one in again] == ["r-b0", "r-b1", "r-b2"]
    listed = {one.instance_id: one for one in place.cloud.list_instances().instances}
    assert {listed[one].launch_id for one in warm} == {"b"}
    assert {listed[one].host_name for one in warm} == {"r-b0", "r-b1"}
    assert {listed[one].node_id for one in warm} == {"b0", "b1"}
    place.cloud.terminate([second.instance_id])  # by who means the machine it was
    assert set(place.real().values()) == {"running"}
    place.cloud.terminate([f"{second.instance_id}+1"])
    assert place.real()[second.instance_id] == "stopped"
    assert place.cloud.console_tail(f"{third.instance_id}+1")
    assert not place.cloud.console_tail(third.instance_id)


def test_warm_ones_come_though_new_ones_are_refused_and_what_refused_them_is_told(site: Ec2Site) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    place.cloud.terminate([machine.instance_id])
    site.faults.append(Fault("RunInstances", "VcpuLimitExceeded"))
    made = place.launch("b", 2)
    assert [one.instance_id for one in made] == [f"{machine.instance_id}+1"]
    assert isinstance(made, PartialLaunch)
    assert isinstance(made.error, QuotaError)


def test_only_so_many_are_kept_and_only_for_so_long(site: Ec2Site) -> None:
    place = Place(site, warm_max=1, warm_max_age_s=1000)
    machines = [one.instance_id for one in place.launch("a", 3)]
    place.cloud.terminate(machines)
    assert sorted(place.real().values()) == ["stopped", "terminated", "terminated"]
    (kept,) = (one for one, state in place.real().items() if state == "stopped")
    place.clock.at += 1001
    assert place.seen()[kept] is InstanceState.STOPPED  # which the engine has ended
    assert place.launch("b", 1)[0].instance_id not in machines
    place.cloud.terminate([kept])
    assert place.real()[kept] == "terminated"


@pytest.mark.parametrize(
    "fault",
    [Fault("StopInstances", "UnsupportedOperation"), Fault("DescribeInstanceStatus", "UnauthorizedOperation")],
    ids=["cannot stop", "health not known"],
)
def test_what_cannot_be_kept_is_ended(site: Ec2Site, fault: Fault) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    site.faults.append(fault)
    place.cloud.terminate([machine.instance_id])
    assert place.real() == {machine.instance_id: "terminated"}


def test_spot_instances_are_ended_and_never_replaced_by_warm_ones(site: Ec2Site) -> None:
    place = Place(site, spot_bid=0.1, spot_fallback="on-demand")
    spot = Resource("r", "aws", "t", Capacity(2, 2000), offering="t/any/c5.large/spot")
    (machine,) = place.launch("a", 1, spot)
    place.cloud.terminate([machine.instance_id])
    assert place.real() == {machine.instance_id: "terminated"}
    (kept,) = place.launch("b", 1)
    place.cloud.terminate([kept.instance_id])
    assert place.launch("c", 1, spot)[0].instance_id not in (kept.instance_id, f"{kept.instance_id}+1")


def test_others_are_not_taken(site: Ec2Site) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    place.cloud.terminate([machine.instance_id])
    theirs = aws(site, place.clock, "c2", when_idle="stop")
    place.clock.at += BLIND_S
    assert theirs.launch("b", RESOURCE, [NodeSpec("n", "r-n")])[0].instance_id != f"{machine.instance_id}+1"
    assert place.real()[machine.instance_id] == "stopped"


def test_a_warm_one_that_does_not_start_goes_back(site: Ec2Site) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    place.cloud.terminate([machine.instance_id])
    site.faults.append(Fault("StartInstances", "InsufficientInstanceCapacity"))
    (new,) = place.launch("b", 1)
    assert new.instance_id != f"{machine.instance_id}+1"
    assert place.seen()[f"{machine.instance_id}+1"] is InstanceState.GONE
    site.faults.clear()
    assert place.launch("c", 1)[0].instance_id == f"{machine.instance_id}+2"


def test_one_that_went_back_is_nobodys_and_grows_old(site: Ec2Site) -> None:
    place = Place(site, warm_max_age_s=1000)
    (machine,) = place.launch("a", 1)
    place.cloud.terminate([machine.instance_id])
    site.faults.append(Fault("StartInstances", "InsufficientInstanceCapacity"))
    place.clock.at += 900
    (new,) = place.launch("b", 1)
    listed = {one.instance_id: one for one in place.cloud.list_instances().instances}
    assert listed[new.instance_id].node_id == "b0"
    back = listed[f"{machine.instance_id}+1"]
    assert (back.state, back.node_id, back.launch_id) == (InstanceState.GONE, "", "")
    site.faults.clear()
    assert [one.instance_id for one in place.launch("b", 1)] == [new.instance_id]  # what was refused stays so
    assert place.real()[machine.instance_id] == "stopped"
    place.clock.at += 101  # too old, but the node that its tags name may still wait for another machine
    assert place.seen()[f"{machine.instance_id}+1"] is InstanceState.GONE
    assert place.launch("c", 1)[0].instance_id != f"{machine.instance_id}+2"
    place.clock.at += 600
    assert place.seen()[f"{machine.instance_id}+1"] is InstanceState.STOPPED  # which the engine has ended


@pytest.mark.parametrize("change", ["security_groups", "template", "values", "join script"])
def test_what_was_made_otherwise_is_not_kept(site: Ec2Site, tmp_path: Path, change: str) -> None:
    file = tmp_path / "userdata"
    (tmp_path / "join").mkdir()
    (tmp_path / "join" / "machine").write_text("true\n")
    file.write_text("#!/bin/sh\n{{ join_script('machine') }}\n{{ values.key }}\n")
    keys: dict[str, Any] = {"when_idle": "stop", "userdata_file": str(file), "userdata_values": {"key": "one"}}
    clock = HandClock(AT)
    before = build("t", {"r": config(site, **keys)}, "c1", clock)
    kept, running = before.launch("a", RESOURCE, [NodeSpec("a0", "r-a0"), NodeSpec("a1", "r-a1")])
    before.terminate([kept.instance_id])
    assert before.list_instances().instances[0].state is InstanceState.GONE
    if change == "security_groups":
        keys["security_groups"] = ["default"]
    elif change == "values":
        keys["userdata_values"] = {"key": "two"}
    elif change == "template":
        file.write_text(file.read_text() + "# mended\n")
    else:
        (tmp_path / "join" / "machine").write_text("false\n")
    after = build("t", {"r": config(site, **keys)}, "c1", clock)
    clock.at += BLIND_S
    assert after.list_instances().instances[0].state is InstanceState.STOPPED  # which the engine has ended
    assert after.launch("b", RESOURCE, [NodeSpec("b0", "r-b0")])[0].instance_id != f"{kept.instance_id}+1"
    after.terminate([kept.instance_id, running.instance_id])
    assert [Place(site).real()[one.instance_id] for one in (kept, running)] == ["terminated", "terminated"]


def test_a_template_that_cannot_be_read_ends_no_machine(site: Ec2Site, tmp_path: Path) -> None:
    file = tmp_path / "userdata"
    file.write_text("#!/bin/sh\n{{ resource.queues[0] }}\n")
    resource = replace(RESOURCE, queues=frozenset({"q"}))
    cloud = build("t", {"r": config(site, when_idle="stop", userdata_file=str(file))}, "c1", HandClock(AT))
    (machine,) = cloud.launch("a", resource, [NodeSpec("a0", "r-a0")])
    cloud.terminate([machine.instance_id])
    assert cloud.list_instances().instances[0].state is InstanceState.GONE
    file.rename(tmp_path / "elsewhere")
    assert cloud.list_instances().instances[0].state is InstanceState.GONE


@pytest.mark.parametrize("code", ["lost", "InternalError"])
def test_a_repeated_launch_has_the_same_machine(site: Ec2Site, code: str) -> None:
    place = Place(site)
    (machine, other) = place.launch("a", 2)
    place.cloud.terminate([machine.instance_id, other.instance_id])
    site.faults.append(Fault("StartInstances", code, times=1))
    with pytest.raises(UnknownOutcomeError):
        place.launch("b", 1)
    (again,) = place.launch("b", 1)
    assert again.instance_id.endswith("+1")
    assert sorted(place.real().values()) == ["running", "stopped"]
    assert site.made() == 2


def test_a_repeated_launch_of_new_machines_takes_no_warm_ones(site: Ec2Site) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    made = place.launch("b", 2)
    place.cloud.terminate([machine.instance_id])
    assert {one.instance_id for one in place.launch("b", 2)} == {one.instance_id for one in made}
    assert place.real()[machine.instance_id] == "stopped"


def test_two_launches_never_take_one_machine_though_lists_are_late(site: Ec2Site) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    place.cloud.terminate([machine.instance_id])
    site.late = True
    (first,) = place.launch("b", 1)
    (second,) = place.launch("c", 1)
    assert first.instance_id == f"{machine.instance_id}+1"
    assert second.instance_id.partition("+")[0] != machine.instance_id
    listed = {one.instance_id: one.node_id for one in place.cloud.list_instances().instances}
    assert listed == {first.instance_id: "b0", second.instance_id: "c0"}
    place.cloud.terminate([machine.instance_id])  # by who means the machine it was
    (again,) = place.launch("b", 1)
    assert again.instance_id == first.instance_id
    site.catch_up()
    assert set(place.real().values()) == {"running"}
    assert site.made() == 2


@pytest.mark.parametrize("late", [False, True], ids=["not started yet", "lists are late"])
def test_a_machine_that_is_being_started_is_not_a_stopped_one(site: Ec2Site, late: bool) -> None:
    place = Place(site)
    (machine,) = place.launch("a", 1)
    place.cloud.terminate([machine.instance_id])
    site.late = late
    if late:
        place.launch("b", 1)
    else:
        site.faults.append(Fault("StartInstances", "InternalError"))
        with pytest.raises(UnknownOutcomeError):
            place.launch("b", 1)
        place.cloud = aws(site, place.clock, when_idle="stop")  # which remembers nothing
    assert place.seen() == {f"{machine.instance_id}+1": InstanceState.PENDING}
    place.clock.at += 290
    assert place.seen() == {f"{machine.instance_id}+1": InstanceState.PENDING}
    place.clock.at += 20
    assert place.seen() == {f"{machine.instance_id}+1": InstanceState.STOPPED}
    site.faults.clear()
    site.catch_up()
    place.launch("b", 1)
    assert place.seen() == {f"{machine.instance_id}+1": InstanceState.ACTIVE}


def test_the_node_of_a_machine_stands_at_its_launch_index() -> None:
    long = "x" * 60
    tags = {"dynamiccluster:nodes.0": f"{long}-a {long}-b {long}-c", "dynamiccluster:nodes.1": f"{long}-d"}
    described = {
        "InstanceId": "i-1",
        "AmiLaunchIndex": 3,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    again = renamed(described, NodeSpec("n9", "s-n9"))
    described["Tags"] = [{"Key": key, "Value": value} for key, value in again.items()]
    found = to_instance(described)
    assert (found.node_id, found.host_name) == ("n9", "s-n9")
    assert again.keys() == tags.keys()


@on_virtual_time
async def test_nodes_come_and_go_on_the_same_machines(site: Ec2Site) -> None:
    rig = Ec2Rig(site, keys={"when_idle": "stop", "warm_max": 2})
    rig.start()
    await asyncio.sleep(BLIND_S)
    for round_ in range(3):
        await rig.ask(CommandKind.LAUNCH, count=3)
        await rig.until(lambda: len(rig.recorded()) == 3 and not rig.store.load().open_actions)
        assert sum("+" in node.instance_id for node in rig.nodes) == (2 if round_ else 0)
        for node in rig.nodes:
            await rig.ask(CommandKind.DELETE, node.node_id, force=True)
        await rig.until(lambda: not rig.nodes)
    assert site.made() == 5
    parked = [
        one
        for reservation in Place(site).ec2.describe_instances()["Reservations"]
        for one in reservation["Instances"]
        if tags_in(one).get(PARKED_TAG) and one["State"]["Name"] == "stopped"
    ]
    assert len(parked) == 2
    await rig.stop()


@pytest.mark.parametrize("answered", [True, False])
@on_virtual_time
async def test_after_a_restart_while_lists_are_late_no_machine_is_two_nodes(site: Ec2Site, answered: bool) -> None:
    """What was written to machines just before is not known any more, and lists do not show it yet."""
    keys = {"when_idle": "stop", "warm_max": 2}
    rig = Ec2Rig(site, keys=keys)
    rig.start()
    await asyncio.sleep(BLIND_S)
    await rig.ask(CommandKind.LAUNCH, count=1)
    await rig.until(rig.settled)
    ((machine, _),) = rig.recorded().items()
    await rig.ask(CommandKind.DELETE, rig.nodes[0].node_id, force=True)
    await rig.until(lambda: not rig.nodes)
    site.late = True
    await rig.ask(CommandKind.LAUNCH, count=1)
    while "StartInstances" not in site.calls:
        await asyncio.sleep(0.01)
    if answered:
        await rig.until(lambda: [node.instance_id for node in rig.nodes] == [f"{machine}+1"])
    await rig.kill()
    rig.cloud = Tap(aws(site, rig.clock, **keys))
    rig.start()
    await rig.ready()
    await rig.ask(CommandKind.LAUNCH, count=1)
    await rig.until(lambda: len(rig.recorded()) == 2)
    assert set(rig.recorded().values()) == {1}
    site.catch_up()
    await rig.until(rig.settled)
    assert len(rig.nodes) == 2
    assert not answered or machine in rig.recorded()
    await rig.stop()
