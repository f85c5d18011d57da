"""Ports and floating IPs of a real Neutron: given, labelled, and swept when they are left behind."""

from __future__ import annotations

import pytest
from openstack_site import LaterClock, cloud, launch, until

from dynamiccluster.clouds.openstack.belongings import LEFT_FOR_S, SWEEP_EVERY_S
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.testing.openstack_bed import OpenstackBed

pytestmark = [pytest.mark.system, pytest.mark.openstack, pytest.mark.timeout(1500)]


def make_port(bed: OpenstackBed, description: str) -> str:
    """A port that no server has."""
    networks = bed.ask("network", "GET", f"/networks?name={bed.facts['network']}")["networks"]
    port = {"network_id": networks[0]["id"], "description": description}
    made: str = bed.ask("network", "POST", "/ports", {"port": port})["port"]["id"]
    return made


def test_what_a_server_leaves_behind_is_swept_and_nothing_else(openstack: OpenstackBed) -> None:
    clock = LaterClock()
    ours = cloud(openstack, clock=clock, floating_network=openstack.facts["external_network"])
    (made,) = launch(ours, "a-1")
    until(openstack, ours, InstanceState.ACTIVE)
    openstack.until(lambda: ours.list_instances().instances[0].address.startswith("10.21."), "its address is floating")
    (port,) = openstack.ask("network", "GET", f"/ports?device_id={made.instance_id}")["ports"]
    assert port["description"] == f"dynamiccluster:ours:{made.instance_id}"
    left = make_port(openstack, port["description"])
    (address,) = openstack.floating_ips()
    strange = make_port(openstack, "")
    theirs = make_port(openstack, f"dynamiccluster:theirs:{made.instance_id}")

    ours.terminate([made.instance_id])
    openstack.until(lambda: not ours.list_instances().instances, "the server is gone")
    assert openstack.floating_ips() == [address]  # nova leaves it behind
    clock.later_by += SWEEP_EVERY_S
    ours.list_instances()
    assert left in openstack.ports()  # seen once is a rumour
    clock.later_by += LEFT_FOR_S + 1
    ours.list_instances()
    assert openstack.floating_ips() == []
    assert sorted(openstack.ports()) == sorted([strange, theirs])
